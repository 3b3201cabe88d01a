"""The README and the detector's card say what the benchmarks measured, and nothing else."""

from pathlib import Path

import pytest

from benchmarks.readme import CARD, README, filled


@pytest.mark.parametrize("page", [README, CARD], ids=["README", "card"])
def test_pages_say_what_was_measured(page: Path) -> None:
    assert filled(page) == page.read_text(encoding="utf-8"), "Run python -m benchmarks.readme"
