"""The head of windows and the verdict of both: weighed as the detector weighs its views."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from causalclip.cli import app
from causalclip.clip.views import View
from causalclip.detector import Detector
from causalclip.training.augmentation import drawn_of
from causalclip.training.data import Record
from causalclip.training.features import WindowFeatures, compute_windows
from causalclip.training.fitting import Problem
from causalclip.training.recipe import Recipe
from tests.makers.pictures import photo
from tests.makers.towers import write_tower
from tests.makers.workshops import CONFIG, Inside, gridded, train_words, workshop_folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causalclip.training.features.ProcessPoolExecutor", Inside)


def record(number: int, label: int = 0) -> Record:
    return Record(f"{number}.png", label, "owner", "train", "sites", "picture", f"{number:064x}", "owner")


PICTURE = np.array([0, 2, 2, 2])  # four windows: one of the first picture, three of the third


def test_the_windows_of_a_picture_count_together_as_much_as_the_picture() -> None:
    weight = torch.tensor([2.0, 1.0, 3.0])
    data = Problem(
        records=(record(0), record(1), record(2, 1)),
        features=torch.zeros(3, 3, 2),
        labels=torch.tensor([0.0, 0.0, 1.0]),
        weight=weight,
        fold=np.array([0, 1, 2]),
        environments=np.array([5, 6, 7]),
    )
    windows = data.of_windows(torch.arange(8.0).view(4, 2).half(), PICTURE)
    assert windows.features.shape == (1, 4, 2)
    assert windows.labels.tolist() == [0, 1, 1, 1]
    assert windows.fold.tolist() == [0, 2, 2, 2]
    assert windows.environments.tolist() == [5, 7, 7, 7]
    assert float(windows.weight[0] / windows.weight[1:].sum()) == pytest.approx(2 / 3)


def test_the_verdict_of_both_is_weighed_as_the_detector_weighs_its_views() -> None:
    squares, windows, picture = np.array([1.0, -2.0, 0.5]), np.array([4.0, 1.0, 2.0, 6.0]), PICTURE
    of = WindowFeatures.__new__(WindowFeatures)
    of.picture = picture
    both = of.together(squares, windows, share=0.3)
    detector = Detector.__new__(Detector)
    detector.heads = {"whole": None, "window": None}  # type: ignore[dict-item]
    detector.config = type("", (), {"share": {"whole": 0.7, "window": 0.3}})()  # type: ignore[assignment]
    for i, one in enumerate(squares):
        its = windows[picture == i]
        box = (0.0, 0.0, 1.0, 1.0)
        views = [View("whole", box), *[View("window", box)] * len(its)]
        weights = detector.view_weights(views).numpy()
        assert both[i] == pytest.approx(float(weights @ [one, *its]), rel=1e-6)


def test_the_drawn_copy_is_found_among_the_copies() -> None:
    records = [record(number * 2**20) for number in range(16)]
    numbers = drawn_of(records, ("retouched", "light", "much"))
    assert set(numbers) == {0, 1, 2}
    assert (drawn_of(records, ("light", "drawn")) == 1).all()


def test_windows_without_their_copy_are_refused_before_any_work() -> None:
    with pytest.raises(ValueError, match="drawn copy"):
        Recipe(windows=2, copies=("light",))
    assert Recipe(windows=2).windows == 2


@pytest.mark.usefixtures("here")
def test_a_small_picture_has_no_windows(tmp_path: Path) -> None:
    write_tower(tmp_path / "tower")
    sizes = (300, 200), (36, 30)
    records = [record(i) for i in range(2)]
    for r, size in zip(records, sizes, strict=True):
        Image.fromarray(photo(*size)).save(tmp_path / r.path)
    made = compute_windows(
        records, tmp_path, backbone=f"local-dir:{tmp_path / 'tower'}", windows=2, cache=tmp_path / "cache"
    )
    assert set(made.picture) == {0}
    assert made.take(("cls:2",)).shape[0] == len(made.picture) > 0


@pytest.mark.usefixtures("here")
def test_a_detector_is_trained_with_both_heads(tmp_path: Path) -> None:
    workshop = workshop_folder(tmp_path)
    config = CONFIG | {"copies": ["light", "drawn"], "windows": 2, "share": 0.4}
    (workshop / "config.json").write_text(json.dumps(config))
    assert CliRunner().invoke(app, train_words(workshop), catch_exceptions=False).exit_code == 0
    detector = Detector.from_pretrained(workshop / "model")
    assert detector.config.share == {"whole": 0.6, "window": 0.4}
    assert set(detector.masks) == {"whole", "window"}
    seen = detector.predict(np.asarray(gridded(1, 5)))
    assert {view.kind for view in seen.views} == {"whole", "window"}
    total = sum(float(v.causal.sum()) + v.rest for v in seen.views) + seen.rest
    assert total == pytest.approx(seen.logit, abs=1e-3)
    card = (workshop / "model" / "README.md").read_text()
    assert "(60% of the verdict), and windows at native scale" in card
