"""A dry run says how long an archive would take, and writes nothing."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("ray", reason="an archive needs requirements-archive.txt")

from causalclip.archive import planning
from causalclip.archive.planning import Estimate, as_text, estimate
from causalclip.cli import app
from tests.makers.detectors import saved_detector
from tests.makers.pictures import encode, photo


class Sleeper:
    """Judges by sleeping; its first picture takes long."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, batch: Mapping[str, Iterable[Any]]) -> dict[str, list[bytes]]:
        time.sleep(0.01 if self.paths else 0.5)
        self.paths += batch["path"]
        return {"row": []}


def test_the_sample_is_spread_and_the_first_picture_does_not_count() -> None:
    judge = Sleeper()
    found = estimate([str(i) for i in range(1000)], judge, most=8)  # type: ignore[arg-type]
    assert (found.pictures, found.sample) == (1000, 8)
    assert len(set(judge.paths)) == 8
    assert max(map(int, judge.paths)) > 500
    assert 0.01 <= found.seconds < 0.25


def test_hours_are_of_all_workers_together() -> None:
    found = Estimate(720_000, 24, 0.5)
    assert found.hours(workers=2) == 50
    said = as_text(found, workers=2).splitlines()
    assert "720,000 pictures" in said[0]
    assert "0.50 s each" in said[0]
    assert said[1:] == ["    1: 50.00", "   10: 5.00", "  100: 0.50"]


def test_a_dry_run_of_the_command_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SAMPLE", 2)
    monkeypatch.setattr("torch.set_num_threads", lambda n: None)  # of the tests' own process
    saved_detector(tmp_path)
    source = tmp_path / "source"
    source.mkdir()
    for i in range(3):
        (source / f"{i}.jpg").write_bytes(encode(photo(90 + 9 * i, 100), "JPEG"))
    (source / "broken.jpg").write_bytes(b"no picture")
    given = ["archive", str(source), "--out", str(tmp_path / "out"), "--model", str(tmp_path / "model"), "--dry-run"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("4 pictures.")
    assert not (tmp_path / "out").exists()
