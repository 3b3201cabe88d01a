"""Examples work without a network and are what their captions say; their answers are of the shipped revision."""

import hashlib
import json

import pytest

from causalclip.detector import Detector
from causalclip.evidence.headline import make_headline
from causalclip.images.loading import load_image
from causalclip.provenance.reading import read_provenance
from scripts import examples as script
from ui.detect.examples import EXPECTED, PICTURES, Example, write_examples


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    return write_examples(tmp_path_factory.mktemp("examples"))


def test_every_example_is_a_whole_picture_and_the_same_every_time(examples: list[Example]) -> None:
    for example in examples:
        loaded = load_image(example.path)
        assert min(loaded.width, loaded.height) >= 256
        assert loaded.pixels.std() > 20
        assert example.thumbnail.stat().st_size < 20_000
    folder = examples[0].path.parent
    before = {p: p.read_bytes() for p in folder.iterdir()}
    write_examples(folder)
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


def test_there_is_one_of_each_answer(examples: list[Example]) -> None:
    answers = [one.expect for one in examples]
    assert len(set(answers)) == len(answers)
    assert {"likely generated", "inconclusive", "likely not generated", "no answer"} < set(answers)


def test_the_generated_ones_are_as_their_generators_wrote_them() -> None:
    """Written anew, they would lose the traces; one is signed, so that a newcomer meets that answer, too."""
    card = (PICTURES / "README.md").read_text(encoding="utf-8")
    for name in ("studio-cat.png", "prawns-on-ice.jpg"):
        assert hashlib.sha256((PICTURES / name).read_bytes()).hexdigest() in card
    claims = read_provenance((PICTURES / "prawns-on-ice.jpg").read_bytes(), "JPEG")
    assert make_headline(claims, "likely generated").title == "Signed as generated"
    assert claims.credentials.state == "trusted"


@pytest.mark.full
def test_the_page_expects_what_the_shipped_detector_says(examples: list[Example]) -> None:
    """With stability, in this machine's runtime. After a new detector: python -m scripts.examples"""
    detector, said = Detector.from_pretrained(), json.loads(EXPECTED.read_text(encoding="utf-8"))
    assert said["revision"] == detector.config.revision
    asked, expected = script.ask(detector), {one.name: one.expect for one in examples if one.expect}
    assert expected == said["answers"] == {name: asked[name] for name in expected}
    assert len(expected) > len(asked) / 2
    assert script.agreed([{"cat": "a", "coffee": "b"}, {"cat": "a", "coffee": "c"}]) == {"cat": "a"}
