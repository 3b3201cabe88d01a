"""Tokens in units of their own picture: `python -m benchmarks.local.native.standardised ORIGINALS KEPT`.

On what `benchmarks.local.regions.extract` kept. Each component of a token is centred by the median of its picture and
divided by the median deviation; a line is fitted on these, on their absolute values, and on both. Writes
benchmarks/local/native.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.local.native.ideas import put
from benchmarks.local.regions.fits import Moments, Ridge
from benchmarks.local.regions.ideas import WEIGHT, choose, judge, kind_of, middle, truth
from benchmarks.local.regions.made import Sample, plan
from causalclip.dataset.table import PICTURES

COMPONENTS = 384  # principal ones of the tokens less their picture's median
FARTHEST = 8.0  # deviations
UNLEARNED = 64  # components whose mean distance is an idea of its own
IDEAS: dict[str, Callable[[Tensor], Tensor]] = {
    "in the picture's own deviations": lambda z: z,
    "the same and their absolute values": lambda z: torch.cat([z, z.abs()], 1),
    "absolute values alone": Tensor.abs,
}
DISTANCE, BLOB = "mean distance, nothing learned", "control: a blob in the middle"
PLACED = "edit", "third", "generated in photograph"  # both sides of their masks count alike


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/local/native.json"))
    options = parser.parse_args()
    torch.manual_seed(0)
    folder = options.kept / "train"
    samples = [s for s in plan(PICTURES, options.originals) if usable(folder / f"{s.name}.npz")]
    basis = components(samples, folder)
    distances = {s.name: standardised(folder / f"{s.name}.npz", basis) for s in samples}
    maps = mapped(samples, folder, distances)
    report = judge(samples, maps, [*IDEAS, DISTANCE, BLOB])
    counts = {kind: sum(kind_of(s) == kind for s in samples) for kind in sorted({kind_of(s) for s in samples})}
    put(options.output, "standardised", {"pictures": counts, "ideas": report})


def usable(path: Path) -> bool:
    if not path.exists():
        return False
    with np.load(path) as file:
        return "why" not in file


def _tokens(path: Path) -> Tensor:
    """[cells, D]"""
    with np.load(path) as file:
        return torch.from_numpy(file["tokens"]).float().flatten(1).T


def components(samples: list[Sample], folder: Path) -> Tensor:
    """[D, COMPONENTS], from every third picture."""
    total: Tensor | float = 0.0
    for sample in samples[::3]:
        tokens = _tokens(folder / f"{sample.name}.npz")
        some = (tokens - tokens.median(0).values)[torch.randperm(len(tokens))[:24]]
        total = total + some.T @ some
    assert isinstance(total, Tensor)
    return torch.linalg.eigh(total).eigenvectors[:, -COMPONENTS:].flip(1)


def standardised(path: Path, basis: Tensor) -> Tensor:
    """[cells, COMPONENTS], half precision: how many of the picture's deviations each component lies off its middle."""
    found = _tokens(path) @ basis
    found = found - found.median(0).values
    return (found / (1.4826 * found.abs().median(0).values + 1e-3)).clamp(-FARTHEST, FARTHEST).half()


def mapped(samples: list[Sample], folder: Path, distances: dict[str, Tensor]) -> dict[str, dict[str, object]]:
    """Every idea's map of every picture, as regions.ideas.judge takes them."""
    x, y, w, folds, known = [], [], [], [], {}
    for sample in samples:
        with np.load(folder / f"{sample.name}.npz") as file:
            known[sample.name] = {"mask": file["mask"], "pasted": file["pasted"]}
        labels = truth(sample, known[sample.name]["mask"]).ravel()
        chosen = choose(labels, np.random.default_rng(sample.seed))
        if not len(chosen):
            continue
        x.append(distances[sample.name][chosen])
        y.append(labels[chosen])
        counts = np.where(y[-1] > 0, (y[-1] > 0).sum(), (y[-1] == 0).sum()) * 2
        w.append(WEIGHT[sample.kind] / (counts if sample.kind in PLACED else np.full(len(chosen), len(chosen))))
        folds.append(np.full(len(chosen), sample.fold))
    truths, weights = (torch.from_numpy(np.concatenate(parts)).float() for parts in (y, w))
    levels: dict[str, list[np.ndarray]] = {s.name: [] for s in samples}
    for of in IDEAS.values():
        line = Ridge(Moments(of(torch.cat(x).float()), truths, weights, np.concatenate(folds)))
        for s in samples:
            shape = known[s.name]["mask"].shape
            levels[s.name].append(line(of(distances[s.name].float()), s.fold).reshape(shape).numpy())
    for s in samples:
        shape = known[s.name]["mask"].shape
        levels[s.name].append(distances[s.name][:, :UNLEARNED].float().abs().mean(1).reshape(shape).numpy())
        levels[s.name].append(middle(shape))
    names = [*IDEAS, DISTANCE, BLOB]
    return {name: {"names": names, "maps": np.stack(rows), **known[name]} for name, rows in levels.items()}


if __name__ == "__main__":
    main()
