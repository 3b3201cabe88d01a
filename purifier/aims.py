"""What an attack is to reach on one picture: its objective, and whether it was reached, in words."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from causalclip.languages import N_, _, number
from purifier.attacks import Objective
from purifier.models import Models
from purifier.names import EMBEDDED
from purifier.objectives import (
    FlipVerdict,
    MoveFeatures,
    change_answer,
    change_caption,
    force_answer,
    force_caption,
    language_tokens,
)
from purifier.pixels import to_array
from purifier.vlm import VisionLanguageModel

GENERATED, NOT_GENERATED = "generated", "not generated"


class AimError(ValueError):
    """The attack cannot be made as asked; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Aim:
    """objective: to be raised. say: what the model says of a picture [1, 3, H, W] in this respect. before: what it said
    of the clean one. target: what it shall say; None is anything else.
    """

    objective: Objective
    say: Callable[[Tensor], str]
    before: str
    target: str | None = None

    def reached(self, now: str) -> bool:
        """Whether saying `now` is a success."""
        return now == self.target if self.target is not None else now != self.before


def make_aim(
    models: Models,
    clean: Tensor,
    objective: str,
    *,
    question: str | None = None,
    target: str | None = None,
    vlm: str = EMBEDDED,
) -> Aim:
    """The aim of an attack on a picture [1, 3, H, W].

    Args:
        objective: "answer" (needs a question), "caption", "features" (of CLIP, whoever speaks) or "detector".
        target: what shall be said instead; None is anything else.
        vlm: the name of the model that is asked, one of `models.voices`.

    Raises:
        AimError: the question or the target is missing or cannot be.
    """
    if objective not in _AIMS:
        said = N_("There is no objective “{objective}”; use one of {known}.")
        raise AimError(_(said, objective=objective, known=", ".join(_AIMS)))
    return _AIMS[objective](models, clean, question, target, vlm)


def _answer(models: Models, clean: Tensor, question: str | None, target: str | None, name: str) -> Aim:
    if not question or not question.strip():
        raise AimError(_("An attack on an answer needs a question. Type one, such as: how many people are there?"))
    asked, vlm = question.strip(), models.vlm_named(name)

    def say(pixels: Tensor) -> str:
        return vlm.answer(pixels, asked)[0].text

    before = say(clean)
    if target is None:
        return Aim(change_answer(vlm, [asked], [before]), say, before)
    wanted = _wanted(target, vlm, before)
    return Aim(force_answer(vlm, [asked], [wanted]), say, before, wanted)


def _wanted(target: str, vlm: VisionLanguageModel, before: str) -> str:
    wanted = " ".join(target.lower().split())
    if vlm.answers and wanted not in vlm.answers:
        said = N_("“{target}” is none of the {count} answers that the model can give. Choose another.")
        raise AimError(_(said, target=target, count=number(len(vlm.answers))))
    if wanted == before:
        raise AimError(_("The model already answers “{before}”. Choose another answer to aim at.", before=before))
    return wanted


def _caption(models: Models, clean: Tensor, question: str | None, target: str | None, name: str) -> Aim:
    vlm = models.vlm_named(name)

    def say(pixels: Tensor) -> str:
        return vlm.caption(pixels)[0].text

    before = say(clean)
    if target is None:
        return Aim(change_caption(vlm, [before]), say, before)
    wanted = " ".join(target.lower().split())
    return Aim(force_caption(vlm, [wanted]), say, before, wanted)


def _features(models: Models, clean: Tensor, question: str | None, target: str | None, name: str) -> Aim:
    """CLIP's features have no words: what the model says of the picture tells whether they moved far enough."""
    if target is not None:
        said = N_("An attack on the features moves them anywhere: leave the target out, or attack the caption.")
        raise AimError(_(said))
    aim = _answer(models, clean, question, None, name) if question else _caption(models, clean, None, None, name)
    see = language_tokens(models.vlm.tower, layers=models.vlm.config.layers)
    return Aim(MoveFeatures(see, clean), aim.say, aim.before)


def _detector(models: Models, clean: Tensor, question: str | None, target: str | None, name: str) -> Aim:
    detector = models.detector
    if target not in {None, GENERATED, NOT_GENERATED}:
        said = N_("The detector's verdict can be “{one}” or “{other}”, not “{target}”.")
        raise AimError(_(said, one=GENERATED, other=NOT_GENERATED, target=target))

    def say(pixels: Tensor) -> str:
        return GENERATED if detector.judge(to_array(pixels)).logit > 0 else NOT_GENERATED

    with torch.no_grad():
        before = say(clean)
    other = NOT_GENERATED if before == GENERATED else GENERATED
    if target == before:
        raise AimError(_("The detector already says “{before}”. Aim at “{other}”.", before=before, other=other))
    return Aim(FlipVerdict(detector, clean, target=other), say, before, other)


_AIMS: dict[str, Callable[[Models, Tensor, str | None, str | None, str], Aim]] = {
    "answer": _answer,
    "caption": _caption,
    "features": _features,
    "detector": _detector,
}
