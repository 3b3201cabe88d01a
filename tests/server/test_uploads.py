"""Where files of visitors lie, who loses them for room, and when they go."""

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from ui.server import uploads
from ui.server.senders import Refused
from ui.server.uploads import file_in, is_own, new_folder, store, sweep


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


def kept(owner: str, size: int = 10, name: str = "x.jpg") -> Path:
    return Path(store(BytesIO(bytes(size)), name, owner, size))


def test_equal_files_lie_apart_and_names_lead_nowhere(folder: Path) -> None:
    first, second = kept("a"), kept("a")
    assert first.parent != second.parent
    for name in (
        "../../x.jpg",
        "/etc/passwd",
        "..",
        "",
        "a/b\\c\0.jpg",
        "\N{RIGHT-TO-LEFT OVERRIDE}x",
        "\N{CJK UNIFIED IDEOGRAPH-20000}" * 100,
    ):
        assert kept("a", name=name).parents[1] == folder
    with pytest.raises(ValueError, match="no name of a file"):
        file_in(folder, "../x")


def test_what_the_app_made_is_told_from_uploads(folder: Path) -> None:
    made = new_folder() / "report.html"
    made.write_text("x")
    assert is_own(str(made))
    assert not is_own(str(kept("a")))


FORM = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n'


def form(address: str, more: asyncio.Event | None = None) -> Request:
    """A form of 500 bytes and an end; with `more`, that end is still to come."""

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        if more:
            await more.wait()
        return {"type": "http.request", "body": b"\r\n--b--\r\n", "more_body": False}

    pieces = [FORM + bytes(500)]
    kind = (b"content-type", b"multipart/form-data; boundary=b")
    return Request({"type": "http", "client": (address, 1), "headers": [kind]}, receive)


def test_forms_that_are_still_coming_have_their_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the disk they are before they are whole."""
    monkeypatch.setattr(uploads, "EACH", 1000)
    monkeypatch.setattr(uploads, "ALL", 1500)

    async def told(address: str) -> int:
        try:
            return (await uploads.upload(form(address))).status_code
        except Refused as refused:
            return refused.status

    async def crowd() -> None:
        more = asyncio.Event()
        slow = [asyncio.create_task(uploads.upload(form(name, more))) for name in "ab"]
        await asyncio.sleep(0.2)
        assert [await told(name) for name in "ac"] == [429, 503]
        more.set()
        await asyncio.gather(*slow)
        assert [await told(name) for name in "ac"] == [200, 200]

    with ThreadPoolExecutor(1) as pool:  # a browser's test may have left a loop in this thread
        pool.submit(asyncio.run, crowd()).result()


def test_a_page_takes_its_files_with_it_and_no_others(folder: Path) -> None:
    mine, shared, other = kept("a"), kept("a"), kept("a")
    uploads.use("first", [str(mine), str(shared)])
    uploads.use("second", [str(shared), str(other)])
    uploads.close("first")
    assert [path.exists() for path in (mine, shared, other)] == [False, True, True]
    uploads.close("second")
    assert not any(path.exists() for path in (mine, shared, other))


def test_what_is_old_goes_at_any_depth_and_links_are_not_followed(tmp_path: Path) -> None:
    room, target = tmp_path / "room", tmp_path / "target"
    for path in (room / "a" / "b" / "old.png", room / "spare" / "old.png", target / "old.png"):
        path.parent.mkdir(parents=True)
        path.touch()
    (room / "link").symlink_to(target)
    time.sleep(0.3)
    (room / "new.png").touch()
    sweep(room, older_than=0.2, spare=room / "spare")
    for _ in range(2):  # a folder is as new as its last deletion
        time.sleep(0.3)
        sweep(room, older_than=0.2, spare=room / "spare")
    assert not (room / "a").exists()
    assert not os.path.lexists(room / "link")
    assert (room / "spare" / "old.png").exists()
    assert (target / "old.png").exists()
