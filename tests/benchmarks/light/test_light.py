"""The table of what a verdict costs reads what the three benchmarks keep."""

import json

from benchmarks.light import __main__ as light


def test_every_line_is_read_from_what_is_kept() -> None:
    now, before = light.kept(), json.loads(light.BEFORE.read_text())["before"]
    assert list(now) == list(before)
    shown = light.table(before, before)
    assert len(shown.splitlines()) == 2 + len(light.LINES)
    assert "| verdict and map, as it is | 0.25 s |" in shown
    assert "| archive, memory of all with 1 worker | 2,959 MB |" in shown


def test_what_was_not_measured_is_left_empty() -> None:
    nothing = dict.fromkeys(light.kept())
    assert light.table(nothing, nothing).splitlines()[2] == "| verdict, as it is |  |  | 0.12 s |"
