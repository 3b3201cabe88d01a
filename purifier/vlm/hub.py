"""Vision-language models by name: from the hub, its cache or a folder, behind the embedded model's interface.

    load_vlm("embedded")                                   the shipped one
    load_vlm("HuggingFaceTB/SmolVLM-256M-Instruct")        a chat model of the image-text-to-text kind
    load_vlm("Salesforce/blip-vqa-base")                   BLIP for questions
    load_vlm("Salesforce/blip-image-captioning-base")      BLIP for captions

Nothing is replaced silently: a model that cannot be had raises WeightsMissing, and a captioning model that is asked a
question says that it cannot.
"""

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
from causalclip.clip.weights import WeightsMissing
from purifier.names import EMBEDDED
from purifier.vlm import EmbeddedVLM, VisionLanguageModel
from purifier.vlm.blip import BlipCaptioner, BlipVQA
from purifier.vlm.chat import ChatVLM
from purifier.vlm.hosted import NotThisKind

__all__ = ["EMBEDDED", "BlipCaptioner", "BlipVQA", "ChatVLM", "NotThisKind", "load_vlm"]


def load_vlm(name: str = EMBEDDED, *, prefix: str = "") -> VisionLanguageModel:
    """Loads a vision-language model, frozen and in evaluation mode, on the processor.

    Args:
        name: "embedded", a model of the hub, or a folder that `save_pretrained` wrote.
        prefix: a text put before every prompt of a hub model (a defence prompt).

    Raises:
        WeightsMissing: it is neither here nor to be had from the hub.
        NotThisKind: it is no model of a kind that sees and speaks.
    """
    if name == EMBEDDED:
        return EmbeddedVLM.from_pretrained()
    config = _fetch(AutoConfig, name)
    if config.model_type != "blip":
        if type(config) not in AutoModelForImageTextToText._model_mapping:
            raise NotThisKind(
                f"{name!r} is a {config.model_type!r} model; it must be BLIP or of the image-text-to-text kind."
            )
        return ChatVLM(_weights(AutoModelForImageTextToText, name), _fetch(AutoProcessor, name), prefix=prefix)
    asks = "BlipForQuestionAnswering" in (config.architectures or ())
    loader: Any = BlipForQuestionAnswering if asks else BlipForConditionalGeneration
    return (BlipVQA if asks else BlipCaptioner)(_weights(loader, name), _fetch(AutoProcessor, name), prefix=prefix)


def _weights(loader: Any, name: str) -> Any:
    """In the type that they were saved in where there is a card for it, else in the processor's fast one."""
    return _fetch(loader, name, dtype="auto" if torch.cuda.is_available() else fast_dtype())


def _fetch(loader: Any, name: str, **options: Any) -> Any:
    try:
        return loader.from_pretrained(name, **options)
    except ImportError as error:  # some processors need packages that transformers itself does not
        raise WeightsMissing(f"The model {name!r} needs another package: {error}") from error
    except (OSError, ConnectionError) as error:
        raise WeightsMissing(
            f"The model {name!r} is not here and the hub cannot be reached, or has no such model. Fetch it where there "
            f"is a network (hf download {name}) and give its folder, or use the one that is shipped: {EMBEDDED!r}."
        ) from error
