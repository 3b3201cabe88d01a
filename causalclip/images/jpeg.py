"""Traces of JPEG in pixels: a grid of blocks, less detail, and the steps of earlier compressions.

JPEG (ITU-T T.81) cuts a picture into blocks of 8 x 8 px and rounds each block's DCT coefficients to
multiples of the steps in a table. What measures a picture reads its middle, so that a large one
costs no more than a small one.
"""

import cv2
import numpy as np

BLOCK = 8  # px of a block's side
WINDOW = 512  # px of a side of the middle that is read
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of R, G and B (ITU-R BT.601)
# ITU-T T.81, table K.1, row by row.
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
# How much larger the mean step across the borders of blocks is than elsewhere, from which a picture
# has a grid.
GRID = 1.15

# An earlier compression is told by these (vertical, horizontal) frequencies of a block.
MODES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2), (0, 3), (3, 0))
QUALITIES = range(20, 96)
# Mean agreement from which an earlier compression is reported; see docs/measured.md.
MIN_AGREEMENT = 0.35
MIN_COUNT = 400  # coefficients beyond half a step: fewer say too little


def standard_table(quality: int) -> np.ndarray:
    """Return the luminance table of a quality of 1 to 100, integer [8, 8].

    By the rule of the Independent JPEG Group, which most software follows.
    """
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((LUMINANCE * scale + 50) // 100, 1, 255)


def nearest_quality(table: np.ndarray) -> tuple[int, bool]:
    """Return the quality whose standard table is nearest to a table [8, 8], and whether it is that
    table."""
    logs = np.log(np.clip(table, 1, None))

    def distance(quality: int) -> float:
        return float(np.abs(np.log(standard_table(quality)) - logs).mean())

    quality = min(range(1, 101), key=distance)
    return quality, bool((standard_table(quality) == table).all())


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Return the luminance of a picture, uint8 RGB [H, W, 3] -> uint8 [H, W]; grey stays itself."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY))


def middle(pixels: np.ndarray) -> np.ndarray:
    """Cut out the middle WINDOW x WINDOW px, on the grid of blocks that starts at the top left."""
    top = max(0, (pixels.shape[0] - WINDOW) // 2) // BLOCK * BLOCK
    left = max(0, (pixels.shape[1] - WINDOW) // 2) // BLOCK * BLOCK
    return pixels[top : top + WINDOW, left : left + WINDOW]


def compression(pixels: np.ndarray) -> np.ndarray:
    """Measure how visible the grid of blocks is, and how much fine detail is left.

    Args:
        pixels: uint8 RGB [H, W, 3].

    Returns:
        [2]: blocking, the log ratio of the mean step across the borders of blocks to the mean step
        elsewhere, 0 for an uncompressed picture; and detail, the log of the mean absolute second
        difference in grey levels, which falls with blur, upscaling and compression.
    """
    grey = middle(pixels).astype(np.float32).mean(2)
    blocking, detail = [], []
    for plane in (grey, grey.T):
        step = np.abs(np.diff(plane, axis=1)).mean(0)
        border = step[BLOCK - 1 :: BLOCK].mean()
        inner = np.delete(step, np.s_[BLOCK - 1 :: BLOCK]).mean()
        blocking.append(np.log((border + 0.05) / (inner + 0.05)))
        detail.append(np.abs(np.diff(plane, n=2, axis=1)).mean())
    return np.array([np.mean(blocking), np.log(np.mean(detail) + 0.05)])


def block_grid(pixels: np.ndarray) -> tuple[int, int] | None:
    """Find the grid of blocks in a picture (uint8 RGB [H, W, 3]), wherever it starts.

    Returns:
        The last row and column of the first block, 0 to 7 each; None where no grid is to be seen.
    """
    grey = luminance(middle(pixels)).astype(np.int16)
    ends = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(1 - axis)
        by_phase = np.array([steps[phase::BLOCK].mean() for phase in range(BLOCK)])
        best = int(by_phase.argmax())
        others = np.delete(by_phase, best).mean()
        if (by_phase[best] + 0.05) / (others + 0.05) < GRID:
            return None
        ends.append(best)
    return ends[0], ends[1]


def earlier_quality(pixels: np.ndarray, *, last: int | None) -> int | None:
    """Estimate the quality of a JPEG compression before the last one.

    Coefficients that were once rounded to multiples of a step stay near these through a later,
    finer compression (double quantisation: Lukas and Fridrich, 2003). Scaling, turning, or a crop
    off the grid erase that, so None does not show that there was none.

    Args:
        pixels: uint8 RGB [H, W, 3], not turned or scaled since decoding.
        last: the quality of the file's own compression; None for a file that is no JPEG.

    Returns:
        The quality, roughly; None if there is no sign of one.
    """
    coefficients = _coefficients(pixels)
    last_steps = standard_table(last) if last else np.ones((BLOCK, BLOCK), int)
    agreements: dict[
        tuple[tuple[int, int], int], tuple[float, int]
    ] = {}  # many tables share a step

    def agreement(quality: int) -> float:
        """The mean of `_agreement_with_step` over all modes; -1 where too few coefficients tell."""
        steps, total, count = standard_table(quality), 0.0, 0
        for mode in MODES:
            step = int(steps[mode])
            if step <= max(1.5 * last_steps[mode], 3):
                continue  # the last compression was coarser: what was there before is gone
            if (mode, step) not in agreements:
                agreements[mode, step] = _agreement_with_step(coefficients[mode], step)
            total += agreements[mode, step][0]
            count += agreements[mode, step][1]
        return total / count if count >= MIN_COUNT else -1.0

    by_quality = {quality: agreement(quality) for quality in QUALITIES}
    best = max(by_quality, key=by_quality.__getitem__)
    return best if by_quality[best] >= MIN_AGREEMENT else None


def _coefficients(pixels: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Return, by mode, the DCT coefficients of the luminance of all blocks, float32, in JPEG's
    scale."""
    cut = middle(pixels).astype(np.float32) @ LUMA - 128
    rows, columns = cut.shape[0] // BLOCK, cut.shape[1] // BLOCK
    blocks = cut[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    from scipy.fft import dctn  # a tenth of a second of imports, for whoever gets this far

    spectrum = dctn(blocks, axes=(1, 3), norm="ortho")
    return {(u, v): spectrum[:, u, :, v].ravel() for u, v in MODES}


def _agreement_with_step(values: np.ndarray, step: int) -> tuple[float, int]:
    """The sum of cos(2 pi c / step) over coefficients beyond half a step, and how many there are.

    A coefficient on a multiple of the step adds 1, one halfway between two of them -1.
    """
    large = values[np.abs(values) > 0.5 * step]
    return float(np.cos(2 * np.pi / step * large).sum()), len(large)
