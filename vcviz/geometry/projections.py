"""Maps from latents to the plane: a pair of axes, PCA, LDA, UMAP."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh, solve_triangular
from tqdm.auto import tqdm

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip, expect, unknown
from vcviz.geometry.moments import Moments, class_moments, combined, invertible
from vcviz.records import LatentPrior, LatentSet, Projection, as_array, as_float

Method = Literal["pair", "pca", "lda", "umap"]
METHODS: tuple[str, ...] = ("pair", "pca", "lda", "umap")

#: rows that UMAP is fitted to; others take their place among those
UMAP_ROWS = 5000
_NEIGHBOURS = 15
_DRAWS = 10_000  # of a law without a covariance
_WRITTEN = 2**26  # numbers of all covariances together
_STEEPEST = 1e29  # largest entry of a map, however little its units vary
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@takes_records
def fit_projection(
    lat: LatentSet | Sequence[LatentSet],
    *,
    method: Method = "pair",
    dims: Sequence[int] = (0, 1),
    prior: LatentPrior | None = None,
    n_components: int = 2,
    seed: int = 0,
    progress: bool = True,
) -> Projection:
    """Return a map from (N, D) latents to (N, 2), or (N, 3), fitted to `lat`.

    Parameters
    ----------
    lat : latents, or several sets that share one map (runs side by side, a split and its attack)
    method : ``"pair"``: the axes `dims` as they are; ``"pca"``: directions of most variance;
        ``"lda"``: directions that separate the classes best, in units of the within-class
        standard deviation; ``"umap"``: not linear, distances and densities are not to be read
    dims : two or three axes for ``"pair"``, from 0
    prior : anticipated law; ``"pca"`` then looks at its mean and covariance too (either side
        counts the same, whatever its spread) and ``"umap"`` at as many draws of it as there are
        latents, so that the map shows where the two differ
    n_components : 2 or 3, for all but ``"pair"``
    seed : of the draws of the law and of UMAP
    progress : show a bar for UMAP

    Returns
    -------
    Projection
        Linear for all but ``"umap"``. Signs are fixed: the largest entry of each direction
        is positive. Where D is less than the number of axes the last ones are zero. With two
        classes there is one discriminant; the further axes of ``"lda"`` are then the principal
        components of what it leaves, and are labelled so. Percentages in the labels are shares
        of the variance of the latents. Of latents that are all the same the axes are units.

    Raises
    ------
    InputError
        For an unknown method, axes that do not exist, or sets of different dimensions.

    Notes
    -----
    UMAP is fitted to 5000 rows at most, reproducibly. Any further point goes to the mean
    position of its nearest fitted rows, weighted by how near they are, which is where
    UMAP's own transform starts; a fitted row keeps its place. Unlike with that transform, a
    point's place does not depend on the points it comes with.

    References
    ----------
    McInnes, Healy & Melville, UMAP: Uniform Manifold Approximation and Projection, 2018,
    arXiv 1802.03426.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(300, 3)) * [1.0, 5.0, 1.0]
    >>> lat = vcviz.LatentSet(z, np.log(np.full((300, 2), 0.5)), y=np.arange(300) % 2)
    >>> pca = vcviz.fit_projection(lat, method="pca")
    >>> pca.labels[0], np.abs(pca.matrix[:, 0]).round(1)  # the second axis is widest
    ('PC 1 (93 %)', array([0., 1., 0.]))
    >>> pca(lat.z).shape
    (300, 2)
    """
    if method not in METHODS:
        raise unknown("projection", method, METHODS)
    sets = [lat] if isinstance(lat, LatentSet) else list(lat)
    dim = _dimension(sets)
    if n_components not in (2, 3):
        raise InputError(f"n_components must be 2 or 3, got {n_components!r}")
    if method == "pair":
        return _pair(dim, dims)
    if method == "lda":
        return _lda(combined([class_moments(s) for s in sets]), n_components)
    if prior is not None and prior.latent_dim != dim:
        raise InputError(f"prior must have {dim} dimensions, got {prior.latent_dim}")
    if method == "pca":
        law = None if prior is None else _law_moments(prior, seed)
        return _pca(combined([class_moments(s) for s in sets]), law, n_components)
    return _umap(_some(sets, prior, seed), n_components, seed, progress)


def plane_latents(
    projection: Projection, x: ArrayLike, y: ArrayLike, *, through: ArrayLike
) -> NDArray[np.float64]:
    """Return (R Q, D) latents at the points of a grid in the plane of a linear projection.

    Each is `through` moved within the directions that the projection looks at, so that
    ``projection(plane_latents(...))`` is the grid again; where `through` is a latent, the plane
    goes through it.

    Parameters
    ----------
    projection : linear, to two axes
    x, y : (Q,) and (R,) coordinates; y varies slowest in the result
    through : (D,)

    Raises
    ------
    InputError
        If the projection is not a linear map to two axes that exist.
    """
    expect("projection", projection, Projection, "see vcviz.fit_projection")
    if not projection.linear or len(projection.labels) != 2:
        raise InputError(f"a plane needs a linear map to two axes, got {projection.method!r}")
    if np.linalg.matrix_rank(projection.matrix) < 2:
        raise InputError("a plane needs latents of at least 2 dimensions")
    point = as_float("through", through, 1, np.float64)
    across, up = np.meshgrid(np.asarray(x, float), np.asarray(y, float))
    grid = np.column_stack([across.ravel(), up.ravel()])
    return point + (grid - projection(point[None])) @ np.linalg.pinv(projection.matrix)


def _dimension(sets: Sequence[LatentSet]) -> int:
    if not sets:
        raise InputError("fit_projection needs at least one LatentSet, got none")
    widths = sorted({s.latent_dim for s in sets})
    if len(widths) > 1:
        raise InputError(f"the sets must share one latent dimension, got {widths}")
    return widths[0]


def _some(sets: Sequence[LatentSet], prior: LatentPrior | None, seed: int) -> NDArray[np.float64]:
    """Return latents, and as many draws of a law if there is one: all, or `UMAP_ROWS` of them."""
    n = sum(map(len, sets))
    total = n if prior is None else 2 * n
    chosen = np.arange(total)
    if total > UMAP_ROWS:
        chosen = np.random.default_rng(seed).choice(total, UMAP_ROWS, replace=False)
    own, first = np.sort(chosen[chosen < n]), 0
    parts: list[NDArray[Any]] = []
    for part in sets:
        parts.append(part.z[own[(own >= first) & (own < first + len(part))] - first])
        first += len(part)
    if prior is not None:
        parts.append(prior.sample(len(chosen) - len(own), np.random.default_rng(seed))[0])
    return np.concatenate(parts).astype(np.float64)


# ---------------------------------------------------------------- linear maps


def _pair(dim: int, dims: Sequence[int]) -> Projection:
    found = as_array("dims", dims)
    axes = np.atleast_1d(found).tolist()
    if (
        found.dtype.kind not in "iu"
        or found.ndim != 1
        or len(axes) not in (2, 3)
        or len(set(axes)) != len(axes)
    ):
        raise InputError(f"dims must be two or three different axes, got {clip(axes)}")
    shown = len(axes)
    if dim == 1:
        axes = [0]
    if not all(0 <= d < dim for d in axes):
        raise InputError(f"dims must lie in [0, {dim}) for {dim}-dimensional latents, got {axes}")
    names = [f"z{str(d + 1).translate(SUBSCRIPTS)}" for d in axes]
    return _linear("pair", np.eye(dim)[:, axes], np.zeros(dim), names, shown)


def _linear(
    method: str,
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    names: Sequence[str],
    size: int,
) -> Projection:
    """Return the map with axes of zeros added up to `size`."""
    missing = size - matrix.shape[1]
    return Projection(
        method=method,
        labels=(*names, *["(no axis)"] * missing),
        matrix=np.pad(matrix, ((0, 0), (0, missing))),
        offset=offset,
    )


def _upright(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the columns with the sign that makes the largest entry of each positive."""
    largest = directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])]
    return directions * np.where(largest < 0, -1.0, 1.0)


def _principal(covariance: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return (D, k) directions of most variance, k the lesser of `size` and D."""
    dim = len(covariance)
    unit = np.abs(covariance).max() or 1.0  # the solver loses variances of 1e-40
    found = eigh(covariance / unit, subset_by_index=[max(dim - size, 0), dim - 1])[1]
    return _upright(found[:, ::-1])


def _share(directions: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray:
    """Return the share of the total variance along each direction."""
    along = ((covariance @ directions) * directions).sum(0)
    return along / (np.trace(covariance) or 1.0)


def _law_moments(prior: LatentPrior, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean (D,) and covariance (D, D) of all classes of a law.

    Of draws where a class has no covariance, or all together have too many to be written down.
    """
    weight = np.exp(prior.log_weight)
    size = prior.latent_dim**2 * (1 if prior.one_scale else prior.n_classes)
    within = prior.covariance if size <= _WRITTEN else np.full((1, 1, 1), np.inf)
    if not np.isfinite(within[: 1 if prior.one_scale else None]).all():
        z = prior.sample(_DRAWS, np.random.default_rng(seed))[0]
        return z.mean(0), np.cov(z.T, bias=True)
    mean = weight @ prior.mean
    offset = (prior.mean - mean) * np.sqrt(weight)[:, None]
    own = within[0] if prior.one_scale else np.tensordot(weight, within, 1)
    return mean, own + offset.T @ offset


def _pca(
    found: Moments, law: tuple[NDArray[np.float64], NDArray[np.float64]] | None, size: int
) -> Projection:
    covariance = looked_at = found.covariance
    if law is not None:
        gap, of_law = law[0] - found.centre, law[1]
        sides = [c / (np.trace(c) or 1.0) for c in (covariance, of_law)]
        spread = np.trace(covariance) + np.trace(of_law) or 1.0
        looked_at = sides[0] + sides[1] + np.outer(gap, gap) / spread
    directions = _principal(looked_at, size)
    shares = _share(directions, covariance)
    names = [f"PC {i + 1} ({share:.0%})".replace("%", " %") for i, share in enumerate(shares)]
    return _linear("pca", directions, found.centre, names, size)


def _lda(found: Moments, size: int) -> Projection:
    n_present, dim = int((found.counts > 0).sum()), len(found.centre)
    if n_present < 2:
        raise InputError("lda needs samples of at least two classes; use pca")
    total = found.covariance
    if not np.trace(total) > 0:
        names = [f"LD {i + 1} (nothing varies)" for i in range(min(size, dim))]
        return _linear("lda", np.eye(dim)[:, :size], found.centre, names, size)
    # Units that are constant within classes would be infinitely good: they get a little variance.
    root = np.linalg.cholesky(invertible(found.within))
    half = solve_triangular(root, found.between, lower=True)
    whitened = solve_triangular(root, half.T, lower=True)
    count = min(size, n_present - 1, dim)
    discriminants = solve_triangular(root, _principal(whitened, count), lower=True, trans=1)
    discriminants = _upright(discriminants / max(np.abs(discriminants).max() / _STEEPEST, 1.0))
    names = [f"LD {i + 1}" for i in range(count)]
    rest = min(size, dim) - count
    if rest:
        basis = np.linalg.qr(discriminants)[0]
        left = np.eye(len(total)) - basis @ basis.T
        extra = _principal(left @ total @ left, rest)
        shares = _share(extra, total)
        names += [f"rest PC {i + 1} ({s:.0%})".replace("%", " %") for i, s in enumerate(shares)]
        discriminants = np.hstack([discriminants, extra])
    return _linear("lda", discriminants, found.centre, names, size)


# ---------------------------------------------------------------- UMAP


def _umap(rows: NDArray[np.float64], size: int, seed: int, progress: bool) -> Projection:
    if len(rows) < size + 3:
        raise InputError(f"umap needs at least {size + 3} latents, got {len(rows)}")
    with tqdm(
        total=1, desc="UMAP (the first in a process compiles for about 10 s)", disable=not progress
    ) as bar:
        embed = _umap_embedding(rows, size, seed)
        bar.update()
    names = tuple(f"UMAP {i + 1}" for i in range(size))
    return Projection(method="umap", labels=names, embed=embed)


def _umap_embedding(
    rows: NDArray[np.float64], size: int, seed: int
) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    from sklearn.neighbors import NearestNeighbors

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        neighbours = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(rows) - 1)).fit(rows)
        distance, index = neighbours.kneighbors(rows)
        # Neighbours found here, in float32: UMAP's own search would compile for much longer.
        place = UMAP(
            n_neighbors=neighbours.n_neighbors,
            n_components=size,
            random_state=seed,
            n_jobs=1,
            init="spectral" if len(rows) > 50 else "random",
            precomputed_knn=(index, distance.astype(np.float32), None),
        ).fit_transform(rows)
    place = place.astype(np.float64)

    def embed(z: NDArray[Any]) -> NDArray[np.float64]:
        distance, index = neighbours.kneighbors(z)
        farther = distance - distance[:, :1]
        weight = np.exp(-farther / np.maximum(farther.mean(1, keepdims=True), 1e-300))
        same = distance <= 1e-6 * distance[:, -1:]  # a fitted row, but for rounding
        weight = np.where(same[:, :1], same, weight)
        weight /= weight.sum(1, keepdims=True)
        return np.einsum("nk,nkd->nd", weight, place[index])

    return embed
