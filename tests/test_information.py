"""Information against quadrature of a known mixture and against its own identities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import log_softmax
from scipy.stats import norm

from vcviz.errors import InputError
from vcviz.information import mutual_information, pointwise_information
from vcviz.records import LatentSet

MEANS = np.array([0.0, 2, -2, 4, -4])


def mixture(n: int, weights: np.ndarray, seed: int = 0, *, extra: float = 0.0) -> LatentSet:
    """The exact posterior of unit normals at MEANS; `extra` sharpens it away from the truth."""
    rng = np.random.default_rng(seed)
    y = rng.choice(5, size=n, p=weights)
    x = rng.normal(MEANS[y])
    logits = norm.logpdf(x[:, None], MEANS) + np.log(weights)
    return LatentSet(x[:, None], log_softmax((1 + extra) * logits, axis=1), y)


def by_quadrature(weights: np.ndarray) -> float:
    def marginal(x):
        return (weights * norm.pdf(x, MEANS)).sum()

    entropy = quad(lambda x: -marginal(x) * np.log(marginal(x)), -12, 12, limit=200)[0]
    return entropy - 0.5 * np.log(2 * np.pi * np.e)


@pytest.mark.parametrize(
    ("weights", "published"),
    [(np.full(5, 0.2), 1.0314), (np.array([1, 2, 3, 4, 5]) / 15, 1.0224)],
)
def test_exact_posterior_attains_the_information(weights, published):
    truth = by_quadrature(weights)
    assert truth == pytest.approx(published, abs=1e-4)
    found = mutual_information(mixture(20_000, weights), prior_probs=weights)
    assert found.estimate == pytest.approx(truth, abs=0.02)
    assert found.interval[0] < truth < found.interval[1]
    assert found.label_entropy == pytest.approx(-(weights * np.log(weights)).sum())
    by_counting = mutual_information(mixture(20_000, weights))
    assert by_counting.estimate == pytest.approx(truth, abs=0.02)


def test_interval_covers_the_truth():
    weights = np.full(5, 0.2)
    truth = by_quadrature(weights)
    found = [mutual_information(mixture(300, weights, seed)).interval for seed in range(200)]
    assert np.mean([low <= truth <= high for low, high in found]) > 0.9


def test_a_wrong_posterior_attains_less():
    weights = np.full(5, 0.2)
    wrong = mutual_information(mixture(5000, weights, extra=1.0))
    assert wrong.interval[1] < by_quadrature(weights)


def test_ends():
    certain = np.log(np.array([[1, 1e-30], [1e-30, 1], [1, 1e-30], [1e-30, 1]]))
    lat = LatentSet(np.zeros((4, 2)), certain, [0, 1, 0, 1])
    assert mutual_information(lat).estimate == pytest.approx(np.log(2))
    ignorant = LatentSet(np.zeros((4, 2)), np.log(np.full((4, 2), 0.5)), [0, 1, 0, 1])
    assert mutual_information(ignorant).estimate == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(pointwise_information(ignorant), 0, atol=1e-7)


def test_pointwise_is_a_log_ratio():
    lat = LatentSet(np.zeros((3, 2)), np.log([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]), [0, 1, 1])
    expected = np.log([0.9 / 0.25, 0.8 / 0.75, 0.5 / 0.75])
    np.testing.assert_allclose(pointwise_information(lat, prior_probs=[0.25, 0.75]), expected)
    expected = np.log([0.9 * 3, 0.8 * 1.5, 0.5 * 1.5])
    np.testing.assert_allclose(pointwise_information(lat), expected, rtol=1e-6)


def test_an_impossible_label_leaves_nothing_known():
    with np.errstate(divide="ignore"):
        lat = LatentSet(np.zeros((2, 2)), np.log([[1.0, 0.0], [0.5, 0.5]]), [1, 0])
    found = mutual_information(lat)
    assert found.estimate == -np.inf
    assert found.interval == (-np.inf, np.inf)
    assert found.label_entropy == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior_probs": [0.5, 0.5]}, "prior_probs must hold 3 probabilities that sum to 1"),
        ({"prior_probs": [0.5, 0.5, 0.5]}, "sum 1.5"),
        ({"prior_probs": [1.5, -0.5, 0]}, "must hold 3 probabilities"),
        ({"prior_probs": [0.5, 0, 0.5]}, "class 1 probability 0, but samples have that label"),
        ({"level": 0}, "level must lie between 0 and 1"),
    ],
)
def test_refuses(change, message):
    lat = LatentSet(np.zeros((3, 2)), np.log(np.full((3, 3), 1 / 3)), [0, 1, 2])
    with pytest.raises(InputError, match=message):
        mutual_information(lat, **change)
