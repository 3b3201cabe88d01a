"""What an attack is for, as the page and the commands name it: an objective, and whether it was
reached."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalclip.languages import N_, _, number
from purifier.attacks.attacker import Objective
from purifier.attacks.objectives import (
    GENERATED,
    NOT_GENERATED,
    FlipVerdict,
    MoveFeatures,
    change_answer,
    change_caption,
    force_answer,
    force_caption,
    language_tokens,
)
from purifier.pixels import to_array
from purifier.vlm.interface import EMBEDDED

if TYPE_CHECKING:
    from purifier.models import Models
    from purifier.request import Request

# of models, picture, request, and the key of the model that is asked
MakeGoal = Callable[["Models", Tensor, "Request", str], "Goal"]


OBJECTIVES: dict[str, MakeGoal] = {}  # by name, one for each of choices.OBJECTIVES


def _objective(name: str) -> Callable[[MakeGoal], MakeGoal]:
    """Add a function to OBJECTIVES, as the objective of that name in choices.OBJECTIVES."""

    def add(make: MakeGoal) -> MakeGoal:
        OBJECTIVES[name] = make
        return make

    return add


class GoalError(ValueError):
    """The attack cannot be made as asked; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Goal:
    """objective: to be raised. say: what the model says of a picture [1, 3, H, W] in this respect.
    before: what it said of the clean one. target: what it shall say; None is anything else.
    """

    objective: Objective
    say: Callable[[Tensor], str]
    before: str
    target: str | None = None

    def reached(self, now: str) -> bool:
        """Whether saying `now` is a success."""
        return now == self.target if self.target is not None else now != self.before


def make_goal(models: "Models", clean: Tensor, request: "Request", *, vlm: str = EMBEDDED) -> Goal:
    """The goal of a request's attack on a picture [1, 3, H, W].

    Args:
        request: its objective, question and target are read.
        vlm: which model is asked, EMBEDDED or OTHER.

    Raises:
        GoalError: the question or the target is missing or cannot be.
    """
    if request.objective not in OBJECTIVES:
        said = N_("There is no objective “{objective}”; use one of {known}.")
        raise GoalError(_(said, objective=request.objective, known=", ".join(OBJECTIVES)))
    return OBJECTIVES[request.objective](models, clean, request, vlm)


@_objective("answer")
def _answer_goal(models: "Models", clean: Tensor, request: "Request", vlm_key: str) -> Goal:
    asked, target = request.question, request.target
    if not asked:
        raise GoalError(
            _(
                "An attack on an answer needs a question. Type one, such as: how many people are "
                "there?"
            )
        )
    vlm = models.vlm_of(vlm_key)

    def say(pixels: Tensor) -> str:
        return vlm.answer(pixels, asked)[0].text

    before = say(clean)
    if target is None:
        return Goal(change_answer(vlm, [asked], [before]), say, before)
    wanted = " ".join(target.lower().split())
    if vlm.answers and wanted not in vlm.answers:
        said = N_(
            "“{target}” is none of the {count} answers that the model can give. Choose another."
        )
        raise GoalError(_(said, target=target, count=number(len(vlm.answers))))
    if wanted == before:
        raise GoalError(
            _(
                "The model already answers “{before}”. Choose another answer to aim at.",
                before=before,
            )
        )
    return Goal(force_answer(vlm, [asked], [wanted]), say, before, wanted)


@_objective("caption")
def _caption_goal(models: "Models", clean: Tensor, request: "Request", vlm_key: str) -> Goal:
    vlm, target = models.vlm_of(vlm_key), request.target

    def say(pixels: Tensor) -> str:
        return vlm.caption(pixels)[0].text

    before = say(clean)
    if target is None:
        return Goal(change_caption(vlm, [before]), say, before)
    wanted = " ".join(target.lower().split())
    return Goal(force_caption(vlm, [wanted]), say, before, wanted)


@_objective("features")
def _features_goal(models: "Models", clean: Tensor, request: "Request", vlm_key: str) -> Goal:
    """CLIP's features have no words: what the model says of the picture tells whether they moved
    far enough."""
    if request.target is not None:
        said = N_(
            "An attack on the features moves them anywhere: leave the target out, or attack the "
            "caption."
        )
        raise GoalError(_(said))
    told = _answer_goal if request.question else _caption_goal
    goal = told(models, clean, request, vlm_key)
    see = language_tokens(models.vlm.tower, layers=models.vlm.config.layers)
    return Goal(MoveFeatures(see, clean), goal.say, goal.before)


@_objective("detector")
def _detector_goal(models: "Models", clean: Tensor, request: "Request", vlm_key: str) -> Goal:
    detector, target = models.detector, request.target
    if target not in {None, GENERATED, NOT_GENERATED}:
        said = N_("The detector's verdict can be “{one}” or “{other}”, not “{target}”.")
        raise GoalError(_(said, one=GENERATED, other=NOT_GENERATED, target=target))

    def say(pixels: Tensor) -> str:
        return GENERATED if detector.score(to_array(pixels)).logit > 0 else NOT_GENERATED

    with torch.no_grad():
        before = say(clean)
    other = NOT_GENERATED if before == GENERATED else GENERATED
    if target == before:
        raise GoalError(
            _("The detector already says “{before}”. Aim at “{other}”.", before=before, other=other)
        )
    return Goal(FlipVerdict(detector, clean, target=other), say, before, other)
