"""Augmentation: seeded by the picture, never enlarged, seen as detection sees pictures; retouches keep the content."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from causalclip.dataset.selection import read_originals
from causalclip.training.augmentation import (
    LONG_SIDES,
    RETOUCHES,
    SHARES,
    augment,
    augment_to_square,
    augmentation_number,
    drawn_augmentation,
    open_original,
    random_retouch,
)
from causalclip.training.data import BadManifest, Record
from tests.makers.pictures import photo

SHA = "ab" * 32
PICTURE = np.ascontiguousarray(astronaut()[::3, ::3])


def original(folder: Path, *, name: str = f"{SHA}.png", size: tuple[int, int] = (900, 600), **used: str) -> Record:
    Image.fromarray(photo(*size)).save(folder / name)
    return Record(name, 0, "owner", "train", "sites", "picture", name.split(".")[0], "owner", **used)


def named(name: str) -> Record:
    return Record(f"{name}.jpg", 0, "owner", "train", "sites", "picture", name, "owner")


@pytest.mark.parametrize("copy", range(len(LONG_SIDES)))
def test_copies_are_seeded_by_the_picture_and_never_enlarged(copy: int, tmp_path: Path) -> None:
    record = original(tmp_path)
    (first, _), (again, _) = (augment(record, tmp_path, copy) for _ in range(2))
    assert np.array_equal(first, again)
    other, _ = augment(original(tmp_path, name=f"{'cd' * 32}.png"), tmp_path, copy)
    assert first.size != other.size or not np.array_equal(first, other)
    assert max(first.size) <= max(900 * 1.3, LONG_SIDES[copy][1])
    assert min(first.size) / max(first.size) == pytest.approx(2 / 3, abs=0.02)


@pytest.mark.parametrize("hashed", [True, False])
def test_one_copy_of_each_is_drawn_by_the_picture_in_known_shares(hashed: bool) -> None:
    names = [hashlib.sha256(str(i).encode()).hexdigest() if hashed else f"{i:04}" for i in range(2500)]
    records = [named(name) for name in names]
    drawn = [augmentation_number(r, "drawn") for r in records]
    assert drawn == [augmentation_number(r, "drawn") for r in records]
    of = Counter(drawn)
    assert [of[i] / len(drawn) for i in range(3)] == pytest.approx(list(SHARES.values()), abs=0.03)
    assert [augmentation_number(records[0], name) for name in ("light", "much", "retouched")] == [0, 1, 2]
    place = {name: i for i, name in enumerate(("retouched", "light", "much"))}
    found = drawn_augmentation(records, tuple(place))  # type: ignore[arg-type]
    assert [list(SHARES)[n] for n in drawn] == [list(place)[i] for i in found]
    assert (drawn_augmentation(records, ("light", "drawn")) == 1).all()


def test_a_view_is_a_square_of_the_towers_size_with_its_compression(tmp_path: Path) -> None:
    view, quality = augment_to_square(original(tmp_path), tmp_path, 0, size=96)
    assert view.shape == (3, 96, 96)
    assert 0 <= float(view.min()) < float(view.max()) <= 1
    assert quality.shape == (2,)


def test_only_the_listed_part_is_used_and_transparency_stands_on_white(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole, _ = open_original(original(tmp_path), tmp_path, most=2000, rng=rng)
    part, lossless = open_original(original(tmp_path, crop="100,50,400,250"), tmp_path, most=2000, rng=rng)
    assert lossless
    assert np.array_equal(part, whole.crop((100, 50, 400, 250)))
    tile, _ = open_original(original(tmp_path, grid="3x2"), tmp_path, most=2000, rng=rng)
    assert tile.size == (300, 300)
    Image.new("RGBA", (60, 40), (10, 20, 30, 0)).save(tmp_path / "clear.jpg", "PNG")
    clear, _ = open_original(named("clear"), tmp_path, most=2000, rng=rng)
    assert clear.getpixel((5, 5)) == (255, 255, 255)


def test_originals_that_were_never_collected_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="collect them first"):
        read_originals(Path(__file__).resolve().parents[3] / "data" / "pictures.csv.gz", tmp_path)


@pytest.mark.parametrize("name", RETOUCHES)
def test_a_retouch_changes_the_picture_and_not_what_it_shows(name: str) -> None:
    done = RETOUCHES[name](PICTURE, np.random.default_rng(0))
    assert (done.shape, done.dtype) == (PICTURE.shape, np.uint8)
    assert 0.3 < np.abs(done.astype(int) - PICTURE).mean() < 60
    assert np.corrcoef(done.mean(2).ravel(), PICTURE.mean(2).ravel())[0, 1] > 0.8


def test_random_retouching_is_seeded() -> None:
    first, again, other = (
        np.asarray(random_retouch(Image.fromarray(PICTURE), np.random.default_rng(s))) for s in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
