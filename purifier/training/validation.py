"""How a purifier does on held-out pairs, while it is trained."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.training.pairs import load_pairs
from purifier.vlm.features import clip_features


@torch.no_grad()
def validate(purify: Callable[[Tensor], Tensor], files: Sequence[Path], *, tower: Tower) -> dict[str, float]:
    """Means over the pictures of held-out files.

    Args:
        purify: float [N, 3, H, W] in [0, 1] -> the same.

    Returns:
        psnr_attacked, psnr: of the attacked pictures to the clean ones, before and after, in dB; psnr_clean: of clean
        pictures that were purified; shift: what is left of the attack's shift of CLIP's embedding, as a share of its
        length; shift_clean: the same, of clean pictures.
    """
    rows: list[dict[str, Tensor]] = []
    for path in files:
        pairs = load_pairs(path)
        clean, moved = pairs.clean.float() / 255, pairs.moved[-1].float() / 255
        purified, kept = (purify(x) for x in (moved, clean))
        want = (pairs.moved_seen[1] - pairs.clean_seen[1]).norm(dim=1).mean()
        left, lost = (
            (clip_features(tower, x, layers=[1])[1] - pairs.clean_seen[1]).norm(dim=1) / want for x in (purified, kept)
        )
        values = {"psnr_attacked": psnr(moved, clean), "psnr": psnr(purified, clean), "psnr_clean": psnr(kept, clean)}
        rows.append(values | {"shift": left, "shift_clean": lost})
    return {name: torch.cat([row[name] for row in rows]).mean().item() for name in rows[0]}


def psnr(ours: Tensor, theirs: Tensor) -> Tensor:
    """Peak signal to noise ratio of each picture [N, 3, H, W] in [0, 1], [N] in dB; at most 60, for equal pictures."""
    error = (ours - theirs).square().flatten(1).mean(1)
    return -10 * error.clamp_min(1e-6).log10()
