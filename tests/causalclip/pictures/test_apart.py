"""A process of its own gives its answer, or says that it cost too much, or that it did not run."""

import io
import tracemalloc
from typing import IO

import numpy as np
import pytest

from causalclip.pictures import apart, decoding
from causalclip.pictures.apart import TooCostly, run_apart
from tests.makers.pictures import encode, photo


def whole(output: IO[bytes]) -> bytes:
    return output.read()


def test_the_answer_comes_back() -> None:
    assert run_apart("json.tool", "--compact", b'{"a": 1}', read=whole).strip() == b'{"a":1}'


def test_a_process_that_does_not_run_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="did not run"):
        run_apart("no_such_module", "x", b"", read=whole)


def test_one_that_ends_before_it_has_read_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="did not run"):
        run_apart("no_such_module", "x", b"x" * 2**22, read=whole)


def test_a_process_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "PATIENCE", 0.001)
    with pytest.raises(TooCostly):
        run_apart("json.tool", "--compact", b"{}", read=whole)


@pytest.mark.parametrize("patience", [0.001, 60.0])
def test_pixels_that_come_from_there_are_in_memory_once(patience: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an output that breaks off is no error of its own."""
    monkeypatch.setattr(apart, "PATIENCE", patience)
    picture = photo(1200, 900)
    data = encode(picture, "TIFF")
    tracemalloc.start()
    try:
        if patience < 1:
            with pytest.raises(decoding.BrokenImage):
                decoding.decode_apart(data, "TIFF")
            return
        pixels, _ = decoding.decode_apart(data, "TIFF")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(pixels, picture)
    assert pixels.flags.writeable
    assert peak < 1.5 * picture.nbytes


@pytest.mark.parametrize("written", [b"", b'{"shape": [2, 2, 3]', b'{"shape": [2, 2, 3], "notes": []}\n' + b"x" * 11])
def test_pixels_that_break_off_are_no_picture(written: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the process says that all went well: what was not written would be whatever memory held."""
    output = io.BufferedReader(io.BytesIO(written))  # type: ignore[arg-type]
    monkeypatch.setattr(apart, "run_apart", lambda *_, read: read(output))
    with pytest.raises(RuntimeError, match="broke off"):
        decoding.decode_apart(b"", "TIFF")
