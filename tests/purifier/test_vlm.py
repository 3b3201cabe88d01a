"""The embedded model's interface, on a small random one."""

import copy
import math
from pathlib import Path

import pytest
import torch

from causalclip.clip.weights import WeightsMissing
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM, normalise_question
from purifier.vlm.model import AnswerTrie
from purifier.vlm.vocabulary import Vocabulary, train_tokenizer
from tests.makers.models import tiny_vlm

QUESTION = "what animal is in the picture"


@pytest.fixture(scope="module")
def model() -> EmbeddedVLM:
    return tiny_vlm()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.rand(3, 3, 40, 56, generator=torch.Generator().manual_seed(0))


def test_answers_do_not_depend_on_their_neighbours_in_the_batch(model: EmbeddedVLM, pixels: torch.Tensor) -> None:
    questions = [QUESTION, "is there a dog", "how many dogs are there in the picture"]
    together = model.answer(pixels, questions)
    for i, question in enumerate(questions):
        alone = model.answer(pixels[i : i + 1], question)[0]
        assert alone.text == together[i].text
        assert alone.confidence == pytest.approx(together[i].confidence, abs=1e-4)


def test_an_answer_is_the_likeliest_known_one_and_its_confidence_the_fitted_one(pixels: torch.Tensor) -> None:
    model = tiny_vlm().with_config(slope=0.5, offset=4.0, answer_beams=6)
    answer = model.answer(pixels[:1], QUESTION)[0]
    scores = {a: model.log_likelihood(pixels[:1], [QUESTION], [a]).item() for a in model.answers}
    assert answer.text == max(scores, key=lambda a: scores[a])
    assert answer.confidence == pytest.approx(1 / (1 + math.exp(-(0.5 * scores[answer.text] + 4))), abs=1e-4)
    assert answer.sure == (answer.confidence >= model.config.threshold)


def test_the_gradient_of_the_likelihood_is_right(model: EmbeddedVLM, pixels: torch.Tensor) -> None:
    x = pixels[:1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.log_likelihood(x, [QUESTION], ["dog"]).sum(), x)
    assert gradient.shape == pixels[:1].shape
    direction = gradient / gradient.norm()
    with torch.no_grad():
        ahead, behind = (
            model.log_likelihood((pixels[:1] + s * 0.02 * direction), [QUESTION], ["dog"]).item() for s in (1, -1)
        )
    assert (ahead - behind) / 0.04 == pytest.approx(gradient.norm().item(), rel=0.1)


def test_by_another_tower_it_sees_something_else(model: EmbeddedVLM, pixels: torch.Tensor) -> None:
    seen, other = model.see(pixels), copy.deepcopy(model.tower)
    for block in other.blocks:
        torch.nn.init.normal_(block.mlp.c_fc.weight, generator=torch.Generator().manual_seed(0))
    led = model.with_tower(other)
    assert not torch.allclose(led.see(pixels), seen, atol=0.01)
    assert torch.equal(model.see(pixels), seen)
    given = ([QUESTION] * 3, ["yes"] * 3)
    assert (led.log_likelihood(pixels, *given) - model.log_likelihood(pixels, *given)).abs().min() > 1e-4
    assert led.answer_seen(led.see(pixels), [QUESTION] * 3) == led.answer(pixels, QUESTION)
    assert [*led.parameters()] == [*model.parameters()]


def test_the_likelihood_of_a_batch_is_that_of_its_members(model: EmbeddedVLM, pixels: torch.Tensor) -> None:
    prompts, answers = [CAPTION_PROMPT, QUESTION, "is there a dog"], ["a dog runs", "red, white", "yes"]
    both = model.log_likelihood(pixels, prompts, answers)
    for i in range(3):
        alone = model.log_likelihood(pixels[i : i + 1], prompts[i : i + 1], answers[i : i + 1])
        assert both[i].item() == pytest.approx(alone.item(), abs=1e-3)
    assert (both < 0).all()


def test_a_question_reads_the_same_however_it_is_typed(model: EmbeddedVLM, pixels: torch.Tensor) -> None:
    typed = model.log_likelihood(pixels[:1], [" What ANIMAL is in the picture?"], ["dog"])
    assert typed.item() == model.log_likelihood(pixels[:1], [QUESTION], ["dog"]).item()
    assert normalise_question("  How many Dogs are there ? ") == "how many dogs are there"


def test_bad_input_is_refused(model: EmbeddedVLM, pixels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="Pixels must be"):
        model.caption((pixels * 255).byte())
    with pytest.raises(ValueError, match="question is empty"):
        model.answer(pixels, " ? ")
    with pytest.raises(ValueError, match="3 pictures but 2 texts"):
        model.answer(pixels, ["is there a cat", "is there a dog"])


def test_saving_and_loading_keeps_the_model(model: EmbeddedVLM, pixels: torch.Tensor, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    assert {f.suffix for f in tmp_path.iterdir()} == {".json", ".safetensors"}
    again = EmbeddedVLM.from_pretrained(tmp_path, tower=model.tower)
    assert again.config == model.config
    assert again.answers == model.answers
    assert not any(p.requires_grad for p in again.parameters())
    args = (pixels, [QUESTION] * 3, ["cat"] * 3)
    assert again.log_likelihood(*args).tolist() == pytest.approx(model.log_likelihood(*args).tolist(), abs=0.05)


def test_missing_weights_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="no weights"):
        EmbeddedVLM.from_pretrained(tmp_path)


def test_weights_of_another_model_are_refused(model: EmbeddedVLM, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"num_hidden_layers": 1', '"num_hidden_layers": 2'))
    with pytest.raises(ValueError, match="do not fit"):
        EmbeddedVLM.from_pretrained(tmp_path, tower=model.tower)


def test_the_tokenizer_reads_back_what_it_wrote() -> None:
    words = Vocabulary(train_tokenizer(["a dog runs", "a t-shirt", "black, gray"], size=200))
    for text in ("a dog runs", "black, gray", "t-shirt", "zebra"):
        assert words.decode(words.answer(text)) == text


def test_the_trie_allows_known_answers_alone() -> None:
    trie = AnswerTrie([[5, 6, 1], [5, 7, 1], [8, 1]], stop=1)
    assert sorted(trie.allowed([])) == [5, 8]
    assert sorted(trie.allowed([5])) == [6, 7]
    assert trie.allowed([5, 6]) == [1] == trie.allowed([9])
