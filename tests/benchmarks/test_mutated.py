"""Damaged files are damaged, and what comes of them is counted as it is."""

from typing import Any

import numpy as np
import pytest

from benchmarks import mutated

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of damaged TIFFs, said to nobody in the app


def test_a_file_is_changed_and_the_same_way_each_time() -> None:
    data = bytes(range(256)) * 4
    changed = [mutated.mutate(data, np.random.default_rng(seed)) for seed in range(20)]
    assert changed == [mutated.mutate(data, np.random.default_rng(seed)) for seed in range(20)]
    assert sum(other != data for other in changed) >= 19


@pytest.mark.parametrize("name", [*mutated.FORMATS, "zip"])
def test_a_few_of_each_come_to_pixels_or_a_sentence(name: str) -> None:
    found = mutated.one(name, 20)
    assert found["wrong"] == {}
    assert sum(found.get(kind, 0) for kind in ("pixels", "sentence", "members")) == 20


def test_an_error_that_is_no_sentence_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: bytes) -> Any:
        raise IndexError("list index out of range")

    monkeypatch.setattr(mutated, "_decode", broken)
    assert mutated.one("JPEG", 5)["wrong"] == {"IndexError": 5}
