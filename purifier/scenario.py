"""One picture attacked, purified and asked about: what the Purify tab shows, as it grows.

for scenario in run(request, pixels, models):
    show(scenario)
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from causalclip.languages import _
from purifier.attacks import Attack, State, attack_steps
from purifier.attacks.goals import GoalError, make_goal
from purifier.models import ModelInfo, Models
from purifier.pixels import to_array, to_tensor
from purifier.request import Request
from purifier.vlm.interface import EMBEDDED, OTHER

Which = Literal["clean", "adversarial", "purified"]
OWN_WORDS = "answer", "caption"  # objectives that are of the model that answers
PUNCTUATION = ".,;:!?\"'()"  # around a word, that makes it no other word
AMPLIFIED = 10  # times, of the pictures of differences; fixed, so that two can be compared
MAX_ATTACK_STEPS = (
    100  # of an attack, on a picture of a million pixels or less; of a larger one, fewer
)
MAX_ATTACK_STEPS_OTHER = 10  # through another model, which takes seconds a step on a processor
# An attack has worked once the model has given each word of its first text, and its end, a mean
# log-likelihood of -TURNED_LOSS or less (5 %) for TURNED_STEPS steps in a row.
TURNED_LOSS, TURNED_STEPS = 3.0, 3


class Response(BaseModel):
    """A model's words about one picture.

    Attributes:
        caption: one sentence.
        spoken, answer: the answer as it is shown and as it was said; "" without a question.
        sure: whether the model is sure of it. confidence: in [0, 1]; None without a question.
    """

    model_config = ConfigDict(frozen=True)

    caption: str
    spoken: str = ""
    answer: str = ""
    sure: bool = True
    confidence: float | None = None

    def same_caption(self, clean: "Response") -> bool:
        """Return whether the caption has the words of the clean picture's, in their order."""
        return _words(self.caption) == _words(clean.caption)

    def same_answer(self, clean: "Response") -> bool:
        """Return whether the answer has the words of the clean picture's, and is as sure."""
        return self.sure == clean.sure and _words(self.answer) == _words(clean.answer)


class Scenario(BaseModel):
    """The state of a run. Each stage yields a new one with more in it.

    Attributes:
        model: which model answers.
        pictures: uint8 [H, W, 3]; "clean" is there only if the attack was made here. They are
            left out of a dump.
        responses: what `model` says of each picture.
        step, steps: of the attack, done and planned. attack_seconds: so far. change: the
            largest change of a value by the attack, in 1/255. While it goes on, "adversarial" is
            the picture so far.
        likelihood: what the model still gives its first answer, in [0, 1], during an attack that
            leads away from it; else None.
        seconds: of the purification.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    request: Request
    model: ModelInfo = ModelInfo()
    pictures: dict[Which, np.ndarray] = Field(default_factory=dict, exclude=True)
    responses: dict[Which, Response] = Field(default_factory=dict)
    step: int = 0
    steps: int = 0
    attack_seconds: float = 0.0
    change: float = 0.0
    likelihood: float | None = None
    seconds: float = 0.0

    @property
    def unchanged(self) -> bool:
        """Return whether purification left the picture as it was, to the bit."""
        original, purified = self.pictures.get("adversarial"), self.pictures.get("purified")
        return original is not None and purified is not None and np.array_equal(original, purified)

    @property
    def complete(self) -> bool:
        """Return whether the purified picture was asked about: there is nothing more to come."""
        return "purified" in self.responses

    @property
    def stopped_early(self) -> bool:
        """Return whether the attack ended before all of its steps, as it had worked."""
        return (
            self.request.stop_early and "adversarial" in self.responses and self.step < self.steps
        )

    @property
    def question(self) -> str:
        """Return what is asked: nothing of a model that only captions."""
        return self.request.question if self.model.asks else ""

    @property
    def objective(self) -> str:
        """Return what the attack is on: the caption where there is no answer."""
        name = self.request.objective
        return "caption" if name == "answer" and not self.question else name

    @property
    def attacked(self) -> str:
        """Return which model is attacked, EMBEDDED or OTHER."""
        return self.model.key if self.objective in OWN_WORDS else EMBEDDED


def run(request: Request, pixels: np.ndarray, models: Models) -> Iterator[Scenario]:
    """Yield the scenario after every step of the attack, after each picture was asked about, and
    as it is between the parts of a large picture's purification.

    With `stop_early`, an attack that leads away from the model's answer or caption ends once the
    model gives each of its words under 5 % for three steps in a row.

    Args:
        pixels: uint8 [H, W, 3].

    Raises:
        GoalError: the attack cannot be made as asked.
        ImageTooLarge, WeightsMissing: as they say.
    """
    # 1. Who answers
    clean = to_tensor(pixels)
    scenario = Scenario(request=request, model=models.info(request.vlm))
    adversarial = clean

    # 2. Attack
    if request.attack:
        attack = limit_steps(request.attack, clean, scenario.attacked)
        scenario = _ask_about(
            scenario.model_copy(update={"steps": attack.steps}), "clean", clean, models
        )
        yield scenario
        start = time.perf_counter()
        turned_steps = 0
        for state in _attack(scenario, clean, attack, models):
            adversarial = state.rounded()
            seconds = time.perf_counter() - start
            scenario = _after_step(scenario, state, adversarial, seconds)
            yield scenario
            turned_steps = turned_steps + 1 if _has_turned(scenario, state) else 0
            if request.stop_early and turned_steps == TURNED_STEPS:
                break
        change = float((adversarial - clean).abs().max() * 255)
        scenario = scenario.model_copy(update={"change": change, "likelihood": None})

    # 3. Ask about the picture as it arrives
    scenario = _ask_about(scenario, "adversarial", adversarial, models)
    yield scenario

    # 4. Purify
    start = time.perf_counter()
    purified = None
    for purified in models.purify_in_parts(adversarial, request):
        if purified is None:
            yield scenario
    assert purified is not None
    scenario = scenario.model_copy(update={"seconds": time.perf_counter() - start})

    # 5. Ask about the purified picture
    yield _ask_about(scenario, "purified", purified, models)


def limit_steps(attack: Attack, pixels: Tensor, key: str = EMBEDDED) -> Attack:
    """Return the attack with at most as many steps as are made here.

    The number does not depend on the server's load, so that a seed always gives one picture.

    Args:
        pixels: float [N, 3, H, W].
        key: of the model that is attacked.
    """
    slow = key == OTHER and not torch.cuda.is_available()
    share = min(1.0, 1e6 / (pixels.shape[-2] * pixels.shape[-1]))
    most = int((MAX_ATTACK_STEPS_OTHER if slow else MAX_ATTACK_STEPS) * share)
    return replace(attack, steps=max(1, min(attack.steps, most)))


def make_attack(name: str, eps: float, steps: int, seed: int = 0) -> Attack:
    """An attack within what the app allows.

    Raises:
        GoalError: a setting is outside.
    """
    if not 0 < eps <= 32 or not 1 <= steps <= 200:
        limits = _("The budget must be above 0 and at most 32 (of 255), and the steps 1 to 200.")
        raise GoalError(limits)
    try:
        return Attack(name, eps=float(eps), steps=int(steps), seed=int(seed))
    except ValueError as error:
        raise GoalError(str(error)) from None


def attack_states(
    models: Models, key: str, picture: Tensor, attack: Attack, request: Request
) -> Iterator[State]:
    """An attack's states, for a request whose objective is one of the model `key`."""
    goal = make_goal(models, picture, request, vlm=key)
    yield from attack_steps(attack, picture, goal.objective)


def ask_again(models: Models, scenario: Scenario, question: str) -> dict[Which, Response]:
    """Return what the same model says to another question about each picture; nothing else is
    done."""
    text = question.strip()
    return {
        which: _response(models, scenario, which, to_tensor(pixels), text)
        for which, pixels in scenario.pictures.items()
    }


@torch.no_grad()
def respond(models: Models, key: str, by_lora: bool, pixels: Tensor, question: str) -> Response:
    """Return what a model says of a picture [1, 3, H, W].

    Args:
        key: EMBEDDED or OTHER. by_lora: whether the embedded one sees by the LoRA encoder.
        question: "" asks for a caption alone.
    """
    speaker = models.vlm_of(key) if key == OTHER else models.speaker(lora_encoder=by_lora)
    visual = speaker.see(pixels)
    caption = speaker.caption_seen(visual)[0].text
    if not question:
        return Response(caption=caption)
    answer = speaker.answer_seen(visual, [question])[0]
    return Response(
        caption=caption,
        spoken=answer.spoken,
        answer=answer.text,
        sure=answer.sure,
        confidence=round(answer.confidence, 4),
    )


def difference(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return ours - theirs, AMPLIFIED times, around mid-grey: uint8 [H, W, 3]."""
    change = ours.astype(np.int16) - theirs.astype(np.int16)
    return (128 + AMPLIFIED * change).clip(0, 255).astype(np.uint8)


def _attack(scenario: Scenario, picture: Tensor, attack: Attack, models: Models) -> Iterator[State]:
    key = scenario.attacked
    if key == OTHER and not scenario.model.differentiable and attack.attacker.needs_gradient:
        raise GoalError(
            _(
                "{name} lets no gradient through to the picture. Take the attack Square, which "
                "needs none, or attack what CLIP sees and look how far that carries over.",
                name=scenario.model.name,
            )
        )
    defaults = {"objective": scenario.objective, "question": scenario.question}
    arguments = (key, picture, attack, scenario.request.model_copy(update=defaults))
    if key == OTHER:
        return models.steps_on_card(attack_states, *arguments)
    return attack_states(models, *arguments)


def _after_step(scenario: Scenario, state: State, adversarial: Tensor, seconds: float) -> Scenario:
    """The same after a step of the attack, whose picture is `adversarial`."""
    progress: dict[str, Any] = {
        "step": state.step,
        "steps": state.steps,
        "attack_seconds": seconds,
        "pictures": scenario.pictures | {"adversarial": to_array(adversarial)},
    }
    if scenario.objective == "answer" and scenario.request.target is None:
        progress["likelihood"] = float(torch.exp(-state.loss[0]))
    return scenario.model_copy(update=progress)


def _has_turned(scenario: Scenario, state: State) -> bool:
    """Return whether the model hardly gives its first answer or caption any more."""
    if scenario.objective not in OWN_WORDS or scenario.request.target is not None:
        return False
    first = scenario.responses["clean"]
    text = first.answer if scenario.objective == "answer" else first.caption
    return float(state.loss[0]) >= TURNED_LOSS * (len(text.split()) + 1)


def _ask_about(scenario: Scenario, which: Which, pixels: Tensor, models: Models) -> Scenario:
    """Return the scenario after the model was asked about one more picture [1, 3, H, W]."""
    with_picture = scenario.model_copy(
        update={"pictures": scenario.pictures | {which: to_array(pixels)}}
    )
    response = _response(models, with_picture, which, pixels, with_picture.question)
    responses = with_picture.responses | {which: response}
    return with_picture.model_copy(update={"responses": responses})


def _response(
    models: Models, scenario: Scenario, which: Which, pixels: Tensor, question: str
) -> Response:
    is_purified = which == "purified" and not scenario.unchanged
    by_lora = is_purified and "lora_encoder" not in scenario.request.without
    arguments = (scenario.model.key, by_lora, pixels, question)
    if scenario.model.key == OTHER:
        response: Response = models.on_card(respond, *arguments)
        return response
    return respond(models, *arguments)


def _words(text: str) -> list[str]:
    """Return a text's words in lower case, without the punctuation around each."""
    words = (word.strip(PUNCTUATION) for word in text.lower().split())
    return [word for word in words if word]
