"""Training on tiny models: pairs, the denoiser, its refinement, the attack detector, the LoRA
encoder, and the loop."""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from causalclip.detector import Detector
from causalclip.paths import WeightsMissing
from purifier.denoiser.filters import quantise_at
from purifier.denoiser.latent import LatentPurifier
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.vlm.features import clip_features
from purifier.vlm.interface import CAPTION_PROMPT
from purifier.vlm.lora import UP, LoraEncoder
from purifier.vlm.model import EmbeddedVLM
from tests.makers.detectors import tiny_detector, tiny_tower
from tests.makers.models import (
    fixed_attack_detector,
    latent_base,
    tiny_clip,
    tiny_purifier,
    tiny_vlm,
    vlm_folder,
)
from training.purifier.adapter import train_encoder, trainable_model
from training.purifier.attack_detector import CLEAN, MIN_BUDGET, _measure, find_unseen, fit_to
from training.purifier.command import app
from training.purifier.denoiser import (
    DenoiserConfig,
    RefiningConfig,
    fit,
    noisy_ends,
    refine,
    refine_purifier,
    train_purifier,
)
from training.purifier.guidance import Guidance
from training.purifier.loop import resume, save_checkpoint
from training.purifier.pairs import (
    PairMaker,
    PairsConfig,
    Source,
    load_pairs,
    make_missing,
    make_pairs,
    pair_files,
    question_pool,
    save_pairs,
    training_sources,
)
from training.purifier.untrained import new_latent, new_pipeline

LAYERS = (2, 3)
PAIRS = PairsConfig(batch=3, sizes=((32, 32, 1.0), (32, 48, 1.0)), steps=(2, 3), layers=LAYERS)
TRAIN = DenoiserConfig(
    steps=6, batch=3, crop=24, check=3, held=1, layers=LAYERS, guided=0.5, guide_from=0.0
)
# a rate that does not depend on the planned end
REFINE = RefiningConfig(steps=6, decay=1e-9, units=1, check=3)
ADAPT = {
    "rank": 4,
    "steps": 6,
    "check": 3,
    "held": 1,
    "rate": 1e-2,
    "average": 0.5,
    "strengths": [[10, 32]],
}
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


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", tiny_vlm)
    monkeypatch.setattr(Detector, "from_pretrained", tiny_detector)
    tiny_clip(monkeypatch)
    return vlm_folder(tmp_path / "data")


@pytest.fixture
def few_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.purifier.attack_detector.FOLDS", 2)


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def test_pairs_are_in_their_budget_and_hold_what_clip_saw(
    folder: Path, sources: list[Source]
) -> None:
    for path in pair_files(folder):
        pairs = load_pairs(path)
        assert 0 < (pairs.adversarial.int() - pairs.clean.int()).abs().max() <= pairs.eps
        seen = clip_features(tiny_tower(), pairs.adversarial[-1].float() / 255, layers=LAYERS)
        assert torch.allclose(seen[0], pairs.adversarial_seen[0], atol=0.02)
        assert pairs.asked == [["is there a dog"]] * len(pairs.clean)
    before = pair_files(folder)[0].stat().st_mtime_ns
    list(make_pairs(_maker(sources), folder, batches=4))  # goes on where it was
    assert pair_files(folder)[0].stat().st_mtime_ns == before
    assert torch.equal(_maker(sources).make(0)[0].clean, load_pairs(pair_files(folder)[0]).clean)


@pytest.mark.parametrize("kind", ["bridge", "regression", "noise"])
def test_every_recipe_learns_with_clips_guidance_and_without(
    kind: Any, folder: Path, tmp_path: Path
) -> None:
    for guided in (0.0, 1.0):
        pipeline, out = tiny_purifier(), tmp_path / str(guided)
        before = [p.clone() for p in pipeline.unet.parameters()]
        fit(pipeline, folder, out, replace(TRAIN, kind=kind, guided=guided), tower=tiny_tower())
        assert all(("guidance" in row) == (guided > 0) for row in logged(out))
        assert any(
            not torch.equal(a, b) for a, b in zip(before, pipeline.unet.parameters(), strict=True)
        )


def guidance_of(
    way: Tensor | float, monkeypatch: pytest.MonkeyPatch, *, size: Tensor | float = 1.0
) -> float:
    """The loss of three attacked pictures, and one that is not, that have gone `way` (of each
    dimension) back to the clean ones; `size`: of each dimension."""
    generator = torch.Generator().manual_seed(0)
    shapes = (4, 5, 6), (4, 1, 6)  # patch tokens, embedding
    clean = [size * torch.randn(shape, generator=generator) for shape in shapes]
    shift = [size * torch.randn(shape, generator=generator) for shape in shapes]
    is_attacked = torch.tensor([1.0, 1.0, 1.0, 0.0]).view(4, 1, 1)
    seen = [c + is_attacked * s for c, s in zip(clean, shift, strict=True)]
    reached = [a + way * (c - a) for a, c in zip(seen, clean, strict=True)]
    monkeypatch.setattr("training.purifier.guidance.clip_features", lambda *_, **__: reached)
    guidance = Guidance(tiny_tower(), layers=LAYERS)
    return float(guidance(torch.zeros(4, 3, 32, 32), tuple(clean), tuple(seen)))


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (1.0, 0.0),  # back at the clean picture
        (0.5, 0.25),  # the right direction, half of the shift left: its square
        (0.0, 2.0),  # no direction, all of the shift left
        (-1.0, 6.0),  # the opposite direction, twice the shift left
    ],
)
def test_guidance_is_the_direction_and_what_is_left_of_the_shift(
    way: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert guidance_of(way, monkeypatch) == pytest.approx(expected, abs=1e-3)


def test_guidance_counts_a_dimension_alike_however_large_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way, size = torch.eye(6)[0], 1 + 99 * torch.eye(6)[0]  # one dimension has gone back
    alike, uneven = (guidance_of(way, monkeypatch, size=s) for s in (1.0, size))
    assert 0.5 < alike < 2
    assert uneven == pytest.approx(alike, rel=1e-2)


def test_the_unsupervised_recipe_sees_no_attack_when_it_is_guided(folder: Path) -> None:
    pairs = load_pairs(pair_files(folder)[0])
    config = replace(TRAIN, kind="noise", clean=0.0)
    ends, clean_seen, noisy_seen = noisy_ends(pairs, random.Random(0), config, tower=tiny_tower())
    assert torch.equal(ends.adversarial, ends.clean)
    assert (ends.noise.flatten(1).std(1) > 0).all()
    assert not torch.allclose(clean_seen[1], noisy_seen[1])


def test_no_picture_of_a_test_split_is_learned_from(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "daquar").mkdir()
    boxes, rows = [{"name": "dog", "xywh": [4, 4, 20, 20], "iscrowd": 0}], []
    for i, split in enumerate(("train", "test", "val")):
        Image.new("RGB", (30, 30)).save(tmp_path / f"coco/{i}.jpg")
        rows.append(
            {"file": f"coco/{i}.jpg", "split": split, "captions": ["a dog ."], "boxes": boxes}
        )
    (tmp_path / "coco.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = [{"question": "what is it", "answer": "bed", "split": s} for s in ("train", "test")]
    both = [{"file": "daquar/0.jpg", "qa": asked}, {"file": "daquar/1.jpg", "qa": asked[:1]}]
    (tmp_path / "daquar.jsonl").write_text("\n".join(map(json.dumps, both)))
    (tmp_path / "manifest.csv").write_text(
        "path,split,view\na.jpg,train,whole\nb.jpg,test,whole\nc.jpg,train,crop\n"
    )
    found = training_sources(tmp_path, tmp_path)
    assert [f"{s.path.parent.name}/{s.path.name}" for s in found[:2]] == [
        "coco/0.jpg",
        "daquar/1.jpg",
    ]
    assert [s.path.name for s in found[2:]] == ["a.jpg"]
    assert found[1].asked == ("what is it",)
    assert any("dog" in question or "animal" in question for question in found[0].asked)
    assert CAPTION_PROMPT not in found[0].asked
    with pytest.raises(FileNotFoundError, match="no pictures"):
        training_sources(None, None)
    with pytest.raises(FileNotFoundError, match="manifest"):
        training_sources(None, tmp_path / "coco")


def test_training_learns_and_goes_on_after_a_stop(folder: Path, tmp_path: Path) -> None:
    trained = {}
    for name, stages in (("whole", [6]), ("stopped", [3, 6])):
        for steps in stages:
            pipeline = new_pipeline(channels=(8, 16))
            # so that the rate does not depend on the planned end
            config = replace(TRAIN, decay=1e-9, steps=steps)
            fit(pipeline, folder, tmp_path / name, config, tower=tiny_tower())
        trained[name] = pipeline
    rows = logged(tmp_path / "whole")
    assert [row["step"] for row in rows] == [3, 6]
    assert {
        "loss",
        "guidance",
        "psnr",
        "psnr_attacked",
        "psnr_clean",
        "shift",
        "shift_clean",
    } <= set(rows[-1])
    weights = [p.unet.conv_out.weight for p in trained.values()]
    assert weights[0].abs().max() > 0
    assert torch.allclose(*weights, atol=1e-5)
    with pytest.raises(FileNotFoundError, match="no pairs"):
        fit(new_pipeline(channels=(8, 16)), tmp_path, tmp_path / "out", TRAIN, tower=tiny_tower())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(latent_base(tmp_path_factory.mktemp("base")))


def learned_on(base: str, pairs: Path, out: Path, *, steps: int) -> LatentPurifier:
    pipeline = new_latent(base, rank=2)
    fit(pipeline, pairs, out, replace(TRAIN, decay=1e-9, steps=steps), tower=tiny_tower())
    return pipeline


def test_a_low_rank_update_alone_learns_of_a_base_and_goes_on_after_a_stop(
    base: str, folder: Path, tmp_path: Path
) -> None:
    before = {
        name: value.clone() for name, value in new_latent(base, rank=2).unet.state_dict().items()
    }
    whole = learned_on(base, folder, tmp_path / "whole", steps=6)
    learned_on(base, folder, tmp_path / "stopped", steps=3)
    stopped = learned_on(base, folder, tmp_path / "stopped", steps=6)
    changed = {
        n for n, value in whole.unet.state_dict().items() if not torch.equal(value, before[n])
    }
    assert changed
    assert changed <= set(whole.update())
    assert any("guidance" in row for row in logged(tmp_path / "whole"))
    for name, value in whole.update().items():
        assert torch.allclose(value, stopped.update()[name], atol=1e-5)


def test_trainings_share_pairs_where_settings_and_pictures_are_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.purifier.pairs.if_there", lambda _load: None)
    sources = training_sources(data, None)

    def folder(own: Sequence[Source] = sources, **settings: Any) -> Path:
        config = PairsConfig(**settings)
        return make_missing(own, config, tmp_path, tower=tiny_tower(), batches=0)[1]

    assert folder(seed=1) == folder(seed=1)
    assert len({folder(seed=1), folder(seed=2), folder(sources[1:], seed=1)}) == 3


@pytest.fixture
def trained_on_a_base(data: Path, base: str, tmp_path: Path, monkeypatch: Any) -> Path:
    """The folder that `purifier train --base` wrote, beside the configuration that it read."""
    monkeypatch.setattr("training.purifier.denoiser.load_tower", tiny_tower)
    drawn = {"batch": 2, "sizes": [[32, 48, 1.0]], "steps": [1, 1], "layers": LAYERS}
    settings = {
        "pairs": drawn,
        "train": asdict(TRAIN) | {"steps": 2},
        "lora": {"rank": 2},
        "attack_detector": [],
        "refine": {"steps": 2, "units": 1},
    }
    (tmp_path / "config.json").write_text(json.dumps(settings))
    out = tmp_path / "out"
    run_command("train", data, tmp_path, "--out", str(out), "--base", base)
    return out


def run_command(name: str, data: Path, folder: Path, *words: str) -> None:
    options = {"--data": data, "--config": folder / "config.json", "--cache": folder / "cache"}
    given = [str(word) for option in options.items() for word in option]
    given += ["--batches", "3", "--device", "cpu"]
    result = CliRunner().invoke(app, [name, *given, *words])
    assert result.exit_code == 0, result.output


def test_a_purifier_on_a_base_is_trained_saved_and_loaded_with_its_base(
    trained_on_a_base: Path, base: str, tmp_path: Path
) -> None:
    loaded, pictures = PurifierPipeline.from_pretrained(trained_on_a_base), torch.rand(2, 3, 33, 50)
    purified = loaded(pictures, num_inference_steps=2).images
    assert purified.shape == pictures.shape  # whose sides no multiple of the network's is
    assert not torch.equal(purified, new_latent(base)(pictures, num_inference_steps=2).images)
    loaded.save_pretrained(tmp_path / "copy")
    again = PurifierPipeline.from_pretrained(tmp_path / "copy")
    assert torch.equal(again(pictures, num_inference_steps=2).images, purified)
    assert f"`{base}`" in (trained_on_a_base / "README.md").read_text()
    assert not list(trained_on_a_base.rglob("*unet*"))  # the base stays where it is


@pytest.mark.full
def test_a_purifier_on_a_base_is_refined(
    trained_on_a_base: Path, base: str, data: Path, tmp_path: Path
) -> None:
    before = PurifierPipeline.from_pretrained(trained_on_a_base)
    run_command("refine", data, tmp_path, "--folder", str(trained_on_a_base))
    after = PurifierPipeline.from_pretrained(trained_on_a_base)
    assert isinstance(before, LatentPurifier)
    assert isinstance(after, LatentPurifier)
    assert after.config["base"] == base
    assert any(not torch.equal(after.update()[n], value) for n, value in before.update().items())


@pytest.mark.parametrize("missing", ["no/such/folder", "owner/out-of-reach"])
def test_a_base_out_of_reach_is_an_error(
    missing: str, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsMissing, match=f"'{missing}' is not here"):
        train_purifier([], tmp_path / "out", base=missing)
    assert not (tmp_path / "out").exists()
    new_latent(base).save_pretrained(tmp_path)
    config = tmp_path / "model_index.json"
    config.write_text(config.read_text().replace(base, missing))
    with pytest.raises(WeightsMissing, match=f"'{missing}' is not here"):
        PurifierPipeline.from_pretrained(tmp_path)


def test_a_base_with_other_inputs_is_refused(tmp_path: Path) -> None:
    base = latent_base(tmp_path)
    config = json.loads((base / "vae" / "config.json").read_text())
    AutoencoderKL.from_config(config | {"latent_channels": 8}).save_pretrained(base / "vae")
    with pytest.raises(ValueError, match="must take a latent, a time and a prompt"):
        new_latent(str(base))


def test_a_base_that_predicts_no_noise_is_refused(tmp_path: Path) -> None:
    base = latent_base(tmp_path)
    DDPMScheduler(prediction_type="v_prediction").save_pretrained(base / "scheduler")
    with pytest.raises(ValueError, match="'v_prediction'; give one that predicts noise"):
        new_latent(str(base))


def refined(data: Path, out: Path, config: RefiningConfig) -> PurifierPipeline:
    model, pipeline = tiny_vlm().eval(), new_pipeline(channels=(8, 16))
    drawn = PairsConfig(
        batch=2, sizes=((32, 48, 1.0),), steps=(1, 2), eps=(12.0, 12.0), layers=model.config.layers
    )
    maker = PairMaker(training_sources(data, None), drawn, tower=model.tower, vlm=model)
    refine(pipeline, model, maker, question_pool(data), out, config)
    return pipeline


@pytest.mark.full
def test_a_stopped_refinement_goes_on(data: Path, tmp_path: Path) -> None:
    whole = refined(data, tmp_path / "whole", REFINE)
    refined(data, tmp_path / "stopped", replace(REFINE, steps=3))
    stopped = refined(data, tmp_path / "stopped", REFINE)
    ours, theirs = (torch.cat([p.flatten() for p in x.unet.parameters()]) for x in (whole, stopped))
    assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.usefixtures("few_folds")
def test_the_purifier_and_its_card_are_written_with_a_new_attack_detector(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.purifier.attack_detector.EPOCHS", 50)
    out = tmp_path / "out"
    tiny_purifier().save_pretrained(out)
    (out / "README.md").write_text(CARD)
    before = PurifierPipeline.from_pretrained(out).unet.state_dict()
    drawn = {"batch": 2, "sizes": ((32, 48, 1.0),), "steps": (1, 2)}
    detector = [drawn | {"layers": LAYERS, "seed": n} for n in (0, 1)]
    settings = {"pairs": drawn, "refine": {"steps": 2, "units": 1}, "attack_detector": detector}
    options = {"settings": settings, "batches": 5, "cache": tmp_path / "cache"}
    refine_purifier(training_sources(data, None), question_pool(data), out, **options)
    again = PurifierPipeline.from_pretrained(out)
    assert any(
        not torch.equal(value, before[name]) for name, value in again.unet.state_dict().items()
    )
    assert again.config["attack_detector"]
    card = (out / "README.md").read_text()
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert headings == ["## Refined", "## The attack detector", "## Limits"]


@pytest.mark.full
@pytest.mark.usefixtures("few_folds")
def test_an_attack_detector_is_judged_on_groups_that_it_did_not_see() -> None:
    """It finds what is far from clean, at the share of false alarms that is asked for; and nothing
    of an attack that lies in one group alone."""
    rng = np.random.default_rng(0)
    clean, strong, alone = (
        rng.normal(0, 1, (600, 3)),
        rng.normal(5, 1, (150, 3)),
        rng.normal(0, 1, (20, 3)),
    )
    alone[:, 2] = -5
    evidence = np.concatenate([clean, strong, alone])
    kinds = np.array([CLEAN] * 600 + ["pgd"] * 150 + ["patch"] * 20)
    groups = np.array([f"{i // 6}" for i in range(750)] + ["patches"] * 20)
    detector, found = fit_to(evidence, kinds, groups, seed=0)
    assert found["pgd"] > 0.98
    assert found[CLEAN] <= 0.006
    assert found["patch"] < 0.1
    odds = detector(torch.from_numpy(evidence).float())
    assert (odds[600:750] > 0).float().mean() > 0.98
    assert (odds[:600] > 0).float().mean() < 0.01


@pytest.mark.usefixtures("few_folds")
@pytest.mark.full
def test_an_attack_is_found_by_others_of_its_family_alone() -> None:
    """Patches lie elsewhere than PGD, so neither helps to find the other; however saved, they are
    one family."""
    rng = np.random.default_rng(0)
    places = (0, 600, CLEAN), (5, 60, "pgd"), (5, 60, "pgd, as JPEG"), (-5, 60, "patch")
    evidence = np.concatenate([rng.normal(place, 1, (count, 3)) for place, count, _ in places])
    kinds = np.repeat([kind for *_, kind in places], [count for _, count, _ in places])
    groups = np.array([f"{i // 6}" for i in range(len(kinds))])
    unseen = find_unseen(evidence, kinds, groups, seed=0)
    assert set(unseen) == {"pgd", "pgd, as JPEG", "patch"}
    assert max(unseen.values()) < 0.1
    assert fit_to(evidence, kinds, groups, seed=0)[1]["patch"] > 0.98


@pytest.mark.full
def test_a_picture_that_an_attack_left_as_it_is_does_not_count_as_attacked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_clip(monkeypatch)
    pairs = load_pairs(pair_files(folder)[0])
    moved = pairs.adversarial.clone()
    moved[:, 0] = pairs.clean[0]
    kept = replace(pairs, adversarial=moved, eps=MIN_BUDGET)
    save_pairs(kept, {"attack": pairs.attack, "eps": MIN_BUDGET}, tmp_path / "pairs-0.safetensors")
    _, kinds, _ = _measure(tiny_purifier(), [tmp_path], [], 0)
    assert (kinds == CLEAN).sum() == 3 * len(pairs.clean)  # as they are, as a JPEG, without colour
    assert (kinds == pairs.attack).sum() == len(pairs.clean) - 1


def adapted(
    data: Path,
    out: Path,
    cache: Path,
    model: EmbeddedVLM | None = None,
    start: Path | None = None,
    purifier: PurifierPipeline | None = None,
    **changed: Any,
) -> dict[str, Any]:
    model = model or tiny_vlm().eval()
    purifier = purifier or tiny_purifier(attack_detector=fixed_attack_detector(50.0))
    drawn = {"batch": 2, "sizes": ((32, 48, 1.0),), "steps": (1, 2), "layers": model.config.layers}
    settings = {"pairs": drawn, "lora_encoder": ADAPT | {"guided": 0} | changed}
    models: dict[str, Any] = {"model": model, "purifier": purifier}
    return train_encoder(
        data, None, out, settings=settings, batches=3, cache=cache, start=start, **models
    )


@pytest.mark.full
def test_an_encoder_learns_behind_the_network_that_is_named_and_its_noise(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.purifier.adapter.trainable_model", lambda: tiny_vlm().eval())
    drawn = {"batch": 2, "sizes": [[32, 48, 1.0]], "steps": [1, 1], "layers": LAYERS}
    settings = {"pairs": drawn, "lora_encoder": ADAPT | {"steps": 1}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    for seed in (1, 2):
        tiny_purifier(seed=seed).save_pretrained(tmp_path / f"network-{seed}")

    def surprise(network: str, noise: str) -> float:
        """Return what the model makes of attacked pictures behind a network."""
        options = {"data": data, "config": "config.json", "cache": "cache", "behind": network}
        options |= {"out": f"{network} {noise}"}
        words = [w for name, path in options.items() for w in (f"--{name}", str(tmp_path / path))]
        words += ["--batches", "3", "--noise", noise, "--device", "cpu"]
        result = CliRunner().invoke(app, ["train-encoder", *words])
        assert result.exit_code == 0, result.output
        found: float = json.loads(result.stdout)["attacked"]["surprise before"]
        return found

    found = {surprise("network-1", "0"), surprise("network-1", "12"), surprise("network-2", "0")}
    assert len(found) == 3


@pytest.mark.full
@pytest.mark.parametrize("alone", [False, True])
def test_it_learns_to_see_what_was_seen_before(data: Path, tmp_path: Path, alone: bool) -> None:
    """Behind a whole purifier what is quantised, behind a network alone what that leaves."""
    out, cache, model = tmp_path / "out", tmp_path / "cache", tiny_vlm().eval()
    purifier = tiny_purifier(attack_detector=None if alone else fixed_attack_detector(50.0))
    before = {
        name: value.clone()
        for name, value in [*model.state_dict().items(), *model.tower.state_dict().items()]
    }
    changed = {"steps": 60, "check": 20, "noise": 12.0}
    facts = adapted(data, out, cache, model, purifier=purifier, **changed)
    rows = logged(cache / "out")
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert rows[-1]["shift left"] < 0.9 * rows[0]["shift left"]
    now = dict([*model.state_dict().items(), *model.tower.state_dict().items()])
    assert all(torch.equal(now[name], value) for name, value in before.items())
    encoder, left = LoraEncoder.from_pretrained(out), []
    for speaker in (encoder.apply_to(model), model):
        shifts = []
        for pairs in map(load_pairs, pair_files(next(cache.glob("pairs-*")))):
            purified = purifier.denoise(pairs.adversarial[-1].float() / 255)
            purified = purified.clamp(0, 1) if alone else quantise_at(purified, 10, 32)
            shifts.append(speaker.see(purified) - model.see(pairs.clean.float() / 255))
        left.append(float(torch.cat(shifts).square().mean()))
    assert left[0] < 0.9 * left[1]
    assert encoder.facts == facts
    assert len([n for n in encoder.tensors if n.endswith(UP)]) == 3 * model.tower.layers


@pytest.mark.full
def test_it_goes_on_from_another_encoder(data: Path, tmp_path: Path) -> None:
    """With a rate of 0, it ends where the other one was."""
    first, then = tmp_path / "first", tmp_path / "then"
    adapted(data, first, tmp_path / "a", steps=5)
    adapted(data, then, tmp_path / "b", start=first, steps=2, rate=0.0)
    ours, theirs = (LoraEncoder.from_pretrained(folder).tensors for folder in (then, first))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_the_shipped_model_can_be_learned_on() -> None:
    """Its tower keeps its matrices as int8, which LoRA does not take."""
    tower = trainable_model().tower
    assert any(name.endswith("mlp.c_fc.weight") for name, _ in tower.named_parameters())


def test_a_checkpoint_is_whole_or_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
