"""The frozen records that flow through vcviz, with their shape checks: NumPy only.

Symbols, here and everywhere
----------------------------
N samples, B batch, C classes, D latent dimensions, S Monte-Carlo draws, T attack steps, K bins.

``x`` input, ``z`` latent (the input of the last layer, pre-softmax), ``y`` label,
``log_probs`` natural-log p(y|x) with rows that sum to one after exp.
q(z|y) is the empirical law of the latents of class y, p(z|y) the law that the head
*anticipates* (its "prior"), pi_y the class prior.
A name says its scale: ``scale`` is a standard deviation, ``log_weight`` a logarithm.
An out-of-distribution score is higher for stranger inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from scipy.stats import chi2

from vcviz.errors import InputError, unknown

Kind = Literal["image", "text", "table"]
_BLOCK = 8192

__all__ = [
    "LatentFit",
    "LatentPrior",
    "LatentSet",
    "Projection",
    "ReliabilityCurve",
    "Split",
    "Trajectory",
]


# ---------------------------------------------------------------- checks at the boundary


def as_array(name: str, value: ArrayLike, ndim: int | None = None) -> NDArray[Any]:
    """Return `value` as an array, refusing ragged input and a wrong number of axes.

    A torch tensor is taken as it is, on whatever device and with or without a gradient.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:  # torch refuses bfloat16 with the latter
        raise InputError(f"{name} must be a rectangular array: {error}") from None
    if array.dtype == object:
        raise InputError(f"{name} must be a numeric array, got dtype object; convert it first")
    if ndim is not None and array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} axes, got shape {array.shape}")
    return array


def as_float(
    name: str, value: ArrayLike, ndim: int | None = None, dtype: type = np.float32
) -> NDArray[Any]:
    """Return `value` as a finite float array of `dtype`."""
    array = as_array(name, value, ndim)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} must be numeric, got dtype {array.dtype}")
    with np.errstate(over="ignore"):  # what overflows float32 is refused below, as infinite
        array = np.asarray(array, dtype=dtype)
    finite = np.isfinite(array)
    if not finite.all():
        raise InputError(
            f"{name} has {int((~finite).sum())} NaN or infinite values; remove them first"
        )
    return array


def as_labels(
    name: str, value: ArrayLike, n: int | None = None, n_classes: int | None = None
) -> NDArray[np.int64]:
    """Return `value` as (N,) int64 labels in [0, `n_classes`), one per row of `n`."""
    array = as_array(name, value)
    if n is not None and array.shape != (n,):
        raise InputError(f"{name} must have shape ({n},), one label per row, got {array.shape}")
    if array.ndim != 1:
        raise InputError(f"{name} must have one axis, got shape {array.shape}")
    whole = array.dtype.kind == "f" and np.array_equal(array, np.round(array))
    if whole and (np.abs(array) < 2**53).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise InputError(f"{name} must hold integer labels, got dtype {array.dtype}")
    array = array.astype(np.int64)
    if n_classes is not None and array.size and (array.min() < 0 or array.max() >= n_classes):
        raise InputError(
            f"{name} must lie in [0, {n_classes}), got labels from {array.min()} to {array.max()}"
        )
    return array


def as_log_probs(
    value: ArrayLike, name: str = "log_probs", dtype: type | None = np.float64
) -> NDArray[Any]:
    """Return `value` as (N, C) natural-log probabilities whose rows sum to one.

    Minus infinity is a legal log-probability; NaN and plus infinity are not. A `dtype` of None
    keeps float32 and float64 as they are.
    """
    array = as_array(name, value, 2)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name} must be numeric, got dtype {array.dtype}")
    if array.shape[1] < 2:
        raise InputError(f"{name} must have at least 2 classes, got shape {array.shape}")
    if dtype is None:
        dtype = array.dtype.type if array.dtype in (np.float32, np.float64) else np.float64
    worst = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        array = array.astype(dtype, copy=False)
        for start in range(0, len(array), _BLOCK):  # in cache: a million rows in 20 ms
            total = np.einsum("nc->n", np.exp(array[start : start + _BLOCK]))
            worst = float(np.maximum(worst, np.abs(total - 1).max()))
    if worst < 1e-2:  # false for NaN too
        return array
    if np.isnan(array).any() or np.isposinf(array).any():
        raise InputError(f"{name} holds NaN or +inf values; they are not log-probabilities")
    hint = (
        " (these look like probabilities: pass their log)"
        if (array.min() >= 0 and np.allclose(array.sum(1), 1, atol=1e-2))
        else " (for raw logits subtract their logsumexp first)"
    )
    raise InputError(f"rows of {name} must sum to 1 after exp, one is off by {worst:.3g}{hint}")


def _class_names(names: Sequence[str] | None, n_classes: int) -> tuple[str, ...]:
    if names is None:
        return tuple(str(k) for k in range(n_classes))
    names = tuple(str(n) for n in names)
    if len(names) != n_classes:
        raise InputError(f"class_names must have {n_classes} entries, got {len(names)}")
    return names


def _set(record: object, **values: object) -> None:
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        object.__setattr__(record, name, value)


# ---------------------------------------------------------------- records


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled inputs: images, token ids or table rows.

    Parameters
    ----------
    x : array
        Images (N, c, h, w), uint8 in 0..255 (kept so until they are on the device) or float32
        in [0, 1]; text (N, L) int32 token ids padded with 0; tables (N, F) float32.
    y : (N,) int array in [0, C)
    class_names : C strings; default "0", "1", …
    name : what the split is called in titles, e.g. ``"digits test"``
    kind : "image", "text" or "table"; default from the shape and dtype of `x`
    label_probs : (N, C) array, optional
        Human or true label distributions p(y|x) per row.
    index : (N,) int array, optional
        Row numbers in the source; default 0..N-1. Subsets keep them.
    texts : N strings, optional
        The raw text behind token ids, for hovers.
    labels : mapping of name to (N,) int array, optional
        Further label columns (for example noisy human labels).
    truth : mapping, optional
        Known facts of the generating law, e.g. ``bayes_error`` (fraction) and
        ``mutual_information`` (nats) for ``mixture``.
    preprocessing : mapping, optional
        JSON-able description of how raw rows became `x`, so that new rows can follow.

    Raises
    ------
    InputError
        For empty input, non-finite values, labels out of range or fewer than two classes.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = "data"
    kind: Kind = None  # type: ignore[assignment]
    label_probs: NDArray[np.float64] | None = None
    index: NDArray[np.int64] = None  # type: ignore[assignment]
    texts: tuple[str, ...] | None = None
    labels: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    truth: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        x = as_array("x", self.x)
        if x.ndim < 2 or len(x) == 0 or x[0].size == 0:
            raise InputError(f"x must hold at least one row with values, got shape {x.shape}")
        kind = self.kind or _guess_kind(x)
        if kind not in ("image", "text", "table"):
            raise unknown("kind of data", kind, ("image", "text", "table"))
        x = _checked_inputs(x, kind)
        n = len(x)
        raw = as_labels("y", self.y, n)
        n_classes = len(self.class_names) if self.class_names is not None else int(raw.max()) + 1
        if n_classes < 2:
            raise InputError(f"a classifier needs at least 2 classes, got {n_classes}")
        y = as_labels("y", raw, n, n_classes)
        probs = self.label_probs
        if probs is not None:
            probs = as_float("label_probs", probs, 2, np.float64)
            if probs.shape != (n, n_classes):
                raise InputError(
                    f"label_probs must have shape ({n}, {n_classes}), got {probs.shape}"
                )
            if probs.min() < 0 or np.abs(probs.sum(1) - 1).max() > 1e-3:
                raise InputError("rows of label_probs must be distributions: non-negative, sum 1")
        index = np.arange(n) if self.index is None else as_labels("index", self.index, n)
        texts = None if self.texts is None else tuple(str(t) for t in self.texts)
        if texts is not None and len(texts) != n:
            raise InputError(f"texts must have {n} entries, one per row, got {len(texts)}")
        labels = {k: as_labels(f"labels[{k!r}]", v, n) for k, v in self.labels.items()}
        _set(
            self,
            x=x,
            y=y,
            kind=kind,
            label_probs=probs,
            index=index,
            texts=texts,
            class_names=_class_names(self.class_names, n_classes),
            labels=MappingProxyType(labels),
            truth=MappingProxyType(dict(self.truth)),
            preprocessing=MappingProxyType(dict(self.preprocessing)),
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        """C, the number of classes (those absent from this split included)."""
        return len(self.class_names)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(C,) number of rows of each class."""
        return np.bincount(self.y, minlength=self.n_classes)

    def take(self, rows: ArrayLike, name: str | None = None) -> Split:
        """Return the split of `rows` (integer positions or a boolean mask), in that order."""
        rows = np.asarray(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        if rows.size == 0:
            raise InputError(f"no rows of {self.name!r} were selected; a split cannot be empty")
        return replace(
            self,
            x=self.x[rows],
            y=self.y[rows],
            index=self.index[rows],
            name=name or self.name,
            label_probs=None if self.label_probs is None else self.label_probs[rows],
            texts=None if self.texts is None else tuple(self.texts[i] for i in rows),
            labels={k: v[rows] for k, v in self.labels.items()},
        )


def _guess_kind(x: NDArray[Any]) -> Kind:
    if x.ndim == 4:
        return "image"
    return "text" if x.ndim == 2 and x.dtype in (np.int32, np.int64) else "table"


def _checked_inputs(x: NDArray[Any], kind: Kind) -> NDArray[Any]:
    if kind == "image":
        if x.ndim != 4:
            raise InputError(f"images must have shape (N, channels, height, width), got {x.shape}")
        if x.dtype == np.uint8:
            return x
        x = as_float("x", x)
        if x.min() < 0 or x.max() > 1:
            raise InputError(
                f"float images must lie in [0, 1], got [{x.min():.3g}, {x.max():.3g}]; "
                "divide by 255 or pass uint8"
            )
        return x
    if kind == "text":
        if x.ndim != 2 or x.dtype.kind not in "iu":
            raise InputError(f"token ids must be (N, L) integers, got {x.shape} {x.dtype}")
        if x.min() < 0:
            raise InputError(f"token ids must be 0 (padding) or positive, got {x.min()}")
        return x.astype(np.int32, copy=False)
    if x.ndim != 2:
        raise InputError(f"a table must have shape (N, features), got {x.shape}")
    return as_float("x", x)


@dataclass(frozen=True, eq=False)
class LatentSet:
    """Latents of a split with what the classifier said about them.

    Parameters
    ----------
    z : (N, D) float array, the input of the classifier's last layer
    log_probs : (N, C) float array, natural-log p(y|x), rows sum to 1 after exp
    y : (N,) int array in [0, C)
    index : (N,) int array, optional; row of each sample in its split, default 0..N-1
    class_names : C strings, optional
    name : shown in titles and legends
    """

    z: NDArray[np.float32]
    log_probs: NDArray[np.float32]
    y: NDArray[np.int64]
    index: NDArray[np.int64] = None  # type: ignore[assignment]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = "latents"

    def __post_init__(self) -> None:
        z = as_float("z", self.z, 2)
        if z.shape[0] == 0 or z.shape[1] == 0:
            raise InputError(f"z must hold at least one latent, got shape {z.shape}")
        log_probs = as_log_probs(self.log_probs, dtype=np.float32)
        if len(log_probs) != len(z):
            raise InputError(f"log_probs must have {len(z)} rows to match z, got {len(log_probs)}")
        y = as_labels("y", self.y, len(z), log_probs.shape[1])
        index = np.arange(len(z)) if self.index is None else as_labels("index", self.index, len(z))
        _set(
            self,
            z=z,
            log_probs=log_probs,
            y=y,
            index=index,
            class_names=_class_names(self.class_names, log_probs.shape[1]),
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return self.log_probs.shape[1]

    @property
    def latent_dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.z.shape[1]

    @property
    def accuracy(self) -> float:
        """Share of samples whose most probable class is the label (a fraction)."""
        return float((self.log_probs.argmax(1) == self.y).mean())

    def take(self, rows: ArrayLike) -> LatentSet:
        """Return the latents of `rows` (integer positions or a boolean mask)."""
        rows = np.asarray(rows)
        return replace(
            self,
            z=self.z[rows],
            log_probs=self.log_probs[rows],
            y=self.y[rows],
            index=self.index[rows],
        )


@dataclass(frozen=True, eq=False)
class LatentPrior:
    """Class-conditional law p(z|y) that a head anticipates, with the class prior pi.

    Parameters
    ----------
    mean : (C, D) array
    scale : (C, D) array of standard deviations; give this or `scale_tril`
    scale_tril : (C, D, D) array, lower Cholesky factors of the covariances
    log_weight : (C,) array, log pi; normalised here; default uniform
    family : "gaussian"

    Raises
    ------
    InputError
        If shapes disagree, a scale is not positive, or the family is unknown.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64] = None  # type: ignore[assignment]
    scale_tril: NDArray[np.float64] = None  # type: ignore[assignment]
    log_weight: NDArray[np.float64] = None  # type: ignore[assignment]
    family: str = "gaussian"

    def __post_init__(self) -> None:
        if self.family != "gaussian":
            raise unknown("family", self.family, ("gaussian",))
        mean = as_float("mean", self.mean, 2, np.float64)
        if mean.size == 0:
            raise InputError(f"mean must be (C, D) with at least one of each, got {mean.shape}")
        c, d = mean.shape
        if (self.scale is None) == (self.scale_tril is None):
            raise InputError("give exactly one of scale (C, D) and scale_tril (C, D, D)")
        scale, tril = self.scale, self.scale_tril
        if scale is not None:
            scale = as_float("scale", scale, None, np.float64)
            try:
                scale = np.array(np.broadcast_to(scale, (c, d)))
            except ValueError:
                raise InputError(
                    f"scale must have shape ({c}, {d}) like mean, got {scale.shape}"
                ) from None
            if scale.min() <= 0:
                raise InputError(
                    f"scale must be positive, got a smallest value of {scale.min():.3g}"
                )
        if tril is not None:
            tril = as_float("scale_tril", tril, 3, np.float64)
            if tril.shape != (c, d, d):
                raise InputError(f"scale_tril must have shape ({c}, {d}, {d}), got {tril.shape}")
            if np.diagonal(tril, axis1=1, axis2=2).min() <= 0 or np.abs(np.triu(tril, 1)).max() > 0:
                raise InputError("scale_tril must be lower triangular with a positive diagonal")
        if self.log_weight is None:
            log_weight = np.full(c, -np.log(c))
        else:
            # -inf is legal: a class that never occurred in training.
            log_weight = as_array("log_weight", self.log_weight, 1)
            if (
                log_weight.shape != (c,)
                or log_weight.dtype.kind not in "fiu"
                or not np.isfinite(log_weight.max())
            ):
                raise InputError(f"log_weight must be ({c},) logs of class weights")
            log_weight = log_weight.astype(np.float64)
            log_weight = log_weight - logsumexp(log_weight)
        _set(self, mean=mean, scale=scale, scale_tril=tril, log_weight=log_weight)

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return self.mean.shape[0]

    @property
    def latent_dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.mean.shape[1]

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(C, D, D) covariance matrices."""
        tril = self._tril()
        return tril @ tril.transpose(0, 2, 1)

    def _tril(self) -> NDArray[np.float64]:
        if self.scale_tril is not None:
            return self.scale_tril
        return np.einsum("cd,de->cde", self.scale, np.eye(self.latent_dim))

    def whiten(self, z: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Return (N, D) residuals of `z` under the law of label `y`; where it fits, N(0, I)."""
        z = self._latents(z)
        y = as_labels("y", y, len(z), self.n_classes)
        if self.scale is not None:
            return (z - self.mean[y]) / self.scale[y]
        out = np.empty_like(z)
        for k in np.unique(y):
            rows = y == k
            out[rows] = _solve_lower(self.scale_tril[k], z[rows] - self.mean[k])
        return out

    def log_prob(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N, C) log densities log p(z|y) in nats."""
        z = self._latents(z)
        out = np.empty((len(z), self.n_classes))
        for k in range(self.n_classes):
            if self.scale is not None:
                u, logdet = (z - self.mean[k]) / self.scale[k], np.log(self.scale[k]).sum()
            else:
                tril = self.scale_tril[k]
                u, logdet = _solve_lower(tril, z - self.mean[k]), np.log(np.diagonal(tril)).sum()
            out[:, k] = -0.5 * (u**2).sum(1) - logdet - 0.5 * self.latent_dim * np.log(2 * np.pi)
        return out

    def log_marginal(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N,) log p(z) = log sum_y pi_y p(z|y) in nats."""
        return logsumexp(self.log_prob(z) + self.log_weight, axis=1)

    def log_posterior(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N, C) log p(y|z) by Bayes' rule, rows sum to 1 after exp."""
        joint = self.log_prob(z) + self.log_weight
        return joint - logsumexp(joint, axis=1, keepdims=True)

    def sample(
        self, n: int | ArrayLike, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw latents with their labels.

        Parameters
        ----------
        n : number of draws, labels from pi; or an (N,) array of labels to draw for
        rng : NumPy generator

        Returns
        -------
        z : (N, D) array
        y : (N,) labels
        """
        if np.ndim(n) == 0:
            size = int(np.asarray(n))
            if size < 0:
                raise InputError(f"n must be a number of draws, 0 or more, got {size}")
            y = rng.choice(self.n_classes, size=size, p=np.exp(self.log_weight))
        else:
            y = as_labels("n", n, None, self.n_classes)
        noise = rng.standard_normal((len(y), self.latent_dim))
        if self.scale is not None:
            return self.mean[y] + self.scale[y] * noise, y
        for k in np.unique(y):
            noise[y == k] = noise[y == k] @ self.scale_tril[k].T
        return self.mean[y] + noise, y

    def project(self, projection: Projection) -> LatentPrior:
        """Return the law of the projected latents: exact, as a linear map keeps it Gaussian.

        An axis along which nothing varies (the second of one-dimensional latents) gets a
        standard deviation of 1e-6 of the others, so that the law keeps a density.

        Raises
        ------
        InputError
            If the projection is not linear.
        """
        if projection.matrix is None:
            raise InputError(
                f"a law can only be projected linearly, {projection.method!r} is not linear"
            )
        covariance = projection.matrix.T @ self.covariance @ projection.matrix
        variance = np.diagonal(covariance, axis1=1, axis2=2).copy()
        axes = np.arange(variance.shape[1])
        covariance[:, axes, axes] = np.maximum(variance, 1e-12 * variance.max(1, keepdims=True))
        return LatentPrior(
            mean=projection(self.mean),
            scale_tril=np.linalg.cholesky(covariance),  # type: ignore[arg-type]
            log_weight=self.log_weight,
            family=self.family,
        )

    def mass_radius(self, mass: float) -> float:
        """Return the Mahalanobis radius of the region that holds `mass` of each class."""
        return float(np.sqrt(chi2.ppf(mass, self.latent_dim)))

    def _latents(self, z: ArrayLike) -> NDArray[np.float64]:
        z = as_float("z", z, 2, np.float64)
        if z.shape[1] != self.latent_dim:
            raise InputError(
                f"z must have {self.latent_dim} columns to match the prior, got {z.shape[1]}"
            )
        return z


def _solve_lower(tril: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.linalg import solve_triangular

    return solve_triangular(tril, rows.T, lower=True).T


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Accuracy against confidence in bins, with every number a figure needs.

    All arrays have length K (bins) except `edges` (K+1). Empty bins have count 0 and NaN
    elsewhere. `ece` and friends are fractions, not percentages. Intervals hold 95 % unless
    `level` says otherwise.

    Attributes
    ----------
    edges : bin k covers (edges[k], edges[k+1]], the first also its left edge
    count, confidence, accuracy : per bin
    band_low, band_high : bootstrap interval of each bin's accuracy
    consistency_low, consistency_high : where the accuracy of a perfectly calibrated model of
        this size would fall (Broecker & Smith 2007)
    ece, ece_interval : the estimate and its bootstrap interval
    ece_if_calibrated, ece_if_calibrated_interval : mean and interval of the ECE of a perfectly
        calibrated model with these confidences (the finite-sample floor)
    n, binning, level, name : sample count; "width" or "mass"; interval mass; title
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    band_low: NDArray[np.float64]
    band_high: NDArray[np.float64]
    consistency_low: NDArray[np.float64]
    consistency_high: NDArray[np.float64]
    ece: float
    ece_interval: tuple[float, float]
    ece_if_calibrated: float
    ece_if_calibrated_interval: tuple[float, float]
    n: int
    binning: Literal["width", "mass"] = "width"
    level: float = 0.95
    name: str = "reliability"

    def __post_init__(self) -> None:
        edges = as_float("edges", self.edges, 1, np.float64)
        per_bin = {
            name: np.asarray(getattr(self, name))
            for name in (
                "count",
                "confidence",
                "accuracy",
                "band_low",
                "band_high",
                "consistency_low",
                "consistency_high",
            )
        }
        for name, value in per_bin.items():
            if value.shape != (len(edges) - 1,):
                raise InputError(f"{name} must have shape ({len(edges) - 1},), got {value.shape}")
        _set(self, edges=edges, **per_bin)

    @property
    def n_bins(self) -> int:
        """K, the number of bins."""
        return len(self.count)


@dataclass(frozen=True, eq=False)
class LatentFit:
    """How well the anticipated law p(z|y) describes the latents, class by class.

    All arrays have length C; a class with too few samples has NaN.

    Attributes
    ----------
    class_names : C strings
    count : samples per class
    kl, kl_interval : moment KL in nats, KL(N(mean, cov of the latents) || p(z|y)), closed form,
        with its interval (C, 2)
    energy, energy_interval, energy_p : energy distance of the whitened residuals from a standard
        normal (0 = equal laws), bootstrap interval (C, 2), Monte-Carlo p-value
    auc, auc_interval : held-out AUC of a classifier that tells latents from draws of p(z|y)
        (0.5 = indistinguishable), interval (C, 2)
    whitened_variance : mean variance of the whitened residuals (1 = as anticipated)
    name, level
    """

    class_names: tuple[str, ...]
    count: NDArray[np.int64]
    kl: NDArray[np.float64]
    kl_interval: NDArray[np.float64]
    energy: NDArray[np.float64]
    energy_interval: NDArray[np.float64]
    energy_p: NDArray[np.float64]
    auc: NDArray[np.float64]
    auc_interval: NDArray[np.float64]
    whitened_variance: NDArray[np.float64]
    name: str = "fit"
    level: float = 0.95

    def __post_init__(self) -> None:
        c = len(self.class_names)
        arrays = {}
        for name in ("count", "kl", "energy", "energy_p", "auc", "whitened_variance"):
            arrays[name] = np.asarray(getattr(self, name))
            if arrays[name].shape != (c,):
                raise InputError(f"{name} must have shape ({c},), got {arrays[name].shape}")
        for name in ("kl_interval", "energy_interval", "auc_interval"):
            arrays[name] = np.asarray(getattr(self, name))
            if arrays[name].shape != (c, 2):
                raise InputError(f"{name} must have shape ({c}, 2), got {arrays[name].shape}")
        _set(self, **arrays)

    def mean(self, statistic: str) -> float:
        """Return the mean of a per-class statistic over the classes that have one."""
        values = np.asarray(getattr(self, statistic), dtype=float)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """An attack with every step kept.

    Attributes
    ----------
    z : (T+1, N, D) latents along the way; step 0 is the clean input
    log_probs : (T+1, N, C)
    distance : (T+1, N) distance from the clean input in `norm`
    x, x_adv : (N, …) clean and final inputs, in [0, 1]
    y : (N,) labels
    epsilon, norm, method : radius, "linf" or "l2", name of the attack
    index : (N,) rows in the split
    class_names, name
    """

    z: NDArray[np.float32]
    log_probs: NDArray[np.float32]
    distance: NDArray[np.float32]
    x: NDArray[np.float32]
    x_adv: NDArray[np.float32]
    y: NDArray[np.int64]
    epsilon: float
    norm: Literal["linf", "l2"]
    method: str
    index: NDArray[np.int64] = None  # type: ignore[assignment]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = "attack"

    def __post_init__(self) -> None:
        z = as_float("z", self.z, 3)
        log_probs = as_array("log_probs", self.log_probs, 3).astype(np.float32)
        if log_probs.shape[:2] != z.shape[:2]:
            raise InputError(
                f"log_probs must start with {z.shape[:2]} like z, got {log_probs.shape}"
            )
        distance = as_float("distance", self.distance, 2)
        if distance.shape != z.shape[:2]:
            raise InputError(f"distance must have shape {z.shape[:2]}, got {distance.shape}")
        n, c = z.shape[1], log_probs.shape[2]
        index = np.arange(n) if self.index is None else as_labels("index", self.index, n)
        _set(
            self,
            z=z,
            log_probs=log_probs,
            distance=distance,
            index=index,
            x=as_float("x", self.x),
            x_adv=as_float("x_adv", self.x_adv),
            y=as_labels("y", self.y, n, c),
            class_names=_class_names(self.class_names, c),
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return len(self.z) - 1

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(T+1,) accuracy after each step (a fraction)."""
        return (self.log_probs.argmax(2) == self.y).mean(1)

    @property
    def first_flip(self) -> NDArray[np.int64]:
        """(N,) first step at which the prediction is not the label; -1 if it never happens."""
        wrong = self.log_probs.argmax(2) != self.y
        return np.where(wrong.any(0), wrong.argmax(0), -1)

    def at(self, step: int) -> LatentSet:
        """Return the latents after `step` attack steps."""
        return LatentSet(
            self.z[step],
            self.log_probs[step],
            self.y,
            self.index,
            self.class_names,
            name=f"{self.name}, step {step}",
        )


@dataclass(frozen=True, eq=False)
class Projection:
    """A fitted map (N, D) to (N, k) with k of 2 or 3.

    Attributes
    ----------
    method : "pair", "pca", "lda" or "umap"
    labels : k axis titles
    matrix : (D, k) array of a linear map, ``(z - offset) @ matrix``; None if it is not linear
    offset : (D,) array, default zeros
    embed : callable (N, D) -> (N, k) for maps that are not linear
    """

    method: str
    labels: tuple[str, ...]
    matrix: NDArray[np.float64] = None  # type: ignore[assignment]
    offset: NDArray[np.float64] = None  # type: ignore[assignment]
    embed: Callable[[NDArray[Any]], NDArray[Any]] | None = None

    def __post_init__(self) -> None:
        if (self.matrix is None) == (self.embed is None):
            raise InputError(
                "a projection needs exactly one of matrix (linear) and embed (not linear)"
            )
        if self.matrix is not None:
            matrix = as_float("matrix", self.matrix, 2, np.float64)
            offset = (
                np.zeros(len(matrix))
                if self.offset is None
                else as_float("offset", self.offset, 1, np.float64)
            )
            if offset.shape != (len(matrix),) or matrix.shape[1] != len(self.labels):
                raise InputError(
                    f"matrix {matrix.shape}, offset {offset.shape} and "
                    f"{len(self.labels)} labels disagree"
                )
            _set(self, matrix=matrix, offset=offset)

    @property
    def linear(self) -> bool:
        """Whether the map is linear, so that laws can be projected exactly."""
        return self.matrix is not None

    def __call__(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return (N, k) projected latents."""
        z = as_float("z", z, 2, np.float64)
        if self.embed is not None:
            return np.asarray(self.embed(z), dtype=np.float64)
        if z.shape[1] != len(self.matrix):
            raise InputError(
                f"z must have {len(self.matrix)} columns for this projection, got {z.shape[1]}"
            )
        return (z - self.offset) @ self.matrix
