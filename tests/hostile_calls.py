"""Every public function that takes arrays, with small ones that it should take."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import fake_runs
import numpy as np
import torch
from front_doors import by_last_name
from scipy.special import log_softmax

import vcviz
from vcviz.figures import LatentPanel
from vcviz.metrics.robustness.gates import checked
from vcviz.models.encoders import build_encoder
from vcviz.records import LatentPrior, LatentSet, LogitLaw, PixelSplit, Projection, Split

Arrays = dict[str, Any]


class Sizes(NamedTuple):
    """N rows, C classes and D dimensions of the arrays, and the seed of their values."""

    n: int
    c: int
    d: int
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


@dataclass(frozen=True)
class Case:
    """A call of a public function.

    unknown : NaN in the answer is what the documentation says of some input
    lists : lists are taken for arrays
    same : the same numbers in another form give the same answer, within `tolerance`
    slow : tried less often
    """

    public: str
    arrays: Callable[[Sizes], Arrays]
    call: Callable[..., Any]
    tolerance: float = 1e-4
    unknown: bool = False
    lists: bool = True
    same: bool = True
    slow: bool = False


CASES: dict[str, Case] = {}


def case(name: str, arrays: Callable[[Sizes], Arrays], **options: Any) -> Callable[..., Any]:
    """Add the decorated call under a name that starts with the public function's."""

    def add(call: Callable[..., Any]) -> Callable[..., Any]:
        CASES[name] = Case(name.split(":")[0], arrays, call, **options)
        return call

    return add


# ---------------------------------------------------------------- arrays


def predictions(s: Sizes) -> Arrays:
    rng = s.rng
    return {
        "log_probs": log_softmax(2.0 * rng.standard_normal((s.n, s.c)), axis=1),
        "y": rng.integers(0, s.c, s.n),
    }


def latents(s: Sizes) -> Arrays:
    return {"z": s.rng.standard_normal((s.n, s.d)), **predictions(s)}


def means(s: Sizes) -> Arrays:
    rng = s.rng
    return {
        "mean": 3 * rng.standard_normal((s.c, s.d)),
        "scale": rng.uniform(0.5, 2, (s.c, s.d)),
        "log_weight": rng.standard_normal(s.c),
    }


def factors(s: Sizes) -> Arrays:
    tril = np.tril(0.1 * s.rng.standard_normal((s.c, s.d, s.d)), -1) + np.eye(s.d)
    return {"mean": means(s)["mean"], "scale_tril": tril}


def with_law(s: Sizes) -> Arrays:
    return {**latents(s), **means(s)}


def utilities(s: Sizes) -> Arrays:
    rng = s.rng
    return {
        "mean": rng.standard_normal((s.n, s.c)),
        "scale": rng.uniform(0.5, 2, (s.n, s.c)),
        "factor": rng.standard_normal((s.n, s.c, 2)),
    }


def own_noise(s: Sizes) -> Arrays:
    return {k: v for k, v in utilities(s).items() if k != "factor"}


def probs(s: Sizes) -> Arrays:
    return {"p": s.rng.dirichlet(np.ones(s.c))}


def attacked(s: Sizes) -> Arrays:
    rng, t = s.rng, 3
    x = rng.random((s.n, 1, 2, 3))
    return {
        "z": rng.standard_normal((t, s.n, s.d)),
        "log_probs": log_softmax(rng.standard_normal((t, s.n, s.c)), axis=2),
        "distance": 0.1 * np.repeat(np.arange(t)[:, None] / (t - 1), s.n, axis=1),
        "x": x,
        "x_adv": np.clip(x + 0.05, 0, 1),
        "y": rng.integers(0, s.c, s.n),
        "change": np.zeros((t, *x.shape)),
        "target": rng.integers(0, s.c, s.n),
    }


def images(s: Sizes) -> Arrays:
    return {"x": s.rng.random((s.n, 1, 4, 5)).astype(np.float32), "y": np.arange(s.n) % 2}


def bytes_images(s: Sizes) -> Arrays:
    x = s.rng.integers(0, 256, (s.n, 1, 4, 5)).astype(np.uint8)
    return {"x": x, "y": np.arange(s.n) % 2}


def tables(s: Sizes) -> Arrays:
    return {
        "x": s.rng.standard_normal((s.n, 3)),
        "y": np.arange(s.n) % 2,
        "label_probs": np.tile([0.25, 0.75], (s.n, 1)),
        "index": np.arange(s.n) + 5,
        "extra": np.arange(s.n),
    }


def labelled(s: Sizes) -> Arrays:
    return {k: v for k, v in tables(s).items() if k in ("x", "y")}


def tokens(s: Sizes) -> Arrays:
    return {"x": s.rng.integers(1, 50, (s.n, 6)), "y": np.arange(s.n) % 2}


def pixels(s: Sizes) -> Arrays:
    rng = s.rng
    return {
        "x": rng.random((s.n, 1, 6, 5)),
        "y": rng.integers(0, 4, (s.n, 6, 5)),
        "label_probs": np.moveaxis(rng.dirichlet(np.ones(4), (s.n, 6, 5)), 3, 1),
    }


def field_of(s: Sizes) -> Arrays:
    return {
        "values": s.rng.standard_normal((4, 3)),
        "x": np.linspace(0, 1, 3),
        "y": np.linspace(-1, 1, 4),
    }


def two_samples(s: Sizes) -> Arrays:
    rng = s.rng
    return {"a": rng.standard_normal((s.n, s.d)), "b": 1 + rng.standard_normal((s.n + 1, s.d))}


def two_scores(s: Sizes) -> Arrays:
    rng = s.rng
    return {"a": rng.standard_normal(s.n), "b": 1 + rng.standard_normal(s.n + 1)}


def only(name: str, values: Callable[[Sizes], Any]) -> Callable[[Sizes], Arrays]:
    return lambda s: {name: values(s)}


# ---------------------------------------------------------------- records


def lat_of(z: Any, log_probs: Any, y: Any) -> LatentSet:
    return LatentSet(z, log_probs, y)


def law_of(mean: Any, scale: Any, log_weight: Any) -> LatentPrior:
    return LatentPrior(mean, scale=scale, log_weight=log_weight)


case("LatentSet", latents)(lat_of)
case("LatentPrior", means)(law_of)


@case("LatentSet:all", latents)
def _(z: Any, log_probs: Any, y: Any) -> Any:
    lat = lat_of(z, log_probs, y)
    return lat.take([0]), lat.accuracy


@case("LatentSet:energy", lambda s: {"energy": np.ones(5), "index": np.arange(5)})
def _(energy: Any, index: Any) -> Any:
    lat = fake_runs.latents(5)
    return LatentSet(lat.z, lat.log_probs, lat.y, index, energy=energy)


@case("LatentSet:take", lambda s: {"rows": s.rng.integers(0, 5, 3)})
def _(rows: Any) -> Any:
    return fake_runs.latents(9).take(rows)


@case("LatentPrior:tril", factors)
def _(mean: Any, scale_tril: Any) -> Any:
    law = LatentPrior(mean, scale_tril=scale_tril)
    return law, law.covariance, law.log_prob(np.zeros((2, law.latent_dim)))


for _family, _more in {"student_t": {"df": 5.0}, "laplace": {}}.items():

    @case(f"LatentPrior:{_family}", means)
    def _(mean: Any, scale: Any, log_weight: Any, family: str = _family, more: Any = _more) -> Any:
        law = LatentPrior(mean, scale=scale, log_weight=log_weight, family=family, **more)
        return law, law.log_posterior(law.mean), law.whiten(law.mean, np.arange(len(law.mean)))


@case("LatentPrior:von_mises_fisher", lambda s: {
    "mean": s.rng.standard_normal((s.c, s.d + 1)), "concentration": np.full(s.c, 3.0)
})  # fmt: skip
def _(mean: Any, concentration: Any) -> Any:
    law = LatentPrior(mean, family="von_mises_fisher", concentration=concentration)
    return law, law.log_posterior(law.mean)


@case("LatentPrior:log_prob", lambda s: {"z": s.rng.standard_normal((s.n, 2))})
def _(z: Any) -> Any:
    law = fake_runs.prior()
    return law.log_prob(z), law.log_marginal(z), law.log_posterior(z)


@case("LatentPrior:whiten", lambda s: {
    "z": s.rng.standard_normal((s.n, 2)), "y": s.rng.integers(0, 3, s.n)
})  # fmt: skip
def _(z: Any, y: Any) -> Any:
    return fake_runs.prior().whiten(z, y)


@case("LatentPrior:sample", lambda s: {"y": s.rng.integers(0, 3, s.n)})
def _(y: Any) -> Any:
    return fake_runs.prior().sample(y, np.random.default_rng(0))


@case("LatentPrior:project", lambda s: {"matrix": s.rng.standard_normal((3, 2))})
def _(matrix: Any) -> Any:
    return fake_runs.prior(3).project(matrix)


@case("Projection", lambda s: {
    "matrix": s.rng.standard_normal((s.d, 2)), "offset": np.ones(s.d)
})  # fmt: skip
def _(matrix: Any, offset: Any) -> Any:
    return Projection("matrix", ("a", "b"), matrix, offset)


@case("Projection:call", lambda s: {"z": s.rng.standard_normal((s.n, 3))})
def _(z: Any) -> Any:
    return Projection("matrix", ("a", "b"), np.eye(3)[:, :2])(z)


@case("Direction", lambda s: {"vector": 1 + s.rng.random(s.d)})
def _(vector: Any) -> Any:
    return vcviz.records.Direction(vector)


case("LogitLaw", utilities)(LogitLaw)


@case("LogitLaw:contrast", utilities)
def _(mean: Any, scale: Any, factor: Any) -> Any:
    law = LogitLaw(mean, scale, factor)
    return law.covariance, law.contrast(0, 1), law.leaders


@case("PixelSplit", pixels)
def _(x: Any, y: Any, label_probs: Any) -> Any:
    return PixelSplit(x, y, tuple("abcd"), label_probs)


@case("Segmentation", lambda s: {
    "log_probs": np.full((s.n, 2, 3, 4), -np.log(2)), "noise": np.ones((s.n, 3, 4)),
    "flips": np.full((s.n, 3, 4), 0.5), "y": np.ones((s.n, 3, 4), int),
}, unknown=True)  # fmt: skip
def _(log_probs: Any, noise: Any, flips: Any, y: Any) -> Any:
    seen = vcviz.records.Segmentation(log_probs, noise, flips)
    return seen, seen.accuracy(y), seen.nll(y)


@case("LatentPlane", lambda s: {
    "log_probs": log_softmax(s.rng.standard_normal((4, 3, s.c)), axis=2),
    "x": np.linspace(0, 1, 3), "y": np.linspace(-1, 1, 4),
})  # fmt: skip
def _(log_probs: Any, x: Any, y: Any) -> Any:
    return vcviz.records.LatentPlane(log_probs, x, y)


@case("PlaneField", field_of)
def _(values: Any, x: Any, y: Any) -> Any:
    return vcviz.records.PlaneField(values, x, y, "q")


@case("RetainSet", lambda s: {"rho": s.rng.random((5, 3)), "posterior": s.rng.random((5, 3))})
def _(rho: Any, posterior: Any) -> Any:
    found = vcviz.records.RetainSet(fake_runs.latents(5), rho, posterior)
    return found, found.difficulty


@case("Trajectory", attacked)
def path_of(
    z: Any, log_probs: Any, distance: Any, x: Any, x_adv: Any, y: Any, change: Any, target: Any
) -> Any:
    return vcviz.Trajectory(
        z, log_probs, distance, x, x_adv, y, 0.1, "linf", "pgd", change=change, target=target
    )


@case("Trajectory:read", attacked)
def _(**arrays: Any) -> Any:
    path = path_of(**arrays)
    return path.accuracy, path.reached, path.first_flip, path.at(1)


for _kind, _arrays in {"images": images, "bytes": bytes_images, "tokens": tokens}.items():

    @case(f"Split:{_kind}", _arrays, same=_kind != "bytes")
    def _(x: Any, y: Any) -> Any:
        split = Split(x, y, ("a", "b"))
        return split, split.take([0]), split.class_counts


@case("Split", tables)
def _(x: Any, y: Any, label_probs: Any, index: Any, extra: Any) -> Any:
    return Split(x, y, ("a", "b"), label_probs=label_probs, index=index, labels={"extra": extra})


@case("Split:take", lambda s: {"rows": s.rng.integers(0, 5, 3)})
def _(rows: Any) -> Any:
    return table().take(rows)


@case("ActivationMaps", lambda s: {
    "x": s.rng.random((s.n, 1, 4, 5)), "cam": s.rng.random((s.n, 2, 3)),
    "info": s.rng.random((s.n, 2, 3)), "label": np.arange(s.n) % 2,
    "against": np.arange(s.n) % 2, "difference": np.ones(s.n), "remainder": np.ones(s.n),
    "y": np.arange(s.n) % 2,
})  # fmt: skip
def _(**arrays: Any) -> Any:
    return vcviz.records.ActivationMaps(**arrays, class_names=("a", "b"))


@case("LatentFit", lambda s: {
    "count": np.arange(3), "kl": np.ones(3), "kl_interval": np.ones((3, 2)),
    "energy": np.ones(3), "energy_interval": np.ones((3, 2)), "energy_p": np.ones(3),
    "auc": np.ones(3), "auc_interval": np.ones((3, 2)), "whitened_variance": np.ones(3),
}, unknown=True)  # fmt: skip
def _(**arrays: Any) -> Any:
    fit = vcviz.records.LatentFit(class_names=tuple("abc"), **arrays)
    return fit.mean("kl"), fit.mean("auc")


@case("ReliabilityCurve", lambda s: {
    "edges": np.linspace(0, 1, 4), "count": np.arange(3),
    **{k: np.linspace(0.1, 0.9, 3) for k in (
        "confidence", "accuracy", "band_low", "band_high", "consistency_low", "consistency_high"
    )},
}, unknown=True)  # fmt: skip
def _(**arrays: Any) -> Any:
    return vcviz.ReliabilityCurve(
        **arrays, ece=0.1, ece_interval=(0.0, 0.2), ece_if_calibrated=0.0,
        ece_if_calibrated_interval=(0.0, 0.1), n=3,
    )  # fmt: skip


@case("Scoreboard", only("values", lambda s: np.arange(3.0)), unknown=True)
def _(values: Any) -> Any:
    board = vcviz.records.Scoreboard(
        "t", {"a": "A"}, {"h": "H"}, {"a": {"h": {"x": values}}}, (0, 1, 2), {}, {}, ()
    )
    return board.estimate("a", "h", "x"), board.numbers("a")


@case("Separation", two_scores)
def _(a: Any, b: Any) -> Any:
    return vcviz.records.Separation("m", a, b, 0.9, (0.8, 1), 0.9, (0.8, 1), 0.1, (0, 0.2), 1.0)


@case("RobustnessCurve", lambda s: {
    "epsilon": np.linspace(0, 0.2, 3), "accuracy": np.ones(3), "accuracy_interval": np.ones((3, 2)),
    "ece": np.ones(3), "ece_interval": np.ones((3, 2)), "ece_if_calibrated": np.ones(3),
    "alone": np.ones(3), "fell_at": np.zeros(s.n),
}, unknown=True)  # fmt: skip
def _(**arrays: Any) -> Any:
    gates = checked(
        identity=0.0, ball=1.0, reach=0.0, still=0.0, fell=0.0, steps=0.0, larger=0.0, noise=0.0,
        draws=1, output=0.0, n=10,
    )  # fmt: skip
    return vcviz.RobustnessCurve(**arrays, gates=gates, norm="linf", method="pgd")


@case("Inspection", lambda s: {
    "log_probs": np.full(2, -np.log(2)), "log_density": np.ones(2), "neighbours": np.arange(3),
    "distances": np.ones(3), "neighbour_labels": np.zeros(3, int),
}, unknown=True)  # fmt: skip
def _(**arrays: Any) -> Any:
    one = vcviz.records.Inspection(
        row=0, label=0, log_marginal=0.0, score=None, method=None, class_names=("a", "b"), **arrays
    )
    return one.predicted, one.confidence


@case("SelectionSummary", only("counts", lambda s: np.arange(3)), unknown=True)
def _(counts: Any) -> Any:
    return vcviz.records.SelectionSummary(
        3, 9, counts, 0.5, (0.1, 0.9), 0.5, 0.1, 0.1, 0.1, (0.0, 0.2), 0.0, 0.1, 0.0, 0.0, (*"abc",)
    )


@case("Marginals", lambda s: {
    **{k: np.ones(2) for k in ("centre", "scale", "distance", "p_value")},
    **{k: np.ones((2, 4)) for k in (
        "x", "density", "law_x", "law_density", "law_quantile", "quantile", "low", "high"
    )},
    "count": np.ones(2, int), "used": np.ones(2, int), "distance_interval": np.ones((2, 2)),
}, unknown=True)  # fmt: skip
def _(**arrays: Any) -> Any:
    u = vcviz.records.Direction(np.array([1.0, 0.0]))
    return vcviz.records.Marginals(u, ("a", "b"), (0, 1), **arrays).has_law


@case("Recalibration", lambda s: {
    "weight": np.eye(3), "bias": np.zeros(3), "log_probs": predictions(s._replace(c=3))["log_probs"]
})  # fmt: skip
def _(weight: Any, bias: Any, log_probs: Any) -> Any:
    return vcviz.metrics.Recalibration("dirichlet", weight, bias, 1.0, 0.9, 10)(log_probs)


# ---------------------------------------------------------------- numbers of predictions


@case("reliability_curve", predictions)
def _(log_probs: Any, y: Any) -> Any:
    return vcviz.reliability_curve(log_probs, y, resamples=5)


for _function, _options in {
    "expected_calibration_error": {"n_bins": 4},
    "expected_calibration_error:mass": {"n_bins": 4, "binning": "mass"},
    "expected_calibration_error:class": {"label": 0},
    # Without draws: of eight rows their order, and with it a quantile, hangs on the last digit.
    "smooth_calibration_error": {"resamples": 0},
    "brier_score": {},
    "brier_decomposition": {},
    "negative_log_likelihood": {},
    "balanced_accuracy": {},
    "recalibrate": {},
    "recalibrate:vector": {"method": "vector", "odir": 0.1},
    "recalibrate:dirichlet": {"method": "dirichlet", "odir": 0.1},
    "cross_recalibrate": {"folds": 2},
}.items():

    @case(_function, predictions, tolerance=5e-3 if "recalibrate" in _function else 1e-4,
          slow="recalibrate" in _function)  # fmt: skip
    def _(
        log_probs: Any, y: Any, name: str = _function.split(":")[0], options: Any = _options
    ) -> Any:
        return by_last_name()[name](log_probs, y, **options)


@case("mean_kl", lambda s: {
    "label_probs": s.rng.dirichlet(np.ones(s.c), s.n), "log_probs": predictions(s)["log_probs"]
})  # fmt: skip
def _(label_probs: Any, log_probs: Any) -> Any:
    return vcviz.metrics.mean_kl(label_probs, log_probs)


@case("shift_prior", lambda s: {
    "log_probs": predictions(s)["log_probs"], "before": probs(s)["p"],
    "after": probs(s._replace(seed=s.seed + 1))["p"],
})  # fmt: skip
def _(log_probs: Any, before: Any, after: Any) -> Any:
    return vcviz.metrics.shift_prior(log_probs, before, after)


for _function in ("mutual_information", "pointwise_information", "class_information"):

    @case(_function, lambda s: {**latents(s), **probs(s)}, unknown=_function.startswith("class"))
    def _(z: Any, log_probs: Any, y: Any, p: Any, name: str = _function) -> Any:
        lat, function = lat_of(z, log_probs, y), by_last_name()[name]
        return function(replace(lat, label_prior=p), prior_probs=p), function(lat)


@case("class_accuracy", latents, unknown=True)
def _(z: Any, log_probs: Any, y: Any) -> Any:
    return vcviz.metrics.class_accuracy(lat_of(z, log_probs, y))


@case("auroc", two_scores)
def _(a: Any, b: Any) -> Any:
    return vcviz.auroc(a, b)


@case("energy_distance", two_samples)
def _(a: Any, b: Any) -> Any:
    return vcviz.energy_distance(a, b)


# ---------------------------------------------------------------- laws of the latents


@case("empirical_prior", latents)
def _(z: Any, log_probs: Any, y: Any) -> Any:
    return vcviz.empirical_prior(lat_of(z, log_probs, y))


@case("implied_prior", lambda s: {
    **latents(s), "weight": s.rng.standard_normal((s.c, s.d)), "bias": np.ones(s.c),
    "shift": np.ones(s.d),
})  # fmt: skip
def _(z: Any, log_probs: Any, y: Any, weight: Any, bias: Any, shift: Any) -> Any:
    lat = lat_of(z, log_probs, y)
    one = vcviz.implied_prior(weight, bias, lat, verify=False)
    return one, vcviz.implied_prior(weight, bias, lat, shift=shift, verify=False)


for _covariance in ("full", "shared", "diagonal", "isotropic"):

    @case(f"refit_prior:{_covariance}", latents)
    def _(z: Any, log_probs: Any, y: Any, covariance: Any = _covariance) -> Any:
        lat = lat_of(z, log_probs, y)
        return vcviz.metrics.refit_prior(lat, covariance), vcviz.metrics.refit_prior(
            lat, covariance, shrinkage="auto"
        )


@case("refit_prior", latents, same=False, slow=True)
def _(z: Any, log_probs: Any, y: Any) -> Any:
    return vcviz.metrics.refit_prior(lat_of(z, log_probs, y), "diagonal", n_components=2)


@case("reclassify", with_law)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    return vcviz.metrics.reclassify(lat_of(z, log_probs, y), law_of(**law))


@case("latent_fit", with_law, tolerance=1e-2, unknown=True, slow=True)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    return vcviz.latent_fit(lat_of(z, log_probs, y), law_of(**law), resamples=2, progress=False)


@case("marginals", lambda s: {**with_law(s), "u": 1 + s.rng.random(s.d)}, tolerance=1e-2,
      unknown=True)  # fmt: skip
def _(z: Any, log_probs: Any, y: Any, u: Any, **law: Any) -> Any:
    return vcviz.metrics.marginals(lat_of(z, log_probs, y), law_of(**law), u, draws=20)


for _spec in (("axis", 0), ("pca", 0), ("lda", 0), ("means", 0, 1), ("weights", 0, 1)):

    @case(f"direction:{_spec[0]}", lambda s: {
        **latents(s), "weight": s.rng.standard_normal((s.c, s.d))
    }, tolerance=1e-2)  # fmt: skip
    def _(z: Any, log_probs: Any, y: Any, weight: Any, spec: Any = _spec) -> Any:
        return vcviz.geometry.direction(lat_of(z, log_probs, y), spec, weight=weight)


@case("natural_directions", lambda s: {
    **latents(s), "weight": s.rng.standard_normal((s.c, s.d))
})  # fmt: skip
def _(z: Any, log_probs: Any, y: Any, weight: Any) -> Any:
    return vcviz.geometry.natural_directions(lat_of(z, log_probs, y), weight=weight)


for _method in ("pair", "pca", "lda"):

    @case(f"fit_projection:{_method}", with_law, tolerance=1e-2)
    def _(z: Any, log_probs: Any, y: Any, method: Any = _method, **law: Any) -> Any:
        lat = lat_of(z, log_probs, y)
        found = vcviz.fit_projection(lat, method=method, prior=law_of(**law))
        return found.matrix, found(lat.z)


@case("fit_projection:dims", only("dims", lambda s: np.arange(2)))
def _(dims: Any) -> Any:
    return vcviz.fit_projection(fake_runs.latents(9, 4), dims=dims)


@case("grand_tour", latents, tolerance=1e-2)
def _(z: Any, log_probs: Any, y: Any) -> Any:
    return [frame.matrix for frame in vcviz.geometry.grand_tour(lat_of(z, log_probs, y), 3)]


for _method in ("max_prob", "entropy", "log_marginal", "mahalanobis", "knn"):

    @case(f"separate_strangers:{_method}", with_law, slow=True, tolerance=1e-2)
    def _(z: Any, log_probs: Any, y: Any, method: Any = _method, **law: Any) -> Any:
        lat = lat_of(z, log_probs, y)
        known = LatentSet(lat.z + 1, lat.log_probs, lat.y)
        return vcviz.studies.separate_strangers(
            known, lat, [method], prior=law_of(**law), train=known, neighbours=1, resamples=3,
            progress=False,
        )  # fmt: skip


@case("inspect_row", with_law)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    lat = lat_of(z, log_probs, y)
    return vcviz.metrics.inspect_row(lat, law_of(**law), 0, method="log_marginal")


@case("selection_summary", lambda s: {**with_law(s), "rows": s.rng.permutation(s.n)[:3]},
      unknown=True)  # fmt: skip
def _(z: Any, log_probs: Any, y: Any, rows: Any, **law: Any) -> Any:
    return vcviz.metrics.selection_summary(
        lat_of(z, log_probs, y), law_of(**law), rows, resamples=3
    )


@case("selection_table", lambda s: {**with_law(s), "rows": s.rng.permutation(s.n)[:3]})
def _(z: Any, log_probs: Any, y: Any, rows: Any, **law: Any) -> Any:
    return vcviz.metrics.selection_table(lat_of(z, log_probs, y), law_of(**law), rows)


@case("find_rows", with_law)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    return vcviz.metrics.find_rows(lat_of(z, log_probs, y), law_of(**law), "confidence > 0")


@case("row_values", with_law)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    lat, prior = lat_of(z, log_probs, y), law_of(**law)
    names = ("right", "entropy", "log_density", "law_distance")
    return [vcviz.metrics.row_values(lat, name, prior=prior).values for name in names]


@case("crossings", lambda s: {**attacked(s), **means(s)})
def _(mean: Any, scale: Any, log_weight: Any, **arrays: Any) -> Any:
    return vcviz.metrics.crossings(path_of(**arrays), law_of(mean, scale, log_weight))


@case("attack_gates", attacked)
def _(**arrays: Any) -> Any:
    return vcviz.metrics.attack_gates(path_of(**arrays))


# ---------------------------------------------------------------- noise


@case("argmax_probs", own_noise)
def _(mean: Any, scale: Any) -> Any:
    return vcviz.metrics.argmax_probs(LogitLaw(mean, scale))


@case("argmax_probs:gumbel", lambda s: {
    "mean": s.rng.standard_normal((s.n, s.c)), "scale": np.full((s.n, s.c), 0.7)
})  # fmt: skip
def _(mean: Any, scale: Any) -> Any:
    return vcviz.metrics.argmax_probs(LogitLaw(mean, scale, noise="gumbel"))


@case("noisy_log_probs", utilities)
def _(mean: Any, scale: Any, factor: Any) -> Any:
    return vcviz.metrics.noisy_log_probs(LogitLaw(mean, scale, factor), draws=7)


def tensor(value: Any) -> Any:
    """Return a tensor of what torch takes, and anything else as it is."""
    taken = isinstance(value, np.ndarray) and value.dtype.isnative and value.dtype.kind in "fibc"
    fits = taken and value.itemsize <= 8
    return torch.from_numpy(value.copy(order="C")) if fits else value


@case("noisy_log_softmax", lambda s: {**utilities(s), "y": s.rng.integers(0, s.c, s.n)},
      unknown=True, same=False)  # fmt: skip
def _(**arrays: Any) -> Any:
    torch.manual_seed(0)
    return vcviz.models.noisy_log_softmax(**{k: tensor(v) for k, v in arrays.items()}, draws=5)


@case("input_grid", lambda s: {"x": s.rng.standard_normal((s.n, 2))})
def _(x: Any) -> Any:
    return vcviz.metrics.input_grid(x, 3)


# ---------------------------------------------------------------- models


@lru_cache
def model(head: str = "softmax", kind: str = "table", encoder: str = "mlp") -> Any:
    """Return an untrained classifier of three classes in two dimensions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shape = (3,) if kind == "table" else (1, 4, 5)
        net = build_encoder(encoder, kind=kind, input_shape=shape, latent_dim=2)
        return vcviz.models.Classifier(
            net, vcviz.build_head(head, latent_dim=2, n_classes=3)
        ).eval()


def table(n: int = 6) -> Split:
    x = np.random.default_rng(0).standard_normal((n, 3))
    return Split(x, np.arange(n) % 3, tuple("abc"))


@case("extract_latents", lambda s: {"x": s.rng.standard_normal((s.n, 3)).astype(np.float32),
                                    "y": s.rng.integers(0, 3, s.n)}, lists=False)  # fmt: skip
def _(x: Any, y: Any) -> Any:
    return vcviz.extract_latents(model(), (x, y), progress=False)


@case("extract_latents:split", labelled)
def _(x: Any, y: Any) -> Any:
    return vcviz.extract_latents(model(), Split(x, y, tuple("abc")), progress=False)


@case("latent_log_probs", lambda s: {"z": s.rng.standard_normal((s.n, 2))})
def _(z: Any) -> Any:
    return vcviz.latents.latent_log_probs(model(), z)


@case("latent_log_probs:generative", lambda s: {"z": s.rng.standard_normal((s.n, 2))})
def _(z: Any) -> Any:
    return vcviz.latents.latent_log_probs(model("gaussian_mixture"), z)


@case("plane_log_probs", lambda s: {
    "z": s.rng.standard_normal((5, 2)), "through": np.ones(2),
    "ranges": np.array([[0.0, 1.0], [0.0, 2.0]]),
})  # fmt: skip
def _(z: Any, through: Any, ranges: Any) -> Any:
    lat = fake_runs.latents(5)
    lat = LatentSet(z, lat.log_probs, lat.y)
    return vcviz.latents.plane_log_probs(model(), lat, through=through, ranges=ranges, size=3)


@case("plane_log_ratio", lambda s: {"z": s.rng.standard_normal((5, 2)), "through": np.ones(2)})
def _(z: Any, through: Any) -> Any:
    lat = fake_runs.latents(5)
    lat = LatentSet(z, lat.log_probs, lat.y)
    return vcviz.latents.plane_log_ratio(model("variational"), lat, through=through, size=3)


@case("score_plane", lambda s: {"z": s.rng.standard_normal((5, 2)), "through": np.ones(2)})
def _(z: Any, through: Any) -> Any:
    lat = fake_runs.latents(5)
    lat = LatentSet(z, lat.log_probs, lat.y)
    return [
        vcviz.latents.score_plane(
            model(), lat, method, train=lat, through=through, size=3, neighbours=2
        )
        for method in ("max_prob", "mahalanobis", "knn")
    ]


@case("retain_set", lambda s: {"z": s.rng.standard_normal((5, 2))})
def _(z: Any) -> Any:
    lat = fake_runs.latents(5)
    return vcviz.latents.retain_set(model("dropmax"), LatentSet(z, lat.log_probs, lat.y))


@case("logit_law", lambda s: {"x": s.rng.standard_normal((s.n, 3))})
def _(x: Any) -> Any:
    return vcviz.latents.logit_law(model("heteroscedastic"), x)


@case("info_cam", lambda s: {
    "x": s.rng.random((s.n, 1, 4, 5)).astype(np.float32), "label": s.rng.integers(0, 3, s.n)
}, slow=True)  # fmt: skip
def _(x: Any, label: Any) -> Any:
    return vcviz.latents.info_cam(model(kind="image", encoder="cnn"), x, label=label)


@case("attack", lambda s: {**images(s), "target": s.rng.integers(0, 3, s.n)}, slow=True,
      tolerance=1e-2)  # fmt: skip
def _(x: Any, y: Any, target: Any) -> Any:
    split = Split(x, y, tuple("abc"))
    return vcviz.attack(model(kind="image"), split, steps=2, targeted=target, progress=False)


@case("attack:table", lambda s: {"x": s.rng.standard_normal((s.n, 3)), "y": np.arange(s.n) % 3},
      slow=True, tolerance=1e-2)  # fmt: skip
def _(x: Any, y: Any) -> Any:
    return vcviz.attack(model(), Split(x, y, tuple("abc")), norm="l2", steps=2, progress=False)


@case("robustness_curve", only("epsilons", lambda s: np.linspace(0.05, 0.2, 2)), slow=True)
def _(epsilons: Any) -> Any:
    return vcviz.robustness_curve(model(), table(), epsilons, steps=1, resamples=2, progress=False)


@case("segment", lambda s: {k: v for k, v in pixels(s).items() if k != "label_probs"}, slow=True)
def _(x: Any, y: Any) -> Any:
    torch.manual_seed(0)
    split = PixelSplit(x, y, tuple("abcd"))
    return vcviz.training.segment(segmenter(), split, draws=2)


@lru_cache
def segmenter() -> Any:
    train, _ = vcviz.data.load_shapes(n_train=4, n_test=2, size=8)
    split = PixelSplit(train.x[:, :1], train.y, tuple("abcd"))
    return vcviz.training.train_segmenter(split, width=2, latent_dim=2, epochs=1)


# ---------------------------------------------------------------- data


@case("true_utilities", lambda s: {"x": s.rng.standard_normal((s.n, 2))})
def _(x: Any) -> Any:
    truth = {"slope": 1.0, "quiet": 0.5, "loud": 1.0, "dim": 2, "n_classes": 3}
    split = Split(np.zeros((3, 2), np.float32), np.arange(3), kind="table", truth=truth)
    return vcviz.data.true_utilities(split, x)


@case("apply_preprocessing:table", lambda s: {"rows": s.rng.standard_normal((s.n, 2))},
      lists=False)  # fmt: skip
def _(rows: Any) -> Any:
    how = {"kind": "table", "columns": ["a", "b"], "categories": {}, "features": ["a", "b"],
           "mean": [0.0, 0.0], "scale": [1.0, 2.0]}  # fmt: skip
    return vcviz.data.apply_preprocessing(how, rows)


@case("apply_preprocessing:image", only("rows", lambda s: bytes_images(s)["x"][:, 0]),
      same=False)  # fmt: skip
def _(rows: Any) -> Any:
    return vcviz.data.apply_preprocessing({"kind": "image", "size": [4, 4], "channels": 1}, rows)


for _function, _options in {
    "corrupt": {"kind": "feature_noise", "severity": 2},
    "subset": {"n": 2},
    "make_strangers": {"kind": "noise"},
    "imbalanced": {"ratio": 2.0},
    "fingerprint": {},
}.items():

    @case(_function, labelled, same=False)
    def _(x: Any, y: Any, name: str = _function, options: Any = _options) -> Any:
        split = Split(x, y, ("a", "b"))
        return by_last_name()[name](split, **options)


@case("hold_out_classes", lambda s: {"classes": np.arange(1)})
def _(classes: Any) -> Any:
    return vcviz.data.hold_out_classes(table(), table(), classes)


# ---------------------------------------------------------------- figures


@case("plot_latents", with_law, slow=True)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    return vcviz.plot_latents(lat_of(z, log_probs, y), law_of(**law))


@case("plot_latents_3d", with_law, slow=True)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    return vcviz.figures.plot_latents_3d(lat_of(z, log_probs, y), law_of(**law))


@case("plot_latent_panels", with_law, slow=True)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    return vcviz.figures.plot_latent_panels([LatentPanel(lat_of(z, log_probs, y), law_of(**law))])


@case("plot_reliability", predictions, slow=True)
def _(log_probs: Any, y: Any) -> Any:
    return vcviz.plot_reliability(vcviz.reliability_curve(log_probs, y, resamples=3))


@case("plot_class_accuracy", latents, slow=True)
def _(z: Any, log_probs: Any, y: Any) -> Any:
    return vcviz.figures.plot_class_accuracy(vcviz.metrics.class_accuracy(lat_of(z, log_probs, y)))


@case("plot_trajectory", lambda s: {**attacked(s), **means(s)}, slow=True)
def _(mean: Any, scale: Any, log_weight: Any, **arrays: Any) -> Any:
    return vcviz.plot_trajectory(path_of(**arrays), law_of(mean, scale, log_weight))


@case("plot_attack_accuracy", attacked, slow=True)
def _(**arrays: Any) -> Any:
    return vcviz.figures.plot_attack_accuracy(path_of(**arrays))


@case("plot_field", field_of, slow=True)
def _(values: Any, x: Any, y: Any) -> Any:
    return vcviz.figures.plot_field(vcviz.records.PlaneField(values, x, y, "q"))


@case("plot_regions", lambda s: {
    "log_probs": log_softmax(s.rng.standard_normal((4, 3, s.c)), axis=2),
    "x": np.linspace(0, 1, 3), "y": np.linspace(-1, 1, 4),
}, slow=True)  # fmt: skip
def _(log_probs: Any, x: Any, y: Any) -> Any:
    return vcviz.figures.plot_regions(vcviz.records.LatentPlane(log_probs, x, y))


@case("plot_retain", lambda s: {
    "rho": s.rng.random((5, 3)), "posterior": s.rng.random((5, 3))
}, slow=True)  # fmt: skip
def _(rho: Any, posterior: Any) -> Any:
    return vcviz.figures.plot_retain(vcviz.records.RetainSet(fake_runs.latents(5), rho, posterior))


@case("plot_direction", with_law, slow=True)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    lat = lat_of(z, log_probs, y)
    return vcviz.figures.plot_direction(
        vcviz.metrics.marginals(lat, law_of(**law), np.ones(lat.latent_dim))
    )


@case("plot_inspection", with_law, slow=True)
def _(z: Any, log_probs: Any, y: Any, **law: Any) -> Any:
    return vcviz.figures.plot_inspection(
        vcviz.metrics.inspect_row(lat_of(z, log_probs, y), law_of(**law), 0)
    )


@case("plot_ood", two_scores, slow=True)
def _(a: Any, b: Any) -> Any:
    return vcviz.plot_ood(
        vcviz.records.Separation("max_prob", a, b, 0.9, (0.8, 1), 0.9, (0.8, 1), 0.1, (0, 0.2), 1.0)
    )


@case("plot_information", lambda s: {
    "at": np.array([1.0, 2.0]), "truth": np.ones(2), "entropy": np.ones(2)
}, slow=True)  # fmt: skip
def _(at: Any, truth: Any, entropy: Any) -> Any:
    one = vcviz.mutual_information(fake_runs.latents())
    return vcviz.figures.plot_information(at, {"one": [one, one]}, truth=truth, entropy=entropy)


@case("plot_info_cam", only("rows", lambda s: np.arange(2)), slow=True)
def _(rows: Any) -> Any:
    net = model(kind="image", encoder="cnn")
    x = np.random.default_rng(0).random((4, 1, 4, 5)).astype(np.float32)
    return vcviz.figures.plot_info_cam(vcviz.latents.info_cam(net, x), rows)


@case("plot_noise_maps", lambda s: {"x": vcviz.metrics.input_grid(np.eye(2), 3)}, slow=True)
def _(x: Any) -> Any:
    law = LogitLaw(np.arange(18.0).reshape(9, 2) % 5, np.ones((9, 2)))
    return vcviz.figures.plot_noise_maps({"law": law}, x)


@case("plot_segmentation", lambda s: {
    **pixels(s), "log_probs": np.log(pixels(s)["label_probs"])
}, slow=True)  # fmt: skip
def _(x: Any, y: Any, label_probs: Any, log_probs: Any) -> Any:
    split = PixelSplit(x, y, label_probs=label_probs)
    return vcviz.figures.plot_segmentation(split, vcviz.records.Segmentation(log_probs))


@case("explore", lambda s: {
    **latents(s), "weight": s.rng.standard_normal((s.c, s.d)), "bias": np.ones(s.c)
}, slow=True)  # fmt: skip
def _(z: Any, log_probs: Any, y: Any, weight: Any, bias: Any) -> Any:
    with warnings.catch_warnings():
        # Random weights make other scores than these, which is said.
        warnings.filterwarnings("ignore", message=r"softmax\(W z \+ b\) is not")
        vcviz.explore(latents=z, log_probs=log_probs, y=y, weight=weight, bias=bias)
