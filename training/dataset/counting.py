"""What is in the tables, counted for the data card, and what a label can be told by without looking
for traces.

A hint is a picture's size, format, quality, or a thumbnail. Each is asked of owners that it has not
learned from: what it says is what a detector could say by habit.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from causalclip.provenance.reading import read_tables
from training.dataset.rules import USED, has_clear_licence
from training.dataset.table import FORMATS, REAL_BY, SPLITS, Picture, Site, place

START, END = (
    "<!-- counted: written by `python -m training data card` -->",
    "<!-- end of the counted part -->",
)
THUMBNAIL_SIDE = 64  # pixels of a thumbnail, squashed to a square
MAX_ASKED = 800  # pictures of a set that are asked about, drawn by their hashes
FOLDS = 5
COMPONENTS = 100  # of thumbnails
HEAD_BYTES = 2**20  # bytes of a file that are read for its tables


def fill(text: str, pictures: Sequence[Picture], sites: Sequence[Site]) -> str:
    """The card's text with its counted part as the tables say. Raises ValueError where the card has
    no such part."""
    before, _, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"The card needs the lines {START} and {END}.")
    return f"{before}{START}\n\n{count(pictures, sites)}\n\n{END}{after}"


def count(pictures: Sequence[Picture], sites: Sequence[Site]) -> str:
    """Return what the card must say in numbers, as Markdown: by set and split, by kind of owner,
    and the rest."""
    # 1. A row of each set and split
    of: dict[tuple[int, str, str], list[Picture]] = defaultdict(list)
    for p in pictures:
        of[SPLITS.index(p.split), p.split, p.set].append(p)
    rows = []
    for (_order, split, name), some in sorted(
        of.items(), key=lambda item: (item[0][2], item[0][0])
    ):
        labels = Counter(p.label for p in some)
        rows.append(
            [f"`{name}`", split, len({p.owner for p in some}), labels["real"], labels["fake"]]
        )

    # 2. The numbers of the sentences
    kinds = Counter(site.kind for site in sites)
    pairs: dict[str, set[str]] = defaultdict(set)
    for p in pictures:
        pairs[p.pair].add(p.label)
    whole = sum(labels == {"real", "fake"} for name, labels in pairs.items() if name)
    clear = sum(has_clear_licence(p.licence) for p in pictures)
    unlicensed = sum(p.licence.startswith("none stated") for p in pictures)
    others = len(pictures) - clear - unlicensed
    generators = len({p.generator for p in pictures if p.generator})
    repos = len({p.repo for p in pictures})

    # 3. The Markdown
    return "\n\n".join(
        (
            f"{len(pictures):,} pictures of {len(sites):,} owners, in {repos:,} repositories.",
            _table(["set", "split", "owners", "real", "generated"], rows),
            f"Owners by kind: {_listed(kinds)}. Pictures by kind: "
            f"{_listed(Counter(p.kind for p in pictures))}.",
            "Known to be real by: "
            f"{_listed(Counter(p.real_by for p in pictures if p.real_by), REAL_BY)}.",
            f"{whole:,} photographs stand beside edited versions of them. Generators are named in "
            f"{generators:,} ways.",
            f"{clear:,} pictures have a licence that lets anybody use them, of {unlicensed:,} no "
            f"licence is stated, and the other {others:,} have licences with conditions, or "
            "unclear ones.",
        )
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [
        [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line] for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _listed(counts: Counter[str], order: Sequence[str] = ()) -> str:
    names = [name for name in order if name in counts] or [name for name, _ in counts.most_common()]
    return ", ".join(f"{name} {counts[name]:,}" for name in names)


def survey(pictures: Sequence[Picture], originals: Path | None, cache: Path) -> dict[str, Any]:
    """Return counts by set, and the AUC of each hint on each set that has both classes of FOLDS
    owners.

    With `originals` also of quality and thumbnails, which are kept in `cache`. Size and format need
    no pictures.
    """
    sets: dict[str, Counter[str]] = defaultdict(Counter)
    of_set: dict[str, list[Picture]] = defaultdict(list)
    for p in sorted(pictures, key=lambda p: p.sha256):
        sets[p.set][f"{p.split} {p.label}"] += 1
        if (
            p.split in USED
            and len(of_set[p.set]) < MAX_ASKED
            and (originals is None or place(originals, p).is_file())
        ):
            of_set[p.set].append(p)
    hints = {
        name: _hints(rows, originals, cache)
        for name, rows in tqdm(sorted(of_set.items()), unit="set")
    }
    counts = {name: dict(sorted(counter.items())) for name, counter in sorted(sets.items())}
    return {
        "pictures": len(pictures),
        "owners": len({p.owner for p in pictures}),
        "sets": counts,
        "hints": hints,
    }


def _hints(rows: Sequence[Picture], originals: Path | None, cache: Path) -> dict[str, Any]:
    labels = np.array([p.label == "fake" for p in rows])
    owners = np.array([p.owner for p in rows])
    hints: dict[str, Any] = {"pictures": len(rows), "owners": len(set(owners))}
    if min(len(set(owners[labels])), len(set(owners[~labels]))) < FOLDS:
        return hints | {"too few owners": True}
    hints["size"] = _auc(
        np.array([[p.width, p.height, p.width / p.height] for p in rows]), labels, owners
    )
    hints["format"] = _auc(
        np.array([[p.format == name for name in FORMATS] for p in rows]), labels, owners
    )
    if originals:
        files = [place(originals, p) for p in rows]
        hints["quality"] = _auc(np.array(list(map(_quality, files, rows))), labels, owners)
        cache.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(2) as pool:
            thumbnails = list(pool.map(lambda file: _thumbnail(file, cache), files))
        there = np.array([thumbnail is not None for thumbnail in thumbnails])
        pixels = np.stack([thumbnail for thumbnail in thumbnails if thumbnail is not None])
        hints["thumbnail"] = _auc(pixels, labels[there], owners[there], linear=True)
    return hints


def _auc(
    features: np.ndarray, labels: np.ndarray, owners: np.ndarray, *, linear: bool = False
) -> float:
    """Return how well features [N, F] tell the labels [N] of owners that were not learned from, as
    an AUC."""
    from sklearn.decomposition import PCA  # offline only
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from threadpoolctl import threadpool_limits

    model: Any = HistGradientBoostingClassifier(
        max_iter=100, class_weight="balanced", random_state=0
    )
    if linear:
        components = min(COMPONENTS, len(features) // 2)
        pca = PCA(components, whiten=True, svd_solver="randomized", random_state=0)
        model = make_pipeline(pca, LogisticRegression(C=0.1, class_weight="balanced", max_iter=500))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    ask: Callable[..., np.ndarray] = cross_val_predict
    # small tables: threads that wait for one another cost more than they give
    with threadpool_limits(1):
        scores = ask(
            model,
            features.astype(np.float32),
            labels,
            groups=owners,
            cv=folds,
            method="predict_proba",
        )
    return round(float(roc_auc_score(labels, scores[:, 1])), 3)


def _thumbnail(file: Path, cache: Path) -> np.ndarray | None:
    """Return a thumbnail, uint8 [THUMBNAIL_SIDE ** 2 * 3], made once; None for what does not
    decode."""
    path = cache / f"{file.stem}.png"
    with suppress(OSError, ValueError):
        if not path.exists():
            with Image.open(file) as picture:
                picture.draft("RGB", (4 * THUMBNAIL_SIDE, 4 * THUMBNAIL_SIDE))
                upright = ImageOps.exif_transpose(picture).convert("RGB")
                small = upright.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
            small.save(path.with_suffix(".part"), "PNG")
            path.with_suffix(".part").replace(path)
        with Image.open(path) as small:
            return np.asarray(small, np.uint8).reshape(-1)
    return None


def _quality(file: Path, picture: Picture) -> list[float]:
    """Return JPEG quality (0 for what is no JPEG, or has no tables at its beginning), and bytes a
    pixel."""
    with file.open("rb") as stream:
        tables = read_tables(stream.read(HEAD_BYTES)) if picture.format in ("JPEG", "MPO") else None
    return [tables.quality if tables else 0, file.stat().st_size / (picture.width * picture.height)]
