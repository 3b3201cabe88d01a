"""Between the pictures that are loaded and saved (uint8) and the ones that models take (float in
[0, 1])."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from causalclip.images.formats import ImageTooLarge
from causalclip.languages import N_, _, figure

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 12_000_000  # of a picture: what a purification holds in memory grows with it


def to_tensor(pixels: np.ndarray) -> Tensor:
    """Convert uint8 [H, W, 3] to float [1, 3, H, W] in [0, 1].

    Raises:
        ImageTooLarge: more than MAX_PIXELS pixels.
    """
    import torch  # seconds of imports, which a check of a picture's size need not wait for

    check_size(pixels)
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float()[None] / 255


def to_array(pixels: Tensor) -> np.ndarray:
    """Convert float [1, 3, H, W] in [0, 1] to uint8 [H, W, 3], rounded to the nearest level."""
    levels = (pixels[0].detach().clamp(0, 1) * 255).round().byte()
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())


def save_exact(pixels: Tensor, path: Path) -> None:
    """Write a PNG, which keeps every value.

    Raises:
        ValueError: the file's name ends in something else; another format would change what was
            made.
    """
    check_png(path)
    Image.fromarray(to_array(pixels)).save(path, "PNG", compress_level=1)


def check_png(path: Path) -> None:
    """Raise ValueError if a result would be saved in another format, which would change what was
    made, or nowhere."""
    if path.suffix.lower() != ".png":
        raise ValueError(
            "Name the result .png: other formats change pixels, and with them what an attack has "
            "done."
        )
    if not path.parent.is_dir():
        raise ValueError(
            f"There is no folder '{path.parent}' for the result. Make it, or name another."
        )


def check_pixels(pixels: Tensor) -> None:
    """Raise ValueError for what is no float [N, 3, H, W]."""
    if pixels.dim() != 4 or pixels.shape[1] != 3 or not pixels.is_floating_point():
        raise ValueError(
            f"Pixels must be float [N, 3, H, W] in [0, 1], not {pixels.dtype} "
            f"{tuple(pixels.shape)}."
        )


def check_size(pixels: np.ndarray) -> None:
    """Raise ImageTooLarge for a picture [H, W, 3] of more than MAX_PIXELS pixels."""
    if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        sentence = N_(
            "Pictures of at most {millions} million pixels are taken here. Cut out a part of it "
            "and try again."
        )
        raise ImageTooLarge(_(sentence, millions=figure(MAX_PIXELS / 1e6)))
