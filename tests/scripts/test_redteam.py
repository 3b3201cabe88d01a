"""The attacks say honestly what held."""

from typing import Any

import pytest

from scripts.redteam import __main__ as redteam
from scripts.redteam.tries import ALL, QUICK


def test_a_try_that_fails_itself_has_not_shown_that_anything_held() -> None:
    def broken(_: Any) -> tuple[bool, str]:
        raise OSError("no connection")

    held, said = redteam.attempt(broken, None)  # type: ignore[arg-type]
    assert not held
    assert "no connection" in said


def test_every_try_is_listed_once_under_a_name_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert redteam.main(["--list"]) == 0
    names = [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert len(names) == len(set(names)) == len(ALL)
    assert all("-" in name and "_" not in name for name in names)
    assert set(QUICK) < set(ALL)


def test_a_name_that_is_none_attacks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert redteam.main(["alone", "no-such-try"]) == 2
    assert "There is no no-such-try" in capsys.readouterr().out
