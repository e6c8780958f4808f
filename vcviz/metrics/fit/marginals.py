"""Latents along one direction against the law p(z|y) there: densities, quantiles, distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import betaincinv, gammaln, logsumexp, ndtr
from scipy.stats import kstwo, laplace, norm, t

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_count, check_fraction
from vcviz.metrics.fit import check_law
from vcviz.records import Direction, LatentPrior, LatentSet, Marginals, as_float, as_indices

Array = NDArray[np.float64]
#: places of a density, points of a Q-Q plot
_GRID, _POINTS = 160, 101
_CELLS = 640  # of a kernel estimate
_EXTREME = 1e-3  # share beyond either end of an axis
_ONE_SIGMA = float(ndtr(1.0))


class _Law(Protocol):
    def pdf(self, x: Array) -> Array: ...
    def cdf(self, x: Array) -> Array: ...
    def ppf(self, p: Array) -> Array: ...


class _Drawn:
    """The law that draws follow."""

    def __init__(self, values: Array) -> None:
        self._sorted = np.sort(values)
        self._x, self._density = kernel_density(self._sorted)

    def pdf(self, x: Array) -> Array:
        return np.interp(x, self._x, self._density, left=0, right=0)

    def cdf(self, x: Array) -> Array:
        return np.searchsorted(self._sorted, x, "right") / len(self._sorted)

    def ppf(self, p: Array) -> Array:
        return np.quantile(self._sorted, p)

    def band(self, rank: NDArray[np.int64], n: int, level: float) -> tuple[Array, Array]:
        """Return between which draws the `rank`-th of n latents lies with probability `level`."""
        below = _draws_below(rank, n, len(self._sorted), ((1 - level) / 2, (1 + level) / 2))
        ends = np.r_[-np.inf, self._sorted, np.inf]
        return ends[below[0]], ends[below[1] + 1]


@takes_records
def marginals(
    lat: LatentSet,
    prior: LatentPrior | None,
    direction: Direction | ArrayLike,
    *,
    classes: Sequence[int] | None = None,
    max_rows: int = 10_000,
    draws: int = 5000,
    level: float = 0.95,
    seed: int = 0,
) -> Marginals:
    """Return the laws of u·z by class, observed and anticipated, with how far they are apart.

    Parameters
    ----------
    lat : latents with their labels
    prior : p(z|y); None gives the observed densities alone
    direction : u, see `vcviz.geometry.direction`; or a (D,) vector, made to length 1
    classes : class indices; default all
    max_rows : latents of a class that are looked at, at most; more are drawn from at random
    draws : of each class, where u·z has no law in closed form under the prior
    level : mass of the band and of the intervals
    seed : of every draw

    Returns
    -------
    Marginals

    Raises
    ------
    InputError
        If dimensions or classes of latents, law and direction differ, or there is no such class.

    Notes
    -----
    Exact for Gaussian and Student-t laws along any direction and for Laplace laws along their own
    axes (`LatentPrior.keeps`); otherwise from seeded draws, whose number `Marginals.draws` says.

    *Band.* The i-th smallest of n values of a law F lies where F is Beta(i, n + 1 - i): the band
    is F^-1 of that law's quantiles, which holds point by point, not for all points at once. Draws
    of F have noise too: how many of them lie below the i-th smallest value is Beta-binomial, whose
    quantiles say between which two draws it is. Where that is beyond the last one, the band has no
    end.

    *Distance.* sup |F_n - F|, Kolmogorov-Smirnov. Its interval is about the distance of the law
    of the latents itself, by the inequality of Dvoretzky, Kiefer and Wolfowitz with the constant
    of Massart (Annals of Probability 18, 1990): F_n is within sqrt(log(2 / (1 - level)) / 2n) of
    it, whatever the law. Where draws stand for F their own distance is added.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> found = vcviz.metrics.marginals(run.latents(), run.prior(), [1, 0], classes=[0, 1])
    >>> found.distance.shape, found.draws  # no draws: a Gaussian is exact in any direction
    ((2,), 0)
    """
    u = (
        direction
        if isinstance(direction, Direction)
        else Direction(as_float("direction", direction, 1, np.float64))
    )
    shown = _checked(lat, prior, u, classes)
    check_count("max_rows", max_rows)
    check_count("draws", draws)
    check_count("seed", seed, minimum=0)
    check_fraction("level", level)
    exact = prior is None or prior.keeps(u.vector[:, None])
    found = []
    for k in shown:
        rng = np.random.default_rng([seed, k])
        rows = np.flatnonzero(lat.y == k)
        count = len(rows)
        if count > max_rows:
            rows = rng.choice(rows, max_rows, replace=False)
        values = np.sort(lat.z[rows].astype(np.float64) @ u.vector)
        law = None if prior is None else _law(prior, k, u.vector, 0 if exact else draws, rng)
        one = _one(values, law, 0 if exact else draws, level)
        found.append({"count": count, "used": len(rows)} | one)
    return Marginals(
        direction=u,
        classes=tuple(shown),
        draws=0 if exact else draws,
        class_names=lat.class_names,
        name=lat.name,
        level=level,
        **{name: np.array([one[name] for one in found]) for name in found[0]},
    )


def kernel_density(values: Array, *, size: int = _GRID) -> tuple[Array, Array]:
    """Return (G,) places and the Gaussian kernel estimate of the density of sorted values there.

    With Silverman's bandwidth 0.9 min(sd, IQR / 1.349) n^(-1/5); NaN without values. The outermost
    0.1 % at either end count, but the places do not reach out to them.
    """
    if len(values) == 0:
        return np.full(size, np.nan), np.full(size, np.nan)
    quarters = np.quantile(values, (0.25, 0.75))
    spread = min(values.std() or np.inf, np.ptp(quarters) / 1.349 or np.inf)
    # Values that are all one still are a peak.
    spread = spread if np.isfinite(spread) else 1e-3 * max(abs(float(values[0])), 1e-3)
    bandwidth = 0.9 * spread * len(values) ** -0.2
    low, high = np.quantile(values, (_EXTREME, 1 - _EXTREME)) + 3.5 * bandwidth * np.array([-1, 1])
    cells = int(np.clip((high - low) / bandwidth * 8, _CELLS, 16 * _CELLS))
    count, edges = np.histogram(values, cells, (low, high))
    width = edges[1] - edges[0]
    smooth = gaussian_filter1d(count.astype(float), bandwidth / width, mode="constant")
    x = np.linspace(edges[0], edges[-1], size)
    return x, np.interp(x, (edges[1:] + edges[:-1]) / 2, smooth / (len(values) * width))


def _one(values: Array, law: _Law | None, draws: int, level: float) -> dict[str, Any]:
    """Return the columns of one class."""
    x, density = kernel_density(values)
    nothing, points = np.full(_GRID, np.nan), np.full(_POINTS, np.nan)
    found: dict[str, Any] = {"x": x, "density": density, "law_x": nothing, "law_density": nothing}
    found |= dict.fromkeys(("law_quantile", "quantile", "low", "high"), points)
    found |= dict.fromkeys(("centre", "scale", "distance", "p_value"), np.nan)
    found["distance_interval"] = np.full(2, np.nan)
    if law is None:
        return found
    centre, below, above, first, last = law.ppf(
        np.array([0.5, 1 - _ONE_SIGMA, _ONE_SIGMA, _EXTREME, 1 - _EXTREME])
    )
    found["centre"], scale = centre, (above - below) / 2
    if not scale > 1e-12 * abs(centre):
        raise InputError(
            f"the law is too narrow ({scale:.3g}) so far from zero ({centre:.3g}) to be told "
            "from a point there; centre the latents first"
        )
    found["scale"] = scale
    found["law_x"] = np.linspace(first, last, _GRID)
    found["law_density"] = law.pdf(found["law_x"])
    n = len(values)
    if n == 0:
        return found
    rank = _ranks(n)
    quantiles = {"law_quantile": law.ppf((rank - 0.5) / n), "quantile": values[rank - 1]}
    if isinstance(law, _Drawn):
        quantiles["low"], quantiles["high"] = law.band(rank, n, level)
    else:
        for name, tail in (("low", (1 - level) / 2), ("high", (1 + level) / 2)):
            quantiles[name] = law.ppf(betaincinv(rank, n + 1 - rank, tail))
    for name, value in quantiles.items():
        found[name] = np.full(_POINTS, np.nan)
        found[name][: len(rank)] = (value - centre) / scale
    return found | _distance(values, law, draws, level)


def _draws_below(
    rank: NDArray[np.int64], n: int, draws: int, tails: tuple[float, float]
) -> NDArray[np.int64]:
    """Return (2, P) quantiles of how many of `draws` lie below the `rank`-th of n more like them.

    Their law is Beta-binomial (draws, rank, n + 1 - rank).
    """
    log_factorial = gammaln(np.arange(1, n + draws + 2))  # [i] is log i!
    below, rank = np.arange(draws + 1), rank[:, None]
    log_ways = (
        log_factorial[below + rank - 1]
        - log_factorial[below]
        + log_factorial[draws - below + n - rank]
        - log_factorial[draws - below]
    )
    share = np.exp(log_ways - logsumexp(log_ways, axis=1, keepdims=True)).cumsum(1)
    return np.stack([np.minimum((share < tail).sum(1), draws) for tail in tails])


def _ranks(n: int) -> NDArray[np.int64]:
    """Return at most `_POINTS` ranks from 1 to n, evenly spaced in normal quantiles."""
    if n <= _POINTS:
        return np.arange(1, n + 1)
    ends = norm.ppf(0.5 / n)
    share = ndtr(np.linspace(ends, -ends, _POINTS))
    # From 1 to n without a rank twice: in the tails the ranks themselves.
    rank = np.round(share * n + 0.5).astype(np.int64)
    first = np.maximum.accumulate(rank - np.arange(_POINTS)) + np.arange(_POINTS)
    last = n - np.arange(_POINTS)[::-1]
    return np.minimum(first, last)


def _distance(values: Array, law: _Law, draws: int, level: float) -> dict[str, Any]:
    n = len(values)
    share = law.cdf(values)
    step = np.arange(n + 1) / n
    distance = float(max((step[1:] - share).max(), (share - step[:-1]).max()))
    reach = np.sqrt(np.log(2 / (1 - level)) / (2 * n))
    effective = n
    if draws:
        reach += np.sqrt(np.log(2 / (1 - level)) / (2 * draws))
        effective = max(round(n * draws / (n + draws)), 1)
    return {
        "distance": distance,
        "distance_interval": np.array([max(distance - reach, 0.0), min(distance + reach, 1.0)]),
        "p_value": float(kstwo.sf(distance, effective)),
    }


def _law(prior: LatentPrior, k: int, u: Array, draws: int, rng: np.random.Generator) -> _Law:
    """Return the law of u·z given class `k`: in closed form without `draws`."""
    if draws:
        return _Drawn(prior.sample(np.full(draws, k), rng)[0] @ u)
    line = prior.project(u[:, None])
    place = {"loc": line.mean[k, 0], "scale": np.sqrt(line.dispersion[k, 0, 0])}
    if line.family == "student_t":
        return t(line.df[k], **place)
    return {"gaussian": norm, "laplace": laplace}[line.family](**place)


def _checked(
    lat: LatentSet, prior: LatentPrior | None, u: Direction, classes: Sequence[int] | None
) -> list[int]:
    if len(u.vector) != lat.latent_dim:
        raise InputError(
            f"the direction must have {lat.latent_dim} entries like the latents, "
            f"got {len(u.vector)}"
        )
    if prior is not None:
        check_law(lat, prior)
    if classes is None:
        return list(range(lat.n_classes))
    return sorted(set(as_indices("classes", classes, lat.n_classes).tolist()))
