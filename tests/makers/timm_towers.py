"""Small random copies of timm's architectures: the same class and options, narrow and with few layers; no downloads."""

from typing import Any

import timm
import torch

create_model = timm.create_model
SMALL: dict[str, Any] = {"embed_dim": 48, "depth": 3, "num_heads": 3}
OPTIONS: dict[str, dict[str, Any]] = {
    "vit_large_patch16_dinov3": {"img_size": 64},
    "vit_large_patch16_dinov3_qkvb": {"img_size": 64},
    "vit_huge_plus_patch16_dinov3": {"img_size": 64},
    "vit_base_patch14_reg4_dinov2": {"img_size": 56},
    "vit_pe_core_large_patch14_336": {"img_size": 56, "attn_pool_num_heads": 4},
    "vit_pe_core_base_patch16_224": {"img_size": 64, "attn_pool_num_heads": 4},
    "vit_pe_core_gigantic_patch14_448": {"img_size": 56, "attn_pool_num_heads": 4},
}


def small_trunk(name: str, *, pretrained: bool = False, **options: Any) -> Any:
    """timm's model of that name with 3 layers of width 48 and 16 patches, all of its weights random."""
    trunk = create_model(name, pretrained=False, **(SMALL | OPTIONS.get(name, {}) | options))
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, weight in trunk.named_parameters():
            spread = torch.randn(weight.shape, generator=g) * 0.15
            weight.copy_(spread + (1 if "norm" in key and key.endswith("weight") else 0))
    return trunk.eval()
