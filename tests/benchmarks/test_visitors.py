"""What several visitors see of the page, and when: the clock, and the table that is written from it."""

import numpy as np

from benchmarks.load import picture
from benchmarks.tables import running
from benchmarks.visitors import Seen, early, measure, read_page


def test_checks_before_the_last_first_score_are_counted() -> None:
    assert early([Seen(0, 1, 9), Seen(0, 2, 8), Seen(0, 3, 7)]) == 0
    assert early([Seen(0, 1, 2.5), Seen(0, 2, 3), Seen(0, 3, 7)]) == 1


def test_visitors_of_the_page_see_a_score_and_then_the_check(tiny_app: str) -> None:
    """The steps are those of the page itself: where it takes others, nobody gets an answer here."""
    (row,) = measure(read_page(tiny_app), [2], pictures=3, make=lambda rng: picture(rng, "good"))
    assert (row["visitors"], row["pictures"]) == (2, 4)
    assert 0 < row["first_p50_s"] <= row["first_p95_s"] < row["checked_p95_s"]


def test_the_table_and_the_aim() -> None:
    row = {"visitors": 4, "pictures": 48, "first_p50_s": 1.0, "first_p95_s": 2.25, "checked_p95_s": 9.0}
    load = {
        "outcomes": {"answered": 1},
        "killed": {"files_left_by_the_kill": 0, "folders_after_restart": 1, "answers_after": True},
        "processor": {"name": "A processor"},
    } | dict.fromkeys(("clients", "minutes", "p50_s", "p95_s", "peak_mb", "warm_mb", "growth"), 0)
    assert "visitors at once" not in running.load(load)
    for too_early, reached in ((0, True), (3, False)):
        rows = [row | {"checked_too_early": too_early}]
        load["first_verdicts"] = {"rows": rows, "date": "2026-01-02", "processor": {"name": "Another"}}
        assert f"| 4 | 48 | 1.0 s | 2.2 s | 9.0 s | {too_early} |" in running.load(load)
        assert "on Another, 2026-01-02" in running.load(load)
        aim = running.load_aims(load)[-1]
        assert (aim.reached, aim.found) == (reached, f"{too_early} of 48")


def test_a_picture_of_each_visitor_is_another() -> None:
    rng = np.random.default_rng(0)
    assert picture(rng, "good") != picture(rng, "good")
