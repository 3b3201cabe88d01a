"""Pictures of a repository are found, their evidence is read, and confirmed drafts become rows with drawn splits."""

import csv
import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from causalclip.dataset.gathering import add, find_candidates, find_evidence, read_draft, read_words
from causalclip.dataset.repositories import Repository
from causalclip.dataset.rules import describe, find_faults
from causalclip.dataset.table import BadTable, Picture, read_sites, read_table, write_sites, write_table
from tests.causalclip.dataset.hosting import Host
from tests.causalclip.dataset.making import picture
from tests.conftest import ROOT
from tests.makers.metadata_files import SOURCE, exif_block, jpeg_exif, jpeg_xmp, png_texts, xmp
from tests.makers.pictures import encode, photo

FAR = [f"{0x1F << n:016x}" for n in (0, 20, 40)]


def write_draft(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted({name for row in rows for name in row}), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def draft(row: Picture, **values: Any) -> dict[str, Any]:
    return {k: v for k, v in (asdict(row) | values | {"who": "me"}).items() if v != ""}


def test_a_draft_needs_no_more_than_is_told_and_no_label_is_guessed(tmp_path: Path) -> None:
    row = picture("Anna/photos")
    short = {k: v for k, v in draft(row).items() if k not in ("split", "site", "kind", "licence")}
    assert read_draft(write_draft(tmp_path / "d.csv", [short])) == [
        replace(row, licence="none stated", family="anna", site="anna")
    ]
    edit = draft(picture("Bert/b", label="fake", pair="p"), set="edits", pasted="unknown")
    assert read_draft(write_draft(tmp_path / "d.csv", [edit]))[0].set == "edits2"  # what was measured on stays as it is
    for wrong, says in (({"label": ""}, "label"), ({"label": "real?"}, "label"), ({"evidence": " "}, "evidence")):
        with pytest.raises(BadTable, match=f"d.csv: Line 2 .*{says}"):
            read_draft(write_draft(tmp_path / "d.csv", [draft(row) | wrong]))
    with pytest.raises(BadTable, match="lacks the columns"):
        read_draft(write_draft(tmp_path / "d.csv", [{"repo": "a/b"}]))


def test_what_is_known_stays_out_and_a_pair_may_look_alike() -> None:
    known = [picture("old/site", phash=FAR[0], split="test")]
    new = [
        picture("anna/a", "same file", sha256=known[0].sha256),
        picture("anna/a", "near an old one", phash=f"{int(FAR[0], 16) ^ 0xF00:016x}"),
        picture("anna/a", "new", phash=FAR[1]),
        picture("bert/b", "near a new one", phash=f"{int(FAR[1], 16) ^ 0xF00:016x}"),
        picture("bert/b", "before", phash=FAR[2], pair="p"),
        picture("bert/b", "after", phash=FAR[2], pair="p", label="fake"),
        picture("bert/b", "alone", pair="q", label="fake"),
    ]
    added = add(new, known, describe(known))
    assert added.left_out == Counter({"near-copy": 2, "known": 1, "reserved": 0})
    assert {(p.path, p.pair) for p in added.pictures[1:]} == {
        ("new", ""),
        ("before", "p"),
        ("after", "p"),
        ("alone", ""),
    }
    assert added.new == 4
    assert find_faults(added.pictures, added.sites) == []


def test_the_command_adds_and_keeps_what_was_seen(tmp_path: Path) -> None:
    rows = [picture("old/site")]
    write_table(rows, tmp_path / "t.csv.gz")
    write_sites(describe(rows), tmp_path / "s.csv")
    write_draft(tmp_path / "d.csv", [draft(picture("anna/photos", f"{n}.jpg")) for n in range(3)])
    (tmp_path / "w.csv").write_text("owner,shown,remarks\nAnna,mountains,one camera\n")
    command = [sys.executable, "-m", "causalclip", "data", "add", str(tmp_path / "d.csv"), "--words"]
    command += [str(tmp_path / "w.csv"), "--table", str(tmp_path / "t.csv.gz"), "--sites", str(tmp_path / "s.csv")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "3 pictures were added" in done.stdout
    assert len(read_table(tmp_path / "t.csv.gz")) == 4
    anna = read_sites(tmp_path / "s.csv")[0]
    assert (anna.owner, anna.shown, anna.remarks, anna.classes) == ("anna", "mountains", "one camera", "3 real")
    assert read_words(tmp_path / "w.csv")[0].shown == "mountains"
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "0 pictures were added" in again.stdout


def scene(seed: int, width: int = 420, height: int = 330, **options: object) -> bytes:
    """A colourful picture that looks like no other."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 256, (6, 7, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return encode(np.asarray(rough), "JPEG", **{"quality": 96, **options})


@pytest.mark.parametrize(
    ("data", "path", "added", "proposed", "generator", "real_by", "words"),
    [
        (jpeg_xmp(xmp(f'Iptc4xmpExt:DigitalSourceType="{SOURCE}trainedAlgorithmicMedia"')), "a.jpg", "", "fake",
         "unknown", "", "made by a generative AI model"),
        (png_texts(("parameters", "a dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5")), "a.png", "", "fake",
         "Stable Diffusion web UI (Automatic1111, Forge or a program that writes the same)", "", "mark of Stable"),
        (encode(photo(), "PNG"), "x/Gemini_Generated_Image_1.png", "2025-03-01", "fake", "Google Gemini", "",
         "file name of Google Gemini; added 2025-03-01"),
        (encode(photo(), "PNG"), "attached_assets/generated_images/hero.png", "", "fake", "unknown", "", ""),
        (jpeg_exif(exif_block({271: b"Canon", 272: b"EOS 5D"})), "a.jpg", "2025-01-01", "real", "", "exif",
         "EXIF camera Canon EOS 5D; added 2025-01-01"),
        (encode(photo(), "JPEG"), "a.jpg", "2020-05-05", "real", "", "date", "added 2020-05-05"),
        (encode(photo(), "JPEG"), "a.jpg", "2023-05-05", "", "", "", "added 2023-05-05"),
    ],
)  # fmt: skip
def test_what_a_file_says_speaks_for_a_label(
    data: bytes, path: str, added: str, proposed: str, generator: str, real_by: str, words: str
) -> None:
    found = find_evidence(data, path, added)
    assert (found.proposed, found.generator, found.real_by) == (proposed, generator, real_by)
    assert words in found.words


def test_what_is_small_flat_narrow_an_icon_or_known_is_left_out(tmp_path: Path) -> None:
    host = Host(tmp_path)
    known = scene(1)
    files = {
        "photos/good.jpg": scene(2),
        "photos/again.jpg": scene(2, quality=80) + b" ",
        "photos/known.jpg": known,
        "photos/small.jpg": scene(3, 420, 290),
        "photos/narrow.jpg": scene(4, 1300, 330),
        "photos/flat.jpg": encode(np.full((500, 500, 3), 90, np.uint8), "JPEG") + bytes(20_000),
        "photos/broken.jpg": scene(5)[:13_000],
        "icons/favicon.jpg": scene(6),
        "photos/tiny.jpg": b"few bytes",
        "notes.txt": b"x" * 20_000,
        "other/also good.jpg": scene(7),
    }
    commit = host.commit("anna/photos", dict(files))
    row = picture(sha256=hashlib.sha256(known).hexdigest())
    found, left_out = find_candidates(Repository(host.repository("anna/photos")), commit, [row], most=10)
    paths = {c.path for c in found}
    assert len(paths & {"photos/good.jpg", "photos/again.jpg"}) == 1  # whichever of the two came first
    assert paths - {"photos/good.jpg", "photos/again.jpg"} == {"other/also good.jpg"}
    assert dict(left_out) == {
        "it is a near-copy of a known one": 1,
        "it is known": 1,
        "it is too small": 1,
        "it is too narrow": 1,
        "it has few colours": 1,
        "it does not decode": 1,
    }
    one, _ = find_candidates(Repository(host.repository("anna/photos")), commit, [], most=10, under="other/")
    assert [c.path for c in one] == ["other/also good.jpg"]
    one, _ = find_candidates(Repository(host.repository("anna/photos")), commit, [], most=10, match=r"small|goo")
    assert {c.path for c in one} == {"photos/good.jpg", "other/also good.jpg"}
