"""The int8 layer for AVX2: near its float layer, exact in what it adds up, whatever comes in."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from causalclip.clip.int8 import linear
from causalclip.clip.int8.linear import LEVELS, QuantisedLinear
from causalclip.clip.weights import quantize

AS_OLD = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


def layer(inner: int = 96, outer: int = 40, outliers: tuple[int, ...] = (3, 50)) -> tuple[QuantisedLinear, Tensor]:
    """A layer, and its matrix in float32."""
    weight = torch.randn(outer, inner, generator=torch.Generator().manual_seed(0))
    matrix, scale = quantize(weight)
    return QuantisedLinear(matrix, scale, torch.arange(outer).float(), outliers=outliers), matrix.float() * scale


def test_it_is_near_its_float_layer() -> None:
    quantised, weight = layer()
    x = torch.randn(2, 5, 96, generator=torch.Generator().manual_seed(1)) + 0.7
    exact = x @ weight.T + quantised.bias
    assert quantised(x).shape == (2, 5, 40)
    assert 0 < float((quantised(x) - exact).norm() / (exact - quantised.bias).norm()) < 0.01


def test_an_outlier_takes_no_levels_from_the_rest() -> None:
    quantised, weight = layer()
    x = torch.randn(4, 96, generator=torch.Generator().manual_seed(1))
    without = quantised(x) - x @ weight.T
    x[:, 50] = 3000
    assert torch.allclose(quantised(x) - x @ weight.T, without, atol=0.05)
    x[:, 51] = 3000
    assert float((quantised(x) - x @ weight.T - without).abs().max()) > 1


def test_each_token_is_by_itself() -> None:
    quantised, _ = layer()
    x = torch.randn(6, 96, generator=torch.Generator().manual_seed(1)) * torch.logspace(-3, 3, 6)[:, None]
    assert torch.allclose(quantised(x)[2:3], quantised(x[2:3]), atol=1e-5)


def test_a_token_of_nothing_is_the_bias() -> None:
    quantised, _ = layer()
    assert torch.equal(quantised(torch.zeros(1, 96))[0], quantised.bias)


EXTREMES = """
import torch
from causalclip.clip.int8.linear import QuantisedLinear, multiplies_exactly
assert multiplies_exactly()
matrix = torch.full((2, 3072), 127, dtype=torch.int8)
matrix[1] = -127
quantised = QuantisedLinear(matrix, torch.ones(2, 1), torch.zeros(2), outliers=[0])
for low, high in ((0.0, 1.0), (-1.0, 0.0), (-1.0, 1.0), (1e30, 2e30), (-1e-30, 3e-9)):
    x = torch.full((1, 3072), high, dtype=torch.float64)
    x[:, 1::3] = low
    exact = x @ matrix.double().T
    found = quantised(x.float()).double()
    most = 3072 * 127 * max(abs(low), abs(high)) / 127  # half a level is lost of each value; a whole one of zeros
    assert (found - exact).abs().max() <= most, (low, high, found, exact)
"""


def test_the_largest_values_do_not_overflow_on_avx2() -> None:
    """With 8 bits on both sides they do: the sums of two products stop at 2 ** 15 - 1."""
    done = subprocess.run([sys.executable, "-c", EXTREMES], env=os.environ | AS_OLD, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_processor_that_overflows_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflowing(whole: Tensor, packed: Tensor, scale: Tensor, zeros: Tensor) -> Tensor:
        return torch.tensor([[2.0**15 - 1, -(2.0**15)]] * 2)

    assert linear.multiplies_exactly()
    monkeypatch.setattr(linear, "multiply", overflowing)
    assert not linear.multiplies_exactly()


def test_two_products_of_the_largest_values_fit_in_16_bits() -> None:
    assert 2 * LEVELS * 127 < 2**15
