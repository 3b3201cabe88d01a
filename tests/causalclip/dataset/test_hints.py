"""What size, format, quality and thumbnails say of a label is measured on owners that were not learned from."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from causalclip.dataset.collecting.originals import place
from causalclip.dataset.hashes import fill_hashes
from causalclip.dataset.hints import find_hints
from causalclip.dataset.survey import survey
from causalclip.dataset.table import Picture
from tests.causalclip.dataset.making import picture

OWNERS, EACH = 12, 12


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
    none = find_hints(rows(), None, tmp_path)["sites"]
    assert 0.3 < none["size"] < 0.7
    assert none["format"] == 0.5
    assert find_hints(rows(format="PNG"), None, tmp_path)["sites"]["format"] == 1
    assert find_hints(rows(width=1024, height=1024), None, tmp_path)["sites"]["size"] > 0.99
    assert "thumbnail" not in none


def test_what_only_one_owner_has_says_nothing_of_others(tmp_path: Path) -> None:
    made = [replace(p, width=500 + 10 * int(p.owner[1:]) + (p.label == "fake"), height=500) for p in rows()]
    assert find_hints(made, None, tmp_path)["sites"]["size"] < 0.8


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
    found = find_hints(made, tmp_path, tmp_path / "cache")["sites"]
    assert found["quality"] == 1
    assert found["thumbnail"] > 0.9
    assert len(list((tmp_path / "cache").glob("*.png"))) == len(made)
    filled = fill_hashes(made, tmp_path)
    assert all(len(p.phash) == 16 for p in filled)
    place(tmp_path, made[0]).write_bytes(b"no picture")
    assert fill_hashes(made, tmp_path)[0].phash == ""


def test_sets_are_asked_side_by_side_and_say_the_same_in_one_process(tmp_path: Path) -> None:
    made = [*rows(width=1024), *(replace(p, set="alike", sha256=p.sha256[::-1]) for p in rows())]
    both = find_hints(made, None, tmp_path)
    assert set(both) == {"sites", "alike"}
    assert both == find_hints(made, None, tmp_path, workers=1)


def test_few_owners_are_said_to_be_too_few(tmp_path: Path) -> None:
    made = [p for p in rows() if p.owner in ("o1", "o2")]
    assert find_hints(made, None, tmp_path)["sites"]["too few owners"]


def test_owners_whose_files_tell_the_classes_apart_are_named() -> None:
    made = [replace(p, format="PNG") if p.label == "fake" and p.owner == "o1" else p for p in rows()]
    found = survey(made)
    assert set(found["owners_whose_files_tell_the_classes_apart"]) == {"o1"}
    assert "format PNG: 0% of real, 100% of fake" in found["owners_whose_files_tell_the_classes_apart"]["o1"]
    small = [replace(p, width=100, height=50) for p in made if p.owner == "o2" and p.label == "fake"]
    assert survey([made[0], *small])["sites"]["o2"] == "fake: 6 JPEG, 100x50"
    assert found["sites"]["o1"].startswith("real: 6 JPEG, ")
    assert "; fake: 6 PNG, " in found["sites"]["o1"]
    assert found["sets"]["sites"]["pictures"] == {"train fake": 72, "train real": 72}
    assert found["sets"]["sites"]["owners"] == {"train": OWNERS}
