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
from purifier.models import Models, Voice
from purifier.names import EMBEDDED, OTHER
from purifier.pixels import to_array, to_tensor
from purifier.vlm import CAPTION_PROMPT

Which = Literal["clean", "adversarial", "purified"]
LONGEST = 20.0  # seconds that an attack may take here
LONGEST_OTHER = 60.0  # the same through another model than the embedded one, whose steps take seconds on a processor
SPOKEN = "answer", "caption"  # objectives that are of the model that speaks
AMPLIFIED = 10  # times, of the pictures of differences; fixed, so that two of them can be compared


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done with a picture.

    question: "" asks for captions alone. steps: of the purifier. always: whether it purifies what it takes for clean,
    too. eye: whether the eye for purified pictures looks where the purifier changed one. attack: None takes the
    picture as it is. objective, target: of the attack (see aims). vlm: who speaks, EMBEDDED or OTHER (see
    Models.voice).
    """

    question: str = ""
    steps: int = 1
    always: bool = False
    eye: bool = False
    attack: Attack | None = None
    objective: str = "answer"
    target: str | None = None
    vlm: str = EMBEDDED


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says of one picture: its caption; its answer as it is shown and as it was said, "" without a
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

    def same_caption(self, clean: "Said") -> bool:
        """Whether the caption is the clean picture's; case and full stops do not count."""
        return _plain(self.caption) == _plain(clean.caption)

    def same_answer(self, clean: "Said") -> bool:
        """The same of the answer."""
        return _plain(self.answer) == _plain(clean.answer)

    def agrees(self, clean: "Said") -> bool:
        """Whether it says the same as of the clean picture; an answer counts only if that one was sure."""
        return self.same_caption(clean) and (self.same_answer(clean) or not clean.sure)


def _plain(text: str) -> str:
    return text.lower().strip(" .!")


@dataclass(slots=True)
class Exhibit:
    """pictures: uint8 [H, W, 3]; "clean" is there only if the attack was made here. said: of the same, by `voice`.
    step, steps, attack_seconds: of the attack. cut: whether it was stopped by the clock. change: its largest, in 1/255.
    seconds: of the purification.
    """

    wish: Wish
    voice: Voice = field(default_factory=Voice)
    pictures: dict[Which, np.ndarray] = field(default_factory=dict)
    said: dict[Which, Said] = field(default_factory=dict)
    step: int = 0
    steps: int = 0
    cut: bool = False
    attack_seconds: float = 0.0
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

    @property
    def question(self) -> str:
        """What is asked: nothing of a model that only captions."""
        return self.wish.question.strip() if self.voice.asks else ""

    @property
    def objective(self) -> str:
        """What the attack is on: the caption where there is no answer."""
        return "caption" if self.wish.objective == "answer" and not self.question else self.wish.objective

    @property
    def longest(self) -> float:
        """Seconds that the attack may take."""
        return LONGEST_OTHER if self.voice.key == OTHER and self.objective in SPOKEN else LONGEST


def exhibit(models: Models, pixels: np.ndarray, wish: Wish) -> Iterator[Exhibit]:
    """Yields the same object after every stage: each step of the attack, what is said before and after, the purified.

    Args:
        pixels: uint8 [H, W, 3].

    Raises:
        AimError: the attack cannot be made as wished. ImageTooLarge, WeightsMissing: as they say.
    """
    shown, given = Exhibit(wish, models.voice(wish.vlm)), to_tensor(pixels)
    moved = given
    if wish.attack:
        _add(shown, "clean", given, models)
        yield shown
        for state in _attack(models, given, wish.attack, shown):
            moved = state.rounded()
            yield shown
        shown.change = float((moved - given).abs().max() * 255)
    _add(shown, "adversarial", moved, models)
    yield shown
    started = time.perf_counter()
    purified = models.purify(moved, wish.steps, always=wish.always)
    shown.seconds = time.perf_counter() - started
    _add(shown, "purified", purified, models)
    yield shown


def _attack(models: Models, given: Tensor, attack: Attack, shown: Exhibit) -> Iterator[State]:
    voice, wish = shown.voice, shown.wish
    aimed = (shown.objective, shown.question or None, wish.target)
    if voice.key == OTHER and shown.objective in SPOKEN:
        if not voice.differentiable and attack.name != "square":
            raise AimError(
                f"{voice.name} lets no gradient through to the picture. Take the attack Square, which needs none, or "
                "attack what CLIP sees and look how far that carries over."
            )
        states = models.steps_on_card(attacked, OTHER, given, attack, aimed, shown.longest)
    else:
        states = attacked(models, EMBEDDED, given, attack, aimed, shown.longest)
    started = time.perf_counter()
    for state in states:
        shown.step, shown.steps = state.step, state.steps
        shown.attack_seconds = time.perf_counter() - started
        yield state
    shown.cut = shown.step < shown.steps


def attacked(
    models: Models, vlm: str, given: Tensor, attack: Attack, aimed: tuple[str, str | None, str | None], longest: float
) -> Iterator[State]:
    """An attack's states, ended after `longest` seconds. aimed: objective, question, target, see `make_aim`."""
    objective, question, target = aimed
    aim = make_aim(models, given, objective, question=question, target=target, vlm=vlm)
    yield from in_time(attack, given, aim.objective, longest)


def in_time(attack: Attack, pixels: Tensor, objective: Objective, longest: float = LONGEST) -> Iterator[State]:
    """An attack's states, ended after `longest` seconds."""
    started = time.perf_counter()
    for state in attack_steps(attack, pixels, objective):
        yield state
        if time.perf_counter() - started > longest:
            return


def last_in_time(attack: Attack, pixels: Tensor, objective: Objective) -> State:
    """The last of these states."""
    return deque(in_time(attack, pixels, objective), maxlen=1)[0]


def _add(shown: Exhibit, which: Which, pixels: Tensor, models: Models) -> None:
    shown.pictures[which] = to_array(pixels)
    eye = shown.wish.eye and which == "purified" and not shown.unchanged
    clean = shown.said.get("clean")
    given = (shown.voice.key, eye, pixels, shown.question, clean, which == "clean")
    shown.said[which] = models.on_card(listen, *given) if shown.voice.key == OTHER else listen(models, *given)


@torch.no_grad()
def listen(
    models: Models, key: str, eye: bool, pixels: Tensor, question: str, clean: Said | None, is_clean: bool
) -> Said:
    """What a voice says of a picture [1, 3, H, W]. eye: whether by the eye for purified pictures, which the
    embedded model has. clean: what it said of the clean one, to be compared with; this one itself if `is_clean`."""
    speaker = models.vlm_named(key) if key == OTHER else models.speaker(eye=eye)
    visual = speaker.see(pixels)
    caption = speaker.caption_seen(visual)[0].text
    answer = speaker.answer_seen(visual, [question])[0] if question else None
    said = Said(caption, answer.spoken, answer.text, answer.sure) if answer else Said(caption)
    clean = said if is_clean else clean
    if clean is None:
        return said
    words, captioned = len(clean.told.split()), clean.told == clean.caption
    asked = CAPTION_PROMPT if captioned else question
    score = float(speaker.score(visual, [asked], [clean.told])[0])
    return replace(said, likelihood=math.exp(score / max(1, words + captioned)))


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
