"""Features in one file: what is kept, what a killed run leaves, and on which device they are
computed."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from causalclip.clip.embedding import contributions, embed, needs
from causalclip.detector import Detector
from causalclip.device import NoDevice, choose_device
from causalclip.method import LossWeights, causal_loss
from tests.makers.detectors import gridded, saved_detector, tiny_tower, write_tower
from training.detector.data import Record
from training.detector.features import FeatureFile, compute_features, compute_windows
from training.detector.fitting import TrainConfig

PARTS = "cls:2", "embedding"


def rows(*counts: int, width: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(len(counts))
    return [rng.random((count, width)).astype(np.float16) for count in counts]


def test_rows_are_read_by_key_in_any_order(tmp_path: Path) -> None:
    own = dict(zip("abcd", rows(1, 3, 0, 2), strict=True))
    with FeatureFile.open(tmp_path, 5) as file:
        file.append(list("ab"), [own["a"], own["b"]])
    with FeatureFile.open(tmp_path, 5) as file:
        assert "b" in file
        assert "c" not in file
        file.append(list("cd"), [own["c"], own["d"]])
    for order in ("abcd", "dbca", "db", "c"):
        values, counts = FeatureFile(tmp_path, 5).read(list(order))
        assert counts.tolist() == [len(own[key]) for key in order]
        assert np.array_equal(values.numpy(), np.concatenate([own[key] for key in order]))


def test_what_a_killed_run_left_half_written_does_not_count(tmp_path: Path) -> None:
    first, second = rows(2, 1)
    with FeatureFile.open(tmp_path, 5) as file:
        file.append(["a"], [first])
    with (tmp_path / "values.f16").open("ab") as values, (tmp_path / "keys.txt").open("a") as keys:
        values.write(b"half a row")
        keys.write("b 1")  # no end of the line
    with FeatureFile.open(tmp_path, 5) as file:
        assert "b" not in file
        file.append(["b"], [second])
    values, _ = FeatureFile(tmp_path, 5).read(["a", "b"])
    assert np.array_equal(values.numpy(), np.concatenate([first, second]))


@pytest.fixture
def pictures(tmp_path: Path) -> list[Record]:
    (tmp_path / "pictures").mkdir()
    for number in range(6):
        gridded(number % 2, number).save(tmp_path / "pictures" / f"{number}.png")
    return [
        Record(f"{n}.png", n % 2, "s", "train", "all", "picture", f"{n}", "s") for n in range(6)
    ]


def compute(tmp_path: Path, records: list[Record], *names: str) -> torch.Tensor:
    return compute_features(
        records,
        tmp_path / "pictures",
        backbone=f"local-dir:{tmp_path / 'tower'}",
        parts=PARTS,
        augmentations=names or ("light", "much"),
        cache=tmp_path / "cache",
    ).values


def test_only_the_named_parts_are_kept_and_nothing_is_computed_twice(
    tmp_path: Path, pictures: list[Record]
) -> None:
    write_tower(tmp_path / "tower")
    few = compute(tmp_path, pictures[:4])
    assert few.shape == (2, 4, 48 + 24)
    for path in (tmp_path / "pictures").glob("[0-3].png"):
        path.unlink()  # what was computed is not read again
    more = compute(tmp_path, pictures)
    assert more.shape == (2, 6, 72)
    assert torch.equal(more[:, :4], few)
    [file] = (tmp_path / "cache").rglob("values.f16")
    assert file.stat().st_size == 2 * (2 * 6) * (72 + 2)


@pytest.mark.full
def test_other_processes_find_the_same(
    tmp_path: Path, pictures: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tower(tmp_path / "tower")
    alone = compute(tmp_path, pictures).clone()
    monkeypatch.setattr("training.detector.features.MIN_PARALLEL", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    for file in (tmp_path / "cache").rglob("*.*"):
        file.unlink()
    assert torch.equal(compute(tmp_path, pictures), alone)


def test_windows_are_those_of_their_pictures(tmp_path: Path, pictures: list[Record]) -> None:
    found = compute_windows(
        pictures,
        tmp_path / "pictures",
        backbone=write_tower(tmp_path / "tower"),
        parts=PARTS,
        windows=2,
        cache=tmp_path / "cache",
    )
    assert found.values.shape == (12, 72)
    assert found.picture.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_a_card_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="sees no graphics card"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="none of auto, cpu, cuda"):
        choose_device("tpu")


def test_a_card_is_taken_where_there_is_one_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device().type == "cuda"
    assert choose_device("cpu").type == "cpu"


def test_a_detector_is_asked_for_a_card_by_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_detector(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CAUSALCLIP_DEVICE", "cuda")
    with pytest.raises(NoDevice, match="sees no graphics card"):
        Detector.from_pretrained(tmp_path / "model")
    monkeypatch.setenv("CAUSALCLIP_DEVICE", "cpu")
    assert Detector.from_pretrained(tmp_path / "model").tower.device.type == "cpu"


CARD = torch.device("meta")  # tensors without numbers, which mix with those of no other device


def pretend(module: torch.nn.Module) -> torch.nn.Module:
    """Puts what a module holds on a card that is not there."""
    return module.to_empty(device=CARD)


def test_all_of_a_pass_happens_on_the_card() -> None:
    """What is left on the processor raises an error."""
    tower = tiny_tower()
    tower.mean, tower.std = tower.mean.to(CARD), tower.std.to(CARD)
    pretend(tower)
    assert tower.device == CARD
    trace = tower(torch.rand(2, 3, 32, 32, device=CARD), attributions=True, **needs(PARTS, tower))
    embedded = embed(trace, PARTS, tower)
    patches, rest = contributions(trace, PARTS, tower, torch.ones_like(embedded))
    assert embedded.device == patches.device == rest.device == CARD
    with pytest.raises((RuntimeError, NotImplementedError)):
        contributions(trace, PARTS, tower, torch.ones(embedded.shape))


def test_all_of_a_training_step_happens_on_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the bandwidths of HSIC's kernels, medians that need numbers."""
    monkeypatch.setattr("causalclip.method.median_bandwidth", lambda x: torch.ones_like(x[:1, :1]))
    head = TrainConfig(hidden=8).new_head(6)
    pretend(head)
    loss = causal_loss(
        head,
        torch.rand(4, 6, device=CARD),
        torch.ones(4, device=CARD),
        weights=LossWeights(),
        tau=1.0,
    )
    loss.backward()
    assert loss.device == CARD
