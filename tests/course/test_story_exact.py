"""What lessons 1, 2, 5, 7 and 8 and their reveals say, computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats
from scipy.special import entr, expit, log_softmax, softmax
from story import Claim, Given, Story, parametrised

from vcviz import course
from vcviz.course import bits, confidence, gauge, noise, noisy_labels, sharpness
from vcviz.course.two_classes import LAWS, best_softmax, boundary_shape, log_odds, two_classes
from vcviz.figures.regions import region_pixels
from vcviz.geometry.contours import law_contours
from vcviz.metrics.calibration import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_curve,
)
from vcviz.records import LatentPrior

BIT = np.log(2)


def drawn(explorer: Any, name: str, panel: str = "x") -> dict[str, Any]:
    """Return the trace of this name in the panel of this axis."""
    (found,) = [
        t
        for t in explorer.view.data
        if t.name == name and (t.to_plotly_json().get("xaxis") or "x") == panel
    ]
    return found


def words(explorer: Any) -> str:
    return " ".join(
        t.text[0] for t in explorer.view.data if t.type == "scatter" and t.mode == "text"
    )


def points(trace: Any) -> np.ndarray:
    """Return (P, 2) finite points of a line."""
    xy = np.column_stack([trace.x, trace.y]).astype(float)
    return xy[np.isfinite(xy).all(1)]


# ---------------------------------------------------------------- lesson 1


def only_an_approximation(_story: Story, _seed: int) -> None:
    others = [two_classes(spread=2.6), two_classes("heavy tails"), two_classes("two clumps")]
    assert min(best_softmax(law).excess for law in others) > 0.1


def both_unit(_story: Story, _seed: int) -> None:
    law = two_classes()
    np.testing.assert_allclose(law.covariance, np.stack([np.eye(2)] * 2))
    assert "0.166" in words(course.BayesExplorer("share"))


def within(outline: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return whether points (N, 2) lie in closed outlines (P, 2), which NaN rows divide."""
    (x0, y0), (x1, y1) = outline[:-1].T, outline[1:].T
    x, y = at[:, :1], at[:, 1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        crosses = ((y0 > y) != (y1 > y)) & (x < x0 + (x1 - x0) * (y - y0) / (y1 - y0))
    return np.sum(crosses & np.isfinite(y0 + y1), axis=1) % 2 == 1


def rings_hold(_story: Story, _seed: int) -> None:
    for law in (two_classes(name, spread=1.4, mean_b=(2, 1)) for name in LAWS):
        for ring in law_contours(law, mass=(0.5, 0.9)):
            z, _ = law.sample(np.full(20_000, ring.label), np.random.default_rng(1))
            assert within(ring.xy, z).mean() == pytest.approx(ring.mass, abs=0.03)


def colours_of_the_likelier(_story: Story, _seed: int) -> None:
    at = np.linspace(-7, 7, 71)
    grid = np.stack(np.meshgrid(at, at), axis=-1)
    posterior = two_classes(spread=2.6).log_posterior(grid.reshape(-1, 2)).reshape(71, 71, 2)
    pixels = region_pixels(posterior)
    likelier, p = posterior.argmax(2), np.exp(posterior.max(2))
    for k in (0, 1):
        assert len(np.unique(pixels[likelier == k][:, :3], axis=0)) == 1
    strength = pixels[..., 3].ravel()[np.argsort(p.ravel())].astype(int)
    assert (np.diff(strength) >= 0).all()
    assert strength[-1] > strength[0]


def half_to_each(_story: Story, _seed: int) -> None:
    one = course.BayesExplorer("spread", spread=2.6)
    law = two_classes(spread=2.6)
    best = best_softmax(law)
    line, dashed = drawn(one, "Bayes' rule, p = ½"), drawn(one, "best softmax, p = ½")
    assert dashed.line.dash == "dash"
    assert np.abs(log_odds(law, points(line))).max() < 0.1  # the grid's own error
    assert np.abs(best.log_odds(points(dashed))).max() < 1e-3


def along_the_axis(_story: Story, _seed: int) -> None:
    one, law = course.BayesExplorer("spread", spread=2.6), two_classes(spread=2.6)
    line = points(drawn(one, "Bayes' rule, p = ½", "x2"))
    cut = np.column_stack([line[:, 0], np.zeros(len(line))])
    np.testing.assert_allclose(line[:, 1], np.clip(log_odds(law, cut), -24, 24), atol=1e-4)
    assert f"<b>best softmax {best_softmax(law).excess:.3f} nats more</b>" in words(one)


def two_more_laws(_story: Story, _seed: int) -> None:
    controls = course.BayesExplorer("spread").controls
    assert len(controls["law"].options) == 3


def a_clump_on_either_side(_story: Story, _seed: int) -> None:
    law = two_classes("two clumps", mean_b=(1.0, 0.5))
    z, _ = law.sample(np.zeros(20_000, int), np.random.default_rng(0))
    here, there = np.array([-1.5, 0.0]), np.array([3.5, 1.0])
    assert here + there == pytest.approx(2 * law.mean[1])
    beyond = np.linalg.norm(z - there, axis=1) < np.linalg.norm(z - here, axis=1)
    assert beyond.mean() == pytest.approx(0.5, abs=0.02)
    assert z[~beyond].mean(0) == pytest.approx(here, abs=0.15)


# ---------------------------------------------------------------- lesson 2


def any_reading(seed: int) -> LatentPrior:
    rng = np.random.default_rng(seed)
    return gauge.reading(
        gauge.WEIGHT,
        gauge.BIAS,
        gauge.ellipse(rng.uniform(0.2, 2), rng.uniform(1, 4), rng.uniform(0, 180)),
        rng.uniform(-3, 3, 2),
    )


def bayes_rule_of_any(_story: Story, seed: int) -> None:
    z = np.random.default_rng(seed).uniform(-6, 6, (200, 2))
    layer = log_softmax(z @ gauge.WEIGHT.T + gauge.BIAS, axis=1)
    np.testing.assert_allclose(any_reading(seed).log_posterior(z), layer, atol=1e-8)


def description_not_prediction(story: Story, seed: int) -> None:
    bayes_rule_of_any(story, seed)
    one, other = any_reading(seed), any_reading(seed + 1)
    assert np.abs(one.mean - other.mean).max() > 0.1
    assert np.abs(one.log_weight - other.log_weight).max() > 0.01


def one_layer_of_three(_story: Story, _seed: int) -> None:
    one = course.GaugeExplorer()
    pictures = [t.source for t in one.view.data if t.type == "image"]
    assert len(pictures) == 2
    assert pictures[0] == pictures[1]
    one.bound.set(scale=1.8, x=-2.0)
    assert [t.source for t in one.view.data if t.type == "image"] == pictures
    assert len(gauge.WEIGHT) == 3


def left_is_the_plain_one(_story: Story, _seed: int) -> None:
    plain = gauge.reading(gauge.WEIGHT, gauge.BIAS, np.eye(2), np.zeros(2))
    np.testing.assert_allclose(plain.mean, gauge.WEIGHT)
    bars = drawn(course.GaugeExplorer(), "Σ = I, c = 0", "x3")
    np.testing.assert_allclose(bars.y, np.exp(plain.log_weight), rtol=1e-5)


# ---------------------------------------------------------------- lesson 5


def less_sure(_story: Story, _seed: int) -> None:
    log_probs, y = sharpness.sample(2.5, 2000, 3)
    softer = apply_temperature(log_probs, fit_temperature(*sharpness.sample(2.5, 2000, 4))[0])
    sure = [np.exp(p.max(1)).mean() for p in (log_probs, softer)]
    right = (log_probs.argmax(1) == y).mean()
    assert sure[0] > right + 0.05
    assert sure[1] == pytest.approx(right, abs=0.02)


def no_decision_changes(_story: Story, seed: int) -> None:
    log_probs, _ = sharpness.sample(2.0, 500, seed)
    softer = apply_temperature(log_probs, 1.7)
    np.testing.assert_array_equal(softer.argmax(1), log_probs.argmax(1))
    assert np.abs(softer - log_probs).max() > 0.1


def five(_story: Story, _seed: int) -> None:
    headings = [a.text for a in course.five_diagrams(60).layout.annotations]
    assert len([h for h in headings if h.strip("<b>/") in tuple("ABCDE")]) == 5


def two_gaussians(_story: Story, _seed: int) -> None:
    log_probs, y = sharpness.sample(1.0, 50_000, 0)
    z = (log_probs[:, 1] - log_probs[:, 0]) / (2 * sharpness.HALF)
    for k, mean in enumerate((-sharpness.HALF, sharpness.HALF)):
        assert stats.kstest(z[y == k], stats.norm(mean, 1).cdf).pvalue > 0.001


def too_sure_above_one(_story: Story, _seed: int) -> None:
    for factor in sharpness.SHARPNESS:
        log_probs, _ = sharpness.sample(factor, 100_000, 0)
        over = np.exp(log_probs.max(1)).mean() - sharpness.accuracy()
        assert over == pytest.approx(0, abs=0.004) if factor == 1 else (over > 0) == (factor > 1)
    assert sharpness.true_error(1.0) == pytest.approx(0, abs=1e-12)


def bars_of_a_calibrated_one(_story: Story, _seed: int) -> None:
    log_probs, y = sharpness.sample(2.0, 1000, 0)
    curve = reliability_curve(log_probs, y, n_bins=sharpness.BINS, resamples=1000)
    rng, sure = np.random.default_rng(0), np.exp(log_probs.max(1))
    inside = []
    for _ in range(300):
        right = rng.random(len(sure)) < sure
        labels = np.where(right, log_probs.argmax(1), log_probs.argmin(1))
        again = reliability_curve(log_probs, labels, n_bins=sharpness.BINS, resamples=0)
        kept = curve.count > 0
        low, high = curve.consistency_low[kept], curve.consistency_high[kept]
        inside.append((low - 1e-9 <= again.accuracy[kept]) & (again.accuracy[kept] <= high + 1e-9))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def on_other_rows(_story: Story, _seed: int) -> None:
    softer, t = confidence._softened(2.0, 500, 3)
    shown, y = sharpness.sample(2.0, 500, 3)
    np.testing.assert_allclose(softer, apply_temperature(shown, t))
    assert t != pytest.approx(fit_temperature(shown, y).temperature, abs=1e-3)
    rows = sharpness.sample(2.0, 500, 3 + confidence._HELD_OUT)
    assert len(rows[1]) == 500
    losses = [
        negative_log_likelihood(apply_temperature(rows[0], t * f), rows[1]) for f in (0.99, 1, 1.01)
    ]
    assert np.argmin(losses) == 1
    one = course.ConfidenceExplorer()
    one.bound.set(n=500, draw=3)
    assert f"T = {t:.2f} (other rows)" in words(one)


def undoes_sharpness(story: Story, seed: int) -> None:
    no_decision_changes(story, seed)
    for factor in (0.6, 2.0, 3.0):
        t = fit_temperature(*sharpness.sample(factor, 20_000, 7)).temperature
        assert t == pytest.approx(factor, rel=0.05)


def least_at_bayes_rule(_story: Story, _seed: int) -> None:
    z = np.linspace(-9, 9, 4001)
    density = 0.5 * (stats.norm.pdf(z, sharpness.HALF) + stats.norm.pdf(z, -sharpness.HALF))
    p = expit(2 * sharpness.HALF * z)

    def nll(slope: float, shift: float) -> float:
        u = slope * 2 * sharpness.HALF * z + shift
        said = p * np.logaddexp(0, -u) + (1 - p) * np.logaddexp(0, u)
        return float(np.trapezoid(density * said, z))

    others = [nll(s, b) for s in sharpness.SHARPNESS for b in (-0.5, 0.0, 0.5) if (s, b) != (1, 0)]
    assert nll(1, 0) < min(others)


# ---------------------------------------------------------------- lesson 7


def the_classes_of_lesson_7(_story: Story, _seed: int) -> None:
    z = np.linspace(-3, 3, 7)
    odds = stats.norm.logpdf(z, 1.5) - stats.norm.logpdf(z, -1.5)
    np.testing.assert_allclose(noisy_labels.log_odds(z), odds, atol=1e-12)
    assert course.FlipExplorer().controls["share"].value == 0.5


def exact_with_clean_labels(_story: Story, _seed: int) -> None:
    for share in (0.2, 0.5):
        best = noisy_labels.fitted(0.0, share)
        assert best.nll == pytest.approx(best.least, abs=1e-9)
    one = course.FlipExplorer(0.0)
    np.testing.assert_allclose(
        drawn(one, "best softmax").y, drawn(one, "turned labels, Bayes' rule").y, atol=1e-5
    )


def least_on_turned(_story: Story, _seed: int) -> None:
    best = noisy_labels.fitted(0.1)
    z = np.linspace(-9, 9, 4001)
    density = 0.5 * (stats.norm.pdf(z, 1.5) + stats.norm.pdf(z, -1.5))
    target = noisy_labels.flipped(3 * z, 0.1)

    def nll(slope: float, bias: float) -> float:
        u = slope * z + bias
        said = target * np.logaddexp(0, -u) + (1 - target) * np.logaddexp(0, u)
        return float(np.trapezoid(density * said, z))

    near = [nll(best.slope + a, best.bias + b) for a in (-0.02, 0, 0.02) for b in (-0.02, 0, 0.02)]
    assert np.argmin(near) == 4
    dashed = points(drawn(course.FlipExplorer(0.1), "best softmax"))
    np.testing.assert_allclose(dashed[:, 1], expit(best.slope * dashed[:, 0]), atol=1e-4)


def gumbel_and_normal(_story: Story, _seed: int) -> None:
    rng, a = np.random.default_rng(0), noisy_labels.UTILITIES
    gumbel = a + rng.gumbel(size=(400_000, 3))
    np.testing.assert_allclose(np.bincount(gumbel.argmax(1)) / len(gumbel), softmax(a), atol=0.003)
    normal = a[:2] + 0.7 * rng.standard_normal((400_000, 2))
    probit = stats.norm.cdf((a[0] - a[1]) / (0.7 * np.sqrt(2)))
    assert (normal.argmax(1) == 0).mean() == pytest.approx(probit, abs=0.003)


def exact_in_the_limit(_story: Story, _seed: int) -> None:
    truth = noisy_labels.argmax_probs(noisy_labels.utilities(1.0))[0]
    found = []
    for tau in (1.0, 0.3, 0.03):
        law = noisy_labels.utilities(1.0, tau)
        said = noisy_labels.noisy_log_probs(law, draws=400_000)[0]
        found.append((truth * (np.log(truth) - said)).sum())
    assert (np.diff(found) < 0).all()
    assert found[-1] < 5e-5
    few = noisy_labels.noisy_log_probs(noisy_labels.utilities(1.0, 0.03), draws=10)[0]
    assert np.abs(np.exp(few) - truth).max() > 0.02


def three_kinds_of_bars(_story: Story, _seed: int) -> None:
    one, a = course.TemperatureExplorer(), noisy_labels.UTILITIES
    assert len(a) == 3
    u = a + np.random.default_rng(0).standard_normal((400_000, 3))
    often = np.bincount(u.argmax(1)) / len(u)
    np.testing.assert_allclose(drawn(one, "truth: largest u").y, often, atol=0.003)
    tau = one.controls["temperature"].value
    blue = softmax(u / tau, axis=1).mean(0)
    np.testing.assert_allclose(drawn(one, "mean of softmax(u/τ)").y, blue, atol=0.02)
    assert noisy_labels.DRAWS == 4000
    orange = np.asarray(drawn(one, "softmax(a/T), best T").y, float)
    lacking = stats.entropy(often, orange)
    assert lacking == pytest.approx(noisy_labels.plain_temperature(1.0)[1], abs=5e-4)
    assert lacking < min(stats.entropy(often, softmax(a / t)) for t in (0.6, 1.0))


def from_ten_to_ten(_story: Story, _seed: int) -> None:
    tau = noisy_labels.TEMPERATURES[3]
    u = noisy_labels.UTILITIES + np.random.default_rng(9).standard_normal((2000, 10, 3))
    noise_of = np.log(softmax(u / tau, axis=2).mean(1)[:, 0]).std()
    assert noise_of == pytest.approx(noisy_labels.smoothing(1.0)[3, 1], rel=0.15)


def no_decision_moves(_story: Story, _seed: int) -> None:
    odds = np.linspace(-6, 6, 41)
    for rate in (0.05, 0.3, 0.45, 0.55):
        kept = (noisy_labels.flipped(odds, rate) > 0.5) == (odds > 0)
        assert kept[odds != 0].all() == (rate < 0.5)
        assert noisy_labels.flipped(odds, rate).max() <= max(1 - rate, rate)


def lower_slopes(_story: Story, _seed: int) -> None:
    for share in (0.2, 0.5, 0.7):
        slopes = [noisy_labels.fitted(rate, share).slope for rate in (0.0, 0.1, 0.2, 0.4)]
        assert (np.diff(slopes) < 0).all()


def temperature_or_not(_story: Story, _seed: int) -> None:
    even, rare = noisy_labels.fitted(0.2), noisy_labels.fitted(0.2, 0.2)
    assert even.bias == pytest.approx(0, abs=1e-6)
    assert rare.boundary > noise.boundary(0.2) + 0.05
    assert noisy_labels.flipped(
        noisy_labels.log_odds(np.array([noise.boundary(0.2)]), 0.2), 0.2
    ) == pytest.approx(0.5)


# ---------------------------------------------------------------- lesson 8


def a_lower_bound(_story: Story, _seed: int) -> None:
    for ratio in (1, 10, 100):
        right = bits.known(2.0, ratio)
        assert right.bound == pytest.approx(right.information, abs=1e-9)
        for factor in (0.25, 0.5, 2.0, 3.0):
            assert bits.known(2.0, ratio, factor).bound < right.information - 1e-4


def at_most_two(_story: Story, _seed: int) -> None:
    assert len(bits.frequencies(10)) == 4
    for ratio in bits.RATIOS:
        assert (
            bits.known(6.0, ratio).information <= bits.known(6.0, ratio).entropy <= 2 * BIT + 1e-9
        )


def four_in_a_row(_story: Story, _seed: int) -> None:
    one = course.BitsExplorer(2.0, 10)
    tops = [points(drawn(one, f"class {k + 1}")) for k in range(4)]
    peaks = [xy[xy[:, 1].argmax(), 0] for xy in tops]
    np.testing.assert_allclose(peaks, [-3, -1, 1, 3], atol=0.06)
    at = np.asarray(drawn(one, "I(Z;Y)", "x2").y, float)
    np.testing.assert_allclose(drawn(one, "H(Y) − NLL", "x2").y, at, atol=1e-5)


def rare_but_telling(_story: Story, _seed: int) -> None:
    assert round(-np.log2(0.01), 2) == 6.64
    assert round(float(entr(0.01)) / BIT, 3) == 0.066


def one_bit(_story: Story, _seed: int) -> None:
    assert round(np.log(2), 3) == 0.693


def learned_by_heart(_story: Story, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, y = rng.standard_normal((30, 20)), rng.permutation(np.repeat([0, 1], 15))
    theta = np.zeros(20)  # z says nothing of y: I(Z;Y) = 0
    for _ in range(3000):
        theta += 0.1 * z.T @ (y - expit(z @ theta)) / len(y)
    u = z @ theta
    assert np.logaddexp(0, np.where(y == 1, -u, u)).mean() < 0.8 * np.log(2)
    fresh = rng.standard_normal((4000, 20)) @ theta
    assert np.logaddexp(0, fresh * rng.choice([-1, 1], 4000)).mean() > np.log(2)


L1, L2, L5 = "course/01_bayes", "course/02_gauge", "course/05_confidence"
L7, L8 = "course/07_noise", "course/08_bits"
CLAIMS = (
    Claim(L1, "For other laws even the best softmax may be an approximation",
          only_an_approximation, 0),
    Claim(L1, "Two classes in the plane, both with covariance $I$", both_unit, 0),
    Claim(L1, "rings hold 50 and 90 % of each law", rings_hold, 0),
    Claim(L1, "a place has the colour of the class that is likelier there, stronger where that is "
              "surer", colours_of_the_likelier, 0),
    Claim(L1, "The grey line is where Bayes' rule gives ½ to each class; the dashed one is the "
              "same of the best softmax", half_to_each, 0),
    Claim(L1, "On the right are the log odds of B along $z_2 = 0$, and in bold what the best "
              "softmax costs", along_the_axis, 0),
    Claim(L1, "The list **Laws** of this figure has two more", two_more_laws, 0),
    Claim(L1, "with *two clumps* half of A lies where it was and half on the other side of B",
          a_clump_on_either_side, 0),
    Claim(L2, "Bayes' rule with these Gaussians is $\\mathrm{softmax}(Wz+b)$, exactly",
          bayes_rule_of_any),
    Claim(L2, "it changes the description and no prediction", description_not_prediction),
    Claim(L2, "Both planes below show one layer of three classes", one_layer_of_three, 0),
    Claim(L2, "The rings on the left are of the reading with $\\Sigma = I$ and $c = 0$",
          left_is_the_plain_one, 0),
    Claim(L5, "to make an overconfident classifier less confident", less_sure, 0),
    Claim(L5, "divide all logits $a$ by a **temperature** $T > 0$, $\\mathrm{softmax}(a/T)$, and "
              "no decision changes", no_decision_changes),
    Claim(L5, "Five diagrams", five, 0),
    Claim(L5, "two Gaussian classes", two_gaussians, 0),
    Claim(L5, "At 1 it is Bayes' rule, above 1 it is too sure", too_sure_above_one, 0),
    Claim(L5, "A grey bar shows where the dot of that bin would be in 95 % of all samples",
          bars_of_a_calibrated_one, 0),
    Claim(L5, "The temperature $T$ above it is fitted on $n$ *other* rows, by least NLL",
          on_other_rows, 0),
    Claim(L5, "A temperature fitted on held-out rows changes no decision", undoes_sharpness),
    Claim(L5, "on average it is least where the classifier is Bayes' rule", least_at_bayes_rule, 0),
    Claim(L7, "Two classes have the laws $\\mathcal N(-1.5, 1)$ and $\\mathcal N(1.5, 1)$ and are "
              "equally frequent", the_classes_of_lesson_7, 0),
    Claim(L7, "With clean labels softmax is exact", exact_with_clean_labels, 0),
    Claim(L7, "The softmax with the least NLL on turned labels is dashed", least_on_turned, 0),
    Claim(L7, "With standard Gumbel noise $\\xi_k$ and $\\sigma = 1$ this is "
              "$\\mathrm{softmax}(a)$ exactly; with normal noise it is the probit model",
          gumbel_and_normal, 0),
    Claim(L7, "exact for $M \\to \\infty$ followed by $\\tau \\to 0$", exact_in_the_limit, 0),
    Claim(L7, "how often each of three classes is the largest (grey), the formula with "
              "$M = 4{,}000$ (blue), and a plain $\\mathrm{softmax}(a/T)$ at its best temperature",
          three_kinds_of_bars, 0),
    Claim(L7, "varies from one set of ten draws to the next", from_ten_to_ten, 0),
    Claim(L7, "the same for both classes, at a rate below ½, moves no decision",
          no_decision_moves, 0),
    Claim(L7, "The best softmax lowers its slope", lower_slopes, 0),
    Claim(L7, "For equally frequent classes that is a temperature; otherwise its decision moves "
              "as well", temperature_or_not, 0),
    Claim(L8, "It is a lower bound on the mutual information $I(Z;Y)$, and equal to it for Bayes' "
              "rule", a_lower_bound, 0),
    Claim(L8, "divide by $\\log 2 = 0.693$ for bits", one_bit, 0),
    Claim(L8, "Four classes, at most two bits", at_most_two, 0),
    Claim(L8, "Four Gaussians in a row, with Bayes' rule as their classifier", four_in_a_row, 0),
    Claim(L8, "a class with $\\pi_y = 0.01$ tells 6.64 bits; but it is so rare that it adds only "
              "0.066 bits to $H(Y)$", rare_but_telling, 0),
    Claim(L8, "On training data the estimate can exceed $I(Z;Y)$", learned_by_heart),
)  # fmt: skip

MINUTES = "Some 20 minutes"
GIVEN = (
    *(Given(lesson, MINUTES, "instruction") for lesson in (L1, L2, L5, L7, L8)),
    Given(L1, "for which laws of the latents softmax is exact", "definition"),
    Given(L1, "how far its mean cross-entropy lies above that of Bayes' rule", "definition"),
    Given(L1, "Equal covariances", "definition"),
    Given(L1, "move the spread to 1, and below 1", "instruction"),
    Given(L1, "choose *heavy tails* above and set the spread to 1; then *two clumps*",
          "instruction"),
    Given(L2, "the longer axis and its turn", "instruction"),
    Given(L5, "of all inputs with confidence 0.8 a share of 0.8 is classified correctly",
          "definition"),
    Given(L5, "dotted the mean ECE at sharpness 1", "definition"),
    Given(L5, "Then set it to 1", "instruction"),
    Given(L5, "Never report an ECE", "instruction"),
    Given(L7, "The density $p(z)$ does not change", "mathematics"),
    Given(L7, "move the share to 0, and up to 0.4; then make B rare, with a frequency of 0.2",
          "instruction"),
    Given(L7, "the label is the class whose utility is largest", "definition"),
    Given(L7, "has slope 0 almost everywhere", "mathematics"),
    Given(L7, "lower the temperature τ step by step", "instruction"),
    Given(L8, "move the distance to 0", "instruction"),
    Given(L8, "Make the classes equally frequent (1 : 1)", "instruction"),
    Given(L8, "a **sharpness** of 2", "instruction"),
    Given(L8, "how to ask for more (4)", "definition"),
)  # fmt: skip


@parametrised(CLAIMS)
def test_what_is_said_is_so(claim: Claim, story: Story) -> None:
    claim.check_text()
    claim.holds(story, 0)


@parametrised([c for c in CLAIMS if c.least])
def test_in_every_draw(claim: Claim, story: Story) -> None:
    claim.check_seeds(story)


# ---------------------------------------------------------------- what the reveals say


class Told(NamedTuple):
    """What the reveal of a prediction says, and what asserts it."""

    prediction: str
    fragment: str
    asserts: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.prediction}-{self.fragment[:30]}"


def away_from_the_frequent() -> None:
    for share in (0.1, 0.3, 0.7, 0.95):
        law = two_classes(share_b=share)
        best = best_softmax(law)
        assert best.weight == pytest.approx((3, 0), abs=1e-6)
        assert (-best.bias / best.weight[0] < 0) == (share > 0.5)
        assert log_odds(law, [[-best.bias / 3, 4.0]]) == pytest.approx(0, abs=1e-6)


def wherever_the_centres_are() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.uniform(-5, 5, (2, 2))
        law = two_classes(mean_a=a, mean_b=b, share_b=rng.uniform(0.05, 0.95))
        assert best_softmax(law).excess == pytest.approx(0, abs=5e-4)


def islands() -> None:
    for spread, inner in ((2.6, 0), (0.6, 1)):
        law = two_classes(spread=spread)
        assert boundary_shape(law) == "ellipse"
        turn = np.linspace(0, 2 * np.pi, 90)
        far = 100 * np.column_stack([np.cos(turn), np.sin(turn)])
        assert (law.log_posterior(far).argmax(1) == 1 - inner).all()
        assert law.log_posterior(law.mean[[inner]]).argmax() == inner


def tails_come_back() -> None:
    far = np.array([[1e7, 0.0]])
    for spread in (1.0, 2.6):
        laws = [stats.multivariate_t([x, 0], s**2 * np.eye(2), df=1.5) for x, s in
                ((-1.5, 1), (1.5, spread))]  # fmt: skip
        odds = laws[1].logpdf(far) - laws[0].logpdf(far)
        assert odds == pytest.approx(1.5 * np.log(spread), abs=1e-4)
        ours = log_odds(two_classes("heavy tails", spread=spread), far)[0]
        assert ours == pytest.approx(odds, abs=1e-4)
    z = np.column_stack([np.linspace(0, 7, 701), np.zeros(701)])
    unit = [stats.multivariate_t([x, 0], np.eye(2), df=1.5).logpdf(z) for x in (-1.5, 1.5)]
    odds = unit[1] - unit[0]
    reason = course.predict("1c").answer.reason
    assert f"{odds.max():.2f} nats at z₁ = {z[odds.argmax(), 0]:.2f}" in reason
    assert f"at {odds[-1]:.2f} where the figure ends" in reason


def no_better_than_guessing() -> None:
    best = best_softmax(two_classes("two clumps"))
    assert best.least + best.excess == pytest.approx(np.log(2), abs=1e-6)


def readings_of_2a() -> None:
    for x, most in ((0.0, 0.45), (2.0, 0.9)):
        share = np.exp(gauge.reading(gauge.WEIGHT, gauge.BIAS, np.eye(2), (x, 0)).log_weight)
        assert share.sum() == pytest.approx(1)
        assert (share.max() > 0.9) == (most == 0.9)
    z = np.column_stack([np.linspace(3, 6, 9), np.zeros(9)])
    assert ((z @ gauge.WEIGHT.T + gauge.BIAS).argmax(1) == 0).all()


def wide_laws_overlap_less() -> None:
    right = []
    for scale in (1.0, 2.0):
        law = gauge.reading(gauge.WEIGHT, gauge.BIAS, gauge.ellipse(scale, 1, 0), (0, 0))
        rng = np.random.default_rng(0)
        y = rng.choice(3, 50_000, p=np.exp(law.log_weight) / np.exp(law.log_weight).sum())
        z, _ = law.sample(y, rng)
        right.append(((z @ gauge.WEIGHT.T + gauge.BIAS).argmax(1) == y).mean())
    assert right[1] > right[0] + 0.05


def ten_samples() -> None:
    reason = course.predict("5b").answer.reason
    above = 0
    for draw in range(10):
        log_probs, y = sharpness.sample(2.0, 200, draw)
        rng, sure = np.random.default_rng(draw), np.exp(log_probs.max(1))
        if_calibrated = []
        for _ in range(300):
            right = rng.random(200) < sure
            labels = np.where(right, log_probs.argmax(1), log_probs.argmin(1))
            if_calibrated.append(expected_calibration_error(log_probs, labels, n_bins=15))
        ece = expected_calibration_error(log_probs, y, n_bins=15)
        above += ece > np.quantile(if_calibrated, 0.975)
    assert f"In {above} of the 10 samples" in reason


def one_over_root_n() -> None:
    few, many = (sharpness.error_spread(1.0)[sharpness.SIZES.index(n), 0] for n in (200, 20000))
    assert few / many == pytest.approx(10, rel=0.15)


def between_those() -> None:
    found = [
        expected_calibration_error(*sharpness.sample(1.0, 100, i), n_bins=15) for i in range(5)
    ]
    reason = course.predict("5a", n=100).answer.reason
    assert f"between {min(found):.3f} and {max(found):.3f}" in reason


def careful_then_sure() -> None:
    best = noisy_labels.fitted(0.2)
    middle, far = np.array([0.2, 0.5]), np.array([3.0, 4.0])
    odds = [np.log(p / (1 - p)) for p in (noisy_labels.flipped(3 * z, 0.2) for z in (middle, far))]
    assert (best.slope * middle < odds[0]).all()
    assert (best.slope * far > odds[1]).all()
    assert odds[1].max() < np.log(4) < best.slope * 4


def bias_for_noise() -> None:
    for sigma in (0.5, 1.0, 2.0):
        found = noisy_labels.smoothing(sigma)
        (low, few), (high, many) = found[0], found[9]
        assert low < 0.1 * high
        assert few > 1.2 * many
    plain = noisy_labels.plain_temperature(1.0)[1]
    assert plain < 0.03 * noisy_labels.smoothing(1.0)[9, 0]


def known_before_looking() -> None:
    share = bits.frequencies(10)
    assert stats.entropy(share, base=2) < 2
    found = bits.known(0.0, 10)
    assert found.information == pytest.approx(0, abs=1e-9)
    assert found.trap == pytest.approx(np.log(4) - stats.entropy(share), abs=1e-9)


def the_bound_alone() -> None:
    right, sharp = bits.known(2.0, 10), bits.known(2.0, 10, 2.0)
    assert sharp.information == pytest.approx(right.information, abs=1e-12)
    assert sharp.bound < right.bound - 0.05
    assert bits.known(0.0, 10, 2.0).bound < 0


TOLD = (
    Told("1a", "away from the more frequent class", away_from_the_frequent),
    Told("1a", "0.000 nats above it, wherever the centres are", wherever_the_centres_are),
    Told("1b", "so A's region is bounded", islands),
    Told("1b", "below 1 its sign is the other one, and B's region is bounded", islands),
    Told("1c", "With a spread of 2.6 they come back too, to 1.5 log 2.6 = 1.43", tails_come_back),
    Told("1c", "the best line has 0.693 nats, those of guessing", no_better_than_guessing),
    Told("2a", "Where z₁ is large the layer says A", readings_of_2a),
    Told("2b", "the wide laws overlap less", wide_laws_overlap_less),
    Told("5a", "the ECE came out between", between_those),
    Told("5b", "of the 10 samples of the figure the ECE", ten_samples),
    Told("5c", "falls like 1/√n", one_over_root_n),
    Told("7a", "too careful in the middle, too sure far out", careful_then_sure),
    Told("7a", "it also moves its own decision", lambda: temperature_or_not(None, 0)),  # type: ignore[arg-type]
    Told("7b", "the noise of log p with ten draws grows", bias_for_noise),
    Told("8a", "all of them known before looking", known_before_looking),
    Told("8b", "I(Z;Y) is about the latents", the_bound_alone),
)


@pytest.mark.parametrize("told", TOLD, ids=str)
def test_what_is_revealed_is_so(told: Told) -> None:
    assert told.fragment in course.predict(told.prediction).answer.reason
    told.asserts()


RIGHT = {"1a": 1, "1b": 1, "1c": 2, "2a": 2, "2b": 2, "5a": 2, "5b": 2, "5c": 1}
RIGHT |= {"7a": 1, "7b": 1, "8a": 1, "8b": 0}


@pytest.mark.parametrize("prediction", RIGHT)
def test_the_option_that_is_right(prediction: str) -> None:
    assert course.predict(prediction).answer.right == RIGHT[prediction]


@lru_cache(maxsize=1)
def numbers_of_reveals() -> dict[str, list[str]]:
    """Return what reveals must hold, by closed forms where there are some."""
    w, b = gauge.WEIGHT, gauge.BIAS
    apart = float(np.linalg.norm(w[0] - w[1]))
    pi = [softmax(b + 0.5 * ((w + np.array([x, 0])) ** 2).sum(1)) for x in (0, 2)]
    wide = best_softmax(two_classes(spread=2.6))
    turned, rare = noisy_labels.fitted(0.2), noisy_labels.fitted(0.2, 0.2)
    share = 10.0 ** -(np.arange(4) / 3)
    entropy = stats.entropy(share / share.sum(), base=2)
    right, sharp = (bits.known(2.0, 10, f).bound / BIT for f in (1.0, 2.0))
    nothing = -(share / share.sum()) @ np.log2(share**2 / (share**2).sum())
    return {
        "1a": [f"{np.log(9):.2f} nats", "(3.00, 0.00)", f"z₁ = 0.00 to z₁ = −{np.log(9) / 3:.2f}"],
        "1b": [f"square {0.5 * (1 - 1 / 2.6**2):.2f}", f"{wide.excess:.2f} nats above the "
               f"{wide.least:.2f} nats"],
        "2a": [", ".join(f"{v:.2f}" for v in part) for part in pi],
        "2b": [f"lie {apart:.2f} apart", f"lie {4 * apart:.2f} apart", f"and {2 * apart:.2f}:"],
        "5b": [f"true error is {sharpness.true_error(2.0):.3f}"],
        "7a": ["more than 0.80", f"{np.log(4):.2f} nats",
               f"to {turned.slope:.2f}, as a temperature of {3 / turned.slope:.2f}",
               f"z = {rare.boundary:.2f} where Bayes' rule has {np.log(4) / 3:.2f}"],
        "8a": [f"{entropy:.3f} bits", f"claims {2 - entropy:.3f} bits"],
        "8b": [f"from {right:.3f} to {sharp:.3f} bits", f"−{nothing - entropy:.3f} bits"],
    }  # fmt: skip


@pytest.mark.parametrize("prediction", ["1a", "1b", "2a", "2b", "5b", "7a", "8a", "8b"])
def test_a_reveal_prints_the_numbers_that_it_speaks_of(prediction: str) -> None:
    reason = course.predict(prediction).answer.reason
    for piece in numbers_of_reveals()[prediction]:
        assert piece in reason
