"""Estimated compression, from pixels alone, for the calibration. Width, height and aspect have no part in it."""

import numpy as np

WINDOW = 512  # px; the middle of the picture, so that large pictures cost no more than small ones


def compression(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> [2]: how visible a grid of 8 px blocks is, and how much fine detail is left.

    blocking: log ratio of the mean step across block borders to the mean step elsewhere; 0 for an uncompressed picture.
    detail: log of the mean absolute second difference, in grey levels; falls with blur, upscaling and compression.
    """
    grey = _middle(pixels).astype(np.float32).mean(2)
    blocking, detail = [], []
    for plane in (grey, grey.T):
        step = np.abs(np.diff(plane, axis=1)).mean(0)
        border = step[7::8].mean()
        inner = np.delete(step, np.s_[7::8]).mean()
        blocking.append(np.log((border + 0.05) / (inner + 0.05)))
        detail.append(np.abs(np.diff(plane, n=2, axis=1)).mean())
    return np.array([np.mean(blocking), np.log(np.mean(detail) + 0.05)])


def _middle(pixels: np.ndarray) -> np.ndarray:
    """The middle WINDOW x WINDOW px, cut on the 8 px grid that a JPEG starts at the top left."""
    top = max(0, (pixels.shape[0] - WINDOW) // 2) // 8 * 8
    left = max(0, (pixels.shape[1] - WINDOW) // 2) // 8 * 8
    return pixels[top : top + WINDOW, left : left + WINDOW]
