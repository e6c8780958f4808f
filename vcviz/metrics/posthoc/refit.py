"""Laws refitted to frozen latents: a last layer that anticipates what it really gets."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_count, check_number
from vcviz.geometry import empirical_prior
from vcviz.geometry.moments import class_means, class_moments, invertible
from vcviz.metrics.fit import check_law
from vcviz.metrics.posthoc.mixture import mixture_prior
from vcviz.records import LatentPrior, LatentSet
from vcviz.records.blocks import row_blocks

Covariance = Literal["full", "shared", "diagonal", "isotropic"]
COVARIANCES: tuple[str, ...] = ("full", "shared", "diagonal", "isotropic")
#: probabilities that differ by no more are the same, but for rounding
_RESTATED = 1e-3
#: scikit-learn's names of the same covariances
_SKLEARN = {"full": "full", "shared": "tied", "diagonal": "diag", "isotropic": "spherical"}


@takes_records
def refit_prior(
    lat: LatentSet,
    covariance: Covariance = "full",
    *,
    n_components: int = 1,
    shrinkage: float | Literal["auto"] | None = None,
    seed: int = 0,
) -> LatentPrior:
    """Return the Gaussian law of maximum likelihood of the latents of each class, of any model.

    Its `log_posterior` is the Gaussian discriminant: linear (LDA) with a shared covariance,
    quadratic (QDA) with one each. See `reclassify`.

    Parameters
    ----------
    lat : latents of training rows, see `extract_latents`; of held-out rows if there are enough of
        them, because an encoder gathers the rows that it was trained on more closely
    covariance : ``"full"``, one matrix a class; ``"shared"``, one for all classes;
        ``"diagonal"``, ``"isotropic"``, one variance a dimension, or one in all, for each class
    n_components : Gaussians a class; more than one are fitted by expectation maximisation
        (scikit-learn's `GaussianMixture`), and ``"shared"`` then means shared in a class
    shrinkage : share s of the way from a covariance S to tr(S)/D times the identity, for few
        latents or many dimensions; ``"auto"`` for Ledoit & Wolf's; one component only
    seed : of the start of a mixture

    Returns
    -------
    LatentPrior
        With the label frequencies as pi; of the family "custom" with several components.

    Raises
    ------
    InputError
        If an option is unknown or out of range.

    Notes
    -----
    Covariances are divided by n, not n - 1. A class with too few latents for a covariance of its
    own (D for ``"full"`` without shrinkage, else one) gets the shared one, and one without any
    also the overall mean, and weight 0. A class with fewer than two latents for each component
    gets fewer components.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning, 2006, sections 4.2 and 9.2.

    Ledoit & Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, Journal
    of Multivariate Analysis 88, 2004.

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> law = vcviz.metrics.refit_prior(run.latents("train"), "shared")
    >>> lda = vcviz.metrics.reclassify(run.latents(), law)
    >>> print(f"softmax {run.metrics['accuracy']:.1f}, LDA on the same latents {lda.accuracy:.1f}")
    softmax 0.6, LDA on the same latents 0.8
    """
    check_choice("covariance", covariance, COVARIANCES)
    check_count("n_components", n_components)
    check_count("seed", seed, minimum=0)
    if shrinkage not in (None, "auto") and not 0 <= check_number("shrinkage", shrinkage) <= 1:
        raise InputError(f"shrinkage must lie in [0, 1], got {shrinkage}")
    gaussian = _gaussian(lat, covariance, shrinkage)
    if n_components == 1:
        return gaussian
    if shrinkage is not None:
        raise InputError("shrinkage is for one component; leave it out for a mixture")
    z = lat.z.astype(np.float64)
    laws = [
        _mixture(z[lat.y == k], _SKLEARN[covariance], n_components, seed) or _only(gaussian, k)
        for k in range(lat.n_classes)
    ]
    return mixture_prior(tuple(laws), gaussian.log_weight)


@takes_records
def reclassify(lat: LatentSet, prior: LatentPrior) -> LatentSet:
    """Return the latents with log p(y|z) by Bayes' rule under `prior`, and energy -log p(z).

    What a classifier would say if its last layer anticipated that law; z and labels stay. The
    `label_prior` is pi of the law. It stays too where the law only restates the classifier, as
    the law that a softmax layer implies, whose pi means nothing, or that of a head.

    Parameters
    ----------
    lat : N latents of D dimensions
    prior : the distribution to classify by

    Returns
    -------
    LatentSet
        Its `energy` is -log p(z).

    Raises
    ------
    InputError
        If classes or dimensions of latents and law differ.

    Examples
    --------
    >>> z = np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    >>> lat = vcviz.LatentSet(z, np.log(np.full((3, 2), 0.5)), y=[0, 0, 1])
    >>> law = vcviz.LatentPrior(mean=[[0.0, 0.0], [4.0, 0.0]], scale=np.ones((2, 2)))
    >>> np.exp(vcviz.metrics.reclassify(lat, law).log_probs).round(3)
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 1. ]], dtype=float32)
    """
    check_law(lat, prior)
    log_probs = prior.log_posterior(lat.z)
    values: dict[str, Any] = {"log_probs": log_probs, "energy": -prior.log_marginal(lat.z)}
    if not _restates(log_probs, lat.log_probs):
        values["label_prior"] = np.exp(prior.log_weight)
    return replace(lat, **values, name=f"{lat.name}, reclassified")


def _restates(one: NDArray[np.floating], other: NDArray[np.floating]) -> bool:
    blocks = row_blocks(*one.shape)
    return all(np.abs(np.exp(one[b]) - np.exp(other[b])).max() <= _RESTATED for b in blocks)


def _gaussian(lat: LatentSet, kind: str, shrinkage: float | str | None) -> LatentPrior:
    if kind == "full" and shrinkage is None:
        return empirical_prior(lat)
    mean, counts = class_means(lat)
    if kind == "shared" and shrinkage != "auto":
        covariance = _shrunk(class_moments(lat).scatter / len(lat), shrinkage)[None]
    else:
        residual = lat.z - mean[lat.y]
        covariance = _covariance(residual, shrinkage)[None]
        if kind != "shared":
            covariance = np.repeat(covariance, lat.n_classes, axis=0)
            for k in np.flatnonzero(counts > 1):
                covariance[k] = _covariance(residual[lat.y == k], shrinkage)
    mean[counts == 0] = class_moments(lat).centre
    with np.errstate(divide="ignore"):
        log_weight = np.log(counts / counts.sum())
    if kind in ("full", "shared"):
        tril = np.stack([np.linalg.cholesky(invertible(c)) for c in covariance])
        return LatentPrior(mean, scale_tril=tril, log_weight=log_weight)
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    if kind == "isotropic":
        variance = np.repeat(variance.mean(1, keepdims=True), lat.latent_dim, axis=1)
    floor = 1e-6 * (variance.mean() or 1.0)  # a dead unit keeps a density
    return LatentPrior(mean, scale=np.sqrt(np.maximum(variance, floor)), log_weight=log_weight)


def _covariance(
    residual: NDArray[np.float64], shrinkage: float | str | None
) -> NDArray[np.float64]:
    """Return the covariance (D, D) of centred rows (n, D), shrunk towards a sphere."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    if shrinkage == "auto":
        one = len(residual) == 1  # whose covariance is zero either way
        shrinkage = 0.0 if one else ledoit_wolf_shrinkage(residual, assume_centered=True)
        shrinkage = min(max(float(shrinkage), 0.0), 1.0)  # rounding leaves it
    return _shrunk(residual.T @ residual / len(residual), shrinkage)


def _shrunk(found: NDArray[np.float64], shrinkage: float | str | None) -> NDArray[np.float64]:
    from sklearn.covariance import shrunk_covariance

    return found if shrinkage is None else shrunk_covariance(found, float(shrinkage))


def _mixture(z: NDArray[np.float64], kind: str, n_components: int, seed: int) -> LatentPrior | None:
    """Return the mixture of rows (n, D) with one part per component; None where they are too few.

    The ridge on variances, 1e-6 of their mean, is in the units of the latents.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    n_components = min(n_components, len(z) // 2)
    if n_components < 1 or len(z) <= z.shape[1]:
        return None
    ridge = 1e-6 * float(z.var(0).mean() or 1.0)
    with warnings.catch_warnings():  # a start that has not settled is still a likely mixture
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = GaussianMixture(
            n_components, covariance_type=kind, reg_covar=ridge, random_state=seed
        ).fit(z)
    log_weight = np.log(found.weights_)
    shape = (n_components, z.shape[1])
    if kind in ("full", "tied"):
        covariance = np.broadcast_to(found.covariances_, (*shape, z.shape[1]))
        return LatentPrior(
            found.means_, scale_tril=np.linalg.cholesky(covariance), log_weight=log_weight
        )
    variance = found.covariances_ if kind == "diag" else found.covariances_[:, None]
    scale = np.sqrt(np.broadcast_to(variance, shape))
    return LatentPrior(found.means_, scale=scale, log_weight=log_weight)


def _only(prior: LatentPrior, k: int) -> LatentPrior:
    """Return the law of one class alone, as a mixture of one component."""
    if prior.scale is not None:
        return LatentPrior(prior.mean[k : k + 1], scale=prior.scale[k : k + 1])
    return LatentPrior(prior.mean[k : k + 1], scale_tril=prior.scale_tril[k : k + 1])
