"""The tower's own update, in miniature: packed pictures, three checkpoints, a better tower."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import embed, needs
from causalclip.method import causal_loss
from tests.makers.detectors import gridded, views, write_tower
from training.detector import lora
from training.detector.data import BadManifest, Record, assign_folds
from training.detector.lora import INDEX, LoraRun, PackedPictures, fit, pack
from training.detector.recipe import Recipe

RECIPE = Recipe(parts=("cls:2", "embedding"))
RUN = LoraRun(steps=45, batch=24, rank=4, rate=3e-3, head_rate=2e-2, held=4)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lora")


@pytest.fixture(scope="module")
def records(folder: Path) -> list[Record]:
    """48 pictures of eight owners, both classes of each."""
    (folder / "pictures").mkdir()
    found = []
    for number in range(48):
        label, owner = number % 2, f"owner{number // 2 % 8}"
        name = f"{number}.png"
        gridded(label, number).save(folder / "pictures" / name)
        found.append(
            Record(name, label, "s", "train", "sites", "picture", name, owner, owner=owner)
        )
    return found


@pytest.fixture(scope="module")
def packed(folder: Path, records: list[Record]) -> Path:
    pack(records, folder / "pictures", folder / "packed")
    return folder / "packed"


def test_packed_pictures_are_seen_as_training_and_judging_see_them(
    packed: Path, records: list[Record]
) -> None:
    seen = PackedPictures(packed, size=32, augmented=False)
    assert seen.records == records
    pixels, label = seen[5]
    assert (pixels.shape, label) == ((2, 3, 32, 32), 1.0)
    assert not torch.equal(pixels[0], pixels[1])  # the middle at the packed scale, and the whole
    one, _ = PackedPictures(packed, size=32, augmented=True)[5]
    assert one.shape == (1, 3, 32, 32)
    assert 0 <= one.min() < one.max() <= 1


@pytest.mark.full
def test_three_checkpoints_are_judged_and_the_tower_goes_on_from_the_best(
    packed: Path, tmp_path: Path, records: list[Record]
) -> None:
    backbone, out = write_tower(tmp_path / "tower"), tmp_path / "run"
    out.mkdir()
    report = fit(packed, out, backbone=backbone, recipe=RECIPE, run=RUN, device=CPU)
    assert [one["step"] for one in report["checkpoints"]] == [15, 30, 45]
    assert report["checkpoints"][-1]["loss"] < 0.65  # 0.69 knows nothing
    assert all(0 <= one["all"] <= 1 for one in report["checkpoints"])
    fold_of = assign_folds(records, folds=RUN.held)
    held = sum(fold_of[record.group] == 0 for record in records)
    assert (report["learned"], report["held out"]) == (48 - held, held)
    assert json.loads((out / "lora.json").read_text())["checkpoints"] == report["checkpoints"]
    logged = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in logged] == [15, 30, 45]
    before, after = (
        load_tower(name, dtype=torch.float32) for name in (backbone, f"local-dir:{out / 'tower'}")
    )
    shots = views(2)
    seen = [embed(t(shots, **needs(RECIPE.parts, t)), RECIPE.parts, t) for t in (before, after)]
    assert seen[0].shape == seen[1].shape
    assert not torch.allclose(*seen, atol=1e-3)
    changed = {
        name
        for name, value in after.state_dict().items()
        if not torch.equal(value, before.state_dict()[name])
    }
    assert {name.split(".", 4)[-1] for name in changed} == {
        f"{matrix}.weight" for matrix in ("attn.out_proj", "mlp.c_fc", "mlp.c_proj")
    }
    assert {name.split(".")[3] for name in changed} >= {"0", "1", "2"}  # every layer


@pytest.mark.full
def test_a_killed_run_goes_on(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before its second judgement, it does what is left of the steps, and no more."""
    out, short = tmp_path / "run", replace(RUN, steps=9)
    out.mkdir()
    monkeypatch.setattr(lora, "KEPT", 0)  # seconds: after each step

    def run(last: int) -> dict[str, Any]:
        """Until so many steps are done in this run."""
        done = []

        def loss(*given: Any, **named: Any) -> torch.Tensor:
            if len(done) == last:
                raise KeyboardInterrupt
            done.append(1)
            return causal_loss(*given, **named)

        monkeypatch.setattr(lora, "causal_loss", loss)
        return fit(packed, out, backbone=backbone, recipe=RECIPE, run=short, device=CPU)

    backbone = write_tower(tmp_path / "tower")
    with pytest.raises(KeyboardInterrupt):
        run(5)
    before = json.loads((out / "lora.json").read_text())["checkpoints"]
    assert [one["step"] for one in before] == [3]
    after = run(4)["checkpoints"]
    assert [one["step"] for one in after] == [3, 6, 9]
    assert after[0] == before[0]
    with pytest.raises(KeyboardInterrupt):  # other settings start anew
        fit(packed, out, backbone=backbone, recipe=RECIPE, run=replace(short, seed=1), device=CPU)


def test_one_owner_cannot_be_held_out(folder: Path, tmp_path: Path, records: list[Record]) -> None:
    pack(records[:12:8], folder / "pictures", tmp_path / "few")
    with pytest.raises(BadManifest, match="needs real and generated pictures"):
        fit(
            tmp_path / "few",
            tmp_path,
            backbone=write_tower(tmp_path / "tower"),
            recipe=RECIPE,
            run=RUN,
            device=CPU,
        )


def test_both_classes_are_encoded_alike(packed: Path) -> None:
    with (packed / INDEX).open(newline="") as file:
        rows = list(csv.DictReader(file))
    data = (packed / "pictures.bin").read_bytes()
    kinds = {data[int(row["start"]) : int(row["start"]) + 2] for row in rows}
    assert kinds == {b"\xff\xd8"}
    assert len(data) == sum(int(row["length"]) for row in rows)
    assert np.diff([int(row["start"]) for row in rows]).min() > 0
