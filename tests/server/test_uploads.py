"""Where files of visitors lie, who loses them for room, and when they go (SECURITY.md's promises 2,
3 and 6)."""

import os
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ui.server import uploads
from ui.server.uploads import add, file_in, is_own, is_upload, new_folder, sweep


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


def kept(owner: str, size: int = 10, name: str = "x.jpg") -> Path:
    return Path(add(BytesIO(bytes(size)), name, owner, size))


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


def test_a_served_path_is_known_by_its_words_alone(folder: Path) -> None:
    """Of an upload, of what was made, of an example's copy; it need not exist."""
    sent = f"{folder}/sent-{'a' * 16}-{'1' * 19}-{'b' * 32}"
    for path in (f"{sent}/x.jpg", str(new_folder() / "a b.png"), f"{folder}/{'c' * 64}/x.webp"):
        assert is_upload(path)
    for path in (
        f"{sent}/..",
        f"{sent}/.",
        f"{sent}/",
        sent,
        f"{sent}/../x.jpg",
        f"{sent}/a/b.jpg",
        f"{sent}/a\\..\\b.jpg",
        f"{sent}/x.jpg\0",
        f"{sent}/{'x' * 256}",
        f"/{sent}/x.jpg",
        f"{folder}/../uploads/{sent.rpartition('/')[2]}/x.jpg",
        f"{folder}/x.jpg",
        f"{folder}/{'a/' * 55}x.jpg",
        f"{folder}-other/{'c' * 64}/x.jpg",
        "/etc/passwd",
        "//192.0.2.1/x",
        "",
    ):
        assert not is_upload(path), path


def test_only_ones_own_uploads_are_deleted_at_once(folder: Path, answer: Any) -> None:
    mine, others = kept("mine"), kept("others")
    example = folder / ("c" * 64) / "x.jpg"
    example.parent.mkdir()
    example.touch()
    answer("page", "mine")
    made = new_folder() / "report.html"
    made.touch()
    uploads.delete(map(str, (mine, others, example, made)))
    assert [path.exists() for path in (mine, others, example, made)] == [False, True, True, True]


def test_what_is_made_of_an_upload_goes_with_it(folder: Path) -> None:
    """Also what is made of that, such as a report with a name."""
    older = kept("a")
    time.sleep(0.5)
    newer = kept("a")
    (report := new_folder(str(newer), str(older)) / "report.html").touch()
    (named := new_folder(str(report)) / "report.html").touch()
    (alone := new_folder() / "report.html").touch()
    sweep(folder, older_than=0.4)
    left = [path.exists() for path in (older, report, named, newer, alone)]
    assert left == [False, False, False, True, True]


def test_what_the_app_made_is_told_from_uploads(folder: Path) -> None:
    made = new_folder() / "report.html"
    made.write_text("x")
    assert is_own(str(made))
    assert not is_own(str(kept("a")))


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
