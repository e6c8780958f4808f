"""Mixtures: the stated truth against tables, closed forms and the samples themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from vcviz.base.errors import InputError
from vcviz.data import apply_preprocessing, load_data, true_prior
from vcviz.data.mixture import as_line, true_numbers
from vcviz.records import LatentPrior

# I(X;Y) in nats and accuracy of the Bayes rule for five unit Gaussians at 0, ±2·1, ±4·1 in d
# dimensions (Qin, Kim & Gedeon 2019), with equal weights and with 5:10:15:20:25.
SETTING = [
    (1, 1.0314, 0.746, 1.0224, 0.799),
    (2, 1.3003, 0.874, 1.2393, 0.899),
    (5, 1.5544, 0.980, 1.4449, 0.984),
    (10, 1.6058, 0.999, 1.4868, 0.999),
]


@pytest.mark.parametrize(("dim", "equal", "accuracy", "unequal", "unequal_accuracy"), SETTING)
def test_truth_of_the_setting_of_qin_et_al(dim, equal, accuracy, unequal, unequal_accuracy):
    means = [[0], [2], [-2], [4], [-4]]
    train, _ = load_data("mixture", n=60, means=means, dim=dim)
    assert train.truth["method"] == "quadrature"
    assert train.truth["label_entropy"] == pytest.approx(np.log(5))
    assert train.truth["mutual_information"] == pytest.approx(equal, abs=6e-5)
    assert 1 - train.truth["bayes_error"] == pytest.approx(accuracy, abs=6e-4)
    train, _ = load_data("mixture", n=99, means=means, dim=dim, weights=[5, 10, 15, 20, 25])
    assert train.truth["label_entropy"] == pytest.approx(1.4898, abs=6e-5)
    assert train.truth["mutual_information"] == pytest.approx(unequal, abs=6e-5)
    assert 1 - train.truth["bayes_error"] == pytest.approx(unequal_accuracy, abs=6e-4)


def test_the_diagonal_arrangement_is_the_same_setting():
    train, _ = load_data("mixture", n=60, n_classes=5, dim=3, means="diagonal", separation=2)
    assert train.truth["means"] == [[s] * 3 for s in (-4.0, -2.0, 0.0, 2.0, 4.0)]


def test_bayes_error_of_two_gaussians_in_closed_form():
    # Along the whitened line the means are `gap` apart, so the error is Phi(-gap/2).
    covariance = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]])
    means = np.array([[0.3, -1.0, 0.2], [1.0, 0.5, 0.1]])
    gap = np.sqrt((means[1] - means[0]) @ np.linalg.solve(covariance, means[1] - means[0]))
    train, _ = load_data(
        "mixture", n=40, means=means.tolist(), covariance=[covariance.tolist()] * 2
    )
    assert train.truth["method"] == "quadrature"
    assert train.truth["bayes_error"] == pytest.approx(norm.cdf(-gap / 2), abs=1e-7)


def test_quadrature_and_monte_carlo_agree_within_the_stated_error():
    # The same law in two dimensions more, made not collinear by a hair.
    line = LatentPrior(mean=[[0.0], [1.5], [4.0]], scale=np.ones((3, 1)), log_weight=[0, -1, 0.5])
    bent = LatentPrior(
        mean=[[0.0, 0], [1.5, 1e-5], [4.0, 0]], scale=np.ones((3, 2)), log_weight=line.log_weight
    )
    exact, estimate = true_numbers(line), true_numbers(bent)
    assert (exact["method"], estimate["method"]) == ("quadrature", "monte carlo")
    assert estimate["draws"] >= 1e5
    for name in ("bayes_error", "mutual_information"):
        assert 0 < estimate[f"{name}_se"] < 2e-3
        assert exact[f"{name}_se"] == 0
        assert abs(estimate[name] - exact[name]) < 4 * estimate[f"{name}_se"]
    assert true_numbers(bent) == estimate


def test_unequal_scales_in_one_dimension_against_fine_integration():
    train, _ = load_data("mixture", n=40, means=[[0], [1], [3]], scale=[1.0, 0.25, 2.0])
    x = np.linspace(-15, 20, 350_001)
    joint = np.stack([norm.pdf(x, m, s) / 3 for m, s in ((0, 1), (1, 0.25), (3, 2))])
    assert train.truth["method"] == "quadrature"
    assert train.truth["bayes_error"] == pytest.approx(1 - np.trapezoid(joint.max(0), x), abs=1e-7)


def test_only_a_shared_covariance_with_collinear_means_is_a_line():
    collinear = np.outer([0, 1, 3], [1.0, 2])
    assert as_line(LatentPrior(collinear, np.ones((3, 2)))) is not None
    assert as_line(LatentPrior(collinear, [[1, 1], [1, 1], [2, 1.0]])) is None
    assert as_line(LatentPrior([[0, 0], [1, 0], [0, 1.0]], np.ones((3, 2)))) is None


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal", "full"])
def test_the_truth_describes_the_samples(covariance):
    options = {"n": 6000, "n_classes": 3, "dim": 2, "covariance": covariance, "imbalance": 4}
    train, test = load_data("mixture", separation=2.5, **options)
    assert (train.kind, train.name, test.name) == ("table", "mixture train", "mixture test")
    x, y = np.concatenate([train.x, test.x]), np.concatenate([train.y, test.y])
    probs = np.concatenate([train.label_probs, test.label_probs])
    weights = np.array(train.truth["weights"])
    assert weights[0] / weights[2] == pytest.approx(4)
    slant = np.array(train.truth["covariances"])[:, 0, 1]
    assert (np.abs(slant).min() > 1e-3) == (covariance == "full")
    for k in range(3):
        mean, cov = np.array(train.truth["means"][k]), np.array(train.truth["covariances"][k])
        own = x[y == k]
        assert np.mean(y == k) == pytest.approx(weights[k], abs=0.025)
        assert own.mean(0) == pytest.approx(mean, abs=0.15)
        assert np.cov(own.T) == pytest.approx(cov, abs=0.15 * np.abs(cov).max())
    joint = np.stack(
        [
            w * multivariate_normal(m, c).pdf(x)
            for w, m, c in zip(
                weights, train.truth["means"], train.truth["covariances"], strict=True
            )
        ],
        axis=1,
    )
    assert probs == pytest.approx(joint / joint.sum(1, keepdims=True), abs=1e-9)
    # 6000 rows: four standard errors of a share
    error = np.mean(probs.argmax(1) != y)
    assert error == pytest.approx(train.truth["bayes_error"], abs=4 * 0.5 / np.sqrt(6000))
    information = np.mean(np.log(probs[np.arange(6000), y] / weights[y]))
    assert information == pytest.approx(train.truth["mutual_information"], abs=0.05)
    json.dumps(dict(train.truth))


def test_true_prior_gives_the_posterior():
    for covariance in ("diagonal", "full"):
        train, _ = load_data("mixture", n=90, covariance=covariance, weights=[1, 2, 3])
        prior = true_prior(train)
        assert (prior.scale is None) == (covariance == "full")
        assert np.exp(prior.log_posterior(train.x)) == pytest.approx(train.label_probs)
        assert np.exp(prior.log_weight) == pytest.approx([1 / 6, 1 / 3, 1 / 2])


def test_true_prior_needs_a_known_law():
    with pytest.raises(InputError, match="'digits train' does not say what law"):
        true_prior(load_data("digits")[0])


def test_label_noise_is_in_the_labels_and_in_the_truth():
    options = {"n": 3000, "n_classes": 4, "separation": 20.0}
    train, _ = load_data("mixture", label_noise=0.3, **options)
    clean = train.labels["clean_label"]
    flipped = train.y != clean
    assert flipped.mean() == pytest.approx(0.3, abs=0.04)
    # far apart, the best guess is the clean class: wrong exactly where the label moved
    assert train.truth["bayes_error"] == pytest.approx(0.3, abs=1e-6)
    assert train.label_probs[np.arange(len(train)), clean] == pytest.approx(0.7)
    shift = (train.y - clean)[flipped] % 4
    assert np.bincount(shift, minlength=4)[1:] / flipped.sum() == pytest.approx(1 / 3, abs=0.07)
    silent = load_data("mixture", **options)[0]
    assert not silent.labels
    assert silent.truth["bayes_error"] == pytest.approx(0, abs=1e-6)


def test_the_law_does_not_depend_on_the_seed_of_the_samples():
    options = {"n": 50, "n_classes": 3, "means": "random", "covariance": "full"}
    one, two = (load_data("mixture", seed=s, **options)[0] for s in (0, 1))
    other, _ = load_data("mixture", law_seed=1, **options)
    assert one.truth == two.truth
    assert not np.array_equal(one.x, two.x)
    assert one.truth["means"] != other.truth["means"]


@pytest.mark.parametrize("means", ["circle", "random", "diagonal"])
def test_separation_is_the_smallest_distance(means):
    train, _ = load_data("mixture", n=90, n_classes=6, dim=4, means=means, separation=1.7)
    centres = np.array(train.truth["means"])
    apart = np.linalg.norm(centres[:, None] - centres, axis=2)[~np.eye(6, dtype=bool)]
    assert apart.min() == pytest.approx(1.7 * (2 if means == "diagonal" else 1))


def test_new_rows_stay_as_they_are():
    train, _ = load_data("mixture", n=90)
    assert np.array_equal(apply_preprocessing(train.preprocessing, train.x), train.x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_classes": 1}, "n_classes must be a whole number of at least 2"),
        ({"dim": 0}, "dim must be a whole number"),
        ({"means": "sircle"}, "did you mean 'circle'"),
        ({"means": "circle", "dim": 1}, "needs dim of 2 or more"),
        ({"means": [[0, 1], [2]]}, "means must be a rectangular array"),
        ({"means": [[0, 1], [2, 0]], "n_classes": 3}, "n_classes is 3, but means says 2"),
        ({"weights": [1, 2], "n_classes": 3}, "n_classes is 3, but weights says 2"),
        ({"weights": [1, 0, 1]}, "weights must be 3 positive numbers"),
        ({"weights": [1, 2], "imbalance": 3}, "weights or imbalance, not both"),
        ({"imbalance": 0.5}, "imbalance must be 1"),
        ({"scale": -1}, "scale must be one positive number"),
        ({"scale": [1, 2]}, "or 5, one a class"),
        ({"covariance": "spherical"}, "unknown covariance"),
        ({"covariance": [[[1, 2], [2, 1]]] * 5}, "positive definite"),
        ({"separation": float("nan")}, "separation must be a number"),
        ({"label_noise": 1.0}, "label_noise must lie in"),
        ({"n": 9}, "n must be a whole number of at least 10"),
        ({"weights": [1e9, 1]}, "holds one class only"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        load_data("mixture", **options)
