"""Class-conditional Gaussians: data whose true p(y|x), Bayes error and information are known.

x ~ N(mean_y, covariance_y), y ~ weights. The setting of Qin, Kim & Gedeon (2019, arXiv 1911.10688),
five unit Gaussians at 0, ±2·1 and ±4·1, is ``means="diagonal", separation=2``.

Its numbers, with noisy posterior p(y|x) and marginal p(y), in nats:

    bayes_error = 1 - E_x[max_y p(y|x)],   I(X;Y) = H(Y) - E_x[H(Y|X=x)].

Where the classes differ along one line only (one dimension, or one shared covariance and means
that are collinear once it is whitened) the expectation is a quadrature in one dimension;
elsewhere it is a Monte-Carlo mean over draws of x, whose standard error is given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.spatial.distance import pdist
from scipy.special import entr
from scipy.stats import norm

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_choice, check_count, check_fraction, check_number
from vcviz.base.progress import bar
from vcviz.data.subsets import TEST_FRACTION, train_and_test
from vcviz.data.tables import plain_table
from vcviz.records import LatentPrior, Split, as_float

ARRANGEMENTS = ("circle", "diagonal", "random")
COVARIANCES = ("isotropic", "diagonal", "full")
#: draws of the Monte-Carlo estimate
DRAWS = 100_000


def load_mixture(
    *,
    seed: int = 0,
    test_fraction: float = TEST_FRACTION,
    n: int = 3000,
    n_classes: int | None = None,
    dim: int | None = None,
    means: str | ArrayLike | None = None,
    separation: float = 4.0,
    scale: float | ArrayLike = 1.0,
    covariance: str | ArrayLike = "isotropic",
    weights: ArrayLike | None = None,
    imbalance: float = 1.0,
    label_noise: float = 0.0,
    law_seed: int = 0,
) -> tuple[Split, Split]:
    """Return a train and a test split drawn from a known mixture, with the truth about it.

    `label_probs` holds the true p(y|x) of every row. `truth` holds ``bayes_error`` (fraction),
    ``mutual_information`` I(X;Y) and ``label_entropy`` H(Y) (nats), their standard errors
    ``…_se``, ``method`` ("quadrature": exact, standard errors 0; or "monte carlo" with ``draws``),
    and the law: ``means`` (C, dim), ``covariances`` (C, dim, dim), ``weights`` (C,),
    ``label_noise``. `true_prior` turns the law into a `LatentPrior`.

    Parameters
    ----------
    seed : which samples are drawn, and their split; the law does not depend on it
    test_fraction : share of the rows that becomes the test split
    n : rows in all, at least two a class
    n_classes : C, default 5, or as many as `means` or `weights` has
    dim : dimensions of x, default 2, or as many as `means` has
    means : (C, dim) list, or (C, 1) to be repeated in every dimension, or an arrangement:
        "circle" in the first two dimensions (default from two dimensions on), "diagonal" =
        multiples of the all-ones vector (default in one), or "random" directions
    separation : smallest distance between means; for "diagonal" the step in every coordinate
    scale : standard deviation: one number, or one a class
    covariance : "isotropic"; "diagonal" and "full" draw, for every class, one standard deviation
        an axis between half and twice `scale`, "full" also a rotation; or a (C, dim, dim) list
    weights : C class probabilities (normalised), default equal
    imbalance : largest over smallest class weight, falling geometrically from class to class
    label_noise : share of the labels replaced by another class, each equally likely. `truth` and
        `label_probs` are about the noisy label; ``labels["clean_label"]`` keeps the other
    law_seed : seed of what "random", "diagonal" and "full" draw

    Raises
    ------
    InputError
        For options out of range or at odds with each other.
    """
    rng = np.random.default_rng(check_count("law_seed", law_seed, minimum=0))
    if means is None or isinstance(means, str):
        n_classes, dim = _sizes(None, weights, n_classes, dim)
        mean = _arranged(means, n_classes, dim, separation, rng)
    else:
        mean = _listed(means, dim)
        n_classes, dim = _sizes(mean, weights, n_classes, dim)
    law = LatentPrior(
        mean=mean,
        log_weight=_log_weights(weights, imbalance, n_classes),
        **_spread(scale, covariance, n_classes, dim, rng),
    )
    noise = check_fraction("label_noise", label_noise, zero=True)
    whole = _draw(law, check_count("n", n, minimum=2 * n_classes), noise, seed)
    truth = {
        **true_numbers(law, label_noise=noise, seed=law_seed),
        "means": law.mean.tolist(),
        "covariances": law.covariance.tolist(),
        "weights": np.exp(law.log_weight).tolist(),
        "label_noise": noise,
    }
    return train_and_test(replace(whole, truth=truth), test_fraction, seed=seed)


@takes_records
def true_prior(split: Split) -> LatentPrior:
    """Return the distribution that a mixture split was drawn from, before any label noise.

    Parameters
    ----------
    split : from ``load_data("mixture")``, train or test

    Returns
    -------
    LatentPrior
        Gaussian, over the inputs x.

    Raises
    ------
    InputError
        If the split does not carry its law.

    Examples
    --------
    >>> _, test = vcviz.load_data("mixture", n=300)
    >>> law = vcviz.data.true_prior(test)
    >>> law.family, law.mean.shape
    ('gaussian', (5, 2))
    >>> predicted = law.log_posterior(test.x).argmax(axis=1)  # the Bayes classifier
    >>> print(f"{np.mean(predicted == test.y):.1f}")
    1.0
    """
    if not {"means", "covariances", "weights"} <= set(split.truth):
        raise InputError(
            f"{split.name!r} does not say what law it was drawn from; only 'mixture' data does"
        )
    mean, covariances, weights = (
        np.asarray(split.truth[key]) for key in ("means", "covariances", "weights")
    )
    axes = np.diagonal(covariances, axis1=1, axis2=2)
    if np.array_equal(covariances, axes[..., None] * np.eye(axes.shape[1])):
        return LatentPrior(mean=mean, scale=np.sqrt(axes), log_weight=np.log(weights))
    return LatentPrior(
        mean=mean, scale_tril=np.linalg.cholesky(covariances), log_weight=np.log(weights)
    )


def _draw(prior: LatentPrior, n: int, noise: float, seed: int) -> Split:
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    z, clean = prior.sample(n, rng)
    x = z.astype(np.float32)
    # The other classes are a shift of 1..C-1 away, each equally likely.
    shift = np.where(rng.random(n) < noise, rng.integers(1, prior.n_classes, n), 0)
    y = (clean + shift) % prior.n_classes
    return Split(
        x=x,
        y=y,
        class_names=tuple(str(k) for k in range(prior.n_classes)),
        name="mixture",
        kind="table",
        label_probs=noisy(np.exp(prior.log_posterior(x)), noise),
        labels={"clean_label": clean} if noise else {},
        preprocessing=plain_table([f"x{i + 1}" for i in range(prior.latent_dim)]),
    )


def _listed(means: ArrayLike, dim: int | None) -> NDArray[np.float64]:
    means = as_float("means", means, 2, np.float64)
    if means.shape[1] == 1 and dim is not None:
        return np.repeat(means, check_count("dim", dim), axis=1)
    return means


def _sizes(
    means: NDArray[Any] | None, weights: ArrayLike | None, n_classes: int | None, dim: int | None
) -> tuple[int, int]:
    """Return (C, dim) as `means` and `weights` say them, or as asked, or the defaults."""
    said_classes = (
        len(means) if means is not None else None if weights is None else np.size(weights)
    )
    said_dim = None if means is None else means.shape[1]
    sizes = []
    for name, asked, said, default, least in (
        ("n_classes", n_classes, said_classes, 5, 2),
        ("dim", dim, said_dim, 2, 1),
    ):
        if asked is not None and said is not None and asked != said:
            source = "means" if means is not None else "weights"
            raise InputError(f"{name} is {asked}, but {source} says {said}; leave out {name}")
        value = next(v for v in (asked, said, default) if v is not None)
        sizes.append(check_count(name, value, minimum=least))
    return sizes[0], sizes[1]


def _arranged(
    name: str | None, n_classes: int, dim: int, separation: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return (C, dim) means whose smallest distance is `separation` (a step for "diagonal")."""
    separation = check_number("separation", separation, above=0)
    name = name or ("circle" if dim > 1 else "diagonal")
    if name == "diagonal":
        steps = np.arange(n_classes) - (n_classes - 1) / 2
        return np.outer(steps * separation, np.ones(dim))
    if name == "circle":
        if dim == 1:
            raise InputError("means='circle' needs dim of 2 or more; use means='diagonal'")
        angle = 2 * np.pi * np.arange(n_classes) / n_classes
        means = np.zeros((n_classes, dim))
        means[:, 0], means[:, 1] = np.cos(angle), np.sin(angle)
    elif name == "random":
        means = rng.standard_normal((n_classes, dim))
    else:
        raise unknown("arrangement of means", name, ARRANGEMENTS)
    return means * (separation / pdist(means).min())


def _spread(
    scale: float | ArrayLike,
    covariance: str | ArrayLike,
    n_classes: int,
    dim: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return the `scale` or the `scale_tril` of a `LatentPrior`."""
    scales = as_float("scale", scale, None, np.float64)
    if scales.shape not in ((), (n_classes,)) or scales.min() <= 0:
        raise InputError(
            f"scale must be one positive number or {n_classes}, one a class, got {scales.tolist()}"
        )
    scales = np.broadcast_to(scales, n_classes)[:, None]
    if not isinstance(covariance, str):
        matrices = as_float("covariance", covariance, 3, np.float64)
        symmetric = matrices.shape == (n_classes, dim, dim) and np.allclose(
            matrices, matrices.transpose(0, 2, 1)
        )
        if not symmetric or np.linalg.eigvalsh(matrices).min() <= 0:
            raise InputError(
                f"covariance must hold {n_classes} symmetric positive definite matrices of "
                f"{dim}x{dim}, got shape {matrices.shape}"
            )
        return {"scale_tril": np.linalg.cholesky(matrices)}
    if covariance == "isotropic":
        return {"scale": np.repeat(scales, dim, axis=1)}
    check_choice("covariance", covariance, COVARIANCES)
    axes = scales * 2 ** rng.uniform(-1, 1, (n_classes, dim))
    if covariance == "diagonal":
        return {"scale": axes}
    rotation = np.linalg.qr(rng.standard_normal((n_classes, dim, dim)))[0]
    turned = rotation * axes[:, None]
    return {"scale_tril": np.linalg.cholesky(turned @ turned.transpose(0, 2, 1))}


def _log_weights(
    weights: ArrayLike | None, imbalance: float, n_classes: int
) -> NDArray[np.float64]:
    """Return (C,) log class weights."""
    if weights is None:
        if check_number("imbalance", imbalance) < 1:
            raise InputError(f"imbalance must be 1 (equal classes) or more, got {imbalance}")
        return -np.log(imbalance) * np.arange(n_classes) / (n_classes - 1)
    if imbalance != 1:
        raise InputError("give weights or imbalance, not both")
    values = as_float("weights", weights, 1, np.float64)
    if len(values) != n_classes or values.min() <= 0:
        raise InputError(f"weights must be {n_classes} positive numbers, got {values.tolist()}")
    return np.log(values)


def true_numbers(prior: LatentPrior, *, label_noise: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """Return ``bayes_error``, ``mutual_information``, ``label_entropy``, errors and the method."""
    entropy = float(entr(noisy(np.exp(prior.log_weight), label_noise)).sum())
    line = as_line(prior)
    if line is None:
        mean, error = _monte_carlo(prior, label_noise, np.random.default_rng(seed))
        how: dict[str, Any] = {"method": "monte carlo", "draws": DRAWS}
    else:
        mean, error = _quadrature(line, label_noise), np.zeros(2)
        how = {"method": "quadrature"}
    return {
        "bayes_error": float(mean[0]),
        "bayes_error_se": float(error[0]),
        "mutual_information": entropy - float(mean[1]),
        "mutual_information_se": float(error[1]),
        "label_entropy": entropy,
        **how,
    }


def noisy(probs: NDArray[np.float64], label_noise: float) -> NDArray[np.float64]:
    """Return class probabilities (…, C) after a share of the labels moved to the other classes."""
    others = (1 - probs) / (probs.shape[-1] - 1)
    return (1 - label_noise) * probs + label_noise * others


def as_line(prior: LatentPrior) -> LatentPrior | None:
    """Return the one-dimensional law with the same posterior along the line, or None.

    For a shared covariance L L' the posterior depends on u = L^-1 x alone, in which every class
    has unit covariance; if the means of u are collinear, only the coordinate along them matters.
    """
    if prior.latent_dim == 1:
        return prior
    covariances = prior.covariance
    if not np.allclose(covariances, covariances[0], rtol=1e-12, atol=0):
        return None
    lower = np.linalg.cholesky(covariances[0])
    centred = prior.mean - prior.mean.mean(0)
    u = solve_triangular(lower, centred.T, lower=True).T
    _, lengths, axes = np.linalg.svd(u, full_matrices=False)
    if lengths[1:].max(initial=0) > 1e-9 * lengths[0]:
        return None
    return LatentPrior(mean=u @ axes[:1].T, scale=np.ones((1, 1)), log_weight=prior.log_weight)


def _losses(log_posterior: NDArray[np.float64], label_noise: float) -> NDArray[np.float64]:
    """Return (n, 2): probability of error of the best guess, and entropy of the label (nats)."""
    probs = noisy(np.exp(log_posterior), label_noise)
    return np.stack([1 - probs.max(1), entr(probs).sum(1)], axis=1)


def _quadrature(prior: LatentPrior, label_noise: float) -> NDArray[np.float64]:
    """Return the expectations of `_losses`, by the trapezoidal rule over each class in turn.

    The rule converges faster than any power of the step for these smooth integrands; the corners
    of the maximum leave an error of about the square of the step.
    """
    n_classes = prior.n_classes
    points = int(np.clip(2e8 / n_classes**2, 2001, 24001))
    u = np.linspace(-12, 12, points)
    density = norm.pdf(u) / norm.pdf(u).sum()
    total = np.zeros(2)
    scales = np.sqrt(prior.covariance[:, 0, 0])
    for mean, scale, weight in zip(prior.mean[:, 0], scales, np.exp(prior.log_weight), strict=True):
        rows = (mean + scale * u)[:, None]
        losses = _losses(prior.log_posterior(rows), label_noise)
        total += weight * (density @ losses)
    return total


def _monte_carlo(
    prior: LatentPrior, label_noise: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means of `_losses` over draws of x, and their standard errors."""
    x, _ = prior.sample(DRAWS, rng)
    chunks = np.array_split(x, max(1, DRAWS * prior.n_classes // 4_000_000))
    losses = np.concatenate(
        [
            _losses(prior.log_posterior(chunk), label_noise)
            for chunk in bar(chunks, "true information")
        ]
    )
    return losses.mean(0), losses.std(0, ddof=1) / np.sqrt(DRAWS)
