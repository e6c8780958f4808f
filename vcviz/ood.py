"""Out-of-distribution scores and how well they separate: by ranks, so that no scale matters.

A score is higher for stranger inputs. `scores_in` are those of samples of the training law,
`scores_out` those of strangers; any real numbers and infinities will do, only their order counts.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, logsumexp
from scipy.stats import norm

from vcviz.errors import InputError, unknown
from vcviz.records import LatentPrior, LatentSet, as_array, as_float

Method = Literal["max_prob", "entropy", "energy", "log_marginal"]
METHODS: tuple[str, ...] = ("max_prob", "entropy", "energy", "log_marginal")

__all__ = [
    "METHODS",
    "aupr",
    "auroc",
    "auroc_interval",
    "fpr_at_tpr",
    "hanley_mcneil_interval",
    "score",
    "threshold_at_tpr",
]


def score(
    lat: LatentSet,
    method: Method = "max_prob",
    *,
    prior: LatentPrior | None = None,
    logits: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return (N,) scores in nats, higher for stranger inputs.

    Parameters
    ----------
    lat : the latents to judge
    method : ``"max_prob"``: -max_k log p(k|x); ``"entropy"``: of p(y|x); ``"energy"``:
        -logsumexp of the logits, from ``lat.energy``;
        ``"log_marginal"``: -log p(z) under `prior`
    prior : the anticipated law, for ``"log_marginal"``
    logits : (N, C) array before normalisation, for ``"energy"`` of latents that have none

    Raises
    ------
    InputError
        If the method is unknown or lacks what it needs.

    References
    ----------
    Hendrycks & Gimpel, ICLR 2017 (max_prob); Liu et al., Energy-based Out-of-distribution
    Detection, NeurIPS 2020 (energy).
    """
    if method not in METHODS:
        raise unknown("score", method, METHODS)
    log_probs = lat.log_probs.astype(np.float64)
    if method == "max_prob":
        return -log_probs.max(1)
    if method == "entropy":
        finite = np.where(np.isneginf(log_probs), 0.0, log_probs)
        return -(np.exp(log_probs) * finite).sum(1)
    if method == "energy":
        if logits is None and lat.energy is not None:
            return lat.energy.astype(np.float64)
        if logits is None:
            raise InputError(
                "the energy score needs latents with energy, or logits=(N, C) before normalisation"
            )
        logits = as_float("logits", logits, 2, np.float64)
        if len(logits) != len(lat):
            raise InputError(f"logits must have {len(lat)} rows to match, got {len(logits)}")
        return -logsumexp(logits, axis=1)
    if prior is None:
        raise InputError("the log_marginal score needs prior=, the law of the latents")
    return -prior.log_marginal(lat.z)


def auroc(scores_in: ArrayLike, scores_out: ArrayLike) -> float:
    """Return the chance that a stranger scores higher than a known sample, ties counted half.

    The Mann-Whitney statistic, computed from ranks: adding to or scaling all scores changes
    nothing. 0.5 is chance, 1 perfect.
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
    reach = _normal(level) * np.sqrt(variance) / (area * (1 - area))
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
    quantile, mean_size = _normal(level), (n_in + n_out) / 2 - 1

    def lower(estimate: float) -> float:
        def gap(t: float) -> float:
            spread = 1 + mean_size * ((1 - t) / (2 - t) + t / (1 + t))
            return estimate - t - quantile * np.sqrt(t * (1 - t) * spread / (n_in * n_out))

        top = estimate * (1 - 1e-9)
        return float(brentq(gap, 0, top)) if gap(top) < 0 else float(top)

    return lower(area), 1 - lower(1 - area)


def threshold_at_tpr(scores_in: ArrayLike, *, tpr: float = 0.95) -> float:
    """Return the smallest score t such that a share `tpr` of the known samples scores at most t."""
    if not 0 < tpr <= 1:
        raise InputError(f"tpr must lie in (0, 1], got {tpr}")
    scores = _scores("scores_in", scores_in)
    accepted = int(np.ceil(tpr * len(scores) - 1e-9))  # the margin undoes 0.55 * 100 > 55
    return float(np.partition(scores, accepted - 1)[accepted - 1])


def fpr_at_tpr(scores_in: ArrayLike, scores_out: ArrayLike, *, tpr: float = 0.95) -> float:
    """Return the share of strangers taken for known when a share `tpr` of the known is accepted.

    Known samples are the positives here (Liang et al., ODIN, ICLR 2018): "FPR95" at the default,
    with its threshold from `threshold_at_tpr`, which needs no strangers. Papers that
    count strangers as positives report another number under the same name.
    """
    threshold = threshold_at_tpr(scores_in, tpr=tpr)
    return float((_scores("scores_out", scores_out) <= threshold).mean())


def aupr(
    scores_in: ArrayLike, scores_out: ArrayLike, *, positive: Literal["out", "in"] = "out"
) -> float:
    """Return the area under precision over recall (average precision), strangers as positives.

    Unlike `auroc` it depends on the share of positives, which is its value at chance.
    """
    inside, outside = _scores("scores_in", scores_in), _scores("scores_out", scores_out)
    if positive not in ("out", "in"):
        raise unknown("side", positive, ("out", "in"))
    values, is_out = np.concatenate([inside, outside]), np.arange(len(inside) + len(outside))
    hit = (is_out >= len(inside)) if positive == "out" else (is_out < len(inside))
    order = np.argsort(-values if positive == "out" else values, kind="stable")
    values, hit = values[order], hit[order]
    last = np.append(np.flatnonzero(values[1:] != values[:-1]), len(values) - 1)  # of each tie
    found = hit.cumsum()[last]
    return float((np.diff(found, prepend=0) / hit.sum() * found / (last + 1)).sum())


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


def _normal(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    return float(norm.ppf((1 + level) / 2))
