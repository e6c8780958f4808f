"""How well the anticipated law describes the latents, class by class, each number with an interval.

Everything is computed from whitened residuals u (`LatentPrior.whiten`), which follow N(0, I) if
the law p(z|y) holds: L_y^-1 (z - mu_y) for a Gaussian, and for any other family a one-to-one map
onto the normal. The numbers do not depend on the scale of the latent space, and they compare across
families: in each the law promises a KL of 0, an energy distance of 0, an AUC of 1/2 and a whitened
variance of 1. A law of the user's own is known by its draws alone: its residuals have mean 0 and
variance 1, and its moment KL compares moments, where the KL of the densities may be another.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma
from tqdm.auto import tqdm

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_count, check_fraction
from vcviz.geometry.moments import class_moments
from vcviz.metrics.fit.energy import energy_distance as energy_distance
from vcviz.metrics.fit.normal_energy import (
    drawn_kernel,
    normal_energy,
    normal_energy_interval,
    normal_energy_kernel,
    normal_energy_p_value,
    permutation_p_value,
)
from vcviz.metrics.fit.two_sample import Drawn, held_out_auc
from vcviz.metrics.intervals import normal_quantile
from vcviz.metrics.ood import hanley_mcneil_interval
from vcviz.records import LatentFit, LatentPrior, LatentSet

#: fewer samples of a class give no energy distance, or no AUC
MIN_ENERGY, MIN_AUC = 5, 10
#: draws of the law per class that the latents are compared with
MIN_DRAWS = 500
#: draws per class that stand for a law of the user's own
LAW_DRAWS = 2000
_NUMBERS = ("kl", "kl_varying", "kl_bias", "energy", "energy_p", "auc", "whitened_variance")
_WITH_INTERVAL = ("kl", "energy", "auc")
_TOGETHER = 4096  # rows that are whitened at once
_CONSTANT = 1e-13  # spreads and correlations below are those of rounding


@takes_records
def latent_fit(
    lat: LatentSet,
    prior: LatentPrior,
    *,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    max_rows: int = 1000,
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
    max_rows : energy distance and AUC look at so many random samples of a class at most
    progress : show a bar when it takes more than two seconds

    Returns
    -------
    LatentFit
        NaN where a class has too few samples: D + 1 or fewer for `kl`, below 5 for `energy`, below
        10 for `auc`, below 2 for `whitened_variance`. Dimensions in which no class varies (dead
        units, copies of others) are left out of latents and law alike; `left_out` counts them.

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

    *Energy distance* (`vcviz.metrics.fit.normal_energy`): unbiased, 0 for equal laws, so it may be
    slightly negative; bootstrap interval; Monte-Carlo p-value of equal laws. For a law of the
    user's own it is that from 2000 draws, with the p-value of a permutation test.

    *AUC* (`vcviz.metrics.fit.two_sample`): 0.5 if a classifier cannot tell held-out latents from
    draws of the law, whitened as they are: all classes are held against the same standard normal
    draws, 500 or as many as the largest class has. Its interval (Newcombe 2006) counts the samples
    of one half only: under the law the two halves err together, by how much their means happen to
    point the same way.

    *Whitened variance*: mean over the dimensions of the variance of u, 1 if as anticipated, less
    than 1 for latents that collapsed.

    References
    ----------
    Székely & Rizzo, Energy Statistics, Journal of Statistical Planning and Inference 143, 2013.

    Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> fit = vcviz.latent_fit(run.latents(), run.prior(), resamples=0)
    >>> print(f"KL {fit.mean('kl'):.0f} nats")  # 0 if the latents followed the law
    KL 2 nats
    >>> print(f"AUC {fit.mean('auc'):.1f}")  # 0.5 if they did
    AUC 0.9
    """
    check_law(lat, prior)
    check_count("resamples", resamples, minimum=0)
    check_fraction("level", level)
    check_count("seed", seed, minimum=0)
    check_count("max_rows", max_rows, minimum=MIN_AUC)
    n_classes = lat.n_classes
    counts = np.bincount(lat.y, minlength=n_classes)
    found = {name: np.full(n_classes, np.nan) for name in _NUMBERS}
    found |= {f"{name}_interval": np.full((n_classes, 2), np.nan) for name in _WITH_INTERVAL}
    constant = np.zeros(n_classes, np.int64)
    part = class_moments(lat).varying.part(prior)
    shared: Drawn | None = None
    classes = tqdm(
        _residuals(lat, prior), "latent fit", np.count_nonzero(counts),
        disable=not progress, delay=2, leave=False,
    )  # fmt: skip
    for k, u, law in classes:
        n, dim = u.shape
        if n >= 2:
            found["whitened_variance"][k] = u.var(0, ddof=1).mean()
        found["kl"][k], found["kl_interval"][k], constant[k] = _kl(u, level)
        found["kl_varying"][k] = _kl_varying(u) if constant[k] else found["kl"][k]
        found["kl_bias"][k] = moment_kl_bias(n, dim)
        if n < MIN_ENERGY:
            continue
        # Apart, so that the number of bootstrap draws changes nothing else.
        rng, bootstrap, reference = np.random.default_rng([seed, k]).spawn(3)
        if n > max_rows:
            u = u[rng.choice(n, max_rows, replace=False)]
        # Laws whose residuals are not standard normal are known by their draws.
        draws = None
        if not law.normal_residuals:
            draws = law.whiten(*law.sample(np.full(LAW_DRAWS, k), reference))
        kernel = normal_energy_kernel(u) if draws is None else drawn_kernel(u, draws)
        energy = found["energy"][k] = float(normal_energy(kernel))
        if resamples:
            found["energy_interval"][k] = normal_energy_interval(
                kernel, resamples=resamples, level=level, rng=bootstrap
            )
            found["energy_p"][k] = (
                normal_energy_p_value(energy, len(u), dim, seed=seed)
                if draws is None
                else permutation_p_value(u, draws, reference)
            )
        if n < MIN_AUC:
            continue
        if draws is not None:
            drawn = Drawn(draws[: max(len(u), MIN_DRAWS)])
        else:
            if shared is None:
                size = max(min(int(counts.max()), max_rows), MIN_DRAWS), dim
                shared = Drawn(np.random.default_rng([seed, n_classes]).standard_normal(size))
            drawn = shared
        area = found["auc"][k] = held_out_auc(u, drawn, rng)
        found["auc_interval"][k] = hanley_mcneil_interval(
            area, len(drawn) // 2, len(u) // 2, level=level
        )
    return LatentFit(
        class_names=lat.class_names,
        count=counts,
        name=lat.name,
        level=level,
        left_out=part.left_out if part else 0,
        constant=constant,
        **found,
    )


@takes_records
def moment_kl(lat: LatentSet, prior: LatentPrior, *, varying: bool = False) -> NDArray[np.float64]:
    """Return (C,) KL(N(m, S) || p(z|y)) in nats, m and S mean and covariance of the latents.

    In closed form, (tr S_u + |m_u|^2 - D - log|S_u|) / 2 with the moments of the whitened
    residuals, S_u divided by n; of a family other than the Gaussian, of its residuals mapped onto
    the normal. It sees means and covariances but no shape: 0 does not mean equal laws. D counts
    the dimensions in which any class varies, as in `latent_fit`; infinite where a class does not
    vary in one in which others do (a ReLU that is silent for it, say); NaN with D + 1 samples or
    fewer.

    Parameters
    ----------
    lat, prior : the latents, and the law p(z|y)
    varying : look at each class in the dimensions in which it varies itself, so that none is
        infinite

    See Also
    --------
    moment_kl_bias : what it is on average for n samples of the law itself
    latent_fit : the same with an interval, and distances that see shape
    """
    check_law(lat, prior)
    found = np.full(lat.n_classes, np.nan)
    for k, u, _ in _residuals(lat, prior):
        found[k] = _kl(u, None)[0]
        if varying and np.isinf(found[k]):
            found[k] = _kl_varying(u)
    return found


def moment_kl_bias(n: int, dim: int) -> float:
    """Return by how much `moment_kl` of n samples exceeds the true KL on average, in nats.

    (D log(n/2) - sum_i digamma((n-i)/2)) / 2 with i from 1 to D: exact for Gaussian latents
    whatever their mean and covariance, about D (D+3) / (4n). NaN with D + 1 samples or fewer.
    """
    if n <= dim + 1:
        return float("nan")
    freedom = (n - np.arange(1, dim + 1)) / 2
    return float((dim * np.log(n / 2) - digamma(freedom).sum()) / 2)


def check_law(lat: LatentSet, prior: LatentPrior) -> None:
    """Refuse a law of other classes or dimensions than the latents have."""
    for what, ours, theirs in (
        ("classes", lat.n_classes, prior.n_classes),
        ("dimensions", lat.latent_dim, prior.latent_dim),
    ):
        if ours != theirs:
            raise InputError(f"latents have {ours} {what} but the law has {theirs}")


def _residuals(
    lat: LatentSet, prior: LatentPrior
) -> Iterator[tuple[int, NDArray[np.float64], LatentPrior]]:
    """Yield the classes that have latents, with their whitened residuals and the law of these.

    In the dimensions that vary. Small classes are whitened together: a class at a time each would
    read the whole of a large factor.
    """
    part = class_moments(lat).varying.part(prior)
    law = prior if part is None else prior.project(part.matrix)
    order = np.argsort(lat.y, kind="stable")
    ends = np.cumsum(np.bincount(lat.y, minlength=lat.n_classes))
    first = 0
    while first < lat.n_classes:
        start = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, start + _TOGETHER, side="right")), first + 1)
        last = min(last, lat.n_classes)
        rows = order[start : ends[last - 1]]
        z = lat.z[rows] if part is None else part(lat.z[rows])
        u = law.whiten(z, lat.y[rows])
        for k in range(first, last):
            own = slice((ends[k - 1] if k else 0) - start, ends[k] - start)
            if own.stop > own.start:
                yield k, u[own], law
        first = last


def _kl(u: NDArray[np.float64], level: float | None) -> tuple[float, tuple[float, float], int]:
    """Return the moment KL of residuals, its interval for a `level`, and constant dimensions."""
    nothing = (np.nan, np.nan)
    n, dim = u.shape
    if n <= dim + 1:
        return np.nan, nothing, 0
    mean, scale, centred, values, vectors = _axes(u)
    if flat := int((values <= _CONSTANT * max(values[-1], 1e-300)).sum()):
        return np.inf, nothing, flat
    squares = float((scale**2).sum() + mean @ mean)
    kl = (squares - dim - np.log(values).sum() - 2 * np.log(scale).sum()) / 2
    if level is None:
        return float(kl), nothing, 0
    depth = ((centred @ vectors) ** 2 / values).sum(1)
    influence = ((u * u).sum(1) - depth) / 2
    spread = np.sqrt(influence.var() / n + dim * (dim + 3) / (4 * n**2))
    shifted = max(kl, 0.0) + moment_kl_bias(n, dim)
    factor = np.exp(normal_quantile(level) * spread / shifted)
    bias = shifted - max(kl, 0.0)
    return float(kl), (max(shifted / factor - bias, 0.0), float(shifted * factor - bias)), 0


def _axes(u: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return mean and scale (D,), scaled rows about the mean, and the axes of their correlation.

    A dimension that is constant has scale 1, and an axis of value 0.
    """
    mean = u.mean(0)
    centred = u - mean
    scale = np.sqrt((centred * centred).mean(0))
    constant = scale <= _CONSTANT * np.abs(u).max()
    scale[constant] = 1.0
    centred[:, constant] = 0.0
    centred /= scale
    values, vectors = np.linalg.eigh(centred.T @ centred / len(u))
    return mean, scale, centred, values, vectors


def _kl_varying(u: NDArray[np.float64]) -> float:
    """Return the moment KL of residuals as seen along the axes on which they vary."""
    mean, scale, _, values, vectors = _axes(u)
    kept = values > _CONSTANT * max(values[-1], 1e-300)
    if not kept.any():
        return float("nan")
    along = vectors[:, kept] / scale[:, None]  # N(0, along' along) there if the law holds
    law, at = along.T @ along, mean @ along
    squares = np.trace(np.linalg.solve(law, np.diag(values[kept]))) + at @ np.linalg.solve(law, at)
    logs = np.linalg.slogdet(law)[1] - np.log(values[kept]).sum()
    return float(squares - kept.sum() + logs) / 2
