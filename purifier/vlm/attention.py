"""Attention for training on packed texts, written out.

PyTorch's fused attention is no faster forwards with a dense mask on a processor, and three times slower backwards in
bfloat16 at the head sizes here.
"""

from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface

PACKED = "packed"


def packed_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, *, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """query, key, value [N, heads, T, d], an additive mask [N, 1, T, T] -> [N, T, heads, d]. No dropout inside."""
    weights = ((query * scaling) @ key.transpose(-1, -2) + attention_mask).softmax(-1)
    return (weights @ value).transpose(1, 2), None


AttentionInterface.register(PACKED, packed_attention)
