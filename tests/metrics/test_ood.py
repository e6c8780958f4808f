"""Separation by ranks, against sklearn, brute force and a change of scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import KDTree

from vcviz.base.errors import InputError
from vcviz.latents import extract_latents
from vcviz.metrics.ood import (
    METHODS,
    aupr,
    aupr_interval,
    auroc,
    auroc_interval,
    available,
    fpr_at_tpr,
    fpr_interval,
    hanley_mcneil_interval,
    roc_curve,
    score,
    separation,
    separations,
    threshold_at_tpr,
)
from vcviz.metrics.ood.ranks import _influence, average_precision
from vcviz.models.classifier import Classifier
from vcviz.models.encoders import build_encoder
from vcviz.models.heads import HEADS, build_head
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
        fpr, tpr, _ = metrics.roc_curve(1 - hit, -values, drop_intermediate=False)
        for rate in (0.5, 0.95, 1):
            assert fpr_at_tpr(*scores, tpr=rate) == pytest.approx(fpr[tpr >= rate - 1e-9][0])

    def test_roc(self, scores):
        hit, values = stacked(scores)
        theirs = metrics.roc_curve(1 - hit, -values, drop_intermediate=False)[:2]
        np.testing.assert_allclose(roc_curve(*scores), theirs)
        strange, known = roc_curve(*scores)
        assert np.trapezoid(known, strange) == pytest.approx(auroc(*scores))

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

    def test_bootstrap_covers_true_fpr_and_aupr(self):
        rng = np.random.default_rng(4)
        distance, n, m = 1.5, 150, 100
        true_fpr = norm.cdf(norm.ppf(0.95) - distance)
        large = rng.normal(size=300_000), rng.normal(distance, size=200_000)
        true_aupr = aupr(*large)
        hits = np.zeros(2)
        for seed in range(200):
            inside, outside = rng.normal(size=n), rng.normal(distance, size=m)
            for i, (interval, truth) in enumerate(
                [(fpr_interval, true_fpr), (aupr_interval, true_aupr)]
            ):
                options = {"resamples": 150, "seed": seed} if interval is fpr_interval else {}
                low, high = interval(inside, outside, **options)
                hits[i] += low <= truth <= high
        assert (hits / 200 > 0.88).all(), hits
        assert (hits / 200 < 0.99).all(), hits

    def test_a_bootstrap_that_sees_no_spread_keeps_a_width(self):
        known, strange = np.arange(30), np.arange(20) + 100
        low, high = fpr_interval(known, strange)
        assert low == 0
        assert 0.05 < high < 0.2
        low, high = aupr_interval(known, strange)
        assert high == 1
        assert 0.8 < low < 0.95

    def test_intervals_repeat_by_seed_and_hold_the_value(self, scores):
        for measure, interval in ((aupr, aupr_interval), (fpr_at_tpr, fpr_interval)):
            options = {"seed": 3} if interval is fpr_interval else {}
            low, high = interval(*scores, **options)
            assert low <= measure(*scores) <= high
            assert interval(*scores, **options) == (low, high)
            wide = interval(*scores, **options, level=0.99)
            assert wide[0] <= low < high <= wide[1]
        assert aupr_interval(*scores, positive="in") != aupr_interval(*scores)

    def test_influence_on_the_aupr_is_its_derivative(self):
        # Ties on both sides, counts by score from the most positive on.
        hits, others = np.array([3, 2, 0, 4, 1]), np.array([0, 1, 2, 1, 5])
        small = 1e-6

        def moved(side: int, place: int) -> float:
            counts = [hits.astype(float), others.astype(float)]
            counts[side] *= 1 - small
            counts[side][place] += small * counts[side].sum() / (1 - small)
            return average_precision(*counts)

        here = average_precision(hits, others)
        for side, found in enumerate(_influence(hits, others)):
            expected = [(moved(side, k) - here) / small for k in range(5)]
            np.testing.assert_allclose(found, expected, atol=1e-4)
            assert ((hits, others)[side] * found).sum() == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize("side", [0, 1])
    def test_a_single_score_on_a_side_says_nothing_of_the_aupr(self, side):
        scores = [np.array([0.5]), np.array([0.1, 0.9])]
        assert aupr_interval(*scores[:: 1 - 2 * side]) == (0, 1)


class TestScores:
    def latents(self) -> LatentSet:
        probs = np.array([[0.98, 0.01, 0.01], [0.4, 0.3, 0.3], [1.0, 0.0, 0.0]])
        with np.errstate(divide="ignore"):
            return LatentSet(np.array([[0, 0], [9, 9], [1, 0]]), np.log(probs), [0, 1, 0])

    def train(self) -> LatentSet:
        rng = np.random.default_rng(0)
        y = np.arange(60) % 3
        z = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        turned = rng.standard_normal((60, 2)) @ [[0.5, 0.2], [0.0, 0.3]]
        return LatentSet(z[y] + turned, np.full((60, 3), -np.log(3)), y)

    @pytest.mark.parametrize("method", METHODS)
    def test_stranger_scores_higher(self, method):
        law = LatentPrior(np.zeros((3, 2)), scale=1.0)
        lat = replace(self.latents(), energy=[-9.0, -1.0, -20.0])
        values = score(lat, method, prior=law, train=self.train())
        assert values.shape == (3,)
        assert values.argmax() == 1

    def test_entropy_is_in_nats(self):
        lat = LatentSet(np.zeros((1, 2)), np.log([[0.25] * 4]), [0])
        assert score(lat, "entropy")[0] == pytest.approx(np.log(4))
        assert score(self.latents(), "entropy")[2] == 0

    def test_the_most_confident_are_told_apart(self):
        # In float32 log p of 1 - 1e-9 is 0, as is that of 1 - 1e-12.
        rest = np.array([1e-9, 1e-12, 0.3])
        log_probs = np.log(np.stack([1 - rest, rest], axis=1)).astype(np.float32)
        lat = LatentSet(np.zeros((3, 1)), log_probs, [0, 0, 0])
        np.testing.assert_allclose(score(lat), -np.log1p(-rest), rtol=1e-5)

    def test_mahalanobis_is_sklearns_on_centred_rows(self):
        train, lat = self.train(), self.latents()
        z, y = train.z.astype(float), train.y
        means = np.stack([z[y == k].mean(0) for k in range(3)])
        tied = EmpiricalCovariance(assume_centered=True).fit(z - means[y])
        theirs = [
            EmpiricalCovariance.mahalanobis(tied, lat.z.astype(float) - m) * 57 / 60 for m in means
        ]
        np.testing.assert_allclose(
            score(lat, "mahalanobis", train=train), np.min(theirs, 0), rtol=1e-6
        )
        overall = EmpiricalCovariance().fit(z).mahalanobis(lat.z.astype(float))
        np.testing.assert_allclose(
            score(lat, "relative_mahalanobis", train=train), np.min(theirs, 0) - overall, rtol=1e-6
        )

    @pytest.mark.parametrize("turn", [np.eye(2), np.array([[3.0, 1.0], [0.0, 0.2]])])
    def test_mahalanobis_has_no_units(self, turn):
        train, lat = self.train(), self.latents()
        moved = [LatentSet(v.z @ turn + 5, v.log_probs, v.y) for v in (lat, train)]
        for method in ("mahalanobis", "relative_mahalanobis"):
            np.testing.assert_allclose(
                score(moved[0], method, train=moved[1]), score(lat, method, train=train), rtol=1e-3
            )

    def test_mahalanobis_survives_dead_units_and_absent_classes(self):
        train = self.train()
        z = np.c_[train.z, np.zeros(60)]
        wider = LatentSet(z, np.full((60, 5), -np.log(5)), train.y)
        lat = LatentSet(np.c_[self.latents().z, [0, 0, 0]], self.latents().log_probs, [0, 1, 0])
        for method in ("mahalanobis", "relative_mahalanobis"):
            assert score(lat, method, train=wider).argmax() == 1

    @pytest.mark.parametrize("normalise", [False, True])
    @pytest.mark.parametrize("k", [1, 7])
    def test_knn_is_the_kth_distance(self, k, normalise):
        train, lat = self.train(), self.latents().take([1, 2])
        a, b = (v.z.astype(float) for v in (train, lat))
        if normalise:
            a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
        theirs = KDTree(a).query(b, k)[0][:, -1]
        ours = score(lat, "knn", train=train, neighbours=k, normalise=normalise)
        np.testing.assert_allclose(ours, theirs)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"method": "entrop"}, "unknown score 'entrop'; did you mean 'entropy'"),
            ({"method": "energy"}, "needs latents with energy="),
            ({"method": "log_marginal"}, "needs prior="),
            ({"method": "knn"}, "the knn score needs train="),
            ({"method": "mahalanobis"}, "the mahalanobis score needs train="),
        ],
    )
    def test_says_what_it_needs(self, arguments, message):
        with pytest.raises(InputError, match=message):
            score(self.latents(), **arguments)

    def test_says_what_does_not_fit(self):
        train = self.train()
        with pytest.raises(InputError, match="neighbours must be at most the 60 rows of train"):
            score(self.latents(), "knn", train=train, neighbours=61)
        flat = LatentSet(train.z[:, :1], train.log_probs, train.y)
        with pytest.raises(InputError, match="train must have latents of 2 dimensions, got 1"):
            score(self.latents(), "knn", train=flat)


class TestSeparation:
    def test_a_record_holds_the_numbers_of_the_functions(self, scores):
        found = separation(*scores, method="mine", tpr=0.9, seed=2)
        assert found.auroc == auroc(*scores)
        assert found.auroc_interval == auroc_interval(*scores)
        assert found.aupr == aupr(*scores)
        assert found.aupr_interval == aupr_interval(*scores)
        assert found.fpr == fpr_at_tpr(*scores, tpr=0.9)
        assert found.fpr_interval == fpr_interval(*scores, tpr=0.9, seed=2)
        assert found.threshold == threshold_at_tpr(scores[0], tpr=0.9)
        assert (found.known <= found.threshold).mean() >= 0.9
        with pytest.raises(ValueError, match="read-only"):
            found.known[0] = 0

    def test_every_score_that_can_be_had(self):
        scores = TestScores()
        known, train = scores.latents(), scores.train()
        strange = LatentSet(known.z + 20, known.log_probs, known.y, name="<far>")
        law = LatentPrior(np.zeros((3, 2)), scale=1.0)
        assert available(known) == ("max_prob", "entropy")
        assert [s.method for s in separations(known, strange)] == ["max_prob", "entropy"]
        found = separations(known, strange, train=train, prior=law, neighbours=3)
        assert [s.method for s in found] == [m for m in METHODS if m != "energy"]
        by_name = {s.method: s for s in found}
        assert by_name["knn"].auroc == by_name["log_marginal"].auroc == 1
        assert by_name["max_prob"].auroc == 0.5
        assert {(s.name, s.against) for s in found} == {("latents", "<far>")}
        np.testing.assert_allclose(
            by_name["knn"].strange, score(strange, "knn", train=train, neighbours=3)
        )
        with pytest.raises(InputError, match="needs latents with energy"):
            separations(known, strange, ["energy"])
        with pytest.raises(InputError, match="both must come from one model"):
            separations(known, LatentSet(np.zeros((2, 3)), known.log_probs[:2], [0, 1]))


@pytest.mark.parametrize("head", HEADS)
def test_every_head_gives_every_score_that_its_model_allows(head, image_split):
    torch.manual_seed(0)
    encoder = build_encoder("mlp", kind="image", input_shape=(1, 8, 8), latent_dim=4)
    model = Classifier(encoder, build_head(head, latent_dim=4, n_classes=3)).eval()
    lat = extract_latents(model, image_split, progress=False)
    scores = available(lat, train=lat, prior=model.head.prior())
    lacking = {"log_marginal"} if model.head.prior() is None else set()
    assert set(METHODS) - set(scores) == lacking
    for method in scores:
        values = score(lat, method, train=lat, prior=model.head.prior(), neighbours=2)
        assert values.shape == (12,)
        assert np.isfinite(values).all()
        assert np.ptp(values) > 0
    with torch.no_grad():
        logits = model.head.logits(torch.tensor(lat.z))
    np.testing.assert_allclose(
        score(lat, "energy"), -logits.logsumexp(1).numpy(), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auroc([], [1.0]), "scores_in must hold at least one number"),
        (lambda: auroc([0.0], [np.nan]), "scores_out has 1 NaN values"),
        (lambda: auroc([[0.0]], [1.0]), "scores_in must have 1 axes"),
        (lambda: auroc(["a"], [1.0]), "scores_in must hold at least one number"),
        (lambda: auroc_interval([0], [1], level=95), "level must lie between 0 and 1"),
        (lambda: fpr_at_tpr([0], [1], tpr=0), r"tpr must lie in \(0, 1\], got 0"),
        (lambda: fpr_at_tpr([0], [1], tpr="x"), "tpr must be a number, got 'x'"),
        (lambda: aupr([0], [1], positive="ood"), "unknown side 'ood'"),
        (lambda: fpr_interval([0], [1], resamples=0), "resamples must be a whole number of at"),
        (lambda: aupr_interval([0], [1], level=2), "level must lie between 0 and 1, got 2"),
    ],
)
def test_errors(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.oracle
def test_torchmetrics_agrees_inside_the_unit_interval():
    pytest.importorskip("torchmetrics")
    from torchmetrics.functional.classification import binary_auroc

    rng = np.random.default_rng(0)
    inside, outside = rng.random(50), rng.random(40) ** 0.5
    hit, values = stacked((inside, outside))
    theirs = binary_auroc(torch.tensor(values), torch.tensor(hit))
    assert auroc(inside, outside) == pytest.approx(float(theirs), abs=1e-6)
