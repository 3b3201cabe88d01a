"""Fixed filters: what the purifier's network sees a picture through, and what takes out what the
network leaves."""

import io
import math
from functools import cache

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

QUALITY = 10  # of JPEG's tables, for `quantise`
# px of the short side of the coarse twin: coarser than CLIP sees, and on another grid
REFERENCE_SIDE = 176
BLOCK = 8  # px, of JPEG's transform
MAX_QUANTISED_PIXELS = 1 << 22
MIN_SHORT_SIDE = 24  # px, of what is quantised
# px of the short side, TURN radians, MOVE of half a side: what quantise_by_chance draws from
SIDES = (150, 208)
TURN, MOVE, LONG = 0.4, 0.05, 4 / 3  # LONG: sides from which on it is turned less
# of its grid, evenly spread over a block
SHIFTS = ((0, 0), (4, 4), (2, 6), (6, 2), (1, 3), (5, 7), (3, 1), (7, 5))
# Of JFIF: brightness, and two colours around 0
_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)


def fine_detail(pixels: Tensor) -> Tensor:
    """Return each value minus the mean of its 3 x 3 px. Here a perturbation is large, compared with
    the content."""
    return pixels - F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)


def resize(pixels: Tensor, factor: float) -> Tensor:
    """Resize float [N, 3, H, W] to `factor` times its size, bicubic with antialias."""
    if factor == 1:
        return pixels
    size = [max(1, round(side * factor)) for side in pixels.shape[-2:]]
    return F.interpolate(pixels, size, mode="bicubic", antialias=True, align_corners=False)


def coarser(pixels: Tensor, side: float) -> Tensor:
    """Return the picture with a short side of at most `side` px.

    A long strip gets a shorter one, as it would fill the memory: MAX_QUANTISED_PIXELS is never
    exceeded, unless the short side would be less than MIN_SHORT_SIDE.
    """
    height, width = pixels.shape[-2:]
    short = min(height, width)
    largest = math.sqrt(MAX_QUANTISED_PIXELS / (height * width))
    return resize(pixels, max(MIN_SHORT_SIDE / short, min(side / short, largest)))


def quantise(
    pixels: Tensor, quality: int = QUALITY, shifts: tuple[tuple[int, int], ...] = SHIFTS
) -> Tensor:
    """A picture as JPEG at a low quality leaves it, as the mean over `shifts` of the grid of
    blocks.

    Small coefficients, where a perturbation lives, become 0; edges, which are large ones, stay
    sharp. The mean takes away the blocks (Nosratinia, Denoising of JPEG images by re-application of
    JPEG, 2001). The gradient goes straight
    through the rounding: the true one is 0 nearly everywhere, and would only hide what an attacker
    can do.

    Args:
        pixels: float [N, 3, H, W] in [0, 1], sides above 16 px.
    """
    height, width = pixels.shape[-2:]
    to_colours = pixels.new_tensor(_YCBCR) * 255
    planes = torch.einsum("cd,ndhw->nchw", to_colours, pixels)
    total = torch.zeros_like(pixels)
    for down, right in shifts:
        below, beside = (
            -(side + shift) % (2 * BLOCK) for side, shift in ((height, down), (width, right))
        )
        area = F.pad(planes, (right, beside, down, below), mode="reflect")
        total = (
            total + _through_jpeg(area, quality)[..., down : down + height, right : right + width]
        )
    return torch.einsum("cd,ndhw->nchw", torch.linalg.inv(to_colours), total / len(shifts)).clamp(
        0, 1
    )


def quantise_at(pixels: Tensor, quality: int, side: int) -> Tensor:
    """`quantise` at a short side of `side` px, then enlarged again, by which it may leave [0, 1] a
    little."""
    coarse = quantise(coarser(pixels.clamp(0, 1), side), quality)
    if coarse.shape == pixels.shape:
        return coarse
    return F.interpolate(coarse, pixels.shape[-2:], mode="bicubic", align_corners=False)


def quantise_by_chance(
    pixels: Tensor,
    size: tuple[int, int],
    generator: torch.Generator | None = None,
) -> Tensor:
    """`quantise` at a short side, on grids, at an angle and in a place that are drawn anew, and
    turned back; so that an white-box attacker who does not know the draw can only follow a mean
    gradient (EOT).

    Args:
        pixels: float [N, 3, H, W] in [0, 1]. size: height and width of what is returned.
    """

    def draw(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=generator).item()

    small = coarser(pixels, draw(*SIDES)).clamp(0, 1)
    rim = [side // 4 for side in small.shape[-2:]]  # so that no corner is turned out of the picture
    area = F.pad(small, (rim[1], rim[1], rim[0], rim[0]), mode="reflect")
    ratio = area.shape[-1] / area.shape[-2]
    most = TURN * min(1.0, LONG * min(ratio, 1 / ratio))  # a long picture sweeps far
    angle, scale = draw(-most, most), draw(0.95, 1.05)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    shift = (draw(-MOVE, MOVE), draw(-MOVE, MOVE))
    turn = torch.tensor(
        [[cosine, -sine / ratio, shift[0]], [sine * ratio, cosine, shift[1]], [0, 0, 1]]
    )
    shifts = tuple((int(draw(0, BLOCK)), int(draw(0, BLOCK))) for _ in SHIFTS)
    result = quantise(_warp(area, turn).clamp(0, 1), shifts=shifts)
    straight = _warp(result, torch.linalg.inv(turn))[..., rim[0] : -rim[0], rim[1] : -rim[1]]
    return F.interpolate(straight, size, mode="bicubic", align_corners=False).clamp(0, 1)


def _warp(pixels: Tensor, turn: Tensor) -> Tensor:
    """Move pictures by an affine map of [-1, 1] x [-1, 1], [3, 3]."""
    where = F.affine_grid(
        turn[:2].to(pixels).expand(len(pixels), 2, 3), list(pixels.shape), align_corners=False
    )
    return F.grid_sample(
        pixels, where, mode="bicubic", padding_mode="reflection", align_corners=False
    )


def _through_jpeg(planes: Tensor, quality: int) -> Tensor:
    """One JPEG round trip of brightness and two colours, [N, 3, H, W] in 0 to 255, sides multiples
    of 16 px; the colours at half resolution."""
    luma, chroma = (torch.tensor(table, device=planes.device) for table in _tables(quality))
    y, colours = planes.split((1, 2), 1)
    y = _blocks(y - 128, luma) + 128
    small = _blocks(F.avg_pool2d(colours, 2).flatten(0, 1)[:, None], chroma).view(
        len(planes), 2, *_half(planes)
    )
    return torch.cat(
        [y, F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)], 1
    )


def _half(pixels: Tensor) -> tuple[int, int]:
    return pixels.shape[-2] // 2, pixels.shape[-1] // 2


def _blocks(plane: Tensor, table: Tensor) -> Tensor:
    """Round the coefficients of each plane's blocks to multiples of the table's values: [N, 1, H,
    W] -> the same."""
    waves = _cosines().to(plane)
    blocks = F.pixel_unshuffle(plane, BLOCK).movedim(1, -1)  # [N, H / 8, W / 8, 64]
    coefficients = blocks @ waves.T / table
    multiples = coefficients + (coefficients.round() - coefficients).detach()
    return F.pixel_shuffle((multiples * table @ waves).movedim(-1, 1), BLOCK)


@cache
def _cosines() -> Tensor:
    """The orthonormal basis of the 8 x 8 DCT-II, [64, 64]: a row a coefficient, both in JPEG's
    order of rows."""
    with torch.inference_mode(False):  # it is kept, and others need gradients through it
        k = torch.arange(BLOCK, dtype=torch.float64)
        waves = torch.cos(torch.pi * (k + 0.5) * k[:, None] / BLOCK) * (2 / BLOCK) ** 0.5
        waves[0] /= 2**0.5
        return torch.kron(waves, waves).float()


@cache
def _tables(quality: int) -> tuple[list[float], list[float]]:
    """Return libjpeg's tables of this quality, for brightness and for colour, as it writes them."""
    file = io.BytesIO()
    Image.new("RGB", (BLOCK, BLOCK)).save(file, "JPEG", quality=quality)
    tables: dict[int, list[int]] = Image.open(file).quantization  # type: ignore[attr-defined]
    return [float(v) for v in tables[0]], [float(v) for v in tables[1]]
