"""Scores of known samples and of strangers with every number that is reported of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vcviz.base.errors import InputError
from vcviz.metrics.ood.ranks import (
    aupr,
    aupr_interval,
    auroc,
    auroc_interval,
    fpr_at_tpr,
    fpr_interval,
    threshold_at_tpr,
)
from vcviz.metrics.ood.scores import available, score
from vcviz.records import LatentPrior, LatentSet, Separation


def separation(
    scores_in: ArrayLike,
    scores_out: ArrayLike,
    *,
    method: str = "score",
    tpr: float = 0.95,
    level: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
    name: str = "latents",
    against: str = "strangers",
) -> Separation:
    """Return AUROC, AUPR and FPR at a TPR of scores, with their intervals.

    Parameters
    ----------
    scores_in, scores_out : (N,) scores of known samples and (M,) of strangers, higher for stranger
    method : name of the score
    tpr : share of the known samples that is accepted
    level : mass of the intervals
    resamples, seed : of the bootstrap for FPR
    name, against : what was scored, and who the strangers are
    """
    return Separation(
        method=method,
        known=np.asarray(scores_in, np.float64),
        strange=np.asarray(scores_out, np.float64),
        auroc=auroc(scores_in, scores_out),
        auroc_interval=auroc_interval(scores_in, scores_out, level=level),
        aupr=aupr(scores_in, scores_out),
        aupr_interval=aupr_interval(scores_in, scores_out, level=level),
        fpr=fpr_at_tpr(scores_in, scores_out, tpr=tpr),
        fpr_interval=fpr_interval(
            scores_in, scores_out, tpr=tpr, level=level, resamples=resamples, seed=seed
        ),
        threshold=threshold_at_tpr(scores_in, tpr=tpr),
        tpr=tpr,
        level=level,
        name=name,
        against=against,
    )


def separations(
    known: LatentSet,
    strange: LatentSet,
    methods: Sequence[str] | None = None,
    *,
    prior: LatentPrior | None = None,
    train: LatentSet | None = None,
    neighbours: int = 10,
    normalise: bool = False,
    **options: Any,
) -> list[Separation]:
    """Return how well each score tells the latents of strangers from known ones.

    Parameters
    ----------
    known, strange : latents by one model; labels of strangers mean nothing
    methods : names of scores; default all that have what they need, see `available`
    prior, train, neighbours, normalise : as for `score`
    options : as for `separation`
    """
    if known.latent_dim != strange.latent_dim:
        raise InputError(
            f"known latents have {known.latent_dim} dimensions, those of strangers "
            f"{strange.latent_dim}; both must come from one model"
        )
    if methods is None:
        both = [set(available(lat, prior=prior, train=train)) for lat in (known, strange)]
        methods = [m for m in available(known, prior=prior, train=train) if m in both[1]]
    options = {"name": known.name, "against": strange.name} | options

    def scored(lat: LatentSet, method: Any) -> Any:
        return score(
            lat, method, prior=prior, train=train, neighbours=neighbours, normalise=normalise
        )

    return [separation(scored(known, m), scored(strange, m), method=m, **options) for m in methods]
