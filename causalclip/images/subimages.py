"""Pictures inside a picture: in a screenshot of a page, a chat, a collage, or with an even margin
around it.

Screens are flat: runs of one colour, with text that is small and photographs that are large
rectangles of many colours. So what is flat and of a common colour is the page; what is left,
without what is too thin to be a picture, falls into pieces; a piece that fills its rectangle, has
straight sides and the texture of a photograph is a picture. Photographs of screens, which are no
upright rectangles, are not found.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from causalclip.images.formats import Box

WORK = 1200  # px on the long side of what is searched
# levels that a pixel's neighbourhood spans at most where it is flat: JPEG leaves no less
FLAT_LEVELS = 5
COLOUR_LEVELS = 6  # levels by which a colour may differ from one of the page's
MIN_COLOUR_SHARE = 0.01  # of the picture that a colour of the page covers, flat
MIN_THICKNESS = 26  # px at WORK: text and icons are thinner
MIN_AREA = 0.01  # of the picture's area
MIN_SIDE = 96  # px of a side, in the picture itself
# of a rectangle that is no page: by itself, and with three straight sides
FILLED, MOSTLY = 0.86, 0.6
MAX_COLOURS = 6  # colours of a page
# A box around another is a card where what lies between them is even (levels that a neighbourhood
# spans) in so large a part of it, and so much of that is of its three commonest colours; SAMPLE of
# its pixels are looked at.
EVEN, MUCH, PLAIN, SAMPLE = 2, 0.25, 0.7, 20000
SAME = 0.05  # of a box that is outside another one in it: both are the same
MIN_LINE = 60  # px at WORK of a straight line of a page's colour
RINGING = 8  # px of a JPEG's block beside an edge
# levels, and px along and across, of a step from a page to a sky of nearly its hue
FAINT, PIECE, WIDE = 2.5, 16, 3
STRAIGHT = 0.55  # of a side's length that stands out of what is beside it
WHOLE = 0.9  # of the picture: a rectangle that covers more is the picture itself
PAGE = 0.6  # of what is outside the rectangles that is flat, or it is no page
# Of a photograph: colours of 4 bits a channel; of its blocks, with texture; of its pixels, in the
# four commonest.
COLOURS, TEXTURED, DRAWN = 40, 0.25, 0.7
# Of blocks of BLOCK px: grey levels (standard deviation) that are texture, and an edge. Where so
# many are edges, what words leave is looked at: a median over WORDS px, in which a photograph has
# texture in more than GROUND of its blocks. RIM blocks at a side may be round corners.
BLOCK, TEXTURE, EDGE = 8, 2.5, 25
EDGES, WORDS, GROUND, RIM = 0.12, 31, 0.15, 2


@dataclass(frozen=True, slots=True)
class Inside:
    """A picture in a picture.

    box: left, top, right, bottom in pixels. area: its share of the whole.
    """

    box: Box
    area: float


def find_pictures(pixels: np.ndarray) -> tuple[Inside, ...]:
    """Find the pictures inside a picture, uint8 RGB [H, W, 3], the largest first; none in a plain
    photograph."""
    # 1. In small
    height, width = pixels.shape[:2]
    zoom = min(1.0, WORK / max(height, width))
    if round(min(height, width) * zoom) < MIN_THICKNESS:  # a strip
        return ()
    small = pixels
    if zoom < 1:
        small = cv2.resize(pixels, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)

    # 2. The page by its colours, and the rectangles that are none
    span = _span(small)
    colours = _colours(small, span)
    if not colours:  # no page
        return ()
    page = np.maximum.reduce(colours)
    # a dark picture on white is no page but a dark one's
    alone = colours if len(colours) > 1 else []
    rectangles = {box for mask in (page, *alone) for box in _rectangles(1 - mask)}
    if not rectangles:
        return ()

    # 3. Those with the texture of a photograph and straight sides. Sides come before what is inside
    # what: a box without any is a light or a dark part of a picture, and must not stand for it.
    texture = _Texture.of(small)
    pictures = [box for box in sorted(rectangles) if texture.is_picture(box)]
    sided = {box: side for box in pictures if (side := _snapped(pixels, box, zoom))}
    boxes = _without_nested(list(sided), small, span <= EVEN)
    if not boxes or not _is_page(page, boxes):
        return ()

    # 4. Those that are large enough, and not the whole
    whole = height * width
    large = [
        box
        for box in {sided[box] for box in boxes}
        if min(box[2] - box[0], box[3] - box[1]) >= MIN_SIDE and MIN_AREA * whole <= _area(box)
    ]
    if len(large) == 1 and _area(large[0]) > WHOLE * whole:
        return ()
    return tuple(Inside(box, _area(box) / whole) for box in sorted(large, key=_area, reverse=True))


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _colours(small: np.ndarray, span: np.ndarray) -> list[np.ndarray]:
    """Return where each of a page's colours is, the commonest first.

    Returns:
        uint8 [h, w] each, 1 where it is flat or a long line.
    """
    # 1. The colours of what is flat, coarsely
    flat: np.ndarray = (span <= FLAT_LEVELS).view(np.uint8)
    red, green, blue = (channel.astype(np.uint16) for channel in cv2.split(small >> 3))
    coarse = red << 10 | green << 5 | blue
    counts = np.bincount(coarse[flat.view(bool)], minlength=32768)

    # 2. Where each of the commonest is
    near_flat = cv2.dilate(flat, np.ones((5, 5), np.uint8))
    masks = []
    for colour in np.argsort(-counts)[:MAX_COLOURS]:
        if counts[colour] <= MIN_COLOUR_SHARE * flat.size:
            break
        middle = _median(small, flat & (coarse == colour), int(colour))
        low, high = np.ceil(middle - COLOUR_LEVELS), np.floor(middle + COLOUR_LEVELS)
        mask: np.ndarray = cv2.inRange(small, low, high)
        mask &= near_flat
        # A gutter between two pictures is too narrow to be flat, and long.
        off = _largest(cv2.absdiff(small, np.append(np.round(middle), 0)))
        for shape in ((1, MIN_LINE), (MIN_LINE, 1)):
            mask |= _line(off, shape)
        masks.append(mask)
    return masks


def _median(small: np.ndarray, mask: np.ndarray, colour: int) -> np.ndarray:
    """Return the median of each channel of the pixels in `mask`, which are all of one coarse
    colour: of 8 levels each, counted."""
    lowest = np.array([colour >> 10, colour >> 5 & 31, colour & 31]) << 3
    counts = cv2.calcHist(
        [small], [0, 1, 2], mask, [8, 8, 8], np.stack([lowest, lowest + 8], 1).ravel().tolist()
    )
    each = np.stack([counts.sum(axis) for axis in ((1, 2), (0, 2), (0, 1))]).cumsum(1)
    half = [(each[0, -1] + 1) // 2, each[0, -1] // 2 + 1]  # the two in the middle
    return lowest + [np.searchsorted(row, half).mean() for row in each]


def _largest(planes: np.ndarray) -> np.ndarray:
    """Return the largest channel of each pixel, [h, w]."""
    red, green, blue = cv2.split(planes)
    return cv2.max(cv2.max(red, green), blue)


def _span(small: np.ndarray) -> np.ndarray:
    """Return the levels that the neighbourhood of every pixel spans, of the channel that spans
    most: uint8 [h, w]."""
    kernel = np.ones((5, 5), np.uint8)
    return _largest(cv2.subtract(cv2.dilate(small, kernel), cv2.erode(small, kernel)))


def _line(off: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return where a straight line of a colour runs, which a JPEG may have left uneven: uint8 [h,
    w].

    off: levels by which every pixel differs from the colour, uint8 [h, w].
    """
    mean = cv2.blur(off, shape[::-1], borderType=cv2.BORDER_REFLECT)
    along = (mean <= COLOUR_LEVELS).view(np.uint8)
    if not along.any():
        return along
    return cv2.dilate(along, np.ones(shape, np.uint8)) & (off <= 2 * COLOUR_LEVELS).view(np.uint8)


def _without_nested(boxes: list[Box], small: np.ndarray, even: np.ndarray) -> list[Box]:
    """Return one of boxes that are nearly the same; of one in another the inner one where the rest
    is page, else the outer.

    even: bool [h, w], where neighbours hardly differ.
    """
    chosen: list[Box] = []
    for box in sorted(boxes, key=_area):  # the inner ones first
        inner = [other for other in chosen if _common(box, other) > 0.8 * _area(other)]
        if not inner:
            chosen.append(box)
            continue
        rest = np.ones((box[3] - box[1], box[2] - box[0]), bool)
        for left, top, right, bottom in inner:
            rest[max(0, top - box[1]) : bottom - box[1], max(0, left - box[0]) : right - box[0]] = (
                False
            )
        around = small[box[1] : box[3], box[0] : box[2]][
            rest & even[box[1] : box[3], box[0] : box[2]]
        ]
        same = len(inner) == 1 and rest.mean() < SAME
        if not (same or (len(around) > MUCH * rest.sum() and _is_plain(around))):
            chosen = [other for other in chosen if other not in inner] + [box]
    return chosen


def _is_plain(pixels: np.ndarray) -> bool:
    """Return whether most of what is even, [N, 3], is of three colours: a page, a card on it and a
    bar.

    A sky is even from one pixel to the next, too, but not of one colour all over: three hold 0.5 of
    one at most, and 0.87 of a page at least (50 pages of training pictures).
    """
    codes = pixels[:: 1 + len(pixels) // SAMPLE].astype(int) @ [65536, 256, 1]
    others, share = codes, 0.0
    for _ in range(3):
        if len(others):
            values, counts = np.unique(others, return_counts=True)
            share += counts.max() / len(codes)
            others = others[others != values[counts.argmax()]]
    return share >= PLAIN


def _common(a: Box, b: Box) -> int:
    """Return the area of what two boxes share."""
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def _rectangles(solid: np.ndarray) -> list[Box]:
    """Return boxes of the thick pieces of what is no page, at search size.

    solid: uint8 [h, w], 1 there; it is changed.
    """
    boxes: list[Box] = []
    core, before, count = solid, 1, 0
    for thin in (MIN_THICKNESS, 2 * MIN_THICKNESS, 4 * MIN_THICKNESS):
        if len(boxes) > count:
            core, before, count = solid, 1, len(boxes)
        # what is left of what was eroded already is thinned on
        core = cv2.erode(core, _square(thin - before + 1))
        before = thin
        if not core.any():
            break
        opened = cv2.dilate(core, _square(thin))
        outlines, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for outline in outlines:
            x, y, w, h = cv2.boundingRect(outline)
            if w * h >= MIN_AREA * solid.size and _is_rectangle(
                opened[y : y + h, x : x + w], outline, w * h
            ):
                boxes.append((x, y, x + w, y + h))
                # what is cut off a piece later is no part of this one
                solid[y : y + h, x : x + w] = 0
    return boxes


def _is_rectangle(piece: np.ndarray, outline: np.ndarray, area: int) -> bool:
    """Return whether a piece, its holes counted in, fills its box, or has three straight sides and
    fills most of it."""
    filled = cv2.contourArea(outline) / area
    if filled >= FILLED:
        return True
    sides = [
        strip.any(axis).mean()
        for strip, axis in ((piece[:3], 0), (piece[-3:], 0), (piece[:, :3], 1), (piece[:, -3:], 1))
    ]
    return bool(filled >= MOSTLY and sum(side >= STRAIGHT for side in sides) >= 3)


def _square(side: int) -> np.ndarray:
    return np.ones((side, side), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Texture:
    """What tells a photograph from a chart or a gradient, summed once for all boxes of a picture.

    codes: uint16 [h, w], colours of 4 bits a channel. grey: uint8 [h, w]. total, squares: of grey
    levels above and left, [h + 1, w + 1].
    """

    codes: np.ndarray
    grey: np.ndarray
    total: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, small: np.ndarray) -> _Texture:
        red, green, blue = (channel.astype(np.uint16) for channel in cv2.split(small >> 4))
        grey: np.ndarray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        total, squares = cv2.integral2(grey, sqdepth=cv2.CV_64F)
        return cls(red << 8 | green << 4 | blue, grey, total, squares)

    def is_picture(self, box: Box) -> bool:
        """Return whether a rectangle has the colours and the texture of a photograph."""
        # 1. Its colours: bars of a chart have few
        left, top, right, bottom = box
        counts = np.bincount(self.codes[top:bottom:2, left:right:2].ravel(), minlength=4096)
        drawn = np.partition(counts, -4)[-4:].sum() / counts.sum()
        if np.count_nonzero(counts) < COLOURS or drawn > DRAWN:
            return False

        # 2. Its texture
        rows, columns = slice(top, bottom + 1, BLOCK), slice(left, right + 1, BLOCK)
        mean, square = (
            np.diff(np.diff(sums[rows, columns], axis=0), axis=1) / BLOCK**2
            for sums in (self.total, self.squares)
        )
        variance = square - mean * mean
        if (variance > TEXTURE**2).mean() < TEXTURED:
            return False

        # 3. What is left without words: of a text box an even ground, whatever a JPEG made of it
        if (variance > EDGE**2).mean() < EDGES:
            return True
        ground = cv2.medianBlur(np.ascontiguousarray(self.grey[top:bottom, left:right]), WORDS)
        down, across = (side // BLOCK for side in ground.shape)
        blocks = ground[: down * BLOCK, : across * BLOCK].reshape(down, BLOCK, across, BLOCK)
        uneven = blocks.std((1, 3)) > TEXTURE
        rows, columns = (slice(min(RIM, n // 4), n - min(RIM, n // 4)) for n in uneven.shape)
        return bool(uneven[rows, columns].mean() > GROUND)


def _is_page(page: np.ndarray, boxes: list[Box]) -> bool:
    outside = np.ones(page.shape, bool)
    for left, top, right, bottom in boxes:
        outside[top:bottom, left:right] = False
    return not outside.any() or float(page[outside].mean()) >= PAGE


def _snapped(pixels: np.ndarray, box: Box, zoom: float) -> Box | None:
    """Return the box in the picture's own pixels, each side on the strongest straight edge near it;
    None without edges.

    One side may lack its edge, such as that of a sky in the page's colour, if all others have
    theirs.
    """
    height, width = pixels.shape[:2]
    left, top, right, bottom = (v / zoom for v in box)
    reach = int(np.ceil(3 / zoom)) + RINGING
    rows = slice(max(0, int(top)), min(height, int(np.ceil(bottom))))
    columns = slice(max(0, int(left)), min(width, int(np.ceil(right))))
    sides = [
        _edge(pixels[rows], left, reach, 1, 1),
        _edge(pixels[:, columns], top, reach, 1, 0),
        _edge(pixels[rows], right, reach, -1, 1),
        _edge(pixels[:, columns], bottom, reach, -1, 0),
    ]
    bare = sum(not side.straight for side in sides)
    borders = sum(side.border for side in sides)
    if bare > (borders == 0) or borders == 4:
        return None
    return sides[0].at, sides[1].at, sides[2].at, sides[3].at


@dataclass(frozen=True, slots=True)
class _Side:
    """A side of a box. at: its place. straight: whether an edge or the picture's border runs along
    it. border: whether that is the picture's."""

    at: int
    straight: bool
    border: bool


def _edge(strip: np.ndarray, at: float, reach: int, inwards: int, axis: int) -> _Side:
    """Return the place near `at`, along an axis, where most of the lines beside each other differ;
    `at` without one."""
    length = strip.shape[axis]
    if (round(at) <= reach and inwards > 0) or (round(at) >= length - reach and inwards < 0):
        near = _strongest(strip, at, reach, inwards, axis)
        return near if near.straight else _Side(0 if inwards > 0 else length, True, True)
    return _strongest(strip, at, reach, inwards, axis)


def _strongest(strip: np.ndarray, at: float, reach: int, inwards: int, axis: int) -> _Side:
    length = strip.shape[axis]
    low, high = max(1, round(at) - reach), min(length - 1, round(at) + reach)
    if high <= low:
        return _Side(int(np.clip(round(at), 0, length)), True, True)
    near = (
        strip[low - 1 : high + 1] if axis == 0 else strip[:, low - 1 : high + 1].transpose(1, 0, 2)
    )
    lines = np.ascontiguousarray(near)
    steps = _largest(cv2.absdiff(lines[1:], lines[:-1]))  # before each place
    inner = 1e-3 * inwards * np.arange(len(steps))  # the inner of equals
    best = int(np.argmax(np.minimum(steps, 48).mean(1) + inner))
    if (steps[best] > COLOUR_LEVELS).mean() >= STRAIGHT:
        return _Side(low + best, True, False)
    faint = _faint(lines, inwards)
    best = int(np.argmax(faint))
    straight = bool(faint[best] >= STRAIGHT)
    return _Side(low + best if straight else round(at), straight, False)


def _faint(lines: np.ndarray, inwards: int) -> np.ndarray:
    """Return the share of pieces before each of N places where an even page ends, of lines beside
    each other, [N + 1, L, 3].

    A step of a few levels shows where pixels along it are taken together.
    """
    count = lines.shape[1] // PIECE
    off = np.zeros((len(lines) - 1, count), bool)
    if not count or len(lines) <= 2 * WIDE:
        return np.zeros(len(off))
    along = lines[:, : count * PIECE].reshape(len(lines), count, PIECE, 3).transpose(2, 0, 1, 3)
    pieces = np.ascontiguousarray(along)  # (PIECE, N + 1, count, 3)
    even = (pieces.max(0) - pieces.min(0)).max(2) <= FLAT_LEVELS
    # Sums over WIDE lines from each on: before place i lie those from i - WIDE on, after it those
    # from i on.
    total = _from_each(pieces.sum(0, dtype=np.int32), np.add)
    step = np.abs(total[WIDE:-1] - total[: -WIDE - 1]).max(2) / (WIDE * PIECE)
    outside = _from_each(even, np.logical_and)
    off[WIDE - 1 : len(lines) - WIDE - 1] = (step > FAINT) & (
        outside[: -WIDE - 1] if inwards > 0 else outside[WIDE:-1]
    )
    return off.mean(1)


def _from_each(lines: np.ndarray, join: np.ufunc) -> np.ndarray:
    """Join WIDE lines from each on, [N - WIDE + 1, ...]."""
    joined: np.ndarray = join.reduce([lines[i : len(lines) - WIDE + 1 + i] for i in range(WIDE)])
    return joined
