"""What attacks raise: another answer, another caption, moved CLIP features, the detector's other verdict.

Each is a callable, float [N, 3, H, W] in [0, 1] -> [N]; `flat` says that its gradient vanishes at the clean picture.
"""

from typing import Literal

from purifier.objectives.features import MoveFeatures, language_tokens, layer_tokens, tokens_distance
from purifier.objectives.language import SaySomething, change_answer, change_caption, force_answer, force_caption
from purifier.objectives.verdict import FlipVerdict, detector_logit

ObjectiveName = Literal["answer", "caption", "features", "detector"]

__all__ = [
    "FlipVerdict",
    "MoveFeatures",
    "ObjectiveName",
    "SaySomething",
    "change_answer",
    "change_caption",
    "detector_logit",
    "force_answer",
    "force_caption",
    "language_tokens",
    "layer_tokens",
    "tokens_distance",
]
