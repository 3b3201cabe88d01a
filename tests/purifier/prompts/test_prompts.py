"""Soft prefixes and searched texts, on small random models and pictures made here."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from causalclip.clip.weights import WeightsMissing
from purifier.prompts.fitting import Lesson, PromptConfig, agreement, surprise, train_soft_prompt
from purifier.prompts.optimise import optimise_prompt
from purifier.prompts.search import measure_text_prefix, search_text_prefix
from purifier.prompts.soft import SoftPrompt
from purifier.vlm import Answer, Caption, EmbeddedVLM, VisionLanguageModel
from purifier.vlm.hosted import HubVLM
from tests.makers.folders import vlm_folder
from tests.makers.models import tiny_vlm

QUESTION = "what animal is in the picture"
CONFIG = PromptConfig(tokens=4, steps=25, batch=8, lr=0.1, pictures=2, held=1, attack_steps=2, eps=(8.0,))


@pytest.fixture(scope="module")
def model() -> EmbeddedVLM:
    return tiny_vlm()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def lesson(model: EmbeddedVLM, pixels: torch.Tensor) -> Lesson:
    clean = model.see(pixels)
    texts = tuple(a.text for a in model.answer_seen(clean, [QUESTION] * 8))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    return Lesson(clean + clean.std() * noise, (QUESTION,) * 8, texts)


def test_a_trained_prefix_brings_answers_back_and_leaves_the_model_alone(model: EmbeddedVLM, lesson: Lesson) -> None:
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    prefix = train_soft_prompt(model, lesson, CONFIG)
    args = (list(lesson.prompts), list(lesson.texts))
    assert model.score(lesson.visual, *args, prefix=prefix).sum() > model.score(lesson.visual, *args).sum()
    assert agreement(model, lesson, prefix=prefix) >= agreement(model, lesson, prefix=None)
    assert surprise(model, lesson, prefix=prefix) < surprise(model, lesson, prefix=None)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_the_same_seed_gives_the_same_prefix(model: EmbeddedVLM, lesson: Lesson) -> None:
    short = PromptConfig(tokens=2, steps=3, batch=4)
    assert torch.equal(train_soft_prompt(model, lesson, short), train_soft_prompt(model, lesson, short))


def test_a_lesson_whose_parts_do_not_match_is_refused(lesson: Lesson) -> None:
    with pytest.raises(ValueError, match="as many"):
        Lesson(lesson.visual, lesson.prompts, lesson.texts[:-1])


def test_a_prompted_model_is_the_model_behind_its_prefix(model: EmbeddedVLM, pixels: torch.Tensor) -> None:
    prefix = torch.randn(3, model.width, generator=torch.Generator().manual_seed(2)) * 5
    prompted = SoftPrompt(prefix).applied_to(model)
    assert isinstance(prompted, VisionLanguageModel)
    assert prompted.answer(pixels, QUESTION) == model.answer(pixels, QUESTION, prefix=prefix)
    assert prompted.caption(pixels[:1]) == model.caption(pixels[:1], prefix=prefix)
    assert prompted.answer_seen(model.see(pixels), [QUESTION] * 8) == prompted.answer(pixels, QUESTION)
    assert prompted.caption_seen(model.see(pixels[:1])) == prompted.caption(pixels[:1])
    plain = model.log_likelihood(pixels[:1], [QUESTION], ["dog"])
    led = prompted.log_likelihood(pixels[:1].requires_grad_(), [QUESTION], ["dog"])
    assert led.item() != pytest.approx(plain.item(), abs=1e-3)
    assert led.requires_grad
    assert prompted.score(model.see(pixels[:1]), [QUESTION], ["dog"]).item() == pytest.approx(led.item(), abs=1e-4)


def test_a_prefix_is_saved_and_loaded(model: EmbeddedVLM, tmp_path: Path) -> None:
    SoftPrompt(torch.ones(2, model.width), {"after": 0.5}).save_pretrained(tmp_path)
    again = SoftPrompt.from_pretrained(tmp_path)
    assert torch.equal(again.prefix, torch.ones(2, model.width))
    assert again.facts == {"after": 0.5}
    assert not again.prefix.requires_grad


def test_a_prefix_of_another_model_is_refused(model: EmbeddedVLM) -> None:
    with pytest.raises(ValueError, match="width 7"):
        SoftPrompt(torch.ones(2, 7)).applied_to(model)


def test_a_missing_prefix_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="optimise-prompt"):
        SoftPrompt.from_pretrained(tmp_path)


def test_optimising_writes_a_prefix_with_its_card(model: EmbeddedVLM, tmp_path: Path) -> None:
    purified = []

    def purify(pixels: torch.Tensor) -> torch.Tensor:
        purified.append(len(pixels))
        return pixels if len(purified) == 1 else pixels.flip(-1)

    data = vlm_folder(tmp_path / "data")
    facts = optimise_prompt(data, tmp_path / "out", config=CONFIG, model=model, purify=purify)
    assert SoftPrompt.from_pretrained(tmp_path / "out").facts["after"] == facts["after"]
    assert facts["held pictures"] == 1
    assert len(purified) == 3
    assert facts["pictures"] == 1  # one of the three was taken for clean
    card = (tmp_path / "out" / "README.md").read_text()
    assert "attacked and purified pictures" in card
    assert f"| {facts['before']:.3f} | {facts['after']:.3f} |" in card


class Misled(HubVLM):
    """Says what it sees (bright or dark), but always "bright" of a picture with a red corner, unless told to look."""

    def __init__(self, model: object = None, processor: object = None, *, prefix: str = "") -> None:
        self.model, self.processor, self.prefix = model, processor, prefix

    def caption(self, pixels: torch.Tensor) -> list[Caption]:
        return [Caption(answer.text, answer.confidence) for answer in self.answer(pixels, "")]

    def _likelihood(self, pixels: torch.Tensor, prompt: str, text: str) -> torch.Tensor:
        said = self.answer(pixels, prompt)[0]
        return torch.tensor([said.confidence if said.text == text else 1 - said.confidence]).log()

    def answer(self, pixels: torch.Tensor, question: str | Sequence[str]) -> list[Answer]:
        fooled = pixels[:, 0, 0, 0] > pixels[:, 1, 0, 0]
        if "whole" in self.prefix:
            fooled = torch.zeros_like(fooled)
        bright = (pixels.mean((1, 2, 3)) > 0.5) | fooled
        return [Answer("bright" if b else "dark", 0.9, True) for b in bright.tolist()]


@pytest.fixture
def spoilt() -> tuple[torch.Tensor, torch.Tensor]:
    clean = torch.rand(6, 1, 1, 1, generator=torch.Generator().manual_seed(3)).expand(6, 3, 8, 8).contiguous() * 0.4
    moved = clean.clone()
    moved[:, 0, 0, 0] += 0.1
    return clean, moved


def test_the_search_finds_the_words_that_help(spoilt: tuple[torch.Tensor, torch.Tensor]) -> None:
    found = search_text_prefix(Misled(), *spoilt, ["what"] * 6)
    assert found.text == "Look at the whole picture."
    assert (found.before, found.moved, found.clean) == (0.0, 1.0, 1.0)
    assert found.tried == 1 + 12 + 11
    assert measure_text_prefix(Misled(), *spoilt, ["what"] * 6, "Answer carefully.").moved == 0.0


def test_where_no_words_help_none_are_used(spoilt: tuple[torch.Tensor, torch.Tensor]) -> None:
    found = search_text_prefix(Misled(), *spoilt, ["what"] * 6, pool=["Answer carefully."])
    assert (found.text, found.tried) == ("", 2)


def test_optimising_a_hub_model_writes_the_text(
    model: EmbeddedVLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", lambda: model)
    facts = optimise_prompt(vlm_folder(tmp_path / "data"), tmp_path / "out", config=CONFIG, model=Misled())
    assert facts["held pictures"] == 1
    assert facts["tried"] >= 2
    assert f'"text": "{facts["text"]}"' in (tmp_path / "out" / "config.json").read_text()


def test_optimising_without_data_says_what_is_needed(model: EmbeddedVLM, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="flickr8k"):
        optimise_prompt(tmp_path, tmp_path / "out", config=CONFIG, model=model)
