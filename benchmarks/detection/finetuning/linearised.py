"""python -m benchmarks.detection.finetuning.linearised ORIGINALS KEPT [--seed 0]: the end of an endless training.

The upper layers are replaced by their tangent at the frozen weights: a verdict is then linear in every number that may
learn, and training them to the end, at any weight decay, is one ridge regression on the parts and on the gradient of
the frozen verdict (the neural tangent kernel, Jacot et al., NeurIPS 2018, arXiv 1806.07572). No step size and no number
of passes is left to choose. How much the gradients weigh is chosen on one fold of owners and judged on another.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.detection.finetuning.heads import gram, kernel_ridge, measures, ridge
from benchmarks.detection.finetuning.prepare import CUTS, load, prepare
from benchmarks.detection.finetuning.teach import Views
from benchmarks.detection.finetuning.upper import Linear, Teaching, Upper
from causalclip.clip.backbones import load_tower

LOG = Path(__file__).parent / "linearised.jsonl"
JUDGED, CHOICE = 0, 1  # folds; a head on the others is what is differentiated
RANK = 24  # of the sketch of a matrix's gradient, on either side
WEIGHTS = 0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0  # of the gradients' kernel, where 1 is as much as the parts' own
STRENGTHS = 0.3, 1.0, 3.0, 10.0
PATCHES = 98  # of 196, by lot, that a gradient sees
BATCH = 16


@dataclass(slots=True)
class Tangents:
    """Of N pictures: small, float [N, P], by LayerNorms and biases; matrices, float [N, Q], sketches by matrices."""

    small: Tensor
    matrices: Tensor


def tangents(upper: Upper, head: nn.Linear, tokens: Tensor, parts: Tensor, *, seed: int = 0) -> Tangents:
    """The gradient of head(upper(tokens, parts)), for each of B pictures, in order of the modules.

    A matrix's gradient is a sum over tokens of outer products, sketched as A g x B by random A [RANK, out] and B
    [in, RANK]: products between pictures are kept in the mean.
    """
    small: dict[str, Tensor] = {}
    matrices: dict[str, Tensor] = {}
    hooks = []
    for number, (name, module) in enumerate(upper.named_modules()):
        if isinstance(module, Linear | nn.LayerNorm):
            draw = torch.Generator().manual_seed(seed * 1000 + number)

            def watch(of: nn.Module, inputs: Any, output: Tensor, name: str = name, draw: Any = draw) -> None:
                def receive(gradient: Tensor) -> None:
                    g, x = gradient.float(), inputs[0].float()
                    if isinstance(of, nn.LayerNorm):
                        small[name] = torch.cat([(g * F.layer_norm(x, x.shape[-1:], eps=of.eps)).sum(1), g.sum(1)], 1)
                        return
                    small[name] = g.sum(1)
                    left, right = (torch.randn(n, RANK, generator=draw) / RANK**0.5 for n in (g.shape[-1], x.shape[-1]))
                    matrices[name] = ((g @ left).transpose(1, 2) @ (x @ right)).flatten(1)

                output.register_hook(receive)

            hooks.append(module.register_forward_hook(watch))
    try:
        head(upper(tokens.float().requires_grad_(), parts)).sum().backward()
    finally:
        for hook in hooks:
            hook.remove()
    order = [name for name, _ in upper.named_modules() if name in small]
    return Tangents(
        torch.cat([small[n] for n in order], 1), torch.cat([matrices[n] for n in order if n in matrices], 1)
    )


def gradients(views: Views, head: nn.Linear, cut: int, seed: int) -> Tangents:
    """Of every picture, by half of its patches."""
    upper, rng = Upper(load_tower(), Teaching("frozen"), cut), np.random.default_rng(seed)
    found = []
    for at in tqdm(range(0, len(views.labels), BATCH)):
        rows = np.arange(at, min(at + BATCH, len(views.labels)))
        one = tangents(upper, head, *views.read(rows, kept=PATCHES, rng=rng), seed=seed)
        found.append((one.small.half(), one.matrices.half()))
    return Tangents(torch.cat([s for s, _ in found]).float(), torch.cat([m for _, m in found]).float())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the folds and of the patches")
    parser.add_argument("--cut", type=int, default=CUTS[0], choices=CUTS, help="the last layer that stays frozen")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    prepare(options.originals, options.kept)
    views, fold = load(options.originals, options.kept, options.cut, seed=options.seed)
    first = np.flatnonzero(~np.isin(fold, (JUDGED, CHOICE)))
    rows, chosen, judged = np.flatnonzero(fold != JUDGED), fold == CHOICE, fold == JUDGED
    parts = torch.from_numpy(views.parts).float()
    found = gradients(views, ridge(parts[first], views.labels[first]), options.cut, options.seed)
    kernels = {"LayerNorms and biases": found.small, "matrices": found.matrices}

    def products(of: np.ndarray) -> dict[str, np.ndarray]:
        """Of the parts alone, and of gradients, whose sum over pictures of squares is as large."""
        own = gram(parts, of)
        of_gradients = {name: gram(values, of) for name, values in kernels.items()}
        return {"parts": own} | {name: g * np.trace(own) / np.trace(g) for name, g in of_gradients.items()}

    learned, final = products(first), products(rows)
    for name in kernels:
        tried = {}
        for weight in WEIGHTS:
            for strength in STRENGTHS:
                scores = kernel_ridge(learned["parts"] + weight * learned[name], views.labels, first, strength)
                tried[weight, strength] = measures(views.labels[chosen], scores[chosen])["auc"]
        told: dict[str, Any] = {"gradients": name, "cut": options.cut, "seed": options.seed, "pictures": len(rows)}
        for which, weights in (("without", (0.0,)), ("with", WEIGHTS)):
            weight, strength = max((key for key in tried if key[0] in weights), key=lambda key: tried[key])
            scores = kernel_ridge(final["parts"] + weight * final[name], views.labels, rows, strength)
            at = {"weight": weight, "strength": strength, "auc where it is chosen": tried[weight, strength]}
            told[which] = at | measures(views.labels[judged], scores[judged])
        with LOG.open("a") as log:
            log.write(json.dumps(told) + "\n")
        print(json.dumps(told), flush=True)
        print(name, {f"{w} {s}": auc for (w, s), auc in tried.items()})


if __name__ == "__main__":
    main()
