"""An image tower without weights, under open_clip's names but without importing it."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

DEFAULTS = {
    "image_size": 224,
    "layers": 12,
    "width": 768,
    "head_width": 64,
    "mlp_ratio": 4.0,
    "patch_size": 16,
}


class QuickGELU(nn.Module):
    """The activation x * sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """A residual attention block under open_clip's names."""

    def __init__(self, width: int, heads: int, inner: int, activation: nn.Module) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ls_1, self.ls_2 = nn.Identity(), nn.Identity()
        layers = {
            "c_fc": nn.Linear(width, inner),
            "gelu": activation,
            "c_proj": nn.Linear(inner, width),
        }
        self.mlp = nn.Sequential(OrderedDict(layers))


class MetaViT(nn.Module):
    """An image tower on the meta device, as open_clip's VisionTransformer names it and with its
    defaults.

    Importing open_clip brings torchvision, and that brings TorchDynamo, Triton and SymPy: 240 MB of
    memory and two seconds, of which a tower whose weights are in a folder uses nothing.

    Args:
        config: `embed_dim`, `vision_cfg` and perhaps `quick_gelu`, as open_clip writes them.

    Raises:
        ValueError: the config has what no plain tower has; see `is_plain`.
    """

    attn_pool, pool_type = None, "tok"

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        if not is_plain(config):
            raise ValueError("Only a plain vision transformer has a skeleton.")
        vision: dict[str, Any] = DEFAULTS | config["vision_cfg"]
        width, size, patch = (int(vision[name]) for name in ("width", "image_size", "patch_size"))
        self.image_size, self.patch_size = (size, size), (patch, patch)
        self.grid_size = (size // patch, size // patch)
        with torch.device("meta"):
            self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
            self.class_embedding = nn.Parameter(torch.empty(width))
            self.positional_embedding = nn.Parameter(torch.empty(1 + (size // patch) ** 2, width))
            self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
            self.transformer = nn.Module()
            self.transformer.resblocks = nn.ModuleList(
                Block(
                    width,
                    width // vision["head_width"],
                    int(width * vision["mlp_ratio"]),
                    QuickGELU() if config.get("quick_gelu") else nn.GELU(),
                )
                for _ in range(vision["layers"])
            )
            self.proj = nn.Parameter(torch.empty(width, config["embed_dim"]))

    def _embeds(self, pixels: Tensor) -> Tensor:
        """Turn normalised pixels [B, 3, S, S] into the tokens before the first layer, [B, T, D]."""
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(patches), 1, -1), patches], 1)
        tokens: Tensor = self.ln_pre(x + self.positional_embedding)
        return tokens


def is_plain(config: dict[str, Any]) -> bool:
    """Return whether a config says nothing but sizes, each a number."""
    vision = config["vision_cfg"]
    return vision.keys() <= DEFAULTS.keys() and all(
        isinstance(value, int | float) for value in vision.values()
    )
