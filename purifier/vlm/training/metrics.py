"""Caption metrics by the COCO caption challenge's own code (pycocoevalcap), and a bootstrap interval of a mean.

CIDEr-D: Vedantam et al., CVPR 2015, arXiv 1411.5726. BLEU-4: Papineni et al., ACL 2002, over the corpus. Both take
captions as strings of words with single spaces.
"""

import random
from collections.abc import Sequence

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider

Keyed = dict[int, list[str]]


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each candidate against its references, from 0 to 10.

    Raises:
        ValueError: the two do not match in number, or a candidate has no reference.
    """
    _, scores = Cider().compute_score(*_keyed(candidates, references))
    return [float(score) for score in scores]


def bleu4(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU-4, from 0 to 1; raises as `cider` does."""
    scores, _ = Bleu(4).compute_score(*_keyed(candidates, references), verbose=0)
    return float(scores[3])


def interval(values: Sequence[float], *, rounds: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean."""
    rng = random.Random(seed)
    means = sorted(sum(rng.choices(values, k=len(values))) / len(values) for _ in range(rounds))
    return means[int(0.025 * rounds)], means[int(0.975 * rounds) - 1]


def _keyed(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[Keyed, Keyed]:
    """(references, candidates) by number, as the library takes them."""
    if len(candidates) != len(references) or not all(references):
        raise ValueError("Every caption needs at least one reference: give as many lists of references as captions.")
    return {i: list(refs) for i, refs in enumerate(references)}, {i: [text] for i, text in enumerate(candidates)}
