"""Logit laws: exact argmax probabilities, draws, the gauge-free noise; the utilities data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import multivariate_normal, norm

from vcviz.base.errors import InputError
from vcviz.data import load_data, true_utilities
from vcviz.metrics.calibration import mean_kl, negative_log_likelihood
from vcviz.metrics.noisy_scores import (
    argmax_probs,
    draw_utilities,
    noisy_log_probs,
    relative_noise,
)
from vcviz.models import noisy_log_softmax
from vcviz.records import LogitLaw

N, C, R = 7, 3, 2


def law(rng, n=N, c=C, rank=0, **options):
    factor = rng.standard_normal((n, c, rank)) if rank else None
    mean, scale = rng.standard_normal((n, c)), np.exp(rng.standard_normal((n, c)))
    return LogitLaw(mean, scale, factor, **options)


def orthants(law):
    """Return the probabilities that each class wins, by SciPy's normal distribution function."""
    found = np.empty(law.mean.shape)
    for i, k in np.ndindex(found.shape):
        contrast = np.delete(np.eye(law.n_classes) - np.eye(law.n_classes)[k], k, axis=0)
        covariance = contrast @ law.covariance[i] @ contrast.T
        centre = contrast @ law.mean[i]
        found[i, k] = multivariate_normal(centre, covariance, seed=0).cdf(np.zeros(len(centre)))
    return found


# ---------------------------------------------------------------- probabilities


def test_two_classes_are_the_probit(rng):
    two = law(rng, c=2)
    gap, std = two.mean[:, 0] - two.mean[:, 1], np.hypot(*two.scale.T)
    np.testing.assert_allclose(argmax_probs(two)[:, 0], norm.cdf(gap / std), rtol=1e-12)
    # A factor changes the variance of the difference only.
    shared = law(rng, c=2, rank=R)
    np.testing.assert_allclose(argmax_probs(shared), orthants(shared), atol=1e-5)


def test_three_and_four_classes_are_orthant_probabilities(rng):
    for c in (3, 4):
        found = argmax_probs(law_c := law(rng, c=c))
        np.testing.assert_allclose(found, orthants(law_c), atol=2e-4)
        np.testing.assert_allclose(found.sum(1), 1)


@pytest.mark.parametrize("ratio", [1, 10, 100])
def test_quadrature_agrees_with_three_equal_means_written_out(ratio):
    # For equal means the winner is decided by angles between planes: p = 1/4 + asin(rho) / 2 pi.
    s = np.array([1.0, ratio, 1.0])
    found = argmax_probs(LogitLaw(np.zeros((1, 3)), s[None]))[0]
    for k in range(3):
        i, j = [m for m in range(3) if m != k]
        rho = s[k] ** 2 / np.sqrt((s[k] ** 2 + s[i] ** 2) * (s[k] ** 2 + s[j] ** 2))
        assert found[k] == pytest.approx(0.25 + np.arcsin(rho) / (2 * np.pi), abs=1e-6)


def test_gumbel_noise_of_one_scale_is_a_softmax(rng):
    one = LogitLaw(rng.standard_normal((N, C)), np.full((N, C), 0.7), noise="gumbel")
    np.testing.assert_allclose(argmax_probs(one), softmax(one.mean / 0.7, axis=1))
    drawn = noisy_log_probs(one, temperature=1e-3, draws=100_000)
    np.testing.assert_allclose(np.exp(drawn), argmax_probs(one), atol=0.01)


@pytest.mark.parametrize("rank", [0, R])
@pytest.mark.parametrize("noise", ["normal", "logistic", "gumbel"])
def test_draws_agree_with_those_of_torch(rng, rank, noise):
    if rank and noise != "normal":
        return
    some = law(rng, rank=rank, noise=noise, temperature=0.5)
    factor = None if rank == 0 else torch.tensor(some.factor)
    options = {"temperature": 0.5, "draws": 100_000, "noise": noise}
    generator = torch.Generator().manual_seed(0)
    mean, scale = torch.tensor(some.mean), torch.tensor(some.scale)
    there = noisy_log_softmax(mean, scale, factor, **options, generator=generator)
    here = noisy_log_probs(some, draws=100_000)
    np.testing.assert_allclose(np.exp(here), there.exp(), atol=0.01)
    np.testing.assert_allclose(np.exp(here).sum(1), 1)


def test_without_noise_any_draws_are_a_softmax(rng):
    still = LogitLaw(rng.standard_normal((N, C)), np.zeros((N, C)), temperature=0.3)
    expected = softmax(still.mean / 0.3, axis=1)
    np.testing.assert_allclose(np.exp(noisy_log_probs(still, draws=1)), expected)
    np.testing.assert_allclose(
        np.exp(noisy_log_probs(still, draws=9, temperature=3.0)), softmax(still.mean / 3, axis=1)
    )


def test_inputs_share_their_noise_whatever_stands_beside_them(rng):
    some = law(rng, rank=R)
    whole = draw_utilities(some, 5, seed=2)
    assert whole.shape == (5, N, C)
    np.testing.assert_array_equal(whole[:, 2:3], draw_utilities(some.take([2]), 5, seed=2))


# ---------------------------------------------------------------- the gauge


def test_contrasts_are_the_moments_of_utility_differences(rng):
    some = law(rng, rank=R, temperature=0.4)
    u = draw_utilities(some, 200_000) / 0.4
    gap = u[:, :, 0] - u[:, :, 2]
    mean, std = some.contrast(0, 2)
    np.testing.assert_allclose(gap.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(gap.std(0), std, rtol=0.02)
    assert (some.contrast(1, 1)[1] == 0).all()
    # One pair of classes for each input, the one of largest mean first.
    first, second = some.leaders.T
    for row, (k, j) in enumerate(zip(first, second, strict=True)):
        np.testing.assert_allclose(
            [part[row] for part in some.contrast(first, second)],
            [part[row] for part in some.contrast(int(k), int(j))],
        )
    assert (some.contrast(first, second)[0] >= 0).all()


@pytest.mark.parametrize("c", [0.01, 30.0])
def test_contrasts_do_not_know_the_gauge(rng, c):
    some = law(rng, rank=R, temperature=0.4)
    shift, common = rng.standard_normal((N, 1)), rng.standard_normal((N, 1, R))
    scaled = LogitLaw(c * (some.mean + shift), c * some.scale, c * some.factor, 0.4 * c)
    shared = LogitLaw(some.mean + shift, some.scale, some.factor + common, 0.4)
    for other in (scaled, shared):
        for found, expected in zip(other.contrast(0, 2), some.contrast(0, 2), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-9)
        np.testing.assert_allclose(relative_noise(other, 0, 2), relative_noise(some, 0, 2))
        np.testing.assert_allclose(noisy_log_probs(other), noisy_log_probs(some), atol=1e-9)


# ---------------------------------------------------------------- utilities


def test_labels_follow_the_true_distribution():
    train, _ = load_data("utilities", n=12_000, seed=1)
    probs, names = train.label_probs, train.class_names
    hit = (train.y[:, None] == np.arange(len(names))).astype(float)
    # In bins of the true probability of each class, the share of labels is that probability.
    for low in np.arange(0, 0.8, 0.1):
        inside = (probs >= low) & (probs < low + 0.1)
        error = 4 * np.sqrt(0.25 / inside.sum())
        assert hit[inside].mean() == pytest.approx(probs[inside].mean(), abs=error)


def test_the_truth_of_utilities_agrees_with_its_rows():
    train, test = load_data("utilities", n=9000, n_classes=3, slope=2.0, loud=1.0)
    utilities = true_utilities(train)
    np.testing.assert_allclose(argmax_probs(utilities), train.label_probs, atol=1e-9)
    truth = test.truth
    assert 1 - test.label_probs.max(1).mean() == pytest.approx(truth["bayes_error"], abs=0.015)
    log_truth = np.log(np.maximum(test.label_probs, 1e-300))
    noise = negative_log_likelihood(log_truth, test.y)
    assert truth["label_entropy"] - noise == pytest.approx(truth["mutual_information"], abs=0.03)
    assert (utilities.scale >= 0.1).all()
    assert (utilities.scale <= 1.0).all()
    # A class is loud to one side and quiet on the other.
    sides = true_utilities(train, [[0.0, 2.0], [0.0, -2.0]]).scale[:, 0]
    assert sides[0] > 9 * sides[1]


def test_further_dimensions_say_nothing_and_seeds_repeat():
    train, _ = load_data("utilities", n=60, dim=4)
    moved = train.x.copy()
    moved[:, 2:] = 0
    np.testing.assert_array_equal(true_utilities(train, moved).scale, true_utilities(train).scale)
    again, _ = load_data("utilities", n=60, dim=4)
    np.testing.assert_array_equal(train.x, again.x)
    np.testing.assert_array_equal(train.y, again.y)


def test_mean_kl_is_zero_for_the_truth_and_by_hand():
    truth = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    assert mean_kl(truth, np.log(np.maximum(truth, 1e-300))) == pytest.approx(0)
    flat = np.full((2, 3), -np.log(3))
    by_hand = (np.log(3 / 2) + np.log(3) + (truth[1] * np.log(truth[1])).sum()) / 2
    assert mean_kl(truth, flat) == pytest.approx(by_hand)


# ---------------------------------------------------------------- errors


def test_what_does_not_fit_is_refused(rng, table_split):
    with pytest.raises(InputError, match=r"mean and scale must be \(N, C\).*got \(7, 3\) and"):
        LogitLaw(np.zeros((N, C)), np.ones((N, 1)))
    with pytest.raises(InputError, match="scale must not be negative"):
        LogitLaw(np.zeros((N, C)), -np.ones((N, C)))
    with pytest.raises(InputError, match=r"factor must be \(\*\(7, 3\), R\), got \(7, 2, 2\)"):
        LogitLaw(np.zeros((N, C)), np.ones((N, C)), np.ones((N, 2, 2)))
    with pytest.raises(InputError, match="unknown noise 'normale'; did you mean 'normal'"):
        law(rng, noise="normale")
    with pytest.raises(InputError, match="needs independent normal noise"):
        argmax_probs(law(rng, rank=R))
    with pytest.raises(InputError, match="needs independent normal noise"):
        argmax_probs(law(rng, noise="gumbel"))
    with pytest.raises(InputError, match="scales above 0"):
        argmax_probs(LogitLaw(np.zeros((N, C)), np.zeros((N, C))))
    with pytest.raises(InputError, match="leaves ties undecided"):
        argmax_probs(LogitLaw(np.zeros((N, 2)), np.zeros((N, 2))))
    with pytest.raises(InputError, match="temperature must be a number above 0"):
        noisy_log_probs(law(rng), temperature=0)
    with pytest.raises(InputError, match="only 'utilities' data does"):
        true_utilities(table_split)
    with pytest.raises(InputError, match="x must have 2 columns, got 3"):
        true_utilities(load_data("utilities", n=40)[0], np.zeros((4, 3)))
    with pytest.raises(InputError, match="loud must be at least quiet"):
        load_data("utilities", loud=0.01)
    with pytest.raises(InputError, match="dim must be a whole number of at least 2"):
        load_data("utilities", dim=1)
    with pytest.raises(InputError, match="label_probs must have shape"):
        mean_kl(np.ones((2, 2)) / 2, np.log(np.ones((2, 3)) / 3))
    for wrong in ([[0.5, 0.7]], [[1.5, -0.5]]):
        with pytest.raises(InputError, match="rows of label_probs must be distributions"):
            mean_kl(wrong, np.log([[0.5, 0.5]]))


def test_gumbel_noise_that_classes_share_too_has_no_formula(rng):
    both = law(rng, rank=R, noise="gumbel")
    alike = LogitLaw(both.mean, np.ones((N, C)), both.factor, noise="gumbel")
    with pytest.raises(InputError, match="independent normal noise, or Gumbel of one scale"):
        argmax_probs(alike)


def test_rows_and_classes_that_are_not_there_are_refused(rng):
    some = law(rng, rank=R)
    np.testing.assert_array_equal(some.take([-1, 0]).mean, some.mean[[-1, 0]])
    np.testing.assert_array_equal(some.take(np.arange(N) < 2).factor, some.factor[:2])
    with pytest.raises(InputError, match="rows must be positions below 7"):
        some.take([N])
    for first, second in ((C, 0), (0, -1), (np.full(N, C), np.zeros(N, int))):
        with pytest.raises(InputError, match=r"must lie in \[0, 3\)"):
            some.contrast(first, second)
    with pytest.raises(InputError, match="draws must be a whole number of at least 1, got 0"):
        noisy_log_probs(some, draws=0)
