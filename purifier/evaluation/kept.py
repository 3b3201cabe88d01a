"""What was measured, picture by picture: a run that was stopped, or that gets more columns or pictures, goes on.

The table is small and holds nothing of the pictures but their names, so that it can be published.
"""

import csv
import gzip
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock
from torch import Tensor

from purifier.evaluation.metrics import Outcome
from purifier.pixels import save_exact, to_tensor
from purifier.vlm.features import read_pixels

HEAD = ("column", "seed", "picture", "row", "agrees", "right", "caption", "psnr", "ssim")
NONE = "-"  # in place of a caption, where people have captioned none

Known = dict[str, dict[str, dict[str, Outcome]]]  # by column, "SEED PICTURE", row


class Kept:
    """Outcomes on disk: one compressed table, a line a column, picture, seed and row.

    While a run goes on, a plain file beside the table takes what is new. So a run that is killed loses one line at
    most, and `pack` moves the rest into the table. Runs of different columns may share a table: they write in turn.

    Args:
        path: NAME.csv.gz; folders are made if needed. None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: Known | None = None

    def get(self, column: str, seed: int, picture: str) -> dict[str, Outcome]:
        """Row's name -> outcome, of those that were measured."""
        return self.all(column).get(f"{seed} {picture}", {})

    def all(self, column: str) -> dict[str, dict[str, Outcome]]:
        """The same of every seed and picture, by "SEED PICTURE", in the order in which they were measured."""
        if self._known is None:
            self._known = self._read()
        return self._known.setdefault(column, {})

    def put(self, column: str, seed: int, picture: str, outcomes: dict[str, Outcome]) -> None:
        """Adds to what is known of this picture."""
        key = f"{seed} {picture}"
        self.all(column).setdefault(key, {}).update(outcomes)
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._alone, self._new.open("a+b") as file:
            file.truncate(_whole(self._new.read_bytes()))  # what a killed run had not written to its end
            file.write(_lines({column: {key: outcomes}}).encode())

    def pack(self) -> None:
        """Moves what is new into the table, which is replaced as a whole."""
        if self.path is None or not self._new.is_file():
            return
        part = self.path.with_suffix(".part")
        with self._alone:
            self._known = self._from_disk()
            text = ",".join(HEAD) + "\n" + _lines(self._known)
            part.write_bytes(gzip.compress(text.encode(), mtime=0))  # the same table is the same bytes
            part.replace(self.path)
            self._new.unlink(missing_ok=True)

    @property
    def _new(self) -> Path:
        assert self.path is not None
        return self.path.with_name(self.path.name.removesuffix(".csv.gz") + ".new.csv")

    @property
    def _alone(self) -> FileLock:
        return FileLock(self._new.with_suffix(".lock"))

    def _read(self) -> Known:
        if self.path is None:
            return {}
        if not self._new.is_file():  # the published table is read without a lock, which would leave a file
            return self._from_disk()
        with self._alone:
            return self._from_disk()

    def _from_disk(self) -> Known:
        assert self.path is not None
        known: Known = {}
        table = gzip.decompress(self.path.read_bytes()).decode() if self.path.is_file() else ""
        new = self._new.read_bytes() if self._new.is_file() else b""
        for text in (table.partition("\n")[2], new[: _whole(new)].decode()):
            for column, seed, picture, row, *measured in csv.reader(io.StringIO(text, newline="")):
                known.setdefault(column, {}).setdefault(f"{seed} {picture}", {})[row] = _outcome(measured)
        return known


def _whole(lines: bytes) -> int:
    """How many bytes there are up to the end of the last whole line."""
    return lines.rfind(b"\n") + 1


def _lines(known: Known) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(_plain(known))
    return text.getvalue()


def _plain(known: Known) -> Iterator[tuple[object, ...]]:
    for column, pictures in known.items():
        for key, rows in pictures.items():
            for row, o in rows.items():
                said = NONE if o.caption is None else " ".join(o.caption.split())
                yield column, *key.split(" ", 1), row, int(o.agrees), int(o.right), said, o.psnr, o.ssim


def _outcome(measured: list[str]) -> Outcome:
    agrees, right, caption, psnr, ssim = measured
    said = None if caption == NONE else caption
    return Outcome(agrees == "1", right == "1", said, psnr=float(psnr), ssim=float(ssim))


def kept_picture(folder: Path | None, what: str, make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, float [1, 3, H, W] on 8-bit levels; from the folder where it was made before.

    Attacks that know no defence are most of the cost, and the same for every defence. These files show the pictures
    themselves: they are not for publishing. They are not told apart by CLIP's weights or the attack's code: empty the
    folder after a change of these.

    Args:
        folder: made if needed; None keeps nothing. what: tells all pictures apart.
    """
    if folder is None:
        return make()
    path = folder / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.png"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part.png")  # another run may be making the same one
        save_exact(make(), part)
        part.replace(path)
    return to_tensor(np.asarray(read_pixels(path)))


def fingerprint(folders: Iterable[Path]) -> str:
    """Of the weights and settings in these folders: other models are measured anew."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".json", ".safetensors"}:
                digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]
