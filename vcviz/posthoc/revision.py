"""Every post-hoc method by name, and how well each predicts rows that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.calibration import reliability_curve
from vcviz.errors import InputError
from vcviz.information import expected_losses
from vcviz.intervals import mean_of_losses, normal_quantile, wilson
from vcviz.options import check_choice
from vcviz.posthoc.laws import reclassify, refit_prior
from vcviz.posthoc.recalibration import METHODS, cross_recalibrate, recalibrate
from vcviz.records import LatentSet

#: name -> options of `refit_prior`
LAWS: dict[str, dict[str, Any]] = {
    "gaussian_shared": {"covariance": "shared"},
    "gaussian_full": {"covariance": "full"},
    "gaussian_diagonal": {"covariance": "diagonal"},
    "gaussian_isotropic": {"covariance": "isotropic"},
    "mixture": {"covariance": "full", "components": 2},
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
    nll_change : the same less that of the classifier as trained, row by row: below 0 is better
    ece : expected calibration error, fraction, 15 equal-width bins; bootstrap interval of what it
        is on average for so many rows, see `reliability_curve`
    n : rows
    name : of the run or the latents
    label_note : for which label frequencies the probabilities are, "" if for those of the rows
    fitted_to : the rows that the method was fitted to, "train", "validation" or "other test" (the
        other folds); "" as trained, or where it is not known
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
    own, old = (-v.log_probs[np.arange(len(v)), v.y].astype(np.float64) for v in (after, before))
    nll, nll_interval = _mean_loss(after.log_probs, own, level)
    with np.errstate(invalid="ignore"):  # two labels of probability 0 are as bad as each other
        change, change_interval = _mean(np.where(own == old, 0.0, own - old), level)
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


def _mean_loss(
    log_probs: NDArray[np.floating], losses: NDArray[np.float64], level: float
) -> tuple[float, tuple[float, float]]:
    mean = float(losses.mean())
    if not np.isfinite(mean) or len(losses) == 1:
        return mean, (-np.inf, np.inf)
    first, second = (moment.sum() for moment in expected_losses(log_probs))
    losses = np.maximum(losses, 0)  # rounding can leave a probability a little above 1
    return mean, mean_of_losses(losses, heaviest=second / max(first, 1e-300), level=level)


def _mean(values: NDArray[np.float64], level: float) -> tuple[float, tuple[float, float]]:
    mean, quantile = float(values.mean()), normal_quantile(level)
    if not np.isfinite(mean):
        return mean, (-np.inf, np.inf)
    reach = float(quantile * values.std() / np.sqrt(len(values)))
    return mean, (mean - reach, mean + reach)
