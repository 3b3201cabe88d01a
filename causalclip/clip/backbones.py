"""CLIP image towers: the shipped one, a folder, or any of open_clip by its name.

load_tower("clip-vit-b-16")               the one in assets/models, no network
load_tower("clip-vit-b-16@320")           the same for views of 320 px, positions interpolated
load_tower("local-dir:PATH")              a folder with config.json and *.safetensors like it
load_tower("ViT-L-14-quickgelu/openai")   open_clip's name and checkpoint tag, from the hub
load_tower("ViT-L-14-worldwide//a/b.pt")  open_clip's name and a file of weights
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from causalclip.clip.runtime import Runtime, choose_runtime, fast_dtype
from causalclip.clip.tower import Tower
from causalclip.clip.vit import MetaViT, is_plain
from causalclip.clip.weights import dequantize, is_int8, read_shards
from causalclip.hub import hub_folder
from causalclip.paths import ASSETS, WeightsMissing

if TYPE_CHECKING:  # open_clip is imported where it is needed: that takes 230 MB and two seconds
    from open_clip.transformer import VisionTransformer

DEFAULT = "clip-vit-b-16"
LOCAL = "local-dir:"
HUB = "hf-hub:"  # as open_clip writes it


def load_for_inference(name: str = DEFAULT, *, runtime: Runtime | None = None) -> Tower:
    """Load a tower for inference alone; None picks the processor's runtime.

    Weights that are not stored as int8 are judged in float32 where int8 would be picked.

    Raises as `load_tower`, and SettingsError.
    """
    runtime = runtime or choose_runtime()
    dtype = torch.bfloat16 if runtime == "bfloat16" else torch.float32
    return load_tower(name, dtype=dtype, runtime=runtime)


def load_tower(
    name: str = DEFAULT,
    *,
    dtype: torch.dtype | None = None,
    runtime: Runtime | None = None,
) -> Tower:
    """Load an image tower, frozen and in evaluation mode.

    Args:
        name: a folder of assets/models, `local-dir:PATH`, `hf-hub:OWNER/NAME` (such a folder on the
            Hugging Face hub), or `MODEL/TAG` of open_clip (or MODEL/FILE of weights); `@SIZE` after
            it takes views of other than its own size, in px, a multiple of its patches'.
        dtype: of its matrix products; None picks the processor's fast one.
        runtime: int8 keeps matrices int8 that are stored so; the tower then judges alone
            (causalclip.clip.openvino).

    Raises:
        WeightsMissing: the weights are neither in the folder nor to be had from the hub.
        ValueError: the library does not know the model or its weights, or it cannot be decomposed.
    """
    dtype = dtype or fast_dtype()
    name, _, size = name.partition("@")
    folder = Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else ASSETS / name
    if name.startswith(HUB):
        folder = hub_folder(name.removeprefix(HUB))
    if (folder / "config.json").is_file():
        tower = _from_folder(folder, dtype, runtime)
    elif name.startswith((LOCAL, HUB)) or "/" not in name:
        raise WeightsMissing(
            f"There is no CLIP tower {name!r}: it needs a folder with config.json and "
            "*.safetensors."
        )
    else:
        tower = _from_open_clip(name, dtype)
    if size:
        _resize_positions(tower, int(size))
    return tower.eval().requires_grad_(False)


def once_a_process(load: Callable[[str], Tower]) -> Callable[[str], Tower]:
    """Load each tower once a process: for what reads it alone, and must not change it."""
    loaded, loading = cache(load), threading.Lock()

    @wraps(load)
    def shared(name: str) -> Tower:
        # a cache alone loads twice what two threads ask for at once; and whoever asks first, others
        # need gradients through it
        with loading, torch.inference_mode(False):
            return loaded(name)

    return shared


@once_a_process
def shared_tower(name: str) -> Tower:
    """Load a tower, as `load_tower` does, once a process."""
    return load_tower(name)


def empty_visual(config: dict[str, Any]) -> VisionTransformer:
    """Return open_clip's image tower of a config, on the meta device: its text half is made as
    small as it can be."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    text = CLIPTextCfg(context_length=4, vocab_size=8, width=8, heads=1, layers=1)
    with torch.device("meta"):
        vision = CLIPVisionCfg(**config["vision_cfg"])
        return CLIP(
            config["embed_dim"], vision, text, quick_gelu=config.get("quick_gelu", False)
        ).visual


def _from_folder(folder: Path, dtype: torch.dtype, runtime: Runtime | None) -> Tower:
    config = json.loads((folder / "config.json").read_text())
    weights = read_shards(folder)
    normal = {"mean": config["mean"], "std": config["std"]}
    visual = MetaViT(config) if is_plain(config) else empty_visual(config)
    if runtime == "int8" and is_int8(weights):
        # It brings OpenVINO, which other runtimes do without.
        from causalclip.clip.openvino import CompiledTower

        return CompiledTower(visual, weights, **normal)
    visual.load_state_dict(dequantize(weights), assign=True)
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
    # The hub's errors are OSErrors; open_clip makes RuntimeErrors of them.
    except (OSError, RuntimeError) as error:
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


def _resize_positions(tower: Tower, size: int) -> None:
    """Let the tower take views of `size` px: bicubic interpolation of its position embeddings, in
    place."""
    side, old = size // tower.visual.patch_size[0], tower.visual.positional_embedding.data
    grid = old[1:].T.reshape(1, -1, tower.grid, tower.grid)
    grid = torch.nn.functional.interpolate(
        grid, size=(side, side), mode="bicubic", antialias=True, align_corners=False
    )
    new = torch.cat([old[:1], grid.flatten(2)[0].T])
    tower.visual.positional_embedding = torch.nn.Parameter(new, requires_grad=False)
    tower.visual.grid_size, tower.visual.image_size = (side, side), (size, size)
