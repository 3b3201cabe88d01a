"""Marks on a picture's pixels: Gemini's star, logos, DALL-E 2's bar, Stable Diffusion's invisible
watermark."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from safetensors.numpy import load_file

from causalclip.images.formats import Box
from causalclip.languages import N_
from causalclip.marks.mark import (
    LOOK_RADIUS,
    NOWHERE,
    Mark,
    correlate,
    grey_of,
    look_closely,
)
from causalclip.paths import shipped_folder

# Gemini's star stands bottom right; its size and place follow from the picture's, and only those
# places are looked at: somewhere in a corner, a star's template reaches a correlation of 0.7 by
# chance. (size / geometric mean of the sides, margin / size, least score). August 2025: 48 px and a
# margin of 32 px in one megapixel, 96 and 64 in four and sixteen. Since May 2026: margins of twice
# the size, 192 and 96 px, and once 89 px.
STAR_LAYOUTS = (
    (0.0469, 2 / 3, 0.88),
    (0.0234, 2 / 3, 1.05),
    (0.0231, 2.0, 1.05),
    (0.0469, 2.0, 1.05),
    (0.0233, 89 / 48, 1.05),
)
# (least and most of size / short side, margin / size)
CROPPED_STAR = ((0.042, 0.078, 2 / 3), (0.026, 0.036, 2.0))
STAR_SIZES = sorted({round(14 * 1.06**step) for step in range(39)})  # 14 to 128 px
SMALL_STAR = 20  # px: below this, chance reaches more
LARGE_STAR = 48  # px: a larger star is looked for in a smaller copy
SURE_SMALL_STAR, SURE_CROPPED_STAR = 1.2, 1.25
STAR_OUTLINE = 0.3  # least correlation of gradient sizes: of one glint on a glass, it was 0.29
STAR_GLANCE = 0.1  # correlation of grey values alone, below which a place is not looked at closely


def find_star(pixels: np.ndarray) -> tuple[float, Box] | None:
    """Score and box of the star in uint8 RGB [H, W, 3]; None without one."""
    found: list[tuple[float, Box]] = []
    height, width = pixels.shape[:2]
    mean, short = (height * width) ** 0.5, min(height, width)
    for share, margin, sure in STAR_LAYOUTS:
        for size in sorted({round(share * mean * scale) for scale in (0.975, 1, 1.025)}):
            score, box = _look_for_star(pixels, size, margin, slack=max(1, round(0.03 * size)))
            if score >= (sure if size >= SMALL_STAR else SURE_SMALL_STAR):
                found.append((score, box))
    if not found:
        for least, most, margin in CROPPED_STAR:
            for size in STAR_SIZES:
                if least <= size / short <= most:
                    score, box = _look_for_star(
                        pixels, size, margin, slack=max(2, round(0.08 * size))
                    )
                    if score >= SURE_CROPPED_STAR:
                        found.append((score, box))
    return max(found, default=None)


def _look_for_star(
    pixels: np.ndarray, size: int, margin: float, *, slack: int
) -> tuple[float, Box]:
    """Looks for a star of `size` px at its place, plus and minus `slack` px; a large one in a copy
    of the place."""
    if size < 12:
        return 0.0, NOWHERE
    edge = max(2, size // 5)
    side = size + 2 * edge
    x, y = (round(length - margin * size - size) - edge - slack for length in pixels.shape[1::-1])
    region = pixels[max(0, y) : y + side + 2 * slack, max(0, x) : x + side + 2 * slack]
    if min(x, y) < 0 or min(region.shape[:2]) < side:
        return 0.0, NOWHERE
    region = grey_of(region)
    zoom = min(1.0, LARGE_STAR / size)
    if zoom < 1:
        region = cv2.resize(region, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    template = star(round(size * zoom), round(edge * zoom))
    if min(region.shape) < len(template):
        return 0.0, NOWHERE
    score, right, down = look_closely(region, template, least=STAR_GLANCE, outline=STAR_OUTLINE)
    left, top = round(x + right / zoom) + edge, round(y + down / zoom) + edge
    return score, (left, top, left + size, top + size)


@lru_cache(maxsize=128)
def star(size: int, edge: int = 0) -> np.ndarray:
    """The star's opacity, 0 to 1, float32 [size + 2 edge, size + 2 edge]: |x| + |y| <= 1 outside
    four circles, whose centres are (±1.52, ±1.52) and which touch its points."""
    fine = (np.arange(8 * size) + 0.5) / (4 * size) - 1
    x, y = np.abs(np.meshgrid(fine, fine))
    inside = (x + y <= 1) & (np.hypot(x - 1.52, y - 1.52) > np.hypot(0.52, 1.52))
    return np.pad(inside.reshape(size, 8, size, 8).mean((1, 3)), edge).astype(np.float32)


# Each is a mark's opacity, from 0 to 255: its brightness on a black picture, or what pictures that
# bear it have in common there.
TEMPLATES = shipped_folder("assets") / "marks" / "templates.safetensors"
SCALES = tuple(1.04**step for step in range(-5, 6))  # of a mark against its usual size
SLACK = 0.3  # of a mark's height: how far it may be from its place
COARSE = 1 / 2  # of a template, for the glance
GLANCE = 0.35  # correlation of grey values alone, below which a place is not looked at closely
LEAST_WIDTH = 40  # px: a narrower mark cannot be told from chance


@dataclass(frozen=True, slots=True)
class Logo:
    """width, across, down: of the mark, and its distance from the sides of its corner, in widths of
    the picture; by_area: in square roots of its area instead. sure: the least score, of at most
    2."""

    template: str
    generator: str
    corner: Literal["bottom right", "bottom left", "top left"]
    width: float
    across: float
    down: float
    edited: bool = False
    by_area: bool = False
    sure: float = 0.75


LOGOS = (
    Logo("doubao", "Doubao", "bottom right", 0.1572, 0.0166, 0.0200),
    Logo("jimeng", "Jimeng", "bottom right", 0.1953, 0.0322, 0.0322),
    Logo("jimeng-pill", "Jimeng", "top left", 0.1630, 0.0222, 0.0222),
    Logo("meta", "Meta AI", "bottom left", 0.0859, 0.0391, 0.0383),
    Logo("samsung-it", "Samsung Galaxy AI", "bottom left", 0.3075, 0.0166, 0.0129, edited=True),
    Logo("meta-words", "Meta AI", "bottom right", 0.2012, 0.0506, 0.0506),
    # 63 px in pictures of 720 to 1,024
    Logo("grok", "Grok", "bottom right", 0.0767, 0.0156, 0.0172),
    # July 2025. It is small: of 12,000 pictures without it, chance reached 0.91 in one.
    Logo("gemini-pill", "Gemini", "bottom right", 0.0462, 0.0308, 0.0308, by_area=True, sure=1.1),
)


@lru_cache(maxsize=128)
def template_at(name: str, scale: float) -> np.ndarray:
    """A template at one of SCALES, float32 [H, W] of 0 to 1."""
    part = load_file(TEMPLATES)[name].astype(np.float32) / 255
    return cv2.resize(
        part,
        None,
        fx=scale,
        fy=scale,
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )


def find_logos(pixels: np.ndarray) -> list[tuple[Logo, float, Box]]:
    """Logo, score and box of every mark in uint8 RGB [H, W, 3]."""
    looked = ((logo, *_look_for_logo(pixels, logo)) for logo in LOGOS)
    return [(logo, score, box) for logo, score, box in looked if score >= logo.sure]


def _look_for_logo(pixels: np.ndarray, logo: Logo) -> tuple[float, Box]:
    """Looks for a mark at its place, in a copy of the corner in which a mark of the usual size is
    as wide as its template; returns the best score and its box."""
    height, width = template_at(logo.template, 1.0).shape
    unit = float((pixels.shape[0] * pixels.shape[1]) ** 0.5 if logo.by_area else pixels.shape[1])
    usual = logo.width * unit
    zoom, slack = width / usual, SLACK * usual * height / width
    reach = (logo.across * unit + usual) * SCALES[-1] + slack
    depth = (logo.down * unit + usual * height / width) * SCALES[-1] + slack
    if usual < LEAST_WIDTH or depth > pixels.shape[0]:  # no strip has one
        return 0.0, NOWHERE
    left = 0 if "left" in logo.corner else max(0, round(pixels.shape[1] - reach))
    top = 0 if "top" in logo.corner else max(0, round(pixels.shape[0] - depth))
    corner = grey_of(pixels[top : top + round(depth), left : left + round(reach)])
    if min(corner.shape) * zoom * COARSE < 1:
        return 0.0, NOWHERE
    region = cv2.resize(
        corner,
        None,
        fx=zoom,
        fy=zoom,
        interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR,
    )
    coarse = cv2.resize(region, None, fx=COARSE, fy=COARSE, interpolation=cv2.INTER_AREA)
    best: tuple[float, Box] = (0.0, NOWHERE)
    for scale in SCALES:
        glance = template_at(logo.template, scale * COARSE)
        if coarse.shape[0] < glance.shape[0] or coarse.shape[1] < glance.shape[1]:
            continue
        if cv2.matchTemplate(coarse, glance, cv2.TM_CCOEFF_NORMED).max() < GLANCE:
            continue
        template = template_at(logo.template, scale)
        down, right = template.shape
        x, y = logo.across * unit * scale * zoom, logo.down * unit * scale * zoom
        x0 = round((x if "left" in logo.corner else region.shape[1] - x - right) - slack * zoom)
        y0 = round((y if "top" in logo.corner else region.shape[0] - y - down) - slack * zoom)
        x0, y0 = max(0, x0), max(0, y0)
        place = region[
            y0 : y0 + down + round(2 * slack * zoom), x0 : x0 + right + round(2 * slack * zoom)
        ]
        if place.shape[0] < down or place.shape[1] < right:
            continue
        score, across, below = look_closely(place, template)
        if score > best[0]:
            at = left + (x0 + across) / zoom, top + (y0 + below) / zoom
            best = (
                score,
                (
                    round(at[0]),
                    round(at[1]),
                    round(at[0] + right / zoom),
                    round(at[1] + down / zoom),
                ),
            )
    return best


# Doubao's words stand at other sizes and distances, too, above all on oblong pictures and where a
# tool has stamped them: they are looked for at half to one and a half times the usual size. On
# 4,450 real pictures, chance reached 0.49 with the longer words and 0.89 with the shorter ones.
WORDS_GENERATOR = "Doubao"
WORDS_SHARES = tuple(0.0786 * 1.07**step for step in range(17))  # of the picture's width
WORDS_WIDTH = 96  # px of the longer words in the copy of the corner that is searched
WORDS_REACH, WORDS_DEPTH = 1.75, 0.9  # of the corner, in widths of the longer words
WORDS_GROUND = 31  # px around a place that its background is taken from


@dataclass(frozen=True, slots=True)
class Words:
    """template: of the words. width: theirs, against the longer ones'. sure: the least score, of at
    most 2."""

    template: str
    width: float
    sure: float


WORDS = Words("doubao", 1.0, 0.75), Words("doubao-short", 0.594, 1.0)


def find_words(pixels: np.ndarray) -> tuple[float, Box] | None:
    """Score and box of Doubao's words, of any size, in the bottom right corner of uint8 RGB
    [H, W, 3], the longer ones first; None without them."""
    height, width = pixels.shape[:2]
    sizes = [share * width for share in WORDS_SHARES if share * width >= LEAST_WIDTH]
    sizes = [size for size in sizes if WORDS_DEPTH * size <= height]  # no strip has them
    if not sizes:
        return None

    # 1. The corner, no larger than the smallest words need
    deepest, widest = (round(much * sizes[-1]) for much in (WORDS_DEPTH, WORDS_REACH))
    corner, once = grey_of(pixels[-deepest:, -widest:]), min(1.0, WORDS_WIDTH / sizes[0])
    corner = cv2.resize(corner, None, fx=once, fy=once, interpolation=cv2.INTER_AREA)
    found: list[tuple[float, float, Box]] = []
    for size in sizes:
        # 2. Bring it to the templates' size, and take its background away
        zoom = WORDS_WIDTH / size
        again = zoom / once
        reach, depth = (round(much * size * once) for much in (WORDS_REACH, WORDS_DEPTH))
        way = cv2.INTER_AREA if again < 1 else cv2.INTER_LINEAR
        copy = cv2.resize(corner[-depth:, -reach:], None, fx=again, fy=again, interpolation=way)
        flat = copy - cv2.blur(copy, (WORDS_GROUND, WORDS_GROUND))

        # 3. Look closely where the grey values alone correlate best
        for words in WORDS:
            template = words_at(words)
            score, x, y = _best_place(copy, flat, template)
            if score >= words.sure:
                at = width - copy.shape[1] / zoom + x / zoom, height - (copy.shape[0] - y) / zoom
                sides = (side / zoom for side in template.shape[::-1])
                right, bottom = (round(a + b) for a, b in zip(at, sides, strict=True))
                found.append((words.width, score, (round(at[0]), round(at[1]), right, bottom)))
    return max(found)[1:] if found else None


def _best_place(
    region: np.ndarray, flat: np.ndarray, template: np.ndarray
) -> tuple[float, int, int]:
    """The score and the corner of a template's best place in a region; flat: the region without its
    background."""
    height, width = template.shape
    if min(region.shape[0] - height, region.shape[1] - width) < LOOK_RADIUS:
        return 0.0, 0, 0
    glance = cv2.matchTemplate(flat, template, cv2.TM_CCOEFF_NORMED)
    if glance.max() < GLANCE:
        return 0.0, 0, 0
    x, y = (max(0, at - LOOK_RADIUS) for at in cv2.minMaxLoc(glance)[3])
    near = region[y : y + height + 2 * LOOK_RADIUS, x : x + width + 2 * LOOK_RADIUS]
    score, across, down = correlate(near, template)
    return score, x + across, y + down


@lru_cache(maxsize=2)
def words_at(words: Words) -> np.ndarray:
    """Their template as it is in the copy that is searched, float32 [H, W] of 0 to 1."""
    template = template_at(words.template, 1.0)
    width = round(WORDS_WIDTH * words.width)
    size = width, round(width * template.shape[0] / template.shape[1])
    return cv2.resize(template, size, interpolation=cv2.INTER_AREA)


# DALL-E 2's bar: five squares in the bottom right corner, 16 px each in a picture of 1,024 px.
BAR = np.array(
    [(255, 255, 102), (66, 255, 255), (81, 218, 76), (255, 110, 60), (60, 70, 255)],
    dtype=np.float32,
)
SQUARE = 16 / 1024  # of the picture's width: a square's side
# of 255: how far all squares on average, and each channel of each, may be
NEAR_COLOUR, FAR_COLOUR = 25.0, 45.0
LEAST_SQUARE = 4  # px: a smaller square has no colour of its own


def find_bar(pixels: np.ndarray) -> Box | None:
    """The bar's box in uint8 RGB [H, W, 3]; None without one."""
    height, width = pixels.shape[:2]
    side = round(SQUARE * width)
    if side < LEAST_SQUARE or height < side:
        return None
    edge = max(1, side // 5)  # is blended with its neighbours
    left, top = width - 5 * side, height - side
    squares = pixels[top + edge : height - edge, left:].reshape(side - 2 * edge, 5, side, 3)[
        :, :, edge : side - edge
    ]
    away = np.abs(squares.astype(np.float32).mean((0, 2)) - BAR)
    return (
        (left, top, width, height)
        if away.mean() <= NEAR_COLOUR and away.max() <= FAR_COLOUR
        else None
    )


WHERE = {
    "bottom right": N_("bottom right corner"),
    "bottom left": N_("bottom left corner"),
    "top left": N_("top left corner"),
}
PIXELS = N_("invisible, in the pixels")


def find_marks(pixels: np.ndarray, *, inside: tuple[Box, ...] = ()) -> tuple[Mark, ...]:
    """The marks on uint8 RGB [H, W, 3], each with its box.

    inside: boxes of pictures that the pixels show, as in a screenshot; their corners are searched,
    too.
    """
    found = list(_visible(pixels))
    if watermark := find_watermark(pixels):
        found.append(Mark(watermark[0], PIXELS, kind="invisible mark", certainty="stamped"))
    for x0, y0, x1, y1 in inside:
        found += [_moved(mark, x0, y0) for mark in _visible(pixels[y0:y1, x0:x1])]
    return tuple({(mark.generator, mark.kind): mark for mark in found}.values())


def _visible(pixels: np.ndarray) -> Iterator[Mark]:
    if gemini := find_star(pixels):
        yield _mark("Gemini", "bottom right", gemini[1])
    if bar := find_bar(pixels):
        yield _mark("DALL-E 2", "bottom right", bar)
    logos = find_logos(pixels)
    for logo, _score, box in logos:
        yield _mark(logo.generator, logo.corner, box, edited=logo.edited)
    known = {logo.generator for logo, _score, _box in logos}
    words = None if WORDS_GENERATOR in known else find_words(pixels)
    if words:
        yield _mark(WORDS_GENERATOR, "bottom right", words[1])


def _mark(generator: str, corner: str, box: Box, *, edited: bool = False) -> Mark:
    return Mark(
        generator,
        WHERE[corner],
        kind="visible mark",
        certainty="stamped",
        box=box,
        edited=edited,
    )


def _moved(mark: Mark, x: int, y: int) -> Mark:
    assert mark.box
    x0, y0, x1, y1 = mark.box
    return replace(mark, box=(x0 + x, y0 + y, x1 + x, y1 + y))


# The watermark that Stable Diffusion 1, 2 and XL and FLUX write into pixels, by the package
# invisible-watermark. Its method "dwtDct" moves one coefficient of each 4 x 4 block of the Haar
# transform's low band of U, by steps of 36. Most programs embed in floating point, where U is
# around 0.5, and decoders read 8 bits, where it is around 128; some exchange red and blue. So all
# four ways are read, and the mean votes for each bit are correlated with known payloads.
STEP = 36
MIN_SIDE = 256  # px a side: the package writes into no smaller picture
BLOCKS = 8192  # that are read: some sixty votes a bit
MIN_AGREEMENT = 0.75
MIN_SHORT_AGREEMENT = 0.88  # of a payload of at most 32 bits: by chance, 0.68 was seen once
OFFSETS = 0.5, 128.0  # of U, in floating point and in 8 bits
# Half of U of red, green and blue, and of these with red and blue exchanged: [3, 2].
U = 0.246 * np.array([[-0.299, -0.587, 0.886], [0.886, -0.587, -0.299]], dtype=np.float32).T

# Bits, or the text that is written. FLUX's has 46 bits, as Python's bin() drops two zeros of 48.
PAYLOADS: dict[str, str | bytes] = {
    "Stable Diffusion XL": "101100111110110010010000011110111011000110011110",
    "FLUX": "1010101111111010000111100111001111010100101110",
    "Stable Diffusion 1": b"StableDiffusionV1",
    "Stable Diffusion 2": b"SDV2",
    "InvokeAI": b"InvokeAI",
}


@lru_cache(maxsize=1)
def payloads() -> dict[str, np.ndarray]:
    """The bits of each known payload, float32 of 0 and 1."""
    bits = {
        name: text if isinstance(text, str) else "".join(f"{byte:08b}" for byte in text)
        for name, text in PAYLOADS.items()
    }
    return {
        name: np.array([float(bit) for bit in text], dtype=np.float32)
        for name, text in bits.items()
    }


def find_watermark(pixels: np.ndarray) -> tuple[str, float] | None:
    """Whose payload uint8 RGB [H, W, 3] carries, and its correlation of at most 1; None for
    none."""
    if min(pixels.shape[:2]) < MIN_SIDE:
        return None
    votes = _votes(pixels[: 8 * -(-BLOCKS // (pixels.shape[1] // 8))])
    found = [(_correlation(votes, bits), name) for name, bits in payloads().items()]
    least = {
        name: MIN_AGREEMENT if len(bits) > 32 else MIN_SHORT_AGREEMENT
        for name, bits in payloads().items()
    }
    sure = [(much, name) for much, name in found if much >= least[name]]
    much, name = max(sure, default=(0.0, ""))
    return (name, much) if name else None


def _votes(pixels: np.ndarray) -> np.ndarray:
    """float32 [4, blocks]: a vote of 0 or 1 for each block, row by row, in four ways of reading."""
    rows, columns = pixels.shape[0] // 8, pixels.shape[1] // 8
    pixels = pixels[: 8 * rows, : 8 * columns].astype(np.uint16)
    pairs = pixels[0::2] + pixels[1::2]
    low = (pairs[:, 0::2] + pairs[:, 1::2]).astype(np.float32) @ U  # the Haar transform's low band
    blocks = low.reshape(rows, 4, columns, 4, 2)
    blocks[:, 0, :, 0] = blocks[:, 0, :, 1]  # the first of a block has no vote
    most, least = blocks.max(1).max(2), blocks.min(1).min(2)
    # a sum of four by 2
    ways = np.stack([np.maximum(most + 2 * offset, -least - 2 * offset) for offset in OFFSETS])
    return (ways % STEP > STEP / 2).transpose(0, 3, 1, 2).reshape(4, -1).astype(np.float32)


def _correlation(votes: np.ndarray, bits: np.ndarray) -> float:
    """Of the mean vote for each bit with the payload: the highest of four."""
    times = votes.shape[1] // len(bits)
    if not times:
        return 0.0
    means = votes[:, : times * len(bits)].reshape(4, times, -1).mean(1)
    means, wanted = means - means.mean(1, keepdims=True), bits - bits.mean()
    length = np.linalg.norm(means, axis=1) * np.linalg.norm(wanted)
    return float((means @ wanted / np.maximum(length, 1e-6)).max())
