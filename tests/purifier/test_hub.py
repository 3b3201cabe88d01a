"""Hub models behind the common interface, on tiny random ones that the tests build and load by their folder."""

from pathlib import Path

import pytest
import torch

from causalclip.clip.weights import WeightsMissing
from purifier.attacks import Attack, run_attack
from purifier.attacks.objectives import change_answer
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM, VisionLanguageModel
from purifier.vlm.hub import (
    ANSWER_STYLE,
    BlipCaptioner,
    BlipVQA,
    ChatVLM,
    HubVLM,
    NotThisKind,
    each,
    load_vlm,
    to_pictures,
)
from tests.makers.models import hub_folders, tiny_vlm

QUESTION = "how many dogs are there"


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return hub_folders(tmp_path_factory.mktemp("hub"))


def test_each_kind_loads_as_its_class(folders: dict[str, str]) -> None:
    for name, kind in (("vqa", BlipVQA), ("caption", BlipCaptioner), ("chat", ChatVLM)):
        model = load_vlm(folders[name])
        assert isinstance(model, kind)
        assert isinstance(model, VisionLanguageModel)


@pytest.mark.parametrize("name", ["vqa", "chat"])
def test_answers_are_deterministic_and_have_a_probability(
    name: str, folders: dict[str, str], pixels: torch.Tensor
) -> None:
    model = load_vlm(folders[name])
    answers = model.answer(pixels, ["how many dogs are there", "what is in the picture"])
    assert len(answers) == 2
    assert all(0 < a.confidence <= 1 and a.sure == (a.confidence >= 0.5) for a in answers)
    assert model.answer(pixels, ["how many dogs are there", "what is in the picture"]) == answers


def test_a_prefix_reaches_the_chat_model(folders: dict[str, str], pixels: torch.Tensor) -> None:
    plain, led = (load_vlm(folders["chat"], prefix=prefix) for prefix in ("", "dogs dogs dogs"))
    assert plain.answer(pixels[:1], "what is in the picture") != led.answer(pixels[:1], "what is in the picture")


def test_a_captioner_says_that_it_takes_no_questions(folders: dict[str, str], pixels: torch.Tensor) -> None:
    with pytest.raises(NotThisKind, match="only captions"):
        load_vlm(folders["caption"]).answer(pixels, "how many dogs are there")


def test_out_of_reach_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="embedded"):
        load_vlm(str(tmp_path / "nothing"))


def test_a_language_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(NotThisKind, match="gpt2"):
        load_vlm(str(tmp_path))


@pytest.mark.parametrize("name", ["vqa", "caption", "chat"])
def test_the_likelihoods_of_different_texts_are_parts_of_one(
    name: str, folders: dict[str, str], pixels: torch.Tensor
) -> None:
    vlm = load_vlm(folders[name])
    assert isinstance(vlm, HubVLM)
    prompt = CAPTION_PROMPT if name == "caption" else QUESTION
    texts = ["dogs", "picture", "many", "a", "dogs dogs"]
    chances = vlm.log_likelihood(pixels[:1].expand(5, -1, -1, -1), [prompt] * 5, texts).exp()
    assert (chances > 0).all()
    assert chances[:4].sum() < 1
    assert len(set(chances.tolist())) == 5


def test_a_chat_s_likelihood_is_that_of_its_tokens_one_by_one(folders: dict[str, str], pixels: torch.Tensor) -> None:
    vlm = load_vlm(folders["chat"])
    assert isinstance(vlm, ChatVLM)
    content = [
        {"type": "image", "image": to_pictures(pixels)[0]},
        {"type": "text", "text": f"{QUESTION} {ANSWER_STYLE}"},
    ]
    options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    inputs = vlm.processor.apply_chat_template([{"role": "user", "content": content}], **options)
    tokenizer, total = vlm.processor.tokenizer, 0.0
    for word in ("dogs", "are", "<end_of_utterance>"):
        token = tokenizer.convert_tokens_to_ids(word)
        with torch.no_grad():
            total += float(vlm.model(**inputs).logits[0, -1].log_softmax(-1)[token])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([[token]])], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    said = float(vlm.log_likelihood(pixels[:1], [QUESTION], ["dogs are"]))
    assert said == pytest.approx(total, abs=0.1)  # in bfloat16 on some processors


@pytest.mark.parametrize("name", ["vqa", "caption", "chat"])
def test_an_attack_follows_the_model_s_own_gradient(name: str, folders: dict[str, str], pixels: torch.Tensor) -> None:
    vlm = load_vlm(folders[name])
    assert vlm.differentiable
    clean = (pixels[:1] * 255).round() / 255
    objective = change_answer(vlm, [CAPTION_PROMPT if name == "caption" else QUESTION], ["dogs"])
    moved = run_attack(Attack(eps=16, steps=6), clean, objective)
    with torch.no_grad():
        assert objective(moved) > objective(clean)


def test_a_picture_may_be_seen_whole_alone(folders: dict[str, str], pixels: torch.Tensor) -> None:
    vlm, captioner = load_vlm(folders["chat"]), load_vlm(folders["caption"])
    assert isinstance(vlm, ChatVLM)
    assert isinstance(captioner, BlipCaptioner)
    processor = vlm.processor.image_processor
    processor.do_image_splitting, processor.size = True, {"longest_edge": 64}
    tiles = [processor(images=to_pictures(pixels[:1]), return_tensors="pt")["pixel_values"].shape[1]]
    assert vlm.see_whole() is vlm
    tiles.append(processor(images=to_pictures(pixels[:1]), return_tensors="pt")["pixel_values"].shape[1])
    assert tiles == [5, 1]
    assert captioner.see_whole() is captioner


def test_what_is_seen_answers_like_the_picture(folders: dict[str, str], pixels: torch.Tensor) -> None:
    for vlm in (load_vlm(folders["chat"]), tiny_vlm()):
        assert isinstance(vlm, HubVLM | EmbeddedVLM)
        seen = vlm.see(pixels)
        assert vlm.caption_seen(seen) == vlm.caption(pixels)
        assert vlm.answer_seen(seen, [QUESTION] * 2) == vlm.answer(pixels, QUESTION)
        both = [f(x, [QUESTION] * 2, ["dogs", "are"]) for f, x in ((vlm.score, seen), (vlm.log_likelihood, pixels))]
        assert torch.equal(*both)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="float"):
        to_pictures(torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match="one for each"):
        each(["a", "b"], 3)
    with pytest.raises(ValueError, match="empty"):
        each(" ", 1)
