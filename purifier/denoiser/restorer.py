"""The restorer: a network that gives back what coarse quantisation takes from a picture.

Coarse quantisation takes out an attack, and detail with it. The restorer sees the quantised picture alone, so that
nothing of an attack goes around the quantisation, and adds the detail that such pictures have. It learns by what CLIP
and the language model see (HGD, Liao et al., CVPR 2018, arXiv 1712.02976).
"""

from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from torch import Tensor

from causalclip.clip.runtime import fast_dtype
from purifier.denoiser.filters import resize
from purifier.denoiser.tiles import apply_tiled

SIDE = 224  # px of the short side at which it works: that of CLIP
ADDED = 0.1  # the unit of what it adds


def new_unet(*, inputs: int, channels: tuple[int, ...], layers: int, fold: int, seed: int) -> UNet2DModel:
    """An untrained U-Net from `inputs` colour planes to three, all folded by `fold`; its last layer is zero.

    Without attention, so that what is said of a tile does not depend on what is far away.

    Args:
        channels: of the levels. layers: residual blocks a level.
    """
    torch.manual_seed(seed)
    unet: Any = UNet2DModel(
        in_channels=inputs * fold**2,
        out_channels=3 * fold**2,
        layers_per_block=layers,
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * len(channels),
        up_block_types=("UpBlock2D",) * len(channels),
        add_attention=False,
        norm_num_groups=8,
    )
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    return unet  # type: ignore[no-any-return]


def new_restorer(
    *, channels: tuple[int, ...] = (32, 64, 128, 192), layers: int = 1, fold: int = 2, seed: int = 0
) -> UNet2DModel:
    """An untrained restorer, which leaves every quantised picture as it is. See new_unet."""
    return new_unet(inputs=3, channels=channels, layers=layers, fold=fold, seed=seed)


def restored(unet: Any, quantised: Tensor, quality: int, **sizes: int) -> Tensor:
    """The quantised pictures and what the restorer adds to them; differentiable.

    Args:
        unet: a restorer. quantised: float [N, 3, H, W] in [0, 1], pictures behind filters.quantise. quality: of it; the
            network is told. sizes: `tile` and `overlap` of apply_tiled.

    Returns:
        float [N, 3, H, W], not clipped.
    """
    fold = isqrt(unet.config["in_channels"] // 3)

    def network(part: Tensor) -> Tensor:
        folded = F.pixel_unshuffle(part, fold)
        with torch.autocast(part.device.type, torch.bfloat16, enabled=fast_dtype() is torch.bfloat16):
            out = unet(folded, quality).sample
        return ADDED * F.pixel_shuffle(out.float(), fold)

    seen = resize(quantised * 2 - 1, SIDE / min(quantised.shape[-2:]))
    multiple = fold * 2 ** (len(unet.config["block_out_channels"]) - 1)
    added = apply_tiled(network, seen, multiple=multiple, **sizes)
    if added.shape[-2:] != quantised.shape[-2:]:
        added = F.interpolate(added, quantised.shape[-2:], mode="bicubic", align_corners=False)
    return quantised + added
