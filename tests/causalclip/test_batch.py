"""Batches: rows are streamed, a bad file costs its row only, hostile archives are refused, CSV is
safe to open."""

import csv
import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causalclip.batch import (
    CHECKING,
    COLUMNS,
    BatchRow,
    as_csv,
    collect,
    count,
    examine_all,
    report_stem,
    zip_reports,
)
from causalclip.examination.answer import Origin
from causalclip.images import zips
from causalclip.images.formats import ImageError, sniff
from causalclip.images.zips import Member, ZipError, read_zip
from tests.makers.detectors import tiny_detector
from tests.makers.hostile_zips import PARTLY_READ, REFUSED
from tests.makers.metadata_files import unjudged_files
from tests.makers.pictures import encode, photo

PNG = encode(photo(), "PNG")


def packed(members: dict[str, bytes], *, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def unpacked(data: bytes) -> dict[str, bytes | ImageError]:
    return dict(read_zip(data))


# Archives -----------------------------------------------------------------------------------------


def test_members_are_read_and_the_rest_of_a_folder_is_ignored() -> None:
    data = packed(
        {"a/b/one.png": PNG, "__MACOSX/._one.png": b"x", ".DS_Store": b"x", "a/two.png": PNG}
    )
    assert unpacked(data) == {"one.png": PNG, "two.png": PNG}


@pytest.mark.parametrize("name", ["../../etc/one.png", "C:/one.png", "a\\..\\one.png"])
def test_names_that_point_out_of_the_archive(name: str) -> None:
    found = unpacked(packed({name: PNG, "good.png": PNG}))
    assert "points out" in str(found["one.png"])
    assert found["good.png"] == PNG


def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    ratio = unpacked(packed({"bomb.png": bytes(15 * 2**20), "good.png": PNG}))
    assert "far more than any picture" in str(ratio["bomb.png"])
    assert ratio["good.png"] == PNG
    large = unpacked(packed({"large.png": bytes(21 * 2**20)}))
    assert "more than 20 MB" in str(large["large.png"])
    with pytest.raises(ZipError, match="201 files"):
        unpacked(packed({f"{i}.png": PNG for i in range(201)}))
    monkeypatch.setattr(zips, "MAX_TOTAL", 2**20)
    with pytest.raises(ZipError, match="unpacks to more than 1 MB"):
        list(zips.unpack(packed({f"{i}.png": bytes(2**18) for i in range(5)}), 5))


def test_a_member_that_is_larger_than_announced() -> None:
    data = bytearray(packed({"liar.png": bytes(3 * 2**20)}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + offset
        assert struct.unpack_from("<I", data, at) == (3 * 2**20,)
        struct.pack_into("<I", data, at, 1000)
    (found,) = unpacked(bytes(data)).values()
    assert isinstance(found, ImageError) or len(found) <= 1000


def test_archives_in_archives_and_encrypted_members() -> None:
    nested = unpacked(packed({"inner.png": packed({"x": b"x"}), "good.png": PNG}))
    assert "archive inside the archive" in str(nested["inner.png"])
    assert nested["good.png"] == PNG
    locked = bytearray(packed({"one.png": PNG}))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in str(unpacked(bytes(locked))["one.png"])


def test_damaged_archives() -> None:
    data = packed({"one.png": PNG})
    wrong_directory = data[:-10] + struct.pack("<I", 2**30) + data[-6:]
    zip64 = data[:-22] + b"PK\x06\x07" + bytes(16) + data[-22:]
    for damaged in (data[: len(data) // 2], packed({}), wrong_directory, zip64):
        with pytest.raises(ZipError):
            unpacked(damaged)


@pytest.mark.parametrize("how", [zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_one_damaged_member_costs_no_other(how: int) -> None:
    data = bytearray(packed({"one.png": PNG, "two.png": PNG}, how=how))
    data[60 : len(data) // 3] = bytes(reversed(data[60 : len(data) // 3]))
    found = unpacked(bytes(data))
    assert "damaged" in str(found["one.png"])
    assert found["two.png"] == PNG


@pytest.mark.parametrize("kind", PARTLY_READ)
def test_a_hostile_member_gets_a_sentence_and_costs_no_other(kind: str, tmp_path: Path) -> None:
    make, sentence = PARTLY_READ[kind]
    *hostile, inside, beside = _told(tmp_path, make())
    assert (inside, beside) == ("", "")
    assert bool(hostile) == bool(sentence)
    assert all(sentence in told for told in hostile), hostile


@pytest.mark.parametrize("kind", REFUSED)
def test_a_hostile_archive_gets_a_sentence_and_costs_no_other(kind: str, tmp_path: Path) -> None:
    make, sentence = REFUSED[kind]
    refused, beside = _told(tmp_path, make())
    assert sentence in refused
    assert beside == ""


def _told(folder: Path, archive: bytes) -> list[str]:
    """What is said of an archive's members and of a picture that is sent with it; "" of what is a
    picture."""
    (folder / "a.zip").write_bytes(archive)
    (folder / "good.png").write_bytes(PNG)
    paths = [folder / "a.zip", folder / "good.png"]
    assert count(paths) >= 2
    return [_problem(content) for _name, content in collect(paths)]


def _problem(content: bytes | ImageError) -> str:
    try:
        if isinstance(content, ImageError):
            raise content
        sniff(content)
    except ImageError as error:
        return str(error)
    return ""


def test_random_damage_is_an_image_error_or_nothing() -> None:
    data = packed({"one.png": PNG, "two.png": PNG})
    for seed in range(150):
        broken = bytearray(data)
        for k in range(4):
            broken[(seed * 7919 + k * 104729) % len(data)] = (seed * 31 + k) % 256
        try:
            list(read_zip(bytes(broken)))
        except ImageError:
            continue


# Batches ------------------------------------------------------------------------------------------


def test_a_bad_file_costs_its_row_only(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(PNG)
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (tmp_path / "more.zip").write_bytes(packed({"inside.png": PNG, "text.txt": b"hello"}))
    paths = [tmp_path / name for name in ("bad.jpg", "good.png", "missing.png", "more.zip")]
    every = list(examine_all(lambda: collect(paths), tiny_detector()))
    done = sorted((d for d in every if d.row.survives != CHECKING), key=lambda d: d.row.number)
    # first all answers, then whether they survive
    assert [d.row.number for d in every] == [1, 2, 3, 4, 5, 2, 4]
    assert count(paths) == len(done)
    assert [d.row.name for d in done] == [
        "bad.jpg",
        "good.png",
        "missing.png",
        "inside.png",
        "text.txt",
    ]
    # the bad one has the examination of its file
    assert [d.examination is not None for d in done] == [True, True, False, True, False]
    assert [d.row.number for d in done] == [1, 2, 3, 4, 5]
    assert done[0].row.origin == Origin.NOT_EXAMINED
    assert done[0].row.problem
    assert done[1].row.claims == ""  # no metadata at all
    good = done[1]
    assert (good.row.origin, good.row.sha256) == (
        good.examination.headline.origin,
        good.examination.sha256,
    )
    assert (good.row.band, good.row.survives) == (
        good.examination.band,
        good.examination.stability.sentence,
    )


def test_copies_of_what_is_likely_generated_are_judged_first() -> None:
    detector = tiny_detector()
    calibration = replace(detector.config.calibration, low=0.1, threshold=0.15, high=0.23)
    detector.config = replace(detector.config, calibration=calibration)
    dark = encode((photo() * 0.6).astype(np.uint8), "PNG")
    members = [("bright.png", PNG), ("dark.png", dark)]
    rows = [update.row for update in examine_all(lambda: members, detector)]
    assert [row.band for row in rows[:2]] == ["inconclusive", "likely generated"]
    assert [row.number for row in rows] == [1, 2, 2, 1]


def test_our_own_failure_is_said_in_the_row(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def predict(self, pixels: object) -> None:
            raise RuntimeError("secret.png")

    done = list(examine_all(lambda: [("a.png", PNG), ("b.png", b"?")], Broken()))  # type: ignore[arg-type]
    assert "not the file's fault" in done[0].row.problem
    assert "not a picture" in done[1].row.problem
    assert "secret" not in caplog.text


@pytest.mark.parametrize("read_before", [0, 1])
@pytest.mark.parametrize("beside", [["good.png"], []])
def test_our_own_failure_to_read_an_archive_costs_one_row(
    read_before: int,
    beside: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(data: bytes, *, limit: int) -> Iterator[Member]:
        yield from list(read_zip(data, limit=limit))[:read_before]
        raise RuntimeError("secret.png")

    if not read_before:
        monkeypatch.setattr("causalclip.batch.count_zip", broken)
    monkeypatch.setattr("causalclip.batch.read_zip", broken)
    (tmp_path / "a.zip").write_bytes(packed({"1.png": PNG, "2.png": PNG}))
    (tmp_path / "good.png").write_bytes(PNG)
    paths = [tmp_path / name for name in ["a.zip", *beside]]
    rows = {
        update.row.number: update.row
        for update in examine_all(lambda: collect(paths), tiny_detector())
    }
    assert [row.name for row in rows.values()] == [*["1.png"][:read_before], "a.zip", *beside]
    refused = rows.pop(read_before + 1)
    assert "not the file's fault" in refused.problem
    assert all(row.score and row.survives != CHECKING for row in rows.values())
    assert count(paths) == len(rows) + 1
    assert "secret" not in caplog.text


def test_a_verdict_stays_where_its_file_cannot_be_read_again() -> None:
    """And what stands behind an archive that gives less than before is checked all the same."""
    refused, other = ImageError("refused"), encode(photo(90, 80), "PNG")
    first = [("1.png", PNG), ("2.png", PNG), ("b.png", other), ("b.png", other)]
    passes = iter([first, [("1.png", PNG), ("a.zip", refused), *first[2:]]])
    rows = [update.row for update in examine_all(lambda: next(passes), tiny_detector())]
    assert [row.number for row in rows] == [1, 2, 3, 4, 1, 3, 4]
    assert not any(row.problem for row in rows)


def test_a_verdict_stays_where_its_picture_fails_later(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, looks = tiny_detector(), iter([True])

    def predict(*args: object, **options: object) -> object:
        if next(looks, False):
            return type(detector).predict(detector, *args, **options)  # type: ignore[arg-type]
        raise RuntimeError("secret.png")

    monkeypatch.setattr(detector, "predict", predict)
    (update,) = examine_all(lambda: [("a.png", PNG)], detector)
    assert (update.row.survives, update.row.problem) == (CHECKING, "")


def test_a_row_names_the_marks_and_a_name_alone_is_no_mark() -> None:
    exif = Image.Exif()
    exif[305] = "Ideogram AI"
    marked, named = encode(photo(90, 100), "JPEG", exif=exif), encode(photo(90, 100), "JPEG")
    members = [("a.jpg", marked), ("Whisk_" + 32 * "a" + ".jpg", named)]
    first, second = list(examine_all(lambda: members, tiny_detector()))[:2]
    assert (first.row.marks, first.row.marked) == ("Ideogram (metadata): “Ideogram AI”", True)
    assert (second.row.marks, second.row.marked) == ("Google Whisk (file name)", False)
    [_head, line, _named] = csv.reader(io.StringIO(as_csv([first.row, second.row])))
    assert "Ideogram (metadata): “Ideogram AI”" in line


def test_what_is_refused_for_its_pixels_has_a_row_with_what_its_file_says() -> None:
    members = list(unjudged_files().items())
    rows = [update.row for update in examine_all(lambda: members, tiny_detector())]
    assert [row.name for row in rows] == [name for name, _data in members]
    for row in rows:
        assert (row.named_answer, row.marks) == (
            "The file says that it was made with Ideogram",
            "Ideogram (metadata): “Ideogram AI”",
        )
        assert row.problem in row.beside
        assert row.claims in row.beside
        assert (row.score, row.band, row.survives, row.marked) == (None, "", "", True)


def test_limits_of_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZipError, match="201 files are too many"):
        list(collect([tmp_path / "x"] * 201))
    (tmp_path / "a.zip").write_bytes(packed({"1.png": PNG, "2.png": PNG}))
    (tmp_path / "b.png").write_bytes(PNG)
    monkeypatch.setattr("causalclip.batch.MAX_PICTURES", 2)
    members = list(collect([tmp_path / "a.zip", tmp_path / "b.png"]))
    assert [isinstance(content, ImageError) for _, content in members] == [False, False, True]
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ZipError):
        list(collect([tmp_path / "broken.zip"]))


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", "\tx", "－1", '=HYPERLINK("http://evil")'])
def test_csv_runs_no_formula(name: str) -> None:
    text = as_csv([BatchRow(1, name, Origin.INCONCLUSIVE, 0.5, problem='a "quoted", line\nbreak')])
    head, line = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert head == list(COLUMNS.values())
    assert line[1] == "'" + name
    assert line[3] == "0.5"
    assert line[-1] == 'a "quoted", line\nbreak'


@pytest.mark.parametrize(
    ("name", "kept"), [('a; "+1;-2;b', "a;' \"+1;'-2;b"), ("a; b=1; c-2.png", "a; b=1; c-2.png")]
)
def test_csv_runs_no_formula_where_semicolons_separate(name: str, kept: str) -> None:
    """Excel's way in German, French, Spanish, Portuguese, Turkish, Indonesian and Ukrainian."""
    [_, line] = csv.reader(io.StringIO(as_csv([BatchRow(1, name, Origin.INCONCLUSIVE, 0.5)])))
    assert line[1] == kept


def test_reports_are_zipped_with_the_table(tmp_path: Path) -> None:
    rows = [BatchRow(1, "../../evil\x00.png", Origin.INCONCLUSIVE, 0.5)]
    names = [report_stem(1, rows[0].name) + ".html", report_stem(2, "..") + ".json"]
    assert names == ["001-evil.html", "002-picture.json"]
    zip_reports(tmp_path / "all.zip", rows, [(name, "content") for name in names])
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.namelist() == ["results.csv", *names]
