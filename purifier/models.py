"""The models that attacks, purification and questions need, each loaded once and only when it is used."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from purifier.zerogpu import on_a_lent_card

if TYPE_CHECKING:
    from torch import Tensor

    from causalclip.detector import Detector
    from purifier.denoiser.pipeline import PurifierPipeline
    from purifier.prompts.soft import PromptedVLM
    from purifier.vlm import EmbeddedVLM


class Models:
    """Lazy, and safe to share between threads. Every property may raise WeightsMissing.

    Args:
        vlm, purifier, prompted, detector: what loads each; None loads the shipped one.
        wait: returns once other threads have imported what they need: libraries that import lazily fail where two
            threads import them at once.
    """

    def __init__(
        self,
        *,
        vlm: "Callable[[], EmbeddedVLM] | None" = None,
        purifier: "Callable[[], PurifierPipeline] | None" = None,
        prompted: "Callable[[], PromptedVLM] | None" = None,
        detector: "Callable[[], Detector] | None" = None,
        wait: Callable[[], Any] = lambda: None,
    ) -> None:
        self.wait = wait
        self._load: dict[str, Callable[[], Any]] = {
            "vlm": vlm or _load_vlm,
            "purifier": purifier or _load_purifier,
            "prompted": prompted or self._load_prompted,
            "detector": detector or _load_detector,
        }
        self._loaded: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._purify = on_a_lent_card(self._purify_here)

    def purify(self, pixels: "Tensor", steps: int) -> "Tensor":
        """The shipped purifier's picture, as PurifierPipeline gives it; on a graphics card where the host lends one."""
        return self._purify(pixels, steps)

    def _purify_here(self, pixels: "Tensor", steps: int) -> "Tensor":
        import torch  # seconds of imports, when a model is first used

        device = "cuda" if torch.cuda.is_available() else "cpu"
        pipeline: Any = self.purifier  # diffusers' own methods are not typed
        purified: Tensor = pipeline.to(device)(pixels.to(device), steps).images.cpu()
        return purified

    @property
    def vlm(self) -> "EmbeddedVLM":
        """The embedded vision-language model."""
        return self._get("vlm")

    @property
    def purifier(self) -> "PurifierPipeline":
        """The shipped purifier."""
        return self._get("purifier")

    @property
    def prompted(self) -> "PromptedVLM":
        """The embedded model behind the learned defence prompt."""
        return self._get("prompted")

    @property
    def detector(self) -> "Detector":
        """The detector of generated pictures."""
        return self._get("detector")

    def speaker(self, *, prompt: bool) -> "EmbeddedVLM | PromptedVLM":
        """The model that answers: behind the defence prompt, or as it is."""
        return self.prompted if prompt else self.vlm

    def _get(self, name: str) -> Any:
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load[name]()
            return self._loaded[name]

    def _load_prompted(self) -> "PromptedVLM":
        from purifier.prompts.soft import SoftPrompt

        return SoftPrompt.from_pretrained().applied_to(self.vlm)


def _load_vlm() -> "EmbeddedVLM":
    from purifier.vlm import EmbeddedVLM  # seconds of imports, when the model is first used

    return EmbeddedVLM.from_pretrained()


def _load_purifier() -> "PurifierPipeline":
    from purifier.denoiser.pipeline import PurifierPipeline

    return PurifierPipeline.from_pretrained()


def _load_detector() -> "Detector":
    from causalclip.detector import Detector

    return Detector.from_pretrained()


MODELS = Path(__file__).resolve().parent.parent / "assets" / "models"


def shipped() -> bool:
    """Whether the weights of everything that the Purify tab needs are in assets/models; loads nothing."""
    return (MODELS / "purifier" / "model_index.json").is_file() and (MODELS / "vlm" / "config.json").is_file()


def prompt_shipped() -> bool:
    """Whether a defence prompt is there, too."""
    return (MODELS / "vlm-prompt").is_dir()
