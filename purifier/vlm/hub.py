"""Loads the vision-language models: the embedded one, and models of the Hugging Face hub by name or
folder."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    BlipForConditionalGeneration,
    BlipForQuestionAnswering,
)

from causalclip.clip.runtime import fast_dtype
from causalclip.paths import WeightsMissing
from purifier.vlm.blip import BlipCaptioner, BlipVQA
from purifier.vlm.blip2 import Blip2VLM
from purifier.vlm.chat import ChatVLM
from purifier.vlm.hub_model import HubVLM, NotThisKind
from purifier.vlm.interface import EMBEDDED, VisionLanguageModel
from purifier.vlm.model import EmbeddedVLM

__all__ = ["EMBEDDED", "HubVLM", "NotThisKind", "load_vlm", "read_prompt"]


def load_vlm(name: str = EMBEDDED, *, prefix: str = "") -> VisionLanguageModel:
    """Load a vision-language model, frozen and in evaluation mode, on the processor.

    >>> model = load_vlm()  # doctest: +SKIP
    >>> model.answer(pixels, "what is in the picture")[0].text  # doctest: +SKIP

    Args:
        name: "embedded", a model of the hub, or a folder that `save_pretrained` wrote.
        prefix: a text put before every prompt of a hub model (a defence prompt).

    Raises:
        WeightsMissing: it is neither here nor to be had from the hub.
        NotThisKind: it is no model of a kind that sees and speaks.
    """
    if name == EMBEDDED:
        if prefix:
            raise NotThisKind("A prompt is for a model of the hub; the embedded model takes none.")
        return EmbeddedVLM.from_pretrained()
    config = _fetch(AutoConfig, name)
    loader, kind = _kind(config)
    try:
        weights = _weights(loader, name)
    except ValueError as error:  # what an Auto class says of another kind of model
        sentence = (
            f"{name!r} is a {config.model_type!r} model; it must be BLIP or of the "
            "image-text-to-text kind."
        )
        raise NotThisKind(sentence) from error
    return kind(weights, _fetch(AutoProcessor, name), prefix=prefix)


def read_prompt(path: str | Path) -> str:
    """The text of a defence prompt, from the file that `optimise-prompt` wrote.

    Raises:
        ValueError: it is not there, or is another file.
    """
    try:
        return str(json.loads(Path(path).read_text(encoding="utf-8"))["text"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        sentence = (
            f"There is no defence prompt in {str(path)!r}. `optimise-prompt` writes such a file."
        )
        raise ValueError(sentence) from error


def _kind(config: Any) -> tuple[Any, type[HubVLM]]:
    """Return what loads a model's weights, and what speaks to it."""
    if config.model_type == "blip":
        if "BlipForQuestionAnswering" in (config.architectures or ()):
            return BlipForQuestionAnswering, BlipVQA
        return BlipForConditionalGeneration, BlipCaptioner
    return AutoModelForImageTextToText, Blip2VLM if config.model_type in {
        "blip-2",
        "instructblip",
    } else ChatVLM


def _weights(loader: Any, name: str) -> Any:
    """Load weights in the type that they were saved in where there is a card for it, else in the
    processor's fast one."""
    return _fetch(loader, name, dtype="auto" if torch.cuda.is_available() else fast_dtype())


def _fetch(loader: Any, name: str, **options: Any) -> Any:
    try:
        return loader.from_pretrained(name, **options)
    except ImportError as error:  # some processors need packages that transformers itself does not
        raise WeightsMissing(f"The model {name!r} needs another package: {error}") from error
    except (OSError, ConnectionError) as error:
        raise WeightsMissing(
            f"The model {name!r} is not here and the hub cannot be reached, or has no such model. "
            f"Fetch it where there is a network (hf download {name}) and give its folder, or use "
            f"the one that is shipped: {EMBEDDED!r}."
        ) from error
