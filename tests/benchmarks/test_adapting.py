"""Adapted towers and learned pooling start at the frozen tower, and what may learn has a gradient."""

import copy

import pytest
import torch

from benchmarks.detection.adapting import Adapted
from causalclip.clip.embedding import embed, needs
from causalclip.clip.views import Kind
from causalclip.head.model import CausalHead
from tests.makers.towers import tiny_tower

PARTS = "cls:1", "patch:1", "cls:2"
KINDS: list[Kind] = ["whole", "window", "window", "whole"]


@pytest.mark.parametrize(("rank", "pooling"), [(2, False), (0, True)])
def test_an_adapted_tower_starts_at_the_frozen_one_and_learns(rank: int, pooling: bool) -> None:
    tower = tiny_tower()
    pixels = torch.rand(4, 3, tower.image_size, tower.image_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        frozen = embed(tower(pixels, **needs(PARTS, tower)), PARTS, tower)
    heads: dict[Kind, CausalHead] = {}
    for kind in ("whole", "window"):
        heads[kind] = CausalHead(frozen.shape[1], masked=False)
        torch.nn.init.normal_(heads[kind].verdict.weight)
    expected = torch.stack([heads[kind](row[None]).logit[0] for kind, row in zip(KINDS, frozen, strict=True)])
    model = Adapted(copy.deepcopy(tower), heads, rank=rank, after=0, pooling=pooling, parts=PARTS)
    logits = model(pixels, KINDS)
    assert torch.allclose(logits, expected, atol=1e-4)
    logits.sum().backward()
    learned = {name for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    assert any("lora_B" in name for name in learned) == bool(rank)
    assert any(name.startswith("queries") for name in learned) == pooling
    assert all("lora" in n or n.startswith(("queries", "heads")) for n in learned)
