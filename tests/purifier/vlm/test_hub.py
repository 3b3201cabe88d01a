"""Hub models behind the common interface, on tiny random ones that the tests build and load by their folder."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertTokenizerFast,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForQuestionAnswering,
    BlipImageProcessor,
    BlipProcessor,
    PreTrainedTokenizerFast,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)

from causalclip.clip.weights import WeightsMissing
from purifier.vlm import VisionLanguageModel
from purifier.vlm.hub import BlipCaptioner, BlipVQA, ChatVLM, NotThisKind, each, load_vlm, to_pictures

WORDS = [
    "what",
    "is",
    "in",
    "the",
    "picture",
    "how",
    "many",
    "dogs",
    "are",
    "there",
    "describe",
    "this",
    "one",
    "short",
    "sentence",
    "answer",
    "to",
    "three",
    "words",
    "a",
]
CHAT = (
    "{% for m in messages %}{{ m['role'] }} {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<end_of_utterance>{% endfor %}"
    "{% if add_generation_prompt %} assistant {% endif %}"
)


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    return {
        "vqa": _blip(root / "vqa", BlipForQuestionAnswering),
        "caption": _blip(root / "c", BlipForConditionalGeneration),
        "chat": _smol(root / "chat"),
    }


def _blip(folder: Path, kind: type) -> str:
    vocabulary = {t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", *WORDS])}
    text = {
        "vocab_size": len(vocabulary),
        "hidden_size": 16,
        "encoder_hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "projection_dim": 16,
        "max_position_embeddings": 64,
        "bos_token_id": 5,
        "eos_token_id": 3,
        "sep_token_id": 3,
        "pad_token_id": 0,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
        "projection_dim": 16,
    }
    kind(BlipConfig(text_config=text, vision_config=vision, projection_dim=16)).eval().save_pretrained(folder)
    tokenizer = BertTokenizerFast(vocab=vocabulary)
    BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    return str(folder)


def _smol(folder: Path) -> str:
    special = ["<pad>", "<unk>", "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    vocabulary = {t: i for i, t in enumerate([*special, "user", "assistant", *WORDS, "."])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end_of_utterance>",
        additional_special_tokens=special[2:],
    )
    config = SmolVLMConfig(
        image_token_id=2,
        scale_factor=2,
        pad_token_id=0,
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        text_config={
            "model_type": "llama",
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "vocab_size": len(vocabulary),
            "pad_token_id": 0,
            "bos_token_id": 0,
            "eos_token_id": 5,
        },
    )
    SmolVLMForConditionalGeneration(config).eval().save_pretrained(folder)
    size = {"size": {"longest_edge": 32}, "max_image_size": {"longest_edge": 32}, "do_image_splitting": False}
    SmolVLMProcessor(
        SmolVLMImageProcessor(**size), tokenizer, SmolVLMVideoProcessor(), image_seq_len=4, chat_template=CHAT
    ).save_pretrained(folder)
    return str(folder)


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


@pytest.mark.parametrize("name", ["vqa", "caption", "chat"])
def test_captions_come_one_a_picture(name: str, folders: dict[str, str], pixels: torch.Tensor) -> None:
    captions = load_vlm(folders[name]).caption(pixels)
    assert len(captions) == 2
    assert all(isinstance(c.text, str) and 0 < c.confidence <= 1 for c in captions)


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


def test_pictures_are_rounded_to_eight_bits() -> None:
    picture = to_pictures(torch.full((1, 3, 2, 3), 0.5))[0]
    assert picture.size == (3, 2)
    assert picture.getpixel((0, 0)) == (128, 128, 128)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="float"):
        to_pictures(torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match="one for each"):
        each(["a", "b"], 3)
    with pytest.raises(ValueError, match="empty"):
        each(" ", 1)
