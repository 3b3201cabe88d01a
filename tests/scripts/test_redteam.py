"""The attacks say honestly what held."""

from typing import Any

import pytest

from scripts.redteam import __main__ as redteam


def test_a_try_that_fails_itself_has_not_shown_that_anything_held() -> None:
    def broken(_: Any) -> tuple[bool, str]:
        raise OSError("no connection")

    held, said = redteam.attempt(broken, None)  # type: ignore[arg-type]
    assert not held
    assert "no connection" in said


def test_a_name_that_is_none_attacks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert redteam.main(["alone", "no-such-try"]) == 2
    assert "There is no no-such-try" in capsys.readouterr().out
