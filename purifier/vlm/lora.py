"""The adapted encoder: CLIP's image tower with a low-rank update (LoRA, arXiv 2106.09685), by which
the model sees in a purified picture what it sees in the clean one. `LoraEncoder` is the update.

    adapted = LoraEncoder.from_pretrained().apply_to(vlm)

Purification takes detail away, and CLIP never saw such pictures. What it misses it misses in every
layer, so every layer learns; connector and language model stay as they are.
"""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from causalclip.clip.backbones import once_a_process, shared_tower
from causalclip.clip.tower import Tower
from causalclip.clip.weights import save_weights
from causalclip.hub import PushToHub, folder_of
from causalclip.paths import ASSETS, WeightsMissing
from purifier.vlm.model import EmbeddedVLM

FOLDER = ASSETS / "lora-encoder"
UP, DOWN = ".up", ".down"
# of each layer: the output of attention, both of the MLP
MATRICES = ("attn.out_proj", "mlp.c_fc", "mlp.c_proj")
WEIGHTS = tuple(f"{name}.weight" for name in MATRICES)


@dataclass(frozen=True, slots=True)
class LoraEncoder(PushToHub):
    """A trained update of the tower. tensors: by the name of a matrix W [out, in] in the tower,
    W.up [out, rank] and W.down [rank, in], whose product is added to it; by the name of a
    LayerNorm's weight or bias, its new value. facts: how it was trained."""

    pipeline_tag = "image-feature-extraction"

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def apply_to(self, model: EmbeddedVLM) -> EmbeddedVLM:
        """The model, with the same weights, on its tower with the update; raises as `on`."""
        return model.with_tower(self.on(model.tower))

    def on(self, original: Tower) -> Tower:
        """An updated copy of the tower, which shares what is not updated.

        Raises:
            ValueError: it was trained for another tower.
        """
        update_names = self._shapes()
        shapes = {name: parameter.shape for name, parameter in original.named_parameters()}
        if update_names != {
            name: shape
            for name, shape in shapes.items()
            if name in update_names or name.endswith(WEIGHTS)
        }:
            raise ValueError(
                "This LoRA encoder is for another tower than the model's. Train it again: python "
                "-m training purifier train-encoder."
            )
        common = dict(original.named_buffers()) | {
            name: parameter
            for name, parameter in original.named_parameters()
            if name not in update_names
        }
        tower = copy.deepcopy(original, {id(tensor): tensor for tensor in common.values()})
        with torch.no_grad():
            for name, parameter in tower.named_parameters():
                if name.endswith(WEIGHTS):
                    up, down = self._update(name)
                    parameter.copy_(parameter.float() + up @ down)
                elif name in self.tensors:
                    parameter.copy_(self.tensors[name])
        return tower

    def _update(self, name: str) -> tuple[Tensor, Tensor]:
        """Return the update of a matrix by its parameter's name: W.up and W.down, float32."""
        up, down = (self.tensors[name.removesuffix(".weight") + end].float() for end in (UP, DOWN))
        return up, down

    def _shapes(self) -> dict[str, torch.Size]:
        """Return the shapes of what is updated in the tower, by name."""
        shapes = {}
        for name, value in self.tensors.items():
            if name.endswith(UP):
                matrix = name.removesuffix(UP)
                shapes[matrix + ".weight"] = torch.Size(
                    [value.shape[0], self.tensors[matrix + DOWN].shape[1]]
                )
            elif not name.endswith(DOWN):
                shapes[name] = value.shape
        return shapes

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model.safetensors, in half precision, and config.json: how it was trained.

        Raises:
            NotFinite: a weight is NaN or infinite; nothing is written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(
            {name: tensor.detach().half() for name, tensor in self.tensors.items()},
            folder / "model.safetensors",
            what="LoRA encoder",
        )
        (folder / "config.json").write_text(json.dumps({"facts": self.facts}, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: str | Path = FOLDER) -> "LoraEncoder":
        """Load an encoder from a folder or from `owner/name` of the Hugging Face hub.

        Raises:
            WeightsMissing: there is none, or the hub cannot be reached.
        """
        folder = folder_of(folder)
        if not (folder / "model.safetensors").is_file():
            raise WeightsMissing(
                f"There is no LoRA encoder in {folder.name!r}. Train one: python -m training "
                "purifier train-encoder."
            )
        facts = json.loads((folder / "config.json").read_text())["facts"]
        return cls(load_file(folder / "model.safetensors"), facts)


@once_a_process
def shared_encoder(name: str) -> Tower:
    """The tower of this name with the shipped update, once a process.

    Raises:
        WeightsMissing: there is no LoRA encoder, or no tower. ValueError: it was trained for
            another tower.
    """
    return LoraEncoder.from_pretrained().on(shared_tower(name))
