"""A small random detector for tests: fast, meaningless, and exact."""

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from causalclip.calibration import Calibration
from causalclip.clip.tower import part_widths
from causalclip.clip.views import Kind
from causalclip.detector import Detector, DetectorConfig
from causalclip.method import CausalHead
from causalclip.profile import Profile
from tests.makers.towers import tiny_tower, write_tower

PARTS = ("cls:1", "patch:2", "embedding")


def tiny_detector(*, seed: int = 0) -> Detector:
    """Views of 32 px, 4 x 4 patches each; its masks lie well inside (0, 1)."""
    torch.manual_seed(seed)
    tower = tiny_tower()
    kinds: tuple[Kind, ...] = ("whole", "window")
    heads = {kind: CausalHead(sum(part_widths(PARTS, tower)), hidden=8) for kind in kinds}
    for head in heads.values():
        torch.nn.init.normal_(head.verdict.weight, std=0.2)
        assert head.mask is not None
        for weight in head.mask.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    calibration = Calibration(offset=0.1, low=0.3, high=0.7)
    config = DetectorConfig("tiny", PARTS, {"whole": 0.5, "window": 0.5}, 4, calibration, hidden=8, revision="test")
    return Detector(tower, heads, config, name="tiny")


def saved_detector(folder: Path) -> Detector:
    """The same over a tower in folder / "tower", written to folder / "model"."""
    tiny = tiny_detector()
    config = dataclasses.replace(tiny.config, backbone=write_tower(folder / "tower"))
    detector = Detector(tiny.tower, tiny.heads, config, name="model")
    detector.save_pretrained(folder / "model")
    return detector


class SlowDetector:
    """A detector whose every verdict takes `seconds`; notes the size of what it is given.

    Its scores tell pictures of other widths apart: 0.10 for 310 px, 0.20 for 320 px.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self._detector = seconds, tiny_detector()
        self.asked: list[Any] = []
        self.begun, self.ended = threading.Event(), threading.Event()

    def predict(self, pixels: Any) -> Any:
        self.asked.append(pixels.shape[:2])
        self.begun.set()
        time.sleep(self.seconds)
        found = dataclasses.replace(self._detector.predict(pixels), probability=(pixels.shape[1] - 300) / 100)
        self.ended.set()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)


class BlockedDetector(SlowDetector):
    """One that answers nothing before `let` is set, however slow the machine is."""

    def __init__(self) -> None:
        super().__init__(0)
        self.let = threading.Event()

    def predict(self, pixels: Any) -> Any:
        self.begun.set()
        self.let.wait(300)
        return super().predict(pixels)


def tiny_profile(scores: tuple[float, ...] = (), at_most: float | None = 0.05) -> Profile:
    """Of an archive that tiny_detector judged; by itself of 200 photographs whose scores go from 0.9 to 0."""
    scores = scores or tuple(np.linspace(0.9, 0.0, 200))
    return Profile(
        model="tiny",
        revision="test",
        runtime="float32",
        made="2026-01-01T00:00:00+00:00",
        scores=scores,
        counted=scores,
        at_most=at_most,
        cameras={"Nikon Z 6": 198, "": 2},
        formats={"JPEG": 200},
        kinds={"dark": 3},
        sides=(900.0, 6000.0),
    )
