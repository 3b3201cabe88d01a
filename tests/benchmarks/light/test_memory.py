"""What the table of memory says is what was kept, and its aims go by the most that was taken."""

from typing import Any

from benchmarks.light import tables
from benchmarks.light.memory import CHECKED, resident


def report(*, checked: int, most: int) -> dict[str, Any]:
    rows = [
        {"after": "a detection", "mb": 1500, "files_mb": 120, "most_mb": 1600},
        {"after": CHECKED, "mb": 550, "files_mb": 130, "most_mb": checked},
        {"after": "purifications", "mb": 900, "files_mb": 140, "most_mb": most},
    ]
    return {"date": "2026-11-29", "torch": "2.13", "processor": {"name": "one"}, "runtimes": {"int8": rows}}


def test_a_row_a_step_and_the_most_below() -> None:
    text = tables.memory(report(checked=790, most=1200))
    assert "| a detection | 1,500 (120) |" in text
    assert "| **the most, with the check** | **790** |" in text
    assert "| **the most, with Purify** | **1,200** |" in text


def test_the_aims_are_of_the_check_and_of_all() -> None:
    checked, most = tables.memory_aims(report(checked=801, most=1100))
    assert (checked.reached, checked.found) == (False, "801 MB")
    assert (most.reached, most.found) == (True, "1,100 MB")


def test_what_this_process_takes_is_read() -> None:
    now = resident()
    assert 0 < now["files_mb"] < now["mb"]
    assert now["mb"] < now["most_mb"] + 5  # Linux counts in lots
