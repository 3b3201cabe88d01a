"""Runs the table: every row against every column, on the same pictures."""

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
CHECK = 5  # steps, after which an adaptive attacker looks at what he has
APART = 1000  # how far the seeds of an attack's starts lie apart, so that repetitions share none
SURE = 8  # draws of a random defence that must all give another answer before he stops


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """What is measured.

    Attributes:
        pictures: of cheap columns, a seed. costly: of adaptive ones.
        seeds: repetitions, each with other questions and starts; adaptive columns take the first
            alone.
        rows, columns: names; empty for all.
        captions: whether to caption too.
        asked: False asks no question: captions alone are attacked and measured.
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
    asked: bool = True
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
        data: see `samples`. made: a folder of attacked pictures, which are taken from it or added.
        earlier: a report, of which is taken over what is not measured now, or rests on more
            questions, and `detector` without `forensics`.

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
    # 1. The model, the rows and the columns
    device = choose_device(config.device)
    models = (models or Models()).to(device)
    vlm = _model(config, models).to(device)
    rows = _chosen(build_rows(models, vlm, compared=Path(config.compared)), config.rows, "row")
    columns = _chosen(COLUMNS, config.columns, "column")
    if not vlm.differentiable:
        log("This model lets no gradient through: only attacks that need none are made.")
        columns = [c for c in columns if not c.attack or not c.attack.attacker.needs_gradient]

    # 2. Every picture
    kept = OutcomeTable(keep)
    for seed in range(config.seeds):
        samples = load_samples(data, count=config.pictures, seed=seed, asked=config.asked)
        for i, sample in enumerate(samples):
            log(f"seed {seed}, picture {i + 1} of {len(samples)}")
            asked = Asked.of(sample, vlm, device)
            for column in columns:
                if not column.adaptive or (seed == 0 and i < config.costly):
                    _measure(asked, column, rows, seed, kept, made, captions=config.captions)

    # 3. Means and comparisons
    captions = load_captions(data)
    cells = [cell for column in columns for cell in _cells(column, rows, kept, captions)]
    pairs = [
        pair
        for column in columns
        for pair in paired(column.name, kept.all(column.name), COMPARISONS)
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
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "data": f"{data.name}, test splits",
        "model": config.vlm,
        "threats": threats,
        "cells": cells,
        "paired": pairs,
        "detector": verdicts,
    }


def _model(config: EvaluationConfig, models: Models) -> Any:
    """The model that is attacked and asked."""
    if config.vlm == EMBEDDED:
        return models.vlm
    return load_vlm(config.vlm, prefix=read_prompt(config.prompt) if config.prompt else "")


@dataclass(slots=True)
class Asked:
    """A picture, and what the model says of it when nobody attacks.

    Attributes:
        vlm: the model without a defence.
        question: "" where the picture has none, or the model only captions.
    """

    sample: Sample
    vlm: Any
    pixels: Tensor
    question: str
    _said: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sample: Sample, vlm: Any, device: torch.device) -> "Asked":
        return cls(sample, vlm, sample.pixels.to(device), sample.question if vlm.asks else "")

    @property
    def answer(self) -> str:
        """To the question, about the clean picture; the caption where nothing is asked."""
        return self._once(self.question)

    @property
    def caption(self) -> str:
        """Of the clean picture."""
        return self._once("")

    def _once(self, question: str) -> str:
        if question not in self._said:
            self._said[question] = said_of(self.vlm, self.pixels, question)
        return self._said[question]

    def aim(self, column: Column) -> Raises:
        """What an attacker of the column raises of a model."""
        if column.sentence:
            return lambda speaker: force_caption(speaker, [column.sentence])
        if column.on_caption or not self.question:
            return lambda speaker: change_caption(speaker, [self.caption])
        return lambda speaker: change_answer(speaker, [self.question], [self.answer])


@torch.no_grad()
def said_of(vlm: Any, pixels: Tensor, question: str) -> str:
    """A model's answer about a picture [1, 3, H, W], or its caption without a question."""
    answers = vlm.answer(pixels, question) if question else vlm.caption(pixels)
    return str(answers[0].text)


def _measure(
    asked: Asked,
    column: Column,
    rows: list[Row],
    seed: int,
    kept: OutcomeTable,
    made: Path | None,
    *,
    captions: bool,
) -> None:
    """Put the outcomes of a column's rows that are not known yet into the table."""
    name = asked.sample.name
    known = kept.get(column.name, seed, name)
    missing = [row for row in rows if row.name not in known]
    outcomes = {}
    if column.after:
        before = kept.get(column.after, seed, name)
        missing = [row for row in missing if row.name in before]
        fallen = [row for row in missing if not before[row.name].agrees]
        outcomes = {row.name: before[row.name] for row in fallen}
        missing = [row for row in missing if before[row.name].agrees]
    if missing:
        outcomes |= _column(asked, column, missing, seed, made, captions=captions)
    if outcomes:
        kept.put(column.name, seed, name, outcomes)


def _column(
    asked: Asked,
    column: Column,
    rows: list[Row],
    seed: int,
    made: Path | None,
    *,
    captions: bool,
) -> dict[str, Outcome]:
    """The outcome of every row to which the column applies, by name."""
    raises = asked.aim(column)
    moved = None
    behind: list[tuple[Row, Tensor]] = []
    for row in rows:
        seen = attacker_objective(column, row, raises)
        if seen is None:
            continue
        if column.attack is None:
            moved = asked.pixels
        elif column.adaptive:
            attack = replace(column.attack, seed=seed)
            answer = AnswerBehind(row, asked.question, asked.answer)
            starts = 1 if row.random else column.starts
            moved = attacked_until(attack, asked.pixels, seen, answer.changed, starts=starts)
        elif moved is None:
            moved = _attacked(asked, column, seed, made)
        behind.append((row, moved))
    captioned = column.sentence or column.on_caption or (captions and asked.sample.captions)
    return _outcomes(behind, asked, captions=bool(captioned))


def _attacked(asked: Asked, column: Column, seed: int, made: Path | None) -> Tensor:
    """The picture attacked without knowing a defence, made once for all of them."""
    assert column.attack is not None
    attack = replace(column.attack, seed=seed)
    if column.on_caption or not asked.question:
        aim = f"caption {asked.caption}"
    else:
        aim = column.sentence or f"{asked.question} {asked.answer}"
    make = partial(run_attack, attack, asked.pixels, asked.aim(column)(asked.vlm))
    moved = kept_picture(made, f"{attack} {asked.sample.name} {aim}", make).to(asked.pixels)
    return jpeg(moved, column.saved) if column.saved else moved


@dataclass(frozen=True, slots=True)
class AnswerBehind:
    """The answer about a picture behind a row's defence, beside the one about the clean picture."""

    row: Row
    question: str
    clean: str

    @torch.no_grad()
    def changed(self, moved: Tensor) -> bool:
        """Whether the answer to moved [1, 3, H, W] is another one; SURE times in a row where the
        defence is random."""
        return all(self._told(moved) != self.clean for _ in range(SURE if self.row.random else 1))

    def _told(self, moved: Tensor) -> str:
        shown = to_levels(self.row.defend(moved))
        return said_of(self.row.speaks_of(shown, moved), shown, self.question)


def attacked_until(
    attack: Attack,
    pixels: Tensor,
    objective: Any,
    reached: Callable[[Tensor], bool],
    *,
    starts: int = 1,
) -> Tensor:
    """The attacked picture, as soon as `reached` says so of it (asked every CHECK steps), or after
    the last step of the last start; each start has a seed of its own.

    What an attacker who has what he wants does next tells nothing of the defence (AutoAttack, arXiv
    2003.01690, goes on with the pictures that still hold); it spares most of the cost.
    """
    for start in range(starts):
        for state in attack_steps(
            replace(attack, seed=attack.seed + APART * start), pixels, objective
        ):
            moved = state.rounded()
            if state.step % CHECK == 0 and reached(moved):
                return moved
    return moved


@torch.no_grad()
def _outcomes(
    behind: list[tuple[Row, Tensor]], asked: Asked, *, captions: bool
) -> dict[str, Outcome]:
    """Defend each row's picture, and let each model speak once about all that it is shown."""
    # 1. Defend
    shown, speakers = {}, {}
    for row, moved in behind:
        shown[row.name] = to_levels(row.defend(moved))
        speakers[row.name] = row.speaks_of(shown[row.name], moved)

    # 2. See, which is most of the cost; many rows show the same
    seen: dict[str, Tensor] = {}
    for name, picture in shown.items():
        same = (
            seen[n]
            for n in seen
            if speakers[n] is speakers[name] and torch.equal(shown[n], picture)
        )
        known = next(same, None)
        seen[name] = speakers[name].see(picture) if known is None else known

    # 3. Ask
    outcomes = {}
    for speaker in {id(s): s for s in speakers.values()}.values():
        names = [name for name, its in speakers.items() if its is speaker]
        visual = torch.cat([seen[name] for name in names])
        told: list[str | None] = [None] * len(names)
        if captions or not asked.question:
            told = [caption.text for caption in speaker.caption_seen(visual)]
        answers = told
        if asked.question:
            questions = [asked.question] * len(names)
            answers = [answer.text for answer in speaker.answer_seen(visual, questions)]
        for name, said, caption in zip(names, answers, told, strict=True):
            outcomes[name] = Outcome(
                agrees=said == asked.answer,
                right=asked.sample.accuracy(said or "") if asked.question else 0.0,
                caption=caption,
                shown=shown[name],
                clean=asked.pixels,
            ).measured()
    return outcomes


def _cells(
    column: Column, rows: list[Row], kept: OutcomeTable, captions: dict[str, tuple[str, ...]]
) -> Iterator[dict[str, Any]]:
    """One for every row of which anything is known; with `said`, how often the attacker's sentence
    is the caption."""
    known = kept.all(column.name)
    for row in rows:
        outcomes_of_row = {
            key: outcomes[row.name] for key, outcomes in known.items() if row.name in outcomes
        }
        if outcomes_of_row:
            asked = [key.split(maxsplit=1) for key in outcomes_of_row]
            references = [captions[picture] for _, picture in asked]
            seeds = len({seed for seed, _ in asked})
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
    """Both, in the order of the earlier ones; of one and the same thing what rests on more
    questions, else the new."""
    cells = {tuple(one[name] for name in by): one for one in earlier}
    for one in new:
        key = tuple(one[name] for name in by)
        if key not in cells or one["n"] >= cells[key]["n"]:
            cells[key] = one
    return list(cells.values())


def _with_captions(
    cells: list[dict[str, Any]], measured: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The same cells; captions are those of what was measured now, where these are more."""
    captions = {(cell["row"], cell["column"]): cell for cell in measured}
    for cell in cells:
        new = captions.get((cell["row"], cell["column"]), cell)
        if new["captions"] > cell["captions"]:
            cell |= {"captions": new["captions"], "cider": new["cider"]}
    return cells


def _chosen(things: Any, names: tuple[str, ...], what: str) -> list[Any]:
    known = [thing.name for thing in things]
    for name in names:
        if name not in known:
            raise ValueError(f"There is no {what} {name!r}. There are: {', '.join(known)}.")
    return [thing for thing in things if not names or thing.name in names]
