"""Which pictures are measured, what was measured of each, and its summary.

A run that was stopped, or that gets more columns or pictures, goes on. The table holds nothing of
the pictures but their names, so that it can be published.
"""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image
from scipy.stats import binomtest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from benchmarks.common import kept_file
from causalclip.calibration import SCORE_BANDS
from purifier.attacks import Attack, run_attack
from purifier.attacks.objectives import MoveFeatures, language_tokens
from purifier.models import Models
from purifier.pixels import save_exact, to_array, to_tensor
from training.intervals import bootstrap
from training.vlm.data import normalise_caption
from training.vlm.recipe import cider
from training.vlm.views import read_pixels

MAX_DB = 60.0  # the PSNR of equal pictures, which is infinite
NO_CAPTION = "-"  # in place of a caption, where people have captioned none
ATTACK = Attack("pgd", eps=8, steps=10)
WHEN = {
    "before": "before purification",
    "after": "after purification",
    "attacked": "attacked, before purification",
    "attacked, after": "attacked, after purification",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One picture behind one defence.

    Attributes:
        agrees: the answer is that of the clean, undefended picture; where nothing is asked, the
            caption is.
        right: how far the answer is the true one, in [0, 1].
        caption: where people have captioned the picture, too.
        shown, clean: what the model saw and the clean picture, [1, 3, H, W], dropped once they
            are measured.
    """

    agrees: bool
    right: float
    caption: str | None
    shown: Tensor | None = None
    clean: Tensor | None = None
    psnr: float = 0.0
    ssim: float = 0.0

    def measured(self) -> "Outcome":
        """With PSNR and SSIM to the clean picture, all rounded, and without the pictures."""
        assert self.shown is not None
        assert self.clean is not None
        ours, theirs = to_array(self.shown), to_array(self.clean)
        same = bool((ours == theirs).all())
        psnr = (
            MAX_DB
            if same
            else min(MAX_DB, float(peak_signal_noise_ratio(theirs, ours, data_range=255)))
        )
        ssim = float(structural_similarity(theirs, ours, channel_axis=2, data_range=255))
        return replace(self, psnr=round(psnr, 2), ssim=round(ssim, 4), shown=None, clean=None)


class OutcomeTable:
    """Outcomes on disk: a line a column, seed, picture and row. A run that is killed loses one line
    at most.

    Args:
        path: NAME.csv; folders are made if needed. None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[str, dict[str, dict[str, Outcome]]] = {}  # by column, "SEED PICTURE", row
        if path is not None and path.is_file():
            # without what a killed run had not written to its end
            whole = path.read_text().rpartition("\n")[0]
            path.write_text(whole + "\n" if whole else "")
            for column, seed, picture, row, *values in csv.reader(whole.splitlines()):
                self._of(column, seed, picture)[row] = _parsed(values)

    def get(self, column: str, seed: int, picture: str) -> dict[str, Outcome]:
        """Row's name -> outcome, of those that were measured."""
        return self.all(column).get(f"{seed} {picture}", {})

    def all(self, column: str) -> dict[str, dict[str, Outcome]]:
        """Return the outcomes of every seed and picture, by "SEED PICTURE", in the order in which
        they were measured."""
        return self._known.get(column, {})

    def put(self, column: str, seed: int, picture: str, outcomes: dict[str, Outcome]) -> None:
        """Adds to what is known of this picture."""
        self._of(column, seed, picture).update(outcomes)
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", newline="") as file:
            for row, o in outcomes.items():
                text = NO_CAPTION if o.caption is None else " ".join(o.caption.split())
                values = (int(o.agrees), f"{o.right:g}", text, o.psnr, o.ssim)
                csv.writer(file, lineterminator="\n").writerow(
                    (column, seed, picture, row, *values)
                )

    def _of(self, column: str, seed: int | str, picture: str) -> dict[str, Outcome]:
        return self._known.setdefault(column, {}).setdefault(f"{seed} {picture}", {})


def _parsed(values: list[str]) -> Outcome:
    agrees, right, caption, psnr, ssim = values
    text = None if caption == NO_CAPTION else caption
    return Outcome(agrees == "1", float(right), text, psnr=float(psnr), ssim=float(ssim))


def summarise(
    outcomes: Sequence[Outcome], references: Sequence[tuple[str, ...]], *, seeds: int
) -> dict[str, Any]:
    """Means with 95 % bootstrap intervals over pictures; CIDEr over those that people have
    captioned, None without any, its weights of words held as they are.

    Args:
        references: people's captions of each picture, normalised; may be none.
    """
    said = [
        (o.caption, known)
        for o, known in zip(outcomes, references, strict=True)
        if o.caption and known
    ]
    scores = (
        cider([normalise_caption(text) for text, _ in said], [known for _, known in said])
        if said
        else []
    )
    row: dict[str, Any] = {"n": len(outcomes), "seeds": seeds}
    for name, values in (
        ("agreement", [float(o.agrees) for o in outcomes]),
        ("accuracy", [o.right for o in outcomes]),
        ("cider", scores),
        ("psnr", [o.psnr for o in outcomes]),
        ("ssim", [o.ssim for o in outcomes]),
    ):
        row[name] = round(fmean(values), 4) if values else None
        if values:
            row[f"{name}_interval"] = [round(x, 4) for x in bootstrap(np.mean, np.array(values))]
    row["captions"] = len(said)
    return row


def paired(
    column: str, known: dict[str, dict[str, Outcome]], comparisons: Iterable[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """Of every two rows, on the same attacked pictures: how many questions there are, the share of
    answers that stay behind each, how many the first keeps and the second loses (won) and the
    reverse (lost), and p of McNemar's exact test, which is a sign test on these two counts.
    """
    for row, against in comparisons:
        both = [
            (o[row].agrees, o[against].agrees) for o in known.values() if row in o and against in o
        ]
        if not both:
            continue
        won, lost = sum(a and not b for a, b in both), sum(b and not a for a, b in both)
        share, other = (round(fmean(side), 4) for side in zip(*both, strict=True))
        p = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
        counts = {
            "n": len(both),
            "agreement": share,
            "agreement against": other,
            "won": won,
            "lost": lost,
        }
        yield {"row": row, "against": against, "column": column, **counts, "p": float(f"{p:.2g}")}


def kept_picture(folder: Path | None, what: str, make: Callable[[], Tensor]) -> Tensor:
    """Return the picture that `make` makes, float [1, 3, H, W] on 8-bit levels, and keep it in the
    folder; where it is there already, read it.

    Attacks that know no defence are most of the cost, and the same for every defence. These files
    show the pictures themselves: they are not for publishing. They are not told apart by CLIP's
    weights or the attack's code: empty the folder after a change of these.

    Args:
        folder: made if needed; None keeps nothing. what: tells all pictures apart.
    """
    if folder is None:
        return make()
    path = kept_file(folder, what, ".png", lambda path: save_exact(make(), path))
    return to_tensor(np.asarray(read_pixels(path)))


def fingerprint(folders: Iterable[Path]) -> str:
    """Of the weights and settings in these folders: other models are measured anew."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".json", ".safetensors"}:
                digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def detector_on_purified(
    models: Models, forensics: Path, count: int, attacked: int
) -> dict[str, dict[str, Any]]:
    """Judge "real" and "fake" pictures of the test split, at most `count` of each, before and after
    one purification; and the first `attacked` of them by ATTACK, before and after it.

    Returns for each: `n`, `n attacked`, and for every key of WHEN the mean probability of being
    generated and the share in each band.
    """
    with (forensics / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    order = np.random.default_rng(0).permutation(len(rows))
    report: dict[str, dict[str, Any]] = {}
    for label in ("real", "fake"):
        chosen = [rows[i] for i in order if rows[i]["label"] == label][:count]
        verdicts_of: defaultdict[str, list[Any]] = defaultdict(list)
        for i, row in enumerate(chosen):
            with Image.open(forensics / row["path"]) as file:
                pixels = np.array(file.convert("RGB"))
            clean = to_tensor(pixels).to(models.device or "cpu")
            _judge(models, clean, verdicts_of, "before", "after")
            if i < attacked:
                see = language_tokens(models.vlm.tower, layers=models.vlm.config.layers)
                moved = run_attack(ATTACK, clean, MoveFeatures(see, clean))
                _judge(models, moved, verdicts_of, "attacked", "attacked, after")
        report[label] = {"n": len(chosen), "n attacked": min(attacked, len(chosen))}
        report[label] |= {when: _summary(verdicts) for when, verdicts in verdicts_of.items()}
    return report


def _judge(
    models: Models, given: Tensor, found: dict[str, list[Any]], before: str, after: str
) -> None:
    shown, purified = to_array(given), to_array(models.purifier(given).images)
    verdict = models.detector.score(shown)
    found[before].append(verdict)
    found[after].append(verdict if (shown == purified).all() else models.detector.score(purified))


def _summary(verdicts: list[Any]) -> dict[str, float]:
    shares = {band: round(fmean(v.band == band for v in verdicts), 4) for band in SCORE_BANDS}
    return {"probability": round(fmean(v.probability for v in verdicts), 4)} | shares
