"""Maps from latents to the plane: a pair of axes, PCA, LDA, UMAP."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from vcviz.densities import pooled_covariance
from vcviz.errors import InputError, clip, expect, unknown
from vcviz.records import LatentPrior, LatentSet, Projection, as_array, as_float

Method = Literal["pair", "pca", "lda", "umap"]
METHODS: tuple[str, ...] = ("pair", "pca", "lda", "umap")

__all__ = ["METHODS", "fit_projection", "plane_latents"]

#: rows that UMAP is fitted to; others take their place among those
UMAP_ROWS = 5000
_NEIGHBOURS = 15
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


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
    prior : anticipated law; ``"pca"`` and ``"umap"`` then look at as many draws of it as there are
        latents too (in ``"pca"`` either side counts the same, whatever its spread), so that the
        map shows where the two differ
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
        of the variance of the latents.

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
    """
    if method not in METHODS:
        raise unknown("projection", method, METHODS)
    sets = [lat] if isinstance(lat, LatentSet) else list(lat)
    z, y = _together(sets)
    if n_components not in (2, 3):
        raise InputError(f"n_components must be 2 or 3, got {n_components!r}")
    if method == "pair":
        return _pair(z.shape[1], dims)
    if method == "lda":
        return _lda(z, y, n_components)
    draws = None
    if prior is not None:
        if prior.latent_dim != z.shape[1]:
            raise InputError(f"prior must have {z.shape[1]} dimensions, got {prior.latent_dim}")
        draws = prior.sample(len(z), np.random.default_rng(seed))[0]
    if method == "pca":
        return _pca(z, draws, n_components)
    return _umap(z, draws, n_components, seed, progress)


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


def _together(sets: Sequence[LatentSet]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    if not sets:
        raise InputError("fit_projection needs at least one LatentSet, got none")
    widths = sorted({s.latent_dim for s in sets})
    if len(widths) > 1:
        raise InputError(f"the sets must share one latent dimension, got {widths}")
    z = np.concatenate([s.z for s in sets]).astype(np.float64)
    return z, np.concatenate([s.y for s in sets])


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
    return _linear("pair", np.eye(dim)[:, axes], None, names, shown)


def _linear(
    method: str,
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64] | None,
    names: Sequence[str],
    size: int,
) -> Projection:
    """Return the map with axes of zeros added up to `size`."""
    missing = size - matrix.shape[1]
    return Projection(
        method=method,
        labels=(*names, *["(no axis)"] * missing),
        matrix=np.pad(matrix, ((0, 0), (0, missing))),
        offset=np.zeros(len(matrix)) if offset is None else offset,
    )


def _upright(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the columns with the sign that makes the largest entry of each positive."""
    largest = directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])]
    return directions * np.where(largest < 0, -1.0, 1.0)


def _principal(covariance: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return (D, k) directions of most variance, k the lesser of `size` and D."""
    return _upright(np.linalg.eigh(covariance)[1][:, ::-1][:, :size])


def _covariance(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = z.mean(0)
    centred = z - mean
    return mean, centred.T @ centred / len(z)


def _share(directions: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray:
    """Return the share of the total variance along each direction."""
    along = np.einsum("dk,de,ek->k", directions, covariance, directions)
    return along / (np.trace(covariance) or 1.0)


def _pca(z: NDArray[np.float64], draws: NDArray[np.float64] | None, size: int) -> Projection:
    mean, covariance = _covariance(z)
    looked_at = covariance
    if draws is not None:
        gap, of_law = draws.mean(0) - mean, _covariance(draws)[1]
        sides = [c / (np.trace(c) or 1.0) for c in (covariance, of_law)]
        spread = np.trace(covariance) + np.trace(of_law) or 1.0
        looked_at = sides[0] + sides[1] + np.outer(gap, gap) / spread
    directions = _principal(looked_at, size)
    shares = _share(directions, covariance)
    names = [f"PC {i + 1} ({share:.0%})".replace("%", " %") for i, share in enumerate(shares)]
    return _linear("pca", directions, mean, names, size)


def _lda(z: NDArray[np.float64], y: NDArray[np.int64], size: int) -> Projection:
    present = np.unique(y)
    if len(present) < 2:
        raise InputError("lda needs samples of at least two classes; use pca")
    mean, total = _covariance(z)
    within = pooled_covariance(z, y, int(present[-1]) + 1)
    values, vectors = np.linalg.eigh(within)
    # Directions without within-class variance would be infinitely good: give them a little.
    floor = 1e-6 * max(values.mean(), 1e-12 * np.trace(total) + 1e-300)
    whiten = vectors / np.sqrt(np.maximum(values, floor))
    between = sum(
        (y == k).mean() * np.outer(offset, offset)
        for k in present
        for offset in [z[y == k].mean(0) - mean]
    )
    count = min(size, len(present) - 1, z.shape[1])
    discriminants = whiten @ _principal(whiten.T @ between @ whiten, count)
    names = [f"LD {i + 1}" for i in range(count)]
    discriminants = _upright(discriminants)
    rest = min(size, z.shape[1]) - count
    if rest:
        basis = np.linalg.qr(discriminants)[0]
        left = np.eye(len(total)) - basis @ basis.T
        extra = _principal(left @ total @ left, rest)
        shares = _share(extra, total)
        names += [f"rest PC {i + 1} ({s:.0%})".replace("%", " %") for i, s in enumerate(shares)]
        discriminants = np.hstack([discriminants, extra])
    return _linear("lda", discriminants, mean, names, size)


# ---------------------------------------------------------------- UMAP


def _umap(
    z: NDArray[np.float64],
    draws: NDArray[np.float64] | None,
    size: int,
    seed: int,
    progress: bool,
) -> Projection:
    rows = z if draws is None else np.concatenate([z, draws])
    if len(rows) > UMAP_ROWS:
        chosen = np.random.default_rng(seed).choice(len(rows), UMAP_ROWS, replace=False)
        rows = rows[np.sort(chosen)]
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
