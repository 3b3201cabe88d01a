"""One picture attacked, purified and asked about: everything that the Purify tab shows, stage by stage."""

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from purifier.aims import AimError, make_aim
from purifier.attacks import Attack, Objective, State, attack_steps
from purifier.models import Models
from purifier.pixels import to_array, to_tensor
from purifier.vlm import CAPTION_PROMPT

Which = Literal["clean", "adversarial", "purified"]
LONGEST = 20.0  # seconds that an attack may take here
AMPLIFIED = 10  # times, of the pictures of differences; fixed, so that two of them can be compared


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done with a picture.

    question: "" asks for captions alone. steps: of the purifier. prompt: whether the defence prompt is on, where the
    purifier changed the picture. attack: None takes the picture as it is. objective, target: of the attack (see aims).
    """

    question: str = ""
    steps: int = 1
    prompt: bool = False
    attack: Attack | None = None
    objective: str = "answer"
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says of one picture: its caption; its answer as it is shown and as it is compared, "" without a
    question; whether it is sure of that. likelihood: in [0, 1], that it says what it says of the clean picture: the
    answer, if it is sure of it there, else the caption, a word; None without an attack."""

    caption: str
    spoken: str = ""
    answer: str = ""
    sure: bool = True
    likelihood: float | None = None

    @property
    def told(self) -> str:
        """What of it can be lost: the answer, if it is sure of it, else the caption."""
        return self.answer if self.answer and self.sure else self.caption

    def agrees(self, clean: "Said") -> bool:
        """Whether it says the same as of the clean picture; an answer counts only if that one was sure."""
        return self.caption == clean.caption and (self.answer == clean.answer or not clean.sure)


@dataclass(slots=True)
class Exhibit:
    """pictures: uint8 [H, W, 3]; "clean" is there only if the attack was made here. said: of the same. step, steps: of
    the attack. cut: whether it was stopped by the clock. change: its largest, in 1/255. seconds: of the purification.
    """

    wish: Wish
    pictures: dict[Which, np.ndarray] = field(default_factory=dict)
    said: dict[Which, Said] = field(default_factory=dict)
    step: int = 0
    steps: int = 0
    cut: bool = False
    change: float = 0.0
    seconds: float = 0.0

    @property
    def unchanged(self) -> bool:
        """Whether purification left the picture as it was, to the bit."""
        given, purified = self.pictures.get("adversarial"), self.pictures.get("purified")
        return given is not None and purified is not None and np.array_equal(given, purified)

    @property
    def complete(self) -> bool:
        return "purified" in self.said


def exhibit(models: Models, pixels: np.ndarray, wish: Wish) -> Iterator[Exhibit]:
    """Yields the same object after every stage: each step of the attack, what is said before and after, the purified.

    Args:
        pixels: uint8 [H, W, 3].

    Raises:
        AimError: the attack cannot be made as wished. ImageTooLarge, WeightsMissing: as they say.
    """
    shown, given = Exhibit(wish), to_tensor(pixels)
    moved = given
    if wish.attack:
        _add(shown, "clean", given, models)
        yield shown
        for state in _attack(models, given, wish, wish.attack, shown):
            moved = state.rounded()
            yield shown
        shown.change = float((moved - given).abs().max() * 255)
    _add(shown, "adversarial", moved, models)
    yield shown
    started = time.perf_counter()
    purified = models.purify(moved, wish.steps)
    shown.seconds = time.perf_counter() - started
    _add(shown, "purified", purified, models)
    yield shown


def _attack(models: Models, given: Tensor, wish: Wish, attack: Attack, shown: Exhibit) -> Iterator[State]:
    aim = make_aim(models, given, wish.objective, question=wish.question or None, target=wish.target)
    for state in in_time(attack, given, aim.objective):
        shown.step, shown.steps = state.step, state.steps
        yield state
    shown.cut = shown.step < shown.steps


def in_time(attack: Attack, pixels: Tensor, objective: Objective) -> Iterator[State]:
    """An attack's states, ended after LONGEST seconds."""
    started = time.perf_counter()
    for state in attack_steps(attack, pixels, objective):
        yield state
        if time.perf_counter() - started > LONGEST:
            return


def last_in_time(attack: Attack, pixels: Tensor, objective: Objective) -> State:
    """The last of these states."""
    return deque(in_time(attack, pixels, objective), maxlen=1)[0]


@torch.no_grad()
def _add(shown: Exhibit, which: Which, pixels: Tensor, models: Models) -> None:
    shown.pictures[which] = to_array(pixels)
    prompt = shown.wish.prompt and which == "purified" and not shown.unchanged
    speaker, question = models.speaker(prompt=prompt), shown.wish.question.strip()
    visual = speaker.see(pixels)
    caption = speaker.caption_seen(visual)[0].text
    answer = speaker.answer_seen(visual, [question])[0] if question else None
    said = Said(caption, answer.spoken, answer.text, answer.sure) if answer else Said(caption)
    clean = said if which == "clean" else shown.said.get("clean")
    if clean is not None:
        asked, words = (
            (question, 1) if clean.told != clean.caption else (CAPTION_PROMPT, 1 + len(clean.caption.split()))
        )
        score = float(speaker.score(visual, [asked], [clean.told])[0])
        said = replace(said, likelihood=math.exp(score / words))
    shown.said[which] = said


def difference(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """ours - theirs, AMPLIFIED times, around mid-grey: uint8 [H, W, 3]."""
    change = ours.astype(np.int16) - theirs.astype(np.int16)
    return (128 + AMPLIFIED * change).clip(0, 255).astype(np.uint8)


def make_attack(name: str, eps: float, steps: int, seed: int = 0) -> Attack:
    """An attack within what the app allows.

    Raises:
        AimError: a setting is outside.
    """
    if not 0 < eps <= 32 or not 1 <= steps <= 200:
        raise AimError("The budget must be above 0 and at most 32 (of 255), and the steps 1 to 200.")
    try:
        return Attack(name, eps=float(eps), steps=int(steps), seed=int(seed))  # type: ignore[arg-type]
    except ValueError as error:
        raise AimError(str(error)) from None
