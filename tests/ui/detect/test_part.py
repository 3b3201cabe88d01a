"""Judging a part decodes no more pictures at once than anything else does, though its first step is not queued."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext

from tests.conftest import HANGS
from tests.makers.pictures import encode, photo
from ui.detect.part import _by_sides, _judged
from ui.server.gate import PICTURES, Priority


def test_a_part_is_cut_once_a_picture_that_is_decoded_has_left(uploads: Path) -> None:
    path = uploads / "part" / "picture.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode(photo(), "PNG"))
    tab = SimpleNamespace(picture="picture", cleared=lambda said: {"said": said})
    begin = _judged(SimpleNamespace(cut="cut", known="known"), tab, _by_sides)  # type: ignore[arg-type]
    found: list[dict[Any, Any]] = []

    def judge() -> None:
        LocalContext.request.set(SimpleNamespace(session_hash="part"))  # type: ignore[arg-type]
        found.append(begin(None, (str(path), 0, 0), 0, 0, 100, 100))

    waiting = threading.Thread(target=judge)
    with PICTURES.enter(Priority.BATCH), PICTURES.enter(Priority.BATCH):
        waiting.start()
        waiting.join(0.5)
        assert not found
    waiting.join(HANGS)
    assert Path(found[0]["cut"]).is_file()
    assert found[0]["known"].format == "PNG"


def test_a_part_whose_file_would_be_too_large_is_not_written(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could judge it, and of 50 megapixels it has 150 MB."""
    path = uploads / "large" / "picture.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode(photo(), "PNG"))
    monkeypatch.setattr("ui.detect.part.MAX_BYTES", 10)
    begin = _judged(SimpleNamespace(cut="cut"), SimpleNamespace(), _by_sides)  # type: ignore[arg-type]
    with pytest.raises(gr.Error, match="20 MB"):
        begin(None, (str(path), 0, 0), 0, 0, 100, 100)  # type: ignore[arg-type]
