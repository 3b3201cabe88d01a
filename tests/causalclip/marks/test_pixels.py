"""Marks on pixels: each is found where it is stamped, in what a picture goes through, and nowhere
else."""

import tracemalloc

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw

from causalclip.examination.headline import FORGED, make_headline
from causalclip.examination.result import Stage
from causalclip.examination.stages import examine_file
from causalclip.images.reencoding import encode as reencode
from causalclip.maps.overlay import carried_font
from causalclip.marks.bar import BAR
from causalclip.marks.corners import CORNERS, Corner
from causalclip.marks.icons import ICONS, Icon
from causalclip.marks.logos import LOGOS, Logo, template_at
from causalclip.marks.mark import EU_ICON, Mark
from causalclip.marks.pixels import WHERE, find_marks
from causalclip.marks.stamps import STAMPS, Stamp
from causalclip.marks.star import star_opacity
from causalclip.marks.watermark import payloads
from causalclip.provenance.credentials import without_claims
from causalclip.provenance.result import Provenance
from tests.makers.detectors import tiny_detector
from tests.makers.marks import embed, stamp
from tests.makers.pictures import encode


def photograph(width: int = 1248, height: int = 832) -> np.ndarray:
    return cv2.resize(skimage.data.coffee(), (width, height), interpolation=cv2.INTER_AREA)


def starred(pixels: np.ndarray, size: int, margin: int, much: float = 0.5) -> np.ndarray:
    height, width = pixels.shape[:2]
    return stamp(
        pixels, star_opacity(size), width - margin - size, height - margin - size, much=much
    )


def saved(pixels: np.ndarray, quality: int, **settings: int) -> np.ndarray:
    return np.asarray(reencode(Image.fromarray(pixels), "JPEG", quality, **settings))


def names(pixels: np.ndarray) -> list[str]:
    return [mark.generator for mark in find_marks(pixels)]


@pytest.mark.parametrize(
    ("width", "height", "size", "margin"),
    [
        (1248, 832, 48, 32),
        (1024, 1024, 48, 32),
        (2048, 2048, 96, 64),
        (2816, 1536, 48, 96),
        (1408, 768, 48, 32),
    ],
)
def test_gemini_star_is_boxed_in_every_layout(
    width: int, height: int, size: int, margin: int
) -> None:
    marks = find_marks(starred(photograph(width, height), size, margin))
    assert [(mark.generator, mark.kind, mark.certainty) for mark in marks] == [
        ("Gemini", "visible mark", "stamped")
    ]
    assert_stays_a_claim(marks)
    x, y = width - margin - size, height - margin - size
    assert np.abs(np.array(marks[0].box) - (x, y, x + size, y + size)).max() <= 2


@pytest.mark.parametrize("width", [800, 400])
def test_gemini_star_survives_shrinking_and_jpeg(width: int) -> None:
    pixels = starred(photograph(), 48, 32)
    small = cv2.resize(pixels, (width, round(width * 832 / 1248)), interpolation=cv2.INTER_AREA)
    assert names(saved(small, 75)) == ["Gemini"]


def test_a_star_elsewhere_is_no_mark() -> None:
    pixels = photograph()
    assert not names(stamp(pixels, star_opacity(48), 300, 200, much=0.5))
    assert not names(
        stamp(pixels, star_opacity(48), 1248 - 32 - 48, 32, much=0.5)
    )  # the top right corner


@pytest.mark.parametrize("logo", LOGOS, ids=lambda logo: logo.template)
def test_every_logo_is_found_at_its_place(logo: Logo) -> None:
    pixels = photograph(1280, 1280) // 2
    template = template_at(logo.template, 1.0)
    zoom = logo.width * 1280 / template.shape[1]
    part = cv2.resize(template, None, fx=zoom, fy=zoom)
    x, y = round(logo.across * 1280), round(logo.down * 1280)
    left = x if "left" in logo.corner else 1280 - x - part.shape[1]
    top = y if "top" in logo.corner else 1280 - y - part.shape[0]
    marks = find_marks(saved(stamp(pixels, part, left, top, much=0.6), 80))
    assert [(mark.generator, mark.edited) for mark in marks] == [(logo.generator, logo.edited)]
    assert_stays_a_claim(marks)


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5])
@pytest.mark.parametrize("words", STAMPS, ids=lambda words: words.template)
def test_words_are_found_at_other_sizes_and_distances(words: Stamp, scale: float) -> None:
    template = template_at(words.template, 1.0)
    width = round(scale * 0.1572 * 1248 * words.width)
    opacity = cv2.resize(template, (width, round(width * template.shape[0] / template.shape[1])))
    x, y = 1248 - width - 45, 832 - len(opacity) - 45
    stamped = stamp(photograph(), opacity, x, y, much=0.6)
    small = cv2.resize(stamped, (800, 533), interpolation=cv2.INTER_AREA)
    for copy in (stamped, saved(small, 70)):
        (mark,) = find_marks(copy)
        zoom = copy.shape[1] / 1248
        assert mark.generator == words.generator
        assert mark.box
        wanted = x, y, x + width, y + len(opacity)
        assert np.abs(np.array(mark.box) / zoom - wanted).max() < 0.15 * width


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("icon", ICONS, ids=lambda icon: icon.template)
def test_the_european_icons_are_found_in_every_corner(
    icon: Icon, light: bool, corner: Corner
) -> None:
    template = template_at(icon.template, 1.0)
    width = 200
    part = cv2.resize(template, (width, round(width * template.shape[0] / template.shape[1])))
    x = 1248 - width - 30 if "right" in corner else 30
    y = 832 - len(part) - 30 if "bottom" in corner else 30
    pixels = photograph()
    pixels[y : y + len(part), x : x + width] = 255 * (1 - part if light else part)[..., None]
    small = cv2.resize(pixels, (800, 533), interpolation=cv2.INTER_AREA)
    for copy in (pixels, saved(small, 70)):
        marks = find_marks(copy)
        (mark,) = marks
        zoom = copy.shape[1] / 1248
        assert (mark.generator, mark.excerpt, mark.edited, mark.where) == (
            EU_ICON,
            icon.words,
            icon.edited,
            WHERE[corner],
        )
        assert not mark.is_named
        assert_stays_a_claim(marks)
        assert mark.box
        wanted = x, y, x + width, y + len(part)
        assert np.abs(np.array(mark.box) / zoom - wanted).max() < 0.1 * width


@pytest.mark.parametrize("text", ["AI GENERATED", "AI MODIFIED", "BREAKING NEWS", "AI SUMMIT"])
def test_a_pill_in_another_font_is_no_european_icon(text: str) -> None:
    for ground, ink in ((0, 255), (255, 0)):
        picture = Image.fromarray(photograph())
        draw = ImageDraw.Draw(picture)
        font = carried_font(24, "DejaVuSans")
        draw.rounded_rectangle((960, 760, 1220, 800), 20, (ground,) * 3)
        draw.text((1090, 780), text, (ink,) * 3, font, anchor="mm")
        assert not names(np.asarray(picture))


@pytest.mark.parametrize("text", ["AI generated", "SHUTTERSTOCK", "© 2026 Agency", "EIEIAI HEHE"])
def test_other_words_in_the_corner_are_no_mark(text: str) -> None:
    for size in (24, 36, 60):
        picture = Image.fromarray(photograph())
        font = carried_font(size, "DejaVuSans-Bold")
        ImageDraw.Draw(picture).text((1220, 800), text, (230, 230, 230), font, anchor="rs")
        assert not names(np.asarray(picture))


def assert_stays_a_claim(marks: tuple[Mark, ...]) -> None:
    """A forged mark on a photograph is the headline, and is said to be one that can be forged."""
    claims = Provenance(without_claims("none"), marks=marks)
    headline = make_headline(claims, "likely not generated")
    assert {mark.certainty for mark in marks} == {"stamped"}
    assert headline.source == "mark"
    assert FORGED in headline.claimed
    assert headline.proved.startswith("Nothing")
    assert headline.agreement


def test_dalle_bar_is_found_and_other_colours_are_not() -> None:
    pixels = photograph(1024, 1024)
    for at, colour in enumerate(BAR):
        pixels[-16:, 944 + 16 * at : 960 + 16 * at] = colour
    assert names(saved(pixels, 90)) == ["DALL-E 2"]
    assert_stays_a_claim(find_marks(pixels))
    pixels[-16:, 944:] = pixels[-16:, 944:][:, ::-1]
    assert not names(pixels)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("offset", [0.5, 128.0])
@pytest.mark.parametrize("name", list(payloads()))
def test_watermarks_are_read_in_every_way_of_writing(
    name: str, offset: float, swapped: bool
) -> None:
    marked = embed(skimage.data.astronaut(), payloads()[name], offset=offset, swapped=swapped)
    for pixels in (marked, saved(marked, 95, subsampling=0)):
        (mark,) = find_marks(pixels)
        assert (mark.generator, mark.kind, mark.box) == (name, "invisible mark", None)


def test_photographs_bear_no_mark() -> None:
    for picture in (
        skimage.data.astronaut(),
        skimage.data.coffee(),
        skimage.data.chelsea(),
        skimage.data.rocket(),
    ):
        for width in (224, 640, 1600):
            assert not names(
                cv2.resize(picture, (width, round(width * picture.shape[0] / picture.shape[1])))
            )


def test_tiny_flat_and_narrow_pictures_bear_no_mark() -> None:
    for height, width in ((1, 1), (32, 32), (3, 4000), (4000, 3), (300, 300)):
        assert not names(np.full((height, width, 3), 255, dtype=np.uint8))


def test_a_star_on_a_picture_inside_a_page_leads_the_headline() -> None:
    page = np.full((1400, 1900, 3), 250, dtype=np.uint8)
    page[300:1132, 200:1448] = starred(photograph(), 48, 32)
    found = examine_file(encode(Image.fromarray(page), "PNG"), tiny_detector(), until=Stage.VERDICT)
    assert found.headline.title == "It bears the mark of a generator"
    (box,) = found.mark_boxes
    assert abs(box[0] - (200 + 1248 - 80) / 1900) < 0.005


@pytest.mark.parametrize("shape", [(6200, 8000), (512, 97_000)])
def test_looking_at_a_large_picture_takes_a_byte_or_two_a_pixel(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 128, np.uint8)
    tracemalloc.start()
    assert not find_marks(pixels)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 120e6
