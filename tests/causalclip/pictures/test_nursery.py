"""A picture has a process of its own, without a new interpreter: forked, alone with its pipes, and ended with it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest

from causalclip.pictures import apart, decoding
from causalclip.pictures.nursery import MODULES, Child, Nursery
from tests.makers.pictures import encode, photo

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an interpreter is started for each picture")
DECODER = MODULES[0]


@pytest.fixture
def nursery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    """One of the test's own; it ends when it is forgotten."""
    own = Nursery()
    monkeypatch.setattr(apart, "_NURSERY", own)
    yield own
    if own._control:
        own._control.close()


def waiting(nursery: Nursery) -> tuple[Child, psutil.Process]:
    """A child that waits for its picture, and its process."""
    with tempfile.TemporaryFile() as errors:
        child = nursery.bear(DECODER, "TIFF:en", errors)
    return child, until(psutil.Process(nursery.pid).children)[-1]


def until(found: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    end = time.monotonic() + 60
    while not (some := found()):
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.01)
    return some


def test_one_interpreter_serves_many_pictures(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **options: started.append(1) or popen(*given, **options))
    for width in (96, 120):
        picture = photo(width, 90)
        assert np.array_equal(decoding.decode_apart(encode(picture, "TIFF"), "TIFF")[0], picture)
    assert started == [1]


def test_a_child_holds_nothing_but_its_own_pipes(nursery: Nursery) -> None:
    """Neither the way to ask for more, nor the pipes of a picture that is decoded at the same time."""
    first, _ = waiting(nursery)
    with tempfile.TemporaryFile() as errors:
        second = nursery.bear(DECODER, "TIFF:en", errors)
    process = until(lambda: psutil.Process(nursery.pid).children()[1:])[0]
    with first, second:
        until(lambda: [process] if len(os.listdir(f"/proc/{process.pid}/fd")) == 3 else [])
        assert sorted(map(int, os.listdir(f"/proc/{process.pid}/fd"))) == [0, 1, 2]


def test_a_child_that_is_not_wanted_is_ended(nursery: Nursery) -> None:
    child, process = waiting(nursery)
    with child:
        child.kill()
        assert child.wait() < 0
    assert not process.is_running()


def test_another_nursery_is_started_where_one_was_killed(nursery: Nursery) -> None:
    child, _ = waiting(nursery)
    with child:
        os.kill(nursery.pid, signal.SIGKILL)
        assert child.wait() == 1
    picture = photo(96, 90)
    assert np.array_equal(decoding.decode_apart(encode(picture, "TIFF"), "TIFF")[0], picture)


def test_it_ends_with_the_process_that_started_it() -> None:
    code = (
        "import psutil; from causalclip.pictures import decoding; from tests.makers.pictures import encode, photo;"
        "decoding.decode_apart(encode(photo(96, 90), 'TIFF'), 'TIFF'); print(psutil.Process().children()[0].pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    left = int(done.stdout)
    end = time.monotonic() + 60
    while psutil.pid_exists(left) and psutil.Process(left).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "It is still there."
        time.sleep(0.01)
