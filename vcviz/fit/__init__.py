"""How well the anticipated law describes the latents, class by class, each number with an interval.

Everything is computed from whitened residuals u (`LatentPrior.whiten`), which follow N(0, I) if
the law p(z|y) holds: L_y^-1 (z - mu_y) for a Gaussian, and for any other family a one-to-one map
onto the normal. The numbers do not depend on the scale of the latent space, and they compare across
families: in each the law promises a KL of 0, an energy distance of 0, an AUC of 1/2 and a whitened
variance of 1. A law of the user's own is known by its draws alone: its residuals have mean 0 and
variance 1, and its moment KL compares moments, where the KL of the densities may be another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma
from tqdm.auto import tqdm

from vcviz.errors import InputError, expect
from vcviz.fit.drawn import drawn_kernel, permutation_p_value
from vcviz.fit.energy import energy_distance
from vcviz.fit.normal_energy import (
    normal_energy,
    normal_energy_interval,
    normal_energy_kernel,
    normal_energy_p_value,
)
from vcviz.fit.two_sample import held_out_auc
from vcviz.intervals import normal_quantile
from vcviz.ood import hanley_mcneil_interval
from vcviz.options import check_count, check_fraction
from vcviz.records import LatentFit, LatentPrior, LatentSet

__all__ = ["energy_distance", "latent_fit", "moment_kl", "moment_kl_bias"]

#: fewer samples of a class give no energy distance, or no AUC
MIN_ENERGY, MIN_AUC = 5, 10
#: draws of the law per class that the latents are compared with
MIN_DRAWS = 500
#: draws per class that stand for a law of the user's own
LAW_DRAWS = 2000


def latent_fit(
    lat: LatentSet,
    prior: LatentPrior,
    *,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    max_samples: int = 1000,
    progress: bool = True,
) -> LatentFit:
    """Return per class how far the latents are from the law that was anticipated for them.

    Parameters
    ----------
    lat : latents with their labels
    prior : the law p(z|y)
    resamples : bootstrap draws for the interval of the energy distance; 0 leaves out that
        interval and the p-value, for speed
    level : mass of the intervals
    seed : of every draw
    max_samples : energy distance and AUC look at so many random samples of a class at most
    progress : show a bar when it takes more than two seconds

    Returns
    -------
    LatentFit
        NaN where a class has too few samples: D + 1 or fewer for `kl`, below 5 for `energy`, below
        10 for `auc`, below 2 for `whitened_variance`.

    Raises
    ------
    InputError
        If classes or dimensions of latents and law differ.

    Notes
    -----
    *Moment KL*: see `moment_kl`; it is reported as it is, finite-sample bias included
    (`moment_kl_bias`). Its interval is about the expectation of that number: from the variance of
    the estimate's influence function, plus the variance D(D+3)/(4 n^2) that remains where that
    function vanishes (at equal laws), on the scale log(KL + bias).

    *Energy distance* (`vcviz.fit.normal_energy`): unbiased, 0 for equal laws, so it may be slightly
    negative; bootstrap interval; Monte-Carlo p-value of equal laws. For a law of the user's own it
    is that from 2000 draws, with the p-value of a permutation test.

    *AUC* (`vcviz.fit.two_sample`): 0.5 if a classifier cannot tell held-out latents from draws
    of the law. Its interval (Newcombe 2006) counts the samples of one half only: under the law
    the two halves err together, by how much their means happen to point the same way.

    *Whitened variance*: mean over the dimensions of the variance of u, 1 if as anticipated, less
    than 1 for latents that collapsed.
    """
    _check(lat, prior)
    check_count("resamples", resamples, minimum=0)
    check_fraction("level", level)
    check_count("seed", seed, minimum=0)
    check_count("max_samples", max_samples, minimum=MIN_AUC)
    n_classes = lat.n_classes
    one = {name: np.full(n_classes, np.nan) for name in ("kl", "energy", "energy_p", "auc")}
    one["whitened_variance"] = np.full(n_classes, np.nan)
    two = {f"{name}_interval": np.full((n_classes, 2), np.nan) for name in ("kl", "energy", "auc")}
    for k in tqdm(range(n_classes), "latent fit", disable=not progress, delay=2, leave=False):
        u = _residuals(lat, prior, k)
        n = len(u)
        if n >= 2:
            one["whitened_variance"][k] = u.var(0, ddof=1).mean()
        one["kl"][k], two["kl_interval"][k] = _kl(u, level)
        # Apart, so that the number of bootstrap draws changes nothing else.
        rng, bootstrap, reference = np.random.default_rng([seed, k]).spawn(3)
        if n > max_samples:
            u = u[rng.choice(n, max_samples, replace=False)]
        if n >= MIN_ENERGY:
            # Laws whose residuals are not standard normal are known by their draws.
            law_draws = None if prior.normal_residuals else _whitened_draws(prior, k, reference)
            kernel = normal_energy_kernel(u) if law_draws is None else drawn_kernel(u, law_draws)
            one["energy"][k] = normal_energy(kernel)
            if resamples:
                two["energy_interval"][k] = normal_energy_interval(
                    kernel, resamples=resamples, level=level, rng=bootstrap
                )
                one["energy_p"][k] = (
                    normal_energy_p_value(one["energy"][k], len(u), u.shape[1], seed=seed)
                    if law_draws is None
                    else permutation_p_value(u, law_draws, reference)
                )
        if n >= MIN_AUC:
            z, y = prior.sample(np.full(max(len(u), MIN_DRAWS), k), rng)
            one["auc"][k] = held_out_auc(u, prior.whiten(z, y), rng)
            two["auc_interval"][k] = hanley_mcneil_interval(
                one["auc"][k], len(z) // 2, len(u) // 2, level=level
            )
    return LatentFit(
        class_names=lat.class_names,
        count=np.bincount(lat.y, minlength=n_classes),
        name=lat.name,
        level=level,
        **one,
        **two,
    )


def moment_kl(lat: LatentSet, prior: LatentPrior) -> NDArray[np.float64]:
    """Return (C,) KL(N(m, S) || p(z|y)) in nats, m and S mean and covariance of the latents.

    In closed form, (tr S_u + |m_u|^2 - D - log|S_u|) / 2 with the moments of the whitened
    residuals, S_u divided by n; of a family other than the Gaussian, of its residuals mapped onto
    the normal. It sees means and covariances but no shape: 0 does not mean equal laws. Infinite
    where the latents of a class fill fewer than D dimensions; NaN with D + 1 samples or fewer.

    See Also
    --------
    moment_kl_bias : what it is on average for n samples of the law itself
    latent_fit : the same with an interval, and distances that see shape
    """
    _check(lat, prior)
    return np.array([_kl(_residuals(lat, prior, k), None)[0] for k in range(lat.n_classes)])


def moment_kl_bias(n: int, dim: int) -> float:
    """Return by how much `moment_kl` of n samples exceeds the true KL on average, in nats.

    (D log(n/2) - sum_i digamma((n-i)/2)) / 2 with i from 1 to D: exact for Gaussian latents
    whatever their mean and covariance, about D (D+3) / (4n). NaN with D + 1 samples or fewer.
    """
    if n <= dim + 1:
        return float("nan")
    freedom = (n - np.arange(1, dim + 1)) / 2
    return float((dim * np.log(n / 2) - digamma(freedom).sum()) / 2)


def _check(lat: LatentSet, prior: LatentPrior) -> None:
    expect("lat", lat, LatentSet, "see extract_latents")
    expect("prior", prior, LatentPrior, "a softmax layer states none, see implied_prior")
    for what, ours, theirs in (
        ("classes", lat.n_classes, prior.n_classes),
        ("dimensions", lat.latent_dim, prior.latent_dim),
    ):
        if ours != theirs:
            raise InputError(f"latents have {ours} {what} but the law has {theirs}")


def _whitened_draws(prior: LatentPrior, k: int, rng: np.random.Generator) -> NDArray[np.float64]:
    z, y = prior.sample(np.full(LAW_DRAWS, k), rng)
    return prior.whiten(z, y)


def _residuals(lat: LatentSet, prior: LatentPrior, k: int) -> NDArray[np.float64]:
    rows = lat.y == k
    return prior.whiten(lat.z[rows], lat.y[rows])


def _kl(u: NDArray[np.float64], level: float | None) -> tuple[float, tuple[float, float]]:
    """Return the moment KL of residuals and, if a `level` is given, its interval."""
    nothing = (np.nan, np.nan)
    n, dim = u.shape
    if n <= dim + 1:
        return np.nan, nothing
    mean = u.mean(0)
    centred = u - mean
    covariance = centred.T @ centred / n
    values, vectors = np.linalg.eigh(covariance)
    if values[0] <= 1e-14 * values[-1]:
        return np.inf, nothing
    kl = float(values.sum() + mean @ mean - dim - np.log(values).sum()) / 2
    if level is None:
        return kl, nothing
    depth = ((centred @ vectors) ** 2 / values).sum(1)
    influence = ((u * u).sum(1) - depth) / 2
    spread = np.sqrt(influence.var() / n + dim * (dim + 3) / (4 * n**2))
    shifted = max(kl, 0.0) + moment_kl_bias(n, dim)
    factor = np.exp(normal_quantile(level) * spread / shifted)
    bias = shifted - max(kl, 0.0)
    return kl, (max(shifted / factor - bias, 0.0), float(shifted * factor - bias))
