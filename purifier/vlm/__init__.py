"""The embedded vision-language model: how it is built, trained, measured and used."""

from purifier.vlm.interface import (
    CAPTION_PROMPT,
    NOT_SURE,
    Answer,
    Caption,
    EmptyQuestion,
    VisionLanguageModel,
    normalise_question,
)
from purifier.vlm.model import EmbeddedVLM, VLMConfig

__all__ = [
    "CAPTION_PROMPT",
    "NOT_SURE",
    "Answer",
    "Caption",
    "EmbeddedVLM",
    "EmptyQuestion",
    "VLMConfig",
    "VisionLanguageModel",
    "normalise_question",
]
