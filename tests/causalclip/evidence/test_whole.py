"""Of a part, what its picture's file says and how that was stored counts as much as of the whole."""

import dataclasses
import io

import pytest
from PIL import Image

from causalclip.evidence.examination import HALVED, Examination, WholePicture, examine, read_claims
from causalclip.pictures import formats
from causalclip.pictures.crop import cut
from causalclip.pictures.loading import load_image
from causalclip.provenance.reading import NOTHING, OF_WHOLE
from causalclip.report.panels import provenance_panel
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photograph, spliced

BOX = 60.0, 60.0, 460.0, 460.0
SETTINGS = b"ASCII\0\0\0a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: sdxl"


def marked(quality: int) -> bytes:
    """A JPEG with Stable Diffusion's settings."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = SETTINGS
    return encode(spliced(), "JPEG", quality=quality, exif=exif)


def examined(data: bytes) -> tuple[Examination, Examination]:
    """A picture, and a part of it."""
    loaded, detector = load_image(data), tiny_detector()
    part = examine(cut(loaded, BOX), detector, stability=False, whole=WholePicture.of(loaded, read_claims(data)))
    return examine(data, detector, stability=False), part


def test_a_part_has_the_claims_of_its_file_and_says_whose_they_are() -> None:
    whole, part = examined(marked(90))
    assert part.width == part.height == 400
    assert part.provenance.marks == whole.provenance.marks != ()
    assert part.headline.title == whole.headline.title == "The file says it was generated"
    assert part.format == "JPEG"
    said = [field.value for field in part.provenance.fields]
    assert any("of a picture of 512 x 512 pixels" in value for value in said)
    assert OF_WHOLE in part.notes
    assert OF_WHOLE in part.quote
    assert OF_WHOLE in provenance_panel(part.provenance).replace("&#x27;", "'")
    assert OF_WHOLE not in whole.quote
    assert not whole.notes
    silent = examined(encode(photograph(), "PNG"))[1]
    assert silent.headline.claimed == NOTHING


def test_a_part_of_what_was_compressed_too_much_is_not_searched_and_has_the_caution() -> None:
    whole, part = examined(marked(35))
    for one in (whole, part):
        assert (one.parts.state, one.parts.why) == ("cannot know", "compressed")
        assert "recompressed" in [caution.kind for caution in one.cautions]
    assert part.provenance.jpeg
    assert part.provenance.jpeg.quality == 35


def test_an_earlier_compression_of_the_whole_is_known_of_a_part_off_its_grid() -> None:
    whole, part = examined(encode(photograph(history=50), "PNG"))
    assert whole.provenance.earlier_quality
    assert part.provenance.earlier_quality
    assert part.provenance.earlier_quality <= whole.provenance.earlier_quality


def test_a_part_of_what_was_read_at_half_its_size_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_PIXELS", 512 * 512)
    large = Image.fromarray(photograph(history=None)).resize((1024, 1024))
    whole, part = examined(encode(large, "JPEG", quality=95))
    for one in (whole, part):
        assert one.halved
        assert HALVED in one.quote
        assert one.parts.why == "halved"


def test_a_part_of_a_gif_is_not_searched() -> None:
    file = io.BytesIO()
    Image.fromarray(spliced()).save(file, "GIF")
    assert examined(file.getvalue())[1].parts.why == "palette"


def test_the_table_of_a_jpeg_is_not_that_of_a_part() -> None:
    """It lies on another grid; the part is searched as the file that it is."""
    data = encode(spliced(), "JPEG", quality=95)
    whole = WholePicture.of(load_image(data), read_claims(data))
    part = cut(load_image(data), BOX)
    assert dataclasses.asdict(whole.said(read_claims(part)))["jpeg"]["luminance"] == ()
    assert examined(data)[1].parts.state in ("found", "none found")
