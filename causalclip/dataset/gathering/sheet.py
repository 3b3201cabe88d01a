"""A contact sheet of candidates, and a draft of their rows: a person looks at the one and completes the other."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from causalclip.dataset.gathering.finding import THUMB, Candidate
from causalclip.dataset.table import COLUMNS

ACROSS = 8
WORDS = 26  # pixels for two lines below each picture
DRAFT = ("number", "proposed", *COLUMNS)


def draw_sheet(candidates: Sequence[Candidate]) -> Image.Image:
    """Thumbnails in rows, each with its number in the draft, the end of its name, and what speaks for a label."""
    cell = THUMB + 6
    down = max(1, -(-len(candidates) // ACROSS))
    sheet = Image.new("RGB", (ACROSS * cell, down * (cell + WORDS)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, candidate in enumerate(candidates):
        x, y = i % ACROSS * cell, i // ACROSS * (cell + WORDS)
        width, height = candidate.thumb.size
        sheet.paste(candidate.thumb, (x + (THUMB - width) // 2, y + (THUMB - height) // 2))
        name = candidate.path.rpartition("/")[2].encode("ascii", "replace").decode()
        said = candidate.evidence.words.encode("ascii", "replace").decode()
        draw.text((x + 2, y + THUMB + 1), f"{i + 1} {name[-20:]}", fill="black")
        draw.text((x + 2, y + THUMB + 12), f"{candidate.evidence.proposed} {said}"[:24], fill="darkred")
    return sheet


def write_draft(candidates: Sequence[Candidate], repo: str, commit: str, path: Path) -> None:
    """Write a row a candidate, without a label: `add` takes no row until a person has filled that in.

    proposed: the label that the evidence speaks for. Rows that are not wanted are deleted.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, DRAFT, restval="", lineterminator="\n")
    writer.writeheader()
    for number, candidate in enumerate(candidates, 1):
        said = candidate.evidence
        row = {"number": number, "proposed": said.proposed, "set": "sites", "kind": "photo", "repo": repo}
        row |= {"commit": commit, "path": candidate.path, "site": repo.partition("/")[0].lower()}
        row |= {"generator": said.generator, "real_by": said.real_by, "evidence": said.words}
        row |= {name: getattr(candidate, name) for name in ("sha256", "phash", "width", "height", "format")}
        writer.writerow(row)
    path.write_bytes(text.getvalue().encode())
