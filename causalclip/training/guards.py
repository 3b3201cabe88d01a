"""What can be wrong with a run, in one sentence each, before hours go into it. Offline; the app never imports this."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from causalclip.pictures.loading import ImageError, load_image
from causalclip.training.data import BadManifest, Record, assign_folds, read_manifest

CLASSES = "real", "generated"
NAMED = 3  # files in a sentence


class RunStopped(RuntimeError):
    """A run ended before its work did; the message says what is kept."""


def say(sentence: str) -> None:
    """A sentence on stderr, above a progress bar where there is one."""
    tqdm.write(sentence, file=sys.stderr)


@contextmanager
def stopped_in_a_sentence(kept: str) -> Iterator[None]:
    """Makes a RunStopped of Ctrl-C and of a killed worker process; `kept` is the sentence on what is not lost."""
    try:
        yield
    except KeyboardInterrupt:
        raise RunStopped(f"Stopped. {kept}") from None
    except BrokenProcessPool:
        raise RunStopped(f"A worker process was killed, most likely for want of memory. {kept}") from None


def readable(
    records: Sequence[Record], root: str | Path, *, fault: Callable[[Path], str] | None = None
) -> list[Record]:
    """The records whose pictures can be read; the others are left out, and that is said.

    fault: what is wrong with a file, or nothing; by itself what training, which opens it otherwise, cannot read.

    Raises:
        BadManifest: not one of them can be read.
    """
    look = fault or _fault
    faults = {r.path: found for r in records if (found := look(Path(root) / r.path))}
    if records and len(faults) == len({r.path for r in records}):
        raise BadManifest(f"None of the manifest's files can be read in {root}: --root is where their paths start.")
    if faults:
        named = ", ".join(f"{path} {fault}" for path, fault in list(faults.items())[:NAMED])
        more = f", and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        say(f"Left out, {len(faults)} of {len(records)} files: {named}{more}.")
    return [r for r in records if r.path not in faults]


def detection_fault(path: Path) -> str:
    """What is wrong with a file for who reads it as detection does; nothing where that can be read."""
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
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # Pillow's, of broken files
        return "cannot be read"
    return ""


def need_both(records: Sequence[Record], what: str) -> None:
    """Raises:
    BadManifest: `what` has not both real and generated pictures.
    """
    labels = {r.label for r in records}
    if len(labels) < 2:
        found = f"only {CLASSES[labels.pop()]} ones" if labels else "none"
        raise BadManifest(f"{what} needs real and generated pictures; the manifest has {found} there.")


def check_training(records: Sequence[Record], *, folds: int) -> None:
    """Says what the folds cannot measure.

    Raises:
        BadManifest: a class is missing, or would have only one class left to learn from beside a held-out fold.
    """
    fold_of = assign_folds(records, folds=folds)
    need_both(records, "Training")
    for fold in sorted(set(fold_of.values())):
        missing = {0, 1} - {r.label for r in records if fold_of[r.group] != fold}
        if missing:
            name = CLASSES[missing.pop()]
            raise BadManifest(
                f"All {name} pictures fall into one fold, so none are left to learn from when it is held out: the "
                "columns source and family must tell two generators, sites or collections of them apart."
            )
    for name in sorted({r.set for r in records}):
        inside = [r for r in records if r.set == name]
        judged = [f for f in set(fold_of.values()) if len({r.label for r in inside if fold_of[r.group] == f}) == 2]
        folds_of_it = len({fold_of[r.group] for r in inside})
        if lacking := folds_of_it - len(judged):
            end = "the mean is over the others" if judged else "nothing held out is measured of it"
            say(f"Set {name}: no AUC in {lacking} of its {folds_of_it} folds, which lack a class; {end}.")


def training_records(manifest: str | Path, root: str | Path) -> list[Record]:
    """The train split's pictures that can be read; of manifests with two files a picture, the whole ones.

    Raises:
        BadManifest: nothing can be learned from them.
    """
    wanted = [r for r in read_manifest(manifest) if r.split == "train" and r.view != "crop"]
    need_both(wanted, "The split 'train'")
    return readable(wanted, root)
