"""Runs the table: every row against every column, on the same pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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
    Sample,
    detector_on_purified,
    kept_picture,
    load_captions,
    load_samples,
    paired,
    summarise,
)
from benchmarks.defences.table import (
    COLUMNS,
    COMPARISONS,
    Column,
    Row,
    attacker_objective,
    build_rows,
    jpeg,
)
from purifier.attacks import Attack, Objective, attack_steps, run_attack
from purifier.attacks.budget import to_levels
from purifier.attacks.objectives import change_answer, force_caption
from purifier.models import Models
from training.vlm.data import normalise_answer

Log = Callable[[str], Any]
CHECK = 5  # steps, after which an adaptive attacker looks at what he has
APART = 1000  # how far the seeds of an attack's starts lie apart, so that repetitions share none
SURE = 8  # draws of a random defence that must all give another answer before he stops


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """pictures: of cheap columns. costly: of adaptive ones. seeds: repetitions, each with other
    questions and starts; adaptive columns take the first alone. rows, columns: names; empty for
    all. captions: whether to caption too.
    compared: the folder of the compared recipes' models. verdicts: pictures, of each kind, shown to
    the detector;
    attacked: of those, also attacked.
    """

    pictures: int = 200
    costly: int = 100
    seeds: int = 3
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    captions: bool = True
    compared: str = ".cache/purifier"
    verdicts: int = 100
    attacked: int = 50


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
    """The whole report: `date`, `data`, `threats`, `cells` (a list, one a row and column), `paired`
    (see `outcomes.paired`), `detector` (None without `forensics` and `earlier`). What is measured
    stays in `keep`, a table NAME.csv, and is not measured again; the report is of all that is
    there.

    Args:
        made: a folder of attacked pictures, which are taken from it or added.
        earlier: a report, of which is taken over what is not measured now, or rests on more
            questions, and `detector` without `forensics`.

    Raises:
        FileNotFoundError: the data is missing, or a model's weights are.
        ValueError: a row or a column is unknown.
    """
    if data is None:
        raise FileNotFoundError(
            "Give the pictures to measure on: --data, a folder with coco.jsonl and daquar.jsonl."
        )
    models = models or Models()
    rows = _chosen(build_rows(models, compared=Path(config.compared)), config.rows, "row")
    columns = _chosen(COLUMNS, config.columns, "column")
    kept = OutcomeTable(keep)
    for seed in range(config.seeds):
        samples = load_samples(data, count=config.pictures, seed=seed)
        for i, sample in enumerate(samples):
            log(f"seed {seed}, picture {i + 1} of {len(samples)}")
            answer = ""
            for column in columns:
                if column.adaptive and (seed > 0 or i >= config.costly):
                    continue
                known = kept.get(column.name, seed, sample.name)
                missing = [row for row in rows if row.name not in known]
                found = {}
                if column.after:
                    before = kept.get(column.after, seed, sample.name)
                    found = {
                        r.name: before[r.name]
                        for r in missing
                        if r.name in before and not before[r.name].agrees
                    }
                    missing = [
                        row for row in missing if row.name in before and before[row.name].agrees
                    ]
                if missing:
                    answer = answer or models.vlm.answer(sample.pixels, sample.question)[0].text
                    found |= _column(
                        models,
                        sample,
                        answer,
                        column,
                        missing,
                        seed,
                        made,
                        captions=config.captions,
                    )
                if found:
                    kept.put(column.name, seed, sample.name, found)
    captions = load_captions(data)
    cells = [cell for column in columns for cell in _cells(column, rows, kept, captions)]
    pairs = [
        pair
        for column in columns
        for pair in paired(column.name, kept.all(column.name), COMPARISONS)
    ]
    if earlier:
        cells = _merged(cells, earlier["cells"], by=("row", "column"))
        pairs = _merged(pairs, earlier.get("paired", []), by=("row", "against", "column"))
    verdicts = (earlier or {}).get("detector")
    if forensics and config.verdicts:
        verdicts = detector_on_purified(models, forensics, config.verdicts, config.attacked)
    threats = {
        c.name: {"threat": c.threat, "trained on": c.seen, "eps": c.attack and c.attack.eps}
        for c in COLUMNS
    }
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "data": f"{data.name}, test splits",
        "threats": threats,
        "cells": cells,
        "paired": pairs,
        "detector": verdicts,
    }


def _column(
    models: Models,
    sample: Sample,
    answer: str,
    column: Column,
    rows: list[Row],
    seed: int,
    made: Path | None,
    *,
    captions: bool,
) -> dict[str, Outcome]:
    """The outcome of every row to which the column applies, by name. answer: to the clean
    picture."""
    moved = None
    behind: list[tuple[Row, Tensor]] = []

    def raises(speaker: Any) -> Objective:
        if column.sentence:
            return force_caption(speaker, [column.sentence])
        return change_answer(speaker, [sample.question], [answer])

    for row in rows:
        seen = attacker_objective(column, row, raises)
        if seen is None:
            continue
        if column.attack is None:
            moved = sample.pixels
        elif column.adaptive:
            attack, said = (
                replace(column.attack, seed=seed),
                AnswerBehind(row, sample.question, answer),
            )
            starts = 1 if row.random else column.starts
            moved = attacked_until(attack, sample.pixels, seen, said.changed, starts=starts)
        elif moved is None:
            attack = replace(column.attack, seed=seed)
            aim = column.sentence or f"{sample.question} {answer}"
            what = f"{attack} {sample.name} {aim}"
            moved = kept_picture(
                made, what, partial(run_attack, attack, sample.pixels, raises(models.vlm))
            )
            moved = jpeg(moved, column.saved) if column.saved else moved
        behind.append((row, moved))
    return _outcomes(
        behind, sample, answer, captions=bool(column.sentence or (captions and sample.captions))
    )


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
        return str(self.row.speaks_of(shown, moved).answer(shown, self.question)[0].text)


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
    behind: list[tuple[Row, Tensor]], sample: Sample, clean_answer: str, *, captions: bool
) -> dict[str, Outcome]:
    """Defends each row's picture, and lets each model speak once about all that it is shown."""
    shown, speakers = {}, {}
    seen: dict[str, Tensor] = {}
    for row, moved in behind:
        shown[row.name] = to_levels(row.defend(moved))
        speakers[row.name] = row.speaks_of(shown[row.name], moved)
    for name, picture in shown.items():  # most of the cost; many rows show the same
        same = (
            seen[n]
            for n in seen
            if speakers[n] is speakers[name] and torch.equal(shown[n], picture)
        )
        known = next(same, None)
        seen[name] = speakers[name].see(picture) if known is None else known
    outcomes = {}
    for speaker in {id(s): s for s in speakers.values()}.values():
        names = [name for name, its in speakers.items() if its is speaker]
        visual = torch.cat([seen[name] for name in names])
        answers = [a.text for a in speaker.answer_seen(visual, [sample.question] * len(names))]
        told = [c.text for c in speaker.caption_seen(visual)] if captions else [None] * len(names)
        for name, said, caption in zip(names, answers, told, strict=True):
            outcomes[name] = Outcome(
                agrees=said == clean_answer,
                right=normalise_answer(said) == normalise_answer(sample.answer),
                caption=caption,
                shown=shown[name],
                clean=sample.pixels,
            ).measured()
    return outcomes


def _cells(
    column: Column, rows: list[Row], kept: OutcomeTable, captions: dict[str, tuple[str, ...]]
) -> Iterator[dict[str, Any]]:
    """One for every row of which anything is known; with `said`, how often the attacker's sentence
    is the caption."""
    known = kept.all(column.name)
    for row in rows:
        found = {key: outcomes[row.name] for key, outcomes in known.items() if row.name in outcomes}
        if found:
            asked = [key.split(maxsplit=1) for key in found]
            references = [captions[picture] for _, picture in asked]
            seeds = len({seed for seed, _ in asked})
            cell: dict[str, Any] = {"row": row.name, "column": column.name}
            cell |= summarise(list(found.values()), references, seeds=seeds)
            if column.sentence:
                cell["said"] = round(fmean(o.caption == column.sentence for o in found.values()), 4)
            yield cell


def _merged(
    new: list[dict[str, Any]], earlier: list[dict[str, Any]], *, by: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Both, in the order of the earlier ones; of one and the same thing what rests on more
    questions, else the new."""
    found = {tuple(one[name] for name in by): one for one in earlier}
    for one in new:
        key = tuple(one[name] for name in by)
        if key not in found or one["n"] >= found[key]["n"]:
            found[key] = one
    return list(found.values())


def _chosen(things: Any, names: tuple[str, ...], what: str) -> list[Any]:
    known = [thing.name for thing in things]
    for name in names:
        if name not in known:
            raise ValueError(f"There is no {what} {name!r}. There are: {', '.join(known)}.")
    return [thing for thing in things if not names or thing.name in names]
