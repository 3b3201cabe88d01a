"""The calculation of a newsroom's hour serves as the app's gate does."""

import numpy as np

from benchmarks.newsroom import BETWEEN, PICTURES, SITTINGS, Service, hour, serve


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
