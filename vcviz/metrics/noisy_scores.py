"""Class probabilities of logits with noise: exact in the argmax limit, by draws elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, ndtr, softmax
from scipy.stats import norm

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_count, check_number
from vcviz.records import LogitLaw, as_float

# Numbers held at once.
_BLOCK = 4_000_000
# Beyond this many standard deviations a normal density is below 1e-18.
_REACH = 9.0
_MOST_NODES = 4001


@takes_records
def noisy_log_probs(
    law: LogitLaw, *, temperature: float | None = None, draws: int = 300, seed: int = 0
) -> NDArray[np.float64]:
    """Return (N, C) log of the mean over draws of softmax(u / tau).

    The NumPy twin of `vcviz.models.noisy_log_softmax`, for explorers that move tau and S without a
    model.

    Parameters
    ----------
    law : of the utilities u
    temperature : tau, in place of the law's own
    draws : S. Inputs share their standard noise, so that maps over inputs are smooth
    seed : of the noise

    Returns
    -------
    (N, C) float64 array

    Raises
    ------
    InputError
        If temperature or draws are out of range.

    Examples
    --------
    >>> law = vcviz.records.LogitLaw(mean=[[1.0, 0.0]], scale=[[3.0, 3.0]])
    >>> np.exp(vcviz.metrics.noisy_log_probs(law)).round(1)  # softmax of the means alone: 0.7, 0.3
    array([[0.6, 0.4]])
    """
    tau = law.temperature if temperature is None else temperature
    check_number("temperature", tau, above=0)
    step = max(1, _BLOCK // (check_count("draws", draws) * law.n_classes))
    parts = []
    for start in range(0, len(law), step):
        u = draw_utilities(
            law.take(np.arange(start, min(start + step, len(law)))), draws, seed=seed
        )
        u /= tau
        parts.append(np.logaddexp.reduce(log_softmax(u, axis=2), axis=0) - np.log(draws))
    return np.concatenate(parts)


def input_grid(x: ArrayLike, size: int = 41) -> NDArray[np.float64]:
    """Return (size^2, 2) points of a grid over the range of inputs (N, 2), for maps.

    Parameters
    ----------
    x : (N, 2) inputs
    size : points along each axis

    Returns
    -------
    (size^2, 2) float64 array

    Raises
    ------
    InputError
        If inputs have not two dimensions, or `size` is below 2.

    Examples
    --------
    >>> vcviz.metrics.input_grid([[0.0, 10.0], [1.0, 20.0]], size=2)
    array([[ 0., 10.],
           [ 1., 10.],
           [ 0., 20.],
           [ 1., 20.]])
    """
    points = as_float("x", x, 2, np.float64)
    if points.shape[1] != 2 or not len(points):
        raise InputError(f"a grid needs inputs (N, 2), at least one, got shape {points.shape}")
    n = check_count("size", size, minimum=2)
    low, high = points.min(0), points.max(0)
    across, down = (np.linspace(a, b, n) for a, b in zip(low, high, strict=True))
    return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)


def draw_utilities(law: LogitLaw, draws: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Return (S, N, C) utilities; every input gets the same standard noise."""
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    shape = (check_count("draws", draws), 1, law.n_classes)
    e = getattr(rng, law.noise)(size=shape)
    u = law.mean + law.scale * e
    if law.factor is None:
        return u
    return u + np.einsum("ncr,sr->snc", law.factor, rng.standard_normal((draws, len(law.factor.T))))


def relative_noise(
    law: LogitLaw, first: int | NDArray[np.int64], second: int | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (N,) noise of u_first - u_second, over the typical size of its mean.

    The standard deviation at each input over the root mean square, over all inputs, of the mean:
    free of the common scale of mean, noise and temperature, so that it can be compared between a
    model and the truth.

    Parameters
    ----------
    law : of the utilities
    first, second : a class, or one for each input
    """
    mean, std = law.contrast(first, second)
    return std / np.sqrt(np.square(mean).mean())


def flip_probs(law: LogitLaw) -> NDArray[np.float64]:
    """Return (N,) probability that noise puts the class of second largest mean above the first.

    Phi(-mean / std) of their difference, for normal noise: unlike the noise itself it does not
    change when a flexible model scales mean and noise of an input by one number, which leaves
    the labels' law as it is once tau is small.
    """
    mean, std = law.contrast(*law.leaders.T)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(std > 0, ndtr(-mean / std), 0.5 * (mean == 0))


@takes_records
def argmax_probs(law: LogitLaw) -> NDArray[np.float64]:
    """Return (N, C) probabilities that each class has the largest utility: the limit tau -> 0.

    For independent normal noise, with density phi and distribution Phi of the standard normal,

        p_k = integral phi(v) prod_{j != k} Phi((mu_k + sigma_k v - mu_j) / sigma_j) dv,

    by the trapezoidal rule, whose error is below 1e-6 for scales within a factor of 100 of each
    other. For two classes it is the probit Phi((mu_1 - mu_2) / sqrt(sigma_1^2 + sigma_2^2)), and
    for Gumbel noise of one scale softmax(mu / scale).

    Parameters
    ----------
    law : of the utilities

    Returns
    -------
    (N, C) float64 array

    Raises
    ------
    InputError
        For noise that has no such formula: shared between three classes or more, logistic, Gumbel
        of different scales, or none at all.

    References
    ----------
    Train, Discrete Choice Methods with Simulation, 2009, chapter 5 (probit).

    Examples
    --------
    >>> law = vcviz.records.LogitLaw(mean=[[1.0, 0.0]], scale=[[1.0, 1.0]])
    >>> vcviz.metrics.argmax_probs(law).round(3)  # the probit Phi(1 / sqrt(2))
    array([[0.76, 0.24]])
    """
    shared = law.factor is not None
    alike = np.ptp(law.scale, axis=1).max() == 0 and law.scale.min() > 0
    if law.noise == "gumbel" and alike and not shared:
        return softmax(law.mean / law.scale, axis=1)
    if law.noise != "normal" or (shared and law.n_classes > 2):
        raise InputError("argmax_probs needs independent normal noise, or Gumbel of one scale")
    if law.n_classes == 2:
        with np.errstate(divide="ignore", invalid="ignore"):
            first = ndtr(np.divide(*law.contrast(0, 1)))
        if np.isnan(first).any():
            raise InputError("argmax_probs needs noise: a scale of 0 leaves ties undecided")
        return np.stack([first, 1 - first], axis=1)
    if law.scale.min() <= 0:
        raise InputError("argmax_probs needs scales above 0")
    widest = float((law.scale.max(1) / law.scale.min(1)).max())
    # The step is the narrowest scale in the integrand, where the rule errs by about 1e-8.
    nodes = int(np.clip(2 * _REACH * widest, 65, _MOST_NODES)) | 1
    v = np.linspace(-_REACH, _REACH, nodes)
    weight = norm.pdf(v) / norm.pdf(v).sum()
    step = max(1, _BLOCK // (nodes * law.n_classes))
    parts = [
        _own_integral(law.mean[i : i + step], law.scale[i : i + step], v, weight)
        for i in range(0, len(law), step)
    ]
    probs = np.concatenate(parts)
    return probs / probs.sum(1, keepdims=True)


def _own_integral(
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    v: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (n, C) integrals, one a class, over `v` standard deviations of its own utility."""
    columns = []
    for k in range(mean.shape[1]):
        u = mean[:, k, None, None] + scale[:, k, None, None] * v[:, None]
        below = ndtr((u - mean[:, None]) / scale[:, None])
        below[..., k] = 1
        columns.append(below.prod(2) @ weight)
    return np.stack(columns, axis=1)
