"""Manifests, folds that hold out whole families, and counterfactual pairs."""

import csv
from pathlib import Path

import numpy as np
import pytest

from causalclip.training.data import Record, assign_environments, assign_folds, read_manifest


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def record(
    label: int, source: str, picture: str, *, group: str = "broad", view: str = "whole", family: str = "", original=""
) -> Record:
    return Record(
        f"{source}/{picture}-{view}.jpg", label, source, "train", group, view, picture, family or source, original
    )


def test_every_environment_shows_both_classes_where_its_set_does() -> None:
    def of(site: str, *labels: int) -> list[Record]:
        return [record(k, site, f"{site}{i}", group="alike", family=site) for i, k in enumerate(labels)]

    records = of("both", 0, 1, 1) + of("shop", 1, 1) + of("blog", 0, 0) + of("club", 0)
    records += [record(1, "sdxl", "x"), record(0, "coco", "y")]
    found = assign_environments(records)
    assert len(set(found)) == 3  # the site with both, the shop with blog and club, sdxl with coco
    for environment in set(found):
        inside = found == environment
        assert {r.label for r, i in zip(records, inside, strict=True) if i} == {0, 1}
        assert len({r.set for r, i in zip(records, inside, strict=True) if i}) == 1
    assert (found == assign_environments(records)).all()
    assert len(set(assign_environments([record(1, "sdxl", "x"), record(1, "pixart", "z")]))) == 1  # one class alone


def test_needed_columns_are_enough(tmp_path: Path) -> None:
    rows = [
        {"path": "a.jpg", "label": "real", "source": "coco", "split": "train"},
        {"path": "b.jpg", "label": "fake", "source": "sdxl", "split": "test"},
    ]
    first, second = read_manifest(write(tmp_path / "m.csv", rows))
    assert first == Record("a.jpg", 0, "coco", "train", "all", "picture", "a.jpg", "coco")
    assert (second.label, second.split, second.group) == (1, "test", "family sdxl")


def test_known_columns_are_kept(tmp_path: Path) -> None:
    row = {"path": "a-crop.jpg", "label": "fake", "source": "sdxl", "split": "train", "set": "alike", "view": "crop"}
    row |= {"picture": "a", "family": "site-ai", "repo_path": "x/07-beach-ai.jpg"}
    (read,) = read_manifest(write(tmp_path / "m.csv", [row]))
    assert (read.set, read.view, read.picture, read.family, read.original) == (
        *("alike", "crop", "a", "site-ai"),
        "x/07-beach-ai.jpg",
    )
    assert read.group == "site site"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"path": "a", "label": "real", "source": "s"}], "missing: split"),
        ([{"path": "a", "label": "1", "source": "s", "split": "train"}], r"real or fake.*\['1'\]"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(rows: list, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        read_manifest(write(tmp_path / "m.csv", rows))


def test_an_empty_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,label,source,split\n")
    with pytest.raises(ValueError, match="needs rows"):
        read_manifest(tmp_path / "m.csv")


def many(seed: int = 0) -> list[Record]:
    rng = np.random.default_rng(seed)
    records = []
    for label in (0, 1):
        for source in range(12):
            for i in range(int(rng.integers(5, 30))):
                name = f"{'fake' if label else 'real'}{source}"
                views = ("whole", "crop") if i % 2 else ("whole",)
                records += [record(label, name, f"{name}-{i}", family=f"family{source // 2}", view=v) for v in views]
    return records


def test_folds_hold_out_whole_groups_and_are_balanced() -> None:
    records = many()
    fold_of = assign_folds(records, folds=4)
    assert set(fold_of) == {r.group for r in records}
    for label in (0, 1):
        pictures = {(r.group, r.picture) for r in records if r.label == label}
        counts = np.bincount([fold_of[group] for group, _ in pictures], minlength=4)
        assert counts.min() > 0
        assert counts.max() < 2 * counts.min()
    assert fold_of == assign_folds(records, folds=4)
    both = [r for r in records if r.source in ("fake0", "fake1")]
    assert len({fold_of[r.group] for r in both}) == 1  # generators of one family


def test_a_site_is_one_group_for_real_and_generated() -> None:
    ai = record(1, "site", "a", group="alike", family="some-site-ai")
    real = record(0, "site", "b", group="alike", family="some-site-real")
    assert ai.group == real.group
    assert record(0, "coco", "c").group != record(0, "unsplash", "d").group
