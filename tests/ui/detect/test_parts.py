"""A part that differs is on the page before the check of stability, said as at every other door, and ends with it."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from causalclip.evidence.examination import Examination, WholePicture, examine, read_claims
from causalclip.evidence.regions import REGION_ANSWERS, REGION_DIFFERS
from causalclip.examine.batch import Done, as_csv, examine_all
from causalclip.pictures.loading import load_image
from causalclip.report.card import part
from causalclip.report.document import as_html, as_json, draw_maps
from tests.causalclip.evidence.test_whole import marked
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo, spliced
from ui.batch.table import draw_table
from ui.detect import tab as tabs
from ui.detect.endpoints import Endpoints
from ui.detect.tab import DetectTab, build_tab
from ui.server.turns import take_turn

PICTURE = encode(spliced(), "PNG")


@pytest.fixture(scope="module")
def x() -> Examination:
    return examine(PICTURE, tiny_detector(), stability=False)


@pytest.fixture
def tab() -> DetectTab:
    with gr.Blocks():
        return build_tab(tiny_detector, [])


@pytest.fixture
def uploaded(uploads: Path, answer: Any) -> dict[str, str]:
    path = uploads / "parts" / "picture.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PICTURE)
    answer("parts")
    return {"path": str(path)}


def test_it_is_shown_with_its_outline_before_any_copy_is_judged(tab: DetectTab, uploaded: dict[str, str]) -> None:
    turn = take_turn("detect")
    updates = [u for u in turn.shows(tab.run(turn, uploaded)) if isinstance(u, dict)]
    first = next(i for i, u in enumerate(updates) if u.get(tab.differs))
    assert "<img alt='The picture with an outline around the part" in updates[first][tab.differs]
    assert REGION_DIFFERS in updates[first][tab.status]
    assert "Being checked now" in updates[first][tab.status]
    before = [u[tab.status] for u in updates[:first] if tab.status in u]
    assert "Being looked for now: whether one part differs" in before[-1]
    assert any("copies of the picture are judged" in str(u.get(tab.checking)) for u in updates[first:])
    assert REGION_DIFFERS in [u[tab.status] for u in updates if tab.status in u][-1]


def test_a_part_is_shown_with_what_the_file_of_its_picture_says(tab: DetectTab, uploaded: dict[str, str]) -> None:
    data = marked(35)
    whole, turn = WholePicture.of(load_image(data), read_claims(data)), take_turn("detect")
    updates = [u for u in turn.shows(tab.run(turn, uploaded, whole)) if isinstance(u, dict)]
    last = {component: value for update in updates for component, value in update.items()}
    assert "The file says it was generated" in last[tab.status]
    assert "compressed too much" in last[tab.status]
    assert "heavily compressed" in last[tab.status]
    assert "This is a part that was cut out of a picture" in last[tab.provenance]
    assert "512 × 512 pixels, JPEG" in last[tab.facts]


def test_nothing_of_it_stays_beside_the_next_picture(tab: DetectTab) -> None:
    assert tab.cleared()[tab.differs] == ""


def test_it_is_not_looked_for_once_the_picture_is_not_wanted(
    tab: DetectTab, uploaded: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, looked = take_turn("detect"), []
    monkeypatch.setattr(tabs, "find_parts", lambda *given: looked.append(given))
    for update in turn.shows(tab.run(turn, uploaded)):
        if isinstance(update, dict) and tab.causal in update and update[tab.causal]:
            take_turn("detect")
    assert not looked


def test_every_door_says_the_same(x: Examination, uploaded: dict[str, str]) -> None:
    sentence, said = x.parts.sentence, x.parts.as_dict()
    assert said["answer"] == "found"
    assert sentence in part(x.parts)
    page = as_html(x, maps=draw_maps(x))
    assert f"<b>{sentence}</b>" in page
    assert "The picture with an outline around the part" in page
    sent = Endpoints(tiny_detector).detect(uploaded)["parts"]  # type: ignore[arg-type]
    report = json.loads(as_json(x))["parts"]
    for other in (sent, report):
        assert {k: v for k, v in other.items() if k != "seconds"} == {k: v for k, v in said.items() if k != "seconds"}
    assert f"{REGION_DIFFERS}." in x.quote


def test_a_batch_says_it_with_stability_and_in_its_table(x: Examination) -> None:
    files: list[Any] = [("pasted.png", PICTURE), ("small.png", encode(photo(), "PNG"))]
    done: list[Done] = list(examine_all(lambda: files, tiny_detector()))
    early, _, late, small = (one.row for one in done)
    assert early.part == "Being checked"
    assert (late.part, small.part) == (REGION_ANSWERS["found"], REGION_ANSWERS["cannot know"])
    assert late.beside.startswith("One part differs.")
    assert "One part differs." in draw_table([late])
    assert "Does a part differ?" in as_csv([late])
    assert REGION_ANSWERS["found"] in as_csv([late])
