"""An embedded vision-language model before its training: new, or started from a text encoder."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.vlm.model import EmbeddedVLM, VLMConfig
from purifier.vlm.vocabulary import Vocabulary
from training.vlm.config import VLMTrainConfig
from training.vlm.data import CAPTION, Picture, class_frequency, train_texts
from training.vlm.tokenizer import prune_tokenizer, train_tokenizer


def build_model(
    pictures: Sequence[Picture], tower: Tower, config: VLMTrainConfig, *, warm_start: Path | None
) -> EmbeddedVLM:
    """Make an untrained model, whose vocabulary and known answers are those of the training
    texts."""
    # 1. The words, and a language model: a new one, or the encoder that training starts from
    texts, answers = _words(pictures, config)
    if warm_start is None:
        ids: list[int] = []
        vocabulary = Vocabulary(train_tokenizer(texts))
        language: dict[str, Any] = {
            "model_type": "llama",
            "hidden_size": 320,
            "intermediate_size": 1024,
            "num_attention_heads": 5,
            "max_position_embeddings": 512,
            "tie_word_embeddings": True,
        }
    else:
        tokenizer, ids = prune_tokenizer(
            Tokenizer.from_file(str(warm_start / "tokenizer.json")), texts
        )
        vocabulary = Vocabulary(tokenizer)
        theirs = json.loads((warm_start / "config.json").read_text())
        names = ("hidden_size", "intermediate_size", "num_attention_heads", "hidden_act")
        language = {
            "model_type": "bert",
            "is_decoder": True,
            **{name: theirs[name] for name in names},
            "hidden_dropout_prob": config.dropout,
            # none on attention weights: with it PyTorch leaves its fused attention, at twice the
            # cost here
            "attention_probs_dropout_prob": 0.0,
        }
    language |= {
        "vocab_size": len(vocabulary),
        "pad_token_id": vocabulary.pad,
        "eos_token_id": vocabulary.stop,
        "bos_token_id": None,
        "num_hidden_layers": config.layers,
        **config.language,
    }

    # 2. The model
    settings = VLMConfig(language=language, layers=config.vision, dropout=config.feature_dropout)
    model = EmbeddedVLM(settings, vocabulary, tower, answers=answers)
    if warm_start is not None:
        _warm(model, load_file(warm_start / "model.safetensors"), ids)
    return model


def _words(pictures: Sequence[Picture], config: VLMTrainConfig) -> tuple[list[str], list[str]]:
    """Every text of the training split (questions on boxes: a sample of each picture), and every
    answer."""
    frequency, rng = class_frequency(pictures), random.Random(config.seed)
    texts = [t for p in pictures for _ in range(3) for t in train_texts(p, 0, frequency, rng)]
    answers = (
        {t.answer for t in texts if t.kind != CAPTION}
        | {str(n) for n in range(11)}
        | set(frequency)
    )
    return [x for t in texts for x in (t.prompt, t.answer)] + sorted(answers), sorted(answers)


def _warm(model: EmbeddedVLM, theirs: dict[str, Tensor], ids: list[int]) -> None:
    """Copy the encoder's weights into the causal model, the embeddings of the kept words alone."""
    own = model.language.state_dict()
    for name, tensor in theirs.items():
        target = "bert." + name.removeprefix("bert.")
        if target in own:
            value = tensor[ids] if "word_embeddings" in name else tensor
            own[target] = value.float()[: own[target].shape[0]] if value.dim() else value
    model.language.load_state_dict(own)
    model.language.tie_weights()
