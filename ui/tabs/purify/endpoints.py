"""The endpoints of the Purify tab for programs: purify, attack and ask; and their errors in words,
which the tab uses, too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from causalclip.images.loading import load_image
from causalclip.languages import _
from purifier.choices import ATTACK_CHOICES, OBJECTIVE_TITLES
from purifier.models import Models
from purifier.vlm.interface import EmptyQuestion
from ui.errors import errors_as_sentences, explain
from ui.fields import add_endpoint, save_png, sent_path, upload_path
from ui.jobs import Job, run_job
from ui.places import MODEL, PICTURES, PURIFICATIONS, Priority

if TYPE_CHECKING:
    from torch import Tensor

    from purifier.request import Request

MAX_TEXT = 200  # characters of a text, as on the page


def add_endpoints(models: Models, picture: gr.Image) -> None:
    """Add the endpoints to the current Blocks; they read the tab's picture field and hidden fields
    of their own."""
    options: dict[str, Any] = {"visible": False}
    file = gr.Image(type="filepath", format="png", interactive=False, **options)
    facts = gr.JSON(**options)
    steps = gr.Number(1, label="steps", **options)
    seed = gr.Number(0, label="seed", **options)
    always = gr.Checkbox(False, label="always", **options)
    question = gr.Textbox("", label="question", max_length=MAX_TEXT, **options)
    target = gr.Textbox("", label="target", max_length=MAX_TEXT, **options)
    objective = gr.Dropdown(list(OBJECTIVE_TITLES), value="caption", label="objective", **options)
    attack = gr.Dropdown(list(ATTACK_CHOICES), value="pgd", label="attack", **options)
    eps = gr.Number(8, label="eps", **options)
    attack_steps = gr.Number(20, label="steps", **options)
    lora_encoder = gr.Checkbox(False, label="lora_encoder", **options)
    api = PurifyApi(models)
    attack_inputs = [picture, attack, eps, attack_steps, objective, question, target, seed]
    add_endpoint(api.purify, [picture, steps, always], [file, facts])
    add_endpoint(api.attack, attack_inputs, [file, facts])
    add_endpoint(api.ask, [picture, question, lora_encoder], [facts])


class PurifyApi:
    """One method an endpoint. Errors are sentences."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def purify(
        self, picture: dict[str, Any] | None, steps: float = 1, always: bool = False
    ) -> tuple[str, dict[str, Any]]:
        """Takes an attack out of a picture. steps: 1 to 5. always: whether to purify a picture in
        which no attack is found, too; otherwise it comes back unchanged.

        Returns the purified picture as PNG, and its size and the seconds that it took.
        """

        def work(job: Job[tuple[str, dict[str, Any]]]) -> tuple[str, dict[str, Any]]:
            from purifier.request import Request

            # Who waits holds no pixels yet.
            with job.enter(PURIFICATIONS, Priority.ATTACK):
                pixels = _pixels(job, picture)
                request = Request(steps=_steps(steps), always=bool(always))
                start = time.perf_counter()
                parts = self.models.purify_in_parts(pixels, request)
                *_parts, result = job.step(MODEL, Priority.ATTACK, parts)
                assert result is not None
                seconds = time.perf_counter() - start
            facts = {"seconds": round(seconds, 3), "steps": request.steps}
            return _file(result, "purified", picture), facts

        with _sentences(self.models):
            return run_job(work)

    def attack(
        self,
        picture: dict[str, Any] | None,
        attack: str = "pgd",
        eps: float = 8,
        steps: float = 20,
        objective: str = "caption",
        question: str = "",
        target: str = "",
        seed: float = 0,
    ) -> tuple[str, dict[str, Any]]:
        """Moves a picture inside a budget so that a model is misled.

        attack, objective: their names; an objective "answer" needs a question. eps: the largest
        change of a value, in 1/255. target: what shall be said; empty is anything else.
        The same seed gives the same picture, on the page and by `purifier attack`, too. At most 100
        steps are made, fewer of a picture of more than a million pixels. Returns the attacked
        picture as PNG; success, before, after, linf, steps done.
        """

        def work(job: Job[tuple[str, dict[str, Any]]]) -> tuple[str, dict[str, Any]]:
            from purifier.request import Request
            from purifier.scenario import limit_steps, make_attack

            with job.enter(PURIFICATIONS, Priority.ATTACK):
                pixels = _pixels(job, picture)
                settings = make_attack(attack, eps or 0, int(steps or 0), int(seed or 0))
                request = Request(
                    attack=limit_steps(settings, pixels),
                    objective=objective,
                    question=question or "",
                    target=target,
                )
                adversarial, facts = self._attack(job, pixels, request)
            return _file(adversarial, "attacked", picture), facts

        with _sentences(self.models):
            return run_job(work)

    def _attack(
        self, job: Job[Any], pixels: Tensor, request: Request
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return the attacked pixels, and what came of it."""
        from purifier.attacks import attack_steps
        from purifier.attacks.goals import make_goal

        assert request.attack is not None
        with job.enter(MODEL, Priority.ATTACK):
            goal = make_goal(self.models, pixels, request)
        states = attack_steps(request.attack, pixels, goal.objective)
        for state in job.step(MODEL, Priority.ATTACK, states):
            adversarial = state.rounded()
        with job.enter(MODEL, Priority.ATTACK):
            outcome = goal.outcome(pixels, adversarial)
        return adversarial, outcome | {"steps": state.step}

    def ask(
        self, picture: dict[str, Any] | None, question: str | None = "", lora_encoder: bool = False
    ) -> dict[str, Any]:
        """Asks the embedded model about a picture. lora_encoder: whether through the encoder that
        is adapted to purified pictures.

        Returns its caption, and where there is a question its answer, confidence, and whether it is
        sure.
        """

        def work(job: Job[dict[str, Any]]) -> dict[str, Any]:
            with job.enter(PURIFICATIONS, Priority.ATTACK):
                pixels = _pixels(job, picture)
                speaker = self.models.speaker(lora_encoder=bool(lora_encoder))
                with job.enter(MODEL, Priority.ATTACK):
                    facts: dict[str, Any] = {"caption": speaker.caption(pixels)[0].text}
                    if question and question.strip():
                        answer = speaker.answer(pixels, question)[0]
                        facts |= {
                            "answer": answer.text,
                            "confidence": round(answer.confidence, 4),
                            "sure": answer.sure,
                        }
            return facts

        with _sentences(self.models):
            return run_job(work)


def reason(error: Exception) -> tuple[str, str]:
    """Return an error as a title and a sentence for the user."""
    from purifier.attacks.goals import GoalError

    if isinstance(error, GoalError | EmptyQuestion):
        return _("This cannot be done"), str(error)
    return explain(error)


@contextmanager
def _sentences(models: Models) -> Iterator[None]:
    """Wait until the models may be used; inside a `with`, raise errors as sentences."""
    models.wait()
    with errors_as_sentences(reason):
        yield


def _steps(steps: float | None) -> int:
    """Return the purifier's steps; raise gr.Error for a number that it does not take."""
    from purifier.denoiser.pipeline import MAX_STEPS

    if steps is None or not 1 <= steps <= MAX_STEPS:
        raise gr.Error(
            _("The purifier takes 1 to {most} steps.", most=MAX_STEPS), print_exception=False
        )
    return int(steps)


def _pixels(job: Job[Any], picture: dict[str, Any] | None) -> Tensor:
    """Return the pixels of an upload; raise gr.Error without one."""
    from purifier.pixels import to_tensor

    path = sent_path(picture)
    with job.enter(PICTURES, Priority.ATTACK):
        return to_tensor(load_image(path).pixels)


def _file(pixels: Tensor, name: str, picture: dict[str, Any] | None) -> str:
    """Write pixels that were made of an upload as PNG where Gradio serves it; return the path."""
    from purifier.pixels import to_array

    return save_png(Image.fromarray(to_array(pixels)), name, upload_path(picture) or "")
