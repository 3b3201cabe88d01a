"""Records of pictures, from a manifest; folds of held-out groups, environments. Offline."""

import csv
import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from causalclip.images.formats import ImageError
from causalclip.images.loading import load_image

# sets of training pictures of like content, whose held-out groups are owners
LIKE = "alike", "sites", "edits2"
COLUMNS = ("path", "label", "source", "split")
CLASSES = "real", "generated"
MAX_NAMED = 3  # files in a sentence


class BadManifest(ValueError):
    """A manifest does not hold what a run needs; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Record:
    """A picture to learn from, or to be judged.

    path: relative to a root. picture: the same for all files of one original. family: generators
    that share a backbone, or a site. original: the name of the file that it came from, where known.
    owner: whose site it is, where known.
    kind: photo, or what else it is (training.dataset.table.PICTURE_TYPES).
    crop: "x0,y0,x1,y1", the only part to be used.
    grid: "2x2", a sheet of that many pictures. view: of manifests that hold two files a picture,
    "crop" for a window cut out of it.
    """

    path: str
    label: int
    source: str
    split: str
    set: str
    view: str
    picture: str
    family: str
    original: str = ""
    owner: str = ""
    crop: str = ""
    grid: str = ""
    kind: str = "photo"

    @property
    def group(self) -> str:
        """What must not be on both sides of a validation split: a family of generators, a site, a
        real collection."""
        if self.set in LIKE:
            return "site " + (self.owner or re.sub(r"-(ai|real)$", "", self.family))
        return f"family {self.family}" if self.label else f"collection {self.source}"


def read_manifest(path: str | Path) -> list[Record]:
    """Read the rows of a CSV: path, label (real or fake), source, split, and where they are known
    set, view, picture, family.

    Raises:
        BadManifest: it is no CSV text, a column or all rows are missing, or a label is neither real
            nor fake.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows, columns = list(reader), reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error):
        raise BadManifest(f"{Path(path).name} is not a CSV table in UTF-8.") from None
    missing = [name for name in COLUMNS if name not in columns]
    if missing or not rows:
        raise BadManifest(
            f"The manifest needs rows and the columns {', '.join(COLUMNS)}; missing: "
            f"{', '.join(missing) or 'rows'}."
        )
    wrong = sorted({r["label"] for r in rows} - {"real", "fake"})
    if wrong:
        raise BadManifest(f"Labels must be real or fake; the manifest also has {wrong[:5]}.")
    return [
        Record(
            path=r["path"],
            label=int(r["label"] == "fake"),
            source=r["source"],
            split=r["split"],
            set=r.get("set") or "all",
            view=r.get("view") or "picture",
            picture=r.get("picture") or r["path"],
            family=r.get("family") or r["source"],
            original=r.get("repo_path") or "",
        )
        for r in rows
    ]


def assign_folds(records: Iterable[Record], *, folds: int = 5, seed: int = 0) -> dict[str, int]:
    """Assign whole groups (families, sites, collections) to folds, balanced in every set and class:
    group -> fold."""
    cells = sorted({(r.set, r.label) for r in records})
    counts: dict[str, np.ndarray] = {}
    pictures: set[str] = set()
    for r in records:
        if r.picture not in pictures:
            pictures.add(r.picture)
            counts.setdefault(r.group, np.zeros(len(cells)))[cells.index((r.set, r.label))] += 1
    names = sorted(counts)
    np.random.default_rng(seed).shuffle(names)
    total = np.sum(list(counts.values()), axis=0)
    load = np.zeros((folds, len(cells)))
    fold_of = {}
    for name in sorted(names, key=lambda n: -counts[n].sum()):
        spread = [
            ((load + np.eye(folds)[f][:, None] * counts[name]) / total).std(0).sum()
            for f in range(folds)
        ]
        fold_of[name] = int(np.argmin(spread))
        load[fold_of[name]] += counts[name]
    return fold_of


def divide_lone_groups(records: Sequence[Record], *, folds: int) -> list[Record]:
    """Draw the pictures of a class that has one group alone into `folds` groups, by a hash.

    So that folds can be held out where one generator is learned from, the protocol of GenImage and
    UniversalFakeDetect. What is measured of them is of pictures that were not learned from, not of
    generators that were not; a sentence says so.
    """
    groups = {label: {r.group for r in records if r.label == label} for label in (0, 1)}
    both = groups[0] & groups[1]  # a site of both classes has to stay whole
    lone = {label for label, names in groups.items() if len(names) == 1 and not names & both}
    if lone:
        classes = " and ".join(f"{CLASSES[label]} pictures" for label in sorted(lone))
        say(
            f"All {classes} are of one source, so a hash draws the folds: thresholds hold for this "
            "source alone."
        )
    return [_with_hashed_group(r, folds) if r.label in lone else r for r in records]


def _with_hashed_group(record: Record, folds: int) -> Record:
    number = int(hashlib.sha256(record.picture.encode()).hexdigest()[:8], 16) % folds
    if record.label:
        return replace(record, family=f"{record.family} {number}")
    return replace(record, source=f"{record.source} {number}")


def assign_environments(records: Sequence[Record], *, seed: int = 0) -> np.ndarray:
    """The environment of every record, [N]: its site, collection or family of generators.

    One that shows a single class is joined with one of the same set that shows the other, so that
    in each environment both can be told apart; what is left over is spread over the environments of
    its set.
    """
    rng = np.random.default_rng(seed)
    classes: dict[tuple[str, str], set[int]] = {}
    for r in records:
        classes.setdefault((r.set, r.group), set()).add(r.label)
    number: dict[tuple[str, str], int] = {}
    for name in sorted({s for s, _ in classes}):
        groups = sorted(g for s, g in classes if s == name)
        rng.shuffle(groups)
        both, real, generated = (
            [g for g in groups if classes[name, g] == kinds] for kinds in ({0, 1}, {0}, {1})
        )
        first, count = len(set(number.values())), len(both) + max(1, min(len(real), len(generated)))
        for i, group in enumerate(both):
            number[name, group] = first + i
        environments_of_one_class = max(1, count - len(both))
        for kind in (real, generated):
            for i, group in enumerate(kind):
                number[name, group] = first + len(both) + i % environments_of_one_class
    return np.array([number[r.set, r.group] for r in records])


class RunStopped(RuntimeError):
    """A run ended before its work did; the message says what is kept."""


def say(sentence: str) -> None:
    """A sentence on stderr, above a progress bar where there is one."""
    tqdm.write(sentence, file=sys.stderr)


@contextmanager
def stopped_in_a_sentence(promise: str) -> Iterator[None]:
    """Make a RunStopped of Ctrl-C and of a killed worker process.

    promise: the sentence on what is not lost.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise RunStopped(f"Stopped. {promise}") from None
    except RuntimeError as error:
        # PyTorch has no class of its own for one that was killed
        if "DataLoader worker" not in str(error):
            raise
        raise RunStopped(
            f"A worker process was killed, most likely for want of memory. {promise}"
        ) from None


def readable(
    records: Sequence[Record], root: str | Path, *, fault: Callable[[Path], str] | None = None
) -> list[Record]:
    """The records whose pictures can be read; the others are left out, and that is said.

    fault: what is wrong with a file, or nothing; by itself what training, which opens it otherwise,
    cannot read.

    Raises:
        BadManifest: not one of them can be read.
    """
    look = fault or _fault
    faults = {r.path: fault_text for r in records if (fault_text := look(Path(root) / r.path))}
    if records and len(faults) == len({r.path for r in records}):
        raise BadManifest(
            f"None of the manifest's files can be read in {root}: --root is where their paths "
            "start."
        )
    if faults:
        examples = ", ".join(f"{path} {fault}" for path, fault in list(faults.items())[:MAX_NAMED])
        more = f", and {len(faults) - MAX_NAMED} more" if len(faults) > MAX_NAMED else ""
        say(f"Left out, {len(faults)} of {len(records)} files: {examples}{more}.")
    return [r for r in records if r.path not in faults]


def detection_fault(path: Path) -> str:
    """Return what is wrong with a file for who reads it as detection does; nothing where that can
    be read."""
    if not path.is_file():
        return "is missing"
    try:
        load_image(path)
    except ImageError:
        return "cannot be read"
    return ""


def _fault(path: Path) -> str:
    if not path.is_file():
        return "is missing"
    try:
        with Image.open(path) as picture:
            picture.convert("RGB")
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ):  # Pillow's, of broken files
        return "cannot be read"
    return ""


def need_both(records: Sequence[Record], what: str) -> None:
    """Check that records are of both classes; `what` needs them.

    Raises:
        BadManifest: they are real or generated alone.
    """
    labels = {r.label for r in records}
    if len(labels) < 2:
        words = f"only {CLASSES[labels.pop()]} ones" if labels else "none"
        raise BadManifest(
            f"{what} needs real and generated pictures; the manifest has {words} there."
        )


def check_training(records: Sequence[Record], *, folds: int) -> None:
    """Log what the folds cannot measure.

    Raises:
        BadManifest: a class is missing, or would have only one class left to learn from beside a
            held-out fold.
    """
    fold_of = assign_folds(records, folds=folds)
    need_both(records, "Training")
    for fold in sorted(set(fold_of.values())):
        missing = {0, 1} - {r.label for r in records if fold_of[r.group] != fold}
        if missing:
            name = CLASSES[missing.pop()]
            raise BadManifest(
                f"All {name} pictures fall into one fold, so none are left to learn from when it "
                "is held out: the columns source and family must tell two generators, sites or "
                "collections of them apart."
            )
    for name in sorted({r.set for r in records}):
        inside = [r for r in records if r.set == name]
        folds_with_both = [
            f
            for f in set(fold_of.values())
            if len({r.label for r in inside if fold_of[r.group] == f}) == 2
        ]
        folds_of_it = len({fold_of[r.group] for r in inside})
        if lacking := folds_of_it - len(folds_with_both):
            end = (
                "the mean is over the others"
                if folds_with_both
                else "nothing held out is measured of it"
            )
            say(
                f"Set {name}: no AUC in {lacking} of its {folds_of_it} folds, which lack a class; "
                f"{end}."
            )


def training_records(manifest: str | Path, root: str | Path) -> list[Record]:
    """The train split's pictures that can be read; of manifests with two files a picture, the whole
    ones.

    Raises:
        BadManifest: nothing can be learned from them.
    """
    records = [r for r in read_manifest(manifest) if r.split == "train" and r.view != "crop"]
    need_both(records, "The split 'train'")
    return readable(records, root)
