"""DALL-E 2's bar: five coloured squares in the bottom right corner."""

import numpy as np

from causalclip.images.formats import Box

# The squares' colours, from left to right.
BAR = np.array(
    [(255, 255, 102), (66, 255, 255), (81, 218, 76), (255, 110, 60), (60, 70, 255)],
    dtype=np.float32,
)
SQUARE = 16 / 1024  # a square's side, in widths of the picture
# of 255: how far all squares on average, and each channel of each, may be
NEAR_COLOUR, FAR_COLOUR = 25.0, 45.0
MIN_SQUARE = 4  # px: a smaller square has no colour of its own


def find_bar(pixels: np.ndarray) -> Box | None:
    """Return the bar's box in uint8 RGB [H, W, 3]; None without one."""
    height, width = pixels.shape[:2]
    side = round(SQUARE * width)
    if side < MIN_SQUARE or height < side:
        return None
    edge = max(1, side // 5)  # is blended with its neighbours
    left, top = width - 5 * side, height - side
    squares = pixels[top + edge : height - edge, left:].reshape(side - 2 * edge, 5, side, 3)
    squares = squares[:, :, edge : side - edge]
    distance = np.abs(squares.astype(np.float32).mean((0, 2)) - BAR)
    if distance.mean() > NEAR_COLOUR or distance.max() > FAR_COLOUR:
        return None
    return left, top, width, height
