"""Training on tiny models: pairs, the denoiser, its refinement, the attack detector, the LoRA encoder, and the loop."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from causalclip.clip.tower import Tower
from causalclip.clip.weights import WeightsMissing
from causalclip.detector import Detector
from purifier.denoiser.attack_detector import AttackDetector
from purifier.denoiser.filters import quantise_at
from purifier.denoiser.guidance import Guidance
from purifier.denoiser.pipeline import PurifierPipeline, new_pipeline
from purifier.training import adapter, loop
from purifier.training.adapter import FeatureDistance, divergence, most_moved, train_encoder
from purifier.training.attack_detector import CLEAN, _arrived, fit_to
from purifier.training.cards import write_worth_section
from purifier.training.denoiser import DenoiserConfig, cropped_ends, fit, psnr, refit_attack_detector, whole_ends
from purifier.training.loop import averaged, resume, save_checkpoint, trapezoid
from purifier.training.pairs import (
    PairMaker,
    Pairs,
    PairsConfig,
    Source,
    load_pairs,
    make_pairs,
    pair_files,
    question_pool,
    save_pairs,
    training_sources,
)
from purifier.training.refining import RefiningConfig, refine, refine_purifier
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM
from purifier.vlm.features import clip_features
from purifier.vlm.lora import DOWN, UP, LoraEncoder
from tests.makers.detectors import tiny_detector
from tests.makers.folders import vlm_folder
from tests.makers.models import tiny_vlm
from tests.makers.pictures import photo
from tests.makers.purifiers import tiny_clip, tiny_purifier
from tests.makers.towers import tiny_tower

LAYERS = (2, 3)
QUESTIONS = ["what is in the picture", "how many dogs are there"]
PAIRS = PairsConfig(batch=3, sizes=((32, 32, 1.0), (32, 48, 1.0)), steps=(2, 3), layers=LAYERS)
TRAIN = DenoiserConfig(steps=6, batch=3, crop=24, check=3, held=1, layers=LAYERS, guided=0.5, guide_from=0.0)
REFINE = RefiningConfig(steps=6, decay=1e-9, units=1, check=3)  # a rate that does not depend on the planned end
ADAPT = {"rank": 4, "steps": 6, "check": 3, "held": 1, "rate": 1e-2, "average": 0.5, "strengths": [[10, 32]]}
CARD = "# Purifier\n\n## Limits\nMany.\n"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    made = []
    for i in range(4):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        coarse.resize((48, 40), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
        made.append(Source(folder / f"{i}.png", ("is there a dog",)))
    return made


@pytest.fixture(scope="module")
def folder(sources: list[Source], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pairs")
    assert len(list(make_pairs(_maker(sources), out, batches=4))) == 4
    return out


def _maker(sources: list[Source]) -> PairMaker:
    return PairMaker(sources, PAIRS, tower=tiny_tower(), vlm=tiny_vlm(), detector=tiny_detector())


@pytest.fixture(scope="module")
def pairs(folder: Path) -> Pairs:
    return load_pairs(pair_files(folder)[0])


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", tiny_vlm)
    monkeypatch.setattr(Detector, "from_pretrained", tiny_detector)
    tiny_clip(monkeypatch)
    return vlm_folder(tmp_path / "data")


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


# Pairs --------------------------------------------------------------------------------------------


def test_pairs_are_in_their_budget_and_hold_what_clip_saw(folder: Path, sources: list[Source]) -> None:
    for path in pair_files(folder):
        pairs = load_pairs(path)
        assert 0 < (pairs.moved.int() - pairs.clean.int()).abs().max() <= pairs.eps
        seen = clip_features(tiny_tower(), pairs.moved[-1].float() / 255, layers=LAYERS)
        assert torch.allclose(seen[0], pairs.moved_seen[0], atol=0.02)
        assert (pairs.moved_seen[1] - pairs.clean_seen[1]).norm(dim=1).min() > 1e-3
        assert pairs.asked == [["is there a dog"]] * len(pairs.clean)
    before = pair_files(folder)[0].stat().st_mtime_ns
    list(make_pairs(_maker(sources), folder, batches=4))  # goes on where it was
    assert pair_files(folder)[0].stat().st_mtime_ns == before
    assert torch.equal(_maker(sources).make(0)[0].clean, load_pairs(pair_files(folder)[0]).clean)


def test_every_objective_is_drawn_for_which_there_is_a_model_and_a_question(sources: list[Source]) -> None:
    drawn = {_maker(sources).draw_objective(random.Random(n)) for n in range(30)}
    assert drawn == {"features", "layers", "towards", "answer", "detector"}
    unasked = _maker([Source(s.path) for s in sources])
    assert "answer" not in {unasked.draw_objective(random.Random(n)) for n in range(30)}


def test_pairs_know_their_attack(sources: list[Source]) -> None:
    config = replace(PAIRS, attacks=(("l2", 1.0), ("patch", 1.0)), area=(0.05, 0.1), eps=(4.0, 4.0))
    maker = PairMaker(sources, config, tower=tiny_tower())
    made = {pairs.attack: pairs for pairs, _ in map(maker.make, range(8))}
    assert set(made) == {"pgd, l2", "patch"}
    change = (made["pgd, l2"].moved[-1].float() - made["pgd, l2"].clean.float()).flatten(1)
    assert (change.square().mean(1).sqrt() <= 0.6 * 4 + 1e-3).all()
    assert change.square().mean(1).sqrt().min() > 1
    touched = (made["patch"].moved[-1] != made["patch"].clean).any(1).float().mean((1, 2))
    assert (touched < 0.11).all()


def test_no_picture_of_a_test_split_is_learned_from(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "daquar").mkdir()
    boxes, rows = [{"name": "dog", "xywh": [4, 4, 20, 20], "iscrowd": 0}], []
    for i, split in enumerate(("train", "test", "val")):
        Image.new("RGB", (30, 30)).save(tmp_path / f"coco/{i}.jpg")
        rows.append({"file": f"coco/{i}.jpg", "split": split, "captions": ["a dog ."], "boxes": boxes})
    (tmp_path / "coco.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = [{"question": "what is it", "answer": "bed", "split": s} for s in ("train", "test")]
    both = [{"file": "daquar/0.jpg", "qa": asked}, {"file": "daquar/1.jpg", "qa": asked[:1]}]
    (tmp_path / "daquar.jsonl").write_text("\n".join(map(json.dumps, both)))
    (tmp_path / "manifest.csv").write_text("path,split,view\na.jpg,train,whole\nb.jpg,test,whole\nc.jpg,train,crop\n")
    found = training_sources(tmp_path, tmp_path)
    assert [f"{s.path.parent.name}/{s.path.name}" for s in found[:2]] == ["coco/0.jpg", "daquar/1.jpg"]
    assert [s.path.name for s in found[2:]] == ["a.jpg"]
    assert found[1].asked == ("what is it",)
    assert any("dog" in question or "animal" in question for question in found[0].asked)
    assert CAPTION_PROMPT not in found[0].asked
    with pytest.raises(FileNotFoundError, match="no pictures"):
        training_sources(None, None)
    with pytest.raises(FileNotFoundError, match="manifest"):
        training_sources(None, tmp_path / "coco")


def test_questions_are_of_training_pictures_and_no_request_for_a_caption(data: Path) -> None:
    assert "how many chairs are" in " ".join(question_pool(data))
    assert CAPTION_PROMPT not in question_pool(data)
    rows = (data / "daquar.jsonl").read_text()
    (data / "daquar.jsonl").write_text(rows.replace('"train"', '"test"'))
    assert not any("chairs" in question for question in question_pool(data))


# The denoiser -------------------------------------------------------------------------------------


def test_crops_keep_pairs_together(pairs: Pairs) -> None:
    config = DenoiserConfig(batch=40, crop=16, clean=0.3, noisy=0.3)
    ends = cropped_ends(pairs, random.Random(0), config)
    assert ends.clean.shape == ends.moved.shape == (40, 3, 16, 16)
    change = (ends.moved - ends.clean).flatten(1).abs().amax(1)
    assert change.max() <= 1.25 * pairs.eps / 255 + 1e-4
    assert 0.1 < (change == 0).float().mean() < 0.6
    assert 0.1 < (ends.noise.flatten(1).abs().amax(1) > 0).float().mean() < 0.6


@pytest.mark.parametrize("kind", ["regression", "noise"])
def test_the_compared_recipes_see_what_they_should(pairs: Pairs, kind: str) -> None:
    ends = cropped_ends(pairs, random.Random(0), DenoiserConfig(kind=kind, batch=20, crop=16))
    assert torch.allclose(ends.moved, ends.clean) == (kind == "noise")
    assert (ends.noise.abs().max() > 0) == (kind == "noise")
    assert kind == "noise" or (ends.t == 1).all()


def test_whole_pictures_bring_what_clip_saw_of_them(pairs: Pairs) -> None:
    ends, clean_seen, moved_seen = whole_ends(pairs, random.Random(3), DenoiserConfig(batch=3, clean=0.5))
    for i in range(3):
        untouched = torch.equal(ends.clean[i], ends.moved[i])
        assert untouched == torch.equal(clean_seen[1][i], moved_seen[1][i])


def test_guidance_is_least_at_the_clean_picture_and_pulls_towards_it(pairs: Pairs) -> None:
    guidance = Guidance(tiny_tower(), layers=LAYERS)
    clean, moved = pairs.clean.float() / 255, pairs.moved[-1].float() / 255
    halfway = ((clean + moved) / 2).requires_grad_(True)
    values = [guidance(x, pairs.clean_seen, pairs.moved_seen) for x in (clean, halfway, moved)]
    assert values[0] < values[1] < values[2]
    values[1].backward()
    assert (halfway.grad * (clean - moved)).sum() < 0


def test_training_learns_and_goes_on_after_a_stop(folder: Path, tmp_path: Path) -> None:
    trained = {}
    for name, stages in (("whole", [6]), ("stopped", [3, 6])):
        for steps in stages:
            pipeline = new_pipeline(channels=(8, 16))
            config = replace(TRAIN, decay=1e-9, steps=steps)  # so that the rate does not depend on the planned end
            fit(pipeline, folder, tmp_path / name, config, tower=tiny_tower())
        trained[name] = pipeline
    rows = logged(tmp_path / "whole")
    assert [row["step"] for row in rows] == [3, 6]
    assert {"loss", "guidance", "psnr", "psnr_attacked", "psnr_clean", "shift", "shift_clean"} <= set(rows[-1])
    weights = [p.unet.conv_out.weight for p in trained.values()]
    assert weights[0].abs().max() > 0
    assert torch.allclose(*weights, atol=1e-5)
    assert not any(p.requires_grad for p in trained["whole"].unet.parameters())
    with pytest.raises(FileNotFoundError, match="no pairs"):
        fit(new_pipeline(channels=(8, 16)), tmp_path, tmp_path / "out", TRAIN, tower=tiny_tower())


def test_a_few_steps_take_away_what_every_attack_adds(pairs: Pairs, tmp_path: Path) -> None:
    clean, drawn = pairs.clean.clamp(20, 200), {"attack": "pgd", "eps": 10}
    for n in range(2):
        made = replace(pairs, clean=clean, moved=(clean + 10)[None])
        save_pairs(made, drawn, tmp_path / f"pairs-{n}.safetensors")
    pipeline = new_pipeline(channels=(8, 16))
    config = DenoiserConfig(steps=40, batch=3, crop=16, check=40, held=1, guided=0.0, clean=0.0, noisy=0.0, lr=2e-2)
    fit(pipeline, tmp_path, tmp_path, config, tower=tiny_tower())
    (row,) = logged(tmp_path)
    assert row["psnr"] > row["psnr_attacked"] + 1


def test_psnr_of_a_known_error() -> None:
    a = torch.zeros(1, 3, 4, 4)
    assert psnr(a + 0.1, a).item() == pytest.approx(20, abs=1e-3)
    assert psnr(a, a).item() == pytest.approx(60)


# Its refinement -----------------------------------------------------------------------------------


def refined(data: Path, out: Path, config: RefiningConfig) -> PurifierPipeline:
    model, pipeline = tiny_vlm().eval(), new_pipeline(channels=(8, 16))
    drawn = PairsConfig(batch=2, sizes=((32, 48, 1.0),), steps=(1, 2), eps=(12.0, 12.0), layers=model.config.layers)
    maker = PairMaker(training_sources(data, None), drawn, tower=model.tower, vlm=model)
    refine(pipeline, model, maker, question_pool(data), out, config)
    return pipeline


def test_refining_takes_out_what_moves_the_model_s_features(data: Path, tmp_path: Path) -> None:
    weights = {"pixels": 0.1, "left": 1.0, "clean": 0.0, "between": 0.0, "quantised": 0.0}
    refined(data, tmp_path, replace(REFINE, steps=60, rate=1e-2, check=20, average=0.5, **weights))
    rows = logged(tmp_path)
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert rows[-1]["shift left"] < 0.9 * rows[0]["shift left"]


def test_a_stopped_refinement_goes_on_and_clean_pictures_alone_have_a_slope(data: Path, tmp_path: Path) -> None:
    whole = refined(data, tmp_path / "whole", REFINE)
    refined(data, tmp_path / "stopped", replace(REFINE, steps=3))
    stopped = refined(data, tmp_path / "stopped", REFINE)
    ours, theirs = (torch.cat([p.flatten() for p in x.unet.parameters()]) for x in (whole, stopped))
    assert torch.allclose(ours, theirs, atol=1e-6)
    clean = refined(data, tmp_path / "clean", replace(REFINE, clean=1.0))
    assert all(torch.isfinite(p).all() for p in clean.unet.parameters())


def test_the_purifier_and_its_card_are_written_with_a_new_attack_detector(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tiny_purifier().save_pretrained(out)
    (out / "README.md").write_text(CARD)
    before = PurifierPipeline.from_pretrained(out).unet.state_dict()
    drawn = {"batch": 2, "sizes": ((32, 48, 1.0),), "steps": (1, 2)}
    detector = [drawn | {"layers": LAYERS, "seed": n} for n in (0, 1)]
    settings = {"pairs": drawn, "refine": {"steps": 2, "units": 1}, "gate": detector}
    options = {"settings": settings, "batches": 5, "cache": tmp_path / "cache"}
    for _ in range(2):  # the second time with the first one's sections in place
        refine_purifier(training_sources(data, None), question_pool(data), out, **options)
    again = PurifierPipeline.from_pretrained(out)
    assert any(not torch.equal(value, before[name]) for name, value in again.unet.state_dict().items())
    assert again.config["gate"]
    one = {"row": "a", "against": "b", "column": "PGD", "n": 9, "agreement": 1.0, "agreement against": 0.5}
    write_worth_section(out, [one | {"won": 4, "lost": 0, "p": 0.125}])
    card = (out / "README.md").read_text()
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert headings == ["## Refined", "## The attack detector", "## What each part is worth", "## Limits"]
    assert "| PGD | a | b | 9 | 100% | 50% | 4 | 0 | 0.12 |" in card


# The attack detector ------------------------------------------------------------------------------


def test_refitting_the_attack_detector_leaves_the_network(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise WeightsMissing("not here")

    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", missing)
    monkeypatch.setattr(Detector, "from_pretrained", missing)
    tiny_clip(monkeypatch)
    out = tmp_path / "out"
    tiny_purifier().save_pretrained(out)
    (out / "README.md").write_text(CARD)
    drawn = {"batch": 2, "sizes": PAIRS.sizes, "layers": LAYERS, "eps": (8.0, 8.0)}
    settings = {"gate": [drawn | {"steps": (2, 2)}, drawn | {"steps": (3, 3), "seed": 1}]}
    before = PurifierPipeline.from_pretrained(out).unet.state_dict()
    refit_attack_detector(sources, out, settings=settings, batches=3, cache=tmp_path / "cache", tower=tiny_tower())
    again = PurifierPipeline.from_pretrained(out)
    assert AttackDetector(**again.config["gate"]).false_alarms == 0.005
    assert all(torch.equal(v, before[k]) for k, v in again.unet.state_dict().items())
    card = (out / "README.md").read_text()
    assert "Fitted to 12 attacked pictures" in card
    assert card.endswith("## Limits\nMany.\n")


def test_an_attack_detector_is_judged_on_groups_that_it_did_not_see() -> None:
    """It finds what is far from clean, at the share of false alarms that is asked for; and nothing of an attack that
    lies in one group alone."""
    rng = np.random.default_rng(0)
    clean, strong, alone = rng.normal(0, 1, (1200, 3)), rng.normal(5, 1, (300, 3)), rng.normal(0, 1, (40, 3))
    alone[:, 2] = -5
    evidence = np.concatenate([clean, strong, alone])
    kinds = np.array([CLEAN] * 1200 + ["pgd"] * 300 + ["patch"] * 40)
    groups = np.array([f"{i // 6}" for i in range(1500)] + ["patches"] * 40)
    detector, found = fit_to(evidence, kinds, groups, seed=0)
    assert found["pgd"] > 0.98
    assert found[CLEAN] <= 0.006
    assert found["patch"] < 0.1
    odds = detector(torch.from_numpy(evidence).float())
    assert (odds[1200:1500] > 0).float().mean() > 0.98
    assert (odds[:1200] > 0).float().mean() < 0.01


def test_pairs_arrive_as_they_are_as_jpeg_and_without_colour() -> None:
    levels = torch.from_numpy(photo(64, 48)).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
    plain, jpeg, grey = _arrived(levels, 70).values()
    assert torch.equal(plain, levels.float() / 255)
    assert 0 < (jpeg - plain).abs().mean() < 0.05
    assert torch.equal(grey[:, 0], grey[:, 2])


# The LoRA encoder ---------------------------------------------------------------------------------


def adapted(data: Path, out: Path, cache: Path, model: EmbeddedVLM | None = None, **changed: Any) -> dict[str, Any]:
    model = model or tiny_vlm().eval()
    drawn = {"batch": 2, "sizes": ((32, 48, 1.0),), "steps": (1, 2), "layers": model.config.layers}
    settings = {"pairs": drawn, "eye": ADAPT | {"guided": 0} | changed}
    models: dict[str, Any] = {"model": model, "purifier": tiny_purifier()}
    return train_encoder(data, None, out, settings=settings, batches=3, cache=cache, **models)


def test_it_learns_to_see_what_was_seen_before(data: Path, tmp_path: Path) -> None:
    out, cache, model = tmp_path / "out", tmp_path / "cache", tiny_vlm().eval()
    before = {name: value.clone() for name, value in [*model.state_dict().items(), *model.tower.state_dict().items()]}
    facts = adapted(data, out, cache, model, steps=60, check=20)
    rows = logged(cache / "out")
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert rows[-1]["shift left"] < 0.9 * rows[0]["shift left"]
    now = dict([*model.state_dict().items(), *model.tower.state_dict().items()])
    assert all(torch.equal(now[name], value) for name, value in before.items())
    encoder, left = LoraEncoder.from_pretrained(out), []
    for speaker in (encoder.applied_to(model), model):
        shifts = []
        for pairs in map(load_pairs, pair_files(cache / "eye-pairs")):
            purified = quantise_at(tiny_purifier().denoise(pairs.moved[-1].float() / 255), 10, 32)
            shifts.append(speaker.see(purified) - model.see(pairs.clean.float() / 255))
        left.append(float(torch.cat(shifts).square().mean()))
    assert left[0] < 0.9 * left[1]
    assert encoder.facts == facts
    assert facts["attacked pictures"] == 4
    assert facts["attacked"]["questions"] == 2
    assert len([n for n in encoder.tensors if n.endswith(UP)]) == 3 * model.tower.layers
    assert f"| {facts['attacked']['surprise before']:.3f} |" in (out / "README.md").read_text()


def test_it_learns_from_pictures_that_it_guided(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoders: list[list[Tensor]] = []

    def towards_reference(walked: Tensor, encoder: Tower) -> tuple[Tensor, Tensor]:
        encoders.append([p.detach().clone() for p in encoder.parameters() if p.requires_grad])
        return walked, walked

    monkeypatch.setattr(adapter, "towards_reference", towards_reference)
    adapted(data, tmp_path / "out", tmp_path / "cache", guided=1, chance=0.0)
    assert len(encoders) == 6
    assert any(not torch.equal(a, b) for a, b in zip(encoders[0], encoders[-1], strict=True))


def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(save: Callable[..., None]) -> Callable[..., None]:
        def then_stop(*given: Any) -> None:
            save(*given)
            raise KeyboardInterrupt

        return then_stop

    cache = tmp_path / "cache"
    adapted(data, tmp_path / "one", cache)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_checkpoint", stopping(loop.save_checkpoint))
        with pytest.raises(KeyboardInterrupt):
            adapted(data, tmp_path / "two", cache)
    adapted(data, tmp_path / "two", cache)
    assert [row["step"] for row in logged(cache / "two")] == [3, 6]
    one, two = (LoraEncoder.from_pretrained(tmp_path / name).tensors for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_untrained_it_changes_nothing_and_too_few_pairs_are_refused(data: Path, tmp_path: Path) -> None:
    adapted(data, tmp_path / "out", tmp_path / "cache", steps=0)
    encoder, model = LoraEncoder.from_pretrained(tmp_path / "out"), tiny_vlm().eval()
    assert all(not value.any() for name, value in encoder.tensors.items() if name.endswith(UP))
    assert all(value.any() for name, value in encoder.tensors.items() if name.endswith(DOWN))
    given = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(encoder.applied_to(model).see(given), model.see(given), atol=0.02)  # half precision
    with pytest.raises(ValueError, match="More than 3 batches of pairs"):
        adapted(data, tmp_path / "out", tmp_path / "cache", held=3)


def test_the_divergence_is_that_of_the_first_words(data: Path) -> None:
    """Against the sum over the vocabulary, written out."""
    model = tiny_vlm().eval()
    seen, wanted = (torch.randn(1, 5, model.width, generator=torch.Generator().manual_seed(n)) for n in (1, 2))
    rng = random.Random(0)
    found = divergence(model, seen, wanted, [QUESTIONS[:1]], QUESTIONS[1:], rng)
    total = 0.0
    for prompt in (*QUESTIONS, CAPTION_PROMPT):
        p, q = (model.logits(x, [prompt], [""])[0][0, -1].softmax(-1) for x in (wanted, seen))
        total += float((p * (p / q).log()).sum()) / 3
    assert float(found) == pytest.approx(total, rel=1e-3)
    assert float(divergence(model, wanted, wanted, [[]], QUESTIONS, rng)) == pytest.approx(0, abs=1e-5)


def test_the_question_that_an_attack_was_after_is_asked(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_vlm().eval()
    clean, moved = (torch.randn(2, 5, model.width, generator=torch.Generator().manual_seed(n)) for n in (1, 2))
    monkeypatch.setattr(adapter, "MOVED", 0.0)
    apart = []
    for question in QUESTIONS:
        p, q = (model.logits(x[:1], [question], [""])[0][0, -1].softmax(-1) for x in (clean, moved))
        apart.append(float((p * (p / q).log()).sum()))
    assert most_moved(model, clean, moved, [QUESTIONS, []]) == [[QUESTIONS[apart.index(max(apart))]], []]
    monkeypatch.setattr(adapter, "MOVED", 100.0)
    assert most_moved(model, clean, moved, [QUESTIONS, []]) == [QUESTIONS, []]


def test_the_unit_of_the_feature_distance_is_what_purification_moves() -> None:
    model, generator = tiny_vlm(), torch.Generator().manual_seed(0)
    clean = [torch.rand(2, 3, 32, 40, generator=generator) for _ in range(3)]
    purified = [picture * 0.5 + 0.2 for picture in clean]
    distance = FeatureDistance(model, clean, purified)
    seen, wanted = ([torch.cat(one) for one in zip(*map(distance, x), strict=True)] for x in (purified, clean))
    assert torch.allclose(distance.left(seen, wanted), torch.ones(3), atol=1e-4)
    assert not distance.left(wanted, wanted).any()
    half = [(a + b) / 2 for a, b in zip(seen, wanted, strict=True)]
    assert torch.allclose(distance.left(half, wanted), torch.full((3,), 0.25), atol=1e-4)


# The loop -----------------------------------------------------------------------------------------


def test_a_checkpoint_is_whole_or_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(2, 1)
    assert resume(tmp_path, model) == 0
    save_checkpoint(tmp_path, 1, model)

    def killed(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, 2, torch.nn.Linear(2, 1))
    other = torch.nn.Linear(2, 1)
    assert resume(tmp_path, other) == 1
    assert torch.equal(other.weight, model.weight)


def test_the_average_is_of_the_weights_and_gives_them_back() -> None:
    model = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(model.weight, 1.0)
    average = loop.EMAModel(model.parameters(), decay=0.5)
    average.step(model.parameters())
    for value in (2.0, 3.0):
        torch.nn.init.constant_(model.weight, value)
        average.step(model.parameters())
    with averaged(model, average):
        assert 1 < model.weight.item() < 3
    assert model.weight.item() == 3


def test_a_rate_rises_stays_and_falls() -> None:
    shares = [trapezoid(step, 100, warm=10, decay=0.5, end=0.02) for step in (0, 9, 40, 75, 99)]
    assert shares == pytest.approx([0.1, 1.0, 1.0, 0.54, 0.06])
