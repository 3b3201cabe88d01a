"""Purifiers before they are trained: on pixels, and on a pretrained latent network."""

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DModel

from purifier.denoiser.latent import LatentPurifier, load_base
from purifier.denoiser.pipeline import PurifierPipeline

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")  # its matrices, which the update is on


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


def new_latent(base: str, *, rank: int = 16, seed: int = 0, **options: Any) -> LatentPurifier:
    """Return a purifier on a pretrained base, with a low-rank update that changes nothing yet.

    Args:
        rank, seed: of the update.
        base, options: as of `load_base`; raises as it does.
    """
    pipeline = load_base(base, **options)
    from peft import LoraConfig  # which load_base has looked for

    torch.manual_seed(seed)
    pipeline.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ATTENTION)))
    return pipeline
