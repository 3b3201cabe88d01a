"""A feature denoiser: what the model sees of a purified picture, brought nearer to what it sees of the clean one.

Purification takes detail away, and the language model never saw such pictures. So a small transformer over all visual
tokens adds to each what is missing: feature denoising (Xie et al., CVPR 2019, arXiv 1812.03411) as a prompt that goes
by the picture (Zhou et al., CVPR 2022, arXiv 2203.05557). The model's own weights stay as they are.
"""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from causalclip.clip.weights import ASSETS, WeightsMissing
from purifier.vlm import EmbeddedVLM

FOLDER = ASSETS / "vlm-prompt"
HEADS = 6


class FeatureDenoiser(nn.Module):
    """CLIP's features of a picture and the visual tokens made of them -> better tokens. Untrained, it adds nothing.

    Args:
        width: D, of the visual tokens. tokens: V, how many there are; the patches' ones are the last. tower_width: of
            each layer's patch tokens. layers: how many of these. inner: width inside, a multiple of 6. depth: blocks.
            drop: of dropout, while it is trained.
    """

    def __init__(
        self,
        *,
        width: int,
        tokens: int,
        tower_width: int,
        layers: int,
        inner: int = 384,
        depth: int = 2,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = {"width": width, "tokens": tokens, "tower_width": tower_width, "layers": layers}
        self.sizes |= {"inner": inner, "depth": depth}
        self.patch = nn.Linear(tower_width * layers, inner)
        self.visual = nn.Linear(width, inner)
        self.place = nn.Parameter(torch.randn(tokens, inner) * 0.02)
        options: dict[str, Any] = {"mlp_ratio": 3.0, "qkv_bias": True, "proj_drop": drop, "drop_path": drop / 2}
        blocks: list[Any] = [Block(inner, HEADS, **options) for _ in range(depth)]
        for block in blocks:
            block.attn.fused_attn = False  # the fused one takes twice as long backwards on a processor
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(inner)
        self.out = nn.Linear(inner, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, patches: Tensor, visual: Tensor) -> Tensor:
        """Patch tokens [N, P, layers * tower_width] and visual tokens [N, V, D], V >= P -> visual tokens [N, V, D]."""
        width = self.sizes["tower_width"]
        layers = F.layer_norm(patches.float().unflatten(-1, (-1, width)), (width,))
        seen = F.pad(self.patch(layers.flatten(-2)), (0, 0, visual.shape[1] - patches.shape[1], 0))
        hidden = seen + self.visual(visual.float()) + self.place
        for block in self.blocks:
            hidden = block(hidden)
        added: Tensor = self.out(self.norm(hidden))
        return visual + added

    def applied_to(self, model: EmbeddedVLM) -> EmbeddedVLM:
        """The model, with the same weights, that sees through it.

        Raises:
            ValueError: it was trained for a model of another width.
        """
        if self.sizes["width"] != model.width:
            raise ValueError(
                f"This feature denoiser is for a model of width {self.sizes['width']}, not {model.width}. Train it "
                "again: python -m purifier train-feature-denoiser."
            )
        return model.behind(self)

    def save_pretrained(self, folder: str | Path, facts: dict[str, Any]) -> None:
        """Writes model.safetensors, in half precision, and config.json: its sizes, and how it was trained."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({k: v.half().contiguous() for k, v in self.state_dict().items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"sizes": self.sizes, "facts": facts}, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: str | Path = FOLDER) -> "FeatureDenoiser":
        """Loads one, frozen, in float32.

        Raises:
            WeightsMissing: there is none.
        """
        folder = Path(folder)
        if not (folder / "model.safetensors").is_file():
            name = folder.name
            raise WeightsMissing(
                f"There is no feature denoiser in {name!r}. Train one: python -m purifier train-feature-denoiser."
            )
        denoiser = cls(**json.loads((folder / "config.json").read_text())["sizes"])
        denoiser.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
        return denoiser.eval().requires_grad_(False)


def new_denoiser(
    model: EmbeddedVLM, *, inner: int = 384, depth: int = 2, drop: float = 0.0, seed: int = 0
) -> FeatureDenoiser:
    """An untrained one for a model."""
    torch.manual_seed(seed)
    with torch.no_grad():
        tokens = model.see(torch.zeros(1, 3, model.tower.image_size, model.tower.image_size)).shape[1]
    layers = len(model.config.layers)
    sizes = {"width": model.width, "tokens": tokens, "tower_width": model.tower.width, "layers": layers}
    return FeatureDenoiser(**sizes, inner=inner, depth=depth, drop=drop)
