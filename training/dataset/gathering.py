"""New rows: pictures of a repository that may be worth one, evidence for their labels, and what a
person confirmed."""

import csv
import hashlib
import io
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from causalclip.images.formats import ENDINGS, MAX_BYTES, ImageError, sniff
from causalclip.images.hashes import as_bits
from causalclip.images.loading import load_image
from causalclip.marks.hints import generator_by_name
from causalclip.provenance.reading import read_provenance
from training.dataset.repositories import FILES, Entry, Repository
from training.dataset.rules import NEAR_BITS, describe, is_reserved, settle, split_new
from training.dataset.table import (
    COLUMNS,
    BadTable,
    Picture,
    Site,
    as_csv,
    as_picture,
    is_safe,
    place,
)

MIN_SIDE = 300  # pixels of the shorter side
MAX_ASPECT = 3.0  # times the shorter side
MIN_BYTES = 12_000
MIN_COLOURS = 200  # of a picture at 64 x 64 px; drawings and logos have fewer
HASHED_SIDE = 512  # pixels of the longer side that is hashed
MAX_OF_OWNER = 25  # pictures of a class and owner that `add` takes
# px of a picture on the contact sheet; pictures a row; px for two lines below each
THUMB, ACROSS, WORDS = 150, 8, 26
BEFORE = "2022-07"  # pictures that came in before could not be by a generator of the newer kinds
_ICON = re.compile(
    r"icon|logo|sprite|avatar|thumb(nail)?s?[/_.-]|badge|og-image|node_modules|/flags?/",
    re.IGNORECASE,
)
_EMPTY = {"set": "sites", "kind": "photo", "licence": "none stated"}
# those that were measured on stay
_SETS = {"alike": "sites", "fresh": "sites", "broad": "sites", "edits": "edits2"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """words: what was found, for the table. proposed: the label that it speaks for, if any.
    generator: whose."""

    words: str
    proposed: str = ""
    generator: str = ""
    real_by: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that a person may take. width, height: of the file as stored. thumb: upright, for
    the sheet."""

    path: str
    sha256: str
    phash: str
    width: int
    height: int
    format: str
    evidence: Evidence
    thumb: Image.Image


def find_evidence(data: bytes, path: str, first_day: str) -> Evidence:
    """Return what a file's bytes, its path, and the day when it was added (YYYY-MM-DD, or empty)
    say of its label.

    Raises an ImageError for what is no picture.
    """
    claims = read_provenance(data, sniff(data))
    fields = {f.name: f.value for f in claims.fields if f.where == "EXIF"}
    camera = " ".join(filter(None, (fields.get("Camera maker"), fields.get("Camera"))))
    by_name = generator_by_name(Path(path).name) or ""
    words = [f"{t.where}: {t.words}" for t in claims.all_source_types]
    words += [f"mark of {m.generator} in {m.where}" for m in claims.marks]
    words += [f"EXIF camera {camera}"] if camera else []
    words += [f"{name.lower()} {fields[name]}" for name in ("Taken", "Software") if name in fields]
    words += [f"file name of {by_name}"] if by_name else []
    text = "; ".join(words + ([f"added {first_day}"] if first_day else []))
    kinds = {t.kind for t in claims.all_source_types}
    if kinds & {"generated", "part generated"} or claims.claimed_marks or by_name:
        generator = claims.claimed_marks[0].generator if claims.claimed_marks else by_name
        return Evidence(text, "fake", generator or "unknown")
    real_by = (
        "exif"
        if camera
        else "c2pa"
        if "captured" in kinds
        else "date"
        if first_day and first_day < BEFORE
        else ""
    )
    return Evidence(text, "real" if real_by else "", real_by=real_by)


def find_candidates(
    repository: Repository,
    commit: str,
    known: Iterable[Picture],
    *,
    most: int,
    under: str = "",
    match: str = "",
) -> tuple[list[Candidate], Counter[str]]:
    """Find at most `most` candidates, drawn from each folder in turn; return them, and why others
    were left out, with their numbers.

    under: only paths that begin so. match: only paths in which this regular expression is found.
    """
    left_out: Counter[str] = Counter()
    files, hashes = {p.sha256 for p in known}, as_bits([p.phash for p in known if p.phash])
    first_days = repository.added(commit)
    candidates: list[Candidate] = []
    for entry in _order(repository.tree(commit, sizes=True).values(), under, match):
        if len(candidates) == most:
            break
        data = repository.read(entry.oid)
        outcome = (
            _look(data, entry.path, first_days.get(entry.path, ""), files)
            if data
            else "its bytes are not there"
        )
        if isinstance(outcome, Candidate) and _near(outcome.phash, hashes).any():
            outcome = "it is a near-copy of a known one"
        if isinstance(outcome, str):
            left_out[outcome] += 1
            continue
        files.add(outcome.sha256)
        hashes = np.append(hashes, as_bits([outcome.phash]))
        candidates.append(outcome)
    return candidates, left_out


def _order(files: Iterable[Entry], under: str, match: str) -> Iterator[Entry]:
    """Yield what may be pictures: one of each folder in turn, within a folder by chance."""
    folders: dict[str, list[Entry]] = defaultdict(list)
    for entry in files:
        path = entry.path
        is_wanted = (
            path.startswith(under) and re.search(match, path) and path.lower().endswith(ENDINGS)
        )
        is_wanted = is_wanted and entry.mode in FILES
        if (
            is_wanted
            and MIN_BYTES <= (entry.size or 0) <= MAX_BYTES
            and not _ICON.search(path)
            and is_safe(path)
        ):
            folders[os.path.dirname(path)].append(entry)
    pools = [
        random.Random(name).sample(items, len(items)) for name, items in sorted(folders.items())
    ]
    while pools:
        for pool in pools:
            yield pool.pop()
        pools = [pool for pool in pools if pool]


def _look(data: bytes, path: str, first_day: str, hashes: set[str]) -> Candidate | str:
    """The picture as a candidate, or why it is none."""
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 in hashes:
        return "it is known"
    try:
        image = load_image(data)
        evidence = find_evidence(data, path, first_day)
        with Image.open(io.BytesIO(data)) as file:
            (width, height), name = file.size, file.format or ""
        phash = perceptual_hash(data)
    except (ImageError, OSError, ValueError):
        return "it does not decode"
    if min(width, height) < MIN_SIDE:
        return "it is too small"
    if max(width, height) > MAX_ASPECT * min(width, height):
        return "it is too narrow"
    thumb = Image.fromarray(image.pixels)
    if len(set(thumb.resize((64, 64)).get_flattened_data())) < MIN_COLOURS:
        return "it has few colours"
    thumb.thumbnail((THUMB, THUMB))
    return Candidate(path, sha256, phash, width, height, name, evidence, thumb)


def perceptual_hash(data: bytes, crop: str = "") -> str:
    """Return imagehash.phash of a file's upright picture, shrunk to HASHED_SIDE, as 16 hexadecimal
    digits.

    crop: "x0,y0,x1,y1", the only part that counts. Raises OSError or ValueError where the file does
    not decode.
    """
    import imagehash  # brings SciPy's and PyWavelets' slow imports

    with Image.open(io.BytesIO(data)) as picture:
        part = picture.crop(tuple(int(v) for v in crop.split(","))) if crop else picture  # type: ignore[arg-type]
        part.draft("RGB", (400, 400))
        small = ImageOps.exif_transpose(part).convert("RGB")
    small.thumbnail((HASHED_SIDE, HASHED_SIDE))
    return str(imagehash.phash(small))


def fill_hashes(pictures: Iterable[Picture], originals: Path) -> list[Picture]:
    """The same rows, with the hashes of those that lack one and whose original is there and
    decodes."""
    rows = []
    for picture in pictures:
        file = place(originals, picture)
        if not picture.phash and file.is_file():
            with suppress(OSError, ValueError):
                picture = replace(picture, phash=perceptual_hash(file.read_bytes(), picture.crop))
        rows.append(picture)
    return rows


def _near(phash: str, hashes: np.ndarray) -> np.ndarray:
    """Return which of the hashes [N] are of near-copies."""
    return np.bitwise_count(hashes ^ as_bits([phash or "0"])) <= (NEAR_BITS if phash else -1)


def draw_sheet(candidates: Sequence[Candidate]) -> Image.Image:
    """Draw thumbnails in rows, each with its number in the draft, the end of its name, and what
    speaks for a label."""
    cell = THUMB + 6
    sheet = Image.new(
        "RGB", (ACROSS * cell, max(1, -(-len(candidates) // ACROSS)) * (cell + WORDS)), "white"
    )
    draw = ImageDraw.Draw(sheet)
    for i, candidate in enumerate(candidates):
        x, y = i % ACROSS * cell, i // ACROSS * (cell + WORDS)
        sheet.paste(candidate.thumb, (x, y))
        name, words = (
            f"{i + 1} {candidate.path[-20:]}",
            f"{candidate.evidence.proposed} {candidate.evidence.words}",
        )
        for line, (text, colour) in enumerate(((name, "black"), (words[:24], "darkred"))):
            draw.text(
                (x + 2, y + THUMB + 1 + 11 * line),
                text.encode("ascii", "replace").decode(),
                fill=colour,
            )
    return sheet


def write_draft(candidates: Sequence[Candidate], repo: str, commit: str, path: Path) -> None:
    """Write a row a candidate, without a label: `add` takes no row until a person has filled that
    in.

    proposed: the label that the evidence speaks for. Rows that are not wanted are deleted.
    """
    about = {
        "set": "sites",
        "kind": "photo",
        "repo": repo,
        "commit": commit,
        "site": repo.partition("/")[0].lower(),
    }
    rows = [
        asdict(one)
        | asdict(one.evidence)
        | about
        | {"number": number, "evidence": one.evidence.words}
        for number, one in enumerate(candidates, 1)
    ]
    path.write_bytes(as_csv(rows, ("number", "proposed", *COLUMNS)).encode())


def read_draft(path: Path) -> list[Picture]:
    """The rows of a draft: the table's columns by name, of which those that are not there are
    empty, or the usual.

    Raises BadTable with the line and what is wrong with it: a label that nobody confirmed is wrong,
    too.
    """
    pictures = []
    for line, row in enumerate(_rows(path, {"label", "repo", "sha256", "evidence"}), 2):
        owner = row["repo"].partition("/")[0].lower()
        full = {column: row.get(column) or _EMPTY.get(column, "") for column in COLUMNS}
        full |= {"site": owner, "family": full["family"] or owner, "split": "train"}
        full |= {
            "set": _SETS.get(full["set"], full["set"]),
            "pasted": full["pasted"].replace("unknown", ""),
        }
        try:
            pictures.append(as_picture(full, line))
        except BadTable as error:
            raise BadTable(f"{path.name}: {error}") from None
    return pictures


def read_words(path: Path) -> list[Site]:
    """Return what was written down about owners: a CSV with owner, shown and remarks."""
    blank = dict.fromkeys(("kind", "classes", "generators", "evidence", "split"), "")
    rows = _rows(path, {"owner", "shown"})
    return [
        Site(owner=r["owner"].lower(), shown=r["shown"], remarks=r.get("remarks", ""), **blank)
        for r in rows
    ]


def _rows(path: Path, columns: set[str]) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        if missing := columns - set(reader.fieldnames or ()):
            raise BadTable(f"{path.name} lacks the columns {', '.join(sorted(missing))}.")
        return list(reader)


@dataclass(frozen=True, slots=True)
class Added:
    """Both tables with what was added, and why the other rows of the drafts were left out, with
    their numbers."""

    pictures: list[Picture]
    sites: list[Site]
    new: int
    left_out: Counter[str]


def add(
    drafts: Sequence[Picture],
    pictures: Sequence[Picture],
    sites: Iterable[Site],
    *,
    words: Iterable[Site] = (),
    reserved: frozenset[str] = frozenset(),
) -> Added:
    """The tables with what of the drafts is new.

    Left out are reserved repositories, files and near-copies of pictures that are there, and what
    is more than MAX_OF_OWNER of a class and owner. A picture and its edits may look alike.
    """
    left_out: Counter[str] = Counter()
    files, with_hash = {p.sha256 for p in pictures}, [p for p in pictures if p.phash]
    bits, pairs = as_bits([p.phash for p in with_hash]), [p.pair for p in with_hash]
    forbidden = {repo for repo in {p.repo for p in drafts} if is_reserved(repo, reserved)}
    of: Counter[tuple[str, str, str]] = Counter()
    new: list[Picture] = []
    # a picture counts first as one of a pair
    for p in sorted(drafts, key=lambda p: (not p.pair, p.order)):
        cell = p.owner, p.label, p.set
        if p.repo in forbidden:
            left_out["reserved"] += 1
        elif p.sha256 in files:
            left_out["known"] += 1
        elif any(not p.pair or pairs[i] != p.pair for i in np.flatnonzero(_near(p.phash, bits))):
            left_out["near-copy"] += 1
        elif of[cell] >= MAX_OF_OWNER and not p.pair:
            left_out["more than enough of a class and owner"] += 1
        else:
            of[cell] += 1
            new.append(p)
            files.add(p.sha256)
            if p.phash:
                bits = np.append(bits, as_bits([p.phash]))
                pairs.append(p.pair)
    alone = {name for name, n in Counter(p.pair for p in new).items() if n == 1}
    new = [replace(p, pair="") if p.pair in alone else p for p in new]
    rows = settle([*pictures, *split_new(new, pictures)])
    return Added(rows, describe(rows, [*sites, *words]), len(new), left_out)
