"""The Detect tab: its map, its links, what is refused of parts, and name and note for the report."""

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from causalclip.evidence.examination import examine
from causalclip.evidence.headline import Step
from causalclip.evidence.words import NO_ANSWER
from causalclip.maps.overlay import prepare
from causalclip.report.document import save_reports
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.detect.crop import CropRun, _by_sides
from ui.detect.tab import relabel
from ui.detect.words import PLACES, SITES, layer, steps_panel
from ui.server.storage import new_folder
from ui.server.storage import uploads as upload_folder


def test_links_to_searches_carry_nothing() -> None:
    panel = steps_panel([Step("copies", "Look.")])
    links = re.findall(r"<a href='(.+?)' target='_blank' rel='noopener noreferrer'>", panel)
    assert links == list(SITES.values())
    assert not any("?" in link for link in links)


def test_a_part_that_is_too_large_or_gone_is_refused_undecoded(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could judge its file, and 50 megapixels take 150 MB."""
    path = uploads / "somebody" / "picture.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode(photo(), "PNG"))
    part, whole = CropRun(SimpleNamespace(), SimpleNamespace(), _by_sides), (str(path), 128, 96, ())  # type: ignore[arg-type]
    monkeypatch.setattr("ui.detect.crop.load_image", None)
    monkeypatch.setattr("ui.detect.crop.MAX_BYTES", 10)
    with pytest.raises(gr.Error, match="20 MB"):
        part.begin(None, whole, 0, 0, 100, 100)  # type: ignore[arg-type]
    path.unlink()
    with pytest.raises(gr.Error, match="no longer kept"):
        part.begin(None, whole, 0, 0, 100, 100)  # type: ignore[arg-type]


def test_the_layer_says_what_each_place_adds_and_frames_marks() -> None:
    pixels = photo(160, 120)
    detection = tiny_detector().predict(pixels)
    html = layer(prepare(pixels, detection, boxes=((0.5, 0.25, 0.75, 0.5),)))
    said = json.loads(unescape(re.findall(r"data-parts='(.+?)'", html)[0]))
    assert [line.partition(":")[0] for line in said] == list(PLACES)
    assert "left:50.0%;top:25.0%;width:25.0%;height:25.0%" in html
    assert "data:image/webp" in html
    unanswered = layer(prepare(pixels, replace(detection, band=NO_ANSWER), boxes=((0.5, 0.25, 0.75, 0.5),)))
    assert "cc-box" in unanswered  # a mark is shown whatever the pixels say
    assert "data:image" not in unanswered
    assert "cc-legend" not in unanswered


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
