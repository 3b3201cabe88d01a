"""Manifests, folds that hold out whole groups, environments, and bad input: one sentence each, before any work."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from causalclip.training.data import (
    BadManifest,
    Record,
    assign_environments,
    assign_folds,
    check_training,
    read_manifest,
    readable,
)
from tests.makers.pictures import encode, photo


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def record(label: int, source: str, picture: str = "a", *, group: str = "broad", family: str = "") -> Record:
    return Record(f"{source}/{picture}.jpg", label, source, "train", group, "picture", picture, family or source)


def test_needed_columns_are_enough_and_known_ones_are_kept(tmp_path: Path) -> None:
    needed = {"path": "a.jpg", "label": "real", "source": "coco", "split": "train"}
    (first,) = read_manifest(write(tmp_path / "m.csv", [needed]))
    assert first == Record("a.jpg", 0, "coco", "train", "all", "picture", "a.jpg", "coco")
    row = {"path": "a-crop.jpg", "label": "fake", "source": "sdxl", "split": "test", "set": "alike", "view": "crop"}
    row |= {"picture": "a", "family": "site-ai", "repo_path": "x/07-beach-ai.jpg"}
    (read,) = read_manifest(write(tmp_path / "m.csv", [row]))
    assert (read.set, read.view, read.picture, read.family, read.split) == ("alike", "crop", "a", "site-ai", "test")
    assert read.original == "x/07-beach-ai.jpg"
    assert read.group == "site site"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"path,label,source\na,real,s\n", "missing: split"),
        (b"path,label,source,split\na,1,s,train\n", r"real or fake.*\['1'\]"),
        (b"path,label,source,split\n", "needs rows"),
        (b"", "missing: path, label, source, split."),
        (b"\xff\xfe\x00nothing", "not a CSV table in UTF-8"),
        (b"path,label,source,split\na.png\nb.png,no,s,train\n", r"also has \['', 'no'\]"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(BadManifest, match=words):
        read_manifest(tmp_path / "m.csv")


def test_every_environment_shows_both_classes_where_its_set_does() -> None:
    def of(site: str, *labels: int) -> list[Record]:
        return [record(k, site, f"{site}{i}", group="alike", family=site) for i, k in enumerate(labels)]

    records = of("both", 0, 1, 1) + of("shop", 1, 1) + of("blog", 0, 0) + of("club", 0)
    records += [record(1, "sdxl", "x"), record(0, "coco", "y")]
    found = assign_environments(records)
    assert len(set(found)) == 3  # the site with both, the shop with blog and club, sdxl with coco
    for environment in set(found):
        inside = [r for r, e in zip(records, found, strict=True) if e == environment]
        assert {r.label for r in inside} == {0, 1}
        assert len({r.set for r in inside}) == 1
    assert (found == assign_environments(records)).all()
    assert len(set(assign_environments([record(1, "sdxl", "x"), record(1, "pixart", "z")]))) == 1  # one class alone


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
    assert len({fold_of[r.group] for r in records if r.source in ("1-0", "1-1")}) == 1  # generators of one family


def test_a_site_is_one_group_for_real_and_generated() -> None:
    ai = record(1, "site", "a", group="alike", family="some-site-ai")
    real = record(0, "site", "b", group="alike", family="some-site-real")
    assert ai.group == real.group
    assert record(0, "coco", "c").group != record(0, "unsplash", "d").group


def test_a_fold_without_both_classes_is_named_and_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    def of(label: int, source: int, number: int, group: str = "broad") -> Record:
        return record(label, f"{label}-{source}", f"{group}-{label}-{source}-{number}", group=group)

    broad = [of(label, s, i) for label in (0, 1) for s in range(2) for i in range(4)]
    check_training(broad, folds=2)
    assert capsys.readouterr().err == ""
    check_training([*broad, of(1, 0, 9, "odd")], folds=2)
    assert "Set odd: no AUC in 1 of its 1 folds" in capsys.readouterr().err
    check_training([*broad, of(1, 0, 9, "odd"), of(1, 1, 9, "odd"), of(0, 0, 9, "odd")], folds=2)
    assert "in 1 of its 2 folds, which lack a class; the mean is over the others." in capsys.readouterr().err


def test_unreadable_files_are_counted_and_few_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there.png").write_bytes(encode(photo(), "PNG"))
    gone = [record(0, "none", str(i)) for i in range(5)]
    there = replace(gone[0], path="there.png")
    assert readable([*gone, there], tmp_path) == [there]
    assert capsys.readouterr().err.strip().endswith("none/2.jpg is missing, and 2 more.")
    with pytest.raises(BadManifest, match="None of the manifest's files"):
        readable(gone, tmp_path)
