"""The table on tiny models: every row and column, what is kept, the paired tests, and who attacks
knowing what."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.defences import EvaluationConfig, evaluate_defences, run
from benchmarks.defences.adaptive import ExpectationOverTransformation
from benchmarks.defences.outcomes import Outcome, OutcomeTable, paired
from benchmarks.defences.samples import load_captions, load_samples
from benchmarks.defences.table import (
    COLUMNS,
    COMPARISONS,
    RECIPES,
    REPEATED,
    WHOLE_PURIFIER,
    DefendedObjective,
    Row,
    attacker_objective,
    jpeg,
    with_denoiser,
)
from benchmarks.defences.vqa import normalise_vqa, vqa_accuracy
from purifier.attacks import Objective
from purifier.models import Models
from tests.makers.models import (
    fixed_attack_detector,
    hub_folders,
    tiny_clip,
    tiny_lora,
    tiny_models,
    tiny_purifier,
    tiny_vlm,
)
from tests.makers.pictures import photo

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


def is_there(row: str) -> bool:
    """Whether a row needs none of the recipes that CLIP guided."""
    return not any(f"guided {name}" in row for name in RECIPES)


@pytest.fixture(scope="module")
def report(data: Path, forensics: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    compared = tmp_path_factory.mktemp("compared")
    tower = tiny_vlm().tower
    for folder in RECIPES.values():
        tiny_purifier(seed=1).save_pretrained(compared / folder)
        tiny_lora(tower, seed=1).save_pretrained(compared / f"{folder}-encoder")
    short = [replace(c, attack=c.attack and replace(c.attack, steps=2)) for c in COLUMNS]
    columns = ("clean", "patch 2 %", "BPDA + EOT 4/255", "Square 8/255")
    rows = tuple(dict.fromkeys(row for pair in COMPARISONS for row in pair if is_there(row)))
    config = EvaluationConfig(
        2, costly=1, seeds=1, columns=columns, rows=rows, compared=str(compared)
    )
    with pytest.MonkeyPatch.context() as patch:
        tiny_clip(patch)
        patch.setattr(run, "COLUMNS", short)
        patch.setattr("benchmarks.defences.table.shared_tower", lambda _name: tower)
        attacked = tiny_models(
            purifier=lambda: tiny_purifier(attack_detector=fixed_attack_detector(50.0))
        )
        return evaluate_defences(config, data=data, forensics=forensics, models=attacked)


@pytest.mark.full
def test_every_cell_is_there_with_its_numbers(report: dict) -> None:
    cells = {(c["row"], c["column"]): c for c in report["cells"]}
    rows = {row for pair in COMPARISONS for row in pair if is_there(row)}
    assert {f"the {name} denoiser alone, encoder of its own" for name in RECIPES} <= rows
    assert len(cells) == len(rows) * 4
    assert cells[WHOLE_PURIFIER, "Square 8/255"]["n"] == 1
    for cell in cells.values():
        assert (
            0
            <= cell["accuracy_interval"][0]
            <= cell["accuracy"]
            <= cell["accuracy_interval"][1]
            <= 1
        )
        assert cell["psnr"] < 60
    assert {"before", "after", "attacked", "attacked, after", "n", "n attacked"} == set(
        report["detector"]["real"]
    )
    json.dumps(report)


def test_our_detector_decides_whatever_denoiser_takes_the_network_s_place(monkeypatch) -> None:
    tiny_clip(monkeypatch)
    x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    clean, attacked = (
        tiny_purifier(attack_detector=fixed_attack_detector(odds)) for odds in (-50.0, 50.0)
    )
    with torch.no_grad():
        assert torch.equal(with_denoiser(clean, lambda given: given * 0.9)(x), x)
        purified = with_denoiser(attacked, lambda given: given * 0.9)(x)
        assert torch.allclose(purified, attacked.restore(x * 0.9).clamp(0, 1), atol=1e-6)


def test_the_paired_test_counts_what_only_one_of_two_keeps() -> None:
    known = {str(i): {"a": HELD, "b": HELD if i < 3 else FELL} for i in range(13)} | {
        "x": {"a": HELD}
    }
    (one,) = paired("PGD", known, [("a", "b"), ("a", "c")])
    assert (one["n"], one["agreement"], one["won"], one["lost"]) == (13, 1.0, 10, 0)
    assert one["p"] == 0.002  # ten times the same side of a fair coin, either way


def test_what_was_measured_is_not_measured_again(
    data: Path, models: Models, tmp_path: Path
) -> None:
    config = EvaluationConfig(
        pictures=2, seeds=1, columns=("clean",), rows=("no defence", "JPEG 75"), verdicts=0
    )
    keep = tmp_path / "kept.csv"
    whole = evaluate_defences(config, data=data, models=models, keep=keep)
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            run, "_measure_rows", lambda _, __, rows, *___, **____: calls.extend(rows) or {}
        )
        assert evaluate_defences(config, data=data, models=models, keep=keep) == whole
        noted = whole | {"note": "written by hand"}
        assert (
            evaluate_defences(config, data=data, models=models, keep=keep, earlier=noted) == noted
        )
        assert not calls
        more = replace(config, rows=("no defence", "median blur"))
        evaluate_defences(more, data=data, models=models, keep=keep)
    assert [row.name for row in calls] == ["median blur"] * 2
    assert "one dog" not in keep.read_text()  # of the data, nothing but its names


def test_a_majority_and_a_picture_sent_again_are_counted_from_one_attack(
    data: Path, models: Models
) -> None:
    column = next(c for c in COLUMNS if c.name == "APGD 4/255, white-box adaptive")
    names = tuple(name for name, *_ in REPEATED)
    config = EvaluationConfig(
        1, costly=1, seeds=1, columns=(column.name,), rows=names, captions=False, verdicts=0
    )
    shown: list[Row] = []
    attacks = []

    def agree_in_every_second_draw(pictures: list[tuple[Row, Tensor]], *_: Any, **__: Any) -> Any:
        shown.extend(row for row, _ in pictures)
        return {
            row.name: replace(HELD if i % 2 else FELL, shown=None, clean=None)
            for i, (row, _) in enumerate(pictures)
        }

    def attack(_: Any, picture: Tensor, *__: Any, **___: Any) -> Tensor:
        attacks.append(picture)
        return picture

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_outcomes", agree_in_every_second_draw)
        patch.setattr(run, "attack_until", attack)
        cells = evaluate_defences(config, data=data, models=models)["cells"]
    assert len(attacks) == 1
    assert len(shown) == 1 + 5 + 8
    # the first draw falls; of draws 2 to 6 three hold; of the last eight four hold
    assert [cell["agreement"] for cell in cells] == [0, 1, 0]


def test_an_attacker_who_wants_a_sentence_is_counted_by_it(
    data: Path, models: Models, tmp_path: Path
) -> None:
    column = next(c for c in COLUMNS if c.sentence)
    # what the tiny model says of anything
    said = models.vlm.caption(torch.zeros(1, 3, 48, 64))[0].text
    config = EvaluationConfig(
        2, seeds=1, columns=(column.name,), rows=("no defence",), captions=False, verdicts=0
    )
    shares = []
    with pytest.MonkeyPatch.context() as patch:
        for sentence in (said, "something else"):
            patch.setattr(
                run,
                "COLUMNS",
                [replace(column, sentence=sentence, attack=replace(column.attack, steps=1))],
            )
            keep = tmp_path / f"{sentence}.csv"
            (cell,) = evaluate_defences(config, data=data, models=models, keep=keep)["cells"]
            shares.append(cell["said"])
    assert shares == [1.0, 0.0]


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
    assert isinstance(attacker_objective(full, noisy, raises), ExpectationOverTransformation)
    assert isinstance(attacker_objective(black, noisy, raises), DefendedObjective)
    x = torch.rand(1, 3, 4, 4, requires_grad=True)
    slopes = {
        c: torch.autograd.grad(attacker_objective(c, smooth, raises)(x).sum(), x)[0]
        for c in (full, around)
    }
    assert torch.equal(slopes[around], torch.ones_like(x))
    assert (slopes[full] < 0.3).all()


def test_ten_people_s_answers_count_as_the_challenge_counts_them() -> None:
    people = ["two"] * 3 + ["three"] * 7
    assert vqa_accuracy("2", people) == pytest.approx((3 * 2 / 3 + 7 * 1) / 10)
    assert vqa_accuracy("Three.", people) == 1.0
    assert vqa_accuracy("dog", people) == 0.0
    assert vqa_accuracy("a dog", ["dog", *["cat"] * 9]) == pytest.approx(9 * (1 / 3) / 10)
    assert normalise_vqa("The  dog, and 1,000 cats!") == "dog and 1000 cats"
    assert normalise_vqa("at 2.5 p.m.") == "at 2.5 pm"


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures in the form of VQAv2 and COCO captions, one of them without a question."""
    root = tmp_path_factory.mktemp("vqav2")
    (root / "val2014").mkdir()
    images, captions = [], []
    for number in (7, 42):
        name = f"COCO_val2014_{number:012d}.jpg"
        Image.fromarray(photo(64, 48)).save(root / "val2014" / name)
        images.append({"id": number, "file_name": name})
        captions.append({"image_id": number, "caption": "A dog runs ."})
    asked = [{"question_id": 70, "image_id": 7, "question": "How many dogs are there?"}]
    answers = [{"answer": "2"}] * 8 + [{"answer": "3"}] * 2
    told = [{"question_id": 70, "image_id": 7, "answers": answers}]
    files = {
        "v2_OpenEnded_mscoco_val2014_questions.json": {"questions": asked},
        "v2_mscoco_val2014_annotations.json": {"annotations": told},
        "captions_val2014.json": {"images": images, "annotations": captions},
    }
    for name, content in files.items():
        (root / name).write_text(json.dumps(content))
    return root


def test_vqav2_and_coco_captions_are_read(public: Path, tmp_path: Path) -> None:
    (sample,) = load_samples(public, count=9, seed=0)
    assert sample.name == "val2014/COCO_val2014_000000000007.jpg"
    assert sample.question == "How many dogs are there?"
    assert sample.pixels.shape == (1, 3, 48, 64)
    assert sample.captions == ("a dog runs",)
    assert sample.accuracy("two") == 1.0
    assert sample.accuracy("3") == pytest.approx((2 * (1 / 3) + 8 * (2 / 3)) / 10)
    assert len(load_captions(public)) == 2
    with pytest.raises(FileNotFoundError, match="captions"):
        load_samples(tmp_path, count=1, seed=0)


def test_without_questions_pictures_with_captions_are_drawn(data: Path, public: Path) -> None:
    own = load_samples(data, count=9, seed=0, with_questions=False)
    assert {sample.name for sample in own} == {"coco/0.png", "coco/1.png"}
    samples = own + load_samples(public, count=9, seed=0, with_questions=False)
    assert len(samples) == 4
    assert all(sample.captions and not sample.question for sample in samples)


def test_of_captions_alone_the_caption_is_attacked_and_compared(
    public: Path, models: Models, tmp_path: Path
) -> None:
    for path in [*public.rglob("*.jpg"), public / "captions_val2014.json"]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    columns = ("clean", "PGD 8/255")
    config = EvaluationConfig(2, seeds=1, columns=columns, rows=("no defence",), verdicts=0)
    report = evaluate_defences(config, data=tmp_path, models=models)
    cells = {cell["column"]: cell for cell in report["cells"]}
    assert cells["clean"]["n"] == cells["clean"]["captions"] == 2
    assert cells["clean"]["agreement"] == 1.0


@pytest.mark.parametrize("name", ["chat", "blip-2", "instructblip", "caption"])
def test_models_of_the_hub_are_attacked_and_asked(
    name: str, public: Path, models: Models, tmp_path: Path
) -> None:
    folder = hub_folders(tmp_path, only=name)[name]
    columns = ("clean", "PGD 8/255")
    rows = ("no defence", "JPEG 10", "ours, 1 step")
    config = EvaluationConfig(1, seeds=1, columns=columns, rows=rows, verdicts=0, vlm=folder)
    report = evaluate_defences(config, data=public, models=models)
    assert report["model"] == folder
    cells = {(cell["row"], cell["column"]): cell for cell in report["cells"]}
    assert set(cells) == {(row, column) for row in rows for column in columns}
    assert cells["no defence", "clean"]["agreement"] == 1.0
    assert all(cell["captions"] == 1 and cell["cider"] is not None for cell in cells.values())
    by_lora = replace(config, rows=(WHOLE_PURIFIER,))
    with pytest.raises(ValueError, match="adapted encoder"):
        evaluate_defences(by_lora, data=public, models=models)


def test_captions_of_a_new_run_are_taken_over_into_a_report_that_has_none() -> None:
    earlier = [{"row": "a", "column": "clean", "n": 300, "captions": 0, "cider": None}]
    new = [{"row": "a", "column": "clean", "n": 40, "captions": 40, "cider": 0.7}]
    (cell,) = run._with_captions(run._merged(new, earlier, by=("row", "column")), new)
    assert cell == {"row": "a", "column": "clean", "n": 300, "captions": 40, "cider": 0.7}
