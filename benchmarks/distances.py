"""Energy distance and two-sample tests of many points, against a plain pairwise form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist

import vcviz
from benchmarks.pairs import Pair, pair
from vcviz.metrics.fit.energy import energy_distance
from vcviz.records.prior import LatentPrior

N = 100_000
#: the plain form works through so many rows of N, and its time is multiplied
ROWS = 1000


def pairs() -> Iterator[Pair]:
    """Yield every comparison."""
    rng = np.random.default_rng(0)
    for dim in (1, 2, 16):
        a, b = rng.standard_normal((N, dim)), rng.standard_normal((N, dim)) + 0.01
        for directions in {1: (None,), 2: (64, 1024, None)}.get(dim, (64, None)):
            note = f", {directions} directions" if directions else ""
            yield pair(
                f"energy distance, {N:,} points a side, D = {dim}{note}",
                lambda a=a, b=b, p=directions: energy_distance(a, b, directions=p),
                f"cdist in blocks ({N // ROWS} times one)", lambda a=a, b=b: _some(a, b),
                rounds=3 if directions or dim == 1 else 1, goal=20, times=N / ROWS,
            )  # fmt: skip
    yield from _fit(rng)


def _some(a: np.ndarray, b: np.ndarray) -> float:
    """The three sums of distances of the first rows: what cannot be held is not kept."""
    return sum(cdist(one[:ROWS], other).sum() for one, other in ((a, b), (a, a), (b, b)))


def _fit(rng: np.random.Generator) -> Iterator[Pair]:
    """`latent_fit`, against every distance of the plane, and against its own sorts in D = 16."""
    for dim in (2, 16):
        y = rng.integers(0, 10, N)
        mean = 6 * rng.standard_normal((10, dim))
        lat = vcviz.LatentSet(
            (mean[y] + rng.standard_normal((N, dim))).astype(np.float32),
            np.full((N, 10), -np.log(10), np.float32), y, class_names=tuple("0123456789"),
        )  # fmt: skip
        prior = LatentPrior(
            mean=mean, scale=np.ones((10, dim)), log_weight=np.full(10, -np.log(10))
        )
        work = f"latent_fit: KL, energy, AUC, intervals, p-values, {N:,} x {dim}, C = 10"

        def ours(lat: vcviz.LatentSet = lat, prior: LatentPrior = prior) -> object:
            return vcviz.latent_fit(lat, prior, progress=False)

        z = lat.z.astype(float)
        if dim == 2:
            own, drawn = z[y == 0], rng.standard_normal((10_000, 2)) + mean[0]
            yield pair(
                work, ours, "cdist energy distance of each class alone (10 times one)",
                lambda z=own, d=drawn: [cdist(u, v).sum() for u, v in ((z, d), (z, z), (d, d))],
                rounds=3, goal=20, times=10,
            )  # fmt: skip
        yield pair(
            work, ours, "limit: each coordinate sorted once", lambda z=z: np.sort(z, axis=0),
            rounds=3, goal=1 / 1.5,
        )  # fmt: skip
