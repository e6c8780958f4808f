"""Intervals against exact ones and against their own limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, norm

from vcviz.metrics.intervals import difference_interval, mean_of_losses


@pytest.mark.parametrize("events", [1, 3, 20])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_rare_losses_of_one_size_have_the_exact_interval_of_a_poisson_count(events, level):
    losses = np.zeros(1_000_000)
    losses[:events] = 2.0
    low, high = mean_of_losses(losses, level=level)
    tail = (1 - level) / 2
    assert low == pytest.approx(1e-6 * chi2.ppf(tail, 2 * events), rel=1e-4)
    assert high == pytest.approx(1e-6 * chi2.ppf(1 - tail, 2 * events + 2), rel=1e-4)


def test_losses_that_did_not_occur_are_allowed_for():
    assert mean_of_losses(np.zeros(100)) == (0, 0)
    low, high = mean_of_losses(np.zeros(100), heaviest=5.0)
    assert (low, high) == (0, pytest.approx(-np.log(0.025) * 5 / 100))
    seen = np.r_[np.zeros(99), 7.0]
    assert mean_of_losses(seen, heaviest=5.0) == mean_of_losses(seen)


def test_many_light_losses_have_the_normal_interval():
    losses = np.random.default_rng(0).random(200_000)
    reach = norm.ppf(0.975) * losses.std(ddof=1) / np.sqrt(len(losses))
    low, high = mean_of_losses(losses)
    assert low == pytest.approx(losses.mean() - reach, abs=0.01 * reach)
    assert high == pytest.approx(losses.mean() + reach, abs=0.03 * reach)


def test_ends_of_a_difference():
    one, other = (1.0, 4.0, 8.0), (0.0, 1.0, 5.0)
    assert difference_interval(one, other) == (3 - np.hypot(3, 4), 3 + np.hypot(4, 1))
    same = (0.0, 1.0, 2.0)
    assert difference_interval(same, same, 1.0) == pytest.approx((0, 0))
    assert difference_interval(same, same, -1.0) == pytest.approx((-2, 2))
