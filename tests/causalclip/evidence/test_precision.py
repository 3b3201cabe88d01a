"""What an answer has meant, and how often it is wrong: counted from the benchmark, the same words everywhere."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from causalclip.calibration import Calibration
from causalclip.clip.weights import ASSETS
from causalclip.evidence import words
from causalclip.evidence.words import NO_ANSWER, EmpiricalPrecision, empirical_precision

SHARES = {
    "likely generated": {"real": 0.01, "generated": 0.4},
    "inconclusive": {"real": 0.4, "generated": 0.5},
    "likely not generated": {"real": 0.59, "generated": 0.1},
}
ALL = {"pictures": 300, "reliability": [{"generated": 60}, {"generated": 40}], "bands": SHARES}  # 100 and 200


@pytest.fixture
def benchmark_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Writes a benchmark of the test's own."""

    def write(**report: Any) -> None:
        (tmp_path / "test.json").write_text(json.dumps({"revision": "1", "all": ALL} | report))
        words._read.cache_clear()

    monkeypatch.setattr(words, "BENCHMARK", tmp_path / "test.json")
    words._read.cache_clear()
    yield write
    words._read.cache_clear()


def test_an_answer_means_what_the_test_pictures_with_it_were(benchmark_of: Callable[..., None]) -> None:
    benchmark_of()
    found = empirical_precision("likely generated", "1")
    assert found == EmpiricalPrecision(42, 40, 1 / 3)
    assert empirical_precision("inconclusive", "1") == EmpiricalPrecision(130, 50, 1 / 3)
    assert empirical_precision(NO_ANSWER, "1") is None
    assert empirical_precision("likely not generated", "1") == EmpiricalPrecision(128, 10, 1 / 3)
    assert (
        "about 95 were generated (counted: 40 of 42; 95 % interval 84 to 99). Of all test pictures, 33 of 100 were;"
        in found.sentence
    )


def test_no_share_contradicts_the_word_beside_it() -> None:
    """Of the shipped detector: what is called inconclusive was generated less often than what is called generated."""
    config = json.loads((ASSETS / "detector" / "config.json").read_text())
    calibration, revision = config["calibration"], config["revision"]
    found = [
        empirical_precision(band, revision) for band in ("likely not generated", "inconclusive", "likely generated")
    ]
    shares = [m.generated / m.pictures for m in found if m]
    assert len(shares) == 3
    assert shares == sorted(shares)
    low, high = calibration["low"], calibration["high"]
    for beside in (low, high):  # on either side of a threshold stand two words and two shares
        bands = {Calibration(low=low, high=high).band(beside + step) for step in (-0.001, 0.001)}
        assert len({empirical_precision(band, revision).sentence for band in bands}) == 2
