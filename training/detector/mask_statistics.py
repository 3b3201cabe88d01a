"""Signs that a mask has collapsed."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class MaskStatistics:
    """Signs of collapse, over a batch of masks: all near 0 or all near 1 makes independence
    trivial.

    density: mean of M, 0 to 1. entropy: mean binary entropy in bits, 0 to 1.
    variance: mean over channels of the variance across pictures. causal_share: share of channels
    with mean M > 0.5.
    """

    density: float
    entropy: float
    variance: float
    causal_share: float

    @classmethod
    def of(cls, mask: Tensor) -> "MaskStatistics":
        """Return the statistics of a mask (B, D)."""
        m = mask.detach().double().clamp(1e-7, 1 - 1e-7)
        entropy = -(m * m.log2() + (1 - m) * (1 - m).log2())
        return cls(
            float(m.mean()),
            float(entropy.mean()),
            float(m.var(0, unbiased=False).mean()),
            float((m.mean(0) > 0.5).double().mean()),
        )
