"""Training in bfloat16."""

from contextlib import AbstractContextManager

import torch


def mixed_precision(device: torch.device) -> AbstractContextManager[None]:
    """Have matrix products computed in bfloat16, what needs it in float32."""
    context: AbstractContextManager[None] = torch.autocast(device.type, dtype=torch.bfloat16)
    return context
