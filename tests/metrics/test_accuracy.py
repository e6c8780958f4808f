"""Accuracy by class against scikit-learn, exact intervals and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, recall_score

from vcviz.base.errors import InputError
from vcviz.metrics.accuracy import balanced_accuracy, class_accuracy
from vcviz.records import LatentSet


def predicted(y, guess, c=4) -> LatentSet:
    """Return latents whose most probable class is `guess`."""
    probs = np.full((len(y), c), 0.1)
    probs[np.arange(len(y)), guess] = 1 - 0.1 * (c - 1)
    return LatentSet(np.zeros((len(y), 1)), np.log(probs), y)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    y, guess = rng.choice(4, (2, 50), p=[0.5, 0.3, 0.1, 0.1])
    lat = predicted(y, guess)
    found = class_accuracy(lat)
    recalls = recall_score(y, guess, average=None, labels=range(4), zero_division=np.nan)
    np.testing.assert_allclose(found.accuracy, recalls)
    present = np.isin(guess, y)  # scikit-learn warns of guesses that never occur as labels
    assert present.all()
    assert found.balanced == pytest.approx(balanced_accuracy_score(y, guess))
    assert balanced_accuracy(lat.log_probs, y) == pytest.approx(found.balanced)
    assert found.overall == pytest.approx((y == guess).mean()) == pytest.approx(lat.accuracy)
    for k in range(4):
        wilson = binomtest(int((guess[y == k] == k).sum()), int((y == k).sum())).proportion_ci(
            0.95, method="wilson"
        )
        np.testing.assert_allclose(found.interval[k], wilson)


def test_a_majority_guess_scores_one_over_c():
    y = np.r_[np.zeros(90, int), np.repeat([1, 2, 3], 3)]
    lat = predicted(y, np.zeros(99, int))
    assert lat.accuracy > 0.9
    assert class_accuracy(lat).balanced == 0.25


def test_a_class_without_samples_is_left_out():
    found = class_accuracy(predicted(np.array([0, 0, 2]), np.array([0, 1, 2])))
    np.testing.assert_array_equal(found.accuracy, [0.5, np.nan, 1, np.nan])
    assert np.isnan(found.interval[[1, 3]]).all()
    assert found.balanced == 0.75
    np.testing.assert_array_equal(found.count, [2, 0, 1, 0])


def test_interval_of_the_balanced_accuracy_covers_the_truth():
    rng = np.random.default_rng(0)
    count, chance = np.array([200, 60, 20, 12]), np.array([0.95, 0.8, 0.6, 0.9])
    y = np.repeat(np.arange(4), count)
    hits = 0
    for _ in range(300):
        guess = np.where(rng.random(len(y)) < chance[y], y, (y + 1) % 4)
        low, high = class_accuracy(predicted(y, guess)).balanced_interval
        hits += low <= chance.mean() <= high
    assert 0.91 < hits / 300 < 0.99


def test_refuses_a_level_outside_zero_and_one():
    with pytest.raises(InputError, match="level must lie between 0 and 1, got 1"):
        class_accuracy(predicted(np.array([0, 1]), np.array([0, 1])), level=1)
