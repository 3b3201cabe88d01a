"""A part is cut out in the queue, and refused before anything is decoded."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext

from tests.conftest import HANGS
from tests.makers.pictures import encode, photo
from ui.detect.part import PartRun, _by_sides
from ui.server.queue import MODEL, Priority


def section(uploads: Path) -> tuple[PartRun, tuple[Any, ...]]:
    """What judges a part, and the picture that it is cut from."""
    path = uploads / "part" / "picture.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode(photo(), "PNG"))
    tab = SimpleNamespace(picture="picture", status="status", cleared=lambda said: {"said": said}, run=run)
    part = PartRun(SimpleNamespace(cut="cut"), tab, _by_sides)  # type: ignore[arg-type]
    return part, (str(path), photo().shape[1], photo().shape[0], ())


def run(turn: Any, payload: Any, known: Any) -> Any:
    yield {"judged": payload, "known": known}


def test_a_part_is_cut_once_the_model_is_free(uploads: Path) -> None:
    part, whole = section(uploads)
    found: dict[Any, Any] = {}

    def judge() -> None:
        LocalContext.request.set(SimpleNamespace(session_hash="part", client=None))  # type: ignore[arg-type]
        for update in part.run(SimpleNamespace(check=lambda: None), whole, 0, 0, 100, 100):  # type: ignore[arg-type]
            found.update(update)

    waiting = threading.Thread(target=judge)
    with MODEL.enter(Priority.BATCH):
        waiting.start()
        waiting.join(0.7)
        assert "cut" not in found
    waiting.join(HANGS)
    assert Path(found["cut"]).is_file()
    assert found["judged"] == {"path": found["cut"]}
    assert found["known"].format == "PNG"


def test_a_part_that_would_be_too_large_is_refused_undecoded(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could judge its file, and 50 megapixels take 150 MB."""
    part, whole = section(uploads)
    monkeypatch.setattr("ui.detect.part.MAX_BYTES", 10)
    monkeypatch.setattr("ui.detect.part.load_image", None)
    with pytest.raises(gr.Error, match="20 MB"):
        part.begin(None, whole, 0, 0, 100, 100)  # type: ignore[arg-type]


def test_a_part_of_a_deleted_picture_is_a_sentence(uploads: Path) -> None:
    part, whole = section(uploads)
    Path(whole[0]).unlink()
    with pytest.raises(gr.Error, match="no longer kept"):
        part.begin(None, whole, 0, 0, 100, 100)  # type: ignore[arg-type]
