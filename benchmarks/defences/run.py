"""Measures every defence (a row) against every attack (a column), on the same pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from benchmarks.defences.outcomes import (
    Outcome,
    OutcomeTable,
    detector_on_purified,
    kept_picture,
    paired,
    summarise,
)
from benchmarks.defences.samples import Sample, load_captions, load_samples
from benchmarks.defences.table import (
    COLUMNS,
    COMPARISONS,
    Column,
    Raises,
    Row,
    attacker_objective,
    build_rows,
    jpeg,
)
from causalclip.device import choose_device
from purifier.attacks import Attack, attack_steps, run_attack
from purifier.attacks.budget import to_levels
from purifier.attacks.objectives import change_answer, change_caption, force_caption
from purifier.models import Models
from purifier.vlm.hub import load_vlm, read_prompt
from purifier.vlm.interface import EMBEDDED

Log = Callable[[str], Any]
CHECK_EVERY = 5  # steps, after which an adaptive attacker looks at what he has
SEED_STRIDE = 1000  # between the seeds of an attack's starts, so that repetitions share none
CAPTIONED = ("captions", "cider", "cider_interval")  # what of a cell is measured on captions
# draws of a random defence that must all give another answer before the attacker stops
SURE_DRAWS = 8


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """What is measured.

    Attributes:
        pictures: of cheap columns, a seed. costly: of adaptive ones.
        seeds: repetitions, each with other questions and starts; adaptive columns take the first
            alone.
        rows, columns: names; empty for all.
        captions: whether to caption too.
        with_questions: False asks no question: captions alone are attacked and measured.
        compared: the folder of the compared recipes' models.
        verdicts: pictures, of each kind, shown to the detector. attacked: of those, also attacked.
        vlm: which model is attacked and asked: "embedded", a model of the hub, or a folder.
        prompt: a file with a defence prompt for a model of the hub; "" for none.
        device: where all of it runs: "auto", "cpu" or "cuda".
    """

    pictures: int = 200
    costly: int = 100
    seeds: int = 3
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    captions: bool = True
    with_questions: bool = True
    compared: str = ".cache/purifier"
    verdicts: int = 100
    attacked: int = 50
    vlm: str = EMBEDDED
    prompt: str = ""
    device: str = "cpu"


def evaluate_defences(
    config: EvaluationConfig,
    *,
    data: Path | None,
    forensics: Path | None = None,
    models: Models | None = None,
    keep: Path | None = None,
    made: Path | None = None,
    earlier: dict[str, Any] | None = None,
    log: Log = lambda _: None,
) -> dict[str, Any]:
    """Measure every row against every column.

    What is measured stays in `keep`, a table NAME.csv, and is not measured again; the report is of
    all that is there.

    Args:
        data: a folder as `benchmarks.defences.samples` describes.
        forensics: a folder with manifest.csv, of real and generated pictures; None shows the
            detector nothing.
        models: the shipped ones if None.
        made: a folder of attacked pictures, which are taken from it or added.
        earlier: an earlier report. Its cells are kept where nothing new was measured or they rest
            on more questions; its `detector` is kept where `forensics` is None. What a person has
            written beside them, such as a `note`, stays.
        log: is given a line of progress for every picture.

    Returns:
        `date`, `data`, `model`, `threats`, `cells` (a list, one a row and column), `paired` (see
        `outcomes.paired`), `detector` (None without `forensics` and `earlier`).

    Raises:
        FileNotFoundError: the data is missing, or a model's weights are.
        ValueError: a row or a column is unknown.
    """
    if data is None:
        raise FileNotFoundError(
            "Give the pictures to measure on: --data, a folder with coco.jsonl and daquar.jsonl, "
            "or with VQAv2's and COCO's files."
        )

    # 1. The model, the rows, the columns and people's captions
    device = choose_device(config.device)
    models = (models or Models()).to(device)
    vlm = _load_model(config, models).to(device)
    rows = _select(build_rows(models, vlm, compared=Path(config.compared)), config.rows, "row")
    columns = _select(COLUMNS, config.columns, "column")
    captions = load_captions(data)
    if not vlm.differentiable:
        log("This model lets no gradient through: only attacks that need none are made.")
        columns = [c for c in columns if not c.attack or not c.attack.attacker.needs_gradient]

    # 2. Every picture
    outcome_table = OutcomeTable(keep)
    for seed in range(config.seeds):
        samples = load_samples(
            data, count=config.pictures, seed=seed, with_questions=config.with_questions
        )
        for i, sample in enumerate(samples):
            log(f"seed {seed}, picture {i + 1} of {len(samples)}")
            subject = Subject.of(sample, vlm, device)
            for column in columns:
                if not column.adaptive or (seed == 0 and i < config.costly):
                    _measure(
                        subject,
                        column,
                        rows,
                        seed,
                        outcome_table,
                        made,
                        want_captions=config.captions,
                    )

    # 3. Means and comparisons
    cells = [cell for column in columns for cell in _cells(column, rows, outcome_table, captions)]
    pairs = [
        pair
        for column in columns
        for pair in paired(column.name, outcome_table.all(column.name), COMPARISONS)
    ]
    verdicts = (earlier or {}).get("detector")
    if earlier:
        cells = _with_captions(_merged(cells, earlier["cells"], by=("row", "column")), cells)
        pairs = _merged(pairs, earlier.get("paired", []), by=("row", "against", "column"))

    # 4. The detector on what was purified
    if forensics and config.verdicts:
        verdicts = detector_on_purified(models, forensics, config.verdicts, config.attacked)
    threats = {
        c.name: {"threat": c.threat, "trained on": c.seen, "eps": c.attack and c.attack.eps}
        for c in COLUMNS
    }
    return (earlier or {}) | {
        "date": datetime.now(UTC).date().isoformat(),
        "data": f"{data.name}, test splits",
        "model": config.vlm,
        "threats": threats,
        "cells": cells,
        "paired": pairs,
        "detector": verdicts,
    }


def _load_model(config: EvaluationConfig, models: Models) -> Any:
    if config.vlm == EMBEDDED:
        return models.vlm
    return load_vlm(config.vlm, prefix=read_prompt(config.prompt) if config.prompt else "")


@dataclass(slots=True)
class Subject:
    """A picture under test, and what the model says of it when nobody attacks.

    Attributes:
        vlm: the model without a defence.
        pixels: of the clean picture, [1, 3, H, W], on the model's device.
        question: "" where the picture has none, or the model only captions.
    """

    sample: Sample
    vlm: Any
    pixels: Tensor
    question: str
    _responses: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sample: Sample, vlm: Any, device: torch.device) -> "Subject":
        """Return a sample as this model can be asked about it."""
        return cls(sample, vlm, sample.pixels.to(device), sample.question if vlm.asks else "")

    @property
    def answer(self) -> str:
        """The model's answer about the clean picture; its caption where nothing is asked."""
        return self._response(self.question)

    @property
    def caption(self) -> str:
        """The model's caption of the clean picture."""
        return self._response("")

    def _response(self, question: str) -> str:
        """Ask the model once, and remember what it says."""
        if question not in self._responses:
            self._responses[question] = respond(self.vlm, self.pixels, question)
        return self._responses[question]

    def goal(self, column: Column) -> Raises:
        """Return what an attacker of this column raises of a model."""
        if column.sentence:
            return lambda speaker: force_caption(speaker, [column.sentence])
        if column.on_caption or not self.question:
            return lambda speaker: change_caption(speaker, [self.caption])
        return lambda speaker: change_answer(speaker, [self.question], [self.answer])


@torch.no_grad()
def respond(vlm: Any, pixels: Tensor, question: str) -> str:
    """Return a model's answer about a picture [1, 3, H, W], its caption without a question."""
    responses = vlm.answer(pixels, question) if question else vlm.caption(pixels)
    return str(responses[0].text)


def _measure(
    subject: Subject,
    column: Column,
    rows: list[Row],
    seed: int,
    outcome_table: OutcomeTable,
    made: Path | None,
    *,
    want_captions: bool,
) -> None:
    """Measure those rows of a column that the table does not hold yet, and add them to it."""
    name = subject.sample.name
    existing = outcome_table.get(column.name, seed, name)
    missing = [row for row in rows if row.name not in existing]
    outcomes = {}

    # An `after` column attacks only what the earlier column did not change; the others keep their
    # outcome.
    if column.after:
        earlier = outcome_table.get(column.after, seed, name)
        missing = [row for row in missing if row.name in earlier]
        already_changed = [row for row in missing if not earlier[row.name].agrees]
        outcomes = {row.name: earlier[row.name] for row in already_changed}
        missing = [row for row in missing if earlier[row.name].agrees]

    if missing:
        outcomes |= _measure_rows(subject, column, missing, seed, made, want_captions=want_captions)
    if outcomes:
        outcome_table.put(column.name, seed, name, outcomes)


def _measure_rows(
    subject: Subject,
    column: Column,
    rows: list[Row],
    seed: int,
    made: Path | None,
    *,
    want_captions: bool,
) -> dict[str, Outcome]:
    """Attack a picture as the column says, and return the outcome of every row to which the column
    applies, by the row's name."""
    # 1. The attacked picture: one for all rows, or one for each where the attack is adaptive
    goal = subject.goal(column)
    attacked_picture = None
    row_pictures: list[tuple[Row, Tensor]] = []
    attacked_once: dict[tuple[Any, Any], Tensor] = {}  # by defence and who reads behind it
    for row in rows:
        objective = attacker_objective(column, row, goal)
        if objective is None:
            continue
        if column.attack is None:
            attacked_picture = subject.pixels
        elif column.adaptive:
            attack = replace(column.attack, seed=seed)
            answer = DefendedAnswer(row, subject.question, subject.answer)
            starts = 1 if row.random else column.starts
            key = row.defend, row.lora_vlm
            if key not in attacked_once:
                attacked_once[key] = attack_until(
                    attack, subject.pixels, objective, answer.is_changed, starts=starts
                )
            attacked_picture = attacked_once[key]
        elif attacked_picture is None:
            attacked_picture = _grey_box_picture(subject, column, seed, made)
        row_pictures.append((row, attacked_picture))

    # 2. What the models say of it
    caption_counts = column.sentence or column.on_caption
    caption = bool(caption_counts or (want_captions and subject.sample.captions))
    drawn = [
        (replace(row, name=f"{row.name}, draw {draw}"), picture)
        for row, picture in row_pictures
        for draw in range(row.draws)
    ]
    of_draws = _outcomes(drawn, subject, want_captions=caption)

    # 3. One outcome of a row whose defence was drawn several times
    return {
        row.name: _over_draws(
            row, [of_draws[f"{row.name}, draw {draw}"] for draw in range(row.draws)]
        )
        for row, _ in row_pictures
    }


def _over_draws(row: Row, outcomes: list[Outcome]) -> Outcome:
    """Return the first draw's outcome with what all draws say of the answer."""
    agrees, right = row.over([o.agrees for o in outcomes]), row.over([o.right for o in outcomes])
    return replace(outcomes[0], agrees=bool(agrees), right=float(right))


def _grey_box_picture(subject: Subject, column: Column, seed: int, made: Path | None) -> Tensor:
    """Return the picture attacked without knowing a defence, made once for all of them."""
    assert column.attack is not None
    attack = replace(column.attack, seed=seed)
    if column.on_caption or not subject.question:
        goal = f"caption {subject.caption}"
    else:
        goal = column.sentence or f"{subject.question} {subject.answer}"
    make = partial(run_attack, attack, subject.pixels, subject.goal(column)(subject.vlm))
    key = f"{attack} {subject.sample.name} {goal}"
    attacked_picture = kept_picture(made, key, make).to(subject.pixels)
    return jpeg(attacked_picture, column.saved) if column.saved else attacked_picture


@dataclass(frozen=True, slots=True)
class DefendedAnswer:
    """The answer about a picture behind a row's defence, beside the one about the clean picture."""

    row: Row
    question: str
    clean_answer: str

    @torch.no_grad()
    def is_changed(self, picture: Tensor) -> bool:
        """Whether the answer about a picture [1, 3, H, W] is another one than about the clean one;
        where the defence is random, whether it is in all of SURE_DRAWS draws."""
        draws = SURE_DRAWS if self.row.random else 1
        return all(self._answer(picture) != self.clean_answer for _ in range(draws))

    def _answer(self, picture: Tensor) -> str:
        """Return what is said of a picture behind the defence, drawn anew where it is random."""
        shown = to_levels(self.row.defend(picture))
        return respond(self.row.speaks_of(shown, picture), shown, self.question)


def attack_until(
    attack: Attack,
    pixels: Tensor,
    objective: Any,
    succeeds: Callable[[Tensor], bool],
    *,
    starts: int = 1,
) -> Tensor:
    """Attack a picture until the attack succeeds or the last step of the last start is done, and
    return the attacked picture.

    What an attacker who has what he wants does next tells nothing of the defence (AutoAttack, arXiv
    2003.01690, goes on with the pictures that still hold); to stop spares most of the cost.

    Args:
        pixels: float [1, 3, H, W] in [0, 1].
        succeeds: is asked about the attacked picture every CHECK_EVERY steps.
        starts: how often to begin anew; each start has a seed of its own.
    """
    for start in range(starts):
        attack_from_start = replace(attack, seed=attack.seed + SEED_STRIDE * start)
        for state in attack_steps(attack_from_start, pixels, objective):
            attacked_picture = state.rounded()
            if state.step % CHECK_EVERY == 0 and succeeds(attacked_picture):
                return attacked_picture
    return attacked_picture


@torch.no_grad()
def _outcomes(
    row_pictures: list[tuple[Row, Tensor]], subject: Subject, *, want_captions: bool
) -> dict[str, Outcome]:
    """Defend each row's picture, and let each model speak once about all that it is shown.

    Returns:
        The outcome of each row, by the row's name.
    """
    # 1. Defend
    defended_pictures, speakers = {}, {}
    for row, picture in row_pictures:
        defended_pictures[row.name] = to_levels(row.defend(picture))
        speakers[row.name] = row.speaks_of(defended_pictures[row.name], picture)

    # 2. See, which is most of the cost; many rows show the same
    features: dict[str, Tensor] = {}
    for name, picture in defended_pictures.items():
        same = (
            features[other]
            for other in features
            if speakers[other] is speakers[name] and torch.equal(defended_pictures[other], picture)
        )
        known = next(same, None)
        features[name] = speakers[name].see(picture) if known is None else known

    # 3. Ask
    outcomes = {}
    for speaker in {id(s): s for s in speakers.values()}.values():
        names = [name for name, its in speakers.items() if its is speaker]
        visual = torch.cat([features[name] for name in names])
        captions: list[str | None] = [None] * len(names)
        if want_captions or not subject.question:
            captions = [caption.text for caption in speaker.caption_seen(visual)]
        answers = captions
        if subject.question:
            questions = [subject.question] * len(names)
            answers = [answer.text for answer in speaker.answer_seen(visual, questions)]
        for name, answer, caption in zip(names, answers, captions, strict=True):
            outcomes[name] = Outcome(
                agrees=answer == subject.answer,
                right=subject.sample.accuracy(answer or "") if subject.question else 0.0,
                caption=caption,
                shown=defended_pictures[name],
                clean=subject.pixels,
            ).measured()
    return outcomes


def _cells(
    column: Column,
    rows: list[Row],
    outcome_table: OutcomeTable,
    captions: dict[str, tuple[str, ...]],
) -> Iterator[dict[str, Any]]:
    """Yield a summary for every row of a column with an outcome; where the attacker wants a
    sentence, with `said`, how often it is the caption.

    Args:
        captions: people's, by the picture's name.
    """
    outcomes_of_column = outcome_table.all(column.name)
    for row in rows:
        outcomes_of_row = {
            key: outcomes[row.name]
            for key, outcomes in outcomes_of_column.items()
            if row.name in outcomes
        }
        if outcomes_of_row:
            seeds_and_pictures = [key.split(maxsplit=1) for key in outcomes_of_row]
            references = [captions[picture] for _, picture in seeds_and_pictures]
            seeds = len({seed for seed, _ in seeds_and_pictures})
            cell: dict[str, Any] = {"row": row.name, "column": column.name}
            cell |= summarise(list(outcomes_of_row.values()), references, seeds=seeds)
            if column.sentence:
                cell["said"] = round(
                    fmean(o.caption == column.sentence for o in outcomes_of_row.values()), 4
                )
            yield cell


def _merged(
    new: list[dict[str, Any]], earlier: list[dict[str, Any]], *, by: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return new and earlier cells, in the order of the earlier ones; of two with the same values
    of the keys `by`, the one that rests on more questions, else the new one."""
    cells = {tuple(cell[name] for name in by): cell for cell in earlier}
    for cell in new:
        key = tuple(cell[name] for name in by)
        if key not in cells or cell["n"] >= cells[key]["n"]:
            cells[key] = cell
    return list(cells.values())


def _with_captions(
    cells: list[dict[str, Any]], measured: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the cells with the captions of what was measured now, where these are more."""
    new_cells = {(cell["row"], cell["column"]): cell for cell in measured}
    for cell in cells:
        new = new_cells.get((cell["row"], cell["column"]), cell)
        if new["captions"] > cell["captions"]:
            cell |= {name: new[name] for name in CAPTIONED if name in new}
    return cells


def _select(things: Any, names: tuple[str, ...], what: str) -> list[Any]:
    """Return the rows or columns of these names, all without names; ValueError for an unknown
    one."""
    choices = [thing.name for thing in things]
    for name in names:
        if name not in choices:
            raise ValueError(f"There is no {what} {name!r}. There are: {', '.join(choices)}.")
    return [thing for thing in things if not names or thing.name in names]
