"""Uploads over HTTP: how much is taken, where it lies, and what stays of one that broke off."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from gradio_client import Client, handle_file

from causalclip.images.formats import MAX_BYTES
from tests.conftest import HANGS
from tests.makers.keeping import until
from tests.makers.pictures import encode, photo
from tests.ui.asking import opened
from ui.server import storage as store
from ui.server import uploads as door
from ui.server.storage import LOOSE, STORE, owner_of


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


def test_fifty_files_are_taken_and_one_more_is_not(tiny_app: str, uploads: Path) -> None:
    assert len(send(tiny_app, *[b"x"] * 50).json()) == 50
    before = len(arrived(uploads))
    refused = send(tiny_app, *[b"x"] * 51)
    assert refused.status_code in {400, 413}
    assert "Maximum number of files is 50" in refused.text
    assert len(arrived(uploads)) == before


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
    mine = owner_of("127.0.0.1")
    kept = STORE.sum({"A_CLIENT": mine + LOOSE, "AN_ADDRESS": mine, "ALL": ""}.get(limit, "nobody"))
    size = kept.size + 200_000
    monkeypatch.setattr(door, limit, size if limit == "A_REQUEST" else (kept.files + 1000, size))
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
    assert set(arrived(uploads)) == before
    assert send(tiny_app, b"x" * 1000).status_code == 200


def test_a_connection_that_drops_in_mid_upload_leaves_nothing(tiny_app: str, uploads: Path) -> None:
    place, before = urlsplit(tiny_app), set(arrived(uploads))
    mine, kept = owner_of("127.0.0.1"), STORE.sum(owner_of("127.0.0.1")).size
    head = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n"
    head += b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.jpg"\r\n\r\n' + b"x" * 100_000
    for _ in range(5):
        with socket.create_connection((place.hostname, place.port)) as connection:
            connection.sendall(head + part)
            assert until(lambda: STORE.sum(mine).size >= kept + 999_999)
        assert until(lambda: STORE.sum(mine).size <= kept)
    assert set(arrived(uploads)) <= before


def test_one_that_was_chosen_and_never_run_goes(tiny_page: Any, short: None) -> None:
    """It stays while the page is open, which says that it has it; not a second longer."""
    _, address = tiny_page
    client = Client(address, verbose=False)
    belongs = next(d["id"] for d in client.config["dependencies"] if [t[1] for t in d["targets"]] == ["upload"])
    mine, stray = (Path(send(address, b"x", Origin=address[:-1]).json()[0]) for _ in range(2))
    body = {"data": [{"path": str(mine)}], "fn_index": belongs, "session_hash": client.session_hash}
    assert httpx.post(f"{address}gradio_api/run/predict", json=body).status_code == 200
    time.sleep(1.2)
    STORE.sweep()
    assert mine.exists()
    assert not stray.exists()
    client.close()
    assert until(lambda: STORE.sweep() or not mine.exists())


def test_one_whose_page_is_closed_while_its_run_waits_goes(tiny_page: Any, short: None) -> None:
    page, address = tiny_page
    path = Path(send(address, encode(photo(64, 64), "JPEG")).json()[0])
    detect = next(i for i, fn in page.fns.items() if fn.api_name == "detect")
    body = {"data": [{"path": str(path)}], "fn_index": detect, "session_hash": "closed-while-waiting"}
    with opened(address, "closed-while-waiting") as http:
        assert http.post("gradio_api/queue/join", json=body).status_code == 200
        assert path.exists()
    assert until(lambda: not path.exists())


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    """What was sent here does not count against what other tests send."""
    yield
    STORE._delete([name for name, kept in STORE._uploads.items() if not kept.pages.clear()])


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


def multipart(size: int, name: str = "files") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="x.jpg"\r\n\r\n' % name.encode()
    return head + b"x" * size + b"\r\n--b--\r\n"


def test_six_that_race_do_not_get_past_the_quota(tiny_app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunked, so that none says how much will come; all are open before the first ends."""
    owner = owner_of("192.0.2.92")
    monkeypatch.setattr(door, "A_CLIENT", (2000, 500_000))
    started = threading.Barrier(6)

    def slowly() -> Iterator[bytes]:
        body = multipart(170_000)
        yield body[:1000]
        started.wait(HANGS)
        yield from (body[i : i + 10_000] for i in range(1000, len(body), 10_000))

    def post(_: int) -> int:
        headers = {"Content-Type": "multipart/form-data; boundary=b", "X-Forwarded-For": "192.0.2.92"}
        return httpx.post(f"{tiny_app}gradio_api/upload", content=slowly(), headers=headers).status_code

    with ThreadPoolExecutor(6) as pool:
        answers = Counter(pool.map(post, range(6)))
    assert answers[200] in {1, 2}
    assert answers[200] + answers[413] == 6
    assert until(lambda: STORE.sum(owner).files == answers[200])  # what was reserved is given back
    assert STORE.sum(owner).size <= 500_000


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


def test_no_honest_upload_fails_while_files_are_deleted(tiny_app: str, short: None) -> None:
    over = threading.Event()

    def delete() -> None:
        while not over.is_set():
            STORE.sweep()

    with ThreadPoolExecutor(5) as pool:
        sweeping = pool.submit(delete)
        pages_own = {"Origin": tiny_app[:-1]}
        answers = list(pool.map(lambda i: send(tiny_app, *[b"x"] * 10, **pages_own).status_code, range(60)))
        over.set()
        sweeping.result()
    assert set(answers) == {200}


def test_a_long_text_is_not_kept_in_memory(tiny_app: str) -> None:
    """What is no file is refused before it has come to its end."""
    place = urlsplit(tiny_app)
    head = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n"
    head += b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    begun = b'--b\r\nContent-Disposition: form-data; name="t"\r\n\r\n' + b"x" * 5000
    with socket.create_connection((place.hostname, place.port), timeout=HANGS) as connection:
        connection.sendall(head + begun)
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == 400
        assert b"maximum size of 4KB" in answer.read()


def test_a_file_that_is_too_large_gets_a_sentence_and_leaves_nothing(tiny_app: str, uploads: Path) -> None:
    before = set(arrived(uploads))
    answer = send(tiny_app, b"x", b"x" * (MAX_BYTES + 1))
    assert answer.status_code == 413
    assert "20 MB" in answer.text
    assert set(arrived(uploads)) == before


def test_who_has_much_leaves_a_reserve_to_those_who_have_little(tiny_app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two addresses could keep 4 GB together, and nothing was left for anybody else."""
    kept = STORE.sum().size
    monkeypatch.setattr(door, "ALL", (100_000, kept + 500_000))
    monkeypatch.setattr(door, "RESERVE", (0, 400_000))
    monkeypatch.setattr(door, "LITTLE", 60_000)
    much, little = ({"X-Forwarded-For": f"192.0.2.{n}"} for n in (95, 96))
    assert send(tiny_app, b"x" * 50_000, **much).status_code == 200
    assert "as many pictures as it can" in send(tiny_app, b"x" * 60_000, **much).text
    assert send(tiny_app, b"x" * 50_000, **little).status_code == 200
