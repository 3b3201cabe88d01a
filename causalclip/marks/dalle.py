"""DALL-E 2's bar: five coloured squares in the bottom right corner, 16 px each in a picture of 1,024 px."""

import numpy as np

from causalclip.marks.mark import Box

COLOURS = np.array([(255, 255, 102), (66, 255, 255), (81, 218, 76), (255, 110, 60), (60, 70, 255)], dtype=np.float32)
SHARE = 16 / 1024  # of the picture's width: a square's side
NEAR, FAR = 25.0, 45.0  # of 255: how far the mean of all squares, and each channel of each, may be from its colour
LEAST = 4  # px: a smaller square has no colour of its own


def find_bar(pixels: np.ndarray) -> Box | None:
    """The bar's box in uint8 RGB [H, W, 3]; None without one."""
    height, width = pixels.shape[:2]
    side = round(SHARE * width)
    if side < LEAST or height < side:
        return None
    edge = max(1, side // 5)  # is blended with its neighbours
    left, top = width - 5 * side, height - side
    squares = pixels[top + edge : height - edge, left:].reshape(side - 2 * edge, 5, side, 3)[:, :, edge : side - edge]
    away = np.abs(squares.astype(np.float32).mean((0, 2)) - COLOURS)
    return (left, top, width, height) if away.mean() <= NEAR and away.max() <= FAR else None
