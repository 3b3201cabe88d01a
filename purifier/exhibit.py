"""One picture attacked, purified and asked about: everything that the Purify tab shows, stage by stage."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from causalclip.languages import _
from purifier.aims import AimError, make_aim
from purifier.attacks import Attack, State, attack_steps
from purifier.meaning import ALIKE, likeness
from purifier.models import Models, Voice
from purifier.names import EMBEDDED, OTHER
from purifier.pace import within
from purifier.pixels import to_array, to_tensor
from purifier.vlm import CAPTION_PROMPT

Which = Literal["clean", "adversarial", "purified"]
LONGEST = 20.0  # seconds that an attack may take here, by what a step of it was measured to cost
LONGEST_OTHER = 60.0  # the same through another model than the embedded one, whose steps take seconds on a processor
SPOKEN = "answer", "caption"  # objectives that are of the model that speaks
AMPLIFIED = 10  # times, of the pictures of differences; fixed, so that two of them can be compared


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done with a picture.

    question: "" asks for captions alone. steps: of the purifier. always: whether it purifies what it takes for clean,
    too. eye: whether the adapted encoder looks where the purifier changed one. attack: None takes the
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
    answer, if it is sure of it there, else the caption, a word; None without an attack. alike: how near its caption is
    in meaning to the clean picture's, or where there is none to that of the picture as given; see purifier.meaning."""

    caption: str
    spoken: str = ""
    answer: str = ""
    sure: bool = True
    likelihood: float | None = None
    alike: float | None = None

    @property
    def told(self) -> str:
        """What of it can be lost: the answer, if it is sure of it, else the caption."""
        return self.answer if self.answer and self.sure else self.caption

    def same_caption(self, clean: "Said") -> bool:
        """Whether the caption says what the clean picture's does: by meaning, where that was compared."""
        return _plain(self.caption) == _plain(clean.caption) or (self.alike is not None and self.alike >= ALIKE)

    def same_answer(self, clean: "Said") -> bool:
        """Whether the answer is the clean picture's; case and full stops do not count."""
        return _plain(self.answer) == _plain(clean.answer)

    def agrees(self, clean: "Said") -> bool:
        """Whether it says the same as of the clean picture; an answer counts only if that one was sure."""
        return self.same_caption(clean) and (self.same_answer(clean) or not clean.sure)


def _plain(text: str) -> str:
    return text.lower().strip(" .!")


@dataclass(slots=True)
class Exhibit:
    """pictures: uint8 [H, W, 3]; "clean" is there only if the attack was made here. said: of the same, by `voice`.
    step, steps, attack_seconds: of the attack. change: its largest, in 1/255. seconds: of the purification.
    """

    wish: Wish
    voice: Voice = field(default_factory=Voice)
    pictures: dict[Which, np.ndarray] = field(default_factory=dict)
    said: dict[Which, Said] = field(default_factory=dict)
    step: int = 0
    steps: int = 0
    attack_seconds: float = 0.0
    change: float = 0.0
    seconds: float = 0.0

    @property
    def unchanged(self) -> bool:
        """Whether purification left the picture as it was, to the bit."""
        given, purified = self.pictures.get("adversarial"), self.pictures.get("purified")
        return given is not None and purified is not None and np.array_equal(given, purified)

    @property
    def cut(self) -> bool:
        """Whether fewer steps were made than wished, because more would have taken too long."""
        return self.wish.attack is not None and 0 < self.steps < self.wish.attack.steps

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


def _attack(models: Models, given: Tensor, wished: Attack, shown: Exhibit) -> Iterator[State]:
    voice, wish = shown.voice, shown.wish
    aimed = (shown.objective, shown.question or None, wish.target)
    key = voice.key if shown.objective in SPOKEN else EMBEDDED
    if key == OTHER and not voice.differentiable and wished.name != "square":
        raise AimError(
            _(
                "{name} lets no gradient through to the picture. Take the attack Square, which needs none, or attack "
                "what CLIP sees and look how far that carries over.",
                name=voice.name,
            )
        )
    attack = within(models, key, shown.objective, wished, given, shown.longest)
    asked = (key, given, attack, aimed)
    states = models.steps_on_card(attacked, *asked) if key == OTHER else attacked(models, *asked)
    started = time.perf_counter()
    for state in states:
        shown.step, shown.steps = state.step, state.steps
        shown.attack_seconds = time.perf_counter() - started
        yield state


def attacked(
    models: Models, vlm: str, given: Tensor, attack: Attack, aimed: tuple[str, str | None, str | None]
) -> Iterator[State]:
    """An attack's states. aimed: objective, question, target, see `make_aim`."""
    objective, question, target = aimed
    aim = make_aim(models, given, objective, question=question, target=target, vlm=vlm)
    yield from attack_steps(attack, given, aim.objective)


def ask(models: Models, shown: Exhibit, question: str) -> dict[Which, Said]:
    """What the same voice says to another question about each of the pictures; nothing is attacked or purified."""
    said: dict[Which, Said] = {}
    for which, pixels in shown.pictures.items():
        said[which] = _heard(models, shown, which, to_tensor(pixels), question.strip(), said.get("clean"))
    return said


def _add(shown: Exhibit, which: Which, pixels: Tensor, models: Models) -> None:
    shown.pictures[which] = to_array(pixels)
    clean = shown.said.get("clean")
    said = _heard(models, shown, which, pixels, shown.question, clean)
    first = clean or shown.said.get("adversarial")
    alike = likeness(models.vlm, said.caption, first.caption) if first else None
    shown.said[which] = replace(said, alike=alike)


def _heard(models: Models, shown: Exhibit, which: Which, pixels: Tensor, question: str, clean: Said | None) -> Said:
    eye = shown.wish.eye and which == "purified" and not shown.unchanged
    given = (shown.voice.key, eye, pixels, question, clean, which == "clean")
    heard: Said = models.on_card(listen, *given) if shown.voice.key == OTHER else listen(models, *given)
    return heard


@torch.no_grad()
def listen(
    models: Models, key: str, eye: bool, pixels: Tensor, question: str, clean: Said | None, is_clean: bool
) -> Said:
    """What a voice says of a picture [1, 3, H, W]. eye: whether by the adapted encoder, which the
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
        raise AimError(_("The budget must be above 0 and at most 32 (of 255), and the steps 1 to 200."))
    try:
        return Attack(name, eps=float(eps), steps=int(steps), seed=int(seed))  # type: ignore[arg-type]
    except ValueError as error:
        raise AimError(str(error)) from None
