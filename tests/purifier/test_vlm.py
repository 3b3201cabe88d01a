"""The vision-language models: the embedded one, its LoRA encoder, models of the hub, and the search
of a prompt."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from causalclip.paths import WeightsMissing
from purifier.attacks import Attack, run_attack
from purifier.attacks.objectives import change_answer
from purifier.models import Models
from purifier.vlm.hub import HubVLM, NotThisKind, load_vlm, read_prompt
from purifier.vlm.interface import CAPTION_PROMPT, OTHER, Answer, Caption
from purifier.vlm.lora import DOWN, UP, LoraEncoder
from purifier.vlm.model import EmbeddedVLM
from tests.makers.models import hub_folders, tiny_lora, tiny_vlm, vlm_folder
from training.purifier.prompts import SearchConfig, optimise_prompt

QUESTION = "what animal is in the picture"


@pytest.fixture(scope="module")
def model() -> EmbeddedVLM:
    return tiny_vlm()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.rand(3, 3, 40, 56, generator=torch.Generator().manual_seed(0))


def test_answers_do_not_depend_on_their_neighbours_in_the_batch(
    model: EmbeddedVLM, pixels: torch.Tensor
) -> None:
    questions = [QUESTION, "is there a dog", "how many dogs are there in the picture"]
    together = model.answer(pixels, questions)
    for i, question in enumerate(questions):
        alone = model.answer(pixels[i : i + 1], question)[0]
        assert alone.text == together[i].text
        assert alone.confidence == pytest.approx(together[i].confidence, abs=1e-4)


def test_an_answer_is_the_likeliest_known_one_and_its_confidence_the_fitted_one(
    pixels: torch.Tensor,
) -> None:
    model = tiny_vlm()
    model.config = replace(model.config, slope=0.5, offset=4.0, answer_beams=6)
    answer = model.answer(pixels[:1], QUESTION)[0]
    scores = {a: model.log_likelihood(pixels[:1], [QUESTION], [a]).item() for a in model.answers}
    assert answer.text == max(scores, key=lambda a: scores[a])
    assert answer.confidence == pytest.approx(
        1 / (1 + math.exp(-(0.5 * scores[answer.text] + 4))), abs=1e-4
    )
    assert answer.sure == (answer.confidence >= model.config.threshold)


def test_the_gradient_of_the_likelihood_is_right(model: EmbeddedVLM, pixels: torch.Tensor) -> None:
    x = pixels[:1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.log_likelihood(x, [QUESTION], ["dog"]).sum(), x)
    assert gradient.shape == pixels[:1].shape
    direction = gradient / gradient.norm()
    with torch.no_grad():
        ahead, behind = (
            model.log_likelihood((pixels[:1] + s * 0.02 * direction), [QUESTION], ["dog"]).item()
            for s in (1, -1)
        )
    assert (ahead - behind) / 0.04 == pytest.approx(gradient.norm().item(), rel=0.1)


def test_bad_input_is_refused(model: EmbeddedVLM, pixels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="Pixels must be"):
        model.caption((pixels * 255).byte())
    with pytest.raises(ValueError, match="question is empty"):
        model.answer(pixels, " ? ")
    with pytest.raises(ValueError, match="3 pictures but 2 texts"):
        model.answer(pixels, ["is there a cat", "is there a dog"])


def test_saving_and_loading_keeps_the_model(
    model: EmbeddedVLM, pixels: torch.Tensor, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    assert {f.suffix for f in tmp_path.iterdir()} == {".json", ".safetensors"}
    again = EmbeddedVLM.from_pretrained(tmp_path, tower=model.tower)
    assert again.config == model.config
    assert again.answers == model.answers
    assert not any(p.requires_grad for p in again.parameters())
    args = (pixels, [QUESTION] * 3, ["cat"] * 3)
    assert again.log_likelihood(*args).tolist() == pytest.approx(
        model.log_likelihood(*args).tolist(), abs=0.05
    )


def test_each_matrix_gets_the_product_and_the_model_keeps_its_own_tower(model: EmbeddedVLM) -> None:
    eye, before = tiny_lora(model.tower), {n: p.clone() for n, p in model.tower.named_parameters()}
    after = dict(eye.apply_to(model).tower.named_parameters())
    assert all(torch.equal(p, before[n]) for n, p in model.tower.named_parameters())
    changed = {name.removesuffix(UP) + ".weight" for name in eye.tensors if name.endswith(UP)}
    assert len(changed) == 3 * model.tower.layers
    for name, value in after.items():
        if name in changed:
            own = name.removesuffix(".weight")
            added = torch.einsum("or,ri->oi", eye.tensors[own + UP], eye.tensors[own + DOWN])
            assert torch.allclose(value.float(), before[name].float() + added, atol=0.02)
        else:
            assert torch.equal(value, eye.tensors.get(name, before[name]))
            assert (value is dict(model.tower.named_parameters())[name]) == (
                name not in eye.tensors
            )


def test_written_and_read_it_sees_the_same(model: EmbeddedVLM, tmp_path: Path) -> None:
    eye = tiny_lora(model.tower)
    LoraEncoder(eye.tensors, {"steps": 3}).save_pretrained(tmp_path)
    again = LoraEncoder.from_pretrained(tmp_path)
    assert again.facts == {"steps": 3}
    pixels = torch.rand(2, 3, 40, 32, generator=torch.Generator().manual_seed(0))
    seen, read = eye.apply_to(model).see(pixels), again.apply_to(model).see(pixels)
    assert torch.allclose(seen, read, atol=0.02 * float(seen.abs().max()))
    assert not torch.allclose(seen, model.see(pixels), atol=0.1 * float(seen.abs().max()))


def test_of_another_tower_or_missing_it_says_how_to_train_one(
    model: EmbeddedVLM, tmp_path: Path
) -> None:
    eye = tiny_lora(model.tower)
    wider = LoraEncoder(
        {name: torch.cat([value, value]) for name, value in eye.tensors.items()}, {}
    )
    unknown = LoraEncoder({f"other.{name}": value for name, value in eye.tensors.items()}, {})
    fewer = LoraEncoder(
        {name: value for name, value in eye.tensors.items() if ".0." not in name}, {}
    )
    for wrong in (wider, unknown, fewer):
        with pytest.raises(ValueError, match="train-encoder"):
            wrong.apply_to(model)
    with pytest.raises(WeightsMissing, match="train-encoder"):
        LoraEncoder.from_pretrained(tmp_path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return hub_folders(tmp_path_factory.mktemp("hub"))


@pytest.mark.parametrize("name", ["vqa", "chat", "blip-2", "blip-2-t5", "instructblip"])
def test_answers_are_deterministic_have_a_probability_and_do_not_depend_on_others(
    name: str, folders: dict[str, str], pixels: torch.Tensor
) -> None:
    model, questions = load_vlm(folders[name]), ["how many dogs are there", "what is this"]
    answers = model.answer(pixels[:2], questions)
    assert len(answers) == 2
    assert all(0 < a.confidence <= 1 and a.sure == (a.confidence >= 0.5) for a in answers)
    assert model.answer(pixels[1:2], questions[1]) + model.answer(pixels[:1], questions[0]) == [
        answers[1],
        answers[0],
    ]


@pytest.mark.parametrize("name", ["blip-2", "blip-2-t5", "instructblip"])
def test_blip_2_captions_and_its_likelihood_is_of_the_text_behind_the_prompt(
    name: str, folders: dict[str, str], pixels: torch.Tensor
) -> None:
    model = load_vlm(folders[name])
    assert all(0 < caption.confidence <= 1 for caption in model.caption(pixels[:2]))
    scores = [
        model.log_likelihood(pixels[:1], [QUESTION], [text]).item()
        for text in ("dogs", "dogs the", "dogs the a")
    ]
    assert all(math.isfinite(score) and score < 0 for score in scores)
    assert len(set(scores)) == 3
    led = load_vlm(folders[name], prefix="describe the picture")
    assert led.log_likelihood(pixels[:1], [QUESTION], ["dogs"]).item() != scores[0]


def test_a_captioner_s_prompt_counts_and_is_not_repeated(
    folders: dict[str, str], pixels: torch.Tensor
) -> None:
    plain = load_vlm(folders["caption"])
    led = load_vlm(folders["caption"], prefix="describe this picture")
    assert not led.caption(pixels[:1])[0].text.startswith("describe this picture")
    scores = [
        vlm.log_likelihood(pixels[:1], [CAPTION_PROMPT], ["dogs"]).item() for vlm in (plain, led)
    ]
    assert scores[0] != scores[1]


def test_a_captioner_says_that_it_takes_no_questions(
    folders: dict[str, str], pixels: torch.Tensor
) -> None:
    with pytest.raises(NotThisKind, match="only captions"):
        load_vlm(folders["caption"]).answer(pixels, "how many dogs are there")


def test_what_is_out_of_reach_or_a_language_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="embedded"):
        load_vlm(str(tmp_path / "nothing"))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(NotThisKind, match="gpt2"):
        load_vlm(str(tmp_path))


@pytest.mark.parametrize("name", ["vqa", "caption", "chat", "blip-2", "blip-2-t5", "instructblip"])
def test_an_attack_follows_the_model_s_own_gradient(
    name: str, folders: dict[str, str], pixels: torch.Tensor
) -> None:
    vlm = load_vlm(folders[name])
    assert vlm.differentiable
    clean = (pixels[:1] * 255).round() / 255
    objective = change_answer(vlm, [CAPTION_PROMPT if name == "caption" else QUESTION], ["dogs"])
    adversarial = run_attack(Attack(eps=16, steps=6), clean, objective)
    with torch.no_grad():
        assert objective(adversarial) > objective(clean)


CONFIG = SearchConfig(pictures=2, held=1, attack_steps=2, eps=(8.0,))


class Misled(HubVLM):
    """Says what it sees (bright or dark), but always "bright" of a picture with a red corner,
    unless told to look."""

    def __init__(self) -> None:
        self.prefix = ""

    def caption(self, pixels: torch.Tensor) -> list[Caption]:
        return [Caption(answer.text, answer.confidence) for answer in self.answer(pixels, "")]

    def _likelihood(self, pixels: torch.Tensor, prompt: str, text: str) -> torch.Tensor:
        answer = self.answer(pixels, prompt)[0]
        odds = answer.confidence if answer.text == text else 1 - answer.confidence
        return torch.tensor(odds).log()

    def answer(self, pixels: torch.Tensor, question: str | Sequence[str]) -> list[Answer]:
        fooled = pixels[:, 0, 0, 0] > pixels[:, 1, 0, 0]
        if "whole" in self.prefix:
            fooled = torch.zeros_like(fooled)
        bright = (pixels.mean((1, 2, 3)) > 0.5) | fooled
        return [Answer("bright" if b else "dark", 0.9, True) for b in bright.tolist()]


def test_optimising_writes_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", tiny_vlm)
    purified = []

    def purify(pixels: torch.Tensor) -> torch.Tensor:
        purified.append(len(pixels))
        return pixels if len(purified) == 1 else pixels.flip(-1)

    data, out = vlm_folder(tmp_path / "data"), tmp_path / "prompt.json"
    facts = optimise_prompt(data, out, Misled(), config=CONFIG, purify=purify)
    assert len(purified) == 3
    assert facts["held pictures"] == 1  # of two: one of the three was taken for clean
    assert facts["tried"] >= 2
    assert read_prompt(tmp_path / "prompt.json") == facts["text"]


def test_where_nothing_was_purified_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", tiny_vlm)
    data = vlm_folder(tmp_path / "data")
    with pytest.raises(ValueError, match="0 were purified"):
        optimise_prompt(
            data, tmp_path / "prompt.json", Misled(), config=CONFIG, purify=lambda pixels: pixels
        )
    with pytest.raises(ValueError, match=".json"):
        optimise_prompt(data, tmp_path / "prompt", Misled(), config=CONFIG)


def test_a_prompt_reaches_the_hub_s_model_alone(
    folders: dict[str, str], pixels: torch.Tensor, tmp_path: Path
) -> None:
    (tmp_path / "prompt.json").write_text('{"text": "describe the picture", "tried": 3}')
    led = Models(other=folders["chat"], prompt=str(tmp_path / "prompt.json")).vlm_of(OTHER)
    assert isinstance(led, HubVLM)
    assert led.prefix == "describe the picture"
    with pytest.raises(NotThisKind, match="embedded model takes none"):
        load_vlm(prefix="Look twice.")
    with pytest.raises(ValueError, match="no defence prompt"):
        read_prompt(tmp_path / "nothing.json")
