"""Traces of a file: an earlier compression is seen place by place, whatever band of the picture is read with it."""

import tracemalloc

import numpy as np
import pytest
from scipy.fft import dctn

from causalclip.evidence import traces
from causalclip.evidence.region_finder import contrast, features, smooth
from causalclip.evidence.traces import NAMES, read_traces
from tests.makers.pictures import PART, photograph, spliced


def inside(levels: np.ndarray, cell: int = 32) -> tuple[float, float]:
    """The mean of the cells that lie in the part, and of the rest."""
    left, top, right, bottom = (side // cell for side in PART)
    part = np.zeros(levels.shape, bool)
    part[top:bottom, left:right] = True
    return float(levels[part].mean()), float(levels[~part].mean())


def test_a_part_without_the_files_earlier_compression_stands_out() -> None:
    found = read_traces(spliced(), None)
    here, rest = inside(-smooth(contrast(found)[[NAMES.index("comb"), NAMES.index("zero")]]).sum(0))
    assert here > rest + 3
    assert np.isfinite(found.cells).all()
    assert np.isfinite(features(found)).all()


def test_the_energy_of_a_band_is_that_of_an_independent_transform() -> None:
    pixels = photograph()
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) - 128
    found, band = read_traces(pixels, None), NAMES.index("band1")
    blocks = luma[64:96, 96:128].reshape(4, 8, 4, 8).transpose(0, 2, 1, 3)
    power = dctn(blocks, axes=(2, 3), norm="ortho") ** 2
    low = [power[..., i, j] for i in range(3) for j in range(3) if 1 <= i + j < 3]
    assert found.cells[band, 2, 3] == pytest.approx(np.log(np.mean(low) + 0.02) / 2, abs=1e-4)


def test_its_memory_is_bounded_by_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The luminance and its coefficients are kept whole, 4 bytes a pixel each; all else is there for a band."""
    pixels = np.tile(spliced(), (3, 4, 1))
    monkeypatch.setattr(traces, "BAND", 2048 * 64)
    tracemalloc.start()
    read_traces(pixels, None)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * pixels.shape[0] * pixels.shape[1]
