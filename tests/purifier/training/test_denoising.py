"""A feature denoiser is learned from pairs; through it the model sees more of the clean picture in a purified one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from causalclip.clip.weights import WeightsMissing
from causalclip.detector import Detector
from purifier.prompts.denoiser import FeatureDenoiser, new_denoiser
from purifier.training import denoising
from purifier.training.denoising import DenoisingConfig, Views, learn_denoiser, train_feature_denoiser
from purifier.vlm import EmbeddedVLM, VisionLanguageModel
from tests.makers.detectors import tiny_detector
from tests.makers.folders import vlm_folder
from tests.makers.models import tiny_vlm
from tests.makers.purifiers import tiny_purifier

QUESTIONS = ["what is in the picture", "how many dogs are there"]
CONFIG = DenoisingConfig(inner=24, depth=1, steps=120, batch=4, rate=1e-2, held=1, questions=2, average=0.9)


@pytest.fixture(scope="module")
def model() -> EmbeddedVLM:
    return tiny_vlm().eval()


def _views(model: EmbeddedVLM, seed: int) -> Views:
    """Purified pictures whose features have lost a part that is always the same."""
    generator = torch.Generator().manual_seed(seed)
    width, embedding = model.tower.width * len(model.config.layers), int(model.tower.visual.proj.shape[1])
    clean = torch.randn(2, 49, width, generator=generator), torch.randn(2, embedding, generator=generator)
    lost = torch.linspace(-2, 2, width)
    visual = model.connector(*clean)
    texts = [[a.text for a in model.answer_seen(v.expand(2, -1, -1), QUESTIONS)] for v in visual.split(1)]
    return Views(clean, (torch.stack([clean[0] - lost] * 2), torch.stack([clean[1]] * 2)), [QUESTIONS] * 2, texts)


def test_training_takes_back_a_part_of_the_shift(model: EmbeddedVLM, tmp_path: Path) -> None:
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    views = [_views(model, seed) for seed in range(4)]
    denoiser, facts = train_feature_denoiser(model, views, CONFIG, tmp_path)
    (patches, embedding), clean = [x[0] for x in views[0].purified], model.connector(*views[0].clean)
    seen = model.connector(patches, embedding)
    shifts = [(x - clean).square().mean().item() for x in (denoiser(patches, seen), seen)]
    assert shifts[0] < 0.7 * shifts[1]
    for kind in ("attacked", "never attacked"):
        assert facts[kind]["questions"] == 4
        assert facts[kind]["surprise after"] < facts[kind]["surprise before"]
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert not any(p.requires_grad for p in denoiser.parameters())


def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    model: EmbeddedVLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(save: Callable[..., None]) -> Callable[..., None]:
        def then_stop(*given: Any) -> None:
            save(*given)
            raise KeyboardInterrupt

        return then_stop

    views = [*(_views(model, seed) for seed in range(3)), _plain(_views(model, 3))]
    whole = replace(CONFIG, steps=8, check=4)
    one, _ = train_feature_denoiser(model, views, whole, tmp_path / "one")
    done = (tmp_path / "one/train.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in done] == [4, 8]
    monkeypatch.setattr(denoising, "save_checkpoint", stopping(denoising.save_checkpoint))
    with pytest.raises(KeyboardInterrupt):
        train_feature_denoiser(model, views, whole, tmp_path / "two")
    monkeypatch.undo()
    two, facts = train_feature_denoiser(model, views, whole, tmp_path / "two")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert facts["crops"] == 6
    assert facts["attacked crops"] == 4


def _plain(views: Views) -> Views:
    """The same as if nobody had attacked them."""
    patches, embedding = views.purified
    return replace(views, purified=(patches[:1], embedding[:1]))


def test_too_few_files_are_refused(model: EmbeddedVLM, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="More than 1 batches of pairs"):
        train_feature_denoiser(model, [_views(model, 0), _plain(_views(model, 1))], CONFIG, tmp_path)


def test_untrained_it_changes_nothing_and_the_model_behind_it_is_one_of_its_kind(model: EmbeddedVLM) -> None:
    denoiser = new_denoiser(model, inner=24, depth=1).eval()
    denoised = denoiser.applied_to(model)
    assert isinstance(denoised, VisionLanguageModel)
    pixels = torch.rand(2, 3, 40, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(denoised.see(pixels), model.see(pixels), atol=1e-6)
    assert denoised.answer(pixels, QUESTIONS[0]) == model.answer(pixels, QUESTIONS[0])
    assert denoised.caption(pixels) == model.caption(pixels)
    torch.nn.init.normal_(denoiser.out.weight)
    led = denoised.log_likelihood(pixels.requires_grad_(), QUESTIONS, ["dog", "2"])
    assert led.requires_grad
    assert torch.allclose(denoised.score(denoised.see(pixels), QUESTIONS, ["dog", "2"]), led, atol=1e-4)
    assert not torch.allclose(model.log_likelihood(pixels, QUESTIONS, ["dog", "2"]), led, atol=1e-3)


def test_it_is_for_one_width(model: EmbeddedVLM, tmp_path: Path) -> None:
    denoiser = FeatureDenoiser(width=model.width + 1, tokens=53, tower_width=48, layers=2, inner=24, depth=1)
    with pytest.raises(ValueError, match="train-feature-denoiser"):
        denoiser.applied_to(model)
    with pytest.raises(WeightsMissing, match="train-feature-denoiser"):
        FeatureDenoiser.from_pretrained(tmp_path)


def test_from_a_data_folder_to_a_denoiser(model: EmbeddedVLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", tiny_vlm)
    monkeypatch.setattr(Detector, "from_pretrained", tiny_detector)
    pairs = {"batch": 2, "sizes": ((32, 48, 1.0),), "steps": (1, 2), "layers": model.config.layers}
    settings = {
        "pairs": pairs,
        "denoiser": {"inner": 24, "depth": 1, "steps": 2, "batch": 2, "held": 1, "questions": 2, "plain": 1},
    }
    data, cache = vlm_folder(tmp_path / "data"), tmp_path / "cache"
    made = {"settings": settings, "batches": 2, "cache": cache, "model": model, "purifier": tiny_purifier()}
    facts = learn_denoiser(data, None, tmp_path / "out", **made)  # type: ignore[arg-type]
    assert facts["crops"] == 4
    assert facts["attacked crops"] == 2
    assert json.loads((tmp_path / "out/config.json").read_text())["facts"] == facts
    kept = sorted((cache / "denoiser-pairs-seen").iterdir())
    with safe_open(kept[0], "pt") as file:
        prompts, texts = json.loads(file.metadata()["said"])
    assert all(len(set(asked)) == len(said) == 2 for asked, said in zip(prompts, texts, strict=True))
    for path, copies in zip(kept, (1, 3, 3), strict=True):  # plain, views, views
        with safe_open(path, "pt") as file:
            assert file.get_tensor("purified_patches").shape[:3] == (copies, 2, 49)
    times = [path.stat().st_mtime_ns for path in kept]
    learn_denoiser(data, None, tmp_path / "out", **made)  # type: ignore[arg-type]
    assert times == [path.stat().st_mtime_ns for path in kept]
    card = (tmp_path / "out/README.md").read_text()
    assert "from 4 crops of training pictures" in card.replace("\n", " ")
    assert f"| {facts['attacked']['before']:.3f} | {facts['attacked']['after']:.3f} |" in card
    again = FeatureDenoiser.from_pretrained(tmp_path / "out")
    assert again.applied_to(model).caption(torch.rand(1, 3, 32, 32))
