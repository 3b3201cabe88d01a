"""The Detect tab: its words, its stages, several visitors at once, parts, and name and note for the report."""

import dataclasses
import json
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.context import LocalContext

from causalclip.batch import as_csv, examine_all
from causalclip.clip.weights import ASSETS
from causalclip.detector import Detection, ViewAttribution
from causalclip.evidence.examination import Examination, WholePicture, examine, read_claims
from causalclip.evidence.headline import Step
from causalclip.evidence.regions import REGION_ANSWERS, REGION_DIFFERS
from causalclip.images.loading import load_image
from causalclip.maps.overlay import draw_map
from causalclip.report.document import as_html, as_json, draw_maps, save_reports
from causalclip.report.templates import render
from tests.causalclip.evidence.test_examination import marked
from tests.conftest import HANGS
from tests.makers.detectors import tiny_detector
from tests.makers.keeping import until
from tests.makers.pictures import encode, photo, spliced
from ui.batch.table import draw_table
from ui.detect import tab as tabs
from ui.detect.crop import CropRun, _by_sides
from ui.detect.tab import SAMPLE, DetectTab, build_detect_tab, relabel
from ui.detect.words import SITES, facts, legend, map_words, regions, steps_panel
from ui.endpoints import Endpoints
from ui.fields import new_folder
from ui.server.queue import DECODED, MODEL, Priority
from ui.server.storage import uploads as upload_folder
from ui.turns import take_turn

PICTURE = encode(spliced(), "PNG")
VISITORS = 4


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(160, 120))


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


def numbers(html: str) -> list[float]:
    found = re.findall(r"<td><bdi dir='ltr'>([+\N{MINUS SIGN}][\d.]+)</bdi></td>", html)
    return [float(n.replace("\N{MINUS SIGN}", "-")) for n in found]


def one_patch(row: int, column: int, value: float, *, rest: float = 0.0) -> Detection:
    """A square picture whose evidence lies in one of 3 x 3 patches."""
    patches = np.zeros((3, 3), np.float32)
    patches[row, column] = value
    mask = np.ones(6, np.float32)
    view = ViewAttribution("whole", (0, 0, 300, 300), patches, -patches, rest, mask, np.zeros(6, np.float32), 0.0)
    parts = (("cls:1", 6),)
    return Detection(
        0.5, value + rest, "inconclusive", 0.2, 0.8, 300, 300, (view,), 0.0, (), parts, "m", "r", "float32", 0.1
    )


def test_the_table_adds_up_to_the_score(detection: Detection) -> None:
    *terms, total = numbers(regions(detection))
    assert sum(terms) == pytest.approx(total, abs=0.01 * len(terms))
    assert total == pytest.approx(detection.logit, abs=0.006)


@pytest.mark.parametrize(
    ("row", "column", "place"), [(0, 0, "top left"), (2, 2, "bottom right"), (1, 0, "middle left")]
)
@pytest.mark.parametrize(("value", "side"), [(1.0, "generated"), (-1.0, "not generated")])
def test_places_are_where_they_are(row: int, column: int, place: str, value: float, side: str) -> None:
    found = one_patch(row, column, value)
    assert map_words(found).endswith(f"The strongest part is {place}, which pushes towards {side}.")
    assert re.search(rf"<th scope='row'>{place}</th><td>{side}</td>", regions(found))
    left, top = map(int, re.findall(r"map is (\d+) % from the left and (\d+) % from the top", regions(found))[0])
    assert (left * 2.99 // 100, top * 2.99 // 100) == (column, row)


def test_a_map_that_disagrees_with_the_score_is_said() -> None:
    assert "as the score does" in regions(one_patch(0, 0, 1.0))
    assert "point different ways" in regions(one_patch(0, 0, 1.0, rest=-3.0))
    assert "nearly cancel out" in regions(one_patch(0, 0, 0.01, rest=-3.0))
    assert re.search(r"AUC of 0\.\d\d", legend())


def test_facts_say_what_was_read_and_seen(detection: Detection) -> None:
    loaded = load_image(encode(photo(160, 120), "PNG"))
    assert loaded.sha256 in facts(detection, loaded)
    assert "close up, in 4 windows of 32 × 32 pixels" in facts(detection, loaded)
    assert "<b>" not in facts(dataclasses.replace(detection, model="<b>x</b>"), loaded)
    assert "of the picture was not seen (hatched on the map)" in facts(tiny_detector().predict(photo(700, 90)), loaded)


def test_links_to_searches_carry_nothing() -> None:
    panel = steps_panel([Step("copies", "Look.")])
    links = re.findall(r"<a href='(.+?)' target='_blank' rel='noopener noreferrer'>", panel)
    assert links == list(SITES.values())
    assert not any("?" in link for link in links)


def test_the_sample_has_the_shipped_thresholds() -> None:
    calibration = json.loads((ASSETS / "detector" / "config.json").read_text())["calibration"]
    assert pytest.approx((calibration["low"], calibration["high"]), abs=0.01) == SAMPLE


# One part that differs ----------------------------------------------------------------------------


def run(tab: DetectTab, uploaded: dict[str, str], whole: WholePicture | None = None) -> list[dict[Any, Any]]:
    turn = take_turn("detect")
    return [u for u in turn.shows(tab.run(turn, uploaded, whole)) if isinstance(u, dict)]


def test_a_part_that_differs_is_shown_before_any_copy_is_judged(tab: DetectTab, uploaded: dict[str, str]) -> None:
    updates = run(tab, uploaded)
    first = next(i for i, u in enumerate(updates) if u.get(tab.differs))
    assert "<img alt='The picture with an outline around the part" in updates[first][tab.differs]
    assert REGION_DIFFERS in updates[first][tab.status]
    before = [u[tab.status] for u in updates[:first] if tab.status in u]
    assert "Being looked for now: whether one part differs" in before[-1]
    assert any("copies of the picture are judged" in str(u.get(tab.checking)) for u in updates[first:])
    assert REGION_DIFFERS in [u[tab.status] for u in updates if tab.status in u][-1]
    assert tab.cleared()[tab.differs] == ""


def test_it_is_not_looked_for_once_the_picture_is_not_wanted(
    tab: DetectTab, uploaded: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, looked = take_turn("detect"), []
    monkeypatch.setattr(tabs, "find_region", lambda *given: looked.append(given))
    for update in turn.shows(tab.run(turn, uploaded)):
        if isinstance(update, dict) and update.get(tab.causal):
            take_turn("detect")
    assert not looked


def test_page_report_endpoint_and_batch_say_the_same_of_it(uploaded: dict[str, str]) -> None:
    x: Examination = examine(PICTURE, tiny_detector(), stability=False)
    sentence, said = x.parts.sentence, x.parts.as_dict()
    assert said["answer"] == "found"
    assert sentence in render("region", found=x.parts, checking=False)
    assert f"<b>{sentence}</b>" in as_html(x, maps=draw_maps(x))
    sent = Endpoints(tiny_detector).detect(uploaded)["parts"]  # type: ignore[arg-type]
    for other in (sent, json.loads(as_json(x))["parts"]):
        assert {k: v for k, v in other.items() if k != "seconds"} == {k: v for k, v in said.items() if k != "seconds"}
    files: list[Any] = [("pasted.png", PICTURE), ("small.png", encode(photo(), "PNG"))]
    early, _, late, small = (one.row for one in examine_all(lambda: files, tiny_detector()))
    assert (early.part, late.part, small.part) == (
        "Being checked",
        REGION_ANSWERS["found"],
        REGION_ANSWERS["cannot know"],
    )
    assert "One part differs." in draw_table([late])
    assert REGION_ANSWERS["found"] in as_csv([late])


# Judging only a part ------------------------------------------------------------------------------


def test_a_part_is_shown_with_what_the_file_of_its_picture_says(tab: DetectTab, uploaded: dict[str, str]) -> None:
    data = marked(35)
    updates = run(tab, uploaded, WholePicture.of(load_image(data), read_claims(data)))
    last = {component: value for update in updates for component, value in update.items()}
    assert "The file says it was generated" in last[tab.status]
    assert "heavily compressed" in last[tab.status]
    assert "This is a part that was cut out of a picture" in last[tab.provenance]


def crop_run(uploads: Path) -> tuple[CropRun, tuple[Any, ...]]:
    """What judges a part, and the picture that it is cut from."""

    def run(turn: Any, payload: Any, known: Any) -> Any:
        yield {"judged": payload, "known": known}

    path = upload(uploads, encode(photo(), "PNG"))
    tab = SimpleNamespace(picture="picture", status="status", cleared=lambda said: {"said": said}, run=run)
    part = CropRun(SimpleNamespace(cut="cut"), tab, _by_sides)  # type: ignore[arg-type]
    return part, (str(path), photo().shape[1], photo().shape[0], ())


def test_a_part_is_cut_once_few_pictures_are_decoded(uploads: Path) -> None:
    part, whole = crop_run(uploads)
    found: dict[Any, Any] = {}

    def judge() -> None:
        LocalContext.request.set(SimpleNamespace(session_hash="part", client=None))  # type: ignore[arg-type]
        for update in part.run(SimpleNamespace(check=lambda: None), whole, 0, 0, 100, 100):  # type: ignore[arg-type]
            found.update(update)

    waiting = threading.Thread(target=judge)
    with DECODED.enter(Priority.BATCH), DECODED.enter(Priority.BATCH):
        waiting.start()
        waiting.join(0.7)
        assert "cut" not in found
    waiting.join(HANGS)
    assert found["judged"] == {"path": found["cut"]}
    assert found["known"].format == "PNG"


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


class Slow:
    """A detector that takes its time and notes what it is asked for, and whether it was asked twice at once."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.most = self.now = 0
        self._tiny = tiny_detector()

    def predict(self, pixels: np.ndarray) -> Any:
        if self.asked.count("verdict") < VISITORS - 1:  # one stays until the next one waits, however slow the machine
            assert until(lambda: any(ticket.priority == Priority.VERDICT for ticket in MODEL._waiting))
        return self._look("verdict", 0.5, lambda: self._tiny.predict(pixels))

    def judge_all(self, pictures: list[np.ndarray], **options: Any) -> Any:
        return self._look("copy", 0.01, lambda: self._tiny.judge_all(pictures, **options), len(pictures))

    def _look(self, what: str, seconds: float, look: Any, count: int = 1) -> Any:
        self.asked.extend([what] * count)
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(seconds)
        self.now -= 1
        return look()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tiny, name)


def test_first_verdicts_of_four_visitors_come_before_any_map_and_stability_check(
    uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Slow()

    def drawn(*args: Any, **options: Any) -> Any:
        detector.asked.append("map")
        return draw_map(*args, **options)

    monkeypatch.setattr("ui.detect.tab.draw_map", drawn)
    with gr.Blocks():
        tab = build_detect_tab(lambda: detector, [])  # type: ignore[arg-type, return-value]
    path, said = upload(uploads, encode(photo(96, 72), "JPEG")), dict[int, list[str]]()
    together = threading.Barrier(VISITORS)

    def visit(number: int) -> None:
        LocalContext.request.set(SimpleNamespace(session_hash=f"visitor-{number}"))  # type: ignore[arg-type]
        turn = take_turn("detect")
        together.wait(HANGS)
        said[number] = [u[tab.status] for u in turn.shows(tab.run(turn, {"path": str(path)})) if tab.status in u]

    threads = [threading.Thread(target=visit, args=(i,)) for i in range(VISITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * HANGS)
    assert detector.asked[:VISITORS] == ["verdict"] * VISITORS
    assert detector.asked[VISITORS] == "map"
    assert detector.asked.count("map") == 2 * VISITORS
    assert detector.asked.count("copy") == 9 * VISITORS
    assert detector.most == 1
    assert any("before you" in words for statuses in said.values() for words in statuses)
    assert all("Thresholds" in statuses[-1] for statuses in said.values())
