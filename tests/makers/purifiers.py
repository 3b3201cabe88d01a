"""Small random models for tests: the purifier, and all that the tab and the commands need."""

from dataclasses import asdict
from typing import Any

import pytest
import torch

from causalclip.clip.tower import Tower
from purifier.denoiser.attack_detector import MILD, STATISTICS, AttackDetector
from purifier.denoiser.pipeline import PurifierPipeline, new_pipeline
from purifier.models import Models
from purifier.vlm.lora import DOWN, MATRICES, UP, LoraEncoder
from tests.makers.detectors import tiny_detector
from tests.makers.models import tiny_vlm
from tests.makers.towers import CONFIG, tiny_tower

LAYERS = CONFIG["vision_cfg"]["layers"]
EVIDENCE = STATISTICS + len(MILD) * (1 + 3 * LAYERS)  # numbers that an attack detector gets with a tiny CLIP


def tiny_purifier(*, seed: int = 0, **options: Any) -> PurifierPipeline:
    """Random weights: it changes pictures by a few levels; tiles of 96 px, a coarse pass at 32 px."""
    sizes = {"tile": 96, "overlap": 24, "coarse": 32} | options
    pipeline = new_pipeline(channels=(8, 16), seed=seed, **sizes)
    torch.nn.init.normal_(pipeline.unet.conv_out.weight, std=0.1, generator=torch.Generator().manual_seed(seed))
    pipeline.unet.eval().requires_grad_(False)
    return pipeline


def tiny_lora(tower: Tower, *, rank: int = 4, seed: int = 0) -> LoraEncoder:
    """Random weights: what the tower sees is something else through it."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, matrix in tower.named_parameters():
        if name.endswith(tuple(f"{matrix}.weight" for matrix in MATRICES)):
            own = name.removesuffix(".weight")
            tensors[own + UP] = torch.randn(matrix.shape[0], rank, generator=generator) * 0.1
            tensors[own + DOWN] = torch.randn(rank, matrix.shape[1], generator=generator) * 0.1
        if name.endswith("ln_post.weight"):
            tensors[name] = matrix.detach() * 1.1
    return LoraEncoder(tensors, {})


def fixed_attack_detector(odds: float) -> dict[str, Any]:
    """Settings of an attack detector that says the same log-odds of every picture, whatever a tiny CLIP sees: see
    tiny_clip."""
    zeros = (0.0,) * EVIDENCE
    return asdict(AttackDetector(zeros, (1.0,) * EVIDENCE, ((*zeros, 0.0),), (1.0, odds), false_alarms=0.01))


def tiny_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack detector and the guided step get what a small random tower sees in place of CLIP, and through a small
    LoRA encoder."""
    tower, encoder = tiny_tower(), tiny_lora(tiny_tower()).on(tiny_tower())
    monkeypatch.setattr("purifier.denoiser.pipeline.shared_tower", lambda name: tower)
    monkeypatch.setattr("purifier.vlm.lora.shared_encoder", lambda *_: encoder)


def tiny_models(**replaced: Any) -> Models:
    """Every model small and random. `replaced`: loaders of Models."""
    vlm = tiny_vlm()
    loaders: dict[str, Any] = {
        "vlm": lambda: vlm,
        "purifier": tiny_purifier,
        "adapted": lambda: tiny_lora(vlm.tower).applied_to(vlm),
        "detector": tiny_detector,
    }
    return Models(**loaders | replaced)
