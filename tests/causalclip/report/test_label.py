"""A report's label: what a person typed is in both files, escaped, and can be changed again."""

import json
from pathlib import Path

import pytest

from causalclip.evidence.examination import examine
from causalclip.report.document import Label, local_time, read_label, save_reports, write_label
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("report")
    return save_reports(examine(encode(photo(), "PNG"), tiny_detector()), folder, "x")


def test_what_is_typed_is_in_both_files(report: tuple[Path, Path], tmp_path: Path) -> None:
    before = [path.read_text() for path in report]
    label = Label("Ada <b>", "Sent by \\1 & co.", "Asia/Tokyo")
    html, plain = write_label(*report, label, tmp_path)
    assert read_label(plain) == label
    drawn = html.read_text()
    assert "<dt>Examined by</dt><dd>Ada &lt;b&gt;</dd>" in drawn
    assert "<dt>Note</dt><dd>Sent by \\1 &amp; co.</dd>" in drawn
    assert "(UTC+09:00)" in drawn
    assert [path.read_text() for path in report] == before
    (tmp_path / "again").mkdir()
    again, said = write_label(html, plain, Label(), tmp_path / "again")
    assert "Ada &lt;b&gt;" not in again.read_text()  # the bare name may stand in a picture's base64
    assert "Ada" not in said.read_text()
    then, now = json.loads(before[1]), json.loads(said.read_text())
    assert {k: v for k, v in now.items() if k != "report"} == {k: v for k, v in then.items() if k != "report"}


def test_a_mark_that_is_typed_ends_nothing(report: tuple[Path, Path], tmp_path: Path) -> None:
    html, plain = write_label(*report, Label(note="<!--/label--> x"), tmp_path)
    (tmp_path / "again").mkdir()
    again, _ = write_label(html, plain, Label(), tmp_path / "again")
    assert "--&gt; x" not in again.read_text()


def test_local_time_is_that_of_the_zone() -> None:
    examined = "2026-01-31T23:30:00+00:00"
    assert local_time(examined, "Asia/Kolkata") == "1 February 2026, 05:00:00 (UTC+05:30)"
    assert local_time(examined, "No/Where") == local_time(examined, "../etc/passwd") == local_time(examined)
