"""Training an adapted encoder: on tiny models and pictures that the tests draw."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from causalclip.clip.tower import Tower
from causalclip.detector import Detector
from purifier import running
from purifier.denoiser.filters import quantise_at
from purifier.training import seeing
from purifier.training.loop import pair_files
from purifier.training.pairs import load_pairs
from purifier.training.seeing import learn_eye, most_moved
from purifier.training.sight import divergence
from purifier.training.sources import question_pool
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM
from purifier.vlm.eye import DOWN, UP, Eye
from tests.makers.detectors import tiny_detector
from tests.makers.folders import vlm_folder
from tests.makers.models import tiny_vlm
from tests.makers.purifiers import tiny_clip, tiny_purifier

QUESTIONS = ["what is in the picture", "how many dogs are there"]
STEPS = {"rank": 4, "steps": 6, "check": 3, "held": 1, "rate": 1e-2, "average": 0.5, "strengths": [[10, 32]]}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", tiny_vlm)
    monkeypatch.setattr(Detector, "from_pretrained", tiny_detector)
    tiny_clip(monkeypatch)
    return vlm_folder(tmp_path / "data")


def learn(data: Path, out: Path, cache: Path, model: EmbeddedVLM | None = None, **changed: Any) -> dict[str, Any]:
    model = model or tiny_vlm().eval()
    pairs = {"batch": 2, "sizes": ((32, 48, 1.0),), "steps": (1, 2), "layers": model.config.layers}
    settings = {"pairs": pairs, "eye": STEPS | {"guided": 0} | changed}
    models: dict[str, Any] = {"model": model, "purifier": tiny_purifier()}
    return learn_eye(data, None, out, settings=settings, batches=3, cache=cache, **models)


def sight_left(model: EmbeddedVLM, speaker: EmbeddedVLM, cache: Path) -> float:
    """How far what the speaker sees of purified pictures is from what the model sees of the clean ones."""
    shifts = []
    for pairs in (load_pairs(file) for file in pair_files(cache / "eye-pairs")):
        purified = quantise_at(tiny_purifier().without_perturbation(pairs.moved[-1].float() / 255), 10, 32)
        shifts.append(speaker.see(purified) - model.see(pairs.clean.float() / 255))
    return float(torch.cat(shifts).square().mean())


def test_it_learns_to_see_what_was_seen_before(data: Path, tmp_path: Path) -> None:
    out, cache, model = tmp_path / "out", tmp_path / "cache", tiny_vlm().eval()
    before = {name: value.clone() for name, value in [*model.state_dict().items(), *model.tower.state_dict().items()]}
    facts = learn(data, out, cache, model, steps=60, check=20)
    rows = [json.loads(line) for line in (cache / "out/train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert rows[-1]["shift left"] < 0.9 * rows[0]["shift left"]
    now = dict([*model.state_dict().items(), *model.tower.state_dict().items()])
    assert all(torch.equal(now[name], value) for name, value in before.items())
    assert facts["attacked pictures"] == 4
    left = [sight_left(model, Eye.from_pretrained(out).applied_to(model), cache), sight_left(model, model, cache)]
    assert left[0] < 0.9 * left[1]
    for kind in ("attacked", "never attacked"):
        assert facts[kind]["questions"] == 2
    eye = Eye.from_pretrained(out)
    assert eye.facts == facts
    assert len([n for n in eye.tensors if n.endswith(UP)]) == 3 * model.tower.layers
    assert any(n.endswith("ln_1.weight") for n in eye.tensors)
    card = (out / "README.md").read_text()
    assert "from 4 attacked pictures of the\ntraining splits" in card
    assert f"| {facts['attacked']['surprise before']:.3f} | {facts['attacked']['surprise after']:.3f} |" in card


def test_it_learns_from_pictures_that_it_guided(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, eyes = tiny_vlm().eval(), []

    def towards_twin(walked: Tensor, eye: Tower) -> tuple[Tensor, Tensor]:
        eyes.append([p.detach().clone() for p in eye.parameters() if p.requires_grad])
        return walked, walked

    monkeypatch.setattr(seeing, "towards_twin", towards_twin)
    learn(data, tmp_path / "out", tmp_path / "cache", model, guided=1, chance=0.0)
    assert len(eyes) == 6
    assert any(not torch.equal(a, b) for a, b in zip(eyes[0], eyes[-1], strict=True))


def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(save: Callable[..., None]) -> Callable[..., None]:
        def then_stop(*given: Any) -> None:
            save(*given)
            raise KeyboardInterrupt

        return then_stop

    cache = tmp_path / "cache"
    learn(data, tmp_path / "one", cache)
    with monkeypatch.context() as patched:
        patched.setattr(running, "save_checkpoint", stopping(running.save_checkpoint))
        with pytest.raises(KeyboardInterrupt):
            learn(data, tmp_path / "two", cache)
    learn(data, tmp_path / "two", cache)
    assert [json.loads(r)["step"] for r in (cache / "two/train.jsonl").read_text().splitlines()] == [3, 6]
    one, two = (Eye.from_pretrained(tmp_path / name).tensors for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_untrained_it_changes_nothing(data: Path, tmp_path: Path) -> None:
    learn(data, tmp_path / "out", tmp_path / "cache", steps=0)
    eye, model = Eye.from_pretrained(tmp_path / "out"), tiny_vlm().eval()
    assert all(not value.any() for name, value in eye.tensors.items() if name.endswith(UP))
    assert all(value.any() for name, value in eye.tensors.items() if name.endswith(DOWN))
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(eye.applied_to(model).see(pixels), model.see(pixels), atol=0.02)  # half precision


def test_the_divergence_is_that_of_the_first_words(data: Path) -> None:
    """Against the sum over the vocabulary, written out."""
    model = tiny_vlm().eval()
    seen, wanted = (torch.randn(1, 5, model.width, generator=torch.Generator().manual_seed(n)) for n in (1, 2))
    rng = seeing.random.Random(0)
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
    monkeypatch.setattr(seeing, "MOVED", 0.0)
    apart = []
    for question in QUESTIONS:
        p, q = (model.logits(x[:1], [question], [""])[0][0, -1].softmax(-1) for x in (clean, moved))
        apart.append(float((p * (p / q).log()).sum()))
    most = QUESTIONS[apart.index(max(apart))]
    assert most_moved(model, clean, moved, [QUESTIONS, []]) == [[most], []]
    monkeypatch.setattr(seeing, "MOVED", 100.0)
    assert most_moved(model, clean, moved, [QUESTIONS, []]) == [QUESTIONS, []]


def test_too_few_pairs_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="More than 3 batches of pairs"):
        learn(data, tmp_path / "out", tmp_path / "cache", held=3)
    assert not (tmp_path / "cache").exists()


def test_questions_are_of_training_pictures_and_no_request_for_a_caption(data: Path) -> None:
    pool = question_pool(data)
    assert "how many chairs are" in " ".join(pool)
    assert CAPTION_PROMPT not in pool
    rows = (data / "daquar.jsonl").read_text().replace("How many chairs", "Where", 1)  # of the first, which is of train
    (data / "daquar.jsonl").write_text(rows.replace('"train"', '"test"'))
    assert not any("chairs" in question or question.startswith("where are") for question in question_pool(data))
