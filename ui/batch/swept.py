"""Uploads that were deleted while their page stayed open: what was found of them stays; of the others it is said."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from causalclip.examine.batch import Row, collect
from causalclip.languages import _
from causalclip.pictures.formats import UnsupportedImage
from causalclip.pictures.plaintext import clean
from ui.server.files import GONE

if TYPE_CHECKING:
    from causalclip.pictures.archives import Member
    from ui.batch.kept import Batch


def swept(batch: Batch, gone: Sequence[str], paths: Sequence[str]) -> tuple[tuple[Row, ...], list[Member]]:
    """Finished rows of the uploads that are gone, numbered from 1, and the names of the others, each with the sentence.

    paths: of the uploads that are there. What is in them comes again by itself, and so does one that was added anew.
    """
    names = list(dict.fromkeys(_name(path) for path in gone))
    if not names:
        return (), []
    zipped = any(name.lower().endswith(".zip") for name in names)  # the names in it are known no more
    there = {(_hash(content), clean(name, limit=120)) for name, content in collect(paths)}
    stay = [row for key, row in batch.finished.items() if key not in there and (zipped or row.name in names)]
    found = {row.name for row in stay} | {name for _sha256, name in there}
    rows = tuple(replace(row, number=number) for number, row in enumerate(stay, 1))
    return rows, [(name, UnsupportedImage(_(GONE))) for name in names if name not in found]


def _name(path: str) -> str:
    return clean(Path(path).name, limit=120)


def _hash(content: object) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else ""
