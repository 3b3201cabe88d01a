"""Several texts packed behind one picture, so that training runs through its visual tokens once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

PACKED = "packed"  # the name of packed_attention, for set_attn_implementation


@dataclass(frozen=True, slots=True)
class Pack:
    """Several texts behind each picture, so that its visual tokens are computed once.

    ids, segments, positions, labels: [N, T]; segment 0 is padding, texts are numbered from 1;
    positions count from the last visual token; labels are the next token where it belongs to an
    answer, -100 elsewhere.
    """

    ids: Tensor
    segments: Tensor
    positions: Tensor
    labels: Tensor

    def mask(self, visual: int) -> Tensor:
        """bool [N, 1, V + T, V + T]: causal; a text sees the visual tokens and itself, not its
        neighbours."""
        N, T = self.ids.shape
        segments = torch.cat([self.segments.new_zeros(N, visual), self.segments], 1)
        same = segments[:, :, None] == segments[:, None, :]
        same[:, :, :visual] = True
        causal = torch.ones(visual + T, visual + T, dtype=torch.bool).tril()
        return (same & causal)[:, None]


def pack(
    texts: Sequence[Sequence[tuple[list[int], list[int]]]], *, pad: int, prompt_labels: bool = False
) -> Pack:
    """Pack (prompt ids, answer ids) of each picture one after the other."""
    rows = [_row(items, prompt_labels=prompt_labels) for items in texts]
    length = max(len(row[0]) for row in rows)
    fill = (pad, 0, 0, -100)
    columns = [
        torch.tensor([list(row[k]) + [fill[k]] * (length - len(row[k])) for row in rows])
        for k in range(len(fill))
    ]
    return Pack(*columns)


def _row(
    items: Sequence[tuple[list[int], list[int]]], *, prompt_labels: bool
) -> tuple[list[int], ...]:
    ids: list[int] = []
    segments: list[int] = []
    positions: list[int] = []
    labels: list[int] = []
    for number, (prompt, answer) in enumerate(items, start=1):
        whole = prompt + answer
        ids += whole[:-1]
        segments += [number] * (len(whole) - 1)
        positions += range(len(whole) - 1)
        labels += (prompt[1:] if prompt_labels else [-100] * (len(prompt) - 1)) + answer
    return ids, segments, positions, labels


def _packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    *,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend: query, key, value [N, heads, T, d], an additive mask [N, 1, T, T] -> [N, T, heads,
    d]. No dropout inside."""
    weights = ((query * scaling) @ key.transpose(-1, -2) + attention_mask).softmax(-1)
    return (weights @ value).transpose(1, 2), None


AttentionInterface.register(PACKED, _packed_attention)
