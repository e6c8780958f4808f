"""Laws of the latents: what a softmax layer implies and what the data show, and their outlines."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.special import log_softmax

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_flag, check_number
from vcviz.geometry.moments import class_moments, invertible
from vcviz.records import LatentPrior, LatentSet, as_float

#: log p of what never happens
_NEVER = -100.0
#: rows on which weights are held against what a classifier said
_CHECKED = 4096


def makes_scores(weight: ArrayLike, bias: ArrayLike | None, lat: LatentSet) -> str:
    """Return "" if softmax(W z + b) is what the classifier said of the latents, else a line.

    On a sample of rows log p may differ by a thousandth plus two hundredths of its own standard
    deviation, which allows for scores of 16 bits.
    """
    weight, bias = _layer(weight, bias, lat)
    few = np.linspace(0, len(lat) - 1, min(len(lat), _CHECKED)).astype(int)
    made = log_softmax(lat.z[few].astype(np.float64) @ weight.T + bias, axis=1)
    # What has no probability at all, as a class that was masked, is not compared.
    own, made = (np.maximum(p, _NEVER) for p in (lat.log_probs[few].astype(np.float64), made))
    off = float(np.abs(made - own).max())
    if off <= 1e-3 + 0.02 * float(np.std(own)):
        return ""
    return (
        f"softmax(W z + b) is not what the classifier says of these latents (log p is off by up "
        f"to {off:.2g}): pass the weights that make its scores, see vcviz.last_linear"
    )


@takes_records
def implied_prior(
    weight: ArrayLike,
    bias: ArrayLike | None,
    lat: LatentSet,
    *,
    scale: float = 1.0,
    shift: ArrayLike | None = None,
    verify: bool = True,
) -> LatentPrior:
    """Return a Gaussian law under which Bayes' rule is exactly softmax(W z + b).

    For every covariance S and every vector m the law with

        mu_y = S w_y + m,    log pi_y = b_y + mu_y' S^-1 mu_y / 2 + const

    has the softmax layer as its posterior: the layer does not say which one. The convention here:
    S is `scale`^2 times the pooled within-class covariance of `lat`, and m puts the
    average of the implied means at the average of the class means.

    Parameters
    ----------
    weight : (C, D) weights of the last layer
    bias : (C,) biases; None for a layer without
    lat : inputs of that layer, usually those of the training data
    scale : factor on the standard deviations of the convention
    shift : (D,) vector m itself, in place of the convention's
    verify : whether to warn if softmax(W z + b) is not what `lat.log_probs` say, see
        `makes_scores`: the law is then of another classifier

    Returns
    -------
    LatentPrior
        With one covariance for all classes. Its `log_posterior` is log_softmax(W z + b) whatever
        `scale` and `shift` are.

    Raises
    ------
    InputError
        If shapes disagree or `scale` is not positive.

    Notes
    -----
    Only log-ratios of pi_y p(z|y) are identified by the layer; means, covariance and class prior
    shown are one reading of many. A singular pooled covariance (dead units, few samples) is
    widened where it has no variance, which the identity survives because the means use the same
    matrix: a unit that never varies gets a thousandth of the standard deviation of the others.
    Classes without latents take no part in S and m.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning, 2006, section 4.2, read backwards; the
    derivation is in "Theory" of the documentation.

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> layer = vcviz.last_linear(run.model())
    >>> lat = run.latents("train")
    >>> law = vcviz.implied_prior(layer.weight, layer.bias, lat)
    >>> bool(np.allclose(law.log_posterior(lat.z), lat.log_probs, atol=1e-4))
    True
    """
    weight, bias = _layer(weight, bias, lat)
    dim = weight.shape[1]
    check_number("scale", scale, above=0)
    if check_flag("verify", verify) and (off := makes_scores(weight, bias, lat)):
        warnings.warn(off, stacklevel=2)
    found = class_moments(lat)
    present = found.counts > 0
    tril = np.asarray(scale * np.linalg.cholesky(invertible(found.within)), np.float64)
    slope = weight @ tril @ tril.T
    if shift is None:
        shift = (found.means - slope)[present].mean(0)
    shift = as_float("shift", shift, 1, np.float64)
    if shift.shape != (dim,):
        raise InputError(f"shift must have shape ({dim},), got {shift.shape}")
    mean = slope + shift
    # log pi_y + log N(c; mu_y, S) = w_y'c + b_y + const at any point c. One amid the latents
    # keeps both sides small where the identity is used; the formula above is c = 0.
    centre = found.means[present].mean(0)
    whitened = solve_triangular(tril, (centre - mean).T, lower=True)
    return LatentPrior(
        mean=mean,
        scale_tril=tril,
        log_weight=weight @ centre + bias + 0.5 * (whitened**2).sum(0),
    )


@takes_records
def empirical_prior(lat: LatentSet) -> LatentPrior:
    """Return the Gaussian of maximum likelihood of each class, with the label frequencies as pi.

    A class with no more than D points, whose own covariance is singular, gets the pooled
    within-class covariance; one without points also gets the overall mean, and weight 0. A
    covariance that is singular still is widened as in `implied_prior`.

    Parameters
    ----------
    lat : latents with labels

    Returns
    -------
    LatentPrior
        Gaussian, one covariance per class; ``log_weight`` holds the label frequencies.

    Examples
    --------
    >>> z = [[0.0, 0.0], [2.0, 0.0], [1.0, 3.0], [9.0, 9.0], [9.0, 7.0], [6.0, 8.0]]
    >>> lat = vcviz.LatentSet(z, np.log(np.full((6, 2), 0.5)), y=[0, 0, 0, 1, 1, 1])
    >>> law = vcviz.empirical_prior(lat)
    >>> law.mean
    array([[1., 1.],
           [8., 8.]])
    >>> law.covariance[0].round(2)
    array([[0.67, 0.  ],
           [0.  , 2.  ]])
    """
    found = class_moments(lat)
    counts, own = found.counts, found.counts > lat.latent_dim
    tril = np.empty((lat.n_classes if own.any() else 1, lat.latent_dim, lat.latent_dim))
    if not own.all():
        tril[:] = np.linalg.cholesky(invertible(found.within))
    for k in np.flatnonzero(own):
        residual = lat.z[lat.y == k] - found.means[k]
        tril[k] = np.linalg.cholesky(invertible(residual.T @ residual / counts[k]))
    means = np.where((counts > 0)[:, None], found.means, found.centre)
    with np.errstate(divide="ignore"):
        log_weight = np.log(counts / counts.sum())
    return LatentPrior(mean=means, scale_tril=tril, log_weight=log_weight)


def _layer(
    weight: ArrayLike, bias: ArrayLike | None, lat: LatentSet
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights and biases of a layer that fits the latents."""
    weight = as_float("weight", weight, 2, np.float64)
    n_classes = lat.n_classes
    if weight.shape != (n_classes, lat.latent_dim):
        raise InputError(
            f"weight must be ({n_classes}, {lat.latent_dim}) to match the latents, "
            f"got {weight.shape}"
        )
    bias = np.zeros(n_classes) if bias is None else as_float("bias", bias, 1, np.float64)
    if bias.shape != (n_classes,):
        raise InputError(f"bias must have shape ({n_classes},), got {bias.shape}")
    return weight, bias
