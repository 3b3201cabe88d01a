"""Benchmarks count what they say they count: the ablation's rows, re-encodings."""

import json
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmarks import ablation, curve, forwarded, masks, robustness, series, signatures
from benchmarks.changes import TRAVELS
from benchmarks.common import TABLE, Options
from benchmarks.detection import family_of
from benchmarks.marks import read_found, summarize_false
from benchmarks.owners import over_owners, percentiles, rank_auc
from benchmarks.pages import NOT_MEASURED, OTHER_VERSION, sections
from benchmarks.purification import defence_tables
from benchmarks.views import SplitFeatures, probabilities
from causalclip.paths import ASSETS, HEADS
from tests.conftest import ROOT
from tests.makers.detectors import tiny_detector
from training.dataset.table import read_table
from training.detector.data import Record
from training.detector.evaluation import Scores
from training.detector.fitting import Problem, TrainConfig
from training.detector.model_card import mask_rows
from training.detector.recipe import balance

WHO = "-c", "user.name=a test", "-c", "user.email=test@example.org"


def lesson(count: int, *, seed: int) -> ablation.Lesson:
    """Pictures by ten owners, each of one or two squares, whose first channels tell the label."""
    rng = np.random.default_rng(seed)
    picture = np.repeat(np.arange(count), 1 + np.arange(count) % 2)
    labels = rng.integers(0, 2, count)
    features = rng.normal(size=(len(picture), 12))
    features[:, :4] += 1.5 * labels[picture, None]
    owners = np.array([f"o{i % 10}" for i in range(count)])
    return ablation.Lesson(torch.from_numpy(features).half(), picture, labels, owners)


@pytest.mark.parametrize("variant", ablation.variants(), ids=lambda v: v.name)
def test_every_variant_learns_what_tells_the_label(variant: ablation.Variant) -> None:
    steps = 0 if variant.closed_form else 200
    config = replace(variant.settings()[-1], steps=steps, batch=16, rate=1e-2, decay=0.01)
    judged = lesson(80, seed=1)
    raw, density = ablation.fit_and_judge(variant, config, lesson(120, seed=0), judged)
    assert roc_auc_score(judged.labels, raw) > 0.8
    assert 0 < density <= 1


def test_every_variant_has_as_many_settings_to_choose_from() -> None:
    assert {len(variant.settings()) for variant in ablation.variants()} == {4}


def test_a_lesson_weighs_both_classes_alike_however_many_squares() -> None:
    some = lesson(90, seed=0)
    rest = some.only(np.arange(90) % 3 > 0)
    weight, labels = rest.weights().numpy(), rest.labels[rest.picture]
    assert weight[labels == 1].sum() == pytest.approx(weight[labels == 0].sum(), rel=1e-4)
    assert len(rest.pool(weight)) == len(rest.labels) == 60


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("OpenAI GPT-4o/GPT-image (C2PA)", "GPT Image 1 and 1.5, GPT-4o"),
        ("Gemini image, GPT Image (Replit)", "several at one site"),
        ("FLUX.2 klein", "FLUX.2"),
        ("unknown (Lovable 2026)", "Lovable's tool, model not stated"),
        ("", "not stated"),
    ],
)
def test_names_are_joined_by_family(name: str, family: str) -> None:
    assert family_of(name) == family


def record(name: str, label: int, kind: str = "sites") -> Record:
    return Record(name, label, "", "test", kind, "picture", name, "")


def pictures(folder: Path) -> list[Record]:
    """Nine of one set, of which the first is large, and four of another; every third is
    generated."""
    rows = [record(f"{i}.png", int(i % 3 == 0), "sites" if i < 9 else "alike") for i in range(13)]
    for i, row in enumerate(rows):
        Image.new("L", (60, 40) if i == 0 else (6, 4)).save(folder / row.path)
    return rows


def test_every_set_and_class_is_drawn_but_no_huge_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robustness, "MAX_PIXELS", 24)
    rows = pictures(tmp_path)
    drawn = robustness.sample(rows, tmp_path, 3)
    assert robustness.cells(drawn) == {
        ("sites", 0): 3,
        ("sites", 1): 2,
        ("alike", 0): 2,
        ("alike", 1): 2,
    }
    assert "0.png" not in {r.path for r in drawn}
    assert robustness.weights(drawn, rows).sum() == len(rows)


def test_what_was_lost_is_counted_by_the_shares_of_all() -> None:
    rows = [
        record(f"{s}{label}{i}", label, s)
        for s in ("alike", "sites")
        for label in (0, 1)
        for i in range(4)
    ]
    labels = np.array([r.label for r in rows])
    before, mixed = (
        0.2 + 0.6 * labels,
        np.where([r.set == "alike" for r in rows], 0.5, 0.2 + 0.6 * labels),
    )
    weight = np.array([1.0 if r.set == "alike" else 3.0 for r in rows])
    bands = ("inconclusive",) * len(rows)
    found = robustness.lost(
        Scores(tuple(rows), before, bands), Scores(tuple(rows), mixed, bands), weight
    )
    assert found["sites"] == [0.0, 0.0, 0.0]
    assert found["alike"] == [0.5, 0.5, 0.5]
    # A quarter of each class is level with its like alone: a sixteenth of the pairs.
    assert found["all"] == pytest.approx([1 / 32] * 3)


def test_an_answer_that_a_mild_change_turns_becomes_inconclusive() -> None:
    rows = tuple(record(f"{s}{i}", i % 2, s) for s in ("alike", "sites") for i in range(4))
    scores = {
        name: Scores(rows, np.full(8, 0.2), ("likely not generated",) * 8) for name in TRAVELS
    }
    scores["WebP 80"].probability[[0, 4]] = 0.8
    scores["JPEG 50"].probability[1] = 0.8  # a strong one
    detector: Any = SimpleNamespace(
        config=SimpleNamespace(calibration=SimpleNamespace(threshold=0.5))
    )
    found = robustness.overturned(detector, scores, np.array([1.0] * 4 + [3.0] * 4))
    assert found["real"]["inconclusive"] == {"as it is": 0.0, "after the check": 0.5}
    assert found["generated"]["likely not generated"] == {"as it is": 1.0, "after the check": 1.0}


# The long tables of docs/measured.md --------------------------------------------------------------


def test_false_marks_are_counted_once_a_picture_and_bounded(tmp_path: Path) -> None:
    lines = tmp_path / "found.jsonl"
    lines.write_text('{"sha256": "a", "marks": ["Doubao"]}\n{"sha256": "b", "marks": []}\n{"sha')
    found = read_found(lines) | {str(number): [] for number in range(298)} | {"c": None}
    pictures: list[Any] = [
        SimpleNamespace(sha256=name, split="train", owner=f"owner {name}") for name in found
    ]
    told = summarize_false(pictures, found)
    assert (told["searched"], told["owners"], told["refused"]) == (300, 300, 1)
    assert told["marked"] == {"a": ["Doubao"]}
    assert {mark for mark, count in told["by mark"].items() if count} == {"Doubao"}
    assert 0.0150 < told["at most"] < 0.0160  # 95 %, one-sided
    none = summarize_false(pictures[1:], found)
    assert 0.0095 < none["at most"] < 0.0105  # three in as many


def test_what_is_said_of_signed_files_is_held_to_the_readers_word(tmp_path: Path) -> None:
    folder = tmp_path / signatures.FOLDER
    folder.mkdir(parents=True)
    Image.new("RGB", (80, 80), "teal").save(folder / "unsigned.jpg")
    for command in (["init", "-q"], ["add", "."], [*WHO, "commit", "-qm", "images"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    report = signatures.measure(Options(files=tmp_path / ".git"))
    assert (report["images"], report["more"]) == (1, 0)
    assert [(row["image"], row["reader"], row["ours"]) for row in report["rows"]] == [
        ("unsigned", "none", "none")
    ]


def test_forwarded_photographs_are_read_out_of_git_and_counted_by_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "files" / "somebody+site"
    names = "IMG-20190504-WA0001.jpg", "photo_2020-01-02 (2).jpg", "FB_IMG_1590000000000.jpg"
    (folder / "pictures").mkdir(parents=True)
    for shade, name in enumerate(names):
        Image.new("RGB", (300, 200), (90, 60 * shade, 90)).save(folder / "pictures" / name)
    for command in (["init", "-q"], ["add", "."], [*WHO, "commit", "-qm", "pictures"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    commit = (folder / ".git" / "refs" / "heads").rglob("*")
    [head] = [path.read_text().strip() for path in commit if path.is_file()]
    rows = [f"somebody/site,{head},pictures/{name},\n" for name in names]
    table = tmp_path / "forwarded.csv"
    table.write_text(
        "repo,commit,path,dropped\n" + "".join(rows) + f"other/site,{head},FB_IMG_159.jpg,drawn\n"
    )
    monkeypatch.setattr(forwarded, "TABLE", table)
    generated = tmp_path / "generated"
    generated.mkdir()
    Image.effect_noise((640, 480), 60).convert("RGB").save(generated / "0.png")
    records = [record("0.png", label) for label in (0, 1)]
    monkeypatch.setattr(forwarded, "read_originals", lambda *_, **__: records)
    options = Options(files=tmp_path / "files", originals=generated, cache=tmp_path / "cache")
    report = forwarded.measure(options)
    assert report["seen"] == {"pictures": 4, "owners": 2}
    assert report["dropped"] == {"drawn": 1}
    assert {app: row["pictures"] for app, row in report["apps"].items()} == {
        "WhatsApp": 1,
        "Telegram": 1,
        "Facebook": 1,
    }
    # nothing but one colour is no photograph
    assert report["all"]["answers"]["no answer"] == 3
    assert [row["pictures"] for row in report["generated"].values()] == [1, 1, 1]
    assert report["ranking"] == dict.fromkeys(forwarded.APPS)  # of too few owners
    # a second run takes the kept answers: it needs no file
    assert forwarded.measure(replace(options, files=tmp_path / "none")) == report


def saved(size: tuple[int, int], quality: int, *, progressive: bool = False) -> forwarded.Saved:
    file = BytesIO()
    options = {"subsampling": 2 if progressive else 0, "progressive": progressive}
    Image.effect_noise(size, 60).convert("RGB").save(file, "JPEG", quality=quality, **options)
    return forwarded.Saved.read(file.getvalue())


@pytest.mark.parametrize("size", [(300, 200), (1200, 900)])
def test_a_picture_is_saved_as_another_was_but_never_enlarged(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    like = saved((600, 800), 61, progressive=True)
    Image.effect_noise(size, 60).convert("RGB").save(tmp_path / "picture.png")
    file = forwarded.save_as(tmp_path / "picture.png", like)
    found = forwarded.Saved.read(file)
    assert found == replace(like, width=found.width, height=found.height)
    assert found.long_side == min(max(size), 800)
    with pytest.raises(TypeError, match="PNG"):
        forwarded.Saved.read((tmp_path / "picture.png").read_bytes())


def test_a_control_finds_what_files_give_away_and_nothing_else() -> None:
    small, large = saved((300, 200), 70), saved((600, 400), 70)
    rows = [
        forwarded.Judged(
            str(i), f"o{i % 20}", i % 2, "", 0.4 + 0.2 * (i % 2), (small, large)[i % 2]
        )
        for i in range(80)
    ]
    found = forwarded.rank(rows)
    assert found is not None
    assert (found["auc"], found["tpr_at_1_fpr"]) == (1.0, 1.0)
    assert found["controls"]["size"] == found["controls"]["coding and size"] == 1.0
    assert found["controls"]["coding"] == found["controls"]["shape"] == 0.5


def test_no_forwarded_photograph_is_of_an_owner_that_the_detector_knows() -> None:
    known = {picture.owner for picture in read_table(TABLE)}
    assert known.isdisjoint(reference.owner for reference in forwarded.read_table())


def test_every_section_is_told_from_its_file(tmp_path: Path) -> None:
    assert {NOT_MEASURED, OTHER_VERSION}.isdisjoint(section.told.words for section in sections())
    assert {section.told.words for section in sections(tmp_path)} == {NOT_MEASURED}


def test_a_second_victims_table_says_what_is_kept_and_what_is_correct() -> None:
    of = {"attacked": "shipped", "read by": "another seed", "n": 60}
    measured = {"agreement": 0.65, "accuracy": 0.4}
    victim = {"cells": [of | {"defence": "JPEG 10"} | measured]}
    empty = {"cells": [], "threats": {}, "detector": None}
    [table] = defence_tables(empty, victim)
    assert table.rows == [["shipped, read by another seed", "65%, 40% correct"]]


@pytest.fixture(scope="module")
def data() -> Problem:
    """Three copies of pictures by twenty owners, whose first channels tell the label."""
    torch.manual_seed(0)
    labels = (torch.rand(160) > 0.5).float()
    features = torch.randn(3, 160, 12)
    features[..., :4] += 1.5 * labels[None, :, None]
    owners = [f"o{i % 20}" for i in range(160)]
    records = tuple(
        Record(str(i), int(y), "", "train", "sites", "picture", str(i), o, owner=o)
        for i, (y, o) in enumerate(zip(labels, owners, strict=True))
    )
    number = np.arange(160)
    return Problem(
        records,
        features.half(),
        labels,
        balance(records, broad=0.1),
        number % 5,
        environments=number % 20,
    )


@pytest.mark.full
def test_every_method_of_the_series_learns(data: Problem) -> None:
    """Of 100 pictures, judged on the other 60; generated ones are all of `broad`, as there."""
    learned = [
        replace(r, set="broad" if r.label else "sites", family=f"f{i}")
        for i, r in enumerate(data.records[:100])
    ]
    for method in series.methods():
        if method.config is None:
            continue
        raw = series.judge_features(method, data.features[0], learned, seed=0)
        assert roc_auc_score(data.labels[100:], raw) > 0.75, method.name


@pytest.mark.filterwarnings("ignore:Got `batch_size` less", "ignore:Stochastic Optimizer")
@pytest.mark.parametrize(
    ("config", "passing", "told"),
    [
        (TrainConfig(epochs=0, average=0.0, masked=False, ridge=0.1), 1.0, 0.5),
        (TrainConfig(epochs=0, average=0.0, mask_start=-50.0), 0.0, 1.0),
    ],
    ids=["nothing is held back", "all is held back"],
)
def test_probes_read_what_is_held_back_and_that_alone(
    data: Problem, config: TrainConfig, passing: float, told: float
) -> None:
    point = curve.row(data, config, fold=0)
    assert point["density"] == pytest.approx(passing, abs=1e-3)
    assert point["auc"] == pytest.approx(0.5 + 0.5 * passing, abs=0.1)
    for name in curve.PROBES:
        assert point[name] == pytest.approx(told, abs=0.22), name  # the MLP learns for 8 steps
        low, high = point[f"{name}_interval"]
        assert low <= point[name] <= high


def test_a_series_is_named_where_its_source_is_clear() -> None:
    def named(generator: str, family: str = "") -> str:
        return series.series_of(SimpleNamespace(generator=generator, family=family))  # type: ignore[arg-type]

    assert named("Gemini 3 Pro Image") == "Google"
    assert named("GPT Image 1") == "OpenAI"
    assert named("", "sdxl") == series.LEARNED
    assert named("flux.1-dev-grid") == "FLUX"
    assert named("Nano Banana Pro/GPT/Grok (not stated per picture)") == ""
    assert named("unknown") == ""


# Masks --------------------------------------------------------------------------------------------


def test_rank_auc_is_scikit_learns_with_ties_too() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 200), rng.integers(0, 12, 200) / 7
    assert rank_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


def test_an_interval_leaves_out_one_draw_of_forty_at_either_end() -> None:
    assert percentiles(np.random.default_rng(0).permutation(1001)) == [25.0, 975.0]


def test_an_interval_over_owners_knows_that_an_owners_pictures_are_alike() -> None:
    """Ten pictures of each owner that are the same one say no more than one does."""
    rng = np.random.default_rng(0)
    once, labels = rng.normal(size=30), np.arange(30) % 2
    owners = np.array([f"o{i // 2}" for i in range(30)])

    def width(times: int) -> float:
        scores, of = np.repeat(once, times), np.repeat(labels, times)
        draws = over_owners(
            lambda rows: {"auc": rank_auc(of[rows], scores[rows])}, of, np.repeat(owners, times)
        )
        low, high = percentiles(draws["auc"])
        return high - low

    assert width(10) == pytest.approx(width(1))


def test_another_pictures_mask_is_never_a_pictures_own() -> None:
    picture = np.repeat(np.arange(12), 3)
    for seed in range(5):
        rows = masks.rows_of_others(picture, np.random.default_rng(seed))
        assert (picture[rows] != picture).all()


def split_views(count: int, width: int, parts: tuple[str, ...]) -> Any:
    """Random views: two of each picture, the second one a window."""
    values = torch.randn(2 * count, width, generator=torch.Generator().manual_seed(0))
    views = SplitFeatures.__new__(SplitFeatures)
    views.values, views.picture = values.numpy(), np.repeat(np.arange(count), 2)
    views.window, views.quality = np.arange(2 * count) % 2 == 1, np.zeros((count, 2))
    views.columns = {part: np.arange(width) for part in parts[:1]} | {
        part: np.arange(0) for part in parts[1:]
    }
    return views


def test_the_verdict_under_its_own_mask_is_the_detectors() -> None:
    detector = tiny_detector()
    width = len(detector.heads["whole"].shift)
    views = split_views(6, width, detector.config.parts)
    logits = masks.logits_under_masks(detector, views, others=2)
    given = probabilities(detector, views)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits["own"][0])), given, rtol=1e-4)
    assert logits["other"].shape == (2, 6)
    for name in masks.MASKS:
        assert not np.allclose(logits[name][0], logits["own"][0])


def test_a_mask_that_helps_is_worth_something_and_one_that_does_not_is_not() -> None:
    rng = np.random.default_rng(0)
    labels, owners = np.arange(120) % 2, np.array([f"o{i % 15}" for i in range(120)])
    noise = rng.normal(size=120)
    logits = {"own": (2 * labels + noise)[None], "mean": (2 * labels + noise)[None]}
    logits |= {"none": (0.2 * labels + noise)[None], "other": rng.normal(size=(3, 120))}
    found = masks.compare_masks(logits, labels, owners)
    assert found["own - mean"] == {"value": 0.0, "interval": [0.0, 0.0]}
    assert found["own - none"]["interval"][0] > 0
    for name in ("own - other", "own at 1 %"):
        low, high = found[name]["interval"]
        assert low < found[name]["value"] < high
    assert found["own at 1 %"]["value"] > found["none at 1 %"]["value"]


@pytest.mark.parametrize("name", HEADS.values())
def test_shipped_cards_say_the_dependence_that_was_measured(name: str) -> None:
    folder, head = ASSETS / name, next(head for head, own in HEADS.items() if own == name)
    measured = json.loads((ROOT / "benchmarks" / "masks.json").read_text())["dependence"][head]
    stored = json.loads((folder / "training.json").read_text())["masks"]
    for view_type in ("whole", "window"):
        assert stored[view_type]["dependence"] == measured[view_type]
    assert mask_rows(stored) in (folder / "README.md").read_text()
    assert measured["revision"] == json.loads((folder / "config.json").read_text())["revision"]
