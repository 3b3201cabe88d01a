"""What is measured of one defended picture, and the summary of many."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from purifier.pixels import to_array
from purifier.vlm.training.data import normalise_caption
from purifier.vlm.training.metrics import cider, interval

MOST_DB = 60.0  # the PSNR of equal pictures, which is infinite


@dataclass(frozen=True, slots=True)
class Outcome:
    """One picture behind one defence.

    agrees: the answer is that of the clean, undefended picture. right: it is the true one. caption: where people have
    captioned the picture, too. shown, clean: what the model saw and the clean picture, [1, 3, H, W], dropped once they
    are measured.
    """

    agrees: bool
    right: bool
    caption: str | None
    shown: Tensor | None = None
    clean: Tensor | None = None
    psnr: float = 0.0
    ssim: float = 0.0

    def measured(self) -> "Outcome":
        """With PSNR and SSIM to the clean picture, all rounded, and without the pictures."""
        assert self.shown is not None
        assert self.clean is not None
        ours, theirs = to_array(self.shown), to_array(self.clean)
        same = bool((ours == theirs).all())
        psnr = MOST_DB if same else min(MOST_DB, float(peak_signal_noise_ratio(theirs, ours, data_range=255)))
        ssim = float(structural_similarity(theirs, ours, channel_axis=2, data_range=255))
        return replace(self, psnr=round(psnr, 2), ssim=round(ssim, 4), shown=None, clean=None)

    def plain(self) -> dict[str, Any]:
        """What was measured, for a file."""
        return {name: value for name, value in asdict(self).items() if name not in {"shown", "clean"}}


def summarise(outcomes: Sequence[Outcome], references: Sequence[tuple[str, ...]], *, seeds: int) -> dict[str, Any]:
    """Means with 95 % bootstrap intervals; CIDEr over the pictures that people have captioned, None without any.

    Args:
        references: people's captions of each picture, normalised; may be none.
    """
    said = [(o.caption, known) for o, known in zip(outcomes, references, strict=True) if o.caption is not None]
    scores = cider([normalise_caption(text) for text, _ in said], [known for _, known in said]) if said else []
    row: dict[str, Any] = {"n": len(outcomes), "seeds": seeds}
    for name, values in (
        ("agreement", [float(o.agrees) for o in outcomes]),
        ("accuracy", [float(o.right) for o in outcomes]),
    ):
        row[name] = round(fmean(values), 4)
        row[f"{name}_interval"] = [round(x, 4) for x in interval(values)]
    row["cider"] = round(fmean(scores), 4) if scores else None
    row["captions"] = len(said)
    row["psnr"] = round(fmean(o.psnr for o in outcomes), 2)
    row["ssim"] = round(fmean(o.ssim for o in outcomes), 4)
    return row
