"""The Check tab: map, links, parts, name and note for the report; its examples."""

import hashlib
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from causalclip.detector import Detector
from causalclip.examination.answer import Step
from causalclip.examination.cautions import Caution
from causalclip.examination.headline import make_headline
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.owners import OWNERS, services
from causalclip.examination.result import Stage
from causalclip.examination.stages import examine_file
from causalclip.images.loading import load_image
from causalclip.maps.overlay import prepare
from causalclip.provenance.reading import read_provenance
from causalclip.report.document import save_reports
from scripts import examples as script
from tests.makers.detectors import refusing_detector, tiny_detector
from tests.makers.metadata_files import unjudged_files
from tests.makers.pictures import encode, photo
from ui.detector import ChosenDetector, LazyDetector
from ui.panel import new_request
from ui.server.uploads import new_folder
from ui.tabs.check.crop import CropRun, _by_sides
from ui.tabs.check.examples import EXPECTED, PICTURES, SHOWCASE, STUDIO, Example, write_examples
from ui.tabs.check.rendering import PLACES, SITES, inside_boxes, layer, showcase, steps_panel
from ui.tabs.check.tab import build_check_tab, relabel


def test_links_to_searches_carry_nothing() -> None:
    google = OWNERS["google"]
    panel = steps_panel([Step("copies", "Look."), Step("owner", services((google,)))])
    links = re.findall(r"<a href='(.+?)' target='_blank' rel='noopener noreferrer'>", panel)
    assert links == [*SITES.values(), *(address for _name, address in google.addresses)]
    assert not any("?" in link for link in links)


def test_a_part_that_is_too_large_or_gone_is_refused_undecoded(
    uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could judge its file, and 50 megapixels take 150 MB."""
    path = new_folder() / "picture.png"
    path.write_bytes(encode(photo(), "PNG"))
    part, whole = CropRun(SimpleNamespace(), _by_sides), (str(path), 128, 96, ())  # type: ignore[arg-type]
    monkeypatch.setattr("ui.tabs.check.crop.load_image", None)
    monkeypatch.setattr("ui.tabs.check.crop.MAX_BYTES", 10)
    with pytest.raises(gr.Error, match="20 MB"):
        part.begin(None, whole, 0, 0, 100, 100)  # type: ignore[arg-type]
    path.unlink()
    with pytest.raises(gr.Error, match="no longer kept"):
        part.begin(None, whole, 0, 0, 100, 100)  # type: ignore[arg-type]


def test_a_picture_inside_one_that_was_read_at_half_its_size_lies_where_the_file_has_it() -> None:
    found = Caution("inside", "", ((10, 20, 210, 170),))
    x = SimpleNamespace(part=None, cautions=(found,), halved=True)
    assert inside_boxes(x) == ((20, 40, 420, 340),)  # type: ignore[arg-type]


def test_the_layer_says_what_each_place_adds_and_frames_marks() -> None:
    pixels = photo(160, 120)
    detection = tiny_detector().predict(pixels)
    html = layer(prepare(pixels, detection, boxes=((0.5, 0.25, 0.75, 0.5),)))
    said = json.loads(unescape(re.findall(r"data-parts='(.+?)'", html)[0]))
    assert [line.partition(":")[0] for line in said] == list(PLACES)
    assert "left:50.0%;top:25.0%;width:25.0%;height:25.0%" in html
    assert "data:image/webp" in html
    unanswered = layer(
        prepare(pixels, replace(detection, band=NO_ANSWER), boxes=((0.5, 0.25, 0.75, 0.5),))
    )
    assert "cc-box" in unanswered  # a mark is shown whatever the pixels say
    assert "data:image" not in unanswered
    assert "cc-legend" not in unanswered


SHOWN = "status", "provenance"


def payload(path: object) -> dict[str, str]:
    return {"path": str(path)}


def shown(data: bytes, detector: Detector) -> str:
    """The card that Check ends with, and the panel of what the file says."""
    path = new_folder() / "a.jpg"
    path.write_bytes(data)
    with gr.Blocks():
        tab = build_check_tab(ChosenDetector(lambda: detector), [])
    cards = {}
    for updates in tab.run(new_request("check"), payload(path)):
        cards |= {name: updates.get(getattr(tab, name), cards.get(name)) for name in SHOWN}
    return "".join(cards.values())


@pytest.mark.parametrize("why", list(unjudged_files()))
def test_what_is_refused_for_its_pixels_says_what_its_file_says(why: str) -> None:
    said = shown(unjudged_files()[why], tiny_detector())
    assert "The file says that it was made with Ideogram" in said
    assert "Its pixels were not judged. The " in said
    assert "Ideogram AI" in said  # the words that were read


def test_what_is_refused_and_claims_nothing_is_told_why() -> None:
    said = shown(encode(photo(20, 16), "PNG"), tiny_detector())
    assert "This picture is too small" in said
    assert "The file says nothing about how the picture was made" in said


def test_what_gets_no_answer_for_its_kind_is_headlined_by_its_file() -> None:
    exif = Image.Exif()
    exif[305] = "Ideogram AI"
    said = shown(encode(photo(), "JPEG", exif=exif), refusing_detector("drawing"))
    assert "The file says that it was made with Ideogram" in said
    assert "Its pixels were not judged." in said


ENTERED = (
    *("found", "2026-12-02", "not asked", ""),
    *("https://example.org/a", "2021-05-03", "Eve <i>"),
)


def test_what_is_typed_is_written_into_the_report_and_said(answer: Any) -> None:
    answer("label")
    html, plain = save_reports(
        examine_file(encode(photo(), "PNG"), tiny_detector()), new_folder(), "x"
    )
    drawn, said, words, quote, left_out = relabel(
        payload(html), payload(plain), "Ada <b>", "", *ENTERED, "Europe/Paris"
    )
    assert "Ada &lt;b&gt;" in Path(drawn).read_text(encoding="utf-8")
    assert (
        json.loads(Path(said).read_text(encoding="utf-8"))["report"]["label"]["name"] == "Ada <b>"
    )
    assert "The report holds “Ada &lt;b&gt;”" in words
    assert "OpenAI found its mark (2 December 2026), Google was not asked" in quote
    assert "earliest copy known: https://example.org/a, 3 May 2021, shown by Eve &lt;i&gt;" in quote
    assert left_out == ""
    again = relabel(payload(drawn), payload(said), "Ada <b>", "", *ENTERED, "Europe/Paris")
    assert again == relabel(None, None, "Ada", "", "") == (*[gr.skip()] * 4, "")


def test_what_is_left_out_of_the_report_is_said_and_escaped() -> None:
    nonsense = ("found", "<i>", "not asked", "2026-12-01", "<script>", "9999-01-01", "Eve")
    *_fields, left_out = relabel(None, None, "", "", *nonsense, "")
    assert left_out.count("<li>") == 4
    assert "“&lt;script&gt;” is left out, as it is no address" in left_out


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    return write_examples(tmp_path_factory.mktemp("examples"))


def test_every_example_is_a_whole_picture_and_the_same_every_time(examples: list[Example]) -> None:
    for example in examples:
        loaded = load_image(example.path)
        assert min(loaded.width, loaded.height) >= 256
        assert loaded.pixels.std() > 20
        assert len(example.thumbnail) < 27_000
    folder = examples[0].path.parent
    before = {p: p.read_bytes() for p in folder.iterdir()}
    write_examples(folder)
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


def test_the_picture_that_warms_the_model_up_is_what_the_page_opens_with(
    examples: list[Example], model: str
) -> None:
    """Its result is the running model's, whichever that is; a model without an answer shows
    none."""
    detector, folder = LazyDetector(model), examples[0].path.parent
    detector.warm_up(folder / SHOWCASE)
    first = detector.first()
    assert first is not None
    fresh = examine_file(folder / SHOWCASE, detector(), until=Stage.VERDICT)
    assert first.detection.logit == pytest.approx(fresh.detection.logit)
    html = showcase(first)
    assert fresh.headline.answer in html
    assert f"{fresh.detection.probability:.2f}" in html
    assert showcase(examine_file(folder / SHOWCASE, refusing_detector())) == ""


def test_a_page_whose_model_cannot_be_loaded_opens_without_an_example(
    examples: list[Example],
) -> None:
    detector = LazyDetector("missing")
    detector.warm_up(examples[0].path)
    assert showcase(detector.first()) == ""


def test_there_is_one_of_each_answer(examples: list[Example]) -> None:
    answers = [one.expect for one in examples]
    assert len(set(answers)) == len(answers)
    assert {"likely-generated", "inconclusive", "likely-not-generated", "no-answer"} < set(answers)


def test_the_generated_ones_are_as_their_generators_wrote_them() -> None:
    """Written anew, they would lose the traces; one is signed, so that a newcomer meets that
    answer, too."""
    card = (PICTURES / "README.md").read_text(encoding="utf-8")
    for name in ("studio-cat.png", "prawns-on-ice.jpg"):
        assert hashlib.sha256((PICTURES / name).read_bytes()).hexdigest() in card
    claims = read_provenance((PICTURES / "prawns-on-ice.jpg").read_bytes(), "JPEG")
    assert make_headline(claims, "likely generated").title == "Signed as generated"
    assert claims.credentials.state == "trusted"


@pytest.mark.full
def test_the_page_expects_what_the_shipped_detector_says(examples: list[Example]) -> None:
    """All of this detector; one is asked about anew, with stability, in this machine's runtime.
    After a new detector: python -m scripts.examples"""
    detector, said = Detector.from_pretrained(), json.loads(EXPECTED.read_text(encoding="utf-8"))
    assert said["revision"] == detector.config.revision
    assert said["answers"] == {one.name: one.expect for one in examples if one.expect}
    assert len(said["answers"]) > len(examples) / 2
    assert script.ask(detector, only=STUDIO) == {STUDIO: said["answers"][STUDIO]}
    assert script.agreed([{"cat": "a", "coffee": "b"}, {"cat": "a", "coffee": "c"}]) == {"cat": "a"}
