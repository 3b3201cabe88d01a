"""What can be said of a picture without looking for traces: by its size, format, quality, or a thumbnail of 64 px.

Each is asked of owners that it has not learned from. What it says is what a detector could say by habit, not by traces.
"""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from causalclip.dataset.collecting.originals import place
from causalclip.dataset.rules import USED
from causalclip.dataset.table import FORMATS, Picture
from causalclip.provenance.jpegtables import read_tables

SIDE = 64  # pixels of a thumbnail, squashed to a square
MOST = 800  # pictures of a set that are asked about, drawn by their hashes
FOLDS = 5
PARTS = 100  # principal components of thumbnails
HEAD = 2**20  # bytes of a file that are read for its tables


def find_hints(pictures: Sequence[Picture], originals: Path | None, cache: Path, *, workers: int = 2) -> dict[str, Any]:
    """AUC of each hint on each set, as far as it has both classes of FOLDS owners: set -> hint -> AUC.

    With `originals` also of quality and thumbnails; thumbnails are kept in `cache`. Size and format need no pictures.
    `workers` processes make thumbnails and ask the sets side by side.
    """
    of_set: dict[str, list[Picture]] = defaultdict(list)
    for p in sorted(pictures, key=lambda p: p.sha256):
        if p.split in USED and len(of_set[p.set]) < MOST and (originals is None or place(originals, p).is_file()):
            of_set[p.set].append(p)
    with ProcessPoolExecutor(workers) as pool:
        if originals:
            make_thumbnails([p for rows in of_set.values() for p in rows], originals, cache, pool)
        asked = {name: pool.submit(_of_set, rows, originals, cache) for name, rows in sorted(of_set.items())}
        return {name: found.result() for name, found in tqdm(asked.items(), unit="set")}


def _of_set(rows: Sequence[Picture], originals: Path | None, cache: Path) -> dict[str, Any]:
    labels = np.array([p.label == "fake" for p in rows])
    owners = np.array([p.owner for p in rows])
    found: dict[str, Any] = {"pictures": len(rows), "owners": len(set(owners))}
    if min(len(set(owners[labels])), len(set(owners[~labels]))) < FOLDS:
        return found | {"too few owners": True}
    found["size"] = ask(np.array([[p.width, p.height, p.width / p.height] for p in rows]), labels, owners)
    found["format"] = ask(np.array([[p.format == name for name in FORMATS] for p in rows]), labels, owners)
    if originals:
        found["quality"] = ask(np.array([_quality(place(originals, p), p) for p in rows]), labels, owners)
        thumbnails = [_thumbnail(cache, p) for p in rows]
        there = np.array([t is not None for t in thumbnails])
        pixels = np.stack([t for t in thumbnails if t is not None])
        found["thumbnail"] = ask(pixels, labels[there], owners[there], linear=True)
    return found


def ask(features: np.ndarray, labels: np.ndarray, owners: np.ndarray, *, linear: bool = False) -> float:
    """AUC of a classifier of `features` [N, D] on owners that it has not learned from; folds are pooled.

    linear: logistic regression of principal components; otherwise boosted trees. Classes weigh the same.
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from threadpoolctl import threadpool_limits

    if linear:
        parts = min(PARTS, len(features) // 2)
        model = make_pipeline(
            PCA(parts, whiten=True, svd_solver="randomized", random_state=0),
            LogisticRegression(C=0.1, class_weight="balanced", max_iter=500),
        )
    else:
        model = HistGradientBoostingClassifier(max_iter=100, class_weight="balanced", random_state=0)
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    pixels = features.astype(np.float32)
    with threadpool_limits(1):  # small tables; threads that wait for one another cost more than they give
        scores = cross_val_predict(model, pixels, labels, groups=owners, cv=folds, method="predict_proba")
    return round(float(roc_auc_score(labels, scores[:, 1])), 3)


def make_thumbnails(pictures: Sequence[Picture], originals: Path, cache: Path, pool: Executor) -> None:
    """Make the thumbnails that `cache` lacks; one that cannot be made is left out."""
    todo = [p for p in pictures if not (cache / f"{p.sha256}.png").exists()]
    cache.mkdir(parents=True, exist_ok=True)
    made = pool.map(partial(_make, originals, cache), todo, chunksize=16)
    list(tqdm(made, total=len(todo), unit="thumbnail"))


def _make(originals: Path, cache: Path, picture: Picture) -> None:
    with suppress(OSError, ValueError), Image.open(place(originals, picture)) as file:
        file.draft("RGB", (4 * SIDE, 4 * SIDE))
        small = ImageOps.exif_transpose(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
        part = cache / f"{picture.sha256}.part"
        small.save(part, "PNG")
        part.replace(cache / f"{picture.sha256}.png")


def _thumbnail(cache: Path, picture: Picture) -> np.ndarray | None:
    file = cache / f"{picture.sha256}.png"
    if not file.exists():
        return None
    with Image.open(file) as small:
        return np.asarray(small, np.uint8).reshape(-1)


def _quality(file: Path, picture: Picture) -> list[float]:
    """JPEG quality (0 for what is no JPEG, or has no tables at its beginning), and bytes a pixel."""
    quality = 0
    if picture.format in ("JPEG", "MPO"):
        with file.open("rb") as opened:
            tables = read_tables(opened.read(HEAD))
        quality = tables.quality if tables else 0
    return [quality, file.stat().st_size / (picture.width * picture.height)]
