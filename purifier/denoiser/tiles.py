"""A network on pictures larger than it takes at once: tile by tile, blended."""

import math
from collections.abc import Callable, Generator
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

T = TypeVar("T")
# Work in parts: it yields between two of them, where others may go first, and returns its result.
Parts = Generator[None, None, T]
# [N, C, h, w] -> [N, D, h, w], h and w multiples of `multiple`
Network = Callable[[Tensor], Tensor]


def finish(parts: Parts[T]) -> T:
    """Do all parts of some work at once; return its result."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            result: T = end.value
            return result


def apply_tiled(
    network: Network, pixels: Tensor, *, tile: int, overlap: int, multiple: int
) -> Parts[Tensor]:
    """Generator that returns network(pixels), made of tiles where a side is above `tile`.

    Tiles of one size are spread evenly, at least `overlap` px over each other, and blended by
    weights that fall linearly to 0 across the overlap. What does not fill a multiple of `multiple`
    px is padded by reflection. The result is differentiable.

    Args:
        pixels: [N, C, H, W]. tile, multiple: px; tile is a multiple of `multiple`.

    Yields:
        None before each of several tiles, on a CPU only.
    """
    height, width = pixels.shape[-2:]
    h, tops = _plan_tiles(height, tile=tile, overlap=overlap, multiple=multiple)
    w, lefts = _plan_tiles(width, tile=tile, overlap=overlap, multiple=multiple)
    pixels = _pad_to(pixels, max(height, h), max(width, w))
    if len(tops) == len(lefts) == 1:
        return network(pixels)[..., :height, :width]
    total: Tensor | None = None
    weight = pixels.new_zeros(1, 1, *pixels.shape[-2:])
    for top in tops:
        for left in lefts:
            ramp = _ramp(h, overlap, top > 0, top + h < pixels.shape[-2])[:, None]
            ramp = (ramp * _ramp(w, overlap, left > 0, left + w < pixels.shape[-1])).to(pixels)
            place = (..., slice(top, top + h), slice(left, left + w))
            if pixels.device.type == "cpu":
                yield
            output = network(pixels[place]) * ramp
            if total is None:
                total = pixels.new_zeros(*output.shape[:2], *pixels.shape[-2:])
            total[place] += output
            weight[place] += ramp
    assert total is not None
    return (total / weight)[..., :height, :width]


def _plan_tiles(side: int, *, tile: int, overlap: int, multiple: int) -> tuple[int, list[int]]:
    """The size of the tiles along a side of `side` px, and where each starts."""
    if side <= tile:
        return math.ceil(side / multiple) * multiple, [0]
    count = math.ceil((side - overlap) / (tile - overlap))
    size = math.ceil((side + (count - 1) * overlap) / count / multiple) * multiple
    return size, [round(i * (side - size) / (count - 1)) for i in range(count)]


def _pad_to(pixels: Tensor, height: int, width: int) -> Tensor:
    """Pad pictures at the bottom and the right by reflection; by repeating the edge where the
    picture is too small for it."""
    down, right = height - pixels.shape[-2], width - pixels.shape[-1]
    if not down and not right:
        return pixels
    small = down >= pixels.shape[-2] or right >= pixels.shape[-1]
    return F.pad(pixels, (0, right, 0, down), mode="replicate" if small else "reflect")


def _ramp(size: int, overlap: int, before: bool, after: bool) -> Tensor:
    """Return weights along a side: 1, falling towards an edge that another tile continues."""
    rise = (torch.arange(size) + 0.5) / overlap
    ramp = torch.ones(size)
    if before:
        ramp = torch.minimum(ramp, rise)
    return torch.minimum(ramp, rise.flip(0)) if after else ramp
