"""The attacks say honestly what held."""

from typing import Any

import pytest

from scripts.redteam import __main__ as redteam
from scripts.redteam.fuzz import _largest_step
from scripts.redteam.tries import ALL, QUICK


def test_a_try_that_fails_itself_has_not_shown_that_anything_held() -> None:
    def broken(_: Any) -> tuple[bool, str]:
        raise OSError("no connection")

    held, said = redteam.attempt(broken, None)  # type: ignore[arg-type]
    assert not held
    assert "no connection" in said


@pytest.mark.parametrize("one", ALL)
def test_every_try_says_what_it_does(one: Any) -> None:
    assert one.__doc__
    assert len(one.__doc__.splitlines()) == 1


def test_every_try_is_listed_once_under_a_name_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert redteam.main(["--list"]) == 0
    names = [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert len(names) == len(set(names)) == len(ALL)
    assert all("-" in name and "_" not in name for name in names)
    assert set(QUICK) < set(ALL)


def test_a_name_that_is_none_attacks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert redteam.main(["alone", "no-such-try"]) == 2
    assert "There is no no-such-try" in capsys.readouterr().out


def test_a_step_of_memory_is_told_with_what_was_asked_first_then() -> None:
    memory = [100.0] * 200 + [600.0] * 200
    asked = ["detect", *[""] * 189, "attack", *[""] * 209]
    assert _largest_step(memory, asked) == {"mb": 500, "at_call": 150, "asked_first_then": ["attack"]}
    assert _largest_step(memory[:10], asked) == {}
