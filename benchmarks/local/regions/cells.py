"""What a picture looks like place by place: tokens of a CLIP tower's inner layers on a dense tiling, at two scales.

A picture is divided into cells of CELL px. Every cell has the mean of the tokens that lie in it at native scale, and,
beside it, what the same place looks like at half scale. Tokens are normalised one by one; all that follows (means over
tiles that overlap and over a cell) is linear, so a head that is linear in a cell is exactly a sum over its tokens.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.tower import Tower, normalise
from causalclip.clip.views import View, render

CELL = 32  # px of the working picture
LONG_SIDE = 1024  # px of the working picture, at most
BATCH = 8  # tiles a pass
NATIVE, HALF = (2, 4, 6), (4, 6)  # layers whose tokens are taken, by scale


def working(pixels: np.ndarray) -> np.ndarray:
    """The picture (uint8 RGB [H, W, 3]) as it is looked at: at native scale, or shrunk to LONG_SIDE by area."""
    factor = LONG_SIDE / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def grid_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of whole cells in a working picture; what is left over at the right and below is not seen."""
    return max(1, height // CELL), max(1, width // CELL)


@torch.inference_mode()
def token_cells(tower: Tower, picture: np.ndarray) -> Tensor:
    """Tokens of a working picture (uint8 RGB [H, W, 3]), float32 [D, rows, columns]: NATIVE's layers, then HALF's."""
    rows, columns = grid_of(*picture.shape[:2])
    seen = np.ascontiguousarray(picture[: rows * CELL, : columns * CELL])
    maps = []
    for factor, layers in ((1.0, NATIVE), (0.5, HALF)):
        scaled = _scaled(seen, factor, tower.image_size)
        tokens = _tiled(tower, scaled, layers)
        maps.append(_to_grid(tokens, rows, columns))
    return torch.cat(maps)


def _scaled(seen: np.ndarray, factor: float, tile: int) -> np.ndarray:
    """Scaled by the factor, but no side below a tile."""
    height, width = seen.shape[:2]
    factor = max(factor, tile / min(height, width))
    if factor == 1:
        return seen
    size = max(tile, round(width * factor)), max(tile, round(height * factor))
    return np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC))


def _tiled(tower: Tower, picture: np.ndarray, layers: tuple[int, ...]) -> Tensor:
    """Tokens of the layers side by side, [D, rows, columns] with a token a patch, from tiles that cover the picture."""
    tile, patch = tower.image_size, tower.image_size // tower.grid
    rows, columns = picture.shape[0] // patch, picture.shape[1] // patch
    corners = [(y, x) for y in starts(rows, tower.grid) for x in starts(columns, tower.grid)]
    views = [View("window", (x * patch, y * patch, x * patch + tile, y * patch + tile)) for y, x in corners]
    total = torch.zeros(len(layers) * tower.width, rows, columns)
    count = torch.zeros(rows, columns)
    for first in range(0, len(views), BATCH):
        trace = tower(render(picture, views[first : first + BATCH], size=tile), until=max(layers))
        tokens = torch.cat([normalise(trace.patches[layer])[0] for layer in layers], 2)
        square = tokens.transpose(1, 2).unflatten(2, (tower.grid, tower.grid))
        for (y, x), one in zip(corners[first : first + BATCH], square, strict=True):
            total[:, y : y + tower.grid, x : x + tower.grid] += one
            count[y : y + tower.grid, x : x + tower.grid] += 1
    return total / count


def starts(length: int, tile: int) -> list[int]:
    """Where tiles begin that cover `length` patches with as few as can be, spread evenly and overlapping."""
    count = math.ceil(length / tile)
    return [0] if count == 1 else [round(i * (length - tile) / (count - 1)) for i in range(count)]


def _to_grid(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """[D, h, w] -> [D, rows, columns]: the mean where there are more tokens than cells, else bilinear."""
    if tokens.shape[1] >= rows and tokens.shape[2] >= columns:
        return F.adaptive_avg_pool2d(tokens[None], (rows, columns))[0]
    return F.interpolate(tokens[None], size=(rows, columns), mode="bilinear", align_corners=False)[0]
