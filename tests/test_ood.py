"""Separation by ranks, against sklearn, brute force and a change of scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from vcviz.errors import InputError
from vcviz.ood import (
    aupr,
    auroc,
    auroc_interval,
    fpr_at_tpr,
    hanley_mcneil_interval,
    score,
    threshold_at_tpr,
)
from vcviz.records import LatentPrior, LatentSet


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    return rng.normal(size=70).round(1), rng.normal(1, size=40).round(1)  # rounded: with ties


def stacked(scores) -> tuple[np.ndarray, np.ndarray]:
    inside, outside = scores
    return np.repeat([0, 1], [len(inside), len(outside)]), np.concatenate(scores)


class TestAgainstOthers:
    def test_auroc(self, scores):
        assert auroc(*scores) == pytest.approx(roc_auc_score(*stacked(scores)))
        above = scores[1][:, None] - scores[0]
        assert auroc(*scores) == pytest.approx((np.sign(above).mean() + 1) / 2)

    def test_aupr(self, scores):
        hit, values = stacked(scores)
        assert aupr(*scores) == pytest.approx(average_precision_score(hit, values))
        assert aupr(*scores, positive="in") == pytest.approx(
            average_precision_score(1 - hit, -values)
        )

    def test_fpr(self, scores):
        hit, values = stacked(scores)
        fpr, tpr, _ = roc_curve(1 - hit, -values, drop_intermediate=False)
        for rate in (0.5, 0.95, 1):
            assert fpr_at_tpr(*scores, tpr=rate) == pytest.approx(fpr[tpr >= rate - 1e-9][0])

    def test_threshold_accepts_no_less_and_no_more_than_it_must(self):
        known = np.arange(1, 101)
        assert threshold_at_tpr(known) == 95
        assert threshold_at_tpr(known, tpr=0.55) == 55
        assert threshold_at_tpr(known, tpr=1) == 100


class TestScale:
    @pytest.mark.parametrize("change", [(1, 0), (1, 20), (1, 50), (1, -1e3), (1e6, 0), (1e-6, 3)])
    def test_no_shift_or_scale_matters(self, change):
        # A peer squashes scores outside [0, 1] through a sigmoid: + 20 gives 0.5 there.
        factor, shift = change
        rng = np.random.default_rng(1)
        inside, outside = rng.random(200), rng.random(150) + 0.3
        moved = factor * inside + shift, factor * outside + shift
        for measure in (auroc, fpr_at_tpr, aupr):
            assert measure(*moved) == pytest.approx(measure(inside, outside))
        np.testing.assert_allclose(auroc_interval(*moved), auroc_interval(inside, outside))

    @settings(max_examples=40, deadline=None)
    @given(
        inside=st.lists(st.integers(-3, 3), min_size=1, max_size=12),
        outside=st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    )
    def test_sides_mirror(self, inside, outside):
        area = auroc(inside, outside)
        assert area + auroc(outside, inside) == pytest.approx(1)
        negated = auroc([-v for v in outside], [-v for v in inside])
        assert negated == pytest.approx(area)
        low, high = auroc_interval(inside, outside)
        assert 0 <= low <= area + 1e-9
        assert area - 1e-9 <= high <= 1

    def test_infinite_scores_have_a_rank(self):
        assert auroc([-np.inf, 0.0], [1.0, np.inf]) == 1
        assert fpr_at_tpr([0.0, np.inf], [5.0, np.inf], tpr=0.5) == 0
        assert aupr([0.0, 1.0], [np.inf, np.inf]) == 1


class TestIntervals:
    @pytest.mark.parametrize("distance", [0.0, 1.0, 2.5])
    def test_cover_the_true_area(self, distance):
        rng = np.random.default_rng(2)
        truth = norm.cdf(distance / np.sqrt(2))
        hits = np.zeros(2)
        for _ in range(400):
            inside, outside = rng.normal(size=40), rng.normal(distance, size=30)
            delong = auroc_interval(inside, outside)
            by_size = hanley_mcneil_interval(auroc(inside, outside), 40, 30)
            hits += [low <= truth <= high for low, high in (delong, by_size)]
        assert (hits / 400 > 0.91).all()
        assert (hits / 400 < 0.99).all()

    def test_perfect_separation_keeps_a_width(self):
        low, high = auroc_interval(np.arange(20), np.arange(20) + 100)
        assert high == 1
        assert 0.8 < low < 0.95
        low, high = auroc_interval(np.arange(20) + 100, np.arange(20))
        assert low == 0
        assert 0.05 < high < 0.2

    def test_width_falls_with_the_square_root_of_n(self):
        small, large = (hanley_mcneil_interval(0.7, n, n) for n in (100, 10_000))
        assert np.diff(small)[0] == pytest.approx(10 * np.diff(large)[0], rel=0.02)


class TestScores:
    def latents(self) -> LatentSet:
        probs = np.array([[0.98, 0.01, 0.01], [0.4, 0.3, 0.3], [1.0, 0.0, 0.0]])
        with np.errstate(divide="ignore"):
            return LatentSet(np.array([[0, 0], [9, 9], [1, 0]]), np.log(probs), [0, 1, 0])

    @pytest.mark.parametrize("method", ["max_prob", "entropy", "energy", "log_marginal"])
    def test_stranger_scores_higher(self, method):
        law = LatentPrior(np.zeros((3, 2)), scale=1.0)
        logits = np.array([[9, 1, 1], [1, 0.5, 0.5], [20, 0, 0]])
        values = score(self.latents(), method, prior=law, logits=logits)
        assert values.shape == (3,)
        assert values.argmax() == 1

    def test_entropy_is_in_nats(self):
        lat = LatentSet(np.zeros((1, 2)), np.log([[0.25] * 4]), [0])
        assert score(lat, "entropy")[0] == pytest.approx(np.log(4))
        assert score(self.latents(), "entropy")[2] == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"method": "entrop"}, "unknown score 'entrop'; did you mean 'entropy'"),
            ({"method": "energy"}, "needs latents with energy, or logits="),
            ({"method": "energy", "logits": np.zeros((2, 3))}, "logits must have 3 rows"),
            ({"method": "log_marginal"}, "needs prior="),
        ],
    )
    def test_says_what_it_needs(self, arguments, message):
        with pytest.raises(InputError, match=message):
            score(self.latents(), **arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auroc([], [1.0]), "scores_in must hold at least one number"),
        (lambda: auroc([0.0], [np.nan]), "scores_out has 1 NaN values"),
        (lambda: auroc([[0.0]], [1.0]), "scores_in must have 1 axes"),
        (lambda: auroc(["a"], [1.0]), "scores_in must hold at least one number"),
        (lambda: auroc_interval([0], [1], level=95), "level must lie between 0 and 1"),
        (lambda: fpr_at_tpr([0], [1], tpr=0), r"tpr must lie in \(0, 1\], got 0"),
        (lambda: aupr([0], [1], positive="ood"), "unknown side 'ood'"),
    ],
)
def test_errors(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.oracle
def test_torchmetrics_agrees_inside_the_unit_interval():
    pytest.importorskip("torchmetrics")
    import torch
    from torchmetrics.functional.classification import binary_auroc

    rng = np.random.default_rng(0)
    inside, outside = rng.random(50), rng.random(40) ** 0.5
    hit, values = stacked((inside, outside))
    theirs = binary_auroc(torch.tensor(values), torch.tensor(hit))
    assert auroc(inside, outside) == pytest.approx(float(theirs), abs=1e-6)
