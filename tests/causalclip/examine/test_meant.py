"""What a score has meant is counted from the benchmark, with its interval."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from causalclip import cli
from causalclip.examine import meant
from causalclip.examine.examination import examine
from causalclip.examine.meant import Meant, headline, near
from causalclip.report.card import verdict
from causalclip.report.document import as_html, draw_maps
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo

BINS = [
    {"pictures": 20, "mean_probability": 0.1, "generated": 1},
    {"pictures": 16, "mean_probability": 0.5, "generated": 8},
    {"pictures": 16, "mean_probability": 0.6, "generated": 12},
]
SHARES = {
    "likely generated": {"real": 0.01, "generated": 0.4},
    "inconclusive": {"real": 0.4, "generated": 0.5},
}


@pytest.fixture
def benchmark_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Writes a benchmark of the test's own."""

    def write(**report: Any) -> None:
        (tmp_path / "test.json").write_text(json.dumps({"revision": "1", "alike": {"bands": SHARES}} | report))
        meant._benchmark.cache_clear()

    monkeypatch.setattr(meant, "BENCHMARK", tmp_path / "test.json")
    meant._benchmark.cache_clear()
    yield write
    meant._benchmark.cache_clear()


def test_bins_of_the_benchmark_are_read(benchmark_of: Callable[..., None]) -> None:
    rows = [
        {"low": 0.0, "high": 0.4, "pictures": 40, "generated": 4},
        {"low": 0.4, "high": 1.0, "pictures": 50, "generated": 31},
    ]
    benchmark_of(meant=rows)
    assert near(0.1) == Meant(40, 4)
    found = near(0.7)
    assert found == Meant(50, 31)
    assert "about 62 were generated (counted: 31 of 50; 95 % interval 48 to 74)" in found.sentence


def test_without_them_the_nearest_reliability_bins_count(benchmark_of: Callable[..., None]) -> None:
    benchmark_of(alike={"bands": SHARES, "reliability": BINS})
    assert near(0.55) == Meant(32, 20)  # two bins, as one has too few pictures


def test_another_detector_has_no_meaning_here(benchmark_of: Callable[..., None]) -> None:
    benchmark_of(alike={"bands": SHARES, "reliability": BINS})
    assert near(0.5, revision="1") is not None
    assert near(0.5, revision="2") is None


def test_without_a_benchmark_nothing_is_said(benchmark_of: Callable[..., None]) -> None:
    assert near(0.5) is None
    assert headline() is None


def test_the_two_numbers_that_matter(benchmark_of: Callable[..., None]) -> None:
    benchmark_of()
    found = headline()
    assert found is not None
    assert (found.recognised, found.accused, found.undecided) == (0.4, 0.01, (0.5, 0.4))


def test_the_same_sentence_in_card_report_command_line_and_api(
    benchmark_of: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"low": 0.0, "high": 1.0, "pictures": 50, "generated": 31}]
    benchmark_of(revision="test", meant=rows)
    detector, file = tiny_detector(), tmp_path / "a.png"
    file.write_bytes(encode(photo(), "PNG"))
    x = examine(file.read_bytes(), detector)
    sentence = Meant(50, 31).sentence
    assert sentence in verdict(x.detection)
    assert sentence in " ".join(as_html(x, maps=draw_maps(x)).split())
    assert x.as_dict()["meant"]["sentence"] == sentence
    monkeypatch.setattr(cli, "_load", lambda name: detector)
    assert sentence in CliRunner().invoke(cli.app, ["detect", str(file)]).stdout
