"""The Detect tab: its words, its stages, several visitors at once, parts, and name and note for the report."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from causalclip.evidence.examination import WholePicture, examine
from causalclip.evidence.headline import Step
from causalclip.report.document import save_reports
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo, spliced
from ui.detect import tab as tabs
from ui.detect.crop import CropRun, _by_sides
from ui.detect.tab import DetectTab, build_detect_tab, relabel
from ui.detect.words import SITES, steps_panel
from ui.fields import new_folder
from ui.server.storage import uploads as upload_folder
from ui.turns import take_turn

PICTURE = encode(spliced(), "PNG")


@pytest.fixture
def tab() -> DetectTab:
    with gr.Blocks():
        return build_detect_tab(tiny_detector, [])


@pytest.fixture
def uploaded(uploads: Path, answer: Any) -> dict[str, str]:
    answer("parts")
    return {"path": str(upload(uploads, PICTURE))}


def upload(uploads: Path, data: bytes) -> Path:
    path = uploads / "somebody" / "picture.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


# Words --------------------------------------------------------------------------------------------


def test_links_to_searches_carry_nothing() -> None:
    panel = steps_panel([Step("copies", "Look.")])
    links = re.findall(r"<a href='(.+?)' target='_blank' rel='noopener noreferrer'>", panel)
    assert links == list(SITES.values())
    assert not any("?" in link for link in links)


# One part that differs ----------------------------------------------------------------------------


def run(tab: DetectTab, uploaded: dict[str, str], whole: WholePicture | None = None) -> list[dict[Any, Any]]:
    turn = take_turn("detect")
    return [u for u in turn.shows(tab.run(turn, uploaded, whole)) if isinstance(u, dict)]


def test_it_is_not_looked_for_once_the_picture_is_not_wanted(
    tab: DetectTab, uploaded: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, looked = take_turn("detect"), []
    monkeypatch.setattr(tabs, "find_region", lambda *given: looked.append(given))
    for update in turn.shows(tab.run(turn, uploaded)):
        if isinstance(update, dict) and update.get(tab.causal):
            take_turn("detect")
    assert not looked


# Judging only a part ------------------------------------------------------------------------------


def crop_run(uploads: Path) -> tuple[CropRun, tuple[Any, ...]]:
    """What judges a part, and the picture that it is cut from."""

    def run(turn: Any, payload: Any, known: Any) -> Any:
        yield {"judged": payload, "known": known}

    path = upload(uploads, encode(photo(), "PNG"))
    tab = SimpleNamespace(picture="picture", status="status", cleared=lambda said: {"said": said}, run=run)
    part = CropRun(SimpleNamespace(cut="cut"), tab, _by_sides)  # type: ignore[arg-type]
    return part, (str(path), photo().shape[1], photo().shape[0], ())


def test_a_part_that_is_too_large_or_gone_is_refused_undecoded(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could judge its file, and 50 megapixels take 150 MB."""
    part, whole = crop_run(uploads)
    monkeypatch.setattr("ui.detect.crop.load_image", None)
    monkeypatch.setattr("ui.detect.crop.MAX_BYTES", 10)
    with pytest.raises(gr.Error, match="20 MB"):
        part.begin(None, whole, 0, 0, 100, 100)  # type: ignore[arg-type]
    Path(whole[0]).unlink()
    with pytest.raises(gr.Error, match="no longer kept"):
        part.begin(None, whole, 0, 0, 100, 100)  # type: ignore[arg-type]


# Name and note for the report ---------------------------------------------------------------------


def payload(path: object) -> dict[str, str]:
    return {"path": str(path)}


def test_what_is_typed_is_written_into_the_report_and_said(answer: Any) -> None:
    answer("label")
    html, plain = save_reports(examine(encode(photo(), "PNG"), tiny_detector()), new_folder(), "x")
    drawn, said, words = relabel(payload(html), payload(plain), "Ada <b>", "", "Europe/Paris")
    assert "Ada &lt;b&gt;" in Path(drawn).read_text(encoding="utf-8")
    assert json.loads(Path(said).read_text(encoding="utf-8"))["report"]["label"]["name"] == "Ada <b>"
    assert "The report holds “Ada &lt;b&gt;”" in words
    again = relabel(payload(drawn), payload(said), "Ada <b>", "", "Europe/Paris")
    assert all(update == gr.skip() for update in (*again, *relabel(None, None, "Ada", "", "")))


def test_an_upload_or_another_file_is_no_report_of_ours(answer: Any, tmp_path: Path) -> None:
    """It would be copied at each letter that is typed, as large as it is, and might be no report at all."""
    answer("label")
    files = [upload_folder() / "from-somebody" / name for name in ("x.html", "x.json")]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    for file in files:
        file.write_text("{")
    updates = relabel(payload(files[0]), payload(files[1]), "Ada", "", "")
    assert all(update == gr.skip() for update in updates)
    (tmp_path / "secret.json").write_text("{}")
    with pytest.raises(gr.Error):
        relabel(payload(tmp_path / "secret.json"), payload(tmp_path / "secret.json"), "Ada", "", "")


# Several visitors at once -------------------------------------------------------------------------
