"""The data card says what the tables say; hints are measured on owners that were not learned from."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causalclip.dataset.counting import END, START, count, fill, survey
from causalclip.dataset.gathering import fill_hashes
from causalclip.dataset.rules import describe
from causalclip.dataset.table import Picture, place, read_sites, read_table
from tests.causalclip.dataset.making import picture
from tests.conftest import ROOT

OWNERS, EACH = 12, 12


def test_the_card_is_as_the_tables_are() -> None:
    text = (ROOT / "data/README.md").read_text(encoding="utf-8")
    tables = read_table(ROOT / "data/pictures.csv.gz"), read_sites(ROOT / "data/sites.csv")
    assert fill(text, *tables) == text, "Write the counts again: python -m causalclip data card"


def test_counts_are_of_pictures_and_of_owners() -> None:
    rows = [
        picture(path="a"),
        picture(path="b", real_by="exif", hard="night"),
        picture("bert/b", split="test", label="fake", generator="FLUX.1", licence="none stated"),
        picture("emil/e", "1", set="edits2", pair="p"),
        picture("emil/e", "2", set="edits2", pair="p", label="fake", generator="FLUX.1", pasted="yes"),
    ]
    text = count(rows, describe(rows))
    for line in (
        "5 pictures of 3 owners, in 3 repositories.",
        "| `sites` | train | 1 | 2 | 0 |",
        "| `sites` | test | 1 | 0 | 1 |",
        "Owners by kind: real 1, generated 1, edits 1. Pictures by kind: photo 5.",
        "Known to be real by: exif 1, owner 2.",
        "1 photographs stand beside edited versions of them. Generators are named in 1 ways.",
        "4 pictures have a licence that lets anybody use them, of 1 no licence is stated",
    ):
        assert line in text


def test_a_card_without_its_place_for_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        fill(f"{START} and no end", [picture()], describe([picture()]))
    assert fill(f"a {START} old {END} z", [picture()], describe([picture()])).startswith(f"a {START}\n\n1 pictures")


def rows(**told: object) -> list[Picture]:
    """Of each owner as many real as fake ones; a hint tells them apart where `told` says how fakes differ."""
    made = []
    for n in range(OWNERS * EACH):
        owner, fake = f"o{n % OWNERS}", bool(n // OWNERS % 2)
        rng = np.random.default_rng(n)
        size = {"width": int(rng.integers(500, 900)), "height": int(rng.integers(500, 900))}
        row = picture(f"{owner}/x", f"{n}.jpg", label="fake" if fake else "real", **size)
        made.append(replace(row, **told) if fake else row)  # type: ignore[arg-type]
    return made


def test_a_size_or_a_format_of_one_class_is_seen_without_pictures(tmp_path: Path) -> None:
    none = survey(rows(), None, tmp_path)["hints"]["sites"]
    assert 0.3 < none["size"] < 0.7
    assert none["format"] == 0.5
    assert survey(rows(format="PNG"), None, tmp_path)["hints"]["sites"]["format"] == 1
    assert survey(rows(width=1024, height=1024), None, tmp_path)["hints"]["sites"]["size"] > 0.99
    assert "thumbnail" not in none


def test_what_only_one_owner_has_says_nothing_of_others(tmp_path: Path) -> None:
    made = [replace(p, width=500 + 10 * int(p.owner[1:]) + (p.label == "fake"), height=500) for p in rows()]
    assert survey(made, None, tmp_path)["hints"]["sites"]["size"] < 0.8


def test_quality_and_thumbnails_are_seen_in_pictures(tmp_path: Path) -> None:
    made = rows()
    rng = np.random.default_rng(0)
    for p in made:
        fake = p.label == "fake"
        pixels = rng.integers(0, 200, (80, 80, 3)) + (50 * fake)
        file = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=95 if fake else 75)
        place(tmp_path, p).parent.mkdir(exist_ok=True)
        place(tmp_path, p).write_bytes(file.getvalue())
    found = survey(made, tmp_path, tmp_path / "cache")["hints"]["sites"]
    assert found["quality"] == 1
    assert found["thumbnail"] > 0.9
    assert len(list((tmp_path / "cache").glob("*.png"))) == len(made)
    filled = fill_hashes(made, tmp_path)
    assert all(len(p.phash) == 16 for p in filled)
    place(tmp_path, made[0]).write_bytes(b"no picture")
    assert fill_hashes(made, tmp_path)[0].phash == ""


def test_few_owners_are_said_to_be_too_few(tmp_path: Path) -> None:
    made = [p for p in rows() if p.owner in ("o1", "o2")]
    assert survey(made, None, tmp_path)["hints"]["sites"]["too few owners"]
