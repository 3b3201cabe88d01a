"""What a comparison of two copies finds: python -m benchmarks.local.compare [--choose]

Writes benchmarks/local/compare.json. On photographs of the test split of --data: copies that nobody changed, the same
with one region changed by hand, real edits with their originals (`edits`, and `edits2` of --originals), rooms from
several places (--rooms), and pairs that have nothing to do with each other. With --keep FILE a run that was stopped
goes on from there, whatever --count and --rooms are then.

--choose prints what the threshold of a change and the curves of the answer rest on, on training pictures alone: of
--originals where that folder is, else of --data, whose pictures are small.
"""

import argparse
import csv
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from skimage import data as skimage_data
from tqdm import tqdm

from benchmarks.local.copies import EDITS, FAINT, copied, edited, saved, strength
from benchmarks.local.realedits import Real, covered, edits, edits2
from benchmarks.tables.local import RULE
from causalclip.compare.alignment import lay_over
from causalclip.compare.blocks import measure
from causalclip.compare.changes import find_parts
from causalclip.compare.comparison import Comparison, compare, plausible
from causalclip.compare.judging import evidence
from causalclip.compare.keypoints import Searched, place
from causalclip.dataset.originals import read_originals
from causalclip.dataset.table import PICTURES

ROOT = Path(__file__).resolve().parents[2]
SIDE, LEARNED = 1024, 768  # px on the long side of a picture, at most; of a training picture, as test pictures have
SMALL = 500  # px of the long side: a smaller training picture says little of those
NEAREST, FARTHEST = 1, 200  # numbers between two rooms' pictures: of one room, and of different ones
FALSE_ALARMS = 0.02  # of unchanged copies of training pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--originals", type=Path, default=ROOT.parent / "originals", help="of `causalclip data collect`"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "local" / "compare.json")
    parser.add_argument("--count", type=int, default=150, help="photographs")
    parser.add_argument("--rooms", type=int, default=100, help="pairs of rooms")
    parser.add_argument("--keep", type=Path, help="A file of rows that are measured already; the rest is added to it.")
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the copies that --choose draws")
    arguments = parser.parse_args()
    forensics, folder = arguments.data / "forensics", arguments.data / "vlm" / "daquar"
    if arguments.choose:
        large = arguments.originals.is_dir()
        pictures = (
            learned(arguments.originals, arguments.count) if large else photographs(forensics, "train", arguments.count)
        )
        choose(pictures, list(rooms(folder, arguments.rooms, "train")), arguments.seeds)
        return
    kept, real = Kept(arguments.keep), {"edits": edits(forensics), "edits2": edits2(arguments.originals)}
    pictures = photographs(forensics, "test", arguments.count)
    report = run(pictures, rooms(folder, arguments.rooms, "test"), real, kept)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def photographs(root: Path, split: str, count: int) -> list[np.ndarray]:
    """Photographs of a split, by a seed, whole; with scikit-image's own for training."""
    with (root / "manifest.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == split and r["label"] == "real"]
    rows = [r for r in rows if "art" not in r["source"] and r["view"] != "crop" and r["set"] != "edits"]
    random.Random(1).shuffle(rows)
    found = [_opened(root / r["path"]) for r in rows[:count]]
    own = [getattr(skimage_data, name)() for name in ("astronaut", "coffee", "chelsea", "rocket")]
    return own + found if split == "train" else found


def learned(root: Path, count: int) -> list[np.ndarray]:
    """Photographs of the training split from their originals, one of an owner, as large as those of test are."""
    owners: dict[str, np.ndarray] = {}
    records = [r for r in read_originals(PICTURES, root, each=1) if not r.label and r.kind == "photo"]
    random.Random(1).shuffle(records)
    for record in records:
        if len(owners) < count and record.owner not in owners:
            picture = _opened(root / record.path, LEARNED)
            owners |= {record.owner: picture} if max(picture.shape) > SMALL else {}
    return list(owners.values())


def rooms(folder: Path, count: int, split: str) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Pairs of (picture, picture, answer): neighbours show one room from two places, those far apart do not."""
    whole = len(list(folder.glob("image*.jpg")))
    low, high = (1, whole // 2 - FARTHEST) if split == "train" else (whole // 2 + 1, whole - FARTHEST)
    rng = np.random.default_rng(3)
    for i in rng.permutation(np.arange(low, high))[:count]:
        first = _opened(folder / f"image{i}.jpg")
        yield first, _opened(folder / f"image{i + NEAREST}.jpg"), "same scene, another moment"
        yield first, _opened(folder / f"image{i + FARTHEST}.jpg"), "no match"


def _opened(path: Path, side: int = SIDE) -> np.ndarray:
    with Image.open(path) as file:
        picture = ImageOps.exif_transpose(file).convert("RGB")
    picture.thumbnail((side, side))
    return np.asarray(picture)


def made(pictures: list[np.ndarray], *, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, str, np.ndarray | None]]:
    """(a, b, kind, mask of a): two copies, unchanged or with one region changed by hand."""
    for i, picture in enumerate(pictures):
        rng = np.random.default_rng((seed, i))
        yield saved(picture, rng, low=70), saved(picture, rng), "recompressed", None
        yield saved(picture, rng, low=70), copied(picture, rng), "delivered", None
        kind = list(EDITS)[i % len(EDITS)]
        changed, mask = edited(picture, pictures[i - 7 if i >= 7 else min(i + 7, len(pictures) - 1)], kind, rng)
        faint = strength(picture, changed, mask) < FAINT
        yield saved(picture, rng, low=70), copied(changed, rng), f"{kind}, faint" if faint else kind, mask


class Kept:
    """Rows that are measured once: a run that was killed goes on from there."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path and path.is_file() else []
        self.rows: dict[str, dict[str, Any]] = dict(json.loads(line) for line in lines)

    def row(self, name: str, a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> dict[str, Any]:
        """What the comparison of two pictures finds; mask: what was changed in a."""
        if name not in self.rows:
            self.rows[name] = _row(compare(a, b), mask)
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps([name, self.rows[name]]) + "\n")
        return self.rows[name]


def run(
    pictures: list[np.ndarray],
    places: Iterator[tuple[np.ndarray, np.ndarray, str]],
    real: dict[str, Iterator[Real]],
    kept: Kept,
) -> dict[str, Any]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for i, (a, b, kind, mask) in enumerate(tqdm(made(pictures, seed=1), total=3 * len(pictures), desc="copies")):
        rows.setdefault(kind, []).append(kept.row(f"copy {i}", a, b, mask))
    pairs = {name: real_edits(name, found, kept) for name, found in real.items()}
    others: dict[str, list[dict[str, Any]]] = {"one room from two places": [], "two different rooms": []}
    for i, (a, b, answer) in enumerate(tqdm(places, desc="rooms")):
        name = "two different rooms" if answer == "no match" else "one room from two places"
        others[name].append(kept.row(f"room {i}", a, b))
    beside = list(pairwise(pictures))[: len(others["two different rooms"])]
    others["two different photographs"] = [kept.row(f"other {i}", *pair) for i, pair in enumerate(beside)]
    copies = rows["recompressed"] + rows["delivered"]
    by_hand = [row for kind in EDITS for row in rows.get(kind, [])]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "pictures": len(pictures),
        "rule": RULE,
        "same_picture": _share(copies, "same"),
        "copies": {kind: _summary(rows[kind]) for kind in ("recompressed", "delivered")},
        "edits_found": _share(by_hand, "found"),
        "edits": {kind: _summary(found) for kind, found in rows.items() if kind not in ("recompressed", "delivered")},
        "real_edits": {name: _of_real(found) for name, found in pairs.items()},
        "others": {name: _summary(found) for name, found in others.items()},
    }


def real_edits(name: str, pairs: Iterator[Real], kept: Kept) -> dict[str, dict[str, Any]]:
    """Each edit against its original; found where a frame lies on what their difference shows."""
    rows: dict[str, dict[str, Any]] = {}
    for pair, edit, original, region in tqdm(pairs, desc=name):
        known = None if isinstance(region, str) else region
        row = kept.row(f"{name} {pair}", edit, original, known)
        rows[pair] = row | {"region": region if known is None else round(float(known.mean()), 3)}
    return rows


def _of_real(pairs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Of all pairs, of those whose changed region is known, and of those of them that were pasted back."""
    known = {name: row for name, row in pairs.items() if row["iou"] is not None}
    pasted = [row for name, row in known.items() if "pasted back" in name]
    whole = {"region known": list(known.values()), "pasted back": pasted}
    return {"all": _summary(list(pairs.values()))} | {n: _summary(r) for n, r in whole.items() if r} | {"pairs": pairs}


def _row(found: Comparison, mask: np.ndarray | None) -> dict[str, Any]:
    boxes = [change.box_a for change in found.changes]
    hit = any(mask is None or mask[top:bottom, left:right].any() for left, top, right, bottom in boxes)
    return {
        "answer": found.answer,
        "confidence": round(found.confidence, 3),
        "same": found.answer == "same picture",
        "flagged": bool(boxes),
        "found": hit,
        "iou": None if mask is None else round(covered(boxes, mask), 3),
        "seconds": round(found.seconds, 2),
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    answers = {name: sum(r["answer"] == name for r in rows) for name in sorted({r["answer"] for r in rows})}
    framed = [row["iou"] for row in rows if row["found"] and row["iou"] is not None]
    said = {"n": len(rows), "answers": answers, "flagged": _share(rows, "flagged"), "found": _share(rows, "found")}
    return said | ({"iou_where_found": round(float(np.mean(framed)), 3)} if framed else {})


def _share(rows: list[dict[str, Any]], what: str) -> float:
    return float(np.mean([row[what] for row in rows])) if rows else float("nan")


def choose(pictures: list[np.ndarray], pairs: list[tuple[np.ndarray, np.ndarray, str]], seeds: Sequence[int]) -> None:
    """Prints what the constants of causalclip.compare are to be, and what they come from."""
    from sklearn.linear_model import LogisticRegression

    strengths, found, answers = [], [], []
    drawn = [(i // 3, *one) for seed in seeds for i, one in enumerate(made(pictures, seed=seed))]
    print_rule(drawn)
    for _owner, a, b, kind, _mask in tqdm(drawn):
        placement = place(Searched(a), Searched(b))
        aligned = lay_over(a, b, placement) if placement and plausible(placement, b.shape, a.shape) else None
        blocks = measure(aligned) if aligned else None
        found.append(evidence(placement if aligned else None, blocks))
        answers.append("same picture")
        if blocks is not None:
            parts = find_parts(blocks, high=5.0)
            most = max((part.lost for part in parts), default=0.0)
            strengths.append((kind, parts[0].strength if parts else 0.0, most))
    for a, b, answer in tqdm(pairs):
        placement = place(Searched(a), Searched(b))
        aligned = lay_over(a, b, placement) if placement and plausible(placement, b.shape, a.shape) else None
        found.append(evidence(placement if aligned else None, measure(aligned) if aligned else None))
        answers.append(answer)
    for kind in sorted({k for k, *_ in strengths}):
        values = np.sort([s for k, s, _ in strengths if k == kind])
        print(kind, len(values), "deciles", np.quantile(values, np.linspace(0, 1, 11)).round(1))
        lost = np.sort([one for k, _, one in strengths if k == kind])
        print("   structure lost", np.quantile(lost, np.linspace(0, 1, 11)).round(2))
    still = [s for k, s, _ in strengths if k in ("recompressed", "delivered")]
    print("HIGH for", FALSE_ALARMS, "false alarms:", np.quantile(still, 1 - FALSE_ALARMS).round(1))
    x, y = np.array(found), np.array(answers)
    for name, rows, positive in (
        ("MATCH", np.ones(len(y), bool), y != "no match"),
        ("SAME", y != "no match", y == "same picture"),
    ):
        fit = LogisticRegression(C=1.0, max_iter=5000).fit(x[rows, :4], positive[rows])
        print(name, (*fit.coef_[0].round(2), *fit.intercept_.round(2)), "right", fit.score(x[rows, :4], positive[rows]))
        for answer in sorted(set(y[rows])):
            print("  ", answer, np.quantile(x[rows & (y == answer)], [0.02, 0.5, 0.98], axis=0).round(2).tolist())


def print_rule(drawn: list[tuple[int, np.ndarray, np.ndarray, str, np.ndarray | None]]) -> None:
    """Prints what the rule as it is frames of copies that nobody changed, by owner, and finds of edits by hand."""
    rows = [(owner, kind, _row(compare(a, b), mask)) for owner, a, b, kind, mask in tqdm(drawn, desc="as it is")]
    still = [(owner, row["flagged"]) for owner, kind, row in rows if kind in ("recompressed", "delivered")]
    framed = {owner for owner, flagged in still if flagged}
    print(sum(f for _, f in still), "of", len(still), "unchanged copies framed, of", len(framed), "owners of", end=" ")
    print(len({owner for owner, _ in still}), "; edits by hand:")
    for kind in sorted({kind for _, kind, _ in rows} - {"recompressed", "delivered"}):
        mine = [row["found"] for _, k, row in rows if k == kind]
        print(" ", kind, sum(mine), "of", len(mine))


if __name__ == "__main__":
    main()
