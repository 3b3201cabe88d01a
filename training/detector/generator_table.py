"""Accuracy and average precision for each generator and their mean, as the field's tables give
them. Offline."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from training.detector.evaluation import Scores

MEAN = "mean"
HEADER = (
    "generator",
    "real",
    "generated",
    "accuracy at 0.5",
    "accuracy at the best threshold",
    "AP",
)


@dataclass(frozen=True, slots=True)
class GeneratorRow:
    """One row of the table.

    generator: the manifest's set, or "mean". real, generated: how many pictures.
    accuracy: the share of pictures that is judged rightly when a probability of 0.5 or more says
        generated.
    best_accuracy: the same at the threshold that is best for these very pictures, so no threshold
        that one could have chosen before.
    average_precision: in [0, 1].
    """

    generator: str
    real: int
    generated: int
    accuracy: float
    best_accuracy: float
    average_precision: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text; measures in per cent."""
        measures = (self.accuracy, self.best_accuracy, self.average_precision)
        return (
            self.generator,
            str(self.real),
            str(self.generated),
            *(f"{100 * measure:.1f}" for measure in measures),
        )


def generator_table(scores: Scores) -> list[GeneratorRow]:
    """Return a row for each set that has both classes, then their mean, in which each counts alike.

    Raises:
        ValueError: no set has both classes.
    """
    # 1. A row of each set
    rows = []
    for name in sorted({record.set for record in scores.records}):
        inside = (
            scores.of(name) if name != "all" else np.array([r.set == "all" for r in scores.records])
        )
        labels, probability = scores.labels[inside], scores.probability[inside]
        if len(set(labels)) < 2:
            continue
        rows.append(
            GeneratorRow(
                generator=name,
                real=int((labels == 0).sum()),
                generated=int(labels.sum()),
                accuracy=float(((probability >= 0.5) == labels).mean()),
                best_accuracy=best_accuracy(labels, probability),
                average_precision=float(average_precision_score(labels, probability)),
            )
        )
    if not rows:
        raise ValueError(
            "No set of the manifest has both real and generated pictures, so there is no table."
        )

    # 2. Their mean
    mean = GeneratorRow(
        generator=MEAN,
        real=sum(row.real for row in rows),
        generated=sum(row.generated for row in rows),
        accuracy=float(np.mean([row.accuracy for row in rows])),
        best_accuracy=float(np.mean([row.best_accuracy for row in rows])),
        average_precision=float(np.mean([row.average_precision for row in rows])),
    )
    return [*rows, mean]


def best_accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the highest accuracy that any threshold on the scores gives.

    Args:
        labels: [N], 1 generated, 0 real.
        scores: [N], higher for generated.
    """
    order = np.argsort(-scores, kind="stable")
    labels, scores = labels[order], scores[order]
    # Right when the first k are called generated: those of them that are, and the real ones after.
    right = (
        np.concatenate([[0], np.cumsum(labels)])
        + (1 - labels).sum()
        - np.concatenate([[0], np.cumsum(1 - labels)])
    )
    # equal scores are called alike
    possible = np.concatenate([[True], scores[1:] != scores[:-1], [True]])
    return float(right[possible].max() / len(labels))


def as_markdown(rows: Sequence[GeneratorRow]) -> str:
    """Return the table in Markdown, in per cent."""
    lines = [HEADER, ("---", *("---:",) * (len(HEADER) - 1)), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_csv(rows: Sequence[GeneratorRow]) -> str:
    """Return the table as CSV, in per cent."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(row.cells for row in rows)
    return text.getvalue()
