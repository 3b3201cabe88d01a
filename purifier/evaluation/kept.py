"""What was measured, picture by picture: a run that was stopped, or that gets more columns or pictures, goes on.

The files are small and hold nothing of the pictures but their names, so that they can be published beside the table.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from torch import Tensor

from purifier.evaluation.metrics import Outcome
from purifier.pixels import save_exact, to_tensor
from purifier.vlm.features import read_pixels


class Kept:
    """Outcomes on disk: a file a column, a line a picture and seed. Runs of different columns may share a folder.

    Args:
        folder: made if needed; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._columns: dict[str, dict[str, dict[str, Outcome]]] = {}

    def get(self, column: str, seed: int, picture: str) -> dict[str, Outcome]:
        """Row's name -> outcome, of those that were measured."""
        return self.all(column).get(f"{seed} {picture}", {})

    def all(self, column: str) -> dict[str, dict[str, Outcome]]:
        """The same of every seed and picture, by "SEED PICTURE"."""
        if column not in self._columns:
            self._columns[column] = self._read(column)
        return self._columns[column]

    def put(self, column: str, seed: int, picture: str, outcomes: dict[str, Outcome]) -> None:
        """Adds to what is known of this picture."""
        self.all(column).setdefault(f"{seed} {picture}", {}).update(outcomes)
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        line = {"key": f"{seed} {picture}", "rows": {row: o.plain() for row, o in outcomes.items()}}
        with self._file(column).open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _read(self, column: str) -> dict[str, dict[str, Outcome]]:
        found: dict[str, dict[str, Outcome]] = {}
        if self.folder is not None and self._file(column).is_file():
            for line in self._file(column).read_text().splitlines():
                known = json.loads(line)
                found.setdefault(known["key"], {}).update({row: Outcome(**o) for row, o in known["rows"].items()})
        return found

    def _file(self, column: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{re.sub('[^a-z0-9]+', '-', column.lower()).strip('-')}.jsonl"


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
