"""How well scores separate strangers from known samples: by ranks, so that no scale matters.

`scores_in` are those of samples of the training law, `scores_out` those of strangers; any real
numbers and infinities will do, only their order counts.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import beta, t

from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_count, check_fraction, check_number
from vcviz.metrics.intervals import normal_quantile
from vcviz.records import as_array

Side = Literal["out", "in"]


def auroc(scores_in: ArrayLike, scores_out: ArrayLike) -> float:
    """Return the chance that an out-of-distribution score is higher than an in-distribution one.

    The Mann-Whitney statistic, ties counted half, computed from ranks: shifting or scaling all
    scores changes nothing. 0.5 is chance, 1 perfect.

    Parameters
    ----------
    scores_in : (N,) scores of in-distribution inputs
    scores_out : (M,) scores of out-of-distribution inputs

    Returns
    -------
    float
        The area under the ROC curve, a fraction.

    Raises
    ------
    InputError
        If either array is empty or holds NaN.

    References
    ----------
    Hanley & McNeil, The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC)
    Curve, Radiology 143, 1982.

    Examples
    --------
    >>> known, strange = [0.1, 0.2, 0.3], [0.25, 0.8]
    >>> print(f"{vcviz.auroc(known, strange):.2f}")  # 5 of the 6 pairs are in the right order
    0.83
    """
    inside, outside = _scores("scores_in", scores_in), _scores("scores_out", scores_out)
    return float(_share_below(np.sort(outside), np.sort(inside)).mean())


def auroc_interval(
    scores_in: ArrayLike, scores_out: ArrayLike, *, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of `auroc` that holds `level`.

    DeLong's variance on the logit scale, so that the ends stay within [0, 1]; where that variance
    is zero (perfect separation, a single score), `hanley_mcneil_interval`.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988.
    """
    inside, outside = _scores("scores_in", scores_in), _scores("scores_out", scores_out)
    inside.sort()
    outside.sort()
    shares = _share_below(outside, inside), _share_below(inside, outside)
    area = float(shares[0].mean())
    variance = sum(s.var(ddof=1) / len(s) if len(s) > 1 else np.nan for s in shares)
    if not variance > 0 or not 0 < area < 1:
        return hanley_mcneil_interval(area, len(inside), len(outside), level=level)
    reach = normal_quantile(level) * np.sqrt(variance) / (area * (1 - area))
    return float(expit(logit(area) - reach)), float(expit(logit(area) + reach))


def hanley_mcneil_interval(
    area: float, n_in: int, n_out: int, *, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of an AUROC from its value and the two sample sizes alone.

    The ends t solve |area - t| = z sqrt(V(t)) with Hanley & McNeil's variance V at t rather than
    at the estimate: it keeps a width at 0 and 1, as Wilson's does for a proportion.

    References
    ----------
    Newcombe, Statistics in Medicine 25, 2006, part 2, method 5.
    """
    quantile, mean_size = normal_quantile(level), (n_in + n_out) / 2 - 1

    def lower(estimate: float) -> float:
        def gap(t: float) -> float:
            spread = 1 + mean_size * ((1 - t) / (2 - t) + t / (1 + t))
            return estimate - t - quantile * np.sqrt(t * (1 - t) * spread / (n_in * n_out))

        top = estimate * (1 - 1e-9)
        return float(brentq(gap, 0, top)) if gap(top) < 0 else float(top)

    return lower(area), 1 - lower(1 - area)


def threshold_at_tpr(scores_in: ArrayLike, *, tpr: float = 0.95) -> float:
    """Return the smallest score t such that a share `tpr` of the known samples scores at most t."""
    scores = _scores("scores_in", scores_in)
    accepted = accepted_rows(len(scores), tpr)
    return float(np.partition(scores, accepted - 1)[accepted - 1])


def accepted_rows(n: int, tpr: float) -> int:
    """Return the least number of `n` rows that is a share `tpr` of them."""
    if not 0 < check_number("tpr", tpr) <= 1:
        raise InputError(f"tpr must lie in (0, 1], got {tpr}")
    return int(np.ceil(tpr * n - 1e-9))  # the margin undoes 0.55 * 100 > 55


def fpr_at_tpr(scores_in: ArrayLike, scores_out: ArrayLike, *, tpr: float = 0.95) -> float:
    """Return the share of strangers taken for known when a share `tpr` of the known is accepted.

    Known samples are the positives here (Liang et al., ODIN, ICLR 2018): "FPR95" at the default,
    with its threshold from `threshold_at_tpr`, which needs no strangers. Papers that
    count strangers as positives report another number under the same name.
    """
    threshold = threshold_at_tpr(scores_in, tpr=tpr)
    return float((_scores("scores_out", scores_out) <= threshold).mean())


def fpr_interval(
    scores_in: ArrayLike,
    scores_out: ArrayLike,
    *,
    tpr: float = 0.95,
    level: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of `fpr_at_tpr` that holds `level`.

    Both sides are drawn again, ties kept, and the threshold is found again in every draw of the
    known samples: its noise is part of the interval. At 0 and 1 the Jeffreys interval of a
    proportion of the strangers widens it.
    """
    known, strange = ranked(scores_in, scores_out)
    accepted = accepted_rows(int(known.sum()), tpr)
    check_fraction("level", level)
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))

    def rate(known: NDArray[np.int64], strange: NDArray[np.int64]) -> float:
        below = int(np.searchsorted(known.cumsum(), accepted)) + 1
        return float(strange[:below].sum() / strange.sum())

    def again(places: NDArray[np.int64]) -> NDArray[np.int64]:
        drawn = places[rng.integers(len(places), size=len(places))]
        return np.bincount(drawn, minlength=len(known))

    first, second = (np.repeat(np.arange(len(c)), c) for c in (known, strange))
    draws = [rate(again(first), again(second)) for _ in range(check_count("resamples", resamples))]
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(draws, tails)
    value, n = rate(known, strange), strange.sum()
    if value >= 1 - 1e-12:
        low = min(low, beta.ppf(tails[0], n + 0.5, 0.5))
    if value <= 1e-12:
        high = max(high, beta.ppf(tails[1], 0.5, n + 0.5))
    return float(low), float(high)


def aupr(scores_in: ArrayLike, scores_out: ArrayLike, *, positive: Side = "out") -> float:
    """Return the area under precision over recall (average precision), strangers as positives.

    Unlike `auroc` it depends on the share of positives, which is its value at chance.
    """
    known, strange = ranked(scores_in, scores_out)
    return average_precision(*sides(known, strange, positive))


def aupr_interval(
    scores_in: ArrayLike,
    scores_out: ArrayLike,
    *,
    positive: Side = "out",
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the interval of `aupr` that holds `level`, for this share of positives.

    From the variance of its influence function (what one more score on either side changes), on
    the logit scale, with Student's quantile for the smaller side. At perfect separation, where
    nothing varies, the Jeffreys interval of a proportion among the positives; with a single score
    on a side, everything.

    References
    ----------
    Boyd, Eng & Page, Area under the Precision-Recall Curve: Point Estimates and Confidence
    Intervals, ECML PKDD 2013 (the logit scale).
    """
    check_fraction("level", level)
    hits, others = sides(*ranked(scores_in, scores_out), positive)
    value, n, m = average_precision(hits, others), hits.sum(), others.sum()
    if value >= 1 - 1e-12:
        return float(beta.ppf((1 - level) / 2, n + 0.5, 0.5)), 1.0
    if min(n, m) == 1:
        return 0.0, 1.0
    variance = sum(
        (count * of**2).sum() / (size * (size - 1))
        for count, of, size in zip((hits, others), _influence(hits, others), (n, m), strict=True)
    )
    if not variance > 0:
        return value, value
    reach = t.ppf((1 + level) / 2, min(n, m) - 1) * np.sqrt(variance) / (value * (1 - value))
    return float(expit(logit(value) - reach)), float(expit(logit(value) + reach))


def roc_curve(
    scores_in: ArrayLike, scores_out: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return shares (P,) of strangers and of known samples that score at most t, for rising t.

    From (0, 0) to (1, 1); the area under the second over the first is `auroc`.
    """
    shares = [np.append(0, c.cumsum() / c.sum()) for c in ranked(scores_in, scores_out)]
    return shares[1], shares[0]


def ranked(
    scores_in: ArrayLike, scores_out: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many known samples and how many strangers have each distinct score, rising."""
    inside, outside = _scores("scores_in", scores_in), _scores("scores_out", scores_out)
    values, place = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    known, strange = place[: len(inside)], place[len(inside) :]
    return np.bincount(known, minlength=len(values)), np.bincount(strange, minlength=len(values))


def sides(
    known: NDArray[np.int64], strange: NDArray[np.int64], positive: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return counts of positives and of negatives by score, the most positive score first."""
    if positive not in ("out", "in"):
        raise unknown("side", positive, ("out", "in"))
    return (strange[::-1], known[::-1]) if positive == "out" else (known, strange)


def average_precision(hits: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    """Return sum_k (recall_k - recall_k-1) precision_k of counts by score, the best first."""
    found = hits.cumsum()
    called = np.maximum(found + others.cumsum(), 1)
    return float((hits * (found / called)).sum() / found[-1])


def _influence(
    hits: NDArray[np.int64], others: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a positive, and what a negative, at each score does to `average_precision`.

    Its derivative when the law of one side is mixed with a point there, the share of positives
    kept as it is. A score counts at its own threshold and at all that follow.
    """
    n, m = hits.sum(), others.sum()
    found, wrong = hits.cumsum(), others.cumsum()
    called = np.maximum(found + wrong, 1)
    precision = found / called
    by_hit = hits * wrong / called**2  # n times d precision / d found, weighted by hits / n
    by_other = -m / n * hits * found / called**2
    positive = precision - (hits * precision).sum() / n + _following(by_hit)
    negative = _following(by_other) - (by_other * wrong).sum() / m
    return positive - (by_hit * found).sum() / n, negative


def _following(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of each value and of all after it."""
    return values[::-1].cumsum()[::-1]


def _share_below(scores: NDArray, others: NDArray) -> NDArray[np.float64]:
    """Return for each of the sorted `scores` the share of sorted `others` below, ties half."""
    below = np.searchsorted(others, scores, "left")
    not_above = np.searchsorted(others, scores, "right")
    return (below + not_above) / (2 * len(others))


def _scores(name: str, value: ArrayLike) -> NDArray[np.float64]:
    scores = as_array(name, value, 1)
    if scores.dtype.kind not in "fiu" or len(scores) == 0:
        raise InputError(f"{name} must hold at least one number, got {scores.dtype} {scores.shape}")
    scores = scores.astype(np.float64)
    if np.isnan(scores).any():
        raise InputError(f"{name} has {int(np.isnan(scores).sum())} NaN values; remove them first")
    return scores
