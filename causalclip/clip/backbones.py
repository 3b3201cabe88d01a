"""CLIP image towers through open_clip, the shipped one, any by name, or a folder; and the views
that one is given.

    load_tower("clip-vit-b-16")               the one in assets/models, no network
    load_tower("clip-vit-b-16@320")           the same for views of 320 px, positions interpolated
    load_tower("local-dir:PATH")              a folder with config.json and *.safetensors like it
    load_tower("ViT-L-14-quickgelu/openai")   open_clip's name and checkpoint tag, from the hub
    load_tower("ViT-L-14-worldwide//a/b.pt")  open_clip's name and a file of weights
"""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from causalclip.clip.tower import Tower
from causalclip.clip.weights import (
    Runtime,
    choose_runtime,
    dequantize,
    fast_dtype,
    is_int8,
    read_shards,
)
from causalclip.paths import ASSETS, WeightsMissing

if TYPE_CHECKING:  # open_clip is imported where it is needed: that takes 230 MB and two seconds
    from open_clip.transformer import VisionTransformer

DEFAULT = "clip-vit-b-16"
LOCAL = "local-dir:"
_loading = threading.Lock()


def load_judge(name: str = DEFAULT, *, runtime: Runtime | None = None) -> Tower:
    """Loads a tower to judge pictures with, without gradients; None picks the processor's runtime.

    Weights that are not stored as int8 are judged in float32 where int8 would be picked; so are
    those for int8-avx2 without a list of their outliers.

    Raises as `load_tower`, and UnknownRuntime.
    """
    runtime = runtime or choose_runtime()
    dtype = torch.bfloat16 if runtime == "bfloat16" else torch.float32
    return load_tower(name, dtype=dtype, runtime=runtime)


def load_tower(
    name: str = DEFAULT,
    *,
    dtype: torch.dtype | None = None,
    runtime: Runtime | None = None,
    weight_only: bool = False,
) -> Tower:
    """Loads an image tower, frozen and in evaluation mode.

    Args:
        name: a folder of assets/models, `local-dir:PATH`, or `MODEL/TAG` of open_clip (or
            MODEL/FILE of weights); `@SIZE` after it takes views of other than its own size, in px,
            a multiple of its patches'.
        dtype: of its matrix products; None picks the processor's fast one.
        runtime: int8 or int8-avx2 keep matrices int8 that are stored so; the tower then judges
            alone (causalclip.clip.openvino, causalclip.clip.int8_towers).
        weight_only: matrices that are stored as int8 stay so in memory, and are float while they
            are multiplied with (causalclip.clip.int8_towers).

    Raises:
        WeightsMissing: the weights are neither in the folder nor to be had from the hub.
        ValueError: the library does not know the model or its weights, or it cannot be decomposed.
    """
    dtype = dtype or fast_dtype()
    name, _, size = name.partition("@")
    folder = Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else ASSETS / name
    if (folder / "config.json").is_file():
        tower = _from_folder(folder, dtype, runtime, weight_only=weight_only)
    elif name.startswith(LOCAL) or "/" not in name:
        raise WeightsMissing(
            f"There is no CLIP tower {name!r}: it needs a folder with config.json and "
            "*.safetensors."
        )
    else:
        tower = _from_open_clip(name, dtype)
    if size:
        resize_positions(tower, int(size))
    return tower.eval().requires_grad_(False)


def shared_tower(name: str = DEFAULT) -> Tower:
    """As load_tower, once a process: for what reads it alone, and must not change it."""
    with _loading:  # a cache alone loads twice what two threads ask for at once
        return _shared(name)


@cache
def _shared(name: str) -> Tower:
    with torch.inference_mode(False):  # whoever asks first, others need gradients through it
        return load_tower(name, weight_only=True)


def empty_visual(config: dict[str, Any]) -> VisionTransformer:
    """open_clip's image tower of a config, on the meta device: its text half is made as small as it
    can be."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    text = CLIPTextCfg(context_length=4, vocab_size=8, width=8, heads=1, layers=1)
    with torch.device("meta"):
        vision = CLIPVisionCfg(**config["vision_cfg"])
        return CLIP(
            config["embed_dim"], vision, text, quick_gelu=config.get("quick_gelu", False)
        ).visual


def _from_folder(
    folder: Path, dtype: torch.dtype, runtime: Runtime | None, *, weight_only: bool
) -> Tower:
    config = json.loads((folder / "config.json").read_text())
    stored = read_shards(folder)
    normal = {"mean": config["mean"], "std": config["std"]}
    visual = Skeleton(config) if is_plain(config) else empty_visual(config)
    if runtime == "int8" and is_int8(stored):
        from causalclip.clip.openvino import (
            CompiledTower,  # brings OpenVINO, which other runtimes do without
        )

        return CompiledTower(visual, stored, **normal)
    if is_int8(stored) and is_plain(config) and (runtime == "int8-avx2" or weight_only):
        from causalclip.clip.int8_towers import QuantisedTower, WeightOnlyTower, read_outliers

        if runtime == "int8-avx2" and (outliers := read_outliers(folder)):
            return QuantisedTower(visual, stored, outliers=outliers, **normal)
        if weight_only:
            return WeightOnlyTower(visual, stored, **normal, dtype=dtype)
    visual.load_state_dict(dequantize(stored), assign=True)
    return Tower(visual, **normal, dtype=dtype)


def _from_open_clip(name: str, dtype: torch.dtype) -> Tower:
    import open_clip

    model, _, tag = name.partition("/")
    if open_clip.get_model_config(model) is None:
        raise ValueError(
            f"open_clip has no model {model!r}. See open_clip.list_models() for the names."
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags and not Path(tag).is_file():
        raise ValueError(
            f"open_clip has no weights {tag!r} for {model!r}: use one of "
            f"{', '.join(tags) or 'none that it lists'}, or a file of weights, as {model}/PATH."
        )
    try:
        clip = open_clip.create_model(model, pretrained=tag, require_pretrained=True)
    except (
        OSError,
        RuntimeError,
    ) as error:  # the hub's errors are OSErrors; open_clip makes RuntimeErrors of them
        raise WeightsMissing(
            f"The weights of {name!r} are not here and the hub cannot be reached. Fetch them on a "
            f"machine with network access (open_clip.create_model({model!r}, pretrained={tag!r})), "
            f"or use the shipped {DEFAULT!r}."
        ) from error
    mean, std = clip.visual.image_mean, clip.visual.image_std
    return Tower(_walkable(clip.visual, model), mean=mean, std=std, dtype=dtype)


def _walkable(visual: Any, name: str) -> VisionTransformer:
    """The image half of an open_clip model, as Tower walks it.

    Raises:
        ValueError: it is no plain vision transformer.
    """
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    plain = isinstance(visual, VisionTransformer) and all(
        type(block) is ResidualAttentionBlock for block in visual.transformer.resblocks
    )
    if not plain:
        raise ValueError(
            f"The tower {name!r} cannot be decomposed into patches: it is no plain vision "
            "transformer."
        )
    return visual


def resize_positions(tower: Tower, size: int) -> None:
    """Lets the tower take views of `size` px: bicubic interpolation of its position embeddings, in
    place."""
    side, old = size // tower.visual.patch_size[0], tower.visual.positional_embedding.data
    grid = old[1:].T.reshape(1, -1, tower.grid, tower.grid)
    grid = torch.nn.functional.interpolate(
        grid, size=(side, side), mode="bicubic", antialias=True, align_corners=False
    )
    new = torch.cat([old[:1], grid.flatten(2)[0].T])
    tower.visual.positional_embedding = torch.nn.Parameter(new, requires_grad=False)
    tower.visual.grid_size, tower.visual.image_size = (side, side), (size, size)


DEFAULTS = {
    "image_size": 224,
    "layers": 12,
    "width": 768,
    "head_width": 64,
    "mlp_ratio": 4.0,
    "patch_size": 16,
}


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x)."""

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


class Skeleton(nn.Module):
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
        """Normalised pixels [B, 3, S, S] -> tokens before the first layer, [B, T, D]."""
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(patches), 1, -1), patches], 1)
        tokens: Tensor = self.ln_pre(x + self.positional_embedding)
        return tokens


def is_plain(config: dict[str, Any]) -> bool:
    """Whether a config says nothing but sizes, each a number."""
    vision = config["vision_cfg"]
    return vision.keys() <= DEFAULTS.keys() and all(
        isinstance(value, int | float) for value in vision.values()
    )


Kind = Literal["whole", "window"]
WINDOWS = 2
MAX_SQUARES = 3
# px, the longest side that training sees; windows of a larger picture are of a copy so large
LARGEST_SIDE = 2048


@dataclass(frozen=True, slots=True)
class View:
    """A square of the picture that the tower sees at its own input size.

    kind: "whole" (the short side, scaled to the tower's input) or "window" (native scale).
    box: left, top, right, bottom in picture pixels.
    """

    kind: Kind
    box: tuple[float, float, float, float]


def plan_views(
    width: int, height: int, *, size: int = 224, windows: int = WINDOWS, squares: int = MAX_SQUARES
) -> list[View]:
    """The views of a picture of width x height px.

    At most `squares` squares and `windows` windows. Squares have the short side and are spread
    along the long one, so that a picture of aspect up to `squares` is covered. Windows have a side
    of `size`, or more where the long side is over LARGEST_SIDE, and are spread over the picture;
    one that is hardly larger than a window gets none.
    """
    short, long = min(width, height), max(width, height)
    squares = min(squares, math.ceil(long / short - 0.1))
    # the middle, or from end to end
    spread = [0.5] if squares == 1 else [i / (squares - 1) for i in range(squares)]
    views = [View("whole", _square(width, height, short, t)) for t in spread]
    return views + _windows(
        width, height, side=round(size * max(1, long / LARGEST_SIDE)), count=windows
    )


def _windows(width: int, height: int, *, side: int, count: int) -> list[View]:
    """`count` windows with a side of `side` px, spread over a picture that is larger than one by a
    fifth at least."""
    if not count or min(width, height) < 1.2 * side:
        return []
    side_count = max(1, round(math.sqrt(count)))
    few, many = sorted((side_count, max(1, count // side_count)))
    across, down = (many, few) if width >= height else (few, many)
    views = []
    for row in _middles(down):
        for column in _middles(across):
            # Whole pixels: between them, resampling would blur the very traces that a window is
            # there for.
            left, top = int(column * (width - side)), int(row * (height - side))
            views.append(View("window", (left, top, left + side, top + side)))
    return views


def _middles(count: int) -> list[float]:
    """The middles of `count` equal parts of [0, 1]."""
    return [(i + 0.5) / count for i in range(count)]


def _square(
    width: int, height: int, side: int, position: float
) -> tuple[float, float, float, float]:
    left, top = position * (width - side), position * (height - side)
    return (left, top, left + side, top + side)


def render(pixels: np.ndarray, views: list[View], *, size: int = 224) -> Tensor:
    """uint8 [H, W, 3] and its views -> float [len(views), 3, size, size] in [0, 1], bicubic with
    antialias."""
    shots = np.empty((len(views), 3, size, size), np.uint8)
    # of one, Pillow needs no copy; of all, it makes one with 4 bytes a pixel
    for channel in range(3):
        one = np.ascontiguousarray(pixels[..., channel])
        plane = Image.frombuffer("L", one.shape[::-1], one, "raw", "L", 0, 1)
        for shot, view in zip(shots, views, strict=True):
            scaled = plane.resize(
                (size, size), Image.Resampling.BICUBIC, box=view.box, reducing_gap=3.0
            )
            shot[channel] = np.asarray(scaled)
    return torch.from_numpy(shots).float() / 255
