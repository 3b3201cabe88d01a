"""Does a part differ? Only ever a positive finding: what is silent says little, and never sounds like an answer."""

import dataclasses
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from causalclip.evidence.examination import examine, read_claims
from causalclip.evidence.headline import conclude_all, tone_of
from causalclip.evidence.region_finder import MAX_PIXELS, Region, read_box, shipped_finder
from causalclip.evidence.regions import NOT_LOOKED_FOR, RegionFinding, find_region, reliability, upright_table
from causalclip.evidence.words import NO_ANSWER
from causalclip.pictures.loading import load_image
from causalclip.provenance.jpegtables import JpegTables, read_tables
from causalclip.report import card
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import PART, encode, photograph, spliced

FOUND = RegionFinding("found", Region((32, 64, 128, 160), (((32, 64), (128, 64), (128, 160), (32, 160)),), 0.1, 32))
SILENT = "That says little"


class Verdict:
    """What is asked of a verdict."""

    def __init__(self, band: str = "likely not generated") -> None:
        self.band = band


def searched(data: bytes, band: str = "likely not generated") -> RegionFinding:
    return find_region(load_image(data), read_claims(data), Verdict(band))


def test_a_photograph_pasted_into_another_is_found_where_it_is() -> None:
    found = searched(encode(spliced(), "PNG"))
    assert found.state == "found"
    assert found.part is not None
    left, top, right, bottom = PART
    drawn = Image.new("1", (512, 512))
    from PIL import ImageDraw

    for ring in found.part.outline:
        ImageDraw.Draw(drawn).polygon(ring, fill=1)
    part = np.zeros((512, 512), bool)
    part[top:bottom, left:right] = True
    outlined = np.asarray(drawn)
    assert (part & outlined).sum() / (part | outlined).sum() > 0.6
    assert "no proof of deceit" in found.sentence


@pytest.mark.parametrize("history", [None, 60, 75, 90])
@pytest.mark.parametrize(("name", "options"), [("PNG", {}), ("JPEG", {"quality": 90, "subsampling": 2})])
def test_in_a_picture_that_nobody_edited_nothing_is(history: int | None, name: str, options: dict[str, int]) -> None:
    found = searched(encode(photograph(history=history), name, **options))
    assert found.part is None
    assert found.state in ("none found", "cannot know")


def test_silence_never_sounds_like_an_answer() -> None:
    found = searched(encode(photograph(history=90), "PNG"))
    assert found.state == "none found"
    assert SILENT in found.sentence
    assert "little" in found.words
    assert f"<p class='cc-small'>{found.sentence}</p>" == card.part(found)


@pytest.mark.parametrize(
    ("data", "band", "why"),
    [
        (encode(spliced(), "PNG"), NO_ANSWER, "no photograph"),
        (encode(spliced()[:180], "PNG"), "inconclusive", "too small"),
        (encode(spliced(), "JPEG", quality=40), "inconclusive", "compressed too much"),
    ],
)
def test_where_it_cannot_be_known_that_is_said(data: bytes, band: str, why: str) -> None:
    found = searched(data, band)
    assert (found.state, found.part) == ("cannot know", None)
    assert why in found.sentence


def test_a_gif_and_a_picture_at_half_its_size_cannot_be_known() -> None:
    file = io.BytesIO()
    Image.fromarray(spliced()).save(file, "GIF")
    assert "GIF" in searched(file.getvalue()).sentence
    data = encode(spliced(), "JPEG", quality=90)
    halved = dataclasses.replace(load_image(data), halved=True)
    assert "half its size" in find_region(halved, read_claims(data), Verdict()).sentence


@pytest.mark.parametrize("band", ["likely not generated", "inconclusive"])
def test_an_answer_never_stands_alone_above_a_part(band: Any) -> None:
    claims = read_claims(encode(photograph(), "PNG"))
    headline = conclude_all(claims, band, None, FOUND)
    assert headline.title.endswith("one part differs")
    assert tone_of(headline.title) == headline.tone == "inconclusive"
    assert "One part differs" in headline.pixels
    assert conclude_all(claims, band).title == band.capitalize()


def test_no_signature_is_said_to_agree_with_a_part_that_differs() -> None:
    data = photograph()
    claims = read_claims(encode(data, "PNG"))
    from causalclip.provenance.sourcetypes import SourceType

    said = dataclasses.replace(
        claims, source_types=(SourceType("XMP", "digitalCapture", "captured", "captured by a camera"),)
    )
    assert conclude_all(said, "likely not generated").agreement == "They agree."
    assert "neither support" in conclude_all(said, "likely not generated", None, FOUND).agreement


def test_the_examination_says_where_in_plain_json() -> None:
    x = examine(encode(spliced(), "PNG"), tiny_detector(), stability=False)
    said = json.loads(json.dumps(x.as_dict()))["parts"]
    assert said["answer"] == "found"
    assert said["box"] == list(x.parts.part.box)  # type: ignore[union-attr]
    assert all(len(point) == 2 for ring in said["outline"] for point in ring)
    assert said["sentence"] == x.parts.sentence
    assert NOT_LOOKED_FOR.as_dict()["answer"] == "not asked"


def test_of_a_large_picture_the_middle_is_read_on_its_grid_and_that_is_said() -> None:
    left, top, right, bottom = read_box(6000, 8000)
    assert (right - left) * (bottom - top) <= MAX_PIXELS
    assert (left % 8, top % 8) == (0, 0)
    assert abs((left + right) / 2 - 4000) <= 16
    assert "25 % of it" in dataclasses.replace(FOUND, read=0.25).sentence
    assert read_box(3000, 4000) == (0, 0, 4000, 3000)


def test_a_part_is_a_share_of_the_whole_picture_even_where_the_middle_alone_was_read() -> None:
    """FOUND's is a tenth of what was read."""
    assert ": 10 % of it, from" in FOUND.sentence
    assert ": 5 % of it, from" in dataclasses.replace(FOUND, read=0.5).sentence


def test_the_table_of_a_jpeg_lies_as_its_picture() -> None:
    tables = read_tables(encode(photograph(), "JPEG", quality=75))
    assert tables is not None
    assert tables.size == (512, 512)
    lying = JpegTables(75, True, "4:2:0", False, (640, 480), tables.luminance)
    upright, turned = (upright_table(lying, *size) for size in ((640, 480), (480, 640)))
    assert upright is not None
    assert turned is not None
    assert (upright.reshape(8, 8) == turned.reshape(8, 8).T).all()
    assert upright_table(None, 640, 480) is None


def test_its_reliability_is_that_of_the_shipped_trees_alone() -> None:
    rates = reliability(shipped_finder().revision)
    assert rates is not None
    found = {kind: row["flagged"] / row["n"] for kind, row in rates.items()}
    assert found["unedited"] <= 0.02
    assert found["retouched"] <= 0.05
    assert found["pasted back"] > 4 * found["unedited"]
    assert reliability("another") is None
    assert SILENT in RegionFinding("none found", revision="another").sentence
