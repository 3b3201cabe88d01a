"""A second victim: pictures attacked on one embedded model, purified, and read by another that was
trained from another seed. Give that one as --victim (`python -m training vlm train DATA/vlm --out
RUN/vlm-1 --seed 1`).
"""

from collections import defaultdict
from functools import partial
from statistics import fmean
from typing import Any

import torch

from benchmarks.common import Options
from benchmarks.defences.samples import load_samples
from benchmarks.defences.table import WHOLE, build_rows
from purifier.attacks import Attack, run_attack
from purifier.attacks.budget import to_levels
from purifier.attacks.objectives import change_answer
from purifier.models import Models
from purifier.vlm.model import EmbeddedVLM

PICTURES = 100
ATTACK = Attack("pgd", eps=8, steps=10)
DEFENCES = ("no defence", "JPEG 10", WHOLE)


def measure(options: Options) -> dict[str, Any]:
    """Return the answers that stay as they are for the clean picture, and those that are correct,
    by the attacked and the answering model and the defence."""
    # 1. The models and their defences
    models = {
        "shipped": Models(),
        "another seed": Models(vlm=partial(EmbeddedVLM.from_pretrained, options.victim)),
    }
    rows = {
        name: {r.name: r for r in build_rows(its, its.vlm, compared=None)}
        for name, its in models.items()
    }

    # 2. Each picture: attacked on each model, defended, read by each model
    outcomes: dict[tuple[str, str, str], list[tuple[bool, float]]] = defaultdict(list)
    for sample in load_samples(options.data / "vlm", count=options.pictures or PICTURES, seed=0):
        clean = {
            name: its.vlm.answer(sample.pixels, sample.question)[0].text
            for name, its in models.items()
        }
        for victim, its in models.items():
            objective = change_answer(its.vlm, [sample.question], [clean[victim]])
            adversarial = run_attack(ATTACK, sample.pixels, objective)
            for defence in DEFENCES:
                with torch.no_grad():
                    picture = to_levels(rows[victim][defence].defend(adversarial))
                    for reader, its_rows in rows.items():
                        answer = (
                            its_rows[defence]
                            .speaks_of(picture, adversarial)
                            .answer(picture, sample.question)[0]
                            .text
                        )
                        outcome = answer == clean[reader], sample.accuracy(answer)
                        outcomes[victim, reader, defence].append(outcome)

    # 3. The shares
    cells = [
        {
            "attacked": victim,
            "read by": reader,
            "defence": defence,
            "n": len(each),
            "agreement": round(fmean(kept for kept, _right in each), 4),
            "accuracy": round(fmean(right for _kept, right in each), 4),
        }
        for (victim, reader, defence), each in outcomes.items()
    ]
    return {"cells": cells}
