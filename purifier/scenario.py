"""One picture attacked, purified and asked about: everything that the Purify tab shows, stage by
stage."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.languages import _
from purifier.attacks import Attack, State, attack_steps
from purifier.attacks.goals import GoalError, make_goal
from purifier.models import ModelInfo, Models
from purifier.pixels import to_array, to_tensor
from purifier.vlm.interface import EMBEDDED, OTHER

if TYPE_CHECKING:
    from purifier.vlm.model import EmbeddedVLM

Which = Literal["clean", "adversarial", "purified"]
OWN_WORDS = "answer", "caption"  # objectives that are of the model that answers
AMPLIFIED = 10  # times, of the pictures of differences; fixed, so that two of them can be compared
# of an attack here, on a picture of a million pixels or less; of a larger one, fewer
MOST_STEPS = 100
# the same through another model than the embedded one, which takes seconds a step on a processor
MOST_STEPS_OTHER = 10
ALIKE = 0.75  # from which cosine on two captions count as saying the same
STOP_WORDS = {"a", "an", "the", "his", "her", "its", "their", "and", "is", "are"}
STOP_WORDS |= {"of", "in", "on", "at", "to", "with", "by", "for"}


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What is to be done with a picture.

    question: "" asks for captions alone. steps: of the purifier. always: whether it purifies what
    it takes for clean, too. without: fields of denoiser.pipeline.Stages that are off; without
    "encoder", the model does not see a purified picture by the LoRA encoder either. attack: None
    takes the picture as it is. objective, target: of the attack (see attacks.objectives). vlm:
    which model answers, EMBEDDED or OTHER.
    """

    question: str = ""
    steps: int = 1
    always: bool = False
    without: tuple[str, ...] = ()
    attack: Attack | None = None
    objective: str = "answer"
    target: str | None = None
    vlm: str = EMBEDDED


@dataclass(frozen=True, slots=True)
class DemoResponse:
    """What the model says of one picture: its caption; its answer as it is shown and as it was
    said, "" without a question; whether it is sure of that, and how confident, in [0, 1]; None
    without a question. alike: how near its caption is in meaning to the clean picture's, or where
    there is none to that of the picture as given; see `likeness`."""

    caption: str
    spoken: str = ""
    answer: str = ""
    sure: bool = True
    confidence: float | None = None
    alike: float | None = None

    def same_caption(self, clean: "DemoResponse") -> bool:
        """Whether the caption says what the clean picture's does: by meaning, where that was
        compared."""
        return _plain(self.caption) == _plain(clean.caption) or (
            self.alike is not None and self.alike >= ALIKE
        )

    def same_answer(self, clean: "DemoResponse") -> bool:
        """Whether the answer is the clean picture's, and as sure; case and full stops do not
        count."""
        return self.sure == clean.sure and _plain(self.answer) == _plain(clean.answer)


def _plain(text: str) -> str:
    return text.lower().strip(" .!")


@dataclass(slots=True)
class DemoRun:
    """pictures: uint8 [H, W, 3]; "clean" is there only if the attack was made here. said: of the
    same, by `model`. step, steps, attack_seconds: of the attack. change: its largest, in 1/255.
    seconds: of the purification.
    """

    request: DemoRequest
    model: ModelInfo = field(default_factory=ModelInfo)
    pictures: dict[Which, np.ndarray] = field(default_factory=dict)
    said: dict[Which, DemoResponse] = field(default_factory=dict)
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
    def complete(self) -> bool:
        return "purified" in self.said

    @property
    def question(self) -> str:
        """What is asked: nothing of a model that only captions."""
        return self.request.question.strip() if self.model.asks else ""

    @property
    def objective(self) -> str:
        """What the attack is on: the caption where there is no answer."""
        chosen = self.request.objective
        return "caption" if chosen == "answer" and not self.question else chosen

    @property
    def attacked(self) -> str:
        """Which model is attacked, EMBEDDED or OTHER."""
        return self.model.key if self.objective in OWN_WORDS else EMBEDDED


def run_demo(models: Models, pixels: np.ndarray, request: DemoRequest) -> Iterator[DemoRun]:
    """Yields the same object after every stage: each step of the attack, what is said before and
    after, the purified.

    Args:
        pixels: uint8 [H, W, 3].

    Raises:
        GoalError: the attack cannot be made as asked. ImageTooLarge, WeightsMissing: as they say.
    """
    run, given = DemoRun(request, models.info(request.vlm)), to_tensor(pixels)
    moved = given
    if request.attack:
        run.steps = limited(request.attack, given, run.attacked).steps
        _add(run, "clean", given, models)
        yield run
        for state in _attack(models, given, request.attack, run):
            moved = state.rounded()
            yield run
        run.change = float((moved - given).abs().max() * 255)
    _add(run, "adversarial", moved, models)
    yield run
    started = time.perf_counter()
    purified = models.purify(moved, request.steps, always=request.always, without=request.without)
    run.seconds = time.perf_counter() - started
    _add(run, "purified", purified, models)
    yield run


def _attack(models: Models, given: Tensor, attack: Attack, run: DemoRun) -> Iterator[State]:
    model = run.model
    key = run.attacked
    if key == OTHER and not model.differentiable and attack.attacker.needs_gradient:
        raise GoalError(
            _(
                "{name} lets no gradient through to the picture. Take the attack Square, which "
                "needs none, or attack what CLIP sees and look how far that carries over.",
                name=model.name,
            )
        )
    goal = (run.objective, run.question or None, run.request.target)
    asked = (key, given, limited(attack, given, key), goal)
    states = (
        models.steps_on_card(attack_states, *asked)
        if key == OTHER
        else attack_states(models, *asked)
    )
    started = time.perf_counter()
    for state in states:
        run.step, run.steps = state.step, state.steps
        run.attack_seconds = time.perf_counter() - started
        yield state


def attack_states(
    models: Models,
    key: str,
    given: Tensor,
    attack: Attack,
    goal: tuple[str, str | None, str | None],
) -> Iterator[State]:
    """An attack's states. key: of the model that is attacked. goal: objective, question, target,
    see `make_goal`."""
    objective, question, target = goal
    raised = make_goal(
        models, given, objective, question=question, target=target, vlm=key
    ).objective
    yield from attack_steps(attack, given, raised)


def limited(attack: Attack, pixels: Tensor, key: str = EMBEDDED) -> Attack:
    """The same attack with as many steps as are made here at most: a number that no load of the
    server changes, so that the same seed gives the same picture. pixels: [N, 3, H, W]. key: of the
    model that is attacked."""
    most = MOST_STEPS_OTHER if key == OTHER and not torch.cuda.is_available() else MOST_STEPS
    fewer = int(most * min(1.0, 1e6 / (pixels.shape[-2] * pixels.shape[-1])))
    return replace(attack, steps=max(1, min(attack.steps, fewer)))


def ask_again(models: Models, run: DemoRun, question: str) -> dict[Which, DemoResponse]:
    """What the same model says to another question about each of the pictures; nothing is attacked
    or purified."""
    return {
        which: _response(models, run, which, to_tensor(pixels), question.strip())
        for which, pixels in run.pictures.items()
    }


def _add(run: DemoRun, which: Which, pixels: Tensor, models: Models) -> None:
    run.pictures[which] = to_array(pixels)
    said = _response(models, run, which, pixels, run.question)
    first = run.said.get("clean") or run.said.get("adversarial")
    alike = likeness(models.vlm, said.caption, first.caption) if first else None
    run.said[which] = replace(said, alike=alike)


def _response(
    models: Models, run: DemoRun, which: Which, pixels: Tensor, question: str
) -> DemoResponse:
    adapted = "encoder" not in run.request.without and which == "purified" and not run.unchanged
    given = (run.model.key, adapted, pixels, question)
    said: DemoResponse = (
        models.on_card(respond, *given) if run.model.key == OTHER else respond(models, *given)
    )
    return said


@torch.no_grad()
def respond(models: Models, key: str, adapted: bool, pixels: Tensor, question: str) -> DemoResponse:
    """What a model says of a picture [1, 3, H, W]. adapted: whether the embedded one sees by the
    LoRA encoder."""
    speaker = models.vlm_of(key) if key == OTHER else models.speaker(eye=adapted)
    visual = speaker.see(pixels)
    caption = speaker.caption_seen(visual)[0].text
    answer = speaker.answer_seen(visual, [question])[0] if question else None
    if answer is None:
        return DemoResponse(caption)
    return DemoResponse(
        caption, answer.spoken, answer.text, answer.sure, round(answer.confidence, 4)
    )


@torch.no_grad()
def likeness(model: "EmbeddedVLM", one: str, other: str) -> float:
    """Whether two captions mean about the same: the cosine in [-1, 1] of their mean word vectors; 1
    for the same text, 0 where one has no word of its own.

    The vectors are those of the embedded model's word pieces, which began as all-MiniLM-L6-v2's. It
    is a coarse
    measure: it hears which things are named, not their order, nor a "not", and one other word in a
    long caption moves it little. benchmarks/meaning.json says how often it errs.
    """
    if one == other:
        return 1.0
    vectors = model.language.get_input_embeddings().weight
    centre = vectors.mean(0)
    means = []
    for text in (one, other):
        words = [word.strip(".,!?") for word in text.lower().split()]
        told = " ".join(word for word in words if word and word not in STOP_WORDS)
        ids = model.vocabulary.tokenizer.encode(told, add_special_tokens=False).ids
        if not ids:
            return 0.0
        means.append((vectors[ids] - centre).mean(0))
    return float(F.cosine_similarity(means[0], means[1], dim=0))


def difference(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """ours - theirs, AMPLIFIED times, around mid-grey: uint8 [H, W, 3]."""
    change = ours.astype(np.int16) - theirs.astype(np.int16)
    return (128 + AMPLIFIED * change).clip(0, 255).astype(np.uint8)


def make_attack(name: str, eps: float, steps: int, seed: int = 0) -> Attack:
    """An attack within what the app allows.

    Raises:
        GoalError: a setting is outside.
    """
    if not 0 < eps <= 32 or not 1 <= steps <= 200:
        raise GoalError(
            _("The budget must be above 0 and at most 32 (of 255), and the steps 1 to 200.")
        )
    try:
        return Attack(name, eps=float(eps), steps=int(steps), seed=int(seed))
    except ValueError as error:
        raise GoalError(str(error)) from None
