"""The table on tiny models: every row and column, what is kept, the paired tests, and who attacks knowing what."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from purifier.attacks import Attack, Objective, run_attack
from purifier.attacks.adaptive import Averaged
from purifier.evaluation import EvaluationConfig, evaluate_defences, run
from purifier.evaluation.outcomes import Outcome, OutcomeTable, fingerprint, paired, summarise
from purifier.evaluation.samples import load_samples
from purifier.evaluation.table import (
    COLUMNS,
    COMPARISONS,
    WHOLE,
    DefendedObjective,
    Row,
    attacker_objective,
    build_rows,
    jpeg,
    median,
)
from purifier.models import Models
from tests.makers.pictures import photo
from tests.makers.purifiers import fixed_attack_detector, tiny_clip, tiny_models, tiny_purifier

HELD = Outcome(True, False, 'a dog, "one", by the sea', psnr=37.25, ssim=0.9885)
FELL = Outcome(False, True, None, psnr=60.0, ssim=1.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two test pictures with boxes and captions, two with human questions, one training picture."""
    root = tmp_path_factory.mktemp("data")
    box = {"name": "dog", "xywh": [4, 4, 30, 30], "iscrowd": 0}
    rows = {"coco": [], "daquar": []}
    for source in rows:
        (root / source).mkdir()
        for i, split in enumerate(("test", "test", "train")):
            Image.fromarray(photo(64 + 8 * i, 48)).save(root / f"{source}/{i}.png")
            name = f"{source}/{i}.png"
            asked = [{"question": "what animal is in the picture", "answer": "dog", "split": split}]
            captioned = {"split": split, "captions": ["A dog runs .", "One dog ."], "boxes": [box]}
            rows[source].append({"file": name} | (captioned if source == "coco" else {"qa": asked}))
        (root / f"{source}.jsonl").write_text("\n".join(map(json.dumps, rows[source])))
    return root


@pytest.fixture(scope="module")
def forensics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("forensics")
    lines = ["path,split,label"]
    for i, label in enumerate(("real", "fake")):
        Image.fromarray(photo(64, 48)).save(root / f"{i}.png")
        lines.append(f"{i}.png,test,{label}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def models() -> Models:
    return tiny_models()


@pytest.fixture(scope="module")
def report(data: Path, forensics: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    compared = tmp_path_factory.mktemp("compared")
    for name in ("noise", "regression"):
        tiny_purifier(seed=1).save_pretrained(compared / name)
    short = [replace(c, attack=c.attack and replace(c.attack, steps=2)) for c in COLUMNS]
    columns = ("clean", "patch 2 %", "BPDA + EOT 4/255", "Square 8/255")
    rows = tuple(dict.fromkeys(row for pair in COMPARISONS for row in pair))
    config = EvaluationConfig(2, costly=1, seeds=1, columns=columns, rows=rows, compared=str(compared))
    with pytest.MonkeyPatch.context() as patch:
        tiny_clip(patch)
        patch.setattr(run, "COLUMNS", short)
        attacked = tiny_models(purifier=lambda: tiny_purifier(gate=fixed_attack_detector(50.0)))
        return evaluate_defences(config, data=data, forensics=forensics, models=attacked)


def test_samples_are_of_the_test_split_by_turns_of_the_collections(data: Path) -> None:
    samples = load_samples(data, count=10, seed=0)
    assert [s.name.split("/")[0] for s in samples] == ["coco", "daquar", "coco", "daquar"]
    assert all(not s.name.endswith("2.png") for s in samples)
    assert [s.captions for s in samples[:2]] == [("a dog runs", "one dog"), ()]
    few, more = (load_samples(data, count=count, seed=1) for count in (2, 4))
    assert [s.name for s in few] == [s.name for s in more[:2]]


def test_every_cell_is_there_with_its_numbers(report: dict) -> None:
    cells = {(c["row"], c["column"]): c for c in report["cells"]}
    rows = {row for pair in COMPARISONS for row in pair}
    assert len(rows) == 11
    assert len(cells) == len(rows) * 4
    assert cells[WHOLE, "Square 8/255"]["n"] == 1
    for cell in cells.values():
        assert 0 <= cell["accuracy_interval"][0] <= cell["accuracy"] <= cell["accuracy_interval"][1] <= 1
        assert cell["psnr"] < 60
    assert {"before", "after", "attacked", "attacked, after", "n", "n attacked"} == set(report["detector"]["real"])
    json.dumps(report)


def test_every_two_rows_that_are_compared_saw_the_same_pictures(report: dict) -> None:
    shown = {(c["row"], c["column"]): (c["psnr"], c["ssim"]) for c in report["cells"]}
    pairs = {(p["row"], p["against"]): p for p in report["paired"] if p["column"] == "patch 2 %"}
    assert set(pairs) == set(COMPARISONS)
    assert all(p["n"] == 2 and p["won"] + p["lost"] <= 2 and 0 < p["p"] <= 1 for p in pairs.values())
    different = {shown[row, "patch 2 %"] for row, _ in COMPARISONS} | {shown[o, "patch 2 %"] for _, o in COMPARISONS}
    assert len(different) > 8  # each part changes the picture: only who looks differs without the LoRA encoder


def test_the_paired_test_counts_what_only_one_of_two_keeps() -> None:
    known = {str(i): {"a": HELD, "b": HELD if i < 3 else FELL} for i in range(13)} | {"x": {"a": HELD}}
    (one,) = paired("PGD", known, [("a", "b"), ("a", "c")])
    assert (one["n"], one["agreement"], one["won"], one["lost"]) == (13, 1.0, 10, 0)
    assert one["p"] == 0.002  # ten times the same side of a fair coin, either way


def test_what_was_measured_is_not_measured_again(data: Path, models: Models, tmp_path: Path) -> None:
    config = EvaluationConfig(pictures=2, seeds=1, columns=("clean",), rows=("no defence", "JPEG 75"), verdicts=0)
    keep = tmp_path / "kept.csv"
    whole = evaluate_defences(config, data=data, models=models, keep=keep)
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_outcomes", lambda behind, *_, **__: calls.extend(behind) or {})
        assert evaluate_defences(config, data=data, models=models, keep=keep) == whole
        assert not calls
        more = replace(config, rows=("no defence", "median blur"))
        evaluate_defences(more, data=data, models=models, keep=keep)
    assert [row.name for row, _ in calls] == ["median blur"] * 2
    assert "one dog" not in keep.read_text()  # of the data, nothing but its names


def test_what_is_not_measured_now_or_rests_on_more_questions_stays(data: Path, models: Models) -> None:
    ours = {"row": "JPEG 75", "column": "clean", "n": 1}
    cells = [ours | {"row": "gone"}, ours | {"column": "patch 2 %"}, ours, ours | {"row": "no defence", "n": 99}]
    config = EvaluationConfig(pictures=2, seeds=1, columns=("clean",), rows=("no defence", "JPEG 75"), verdicts=0)
    report = evaluate_defences(config, data=data, models=models, earlier={"cells": cells, "detector": {"real": 1}})
    assert report["detector"] == {"real": 1}
    assert [c["n"] for c in report["cells"]] == [1, 1, 2, 99]


def test_a_table_of_outcomes_is_read_again_and_a_killed_run_loses_one_line(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.csv"
    kept = OutcomeTable(path)
    kept.put("PGD 8/255", 1, "b/2 of 3.jpg", {"JPEG 10": HELD, "no defence": FELL})
    kept.put("clean", 0, "a.jpg", {"no defence": FELL})
    kept.put("clean", 0, "b.jpg", {"no defence": HELD})
    again = OutcomeTable(path)
    assert again.all("PGD 8/255") == {"1 b/2 of 3.jpg": {"JPEG 10": HELD, "no defence": FELL}}
    assert again.get("clean", 1, "a.jpg") == {}
    path.write_text(path.read_text()[:-2])
    again = OutcomeTable(path)
    assert set(again.all("clean")) == {"0 a.jpg"}
    again.put("clean", 0, "c.jpg", {"no defence": HELD})
    assert set(OutcomeTable(path).all("clean")) == {"0 a.jpg", "0 c.jpg"}
    assert OutcomeTable(None).all("clean") == {}


def test_other_weights_have_another_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = fingerprint([tmp_path])
    (tmp_path / "README.md").write_text("words")
    assert fingerprint([tmp_path]) == before
    (tmp_path / "config.json").write_text("[]")
    assert fingerprint([tmp_path]) != before


def test_an_attacker_stops_when_he_has_what_he_wants_and_starts_again_elsewhere_where_he_has_not() -> None:
    asked = []

    def reached(moved: torch.Tensor) -> bool:
        asked.append(moved)
        return len(asked) == 5

    def objective(x: torch.Tensor) -> torch.Tensor:  # many heights: where it ends depends on the start
        return (40 * x).sin().sum((1, 2, 3))

    clean, attack = torch.full((1, 3, 8, 8), 0.5), Attack("pgd", eps=8, steps=10)
    moved = run.attacked_until(attack, clean, objective, reached, starts=3)
    assert len(asked) == 5
    first, second, third = (run_attack(replace(attack, seed=run.APART * start), clean, objective) for start in range(3))
    assert torch.equal(asked[1], first)
    assert torch.equal(asked[3], second)
    assert torch.equal(moved, asked[4])
    assert torch.equal(run.attacked_until(attack, clean, objective, lambda _: False, starts=3), third)


def test_only_answers_that_outlive_the_first_attack_are_attacked_again(
    data: Path, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From several starts, but through what is random from one; rows that the first attack did not ask are left out."""
    column = next(c for c in COLUMNS if c.name == "APGD, then PGD-40 4/255, white-box adaptive")
    (sample,) = load_samples(data, count=1, seed=0)
    before, keep = {"no defence": FELL, "JPEG 10": HELD, "ours, ungated": HELD}, tmp_path / "kept.csv"
    OutcomeTable(keep).put(column.after, 0, sample.name, before)
    asked = []

    def attacked_until(attack: Attack, pixels: torch.Tensor, *_: object, starts: int) -> torch.Tensor:
        asked.append((attack.name, attack.steps, starts))
        return pixels

    monkeypatch.setattr(run, "attacked_until", attacked_until)
    config = EvaluationConfig(pictures=1, costly=1, seeds=1, columns=(column.name,))
    report = evaluate_defences(config, data=data, models=models, keep=keep)
    assert asked == [("pgd", 40, 3), ("pgd", 40, 1)]
    assert {cell["row"] for cell in report["cells"]} == set(before)


@pytest.mark.parametrize(("said", "changed"), [(["cat"] * 8, True), (["cat"] * 7 + ["dog"], False), (["dog"], False)])
def test_who_attacks_a_random_defence_stops_when_eight_draws_give_another_answer(said, changed) -> None:
    left = iter(said)
    speaker = SimpleNamespace(answer=lambda *_: [SimpleNamespace(text=next(left))])
    row = Row("drawn", lambda x: x, speaker, random=True)
    assert run.AnswerBehind(row, "what is it", "dog").changed(torch.zeros(1, 3, 8, 8)) is changed
    assert next(left, None) is None


def test_an_attacker_follows_the_gradient_where_there_is_one() -> None:
    columns = {c.name: c for c in COLUMNS}
    full, around = columns["full-gradient PGD-40 4/255"], columns["BPDA + EOT 4/255"]
    black, grey = columns["Square 8/255"], columns["PGD 8/255"]
    smooth, rough = Row("ours", torch.sigmoid, None), Row("JPEG", jpeg, None, smooth=False)
    noisy = Row("noise", torch.sigmoid, None, random=True)

    def objective(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.sum((1, 2, 3))

    def raises(_: object) -> Objective:
        return objective

    assert attacker_objective(grey, smooth, raises) is objective
    assert attacker_objective(full, rough, raises) is None
    assert isinstance(attacker_objective(around, rough, raises), DefendedObjective)
    assert isinstance(attacker_objective(full, noisy, raises), Averaged)
    assert isinstance(attacker_objective(black, noisy, raises), DefendedObjective)
    x = torch.rand(1, 3, 4, 4, requires_grad=True)
    slopes = {c: torch.autograd.grad(attacker_objective(c, smooth, raises)(x).sum(), x)[0] for c in (full, around)}
    assert torch.equal(slopes[around], torch.ones_like(x))
    assert (slopes[full] < 0.3).all()


def test_who_knows_a_row_raises_it_of_the_model_that_speaks_there() -> None:
    """Where the defence changes nothing, the LoRA encoder is not used, and must not be attacked."""
    column = next(c for c in COLUMNS if c.name == "APGD 2/255, white-box adaptive")
    x = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def raises(speaker: str) -> Objective:
        return lambda pixels: pixels.sum((1, 2, 3)) * {"plain": 1, "adapted": 10}[speaker]

    for defend, sum_of in ((lambda p: p, x.sum()), (lambda p: p * 0.9, 9 * x.sum())):
        seen = attacker_objective(column, Row("ours", defend, "plain", "adapted"), raises)
        assert torch.allclose(seen(x), sum_of)


def test_simple_defences_change_pixels_a_little() -> None:
    x = torch.from_numpy(photo(40, 30)).permute(2, 0, 1).float()[None] / 255
    assert all(0 < (defend(x) - x).abs().mean() < 0.1 for defend in (jpeg, median))


def test_other_denoisers_have_rows_where_their_models_are_here(models: Models, tmp_path: Path) -> None:
    without = [row.name for row in build_rows(models, compared=None)]
    tiny_purifier(seed=1).save_pretrained(tmp_path / "noise")
    found = [row.name for row in build_rows(models, compared=tmp_path)]
    assert found == [*without, "ours with the unsupervised denoiser", "the unsupervised denoiser alone"]


def test_metrics_of_known_pictures() -> None:
    clean = torch.zeros(1, 3, 16, 16)
    off = Outcome(True, False, "a dog", clean + 10 / 255, clean).measured()
    assert off.psnr == pytest.approx(20 * np.log10(25.5), abs=0.01)
    assert off.shown is None
    same = Outcome(False, True, None, clean, clean).measured()
    assert (same.psnr, same.ssim) == (60.0, 1.0)
    row = summarise([off, same], [("a dog",), ()], seeds=1)
    assert (row["agreement"], row["accuracy"], row["captions"]) == (0.5, 0.5, 1)


def test_unknown_rows_and_columns_are_named(data: Path, models: Models) -> None:
    with pytest.raises(ValueError, match="no column 'PGD'"):
        evaluate_defences(EvaluationConfig(columns=("PGD",)), data=data, models=models)
    with pytest.raises(FileNotFoundError, match="--data"):
        evaluate_defences(EvaluationConfig(), data=None, models=models)


def test_an_attacked_picture_is_made_once(data: Path, models: Models, tmp_path: Path) -> None:
    """For another defence, later, the same picture is taken; so it is where the picture arrives as a JPEG."""
    made = tmp_path / "made"
    short = [replace(c, attack=replace(c.attack, steps=2)) for c in COLUMNS if c.attack]
    config = EvaluationConfig(pictures=2, seeds=1, columns=("PGD 8/255",), rows=("ours, 1 step",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "COLUMNS", short)
        first = evaluate_defences(config, data=data, models=models, made=made)
        assert len(list(made.iterdir())) == 2
        patch.setattr(run, "run_attack", pytest.fail)  # a second attack would fail
        assert evaluate_defences(config, data=data, models=models, made=made) == first
        as_jpeg = replace(config, columns=("PGD 8/255, as JPEG 90",), rows=("no defence",))
        patch.setattr(run, "jpeg", lambda x, quality: torch.ones_like(x))
        white = evaluate_defences(as_jpeg, data=data, models=models, made=made)
    assert white["cells"][0]["psnr"] < 20
