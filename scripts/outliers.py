"""Finds the channels that a tower's layers multiply in float32 where all else is int8: python -m
scripts.outliers

    python -m scripts.outliers --originals FOLDER [--tower clip-vit-b-16] [--pictures 40]

They are those of the largest values that pictures of `train` bring into a layer, half of the
pictures generated. Writes outliers.json beside the tower's weights; to be run again when these
change. FOLDER has the originals, by their hashes.
"""

import argparse
import json
from hashlib import sha256
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn

from causalclip.clip.backbones import DEFAULT, load_tower
from causalclip.clip.int8_towers import LINEAR, OUTLIERS
from causalclip.clip.tower import Tower
from causalclip.clip.views import plan_views, render
from causalclip.images.loading import load_image
from causalclip.paths import ASSETS
from training.dataset.table import place, read_table

OUTLIERS_PER_LAYER = 16  # a layer: with none, log-odds move six times as far
MAX_PIXELS = 3_000_000  # pixels of a picture: decoding larger ones takes longer than judging them


class Watched(Tower):
    """The walk of `Tower`, with the largest value that each channel of each layer has seen.

    largest: a layer's name -> float32 [I].
    """

    def __init__(self, tower: Tower) -> None:
        super().__init__(
            tower.visual, mean=tower.mean.flatten().tolist(), std=tower.std.flatten().tolist()
        )
        self.largest: dict[str, Tensor] = {}
        for number, block in enumerate(self.blocks):
            parts = block.ln_1, block.attn.out_proj, block.ln_2, block.mlp.c_proj
            for name, part in zip(LINEAR, parts, strict=True):
                self._watch(
                    f"transformer.resblocks.{number}.{name}",
                    part,
                    after=isinstance(part, nn.LayerNorm),
                )

    def _watch(self, name: str, part: nn.Module, *, after: bool) -> None:
        def note(_: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
            most = (result if after else given[0]).abs().flatten(0, -2).amax(0)
            self.largest[name] = torch.maximum(self.largest.get(name, most), most)

        part.register_forward_hook(note)


@torch.inference_mode()
def find_outliers(tower: Tower, paths: list[Path]) -> dict[str, list[int]]:
    """A layer's name -> its OUTLIERS_PER_LAYER channels, in ascending order."""
    watched = Watched(tower)
    for path in paths:
        pixels = load_image(path).pixels
        views = plan_views(pixels.shape[1], pixels.shape[0], size=tower.image_size)
        watched(render(pixels, views, size=tower.image_size))
    return {
        name: sorted(most.topk(OUTLIERS_PER_LAYER).indices.tolist())
        for name, most in watched.largest.items()
    }


def choose(originals: Path, count: int, *, seed: int) -> list[Path]:
    """Photographs of `train`, half of them generated, by a seed."""
    rows = [p for p in read_table() if (p.split, p.kind, p.hard) == ("train", "photo", "")]
    rows = [p for p in rows if p.width * p.height <= MAX_PIXELS and "edit" not in p.set]
    Random(seed).shuffle(rows)
    found: list[Path] = []
    for label in ("real", "fake"):
        there = (file for p in rows if p.label == label if (file := place(originals, p)).is_file())
        found += [path for path, _ in zip(there, range(count // 2), strict=False)]
    return found


def digest(folder: Path) -> str:
    """Of a tower's weights: another one says that the list is of others."""
    return sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--originals", type=Path, required=True)
    parser.add_argument("--tower", default=DEFAULT, help="a folder of assets/models")
    parser.add_argument("--pictures", type=int, default=40)
    options = parser.parse_args()
    paths = choose(options.originals, options.pictures, seed=1)
    channels = find_outliers(load_tower(options.tower, dtype=torch.float32), paths)
    lines = ",\n".join(
        f"    {json.dumps(name)}: {json.dumps(found)}" for name, found in channels.items()
    )
    made = (
        f'"made by": "scripts/outliers.py", "pictures": {len(paths)}, "weights": '
        f'"{digest(ASSETS / options.tower)}"'
    )
    (ASSETS / options.tower / OUTLIERS).write_text(
        f'{{\n  {made},\n  "channels": {{\n{lines}\n  }}\n}}\n'
    )


if __name__ == "__main__":
    main()
