"""Manifests, folds that hold out whole groups, environments, bad input, and seeded augmentation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from causalclip.images.reencoding import REENCODINGS
from tests.makers.detectors import write_rows
from tests.makers.pictures import photo
from training.detector.augmentation import (
    LONG_SIDES,
    augment,
    open_original,
    random_augmentation,
)
from training.detector.data import (
    BadManifest,
    Record,
    assign_environments,
    assign_folds,
    read_manifest,
)
from training.detector.retouching import RETOUCHES


def record(
    label: int, source: str, picture: str = "a", *, group: str = "broad", family: str = ""
) -> Record:
    return Record(
        f"{source}/{picture}.jpg",
        label,
        source,
        "train",
        group,
        "picture",
        picture,
        family or source,
    )


def test_needed_columns_are_enough_and_known_ones_are_kept(tmp_path: Path) -> None:
    needed = {"path": "a.jpg", "label": "real", "source": "coco", "split": "train"}
    (first,) = read_manifest(write_rows(tmp_path, [needed]))
    assert first == Record("a.jpg", 0, "coco", "train", "all", "picture", "a.jpg", "coco")
    row = {
        "path": "a-crop.jpg",
        "label": "fake",
        "source": "sdxl",
        "split": "test",
        "set": "alike",
        "view": "crop",
    }
    row |= {"picture": "a", "family": "site-ai", "repo_path": "x/07-beach-ai.jpg"}
    (read,) = read_manifest(write_rows(tmp_path, [row]))
    assert (read.set, read.view, read.picture, read.family, read.split) == (
        "alike",
        "crop",
        "a",
        "site-ai",
        "test",
    )
    assert read.original == "x/07-beach-ai.jpg"
    assert read.group == "site site"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"path,label,source\na,real,s\n", "missing: split"),
        (b"path,label,source,split\na,1,s,train\n", r"real or fake.*\['1'\]"),
        (b"", "missing: path, label, source, split."),
        (b"\xff\xfe\x00nothing", "not a CSV table in UTF-8"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(BadManifest, match=words):
        read_manifest(tmp_path / "m.csv")


def test_every_environment_shows_both_classes_where_its_set_does() -> None:
    def of(site: str, *labels: int) -> list[Record]:
        return [
            record(k, site, f"{site}{i}", group="alike", family=site) for i, k in enumerate(labels)
        ]

    records = of("both", 0, 1, 1) + of("shop", 1, 1) + of("blog", 0, 0) + of("club", 0)
    records += [record(1, "sdxl", "x"), record(0, "coco", "y")]
    found = assign_environments(records)
    assert len(set(found)) == 3  # the site with both, the shop with blog and club, sdxl with coco
    for environment in set(found):
        inside = [r for r, e in zip(records, found, strict=True) if e == environment]
        assert {r.label for r in inside} == {0, 1}
        assert len({r.set for r in inside}) == 1
    assert (found == assign_environments(records)).all()
    # one class alone
    assert len(set(assign_environments([record(1, "sdxl", "x"), record(1, "pixart", "z")]))) == 1


def test_folds_hold_out_whole_groups_and_are_balanced() -> None:
    rng = np.random.default_rng(0)
    records = [
        record(label, f"{label}-{source}", f"{label}-{source}-{i}", family=f"family{source // 2}")
        for label in (0, 1)
        for source in range(12)
        for i in range(int(rng.integers(5, 30)))
    ]
    fold_of = assign_folds(records, folds=4)
    assert set(fold_of) == {r.group for r in records}
    for label in (0, 1):
        counts = np.bincount([fold_of[r.group] for r in records if r.label == label], minlength=4)
        assert 0 < counts.min() <= counts.max() < 2 * counts.min()
    assert fold_of == assign_folds(records, folds=4)
    # generators of one family
    assert len({fold_of[r.group] for r in records if r.source in ("1-0", "1-1")}) == 1


# Augmentation -------------------------------------------------------------------------------------


SHA = "ab" * 32
PICTURE = np.ascontiguousarray(astronaut()[::3, ::3])


def saved_record(
    folder: Path, *, name: str = f"{SHA}.png", size: tuple[int, int] = (900, 600), **used: str
) -> Record:
    Image.fromarray(photo(*size)).save(folder / name)
    return Record(
        name, 0, "owner", "train", "sites", "picture", name.split(".")[0], "owner", **used
    )


def named(name: str) -> Record:
    return Record(f"{name}.jpg", 0, "owner", "train", "sites", "picture", name, "owner")


@pytest.mark.parametrize("copy", range(len(LONG_SIDES)))
def test_copies_are_seeded_by_the_picture_and_never_enlarged(copy: int, tmp_path: Path) -> None:
    record = saved_record(tmp_path)
    (first, _), (again, _) = (augment(record, tmp_path, copy) for _ in range(2))
    assert np.array_equal(first, again)
    other, _ = augment(saved_record(tmp_path, name=f"{'cd' * 32}.png"), tmp_path, copy)
    assert first.size != other.size or not np.array_equal(first, other)
    assert max(first.size) <= max(900 * 1.3, LONG_SIDES[copy][1])
    assert min(first.size) / max(first.size) == pytest.approx(2 / 3, abs=0.02)


def test_only_the_listed_part_is_used_and_transparency_stands_on_white(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole, _ = open_original(saved_record(tmp_path), tmp_path, most=2000, rng=rng)
    part, lossless = open_original(
        saved_record(tmp_path, crop="100,50,400,250"), tmp_path, most=2000, rng=rng
    )
    assert lossless
    assert np.array_equal(part, whole.crop((100, 50, 400, 250)))
    tile, _ = open_original(saved_record(tmp_path, grid="3x2"), tmp_path, most=2000, rng=rng)
    assert tile.size == (300, 300)
    Image.new("RGBA", (60, 40), (10, 20, 30, 0)).save(tmp_path / "clear.jpg", "PNG")
    clear, _ = open_original(named("clear"), tmp_path, most=2000, rng=rng)
    assert clear.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("name", RETOUCHES)
def test_a_retouch_changes_the_picture_and_not_what_it_shows(name: str) -> None:
    done = RETOUCHES[name](PICTURE, np.random.default_rng(0))
    assert (done.shape, done.dtype) == (PICTURE.shape, np.uint8)
    assert 0.3 < np.abs(done.astype(int) - PICTURE).mean() < 60
    assert np.corrcoef(done.mean(2).ravel(), PICTURE.mean(2).ravel())[0, 1] > 0.8


@pytest.fixture(scope="module")
def noisy_photo() -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 6, (180, 240, 1))
    return Image.fromarray((photo(240, 180) + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("name", REENCODINGS)
def test_named_reencodings_change_what_they_say(name: str, noisy_photo: Image.Image) -> None:
    changed = REENCODINGS[name](noisy_photo)
    assert changed.mode == "RGB"
    sizes = {
        "0.75x": (180, 135),
        "0.5x": (120, 90),
        "crop 75 %": (180, 135),
        "shown at another size": (192, 144),
    }
    assert changed.size == sizes.get(name, noisy_photo.size)
    same = changed.size == noisy_photo.size and np.array_equal(changed, noisy_photo)
    assert same == (name == "as it is")
    again = REENCODINGS[name](noisy_photo)
    assert np.array_equal(again, changed)


def test_random_chains_are_seeded_varied_and_sometimes_nothing(noisy_photo: Image.Image) -> None:
    chains = [
        np.asarray(random_augmentation(noisy_photo, np.random.default_rng(s))) for s in range(25)
    ]
    again = [
        np.asarray(random_augmentation(noisy_photo, np.random.default_rng(s))) for s in range(3)
    ]
    assert all(np.array_equal(a, b) for a, b in zip(chains, again, strict=False))
    assert len({c.tobytes() for c in chains}) > 12
    assert len({c.shape for c in chains}) > 2
    untouched = sum(c.shape == (180, 240, 3) and np.array_equal(c, noisy_photo) for c in chains)
    assert 0 < untouched < 13
    assert np.array_equal(
        random_augmentation(noisy_photo, np.random.default_rng(0), strength=0), noisy_photo
    )
