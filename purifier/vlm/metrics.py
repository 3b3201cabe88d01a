"""Caption and answer metrics: CIDEr-D, BLEU-4, exact match with a bootstrap interval.

CIDEr-D: Vedantam et al., CVPR 2015, arXiv 1411.5726, with the reference implementation's choices (n up to 4, sigma 6,
factor 10, document frequencies from the references). BLEU-4: Papineni et al., ACL 2002, over the corpus, with the
closest reference's length. Both take captions as strings of words with single spaces.
"""

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence

N = 4
SIGMA = 6.0
Ngram = tuple[str, ...]


def ngrams(text: str, *, longest: int = N) -> Counter[Ngram]:
    """How often each run of 1 to `longest` words is in the text."""
    words = text.split()
    return Counter(tuple(words[i : i + n]) for n in range(1, longest + 1) for i in range(len(words) - n + 1))


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each candidate against its references, from 0 to 10.

    Raises:
        ValueError: the two do not match in number, or a candidate has no reference.
    """
    _check(candidates, references)
    counts = [[ngrams(r) for r in refs] for refs in references]
    frequency = Counter(gram for refs in counts for gram in set().union(*refs))
    total = math.log(max(2, len(references)))
    scores = []
    for text, refs in zip(candidates, counts, strict=True):
        own = _vectors(ngrams(text), frequency, total)
        scores.append(10 * sum(_similarity(own, _vectors(r, frequency, total)) for r in refs) / len(refs))
    return scores


def _vectors(
    counts: Mapping[Ngram, int], frequency: Mapping[Ngram, int], total: float
) -> tuple[list[dict[Ngram, float]], list[float], int]:
    """TF-IDF by length of n-gram, their norms, and the number of bigrams (the reference code's measure of length)."""
    vectors: list[dict[Ngram, float]] = [{} for _ in range(N)]
    for gram, count in counts.items():
        vectors[len(gram) - 1][gram] = count * (total - math.log(max(1, frequency.get(gram, 0))))
    norms = [math.sqrt(sum(x * x for x in vector.values())) for vector in vectors]
    return vectors, norms, sum(count for gram, count in counts.items() if len(gram) == 2)


def _similarity(
    own: tuple[list[dict[Ngram, float]], list[float], int], other: tuple[list[dict[Ngram, float]], list[float], int]
) -> float:
    penalty = math.exp(-((own[2] - other[2]) ** 2) / (2 * SIGMA**2))
    value = 0.0
    for n in range(N):
        dot = sum(min(x, other[0][n].get(g, 0.0)) * other[0][n].get(g, 0.0) for g, x in own[0][n].items())
        norm = own[1][n] * other[1][n]
        value += penalty * (dot / norm if norm else dot)
    return value / N


def bleu4(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU-4, from 0 to 1."""
    _check(candidates, references)
    hits, totals = [0] * N, [0] * N
    length = closest = 0
    for text, refs in zip(candidates, references, strict=True):
        own, size = ngrams(text), len(text.split())
        best: Counter[Ngram] = Counter()
        for ref in refs:
            best |= ngrams(ref)
        for gram, count in own.items():
            totals[len(gram) - 1] += count
            hits[len(gram) - 1] += min(count, best[gram])
        length += size
        closest += min((abs(len(r.split()) - size), len(r.split())) for r in refs)[1]
    if not all(hits):
        return 0.0
    brevity = min(1.0, math.exp(1 - closest / length))
    return brevity * math.exp(sum(math.log(h / t) for h, t in zip(hits, totals, strict=True)) / N)


def interval(values: Sequence[float], *, rounds: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean."""
    rng = random.Random(seed)
    means = sorted(sum(rng.choices(values, k=len(values))) / len(values) for _ in range(rounds))
    return means[int(0.025 * rounds)], means[int(0.975 * rounds) - 1]


def _check(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(candidates) != len(references) or not all(references):
        raise ValueError("Every caption needs at least one reference: give as many lists of references as captions.")
