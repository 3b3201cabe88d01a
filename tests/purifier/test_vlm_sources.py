"""Tables for training are made of files in repositories, each checked by its hash."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from causalclip.dataset.table import as_csv
from purifier import cli
from purifier.training import vlm_sources
from purifier.training.vlm_data import load_pictures
from purifier.training.vlm_sources import Reference, read_references, shrink
from tests.causalclip.dataset.hosting import Host, sha
from tests.makers.pictures import encode, photo

PHOTO = encode(photo(448, 300), "JPEG")
LARGE = encode(photo(448, 336), "JPEG")


@pytest.fixture
def mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Mirrors of three small sets, and a table of them; one picture has no repository."""
    host = Host(tmp_path)
    instances = {
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [{"image_id": 7, "category_id": 3, "bbox": [30.0, 60.0, 150.0, 75.0], "iscrowd": 0}],
    }
    files = {
        ("picture", "flickr8k/a.jpg", "train", "JPEG"): PHOTO,
        ("captions", "flickr8k", "", "CSV"): b'image,caption\na.jpg,"A dog, running ."\na.jpg,A dog\n',
        ("picture", "daquar/image1.jpg", "", "PNG"): encode(photo(300, 240), "PNG"),
        ("questions", "daquar", "train", "CSV"): b"question,answer,image_id\nwhat is it,chair,image1\n",
        ("questions", "daquar", "test", "CSV"): b"question,answer,image_id\nhow many chairs are,2,image1\n",
        ("picture", "coco/000000000007.jpg", "val", "JPEG"): PHOTO,
        ("boxes", "coco", "", "JSON"): json.dumps(instances).encode(),
    }
    paths = {key: f"files/{i}.{key[3].lower()}" for i, key in enumerate(files)}
    commit = host.commit("anna/sets", {paths[key]: data for key, data in files.items()})
    rows = [
        (kind, name, split, "anna/sets", commit, paths[kind, name, split, ending], ending, sha(data))
        for (kind, name, split, ending), data in files.items()
    ]
    rows.append(("picture", "coco/000000000009.jpg", "train", "", "", "", "JPEG", sha(shrink(LARGE)[0])))
    columns = tuple(Reference.__dataclass_fields__)
    table = tmp_path / "vlm.csv.gz"
    table.write_bytes(gzip.compress(as_csv([dict(zip(columns, r, strict=True)) for r in rows], columns).encode()))
    monkeypatch.setattr(vlm_sources.read_references, "__defaults__", (table,))
    return host.mirrors


def lines(out: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (out / f"{name}.jsonl").read_text().splitlines()]


def test_the_tables_are_made_of_checked_files_and_training_reads_them(mirrors: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(cli.app, ["data", "--out", str(out), "--mirrors", str(mirrors)])
    assert done.exit_code == 0, done.output
    assert lines(out, "flickr8k")[0]["captions"] == ["A dog, running .", "A dog"]
    assert {q["split"]: q["answer"] for q in lines(out, "daquar")[0]["qa"]} == {"train": "chair", "test": "2"}
    box = lines(out, "coco")[0]["boxes"][0]
    assert box == {"name": "dog", "xywh": [22.4, 44.8, 112.0, 56.0], "iscrowd": 0}  # as the picture: 224 of 300 px
    pictures = {p.name: p for p in load_pictures(out)}
    assert set(pictures) == {"flickr8k/a.jpg", "daquar/image1.jpg", "coco/000000000007.jpg"}
    assert "1 of 2 pictures" in done.output


def test_a_changed_file_is_left_out_and_said(mirrors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "vlm.csv.gz"
    changed = gzip.decompress(table.read_bytes()).decode().replace(sha(PHOTO), sha(b"another"))
    table.write_bytes(gzip.compress(changed.encode()))
    out = tmp_path / "out"
    done = CliRunner().invoke(cli.app, ["data", "--out", str(out), "--mirrors", str(mirrors)])
    assert done.exit_code == 2
    assert "2 files of repositories are missing" in done.output
    assert lines(out, "flickr8k") == []
    assert len(lines(out, "daquar")) == 1


def test_a_picture_of_the_archives_is_taken_where_its_shrunk_copy_is_the_known_one(
    mirrors: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive/val2017"
    archive.mkdir(parents=True)
    call = ["data", "--out", str(tmp_path / "out"), "--mirrors", str(mirrors), "--coco", str(tmp_path / "archive")]
    (archive / "000000000009.jpg").write_bytes(PHOTO)
    assert "1 of 2 pictures" in CliRunner().invoke(cli.app, call).output
    (archive / "000000000009.jpg").write_bytes(LARGE)
    assert "2 of 2 pictures" in CliRunner().invoke(cli.app, call).output


def test_the_table_of_the_shipped_model_names_every_file_once() -> None:
    rows = read_references(Path("data/vlm.csv.gz"))
    pictures = [r for r in rows if r.kind == "picture"]
    assert len({r.name for r in pictures}) == len(pictures) == 3223
    assert sum(not r.repo for r in pictures) == 94
    assert all(len(r.commit) == 40 for r in rows if r.repo)
