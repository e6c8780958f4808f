"""How well one score tells strangers from known samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.records.checks import as_known, freeze


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
