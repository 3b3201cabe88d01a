"""A process of its own gives its answer, or says that it cost too much, or that it did not run."""

import pytest

from causalclip.pictures import apart
from causalclip.pictures.apart import TooCostly, run_apart


def test_the_answer_comes_back() -> None:
    assert run_apart("json.tool", "--compact", b'{"a": 1}').strip() == b'{"a":1}'


def test_a_process_that_does_not_run_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="did not run"):
        run_apart("no_such_module", "x", b"")


def test_a_process_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "PATIENCE", 0.001)
    with pytest.raises(TooCostly):
        run_apart("json.tool", "--compact", b"{}")
