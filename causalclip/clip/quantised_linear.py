"""A linear layer in int8 for processors that have AVX2 and no more."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LEVELS = 127  # of what QuantisedLinear multiplies matrices with


class QuantisedLinear(nn.Module):
    """x W^T + b in int8 for AVX2 without VNNI, float32 [..., I] -> [..., O]: each token has a scale
    and a zero.

    AVX2 multiplies 32 pairs of an unsigned and a signed byte at once, but adds each two products in
    16 bits (vpmaddubsw). With 8 bits on both sides such a sum overflows, silently. So what goes
    into a layer has 7 bits here: 127 * 127 * 2 is less than 2 ** 15. A few channels that are much
    larger than the rest would leave the others too few
    of these 128 levels: they are multiplied in float32 (Dettmers et al., LLM.int8(), arXiv
    2208.07339).

    Args:
        matrix: int8 [O, I]; its values are in [-127, 127].
        scale: float32 [O, 1], of an output channel: W = matrix * scale.
        bias: float32 [O].
        outliers: the channels of I that are multiplied in float32; at least one.
    """

    def __init__(
        self, matrix: Tensor, scale: Tensor, bias: Tensor, *, outliers: Sequence[int]
    ) -> None:
        super().__init__()
        self.outliers = torch.tensor(outliers, dtype=torch.long)
        narrow = matrix.index_fill(1, self.outliers, 0)
        self.scale = scale[:, 0].contiguous()
        # what a token's zero is multiplied with
        total = narrow.sum(1, dtype=torch.float32) * self.scale
        apart = matrix[:, self.outliers].float() * scale
        self.exact = torch.cat([apart, total[:, None]], 1).T.contiguous()  # (outliers + 1, O)
        self.packed = torch.ops.onednn.qlinear_prepack(narrow, None)
        self.zeros = torch.zeros(len(bias), dtype=torch.int32)
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(0, -2)
        rest = tokens.index_fill(1, self.outliers, 0)
        # around 0, which the outliers have become
        low, high = rest.amin(1, keepdim=True), rest.amax(1, keepdim=True)
        step = (high - low).clamp_min_(1e-12).div_(LEVELS)
        zero = (low / step).round_()
        whole = rest.div_(step).sub_(zero).round_().clamp_(0, LEVELS).to(torch.uint8)
        product = torch.addmm(
            self.bias, torch.cat([tokens[:, self.outliers], step * zero], 1), self.exact
        )
        return product.addcmul_(multiply(whole, self.packed, self.scale, self.zeros), step).view(
            *x.shape[:-1], -1
        )


def multiply(whole: Tensor, packed: Tensor, scale: Tensor, zeros: Tensor) -> Tensor:
    """Return the product of uint8 [T, I] and packed int8 [O, I], transposed, times each output
    channel's scale: float32 [T, O]."""
    products: Tensor = torch.ops.onednn.qlinear_pointwise(
        whole, 1.0, 0, packed, scale, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return products


def multiplies_exactly() -> bool:
    """Return whether this PyTorch and this processor have the product, without overflow at the
    largest values there can be."""
    if not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.onednn, "qlinear_pointwise")
    ):
        return False
    size = 256
    whole = torch.full((2, size), LEVELS, dtype=torch.uint8)
    matrix = torch.full((2, size), LEVELS, dtype=torch.int8)
    matrix[1] = -LEVELS
    try:
        packed = torch.ops.onednn.qlinear_prepack(matrix, None)
        product = multiply(whole, packed, torch.ones(2), torch.zeros(2, dtype=torch.int32))
    except RuntimeError:  # built without oneDNN's int8, or for another processor
        return False
    most = float(size * LEVELS * LEVELS)
    return product.tolist() == [[most, -most]] * 2
