"""Files that come in, by upload or shared by a phone, and go out: how much is taken, where it lies,
what stays."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from causalclip.images.formats import MAX_BYTES
from tests.makers.pictures import encode, photo
from tests.serving import until
from ui.fields import save_png, upload_path
from ui.server import requests as door
from ui.server import storage as store
from ui.server.storage import STORE
from ui.sharing import AN_ADDRESS, FREE, MOST, Shares, webapp_routes

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
    # after which a page is seen to be closed
    monkeypatch.setattr("gradio.utils.get_heartbeat_rate", lambda: 0.5)


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
    tiny_app: str,
    uploads: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    sentence: str,
    chunked: bool,
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
    part = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.jpg"\r\n\r\n'
        + b"x" * 100_000
    )
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
    belongs = next(
        d for d in client.config["dependencies"] if [t[1] for t in d["targets"]] == ["upload"]
    )
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


def test_a_call_without_a_page_keeps_its_picture_for_its_answer(
    tiny_page: Any, short: None, tmp_path: Path
) -> None:
    _, address = tiny_page
    path = send(address, encode(photo(64, 64), "JPEG")).json()[0]
    event = httpx.post(f"{address}gradio_api/call/detect", json={"data": [{"path": path}]}).json()[
        "event_id"
    ]
    answer = httpx.get(f"{address}gradio_api/call/detect/{event}").text
    assert "event: complete" in answer
    assert until(lambda: STORE.sweep() or not Path(path).exists())
    late = httpx.post(f"{address}gradio_api/call/detect", json={"data": [{"path": path}]}).json()[
        "event_id"
    ]
    assert "no longer kept" in httpx.get(f"{address}gradio_api/call/detect/{late}").text
    (tmp_path / "x.jpg").write_bytes(encode(photo(64, 64), "JPEG"))
    assert Client(address, verbose=False).predict(
        handle_file(str(tmp_path / "x.jpg")), api_name="/provenance"
    )


@pytest.mark.parametrize(
    "name", ["..", ".", "???", "\0", "a" * 5000, "../../../x.jpg", "C:\\x.jpg", "\ud800"]
)
def test_a_file_may_have_any_name(tiny_app: str, uploads: Path, name: str) -> None:
    """And nothing of it lies anywhere but in a folder of its own."""
    before = set(uploads.glob("tmp*"))
    part = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\nx\r\n--b--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    body = part % name.encode("utf-8", "surrogatepass")
    answer = httpx.post(f"{tiny_app}gradio_api/upload", content=body, headers=headers)
    # of a name of 5,000 characters, Gradio says that it is too long
    assert answer.status_code in {200, 400, 413}
    assert set(uploads.glob("tmp*")) == before
    for path in answer.json() if answer.status_code == 200 else []:
        assert Path(path).parent.parent == uploads
        assert Path(path).read_bytes() == b"x"


def test_who_has_much_leaves_a_reserve_to_those_who_have_little(
    tiny_app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two addresses could keep 4 GB together, and nothing was left for anybody else."""
    kept = STORE.kept()[1]
    monkeypatch.setattr(store, "ALL", (100_000, kept + 500_000))
    monkeypatch.setattr(store, "RESERVE", (0, 400_000))
    monkeypatch.setattr(store, "LITTLE", 60_000)
    much, little = ({"X-Forwarded-For": f"192.0.2.{n}"} for n in (95, 96))
    assert send(tiny_app, b"x" * 50_000, **much).status_code == 200
    assert "as many pictures as it can" in send(tiny_app, b"x" * 60_000, **much).text
    assert send(tiny_app, b"x" * 50_000, **little).status_code == 200


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


def test_only_an_upload_that_is_there_is_read(folder: Path) -> None:
    with pytest.raises(gr.Error, match="no longer kept"):
        upload_path({"path": str(folder / "picture.jpg")})
    for other in ("/etc/passwd", "http://192.0.2.1/x.png", None, ["a"]):
        with pytest.raises(gr.Error, match="Send the picture as an uploaded file"):
            upload_path({"path": other})
    (folder.parent / "secret.png").touch()
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    for path in (
        folder / ".." / "secret.png",
        folder / "link.png",
        Path(f"{folder}-else") / "x.png",
    ):
        with pytest.raises(gr.Error):
            upload_path({"path": str(path)})


def test_drawings_are_lossless_and_each_has_a_folder_of_its_own(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    first, second = (save_png(Image.fromarray(pixels), "map") for _ in range(2))
    assert first != second
    assert Path(first).name == "map.png"
    assert Path(first).is_relative_to(folder)
    with Image.open(first) as picture:
        assert np.array_equal(picture, pixels)


JPEG = encode(photo(320, 240), "JPEG")
# as a browser sends what its user has shared
BY_MENU = {"Sec-Fetch-Site": "none", "Origin": "null"}


def share(app: str, content: bytes = JPEG, **options: Any) -> httpx.Response:
    return httpx.post(f"{app}share", files={"picture": ("secret-name.jpg", content)}, **options)


def test_a_shared_picture_is_given_out_once_and_as_it_was(tiny_app: str) -> None:
    answer = share(tiny_app, headers=BY_MENU)
    assert answer.status_code == 303, answer.text
    place = str(httpx.URL(tiny_app).join(answer.headers["location"].replace("?shared=", "shared/")))
    given, again = httpx.get(place), httpx.get(place)
    assert given.content == JPEG
    assert given.headers["content-disposition"] == "attachment"
    assert given.headers["x-content-type-options"] == "nosniff"
    assert (again.status_code, again.text) == (404, "The picture is no longer kept. Add it again.")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {**BY_MENU, "Host": "evil.example"},
    ],
)
def test_other_sites_cannot_share(tiny_app: str, headers: dict[str, str]) -> None:
    assert share(tiny_app, headers=headers).status_code in {403, 421}


def test_what_is_no_picture_is_not_kept_and_the_person_is_told(tiny_app: str) -> None:
    answer = share(
        tiny_app, b"<script>alert(1)</script>", headers=BY_MENU | {"Accept-Language": "de"}
    )
    assert answer.status_code == 415
    assert answer.headers["content-type"].startswith("text/html")
    assert '<html lang="de"' in answer.text
    assert "script" not in answer.text.replace("description", "")
    assert '<a href="./">' in answer.text
    two = httpx.post(
        f"{tiny_app}share", files=[("picture", JPEG), ("picture", JPEG)], headers=BY_MENU
    )
    assert (two.status_code, "one picture at a time" in two.text) == (400, True)
    address = httpx.post(
        f"{tiny_app}share", data={"picture": "https://example.org/x.jpg"}, headers=BY_MENU
    )
    assert address.status_code == 415
    assert httpx.post(f"{tiny_app}share", headers=BY_MENU, content=b"x").status_code == 415
    large = share(tiny_app, b"\xff\xd8\xff" + bytes(MAX_BYTES + 2**17), headers=BY_MENU)
    assert (large.status_code, "20 MB" in large.text) == (413, True)


def test_nothing_else_is_there(tiny_app: str) -> None:
    assert httpx.get(f"{tiny_app}shared/{'a' * 43}").status_code == 404
    assert httpx.get(f"{tiny_app}shared/..%2f..%2fetc%2fpasswd").status_code == 404
    assert httpx.get(f"{tiny_app}share").status_code == 404
    assert httpx.get(f"{tiny_app}icon-193.png").status_code == 404
    assert httpx.get(f"{tiny_app}icon-192.png").headers["content-type"] == "image/png"


@pytest.fixture
def kept() -> Iterator[tuple[Shares, TestClient]]:
    shares = Shares(life=0.3)
    with TestClient(Starlette(routes=webapp_routes(shares)), follow_redirects=False) as client:
        yield shares, client


def test_few_are_kept_and_none_for_long(kept: tuple[Shares, TestClient]) -> None:
    shares, client = kept
    statuses = [
        client.post("/share", files={"picture": JPEG}).status_code for _ in range(AN_ADDRESS + 1)
    ]
    assert statuses == [303] * AN_ADDRESS + [503]
    assert len(shares.kept) == AN_ADDRESS
    client.portal.call(asyncio.sleep, 0.5)  # type: ignore[union-attr]
    assert not shares.kept
    shares.kept |= {str(n): (f"192.0.2.{n % 2}", JPEG) for n in range(MOST - FREE)}
    # others still have room
    assert client.post("/share", files={"picture": JPEG}).status_code == 303
    assert client.post("/share", files={"picture": JPEG}).status_code == 503
    shares.kept |= {str(n): (f"192.0.2.{n}", JPEG) for n in range(MOST)}
    assert client.post("/share", files={"picture": JPEG}).status_code == 503
    shares.kept.clear()
    assert client.post("/share", files={"picture": b"x"}).status_code == 415
    assert client.post("/share", files={"picture": JPEG}).status_code == 303
