"""What is measured: reliability, fit, and how a score tells strangers from known samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.records.checks import as_float, as_known, freeze


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Accuracy against confidence in bins, with every number a figure needs.

    All arrays have length K (bins) except `edges` (K+1). Empty bins have count 0 and NaN
    elsewhere. `ece` and friends are fractions, not percentages. Intervals hold 95 % unless
    `level` says otherwise.

    Attributes
    ----------
    edges : bin k covers (edges[k], edges[k+1]], the first also its left edge
    count, confidence, accuracy : per bin
    band_low, band_high : Wilson interval of each bin's accuracy
    consistency_low, consistency_high : where the accuracy of a perfectly calibrated model of
        this size would fall (Broecker & Smith 2007)
    ece, ece_interval : the plug-in estimate, and the bootstrap interval of what it is on average
        for samples of this size, which is more than the population's error
    ece_if_calibrated, ece_if_calibrated_interval : mean and interval of the ECE of a perfectly
        calibrated model with these confidences (the finite-sample floor)
    ece_debiased, ece_debiased_interval : median-unbiased estimate of the population's error in
        these bins, and the interval that holds it
    n, binning, level, name : sample count; "width" or "mass"; interval mass; title
    label : None for the top label; k if confidence is p(y = k|x) and accuracy the share of class k
    label_note : for which label frequencies the probabilities are, "" if for those of the rows

    Examples
    --------
    >>> p = np.array([[0.9, 0.1]] * 10)
    >>> curve = vcviz.reliability_curve(np.log(p), y=[0] * 7 + [1] * 3, n_bins=5)
    >>> curve.count
    array([ 0,  0,  0,  0, 10])
    >>> curve.accuracy[-1:], curve.confidence[-1:], round(curve.ece, 3)
    (array([0.7]), array([0.9]), 0.2)
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    band_low: NDArray[np.float64]
    band_high: NDArray[np.float64]
    consistency_low: NDArray[np.float64]
    consistency_high: NDArray[np.float64]
    ece: float
    ece_interval: tuple[float, float]
    ece_if_calibrated: float
    ece_if_calibrated_interval: tuple[float, float]
    n: int
    binning: Literal["width", "mass"] = "width"
    level: float = 0.95
    name: str = "reliability"
    label: int | None = None
    label_note: str = ""
    ece_debiased: float = float("nan")
    ece_debiased_interval: tuple[float, float] = (float("nan"), float("nan"))

    def __post_init__(self) -> None:
        edges = as_float("edges", self.edges, 1, np.float64)
        if len(edges) < 2:
            raise InputError(f"edges must hold at least 2 values, got {len(edges)}")
        per_bin = {
            name: as_known(name, getattr(self, name), (len(edges) - 1,))
            for name in (
                "count",
                "confidence",
                "accuracy",
                "band_low",
                "band_high",
                "consistency_low",
                "consistency_high",
            )
        }
        freeze(self, edges=edges, **per_bin)

    @property
    def n_bins(self) -> int:
        """K, the number of bins."""
        return len(self.count)


@dataclass(frozen=True, eq=False)
class LatentFit:
    """How well the anticipated law p(z|y) describes the latents, class by class.

    All arrays have length C; a class with too few samples has NaN.

    Attributes
    ----------
    class_names : C strings
    count : samples per class
    kl, kl_interval : moment KL in nats, KL(N(mean, cov of the latents) || p(z|y)), closed form,
        with its interval (C, 2); infinite where a class does not vary in a dimension in which
        others do
    kl_varying : the same in the dimensions in which each class varies, where none is infinite
    kl_bias : what `kl` is on average for so few latents that follow the law, nats
    energy, energy_interval, energy_p : energy distance of the whitened residuals from a standard
        normal (0 = equal laws), bootstrap interval (C, 2), Monte-Carlo p-value
    auc, auc_interval : held-out AUC of a classifier that tells latents from draws of p(z|y)
        (0.5 = indistinguishable), interval (C, 2)
    whitened_variance : mean variance of the whitened residuals (1 = as anticipated)
    left_out : dimensions in which no class varies; all numbers are of the others
    constant : of these, (C,) dimensions in which the class itself does not vary
    name, level

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> fit = vcviz.latent_fit(run.latents(), run.prior(), resamples=0)
    >>> fit.kl.shape, fit.count
    ((5,), array([209, 197, 201, 189, 204]))
    >>> bool((fit.kl > 0).all()), fit.mean("auc") > 0.5
    (True, True)
    """

    class_names: tuple[str, ...]
    count: NDArray[np.int64]
    kl: NDArray[np.float64]
    kl_interval: NDArray[np.float64]
    energy: NDArray[np.float64]
    energy_interval: NDArray[np.float64]
    energy_p: NDArray[np.float64]
    auc: NDArray[np.float64]
    auc_interval: NDArray[np.float64]
    whitened_variance: NDArray[np.float64]
    name: str = "fit"
    level: float = 0.95
    kl_bias: NDArray[np.float64] = None  # type: ignore[assignment]
    kl_varying: NDArray[np.float64] = None  # type: ignore[assignment]
    left_out: int = 0
    constant: NDArray[np.int64] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        c = len(self.class_names)
        arrays = {}
        for name in ("count", "kl", "energy", "energy_p", "auc", "whitened_variance"):
            arrays[name] = as_known(name, getattr(self, name), (c,))
        for name in ("kl_interval", "energy_interval", "auc_interval"):
            arrays[name] = as_known(name, getattr(self, name), (c, 2))
        optional = {
            "kl_bias": np.full(c, np.nan),
            "kl_varying": arrays["kl"],
            "constant": np.zeros(c, np.int64),
        }
        for name, absent in optional.items():
            value = getattr(self, name)
            arrays[name] = as_known(name, absent if value is None else value, (c,))
        freeze(self, **arrays)

    def mean(self, statistic: str) -> float:
        """Return the mean of a per-class statistic over the classes where it is finite.

        Infinite if it is so in all classes that have one, NaN if none has.
        """
        values = np.asarray(getattr(self, statistic), dtype=float)
        if (finite := np.isfinite(values)).any():
            return float(values[finite].mean())
        return float("inf") if np.isinf(values).any() else float("nan")


@dataclass(frozen=True, eq=False)
class Separation:
    """One score of in- and out-of-distribution inputs; higher is further out of distribution.

    Attributes
    ----------
    method : name of the score
    known, strange : (N,) in-distribution and (M,) out-of-distribution scores
    auroc, aupr, fpr : area under the ROC curve; average precision with out-of-distribution inputs
        as positives; share of these accepted at the threshold. Fractions.
    auroc_interval, aupr_interval, fpr_interval : (low, high) at `level`
    threshold : the score up to which a share `tpr` of the in-distribution inputs is accepted
    tpr, level : shares; "FPR95" is `fpr` at a `tpr` of 0.95
    name, against : what was scored: title of the in- and of the out-of-distribution inputs

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> inside, outside = rng.normal(0, 1, 500), rng.normal(2, 1, 500)
    >>> found = vcviz.metrics.ood.separation(inside, outside, method="distance")
    >>> print(f"AUROC {found.auroc:.2f}, accepted at 95 % TPR: {found.fpr:.2f}")
    AUROC 0.92, accepted at 95 % TPR: 0.35
    """

    method: str
    known: NDArray[np.float64]
    strange: NDArray[np.float64]
    auroc: float
    auroc_interval: tuple[float, float]
    aupr: float
    aupr_interval: tuple[float, float]
    fpr: float
    fpr_interval: tuple[float, float]
    threshold: float
    tpr: float = 0.95
    level: float = 0.95
    name: str = "latents"
    against: str = "strangers"

    @property
    def worse_than_chance(self) -> bool:
        """Whether strangers score lower than known samples: the interval of the AUROC says so."""
        return self.auroc_interval[1] < 0.5

    def __post_init__(self) -> None:
        for name in ("known", "strange"):
            scores = as_known(name, getattr(self, name), (-1,)).astype(np.float64)
            if not len(scores) or np.isnan(scores).any():
                raise InputError(f"{name} must hold at least one score, none of them NaN")
            freeze(self, **{name: scores})
