"""Likeness in meaning of two captions."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from purifier.vlm.model import EmbeddedVLM

MIN_LIKENESS = 0.75  # from which cosine on two captions count as saying the same
STOP_WORDS = {"a", "an", "the", "his", "her", "its", "their", "and", "is", "are"}
STOP_WORDS |= {"of", "in", "on", "at", "to", "with", "by", "for"}


@torch.no_grad()
def likeness(model: "EmbeddedVLM", one: str, other: str) -> float:
    """The cosine of two captions' mean word vectors, in [-1, 1].

    1 for the same text, 0 where one has no word of its own. The vectors are those of the embedded
    model's word pieces, which began as all-MiniLM-L6-v2's. It is a coarse measure: it hears which
    things are named, not their order, nor a "not", and one other word in a long caption moves it
    little. captions.alike.same-photograph and captions.alike.two-photographs in
    assets/measured.json say how often it errs.
    """
    if one == other:
        return 1.0
    vectors = model.language.get_input_embeddings().weight
    centre = vectors.mean(0)
    means = []
    for text in (one, other):
        words = [word.strip(".,!?") for word in text.lower().split()]
        content = " ".join(word for word in words if word and word not in STOP_WORDS)
        ids = model.vocabulary.tokenizer.encode(content, add_special_tokens=False).ids
        if not ids:
            return 0.0
        means.append((vectors[ids] - centre).mean(0))
    return float(F.cosine_similarity(means[0], means[1], dim=0))
