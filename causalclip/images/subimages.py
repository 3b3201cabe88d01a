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

SEARCH_SIDE = 1200  # px on the long side of the copy that is searched

# The page: flat, in a few common colours
FLAT_LEVELS = 5  # that a pixel's neighbourhood spans at most where it is flat: JPEG leaves no less
COLOUR_LEVELS = 6  # by which a colour may differ from one of the page's
MAX_PAGE_COLOURS = 6
MIN_COLOUR_SHARE = 0.01  # of the picture that a colour of the page covers, flat
MIN_LINE = 60  # px of the copy: of a straight line of a page's colour
MIN_PAGE_SHARE = 0.6  # of what is outside the pictures that is flat, or it is no page

# The rectangles on it
MIN_THICKNESS = 26  # px of the copy: text and icons are thinner
MIN_FILL = 0.86  # of its box that a piece fills
MIN_FILL_WITH_SIDES = 0.6  # where it has three straight sides
MIN_STRAIGHT_SHARE = 0.55  # of a side's length that stands out of what is beside it
MIN_AREA = 0.01  # of the picture's area
MIN_SIDE = 96  # px of a side, in the picture itself
MAX_SUBIMAGE_SHARE = 0.9  # of the picture: a rectangle that covers more is the picture itself

# A box around another one: a card where what lies between them is even and of few colours
CARD_LEVELS = 2  # that a neighbourhood spans where it is even
MIN_CARD_SHARE = 0.25  # of what lies between them that is even
MIN_PLAIN_SHARE = 0.7  # of the even pixels that have one of their three commonest colours
CARD_SAMPLE = 20000  # pixels that are looked at
MAX_RIM_SHARE = 0.05  # of the outer box that is outside the inner one: both are the same

# The edge of a picture, in the picture's own pixels
RINGING_WIDTH = 8  # px of a JPEG's block beside an edge
FAINT_LEVELS = 2.5  # of a step from a page to a sky of nearly its hue
FAINT_LENGTH = 16  # px along the edge that are taken together there
FAINT_WIDTH = 3  # px across it

# A photograph's colours and texture, in blocks of BLOCK_SIDE px
MIN_PHOTO_COLOURS = 40  # of 4 bits a channel
MAX_DRAWN_SHARE = 0.7  # of its pixels in the four commonest colours
BLOCK_SIDE = 8
TEXTURE_DEVIATION = 2.5  # grey levels, standard deviation in a block, that are texture
EDGE_DEVIATION = 25  # that are an edge
MIN_TEXTURED_SHARE = 0.25  # of its blocks

# Text has many edges: there, what a median without the words leaves must have texture, too
WORDY_EDGE_SHARE = 0.12  # of the blocks that are edges
WORDS_SIDE = 31  # px of the median
MIN_GROUND_SHARE = 0.15  # of the blocks that have texture then
RIM_BLOCKS = 2  # at a side that may be round corners, and are left out


@dataclass(frozen=True, slots=True)
class Inside:
    """A picture in a picture.

    Attributes:
        box: left, top, right, bottom in pixels.
        area: its share of the whole, from 0 to 1.
    """

    box: Box
    area: float


def find_pictures(pixels: np.ndarray) -> tuple[Inside, ...]:
    """Find the pictures inside a picture, uint8 RGB [H, W, 3], the largest first; none in a plain
    photograph."""
    # 1. In small
    height, width = pixels.shape[:2]
    zoom = min(1.0, SEARCH_SIDE / max(height, width))
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
    snapped_boxes = {
        box: snapped for box in pictures if (snapped := _snap_to_edges(pixels, box, zoom))
    }
    boxes = _without_nested(list(snapped_boxes), small, span <= CARD_LEVELS)
    if not boxes or not _is_page(page, boxes):
        return ()

    # 4. Those that are large enough, and not the whole
    whole = height * width
    large = [
        box
        for box in {snapped_boxes[box] for box in boxes}
        if min(box[2] - box[0], box[3] - box[1]) >= MIN_SIDE and MIN_AREA * whole <= _area(box)
    ]
    if len(large) == 1 and _area(large[0]) > MAX_SUBIMAGE_SHARE * whole:
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
    for colour in np.argsort(-counts)[:MAX_PAGE_COLOURS]:
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
    outermost: list[Box] = []
    for box in sorted(boxes, key=_area):  # the inner ones first
        inner = [other for other in outermost if _common(box, other) > 0.8 * _area(other)]
        if not inner:
            outermost.append(box)
            continue
        rest = np.ones((box[3] - box[1], box[2] - box[0]), bool)
        for left, top, right, bottom in inner:
            rest[max(0, top - box[1]) : bottom - box[1], max(0, left - box[0]) : right - box[0]] = (
                False
            )
        around = small[box[1] : box[3], box[0] : box[2]][
            rest & even[box[1] : box[3], box[0] : box[2]]
        ]
        same = len(inner) == 1 and rest.mean() < MAX_RIM_SHARE
        if not (same or (len(around) > MIN_CARD_SHARE * rest.sum() and _is_plain(around))):
            outermost = [other for other in outermost if other not in inner] + [box]
    return outermost


def _is_plain(pixels: np.ndarray) -> bool:
    """Return whether most of what is even, [N, 3], is of three colours: a page, a card on it and a
    bar.

    A sky is even from one pixel to the next, too, but not of one colour all over: three hold 0.5 of
    one at most, and 0.87 of a page at least (50 pages of training pictures).
    """
    codes = pixels[:: 1 + len(pixels) // CARD_SAMPLE].astype(int) @ [65536, 256, 1]
    others, share = codes, 0.0
    for _ in range(3):
        if len(others):
            values, counts = np.unique(others, return_counts=True)
            share += counts.max() / len(codes)
            others = others[others != values[counts.argmax()]]
    return share >= MIN_PLAIN_SHARE


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
        opening = cv2.dilate(core, _square(thin))
        outlines, _ = cv2.findContours(opening, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for outline in outlines:
            x, y, w, h = cv2.boundingRect(outline)
            if w * h >= MIN_AREA * solid.size and _is_rectangle(
                opening[y : y + h, x : x + w], outline, w * h
            ):
                boxes.append((x, y, x + w, y + h))
                # what is cut off a piece later is no part of this one
                solid[y : y + h, x : x + w] = 0
    return boxes


def _is_rectangle(piece: np.ndarray, outline: np.ndarray, area: int) -> bool:
    """Return whether a piece, its holes counted in, fills its box, or has three straight sides and
    fills most of it."""
    fill = cv2.contourArea(outline) / area
    if fill >= MIN_FILL:
        return True
    sides = [
        strip.any(axis).mean()
        for strip, axis in ((piece[:3], 0), (piece[-3:], 0), (piece[:, :3], 1), (piece[:, -3:], 1))
    ]
    return bool(
        fill >= MIN_FILL_WITH_SIDES and sum(side >= MIN_STRAIGHT_SHARE for side in sides) >= 3
    )


def _square(side: int) -> np.ndarray:
    return np.ones((side, side), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Texture:
    """Features that tell a photograph from a chart or a gradient, summed once for all boxes of a
    picture.

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
        commonest_share = np.partition(counts, -4)[-4:].sum() / counts.sum()
        if np.count_nonzero(counts) < MIN_PHOTO_COLOURS or commonest_share > MAX_DRAWN_SHARE:
            return False

        # 2. Its texture
        rows, columns = slice(top, bottom + 1, BLOCK_SIDE), slice(left, right + 1, BLOCK_SIDE)
        mean, square = (
            np.diff(np.diff(sums[rows, columns], axis=0), axis=1) / BLOCK_SIDE**2
            for sums in (self.total, self.squares)
        )
        variance = square - mean * mean
        if (variance > TEXTURE_DEVIATION**2).mean() < MIN_TEXTURED_SHARE:
            return False

        # 3. What is left without words: of a text box an even ground, whatever a JPEG made of it
        if (variance > EDGE_DEVIATION**2).mean() < WORDY_EDGE_SHARE:
            return True
        ground = cv2.medianBlur(np.ascontiguousarray(self.grey[top:bottom, left:right]), WORDS_SIDE)
        down, across = (side // BLOCK_SIDE for side in ground.shape)
        blocks = ground[: down * BLOCK_SIDE, : across * BLOCK_SIDE].reshape(
            down, BLOCK_SIDE, across, BLOCK_SIDE
        )
        uneven = blocks.std((1, 3)) > TEXTURE_DEVIATION
        rows, columns = (
            slice(min(RIM_BLOCKS, n // 4), n - min(RIM_BLOCKS, n // 4)) for n in uneven.shape
        )
        return bool(uneven[rows, columns].mean() > MIN_GROUND_SHARE)


def _is_page(page: np.ndarray, boxes: list[Box]) -> bool:
    """Return whether most of what is outside the boxes is flat and of the page's colours."""
    outside = np.ones(page.shape, bool)
    for left, top, right, bottom in boxes:
        outside[top:bottom, left:right] = False
    return not outside.any() or float(page[outside].mean()) >= MIN_PAGE_SHARE


def _snap_to_edges(pixels: np.ndarray, box: Box, zoom: float) -> Box | None:
    """Return the box in the picture's own pixels, each side on the strongest straight edge near it;
    None without edges.

    One side may lack its edge, such as that of a sky in the page's colour, if all others have
    theirs.
    """
    height, width = pixels.shape[:2]
    left, top, right, bottom = (v / zoom for v in box)
    reach = int(np.ceil(3 / zoom)) + RINGING_WIDTH
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
    allowed = 1 if borders == 0 else 0
    if bare > allowed or borders == 4:
        return None
    return sides[0].at, sides[1].at, sides[2].at, sides[3].at


@dataclass(frozen=True, slots=True)
class _Side:
    """A side of a box.

    Attributes:
        at: its place, in px.
        straight: whether an edge or the picture's border runs along it.
        border: whether that is the picture's border.
    """

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
    """Return the place within `reach` of `at` with the strongest step between lines beside each
    other; where no step is strong, the longest faint one."""
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
    if (steps[best] > COLOUR_LEVELS).mean() >= MIN_STRAIGHT_SHARE:
        return _Side(low + best, True, False)
    faint = _faint(lines, inwards)
    best = int(np.argmax(faint))
    straight = bool(faint[best] >= MIN_STRAIGHT_SHARE)
    return _Side(low + best if straight else round(at), straight, False)


def _faint(lines: np.ndarray, inwards: int) -> np.ndarray:
    """Return the share of pieces before each of N places where an even page ends, of lines beside
    each other, [N + 1, L, 3].

    A step of a few levels shows where pixels along it are taken together.
    """
    count = lines.shape[1] // FAINT_LENGTH
    off = np.zeros((len(lines) - 1, count), bool)
    if not count or len(lines) <= 2 * FAINT_WIDTH:
        return np.zeros(len(off))
    along = (
        lines[:, : count * FAINT_LENGTH]
        .reshape(len(lines), count, FAINT_LENGTH, 3)
        .transpose(2, 0, 1, 3)
    )
    pieces = np.ascontiguousarray(along)  # (FAINT_LENGTH, N + 1, count, 3)
    even = (pieces.max(0) - pieces.min(0)).max(2) <= FLAT_LEVELS
    # Sums over FAINT_WIDTH lines from each on: before place i lie those from i - FAINT_WIDTH on,
    # after it those from i on.
    total = _join_windows(pieces.sum(0, dtype=np.int32), np.add)
    step = np.abs(total[FAINT_WIDTH:-1] - total[: -FAINT_WIDTH - 1]).max(2) / (
        FAINT_WIDTH * FAINT_LENGTH
    )
    outside = _join_windows(even, np.logical_and)
    off[FAINT_WIDTH - 1 : len(lines) - FAINT_WIDTH - 1] = (step > FAINT_LEVELS) & (
        outside[: -FAINT_WIDTH - 1] if inwards > 0 else outside[FAINT_WIDTH:-1]
    )
    return off.mean(1)


def _join_windows(lines: np.ndarray, join: np.ufunc) -> np.ndarray:
    """Join each line with those after it, FAINT_WIDTH in all: [N - FAINT_WIDTH + 1, ...]."""
    windows: np.ndarray = join.reduce(
        [lines[i : len(lines) - FAINT_WIDTH + 1 + i] for i in range(FAINT_WIDTH)]
    )
    return windows
