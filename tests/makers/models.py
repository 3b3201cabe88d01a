"""A small random vision-language model for tests."""

from collections.abc import Sequence

import torch

from purifier.vlm import EmbeddedVLM, VLMConfig
from purifier.vlm.vocabulary import Vocabulary, train_tokenizer
from tests.makers.towers import tiny_tower

ANSWERS = ("yes", "no", "dog", "cat", "2", "red, white")
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
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale**0.5)
    return model.eval().requires_grad_(False)
