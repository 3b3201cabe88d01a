"""A small random purifier for tests."""

from typing import Any

import torch

from purifier.pipeline import PurifierPipeline, new_pipeline


def tiny_purifier(*, seed: int = 0, **options: Any) -> PurifierPipeline:
    """Random weights: it changes pictures by a few levels; tiles of 96 px, a coarse pass at 32 px."""
    sizes = {"tile": 96, "overlap": 24, "coarse": 32} | options
    pipeline = new_pipeline(channels=(8, 16), seed=seed, **sizes)
    torch.nn.init.normal_(pipeline.unet.conv_out.weight, std=0.1, generator=torch.Generator().manual_seed(seed))
    pipeline.unet.eval().requires_grad_(False)
    return pipeline
