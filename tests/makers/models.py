"""Small random vision-language models for tests: an embedded one, and folders of the hub's kinds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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

from purifier.vlm import EmbeddedVLM, VLMConfig
from purifier.vlm.vocabulary import Vocabulary, train_tokenizer
from tests.makers.towers import tiny_tower

ANSWERS = ("yes", "no", "dog", "cat", "2", "red, white")
BLOCKS = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
LANGUAGE = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "bos_token_id": None,
}
WORDS = (
    *("what", "is", "in", "the", "picture", "how", "many", "dogs", "are", "there", "describe", "this", "one", "short"),
    *("sentence", "answer", "to", "three", "words", "a"),
)
CHAT = (
    "{% for m in messages %}{{ m['role'] }} {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<end_of_utterance>{% endfor %}"
    "{% if add_generation_prompt %} assistant {% endif %}"
)


def tiny_vlm(*, answers: Sequence[str] = ANSWERS, seed: int = 0, scale: float = 20.0) -> EmbeddedVLM:
    """Random weights on the tiny tower (32 px), frozen, in evaluation mode.

    Args:
        scale: of the connector's weights and the logits, so that another picture gets another answer.
    """
    texts = [*answers, "is there a dog", "what animal is in the picture", "how many dogs are there", "a dog runs"]
    vocabulary = Vocabulary(train_tokenizer(texts, size=200))
    words = {"vocab_size": len(vocabulary), "pad_token_id": vocabulary.pad, "eos_token_id": vocabulary.stop}
    torch.manual_seed(seed)
    model = EmbeddedVLM(VLMConfig(LANGUAGE | words, layers=(2, 3)), vocabulary, tiny_tower(), answers=answers)
    return _enlarged(model, scale).requires_grad_(False)


def _enlarged(model: torch.nn.Module, scale: float) -> Any:
    """So that another picture gets another answer."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale**0.5)
    return model.eval()


def hub_folders(root: Path) -> dict[str, str]:
    """Folders that `load_vlm` loads: "vqa" and "caption" are BLIP, "chat" is SmolVLM."""
    torch.manual_seed(0)
    return {
        "vqa": _blip(root / "tiny-vqa", BlipForQuestionAnswering),
        "caption": _blip(root / "tiny-captioner", BlipForConditionalGeneration),
        "chat": _smol(root / "tiny-chat"),
    }


def _blip(folder: Path, kind: type) -> str:
    vocabulary = {t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", *WORDS])}
    text = BLOCKS | {
        "vocab_size": len(vocabulary),
        "encoder_hidden_size": 16,
        "projection_dim": 16,
        "max_position_embeddings": 64,
        "bos_token_id": 5,
        "eos_token_id": 3,
        "sep_token_id": 3,
        "pad_token_id": 0,
    }
    vision = BLOCKS | {"image_size": 32, "patch_size": 16, "projection_dim": 16, "initializer_range": 0.02}
    _enlarged(kind(BlipConfig(text_config=text, vision_config=vision, projection_dim=16)), 40).save_pretrained(folder)
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
        vision_config=BLOCKS | {"image_size": 32, "patch_size": 8},
        text_config=BLOCKS
        | {"model_type": "llama", "num_key_value_heads": 2, "vocab_size": len(vocabulary)}
        | {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 5},
    )
    _enlarged(SmolVLMForConditionalGeneration(config), 40).save_pretrained(folder)
    size = {"size": {"longest_edge": 32}, "max_image_size": {"longest_edge": 32}, "do_image_splitting": False}
    SmolVLMProcessor(
        SmolVLMImageProcessor(**size), tokenizer, SmolVLMVideoProcessor(), image_seq_len=4, chat_template=CHAT
    ).save_pretrained(folder)
    return str(folder)
