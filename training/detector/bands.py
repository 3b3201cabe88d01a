"""How a detector's calibration is fitted, and its bands are chosen with a bound on new owners."""

import numpy as np
from scipy.optimize import minimize

MIN_OWNERS = 5  # owners: the mean over fewer says nothing of others
CONFIDENCE = 0.9  # with which the bands keep their budgets on new owners


def upper_bound(events: float, draws: int, *, confidence: float) -> float:
    """Return Clopper and Pearson's one-sided upper bound of a rate (Biometrika 26, 1934).

    Args:
        events: may be a sum of shares, which SciPy's own test does not take.
        draws: 1 or more.
        confidence: that the rate is below the bound, in [0, 1].
    """
    from scipy.stats import beta

    return 1.0 if events >= draws else float(beta.ppf(confidence, events + 1, draws - events))


def fit_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    ridge: float = 1e-3,
    given: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Fit a logistic regression by L-BFGS.

    Args:
        features: [N, K].
        labels: [N], 1 generated, 0 real.
        weight: [N], of the pictures; None for equal ones.
        ridge: penalty on the coefficients without the offset.
        given: log-odds [N] that are known already, and to which the fitted ones are added.

    Returns:
        Coefficients [K + 1], the last one the offset.
    """
    X = np.column_stack([features, np.ones(len(features))])
    w = np.ones(len(labels)) if weight is None else weight / weight.mean()
    sign = np.where(labels == 1, 1.0, -1.0)

    def objective(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (X @ coefficients + given)
        loss = float(
            np.mean(w * np.logaddexp(0, -margin))
            + ridge * np.dot(coefficients[:-1], coefficients[:-1])
        )
        pull = -(w * sign / (1 + np.exp(np.clip(margin, -500, 500))))
        return loss, X.T @ pull / len(X) + 2 * ridge * np.append(coefficients[:-1], 0)

    start = np.zeros(X.shape[1])
    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B").x)


def choose_bands(
    labels: np.ndarray,
    probabilities: np.ndarray,
    owners: np.ndarray,
    *,
    sets: np.ndarray | None = None,
    false_alarms: float = 0.05,
    misses: float = 0.10,
) -> tuple[float, float, dict[str, float]]:
    """Choose the bands' thresholds on owners that the heads have not seen.

    An owner is one draw, however many pictures he has: his share counts, and the mean over owners
    is bounded from above by Clopper and Pearson's exact binomial bound (Biometrika 26, 1934) at
    CONFIDENCE. In each of the sets, which differ in how hard their pictures are, the mean itself
    keeps the budget, too, if it has at least MIN_OWNERS.

    Args:
        labels: [N], 1 generated, 0 real.
        probabilities: [N], calibrated.
        owners: [N], whose picture it is.
        sets: [N], which set it is of; None for a single one.
        false_alarms: share of real pictures at or above `high`, at most.
        misses: share of generated pictures at or below `low`, at most.

    Returns:
        low, high, and what both keep, by name.
    """
    real, generated = labels == 0, labels == 1
    names = np.zeros(len(labels), dtype=int) if sets is None else sets

    # 1. Each threshold: the strictest of what all pictures need, and each set
    def within(scores: np.ndarray, inside: np.ndarray, budget: float) -> float:
        thresholds = [threshold_within(scores[inside], owners[inside], budget=budget)]
        for name in np.unique(names[inside]):
            rows = inside & (names == name)
            if len(np.unique(owners[rows])) < MIN_OWNERS < len(np.unique(owners[inside])):
                continue
            thresholds.append(
                threshold_within(scores[rows], owners[rows], budget=budget, confidence=None)
            )
        return max(thresholds)

    upper = within(probabilities, real, false_alarms)
    lower = -within(-probabilities, generated, misses)
    low, high = min(lower, upper), max(lower, upper)

    # 2. What they keep
    bounds = {"confidence": CONFIDENCE}
    for name, inside, outside in (
        ("accused", real, probabilities >= high),
        ("missed", generated, probabilities <= low),
    ):
        shares = owner_shares(outside[inside], owners[inside])
        bounds |= {f"{name}_owners": len(shares), f"{name}_share": float(shares.mean())}
        bounds[f"{name}_bound"] = upper_bound(
            float(shares.sum()), len(shares), confidence=CONFIDENCE
        )
    return low, high, bounds


def owner_shares(outside: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Return the share of each owner's pictures that `outside` [N] holds for, one value an
    owner."""
    _, owner = np.unique(owners, return_inverse=True)
    return np.asarray(np.bincount(owner, weights=outside) / np.bincount(owner))


def threshold_within(
    scores: np.ndarray, owners: np.ndarray, *, budget: float, confidence: float | None = CONFIDENCE
) -> float:
    """Return the lowest threshold at which the mean share of pictures at or above it keeps the
    budget.

    With a confidence, it is the bound on that mean that keeps it. With too few owners for any
    bound, the threshold is just beyond the highest score.
    """
    beyond = float(np.nextafter(scores.max(), np.inf))
    candidates = np.unique(scores)
    first, last = 0, len(candidates)  # the bound falls as the threshold rises
    while first < last:
        middle = (first + last) // 2
        shares = owner_shares(scores >= candidates[middle], owners)
        bound = float(shares.mean())
        if confidence:
            bound = upper_bound(bound * len(shares), len(shares), confidence=confidence)
        if bound <= budget:
            last = middle
        else:
            first = middle + 1
    return beyond if first == len(candidates) else float(candidates[first])
