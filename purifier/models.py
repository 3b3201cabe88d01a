"""The models that attacks, purification and questions need, each loaded once and only when it is
used."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from causalclip.languages import N_, _
from causalclip.paths import shipped_folder
from purifier.vlm.interface import EMBEDDED, OTHER

if TYPE_CHECKING:
    from torch import Tensor

    from causalclip.detector import Detector
    from purifier.denoiser.pipeline import PurifierPipeline
    from purifier.request import Request
    from purifier.vlm.interface import VisionLanguageModel
    from purifier.vlm.model import EmbeddedVLM

log = logging.getLogger(__name__)
MODELS = shipped_folder("assets") / "models"
LOADERS = {  # what loads each shipped model; by name, as these bring seconds of imports
    "vlm": "purifier.vlm.model:EmbeddedVLM.from_pretrained",
    "purifier": "purifier.denoiser.pipeline:PurifierPipeline.from_pretrained",
    "detector": "causalclip.detector:Detector.from_pretrained",
}

ON_DEVICE = {"vlm", "lora_vlm", "purifier"}  # what Models.to moves


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The vision-language model that answers. key: EMBEDDED or OTHER. name: for people. asks,
    differentiable: as a VisionLanguageModel has them. problem: why it is not the one that was asked
    for, in a sentence; "" if it is."""

    key: str = EMBEDDED
    name: str = N_("the embedded model")
    asks: bool = True
    differentiable: bool = True
    problem: str = ""


class Models:
    """Lazy, and safe to share between threads. Every property may raise WeightsMissing.

    Args:
        other: a vision-language model beside the embedded one, see `vlm.hub.load_vlm`; "" for none.
            Its name for people is the last part of this one, which may be a path.
        prompt: a file with a defence prompt for it, see `vlm.hub.read_prompt`; "" for none.
        wait: returns once other threads have imported what they need: libraries that import lazily
            fail where two threads import them at once.
        loaders: what loads vlm, purifier, lora_vlm or detector, in place of the shipped one.

    Attributes:
        on_card: on_card(work, *arguments) -> work(self, *arguments), with the other model on a
            graphics card, if there is one. `work` is a function of a module, and what it is given
            and returns is on the processor: a lent card is there in another process.
        steps_on_card: the same of a generator function.
    """

    def __init__(
        self,
        *,
        other: str = "",
        prompt: str = "",
        wait: Callable[[], Any] = lambda: None,
        **loaders: Callable[[], Any] | None,
    ) -> None:
        self.wait = wait
        self.other = "" if other == EMBEDDED else other.rstrip("/").rpartition("/")[2]
        self._load: dict[str, Any] = {"lora_vlm": self._load_lora_vlm, **loaders}
        self._load.setdefault(OTHER, lambda: _load_other(other, prompt))
        self._loaded: dict[str, Any] = {}
        self.device: Any = None  # where embedded models are put; None for where they are loaded
        self._other_failed = False
        self._lock, self._other_lock = threading.RLock(), threading.Lock()
        self._purify = _on_lent_card(self._purify_here)
        self.on_card: Callable[..., Any] = _on_lent_card(self._work_here)
        self.steps_on_card: Callable[..., Iterator[Any]] = _on_lent_card(self._steps_here)

    @property
    def vlm(self) -> "EmbeddedVLM":
        """The embedded vision-language model."""
        return self._get("vlm")

    @property
    def purifier(self) -> "PurifierPipeline":
        """The shipped purifier."""
        return self._get("purifier")

    @property
    def lora_vlm(self) -> "EmbeddedVLM":
        """The embedded model with the LoRA encoder for purified pictures."""
        return self._get("lora_vlm")

    @property
    def detector(self) -> "Detector":
        """The detector of generated pictures."""
        return self._get("detector")

    def speaker(self, *, lora_encoder: bool) -> "EmbeddedVLM":
        """The embedded model, with the LoRA encoder or as it is."""
        return self.lora_vlm if lora_encoder else self.vlm

    def to(self, device: Any) -> "Models":
        """Put the embedded models and the purifier there: those that are loaded, and others once
        they are."""
        with self._lock:
            self.device = device
            for name in ON_DEVICE & set(self._loaded):
                self._loaded[name].to(device)
        return self

    def purify(self, pixels: "Tensor", request: "Request") -> "Tensor":
        """The shipped purifier's picture, as PurifierPipeline gives it; on a graphics card where
        the host lends one."""
        *_parts, purified = self.purify_in_parts(pixels, request)
        assert purified is not None
        return purified

    def purify_in_parts(self, pixels: "Tensor", request: "Request") -> "Iterator[Tensor | None]":
        """Yield None between the tiles of a large picture, and at last what `purify` returns."""
        return self._purify(pixels, request)

    def info(self, key: str = EMBEDDED) -> ModelInfo:
        """Return which model answers if `key` is asked for: the embedded one, too, where the other
        cannot be loaded. That is tried once; it may take minutes, as the weights may have to be
        fetched."""
        if key == EMBEDDED or not self.other:
            return ModelInfo()
        with self._other_lock:
            if not self.other_tried:
                try:
                    self._loaded[OTHER] = self._load[OTHER]()
                except Exception as error:  # a model from elsewhere may fail in any way
                    log.warning(
                        "CAUSALCLIP_VLM was not loaded: %s: %s", type(error).__name__, error
                    )
                    self._other_failed = True
        if self._other_failed:
            return ModelInfo(problem=self.other_problem)
        model = self._loaded[OTHER]
        return ModelInfo(OTHER, self.other, model.asks, model.differentiable)

    def vlm_of(self, key: str) -> "VisionLanguageModel":
        """The vision-language model that `info(key)` is about."""
        return self._loaded[OTHER] if self.info(key).key == OTHER else self.vlm

    def warm_up(self) -> None:
        """Load the other model, after what others are loading: the first who asks it need not wait
        for that."""
        self.wait()
        self.info(OTHER)

    def prepare(self) -> None:
        """Load the embedded models and the purifier, which takes a first run 13 s of a processor's
        time."""
        for model in ("vlm", "purifier", "lora_vlm"):
            self._get(model)

    @property
    def other_problem(self) -> str:
        """Why the other model does not answer, in a sentence; "" where it does, or was not tried
        yet."""
        sentence = N_("{name} could not be loaded, so the embedded model speaks in its place.")
        return _(sentence, name=self.other) if self._other_failed else ""

    @property
    def other_tried(self) -> bool:
        """Return whether the other model is loaded, or cannot be."""
        return not self.other or self._other_failed or OTHER in self._loaded

    def _purify_here(self, pixels: "Tensor", request: "Request") -> "Iterator[Tensor | None]":
        import torch  # seconds of imports, when a model is first used

        from purifier.attacks.budget import to_levels
        from purifier.denoiser.pipeline import Stages

        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        pipeline: Any = self.purifier  # diffusers' own methods are not typed
        # Between two parts the thread is as it was: torch.no_grad() knows generators.
        purify = torch.no_grad()(pipeline.to(device).purify_in_parts)
        stages = Stages(**dict.fromkeys(request.without, False))
        pixels = pixels.to(device)
        purified = yield from purify(pixels, request.steps, always=request.always, stages=stages)
        yield to_levels(purified).cpu()

    def _work_here(self, work: Callable[..., Any], *arguments: Any) -> Any:
        self._move_other()
        return work(self, *arguments)

    def _steps_here(self, work: Callable[..., Iterator[Any]], *arguments: Any) -> Iterator[Any]:
        self._move_other()
        yield from work(self, *arguments)

    def _move_other(self) -> None:
        import torch

        if torch.cuda.is_available() and self.info(OTHER).key == OTHER:
            self._loaded[OTHER].to("cuda")

    def _get(self, name: str) -> Any:
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = (self._load.get(name) or resolve_name(LOADERS[name]))()
                if self.device is not None and name in ON_DEVICE:
                    self._loaded[name].to(self.device)
            return self._loaded[name]

    def _load_lora_vlm(self) -> "EmbeddedVLM":
        from purifier.vlm.lora import shared_encoder

        return self.vlm.with_tower(shared_encoder(self.vlm.config.tower))


def _on_lent_card(task: Any) -> Any:
    """The task on a graphics card that the host lends for as long as it takes (ZeroGPU of Hugging
    Face Spaces); the task itself where the package `spaces` is not installed. What crosses to the
    card's process is pickled."""
    try:
        import spaces
    except ImportError:
        return task
    return spaces.GPU(task)


def _load_other(name: str, prompt: str) -> "VisionLanguageModel":
    import torch

    from purifier.vlm.hub import HubVLM, load_vlm, read_prompt

    model = load_vlm(name, prefix=read_prompt(prompt) if prompt else "")
    return (
        model.see_whole() if isinstance(model, HubVLM) and not torch.cuda.is_available() else model
    )


def lacking() -> str:
    """A sentence where packages are missing that purification alone needs; "" otherwise. Imports
    none of them."""
    missing = [name for name in ("diffusers", "transformers") if not _is_there(name)]
    sentence = N_("To purify pictures, add what is missing: {command}")
    return _(sentence, command=f"pip install {' '.join(missing)}") if missing else ""


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # barred
        return False


def weights_are_shipped() -> bool:
    """Return whether the weights of everything that the Purify tab needs are in assets/models;
    loads nothing."""
    files = ("purifier/model_index.json", "vlm/config.json", "lora-encoder/config.json")
    return all((MODELS / name).is_file() for name in files)
