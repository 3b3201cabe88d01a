"""Where captions, questions and pictures come from, by reference, and the tables that training
reads made of them.

    rows = read_references()
    missing = collect_sources(rows, out)              # OUT/originals, each checked by its hash
    print(write_tables(rows, out, missing=missing))   # OUT/flickr8k.jsonl and so on, and pictures

The table training/tables/vlm.csv.gz has a row a picture and a row a file of annotations, and no
picture. A row without a repository is of a picture that only COCO's own archives are known to have;
its hash is that of the shrunk picture.
"""

import csv
import gzip
import hashlib
import io
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from training.dataset.collecting import CLONES, REASONS, Missing, Source, collect, split_by_presence
from training.dataset.table import place
from training.vlm.data import SETS

TABLE = Path("training/tables/vlm.csv.gz")
# px of the shorter side, and JPEG's quality, of the pictures that were trained on
SHORT, QUALITY = 224, 78
LICENCES = {
    "flickr8k": "Flickr8k: for research and teaching alone; the photographs are their owners'",
    "coco": "COCO: annotations CC BY 4.0; the photographs are their owners', by the licences on "
    "Flickr",
    "daquar": "DAQUAR: for research; the pictures are NYU Depth v2's",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A row of the table: a file of a public repository at a commit, by its hash.

    kind: picture, or what the file tells: captions, questions or boxes. name: of a picture
    "SET/FILE.jpg", of annotations the set. split: of a picture with captions or boxes, or of a file
    of questions; else empty.
    """

    kind: str
    name: str
    split: str
    repo: str
    commit: str
    path: str
    format: str
    sha256: str

    @property
    def order(self) -> tuple[str, ...]:
        """Where it stands in the table."""
        return (self.kind, self.name, self.path)

    @property
    def set(self) -> str:
        return self.name.partition("/")[0]


def read_references(table: Path = TABLE) -> list[Reference]:
    """Every row. Raises FileNotFoundError where there is no table."""
    if not table.is_file():
        raise FileNotFoundError(
            f"There is no table {table}: start this in the folder of the project's source."
        )
    with gzip.open(table, "rt", newline="", encoding="utf-8") as file:
        return [Reference(**row) for row in csv.DictReader(file)]


def collect_sources(
    references: Iterable[Reference],
    out: Path,
    *,
    mirrors: Path | None = None,
    workers: int = 4,
    tell: Callable[[], object] = lambda: None,
) -> list[Missing[Reference]]:
    """Bring what has a repository to OUT/originals, each file checked by its hash; what could not
    be had.

    mirrors: bare git directories owner+name; None asks GitHub. tell: is called after every file.
    """
    originals = out / "originals"
    missing = collect(
        [r for r in references if r.repo],
        originals,
        Source(mirrors=mirrors),
        workers=workers,
        tell=tell,
    )
    shutil.rmtree(originals / CLONES, ignore_errors=True)
    return missing


def write_tables(
    references: Iterable[Reference],
    out: Path,
    *,
    coco: Path | None = None,
    missing: Iterable[Missing[Reference]] = (),
) -> str:
    """Write OUT/SET.jsonl and OUT/SET/*.jpg of all that is there; say how much that is, why not
    more, and whose.

    Args:
        coco: a folder with COCO's own archives, unpacked in any way: pictures, captions_*.json and
            instances_*.json.
    """
    rows, missing = list(references), list(missing)
    annotations = _annotations(rows, out / "originals", coco)
    own = {path.name: path for path in coco.rglob("*.jpg")} if coco else {}
    lines = [f"{len(missing):,} files of repositories are missing."] if missing else []
    for gap in missing[:5]:
        lines.append(f"    {gap.picture.repo}, {gap.picture.path}: {REASONS[gap.reason]}")
    for name in SETS:
        of_set = [r for r in rows if r.kind == "picture" and r.set == name]
        lines_of_set = list(_made(of_set, out, own, annotations[name]))
        (out / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines_of_set))
        counts = {
            key: sum(len(row.get(key, ())) for row in lines_of_set)
            for key in ("captions", "qa", "boxes")
        }
        words = (
            f"{counts['captions']:,} captions, {counts['qa']:,} questions, {counts['boxes']:,} "
            "boxes"
        )
        lines.append(
            f"{name}: {len(lines_of_set):,} of {len(of_set):,} pictures, {words}. {LICENCES[name]}."
        )
    return "\n".join(lines)


def _made(
    references: Iterable[Reference],
    out: Path,
    own: dict[str, Path],
    annotations: dict[str, dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """The lines of a set, each once its picture is written."""
    for reference in references:
        target = out / reference.name
        data = _original(reference, out / "originals", own)
        if data is None:
            continue
        shrunk, size = shrink(data)
        if not reference.repo and hashlib.sha256(shrunk).hexdigest() != reference.sha256:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(shrunk)
        row: dict[str, Any] = {"file": reference.name}
        row |= {"split": reference.split, "captions": []} if reference.split else {"qa": []}
        row |= annotations.get(target.stem, {})
        if "boxes" in row:
            row["boxes"] = [_scaled(box, size) for box in row["boxes"]]
        yield row


def _original(reference: Reference, originals: Path, own: dict[str, Path]) -> bytes | None:
    path = place(originals, reference) if reference.repo else own.get(Path(reference.name).name)
    return path.read_bytes() if path and path.is_file() else None


def shrink(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """A picture file as the JPEG that is trained on, and the size in px that it had: (width,
    height)."""
    with Image.open(io.BytesIO(data)) as file:
        picture = file.convert("RGB")
    width, height = size = picture.size
    factor = SHORT / min(size)
    if factor < 1:
        picture = picture.resize(
            (round(width * factor), round(height * factor)), Image.Resampling.LANCZOS
        )
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue(), size


def _scaled(box: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    factor = min(1.0, SHORT / min(size))
    return box | {"xywh": [round(value * factor, 1) for value in box["xywh"]]}


def _annotations(
    rows: list[Reference], originals: Path, coco: Path | None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Set -> picture's name without ending -> captions, questions (qa) and boxes, those in px of
    the original."""
    annotations: dict[str, dict[str, dict[str, Any]]] = {name: defaultdict(dict) for name in SETS}
    for row in rows:
        path = place(originals, row)
        if row.kind != "picture" and path.is_file():
            _read(path, row.kind, row.split, annotations[row.name])
    for kind, pattern in (("captions", "captions_*.json"), ("boxes", "instances_*.json")):
        for path in sorted(coco.rglob(pattern)) if coco else ():
            _read(path, kind, "", annotations["coco"])
    return annotations


def _read(path: Path, kind: str, split: str, annotations: dict[str, dict[str, Any]]) -> None:
    """Add what a file says of pictures of which nothing of this kind was said before."""
    lines_of: dict[str, list[Any]] = defaultdict(list)
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        names = {category["id"]: category["name"] for category in content.get("categories", ())}
        for annotation in content["annotations"]:
            line: Any = (
                " ".join(annotation["caption"].split())
                if kind == "captions"
                else {
                    "name": names[annotation["category_id"]],
                    "xywh": annotation["bbox"],
                    "iscrowd": annotation["iscrowd"],
                }
            )
            lines_of[f"{annotation['image_id']:012d}"].append(line)
    else:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if kind == "captions":
                    lines_of[re.sub(r"\.jpg$", "", row["image"])].append(row["caption"])
                else:
                    entry = {"question": row["question"], "answer": row["answer"], "split": split}
                    lines_of[row["image_id"]].append(entry)
    key = "qa" if kind == "questions" else kind
    for name, lines in lines_of.items():
        if kind == "questions":
            annotations[name].setdefault(key, []).extend(lines)
        else:
            annotations[name].setdefault(key, lines)


def count_present(references: Iterable[Reference], out: Path) -> int:
    """Return how many files with a repository are in OUT/originals already."""
    return len(split_by_presence([r for r in references if r.repo], out / "originals")[0])
