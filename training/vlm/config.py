"""The settings of a training of the embedded vision-language model."""

from dataclasses import dataclass, field
from typing import Any

from purifier.vlm.features import LAYERS


@dataclass(frozen=True, slots=True)
class VLMTrainConfig:
    """How the embedded model is trained; chosen on the validation part of `train`.

    Attributes:
        seed: of the weights, the order and the views.
        epochs: passes over the pictures. stop_after: end after so many, to be gone on with later.
        batch: pictures a step.
        texts: at most so many of a picture at a time.
        lr, lr_new: of the language model, and of the connector.
        decay: of the matrices, by AdamW.
        smoothing: of the labels.
        dropout, feature_dropout: of the language model, and of the tower's features.
        answer_weight: of an answer's tokens beside a caption's, of which there are many more.
        average: decay of the moving average of the weights, which is what is kept.
        views: how many each picture has.
        blind: the same model without the picture, for the baseline.
        splits: of the texts that are learned from.
        layers: of the language model. language: its other settings.
        vision: the layers of the tower that are seen.
    """

    seed: int = 0
    epochs: int = 7
    batch: int = 16
    texts: int = 12
    lr: float = 3e-4
    lr_new: float = 1e-3
    decay: float = 0.05
    smoothing: float = 0.1
    dropout: float = 0.1
    feature_dropout: float = 0.2
    answer_weight: float = 2.0
    average: float = 0.998
    views: int = 1
    blind: bool = False
    splits: tuple[str, ...] = ("train",)
    stop_after: int | None = None
    layers: int = 4
    vision: tuple[int, ...] = LAYERS
    language: dict[str, Any] = field(default_factory=dict)
