"""Every post-hoc method by name, and how well each predicts rows that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice
from vcviz.metrics.calibration import reliability_curve
from vcviz.metrics.intervals import correlation, difference_interval, mean_of_losses, wilson
from vcviz.metrics.posthoc.recalibration import METHODS, cross_recalibrate, recalibrate
from vcviz.metrics.posthoc.refit import reclassify, refit_prior
from vcviz.records import LatentSet

_BLOCK = 8192

#: name -> options of `refit_prior`
LAWS: dict[str, dict[str, Any]] = {
    "gaussian_shared": {"covariance": "shared"},
    "gaussian_full": {"covariance": "full"},
    "gaussian_diagonal": {"covariance": "diagonal"},
    "gaussian_isotropic": {"covariance": "isotropic"},
    "mixture": {"covariance": "full", "n_components": 2},
}
#: name -> what it is, for menus and titles
REVISIONS: dict[str, str] = {
    "none": "as trained",
    "temperature": "temperature scaling",
    "vector": "vector scaling",
    "dirichlet": "Dirichlet scaling",
    "gaussian_shared": "Gaussians, shared covariance",
    "gaussian_full": "Gaussians, own covariances",
    "gaussian_diagonal": "Gaussians, diagonal",
    "gaussian_isotropic": "Gaussians, isotropic",
    "mixture": "two Gaussians a class",
}


@dataclass(frozen=True, eq=False)
class PosthocScores:
    """How well a post-hoc method predicts, each number with its (low, high) interval at `level`.

    Attributes
    ----------
    method : a name of `REVISIONS`
    accuracy : fraction; Wilson's interval
    nll : mean -log p(y|x), nats; gamma interval, as in `mutual_information`. Infinite, with an
        interval that is everything, if a label was given probability 0
    nll_change : the same less that of the classifier as trained, row by row: below 0 is better;
        the difference of two such means, of the rows that lost and of those that gained
    ece : expected calibration error, fraction, 15 equal-width bins; bootstrap interval of what it
        is on average for so many rows, see `reliability_curve`
    n : rows
    name : of the run or the latents
    label_note : for which label frequencies the probabilities are, "" if for those of the rows
    fitted_to : the rows that the method was fitted to, "train", "validation" or "other test" (the
        other folds); "" as trained, or where it is not known

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> scores = vcviz.studies.revise_runs(run, ["temperature"], resamples=20, progress=False)
    >>> scores[0].method, scores[0].fitted_to
    ('temperature', 'other test')
    >>> scores[0].nll_change < 0, round(scores[0].accuracy - run.metrics["accuracy"], 2)
    (True, 0.0)
    """

    method: str
    accuracy: float
    accuracy_interval: tuple[float, float]
    nll: float
    nll_interval: tuple[float, float]
    nll_change: float
    nll_change_interval: tuple[float, float]
    ece: float
    ece_interval: tuple[float, float]
    n: int
    name: str = "latents"
    level: float = 0.95
    label_note: str = ""
    fitted_to: str = ""


def revised(
    lat: LatentSet,
    method: str,
    *,
    validation: LatentSet | None = None,
    train: LatentSet | None = None,
) -> LatentSet:
    """Return latents with the predictions of a post-hoc method.

    Parameters
    ----------
    lat : the rows to predict, usually of the test split
    method : a name of `REVISIONS`: ``"none"``; a method of `recalibrate`, fitted to `validation`;
        or a law fitted to `train` by `refit_prior`
    validation : rows held out from training; without them the maps are fitted to the other folds
        of `lat` itself, see `cross_recalibrate`
    train : the rows that a law is fitted to: those of training, or `validation` for a law of what
        comes after it

    Raises
    ------
    InputError
        If the method is unknown or a law has no training rows.
    """
    check_choice("post-hoc method", method, REVISIONS)
    if method == "none":
        return lat
    if method not in METHODS:
        if train is None:
            raise InputError(f"{method} needs train=, latents of training rows")
        return reclassify(lat, refit_prior(train, **LAWS[method]))
    kind: Any = method
    if validation is not None:
        return recalibrate(validation.log_probs, validation.y, kind).apply(lat)
    log_probs: Any = cross_recalibrate(lat.log_probs, lat.y, kind)
    # Maps with a bias have learnt the frequencies of the folds, which are those of all rows.
    own = np.bincount(lat.y, minlength=lat.n_classes) / len(lat)
    prior = lat.label_prior if method == "temperature" else own
    name = f"{lat.name}, {method} across folds"
    return replace(lat, log_probs=log_probs, label_prior=prior, name=name)


def fitted_to(method: str, laws: str, *, held_out: bool) -> str:
    """Return which rows `revised` fits a method to; "other test" are the other folds.

    Parameters
    ----------
    method : a name of `REVISIONS`
    laws : "train" or "validation", the rows of a law
    held_out : whether there are validation rows for a map
    """
    if method == "none":
        return ""
    return laws if method in LAWS else "validation" if held_out else "other test"


def posthoc_scores(
    before: LatentSet,
    after: LatentSet,
    method: str,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    name: str | None = None,
    fitted_to: str = "",
) -> PosthocScores:
    """Return accuracy, NLL and ECE of revised latents, and what the revision changed.

    Parameters
    ----------
    before, after : the same rows as the classifier predicts them, and as `revised`
    method : a name of `REVISIONS`
    level : mass of the intervals
    resamples, seed : of the bootstrap of the ECE
    name : default that of `before`
    fitted_to : the rows that the method was fitted to, in a word
    """
    curve = reliability_curve(after, resamples=resamples, level=level, seed=seed)
    nll, nll_interval = _mean_change(None, after, level)
    change, change_interval = _mean_change(before, after, level)
    low, high = wilson(after.accuracy, len(after), level)
    return PosthocScores(
        method=method,
        accuracy=after.accuracy,
        accuracy_interval=(float(low), float(high)),
        nll=nll,
        nll_interval=nll_interval,
        nll_change=change,
        nll_change_interval=change_interval,
        ece=curve.ece,
        ece_interval=curve.ece_interval,
        n=len(after),
        name=before.name if name is None else name,
        level=level,
        label_note=curve.label_note,
        fitted_to=fitted_to,
    )


def _mean_change(
    before: LatentSet | None, after: LatentSet, level: float
) -> tuple[float, tuple[float, float]]:
    """Return the mean loss after a revision, less that before if there is one, with its interval.

    Gains and losses are few and large or many and small: each has a gamma interval (see
    `mean_of_losses`) that allows for one of the size that the probabilities `after` expect.
    """
    rows = np.arange(len(after))
    change, sums = np.empty(len(after)), np.zeros((2, 2))
    for start in range(0, len(after), _BLOCK):
        part = slice(start, start + _BLOCK)
        new = after.log_probs[part].astype(np.float64)
        old = np.zeros(()) if before is None else before.log_probs[part].astype(np.float64)
        with np.errstate(invalid="ignore"):  # two labels of probability 0 are as bad as each other
            each = np.where(new == old, 0.0, old - new)
        change[part] = each[rows[: len(each)], after.y[part]]
        each[~np.isfinite(each)] = 0
        sides = np.maximum([each, -each], 0)
        weighted = np.exp(new) * sides
        sums += np.stack([weighted.sum((1, 2)), (weighted * sides).sum((1, 2))])
    mean = float(change.mean())
    if not np.isfinite(mean) or len(change) == 1:
        return mean, (-np.inf, np.inf)
    worse, better = np.maximum(change, 0), np.maximum(-change, 0)
    heaviest = sums[1] / np.maximum(sums[0], 1e-300)
    low, high = mean_of_losses(worse, heaviest=heaviest[0], level=level)
    least, most = mean_of_losses(better, heaviest=heaviest[1], level=level)
    return mean, difference_interval(
        (low, float(worse.mean()), high),
        (least, float(better.mean()), most),
        correlation(worse, better),
    )
