"""Information against quadrature of a known mixture and against its own identities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm

from vcviz.base.errors import InputError
from vcviz.metrics.information import (
    class_information,
    mutual_information,
    pointwise_information,
    shift_prior,
)
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


# ---------------------------------------------------------------- other label frequencies


def skewed(n: int, seed: int = 0) -> tuple[LatentSet, np.ndarray]:
    """Rows drawn with weights 1..5, their posterior exact for those weights."""
    weights = np.array([1, 2, 3, 4, 5]) / 15
    return mixture(n, weights, seed), weights


def exact_for(lat: LatentSet, weights: np.ndarray) -> np.ndarray:
    return log_softmax(norm.logpdf(lat.z.astype(float), MEANS) + np.log(weights), axis=1)


def test_shifting_the_prior_gives_the_posterior_of_the_other_prior():
    lat, weights = skewed(50)
    other = np.array([0.5, 0.1, 0.1, 0.2, 0.1])
    given = exact_for(lat, weights)
    np.testing.assert_allclose(
        shift_prior(given, weights, other), exact_for(lat, other), atol=1e-12
    )
    back = shift_prior(shift_prior(given, weights, other), other, weights)
    np.testing.assert_allclose(back, given, atol=1e-12)
    np.testing.assert_allclose(shift_prior(given, weights, weights), given, atol=1e-12)
    np.testing.assert_allclose(logsumexp(shift_prior(given, weights, other), axis=1), 0, atol=1e-12)


def test_a_class_can_be_ruled_out_but_not_everything():
    with np.errstate(divide="ignore"):
        log_probs = np.log([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    found = np.exp(shift_prior(log_probs[:1], [0.5, 0.25, 0.25], [0, 0.5, 0.5]))
    np.testing.assert_allclose(found, [[0, 1, 0]])
    with pytest.raises(InputError, match="rules out every class that row 1 of log_probs allows"):
        shift_prior(log_probs, [0.5, 0.25, 0.25], [0, 0.5, 0.5])


def test_the_model_s_own_prior_does_not_matter_once_it_is_said():
    lat, weights = skewed(20_000)
    truth = by_quadrature(weights)
    uniform = np.full(5, 0.2)
    for built_in in (uniform, weights[::-1]):
        unsaid = LatentSet(lat.z, exact_for(lat, built_in), lat.y)
        found = mutual_information(replace(unsaid, label_prior=built_in), prior_probs=weights)
        same = mutual_information(lat, prior_probs=weights)
        assert found.estimate == pytest.approx(same.estimate, abs=1e-6)
        assert found.interval[0] < truth < found.interval[1]
        assert mutual_information(unsaid, prior_probs=weights).interval[1] < truth


def test_it_is_the_papers_bound_with_scores_free_of_the_prior():
    lat, weights = skewed(200)
    f = norm.logpdf(lat.z.astype(float), MEANS) + np.random.default_rng(1).normal(size=(200, 1))
    uniform = LatentSet(lat.z, log_softmax(f, axis=1), lat.y, label_prior=np.full(5, 0.2))
    own = f[np.arange(200), lat.y]
    bound = (own - np.log((weights * np.exp(f)).sum(1))).mean()
    found = mutual_information(uniform, prior_probs=weights)
    assert found.estimate == pytest.approx(bound, abs=1e-6)


def test_adding_log_c_overestimates_imbalanced_data_by_log_c_minus_the_entropy():
    lat, weights = skewed(20_000)
    offset = np.log(5) + (weights * np.log(weights)).sum()
    assert offset == pytest.approx(0.1196, abs=1e-4)
    trap = mutual_information(lat, prior_probs=np.full(5, 0.2))
    right = mutual_information(lat)
    frequencies = np.bincount(lat.y) / len(lat)
    exact = np.log(5) + (frequencies * np.log(frequencies)).sum()
    assert trap.estimate - right.estimate == pytest.approx(exact, abs=1e-12)
    assert trap.estimate - by_quadrature(weights) == pytest.approx(0.1196, abs=0.03)
    assert trap.interval[0] > by_quadrature(weights)


@pytest.mark.parametrize("label_prior", [None, np.full(5, 0.2)])
def test_interval_covers_the_truth_with_counted_frequencies_at_a_hundred_to_one(label_prior):
    weights = np.geomspace(100, 1, 5) / np.geomspace(100, 1, 5).sum()
    truth = by_quadrature(weights)
    hits = 0
    for seed in range(200):
        lat = mixture(1000, weights, seed)
        if label_prior is not None:
            lat = LatentSet(lat.z, exact_for(lat, label_prior), lat.y, label_prior=label_prior)
        low, high = mutual_information(lat).interval
        hits += low <= truth <= high
    assert 0.9 < hits / 200 < 0.99


# ---------------------------------------------------------------- class by class


def test_classes_add_up_to_the_whole():
    lat, weights = skewed(3000)
    by_class = class_information(lat, prior_probs=weights)
    whole = mutual_information(lat, prior_probs=weights)
    assert (by_class.estimate * by_class.count).sum() / 3000 == pytest.approx(whole.estimate)
    assert (by_class.estimate < by_class.ceiling).all()
    np.testing.assert_allclose(by_class.ceiling, -np.log(weights))
    own = pointwise_information(lat, prior_probs=weights)[lat.y == 3]
    assert by_class.estimate[3] == pytest.approx(own.mean())
    assert by_class.standard_error[3] == pytest.approx(own.std(ddof=1) / np.sqrt(len(own)))


def test_counted_frequencies_have_noise_and_given_ones_have_none():
    lat, weights = skewed(4000)
    counted, given = class_information(lat), class_information(lat, prior_probs=weights)
    share = counted.count / 4000
    more = counted.standard_error**2 - given.standard_error**2
    np.testing.assert_allclose(more, (1 - share) / (4000 * share), rtol=1e-9)
    # A class that is always recognised has no other noise: log p(k) of a counted share alone.
    y = np.repeat([0, 1], [30, 270])
    log_probs = np.log(np.where(np.eye(2)[y] > 0, 1 - 1e-12, 1e-12))
    found = class_information(LatentSet(np.zeros((300, 1)), log_probs, y))
    reach = norm.ppf(0.975) * np.sqrt(0.9 / 30)
    assert found.interval[0, 1] - found.estimate[0] == pytest.approx(reach, rel=1e-6)


def test_noise_of_frequencies_that_log_probabilities_are_moved_to():
    # By resampling the labels' frequencies: what they do to the mean of each class.
    lat, weights = skewed(4000)
    model_prior = np.full(5, 0.2)
    own = LatentSet(lat.z, shift_prior(lat.log_probs, weights, model_prior), lat.y)
    of = replace(own, label_prior=model_prior)
    counted, share = class_information(of), np.bincount(lat.y) / 4000
    given = class_information(of, prior_probs=share)
    rng, means = np.random.default_rng(0), []
    for drawn in rng.multinomial(4000, share, size=400) / 4000:
        means.append(class_information(of, prior_probs=drawn).estimate)
    more = counted.standard_error**2 - given.standard_error**2
    np.testing.assert_allclose(more, np.var(means, axis=0), rtol=0.25)


def test_a_classifier_that_was_never_wrong_may_yet_be():
    # 300 rows, none lost, though a loss of -log 1e-3 is expected now and then: the exact limit of
    # a Poisson count of which none occurred is 3.69.
    log_probs = np.log(np.where(np.eye(2)[np.arange(300) % 2] > 0, 1 - 1e-3, 1e-3))
    lat = LatentSet(np.zeros((300, 1)), log_probs, np.arange(300) % 2)
    found = mutual_information(lat, prior_probs=[0.5, 0.5])
    p = 1e-3
    weighted = -p * np.log(p), -(1 - p) * np.log1p(-p)
    heaviest = (weighted[0] * -np.log(p) + weighted[1] * -np.log1p(-p)) / sum(weighted)
    assert found.estimate == pytest.approx(np.log(2) - 1e-3, abs=1e-5)
    assert found.estimate - found.interval[0] == pytest.approx(3.69 * heaviest / 300, rel=0.05)
    assert found.interval[1] == pytest.approx(found.estimate)


def test_classes_of_no_and_of_one_sample():
    lat = LatentSet(np.zeros((3, 1)), np.log(np.full((3, 3), 1 / 3)), [0, 0, 2])
    found = class_information(lat, prior_probs=[1 / 3] * 3)
    np.testing.assert_allclose(found.estimate, [0, np.nan, 0], atol=1e-7)
    np.testing.assert_array_equal(found.count, [2, 0, 1])
    assert found.standard_error[2] == np.inf
    assert np.isnan(found.interval[1]).all()


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        (([0.5, 0.5], [0.5, 0.5]), "from_prior must hold 3 probabilities"),
        (([0.5, 0.25, 0.25], [0.5, 0.25, 0.5]), "to_prior must hold 3 .* with sum 1.25"),
        (([0.5, 0.5, 0.0], [0.5, 0.25, 0.25]), "from_prior gives class 2 probability 0"),
    ],
)
def test_shift_refuses(priors, message):
    with pytest.raises(InputError, match=message):
        shift_prior(np.log(np.full((2, 3), 1 / 3)), *priors)


def test_the_interval_of_a_class_with_an_impossible_label_is_everything():
    log_probs = np.log([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    log_probs[0] = -np.inf, 0.0
    found = class_information(LatentSet(np.zeros((4, 2)), log_probs, [0, 0, 1, 1]))
    assert found.estimate[0] == -np.inf
    np.testing.assert_array_equal(found.interval[0], [-np.inf, np.inf])
    assert np.isfinite(found.interval[1]).all()
