"""Examples work without a network, are what their captions say, and are the same every time."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from causalclip.detector import Detector
from causalclip.evidence.headline import conclude_all
from causalclip.pictures.loading import load_image
from causalclip.provenance.reading import read_provenance
from scripts.examples import agreed, ask
from ui.detect.examples import (
    EXPECTED,
    GENERATED,
    LAST,
    NAMES,
    PICTURES,
    THUMB,
    Example,
    julia,
    landscape,
    spheres,
    write_examples,
)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    return write_examples(tmp_path_factory.mktemp("examples"))


def test_every_example_is_a_whole_picture(examples: list[Example]) -> None:
    assert len(examples) >= 6
    assert len({e.caption for e in examples}) == len(examples)
    for example in examples:
        loaded = load_image(example.path)
        assert min(loaded.width, loaded.height) >= 256
        assert all(note.startswith("Its colours") for note in loaded.notes)  # a photograph may have a profile
        assert loaded.pixels.std() > 20


def test_thumbnails_are_small(examples: list[Example]) -> None:
    for example in examples:
        small = load_image(example.thumbnail)
        assert max(small.width, small.height) == THUMB
        assert example.thumbnail.stat().st_size < 20_000


def test_captions_say_where_a_picture_is_from(examples: list[Example]) -> None:
    kinds = [e.caption.split(":")[0] for e in examples]
    assert sorted(kinds) == ["generated"] * 2 + ["made by code"] * 3 + ["photograph"] * 4


def test_the_generated_ones_are_as_their_generators_wrote_them(examples: list[Example]) -> None:
    """Written anew, they would lose the traces; their licences and their sums stand beside them."""
    generated = [e for e in examples if e.caption.startswith("generated")]
    card = (PICTURES / "README.md").read_text(encoding="utf-8")
    assert {e.path.name for e in generated} == set(GENERATED)
    for example in generated:
        assert hashlib.sha256(example.path.read_bytes()).hexdigest() in card
    assert "Apache License" in (PICTURES / "LICENSE-Apache-2.0.txt").read_text(encoding="utf-8")
    assert "public domain" in (PICTURES / "LICENSE-Unlicense.txt").read_text(encoding="utf-8")


def test_one_is_signed_as_generated_by_its_generators_maker() -> None:
    """So that a newcomer meets that answer, too."""
    claims = read_provenance((PICTURES / "prawns-on-ice.jpg").read_bytes(), "JPEG")
    assert conclude_all(claims, "likely generated").title == "Signed as generated"
    assert claims.credentials
    assert "Google" in claims.credentials.signer
    assert claims.credentials.state == "trusted"


def test_one_of_each_answer_comes_first_and_no_portrait(tmp_path: Path) -> None:
    answers = dict.fromkeys((*NAMES, LAST), "inconclusive") | {
        "rocket": "likely generated",
        "fractal": "likely generated",
    }
    shelf = write_examples(tmp_path, answers)
    rest = ["prawns on ice", "cat in a studio", "coffee", "rendering", "landscape", "fractal", LAST]
    assert [e.name for e in shelf] == ["cat", "rocket", *rest]
    assert [e.expect for e in shelf[:2]] == ["inconclusive", "likely generated"]
    assert not any(e.expect for e in write_examples(tmp_path, {}))  # of another detector than the shipped one


def test_the_page_expects_what_the_shipped_detector_says(examples: list[Example]) -> None:
    """With stability, in this machine's runtime. After a new detector: python scripts/examples.py"""
    detector, said = Detector.from_pretrained(), json.loads(EXPECTED.read_text(encoding="utf-8"))
    assert said["revision"] == detector.config.revision
    asked, shown = ask(detector), {example.name: example.expect for example in examples if example.expect}
    assert shown == said["answers"] == {name: asked[name] for name in shown}
    assert len(shown) > len(asked) / 2


def test_an_answer_that_hangs_on_the_runtime_is_not_promised() -> None:
    assert agreed([{"cat": "a", "coffee": "b"}, {"cat": "a", "coffee": "c"}]) == {"cat": "a"}


@pytest.mark.parametrize("make", [landscape, julia, spheres])
def test_pictures_by_code_are_the_same_every_time(make) -> None:
    first = make(size=96)
    assert first.shape == (96, 96, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, make(size=96))
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 100


def test_written_again_over_what_is_there(examples: list[Example]) -> None:
    folder: Path = examples[0].path.parent
    before = {p: p.read_bytes() for p in folder.iterdir()}
    write_examples(folder)
    assert {p: p.read_bytes() for p in folder.iterdir()} == before
