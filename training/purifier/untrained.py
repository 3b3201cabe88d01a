"""A purifier before it is trained."""

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DModel

from purifier.denoiser.pipeline import PurifierPipeline


def new_pipeline(
    *,
    channels: tuple[int, ...] = (32, 64, 128),
    layers: int = 1,
    fold: int = 2,
    seed: int = 0,
    **options: Any,
) -> PurifierPipeline:
    """An untrained purifier, which leaves every picture as it is: its last layer is zero.

    Its U-Net has no attention, so that what is said of a tile does not depend on what is far away.

    Args:
        channels: of the U-Net's levels. layers: its residual blocks a level. fold: see
            PurifierPipeline. seed: of the other weights. options: of PurifierPipeline.
    """
    torch.manual_seed(seed)
    unet: Any = UNet2DModel(
        in_channels=9 * fold**2,
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
    return PurifierPipeline(unet, FlowMatchEulerDiscreteScheduler(), fold=fold, **options)
