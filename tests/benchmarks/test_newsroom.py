"""The calculation of a newsroom's hour serves as the app's gate does."""

import time

import numpy as np
import pytest

from benchmarks import visitors
from benchmarks.newsroom import BETWEEN, PICTURES, SITTINGS, Service, added, hour, replayed, serve, summed


def test_of_those_who_come_together_verdicts_go_before_checks() -> None:
    first, checked = serve(np.zeros(3), Service(first=1, check=10))
    assert first.tolist() == [1, 2, 3]
    assert checked.tolist() == [13, 23, 33]


def test_who_comes_during_a_check_waits_for_that_one_alone() -> None:
    first, checked = serve(np.array([0.0, 0.0, 3.0]), Service(first=1, check=10))
    assert first.tolist() == [1, 2, 10]
    assert checked.tolist() == [12, 23, 30]


def test_who_comes_alone_waits_for_nobody() -> None:
    first, checked = serve(np.array([0.0, 100.0]), Service(first=1, check=10))
    assert first.tolist() == [1, 1]
    assert checked.tolist() == [11, 11]


def test_more_cores_save_what_they_share() -> None:
    service = Service(first=3, check=6)
    assert service.on(2, 0.5) == service
    assert service.on(1, 0.5) == Service(first=4, check=8)
    assert service.on(10**9, 1.0).first < 1e-6


def test_an_hour_has_everybodys_pictures_in_order() -> None:
    arrivals = hour(30, np.random.default_rng(0))
    assert len(arrivals) == 30 * SITTINGS * PICTURES
    assert (np.diff(arrivals) >= 0).all()
    assert arrivals.max() < 3600 + 10 * PICTURES * BETWEEN


def test_parts_of_an_hour_add_up() -> None:
    part = {"minutes": 3.0, "pictures": 2, "lost": ["ReadTimeout"], "first_s": [1.0], "checked_s": [4.0]}
    row = summed({"0": part, "1": part | {"first_s": [3.0, 3.0], "checked_s": [8.0, 8.0], "lost": []}})
    assert (row["minutes"], row["pictures"], row["lost"]) == (6.0, 4, 1)
    assert (row["first_p50_s"], row["checked_p95_s"]) == (3.0, 8.0)


def test_parts_of_two_detectors_do_not_add_up() -> None:
    old, new = {"detector": "1"}, {"detector": "2"}
    assert added({"0": old, "1": old}, "1", new) == {"1": new}
    assert added({"0": new}, "1", new) == {"0": new, "1": new}


def test_a_part_in_which_nobody_comes_is_said_to_be_one() -> None:
    with pytest.raises(ValueError, match="Nobody comes in part 0"):
        replayed(10, part=0, minutes=3)


def test_visits_begin_when_they_are_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a visit that is lost is counted; nobody waits for the one before."""
    begun: list[tuple[int, float]] = []

    def visit(page: object, data: bytes, *, session: str, number: int) -> visitors.Seen:
        begun.append((number, time.monotonic()))
        time.sleep(0.3)
        if number == 1:
            raise RuntimeError
        return visitors.Seen(0, 1, 2)

    monkeypatch.setattr(visitors, "visit", visit)
    started = time.monotonic()
    seen = visitors.replay(None, [0.0, 0.1, 0.2], make=lambda: b"")  # type: ignore[arg-type]
    assert seen == [visitors.Seen(0, 1, 2), "RuntimeError", visitors.Seen(0, 1, 2)]
    assert sorted(number for number, _ in begun) == [0, 1, 2]
    assert all(at - started >= 0.1 * number for number, at in begun)
