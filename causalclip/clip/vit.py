"""The modules of a CLIP image tower under open_clip's names, without weights and without importing
open_clip."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

DEFAULTS = {  # of open_clip's `vision_cfg`; image_size and patch_size in pixels
    "image_size": 224,
    "layers": 12,
    "width": 768,
    "head_width": 64,
    "mlp_ratio": 4.0,
    "patch_size": 16,
}


class QuickGELU(nn.Module):
    """The activation x * sigmoid(1.702 x), OpenAI's approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """The weights of a residual attention block, under open_clip's names; Tower runs it.

    Args:
        width: of a token, D.
        heads: of the attention; they divide the width.
        inner: the width between the MLP's two matrices.
        activation: between them.
    """

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
    """The skeleton of open_clip's VisionTransformer: its parameters by name and shape, on the meta
    device, so that `load_state_dict(..., assign=True)` can give it weights.

    Importing open_clip brings torchvision, and that brings TorchDynamo, Triton and SymPy: 240 MB of
    memory and two seconds, of which a tower whose weights are in a folder uses nothing.

    Args:
        config: open_clip's, with `embed_dim`, `vision_cfg` and perhaps `quick_gelu`; what
            `vision_cfg` leaves out is taken from DEFAULTS.

    Attributes:
        image_size, patch_size: (height, width) in pixels.
        grid_size: the same of the grid, in patches.

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


def is_plain(config: dict[str, Any]) -> bool:
    """Return whether a config describes a plain tower: all that its `vision_cfg` has is a number
    and a key of DEFAULTS."""
    vision = config["vision_cfg"]
    return vision.keys() <= DEFAULTS.keys() and all(
        isinstance(value, int | float) for value in vision.values()
    )
