"""Uploads over HTTP: how much is taken, where it lies, and what stays of one that broke off."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.makers.pictures import encode, photo
from tests.serving import until
from ui.server import requests as door
from ui.server import storage as store
from ui.server.storage import STORE

ME = "127.0.0.1"


def send(address: str, *files: bytes, name: str = "x.jpg", **headers: str) -> httpx.Response:
    parts = [("files", (name, data, "image/jpeg")) for data in files]
    return httpx.post(f"{address}gradio_api/upload", files=parts, headers=headers)


def arrived(folder: Path, name: str = "*") -> list[Path]:
    return [path for path in folder.rglob(name) if path.is_file()]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of a minute."""
    monkeypatch.setattr(store, "GRACE", 1.0)
    monkeypatch.setattr(store, "PATIENCE", 2.0)
    monkeypatch.setattr("gradio.utils.get_heartbeat_rate", lambda: 0.5)  # after which a page is seen to be closed


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("A_REQUEST", "at once"),
        ("A_CLIENT", "kept already"),
        ("AN_ADDRESS", "kept already"),
        ("ALL", "as many pictures as it can"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_more_bytes_than_allowed_get_a_sentence_and_leave_nothing(
    tiny_app: str, uploads: Path, monkeypatch: pytest.MonkeyPatch, limit: str, sentence: str, chunked: bool
) -> None:
    """By what the request says of its size, and by what arrives if it says nothing."""
    owner = {"A_REQUEST": "nobody", "ALL": None}.get(limit, ME)
    files, size = STORE.kept(owner, loose=limit == "A_CLIENT")
    size += 200_000
    where, value = (door, size) if limit == "A_REQUEST" else (store, (files + 1000, size))
    monkeypatch.setattr(where, limit, value)
    before = set(arrived(uploads))
    start = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.jpg"\r\n\r\n'
    body = start + b"x" * 250_000 + b"\r\n--b--\r\n"
    pieces = (body[i : i + 10_000] for i in range(0, len(body), 10_000))
    refused = httpx.post(
        f"{tiny_app}gradio_api/upload",
        content=pieces if chunked else body,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert refused.status_code == 413
    assert sentence in refused.text
    assert set(arrived(uploads)) <= before
    assert send(tiny_app, b"x" * 1000).status_code == 200


def test_a_connection_that_drops_in_mid_upload_leaves_nothing(tiny_app: str, uploads: Path) -> None:
    place, before = urlsplit(tiny_app), set(arrived(uploads))
    kept = STORE.kept(ME)[1]
    head = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n"
    head += b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.jpg"\r\n\r\n' + b"x" * 100_000
    for _ in range(5):
        with socket.create_connection((place.hostname, place.port)) as connection:
            connection.sendall(head + part)
            assert until(lambda: STORE.kept(ME)[1] >= kept + 999_999)
        assert until(lambda: STORE.kept(ME)[1] <= kept)
    assert set(arrived(uploads)) <= before


def test_one_that_was_chosen_and_never_run_goes(tiny_page: Any, short: None) -> None:
    """It stays while the page is open, which says that it has it; not a second longer."""
    _, address = tiny_page
    client = Client(address, verbose=False)
    belongs = next(d for d in client.config["dependencies"] if [t[1] for t in d["targets"]] == ["upload"])
    mine, stray = (Path(send(address, b"x", Origin=address[:-1]).json()[0]) for _ in range(2))
    *before, _picture = belongs["inputs"]
    data = [*[""] * len(before), {"path": str(mine)}]
    body = {"data": data, "fn_index": belongs["id"], "session_hash": client.session_hash}
    assert httpx.post(f"{address}gradio_api/run/predict", json=body).status_code == 200
    time.sleep(1.2)
    STORE.sweep(lambda session: session == client.session_hash)
    assert mine.exists()
    assert not stray.exists()
    client.close()
    assert until(lambda: STORE.sweep() or not mine.exists())


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    """What was sent here does not count against what other tests send."""
    yield
    for row in STORE._rows.values():
        row.users, row.due = set(), 0.0
    STORE.sweep()


def test_a_call_without_a_page_keeps_its_picture_for_its_answer(tiny_page: Any, short: None, tmp_path: Path) -> None:
    _, address = tiny_page
    path = send(address, encode(photo(64, 64), "JPEG")).json()[0]
    event = httpx.post(f"{address}gradio_api/call/detect", json={"data": [{"path": path}]}).json()["event_id"]
    answer = httpx.get(f"{address}gradio_api/call/detect/{event}").text
    assert "event: complete" in answer
    assert until(lambda: STORE.sweep() or not Path(path).exists())
    late = httpx.post(f"{address}gradio_api/call/detect", json={"data": [{"path": path}]}).json()["event_id"]
    assert "no longer kept" in httpx.get(f"{address}gradio_api/call/detect/{late}").text
    (tmp_path / "x.jpg").write_bytes(encode(photo(64, 64), "JPEG"))
    assert Client(address, verbose=False).predict(handle_file(str(tmp_path / "x.jpg")), api_name="/provenance")


# Floods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["..", ".", "???", "\0", "a" * 5000, "../../../x.jpg", "C:\\x.jpg", "\ud800"])
def test_a_file_may_have_any_name(tiny_app: str, uploads: Path, name: str) -> None:
    """And nothing of it lies anywhere but in a folder of its own."""
    before = set(uploads.glob("tmp*"))
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\nx\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    body = part % name.encode("utf-8", "surrogatepass")
    answer = httpx.post(f"{tiny_app}gradio_api/upload", content=body, headers=headers)
    assert answer.status_code in {200, 400, 413}  # of a name of 5,000 characters, Gradio says that it is too long
    assert set(uploads.glob("tmp*")) == before
    for path in answer.json() if answer.status_code == 200 else []:
        assert Path(path).parent.parent == uploads
        assert Path(path).read_bytes() == b"x"


def test_who_has_much_leaves_a_reserve_to_those_who_have_little(tiny_app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two addresses could keep 4 GB together, and nothing was left for anybody else."""
    kept = STORE.kept()[1]
    monkeypatch.setattr(store, "ALL", (100_000, kept + 500_000))
    monkeypatch.setattr(store, "RESERVE", (0, 400_000))
    monkeypatch.setattr(store, "LITTLE", 60_000)
    much, little = ({"X-Forwarded-For": f"192.0.2.{n}"} for n in (95, 96))
    assert send(tiny_app, b"x" * 50_000, **much).status_code == 200
    assert "as many pictures as it can" in send(tiny_app, b"x" * 60_000, **much).text
    assert send(tiny_app, b"x" * 50_000, **little).status_code == 200
