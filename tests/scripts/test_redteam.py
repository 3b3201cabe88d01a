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


@pytest.mark.parametrize("one", [*redteam.TRIES, *redteam.TOGETHER])
def test_every_try_says_what_it_does(one: Any) -> None:
    assert one.__doc__
    assert len(one.__doc__.splitlines()) == 1
