"""Masks of real edits: found where something was changed, through other encodings, shifts and sizes; or refused."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.edits import KINDS, edited_region, find_edits, run
from tests.makers.detectors import tiny_detector


def encoded(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def photograph(width: int = 320, height: int = 240) -> Image.Image:
    """Soft random shapes of many sizes."""
    rng = np.random.default_rng(0)
    shapes = [Image.fromarray(rng.integers(0, 256, (3 * k, 4 * k, 3), np.uint8)) for k in (2, 6, 20)]
    layers = [np.asarray(p.resize((width, height), Image.Resampling.BICUBIC), np.float32) for p in shapes]
    return Image.fromarray((sum(layers) / 3).clip(0, 255).astype(np.uint8))


def edited(original: Image.Image, box: tuple[int, int, int, int]) -> tuple[Image.Image, np.ndarray]:
    """The picture with another one in the box, and the box as a mask."""
    picture = original.copy()
    other = Image.fromarray(255 - np.asarray(original)).transpose(Image.Transpose.ROTATE_180)
    picture.paste(other.crop(box), box[:2])
    mask = np.zeros((original.height, original.width), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return picture, mask


def overlap(found: np.ndarray | str, mask: np.ndarray) -> float:
    assert not isinstance(found, str), found
    return float((found & mask).sum() / (found | mask).sum())


@pytest.mark.parametrize("quality", [95, 78])
def test_an_edited_region_is_found_through_two_encodings(quality: int) -> None:
    original = photograph()
    picture, mask = edited(original, (60, 80, 140, 170))
    assert overlap(edited_region(encoded(picture, quality), encoded(original, 90)), mask) > 0.8


@pytest.mark.parametrize("shape", [(480, 360), (480, 400)])
def test_an_original_of_another_size_or_crop_is_aligned(shape: tuple[int, int]) -> None:
    original = photograph(*shape)
    seen = original.crop((0, (shape[1] - 360) // 2, 480, (shape[1] + 360) // 2)).resize((320, 240))
    picture, mask = edited(seen, (60, 80, 140, 170))
    assert overlap(edited_region(encoded(picture, 92), original), mask) > 0.75


def test_what_has_no_region_says_why() -> None:
    original = photograph()
    assert edited_region(encoded(original, 80), encoded(original, 92)) == "no changed region is found"
    noise = np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)
    anew = Image.fromarray(noise).resize(original.size, Image.Resampling.NEAREST)
    assert str(edited_region(anew, original)).startswith(
        "not aligned, or rendered anew (even the calmest parts differ by"
    )


def write_data(folder: Path) -> None:
    original = photograph()
    names, pairs = ("edit.jpg", "original.jpg", "same.jpg", "alone.jpg"), "aaab"
    rows = [(name, "real" if "original" in name else "fake", pair) for name, pair in zip(names, pairs, strict=True)]
    for name in names:
        picture = edited(original, (60, 80, 140, 170))[0] if name == "edit.jpg" else original
        picture.save(folder / name, quality=92)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "set", "label", "pair"])
        writer.writerows((path, "edits", label, pair) for path, label, pair in rows)


def test_the_report_has_every_map_and_lists_what_is_left_out(tmp_path: Path) -> None:
    write_data(tmp_path)
    assert [(p.edit, p.original) for p in find_edits(tmp_path / "manifest.csv")] == [
        ("edit.jpg", "original.jpg"),
        ("same.jpg", "original.jpg"),
    ]
    report = run(tiny_detector(), tmp_path)
    assert (report["pairs"], report["left_out"]) == (2, [{"pair": "a", "why": "no changed region is found"}])
    region = report["auc"][KINDS[0]]
    assert {"causal", "randomised weights", "causal map of the original"} <= region.keys()
    assert all(0 <= table["mean"] <= 1 and table["n"] == 1 for table in region.values())
    assert report["auc"][KINDS[1]] == {}
