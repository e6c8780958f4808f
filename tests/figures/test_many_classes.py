"""Hundreds of classes in a figure, and latents that hardly vary: what is shown and said."""

from __future__ import annotations

import warnings

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy.special import log_softmax

import vcviz
from vcviz.explorers.controls import SomeClasses
from vcviz.figures.classes import chosen_classes, class_places, kl_bias, labels, most_confused
from vcviz.metrics.fit import moment_kl, moment_kl_bias
from vcviz.records import LatentPrior, LatentSet


def latents(n: int, c: int, d: int = 6, *, spread=1.0, seed: int = 0) -> LatentSet:
    """Latents N(mean_k, spread_k^2), right in four of five."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % c
    z = np.eye(c, d)[y] * 3 + (np.ones(c) * spread)[y][:, None] * rng.standard_normal((n, d))
    scores = rng.normal(size=(n, c))
    scores[np.arange(n), np.where(rng.random(n) < 0.8, y, (y + 1) % c)] += 9
    names = [f"a name that begins alike and ends in {k}" for k in range(c)]
    return LatentSet(z, log_softmax(scores, axis=1), y, class_names=names)


def law(c: int, d: int = 6) -> LatentPrior:
    return LatentPrior(np.eye(c, d) * 3, scale=1.0)


def of(fig: go.Figure, layer: str) -> list:
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


def words(fig: go.Figure) -> str:
    parts = [a.text for a in fig.layout.annotations]
    return " ".join([*parts, *(t.text[0] for t in of(fig, "readout"))])


class TestWhichClasses:
    def test_few_are_all_shown(self):
        assert chosen_classes(latents(240, 24), law(24)).classes == tuple(range(24))

    def test_of_many_the_worst_by_kl_beyond_its_bias(self):
        spread = np.ones(40)
        spread[5:17] = 4
        lat = latents(2000, 40, spread=spread)
        found = chosen_classes(lat, law(40))
        assert (found.classes, found.rule) == (tuple(range(5, 17)), "the worst by KL")

    def test_a_class_is_not_the_worst_for_having_few_rows(self):
        lat = latents(4000, 40)
        rows = np.concatenate(
            [np.flatnonzero(lat.y == k)[: 9 if k < 12 else 100] for k in range(40)]
        )
        few = lat.take(rows)
        kl = moment_kl(few, law(40))
        assert set(np.argsort(-kl)[:12]) >= set(range(10))  # all by bias
        expected = [moment_kl_bias(9, 6), moment_kl_bias(100, 6)]
        np.testing.assert_allclose(kl_bias(few, law(40))[[0, 20]], expected)
        assert len(set(chosen_classes(few, law(40)).classes) & set(range(12))) < 10

    def test_without_a_law_or_rows_enough_the_most_confused(self):
        lat = latents(160, 40)
        for prior in (None, law(40)):
            assert chosen_classes(lat, prior).rule == "the most confused"
        wrong = lat.log_probs.argmax(1) != lat.y
        pairs = np.concatenate([lat.y[wrong], lat.log_probs[wrong].argmax(1)])
        least = np.bincount(pairs, minlength=40)[list(most_confused(lat).classes)].min()
        assert (np.bincount(pairs, minlength=40) > least).sum() <= 12


class TestLabels:
    def test_cut_ones_stay_distinct(self):
        names = [f"verify payment {a} twice {k}" for k in range(50) for a in ("card", "top up")]
        for limit in (8, 12, 20):
            cut = labels(names, limit)
            assert len(set(cut)) == 100
            assert max(map(len, cut)) <= limit

    def test_short_ones_and_markup_stay_text(self):
        assert labels(("<b>", "a  b", "x" * 9), 5) == ("&lt;b&gt;", "a b", "xxxx…")
        assert labels(("same name here", "same name here"), 6)[0][:4] == "same"


class TestFigures:
    def test_of_a_thousand_classes_is_small_and_says_which(self):
        lat = latents(10_000, 1000)
        explorer = vcviz.LatentExplorer((lat, law(1000)))
        fig = explorer.figure()
        assert len(fig.data) < 300
        assert len(fig.to_json()) < 3e6
        text = words(fig)
        assert "12 of 1,000 classes, the worst by KL" in text
        keys = [t for t in of(fig, "key") if t.visible is not False]
        assert len(keys) <= 17
        assert "other classes" in [t.name for t in keys]
        assert of(fig, "others")
        live = explorer.view
        assert len(live.data) < 300

    def test_of_latents_is_the_same(self):
        lat = latents(3000, 60)
        fig = vcviz.plot_latents(lat, law(60))
        assert "12 of 60 classes, the worst by KL" in words(fig)
        assert len({t.meta["class"] for t in of(fig, "points")}) == 12
        grey = of(fig, "others")[0]
        assert 1900 < len(grey.x) <= 2000
        every = vcviz.plot_latents(lat, law(60), classes=range(60))
        assert not of(every, "others")
        assert len(of(every, "key")) <= 28
        assert "… 36 more classes" in [t.name for t in of(every, "key")]

    def test_of_a_fit_names_the_worst_and_keeps_the_rest(self):
        fit = vcviz.latent_fit(latents(1200, 60), law(60), resamples=0)
        fig = vcviz.plot_latent_fit(fit)
        assert len(fig.layout.xaxis.ticktext) == 13
        assert fig.layout.xaxis.ticktext[-1] == "the other 48 classes"
        assert len(fig.data[0].y) == 60
        worst = np.argsort(-(fit.kl - fit.kl_bias))[:12]
        np.testing.assert_array_equal(np.asarray(fig.data[0].x)[worst], np.arange(12))
        np.testing.assert_allclose(of(fig, "bias")[0].y, fit.kl_bias[:12])

    def test_of_accuracies_shows_the_least(self):
        accuracy = vcviz.metrics.class_accuracy(latents(600, 60))
        fig = vcviz.figures.plot_class_accuracy(accuracy)
        assert len(fig.data[0].y) == 12
        assert max(fig.data[0].y) <= np.sort(accuracy.accuracy)[11]
        assert "12 of 60 classes, the least accurate" in fig.layout.xaxis.title.text

    def test_along_a_direction_shows_the_farthest(self):
        lat = latents(1200, 60)
        found = vcviz.metrics.marginals(lat, law(60), np.eye(6)[0])
        fig = vcviz.figures.plot_direction(found)
        assert len(of(fig, "empirical")) == 12
        assert "12 of 60 classes" in words(fig)

    def test_unknown_places_are_last(self):
        values = np.r_[np.nan, np.arange(29.0)]
        at = class_places([str(k) for k in range(30)], values)
        assert at.x[29] == 0
        assert at.x[0] == at.x.max()


class TestControl:
    def test_rules_and_names(self):
        control = SomeClasses(["a", "b", "b", "c"], [("the worst", (0, 1)), ("the best", (3,))])
        assert control.value == (0, 1)
        control.rule.value = "the best"
        assert (control.value, control.found.value) == ((3,), ["c"])
        control.found.value = ["c", "b (2)"]
        assert (control.value, control.rule_text) == ((2, 3), "chosen by name")
        assert control.rule.value == "chosen by name"
        control.found.value = []
        assert (control.value, control.rule_text) == ((0, 1), "the worst")

    def test_moves_the_explorer(self):
        explorer = vcviz.LatentExplorer((latents(1200, 60), law(60)))
        explorer.controls["classes"].found.value = explorer.controls["classes"].found.allowed_tags[
            :2
        ]
        shown = {t.meta["class"] for t in explorer.view.data if t.meta["layer"] == "points"}
        assert shown == {0, 1}
        fig = explorer.figure()
        assert "2 of 60 classes, chosen by name" in words(fig)


def relu(kind: str) -> tuple[LatentSet, np.ndarray]:
    """Latents after a ReLU: `kind` says in which way they hardly vary."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 4
    z = np.maximum(rng.normal(size=(4, 8))[y] + rng.normal(size=(200, 8)), 0)
    if kind == "dead":
        z[:, :2] = 0
    if kind == "silent in a class":
        z[y == 1, 3] = 0
    if kind == "silent in all classes in turn":
        for k in range(4):
            z[y == k, k] = 0
    if kind == "fewer rows":
        z, y = z[:7], y[:7]
    if kind == "equal":
        z[:] = 1.0
    if kind == "tiny":
        z *= 1e-20
    if kind == "huge":
        z *= 1e15
    weight = rng.normal(size=(4, 8)) / (float(z.std()) or 1.0)
    return LatentSet(z, log_softmax(z @ weight.T, axis=1), y), weight


KINDS = (
    "plain", "dead", "silent in a class", "silent in all classes in turn", "fewer rows", "equal",
    "tiny", "huge",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_latents_that_hardly_vary_keep_their_readout_and_say_what_is_missing(kind):
    lat, weight = relu(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        ui = vcviz.explore(
            latents=lat.z, log_probs=lat.log_probs, y=lat.y, weight=weight, bias=np.zeros(4)
        )
        fig = ui.latents.figure()
        prior = vcviz.implied_prior(weight, None, lat, verify=False)
        fit = vcviz.latent_fit(lat, prior)
        drawn = vcviz.plot_latent_fit(fit)
        vcviz.plot_latents(lat, prior)
        for method in ("pca", "lda"):
            assert np.isfinite(vcviz.fit_projection(lat, method=method, prior=prior)(lat.z)).all()
    shown = [t for t in fig.data if t.visible is not False]
    for trace in shown:
        if trace.meta["layer"] in ("readout", "points", "others"):
            assert np.isfinite(np.asarray(trace.x, float)).all(), trace.meta
            assert np.isfinite(np.asarray(trace.y, float)).all(), trace.meta
    for name, axis in fig.layout.to_plotly_json().items():
        if "axis" in name and "range" in axis:
            assert np.isfinite(np.asarray(axis["range"], float)).all(), name
    text = words(fig)
    edge = next(t for t in shown if t.meta["layer"] == "edge")
    marks = [a.text for a in drawn.layout.annotations]
    if kind == "dead":
        assert "2 of 8 dimensions never vary: left out" in text
        assert fit.left_out == 2
        assert np.isfinite(fit.kl).all()
    if kind == "silent in a class":
        assert list(edge.text) == ["", "∞", "", ""]
        assert "KL ∞ in a class" in text
        assert marks.count("∞") == 1
        np.testing.assert_array_equal(fit.constant, [0, 1, 0, 0])
    if kind == "silent in all classes in turn":
        assert list(edge.text) == ["∞"] * 4
        assert np.isfinite(fit.kl_varying).all()
        dots = next(t for t in shown if t.meta["layer"] == "fit")
        np.testing.assert_allclose(dots.y, fit.kl_varying, rtol=1e-4)
        assert all(s.endswith("-open") for s in dots.marker.symbol)
    if kind == "fewer rows":
        assert list(edge.text) == ["–"] * 4
        assert "no KL in 4 classes: too few rows (10 needed)" in text
    if kind == "equal":
        assert list(edge.text) == ["∞"] * 4
        assert np.isnan(fit.kl_varying).all()


def test_kl_of_what_varies_is_that_of_the_varying_unit():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 3)) * [1, 2, 3]
    y = np.arange(300) % 2
    z[y == 1, 2] = 5.0
    lat = LatentSet(z, np.full((300, 2), -np.log(2)), y)
    prior = LatentPrior(np.zeros((2, 3)), scale=[1.0, 2, 3])
    found = moment_kl(lat, prior, varying=True)
    assert np.isinf(moment_kl(lat, prior)[1])
    part = LatentSet(z[:, :2], lat.log_probs, y)
    expected = moment_kl(part, LatentPrior(np.zeros((2, 2)), scale=[1.0, 2]))
    assert found[1] == pytest.approx(expected[1], rel=1e-4)
