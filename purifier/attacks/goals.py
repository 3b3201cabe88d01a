"""Goals of attacks, as the page and the commands name them: an objective, and whether it was
reached."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causalclip.languages import _, number
from purifier.attacks import Objective, linf
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
from purifier.choices import OBJECTIVE_TITLES
from purifier.pixels import to_array
from purifier.vlm.interface import EMBEDDED

if TYPE_CHECKING:
    from purifier.models import Models
    from purifier.request import Request

# of models, picture, request, and the key of the model that is asked
MakeGoal = Callable[["Models", Tensor, "Request", str], "Goal"]
OBJECTIVES: dict[str, MakeGoal] = {}  # by name, one for each of OBJECTIVE_TITLES


def _objective(name: str) -> Callable[[MakeGoal], MakeGoal]:
    """Add a function to OBJECTIVES, as the objective of that name in OBJECTIVE_TITLES.

    Raises:
        KeyError: there is none of that name to be chosen.
    """

    if name not in OBJECTIVE_TITLES:
        raise KeyError(name)

    def add(make: MakeGoal) -> MakeGoal:
        OBJECTIVES[name] = make
        return make

    return add


class GoalError(ValueError):
    """The attack cannot be made as asked; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The aim of an attack.

    Attributes:
        objective: to be raised.
        say: what the model says of a picture [1, 3, H, W] in this respect.
        before: what it said of the clean one.
        target: what it shall say; None is anything else.
    """

    objective: Objective
    say: Callable[[Tensor], str]
    before: str
    target: str | None = None

    def reached(self, now: str) -> bool:
        """Return whether saying `now` is a success."""
        if self.target is None:
            return now != self.before
        return now == self.target

    def outcome(self, clean: Tensor, adversarial: Tensor) -> dict[str, Any]:
        """Return what came of an attack, as plain JSON types: success, before, after and linf."""
        after = self.say(adversarial)
        return {
            "success": self.reached(after),
            "before": self.before,
            "after": after,
            "linf": round(float(linf(adversarial, clean)), 2),
        }


def make_goal(models: "Models", clean: Tensor, request: "Request", *, vlm: str = EMBEDDED) -> Goal:
    """Return the goal of a request's attack on a picture [1, 3, H, W].

    Args:
        request: its objective, question and target are read.
        vlm: which model is asked, EMBEDDED or OTHER.

    Raises:
        GoalError: the question or the target is missing or cannot be.
    """
    if request.objective not in OBJECTIVES:
        raise GoalError(
            _(
                "There is no objective “{objective}”; use one of {known}.",
                objective=request.objective,
                known=", ".join(OBJECTIVES),
            )
        )
    return OBJECTIVES[request.objective](models, clean, request, vlm)


@_objective("answer")
def _answer_goal(models: "Models", clean: Tensor, request: "Request", vlm_key: str) -> Goal:
    # 1. The question, and what the model says of it now
    question, target = request.question, request.target
    if not question:
        raise GoalError(
            _(
                "An attack on an answer needs a question. Type one, such as: how many people are "
                "there?"
            )
        )
    vlm = models.vlm_of(vlm_key)

    def say(pixels: Tensor) -> str:
        return vlm.answer(pixels, question)[0].text

    before = say(clean)
    if target is None:
        return Goal(change_answer(vlm, [question], [before]), say, before)

    # 2. The answer to aim at, if there is one
    target = " ".join(target.lower().split())
    if vlm.answers and target not in vlm.answers:
        raise GoalError(
            _(
                "“{target}” is none of the {count} answers that the model can give. Choose "
                "another.",
                target=request.target,
                count=number(len(vlm.answers)),
            )
        )
    if target == before:
        raise GoalError(
            _(
                "The model already answers “{before}”. Choose another answer to aim at.",
                before=before,
            )
        )
    return Goal(force_answer(vlm, [question], [target]), say, before, target)


@_objective("caption")
def _caption_goal(models: "Models", clean: Tensor, request: "Request", vlm_key: str) -> Goal:
    vlm, target = models.vlm_of(vlm_key), request.target

    def say(pixels: Tensor) -> str:
        return vlm.caption(pixels)[0].text

    before = say(clean)
    if target is None:
        return Goal(change_caption(vlm, [before]), say, before)
    target = " ".join(target.lower().split())
    return Goal(force_caption(vlm, [target]), say, before, target)


@_objective("features")
def _features_goal(models: "Models", clean: Tensor, request: "Request", vlm_key: str) -> Goal:
    """Return the goal to move CLIP's features.

    They have no words: what the model says of the picture tells whether they moved far enough.
    """
    if request.target is not None:
        raise GoalError(
            _(
                "An attack on the features moves them anywhere: leave the target out, or attack "
                "the caption."
            )
        )
    make = _answer_goal if request.question else _caption_goal
    goal = make(models, clean, request, vlm_key)
    see = language_tokens(models.vlm.tower, layers=models.vlm.config.layers)
    return Goal(MoveFeatures(see, clean), goal.say, goal.before)


@_objective("detector")
def _detector_goal(models: "Models", clean: Tensor, request: "Request", vlm_key: str) -> Goal:
    detector, target = models.detector, request.target
    if target not in {None, GENERATED, NOT_GENERATED}:
        raise GoalError(
            _(
                "The detector's verdict can be “{one}” or “{other}”, not “{target}”.",
                one=GENERATED,
                other=NOT_GENERATED,
                target=target,
            )
        )

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
