"""The table on tiny models: every row and column, the metrics, and what the report says of itself."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from purifier.attacks import Attack, run_attack
from purifier.attacks.state import Objective
from purifier.attacks.wrappers import Averaged
from purifier.evaluation import EvaluationConfig, evaluate_defences, markdown, run
from purifier.evaluation.columns import COLUMNS, Defended, seen_by
from purifier.evaluation.kept import Kept, fingerprint
from purifier.evaluation.metrics import Outcome, summarise
from purifier.evaluation.rows import COMPARED, Row, build_rows, jpeg, median
from purifier.evaluation.samples import load_samples
from purifier.models import Models
from tests.makers.pictures import photo
from tests.makers.purifiers import tiny_models, tiny_purifier

KEPT = "kept.csv.gz"


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
def report(data: Path, forensics: Path, models: Models, tmp_path_factory: pytest.TempPathFactory) -> dict:
    compared = tmp_path_factory.mktemp("compared")
    tiny_purifier(seed=1).save_pretrained(compared / "noise")
    short = [replace(c, attack=c.attack and replace(c.attack, steps=2)) for c in COLUMNS]
    config = EvaluationConfig(
        pictures=2,
        costly=1,
        seeds=1,
        columns=("clean", "patch 2 %", "BPDA + EOT 4/255", "Square 8/255"),
        rows=("no defence", "JPEG 75", "unsupervised", "ours, 1 step", "ours, 1 step, adapted encoder"),
        compared=str(compared),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "COLUMNS", short)
        return evaluate_defences(config, data=data, forensics=forensics, models=models)


def test_samples_are_of_the_test_split_by_turns_of_the_collections(data: Path) -> None:
    samples = load_samples(data, count=10, seed=0)
    assert [s.name.split("/")[0] for s in samples] == ["coco", "daquar", "coco", "daquar"]
    assert all(not s.name.endswith("2.png") for s in samples)
    assert samples[0].captions == ("a dog runs", "one dog")
    assert samples[1].captions == ()
    assert [s.name for s in load_samples(data, count=2, seed=1)] == [
        s.name for s in load_samples(data, count=4, seed=1)[:2]
    ]


def test_every_cell_is_there_with_its_numbers(report: dict) -> None:
    cells = {(c["row"], c["column"]): c for c in report["cells"]}
    assert len(cells) == 5 * 4
    clean = cells["no defence", "clean"]
    assert (clean["agreement"], clean["psnr"], clean["ssim"], clean["n"]) == (1.0, 60.0, 1.0, 2)
    assert cells["no defence", "Square 8/255"]["n"] == 1
    for cell in cells.values():
        assert 0 <= cell["accuracy_interval"][0] <= cell["accuracy"] <= cell["accuracy_interval"][1] <= 1
        assert cell["captions"] == 1
    assert cells["JPEG 75", "clean"]["psnr"] < 60
    assert set(report["detector"]) == {"real", "fake"}
    assert {"before", "after", "attacked", "attacked, after", "n", "n attacked"} == set(report["detector"]["real"])
    assert report["detector"]["fake"]["n attacked"] == 1
    json.dumps(report)


def test_what_was_measured_is_not_measured_again(data: Path, models: Models, tmp_path: Path) -> None:
    config = EvaluationConfig(pictures=2, seeds=1, columns=("clean",), rows=("no defence", "JPEG 75"), verdicts=0)
    whole = evaluate_defences(config, data=data, models=models, keep=tmp_path / KEPT)
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_outcomes", lambda behind, *_, **__: calls.extend(behind) or {})
        assert evaluate_defences(config, data=data, models=models, keep=tmp_path / KEPT) == whole
        assert not calls
        evaluate_defences(
            replace(config, rows=("no defence", "median blur")), data=data, models=models, keep=tmp_path / KEPT
        )
    assert [row.name for row, _ in calls] == ["median blur"] * 2
    table = gzip.decompress((tmp_path / KEPT).read_bytes()).decode()
    assert table.startswith("column,seed,picture,row,")
    assert "one dog" not in table  # of the data, nothing but its names


def test_compared_recipes_that_are_not_here_stay_as_they_were_reported(data: Path, models: Models) -> None:
    ours = {"row": "ours, 1 step", "column": "clean", "n": 9}
    cells = [ours | {"row": "unsupervised"}, ours | {"row": "unsupervised", "column": "patch 2 %"}, ours]
    config = EvaluationConfig(pictures=2, seeds=1, columns=("clean",), compared="nowhere", verdicts=0)
    earlier = {"cells": cells, "detector": {"real": {"n": 3}}}
    report = evaluate_defences(config, data=data, models=models, earlier=earlier)
    found = report["cells"]
    assert report["detector"] == earlier["detector"]
    assert [c["n"] for c in found if c["row"] == "unsupervised"] == [9]
    assert [c["n"] for c in found if c["row"] == "ours, 1 step"] == [2]
    only = evaluate_defences(replace(config, rows=("JPEG 75",)), data=data, models=models, earlier=earlier)
    assert {c["row"] for c in only["cells"]} == {"JPEG 75"}


def test_a_cell_says_where_it_rests_on_other_pictures(report: dict) -> None:
    cells = [c | ({"n": 7} if c["row"] == "JPEG 75" else {}) for c in report["cells"]]
    lines = markdown(report | {"cells": cells}).splitlines()
    assert all(line.count(", n = 7") == 4 for line in lines if line.startswith("| JPEG 75 |") and "(" in line)
    assert not any(", n = 7" in line for line in lines if line.startswith("| no defence |"))


def test_other_weights_have_another_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = fingerprint([tmp_path])
    (tmp_path / "README.md").write_text("words")
    assert fingerprint([tmp_path]) == before
    (tmp_path / "config.json").write_text("[]")
    assert fingerprint([tmp_path]) != before


def test_the_table_says_what_was_run(report: dict) -> None:
    text = markdown(report)
    adapted = "ours, 1 step, adapted encoder"
    for words in ("no defence", adapted, "n = 2, seeds 1", "n = 1, seeds 1", "grey box", "adaptive"):
        assert words in text
    assert "| patch 2 % | grey box: knows the model, not the defence | yes |" in text
    assert "| fake | 1 | attacked, after purification |" in text


def test_an_attacker_stops_when_he_has_what_he_wants() -> None:
    asked = []

    def reached(moved: torch.Tensor) -> bool:
        asked.append(moved)
        return len(asked) == 2

    objective = lambda x: x.sum((1, 2, 3))  # noqa: E731
    clean, long = torch.full((1, 3, 8, 8), 0.5), Attack("pgd", eps=8, steps=40, step_size=0.1)
    moved = run.attacked_until(long, clean, objective, reached)
    assert len(asked) == 2
    assert torch.equal(moved, asked[1])
    whole = run_attack(long, clean, objective)
    assert objective(moved) < objective(whole)
    assert torch.equal(run.attacked_until(long, clean, objective, lambda _: False), whole)


def test_an_attacker_starts_again_elsewhere_where_the_answer_holds() -> None:
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
    assert not torch.equal(first, second)
    assert torch.equal(moved, asked[4])
    assert torch.equal(run.attacked_until(attack, clean, objective, lambda _: False, starts=3), third)


def test_only_answers_that_outlive_the_first_attack_are_attacked_again(
    data: Path, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From several starts, but through what is random from one; rows that the first attack did not ask are left out."""
    column = next(c for c in COLUMNS if c.name == "APGD, then PGD-40 4/255, white-box adaptive")
    (sample,) = load_samples(data, count=1, seed=0)
    clean = sample.pixels
    fell, held = (Outcome(agrees, False, None, clean, clean).measured() for agrees in (False, True))
    before = {"no defence": fell, "JPEG 10": held, "ours, ungated": held}
    Kept(tmp_path / KEPT).put(column.after, 0, sample.name, before)
    asked = []

    def attacked_until(attack: Attack, pixels: torch.Tensor, *_: object, starts: int) -> torch.Tensor:
        asked.append((attack.name, attack.steps, starts))
        return pixels

    monkeypatch.setattr(run, "attacked_until", attacked_until)
    config = EvaluationConfig(pictures=1, costly=1, seeds=1, columns=(column.name,))
    report = evaluate_defences(config, data=data, models=models, keep=tmp_path / KEPT)
    assert asked == [("pgd", 40, 3), ("pgd", 40, 1)]
    assert {cell["row"] for cell in report["cells"]} == set(before)
    found = Kept(tmp_path / KEPT).get(column.name, 0, sample.name)
    assert not found["no defence"].agrees


@pytest.mark.parametrize(("said", "changed"), [(["cat"] * 8, True), (["cat"] * 7 + ["dog"], False), (["dog"], False)])
def test_who_attacks_a_random_defence_stops_when_eight_draws_give_another_answer(
    said: list[str], changed: bool
) -> None:
    left = iter(said)
    speaker = SimpleNamespace(answer=lambda *_: [SimpleNamespace(text=next(left))])
    row = Row("drawn", lambda x: x, True, True, speaker)
    assert run.Said(row, "what is it", "dog").changed(torch.zeros(1, 3, 8, 8)) is changed
    assert next(left, None) is None


def test_the_eye_is_for_what_the_defence_changed() -> None:
    row = Row("ours", torch.sigmoid, True, False, "plain", "adapted")
    x = torch.rand(1, 3, 4, 4)
    assert row.speaks_of(x, x) == "plain"
    assert row.speaks_of(x + 0.1, x) == "adapted"
    assert Row("ours", torch.sigmoid, True, False, "plain").speaks_of(x + 0.1, x) == "plain"


def test_an_attacker_follows_the_gradient_where_there_is_one() -> None:
    columns = {c.name: c for c in COLUMNS}
    full, around = columns["full-gradient PGD-40 4/255"], columns["BPDA + EOT 4/255"]
    black, grey = columns["Square 8/255"], columns["PGD 8/255"]
    smooth = Row("ours", torch.sigmoid, True, False, None)
    rough = Row("JPEG", jpeg, False, False, None)
    noisy = Row("noise", torch.sigmoid, True, True, None)

    def objective(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.sum((1, 2, 3))

    def raises(_: object) -> Objective:
        return objective

    assert seen_by(grey, smooth, raises) is objective
    assert seen_by(full, rough, raises) is None
    assert isinstance(seen_by(around, rough, raises), Defended)
    assert isinstance(seen_by(replace(full, backward="either"), rough, raises), Defended)
    assert isinstance(seen_by(full, noisy, raises), Averaged)
    assert isinstance(seen_by(black, noisy, raises), Defended)
    x = torch.rand(1, 3, 4, 4, requires_grad=True)
    slopes = {c.name: torch.autograd.grad(seen_by(c, smooth, raises)(x).sum(), x)[0] for c in (full, around)}
    assert torch.equal(slopes[around.name], torch.ones_like(x))
    assert (slopes[full.name] < 0.3).all()
    either = seen_by(replace(full, backward="either"), smooth, raises)(x).sum()
    assert torch.equal(torch.autograd.grad(either, x)[0], slopes[full.name])


def test_who_knows_a_row_raises_it_of_the_model_that_speaks_there() -> None:
    """Where the defence changes nothing, the adapted encoder is not used, and must not be attacked."""
    column = next(c for c in COLUMNS if c.name == "APGD 2/255, white-box adaptive")
    x = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def raises(speaker: str) -> Objective:
        return lambda pixels: pixels.sum((1, 2, 3)) * {"plain": 1, "adapted": 10}[speaker]

    for defend, sum_of in ((lambda p: p, x.sum()), (lambda p: p * 0.9, 9 * x.sum())):
        seen = seen_by(column, Row("ours", defend, True, False, "plain", "adapted"), raises)
        assert torch.allclose(seen(x), sum_of)


def test_no_budget_is_less_than_a_level() -> None:
    """What is less is rounded away with the attacked picture."""
    assert all(c.attack.eps >= 1 for c in COLUMNS if c.attack and c.attack.norm == "linf")


def test_simple_defences_change_pixels_a_little() -> None:
    x = torch.from_numpy(photo(40, 30)).permute(2, 0, 1).float()[None] / 255
    for defend in (jpeg, median):
        out = defend(x)
        assert out.shape == x.shape
        assert 0 < (out - x).abs().mean() < 0.1
    flat = torch.full((1, 3, 8, 8), 0.4)
    flat[0, :, 4, 4] = 1
    assert (median(flat) < 0.5).all()


def test_rows_whose_models_are_missing_are_left_out(models: Models) -> None:
    names = [row.name for row in build_rows(models, compared=None)]
    filters = ["JPEG 75", "JPEG 10", "median blur", "low pass, 40 px"]
    adapted = ["ours, 1 step, adapted encoder", "ours, ungated, adapted encoder"]
    ours = ["ours, 1 step", "ours, 4 steps", "ours, ungated", *adapted]
    assert names == ["no defence", *filters, *ours]


def test_every_compared_recipe_whose_model_is_here_has_a_row(models: Models, tmp_path: Path) -> None:
    for folder in ("noise", "regression", "against-itself"):
        tiny_purifier(seed=1).save_pretrained(tmp_path / folder)
    names = [row.name for row in build_rows(models, compared=tmp_path)]
    assert [name for name in names if name in COMPARED] == list(COMPARED)


def test_metrics_of_known_pictures() -> None:
    clean = torch.zeros(1, 3, 16, 16)
    off = Outcome(True, False, "a dog", clean + 10 / 255, clean).measured()
    assert off.psnr == pytest.approx(20 * np.log10(25.5), abs=0.01)
    assert off.shown is None
    assert Outcome(**off.plain()) == off
    same = Outcome(False, True, None, clean, clean).measured()
    row = summarise([off, same], [("a dog",), ()], seeds=1)
    assert (row["agreement"], row["accuracy"], row["captions"]) == (0.5, 0.5, 1)


def test_unknown_rows_and_columns_are_named(data: Path, models: Models) -> None:
    with pytest.raises(ValueError, match="no column 'PGD'"):
        evaluate_defences(EvaluationConfig(columns=("PGD",)), data=data, models=models)
    with pytest.raises(FileNotFoundError, match="--data"):
        evaluate_defences(EvaluationConfig(), data=None, models=models)


def test_an_attacked_picture_is_made_once(data: Path, models: Models, tmp_path: Path) -> None:
    """For another defence, later, the same picture is taken; its outcome is that of one that was made anew. So it is
    where the picture arrives as a JPEG, which is what then counts."""
    made, keep = tmp_path / "made", [tmp_path / f"{name}.csv.gz" for name in ("one", "two", "three")]
    short = [replace(c, attack=replace(c.attack, steps=2)) for c in COLUMNS if c.attack]
    config = EvaluationConfig(pictures=2, seeds=1, columns=("PGD 8/255",), rows=("ours, 1 step",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "COLUMNS", short)
        evaluate_defences(config, data=data, models=models, keep=keep[0], made=made)
        pictures = sorted(made.iterdir())
        assert len(pictures) == 2
        patch.setattr(run, "run_attack", pytest.fail)  # a second attack would fail
        evaluate_defences(config, data=data, models=models, keep=keep[1], made=made)
        patch.setattr(run, "run_attack", run_attack)
        evaluate_defences(config, data=data, models=models, keep=keep[2])
        as_jpeg = replace(config, columns=("PGD 8/255, as JPEG 90",), rows=("no defence",))
        patch.setattr(run, "run_attack", pytest.fail)
        saved = []
        patch.setattr(run, "jpeg", lambda x, quality: saved.append(quality) or torch.ones_like(x))
        evaluate_defences(as_jpeg, data=data, models=models, keep=keep[0], made=made)
    assert sorted(made.iterdir()) == pictures
    arrived = [o["no defence"] for o in Kept(keep[0]).all("PGD 8/255, as JPEG 90").values()]
    assert [o.psnr < 20 for o in arrived] == [True, True]  # the model was shown white
    assert saved == [90, 90]
    found = [[o["ours, 1 step"] for o in Kept(folder).all("PGD 8/255").values()] for folder in keep]
    assert found[0] == found[1] == found[2]
