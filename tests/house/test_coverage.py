"""How often the intervals that vcviz prints hold what they are said to hold, by simulation.

Every interval is drawn again and again from a law whose truth is known, at two sizes. One of 95 %
must hold it in 92 to 98 % of samples; one that promises to hold *at least* its level (`AT_LEAST`),
because what it is about is discrete, rare or at the end of its range, in 92 % or more. Which truth
an interval is about stands beside it: the population's number, or the mean of the estimate at that
size.

``pytest -m slow tests/house/test_coverage.py -rP`` prints the shares.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import expit, log_softmax, logit
from scipy.stats import binom, norm, ttest_1samp

from vcviz.metrics.accuracy import class_accuracy
from vcviz.metrics.calibration import reliability_curve, smooth_calibration_error
from vcviz.metrics.fit import latent_fit, moment_kl_bias
from vcviz.metrics.fit.marginals import marginals
from vcviz.metrics.information import class_information, mutual_information, shift_prior
from vcviz.metrics.inspection import selection_summary
from vcviz.metrics.intervals import wilson
from vcviz.metrics.ood import aupr_interval, auroc_interval, fpr_interval
from vcviz.metrics.posthoc import posthoc_scores
from vcviz.records import Estimate, LatentPrior, LatentSet

pytestmark = pytest.mark.slow

AT_LEAST = (0.92, 1.0)


def holds(
    what: str,
    size: int,
    ends: np.ndarray,
    truth: float | np.ndarray,
    allowed: tuple[float, float] = (0.92, 0.98),
) -> None:
    """Assert that the (R, 2) ends hold the truth as often as is allowed."""
    low, high = np.asarray(ends, float).T
    below, above = np.mean(low > truth), np.mean(high < truth)
    share = 1 - below - above
    print(f"{what}, n = {size}: {share:.3f} (too high {below:.3f}, too low {above:.3f})")
    assert allowed[0] <= share <= allowed[1], (what, size, share)


# ---------------------------------------------------------------- calibration


def confidences(n: int, rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences of two classes in (0.5, 1) and the probability that each is right."""
    confidence = 0.5 + 0.5 * rng.beta(2.5, 1, n)
    if kind == "calibrated":
        return confidence, confidence
    if kind == "overconfident":
        return confidence, expit(logit(confidence) / 1.6)
    return confidence, np.clip(confidence - 0.03, 0, 1)  # "off by .03"


def curves(n: int, kind: str, count: int, **options) -> Iterator[tuple]:
    rng = np.random.default_rng(n)
    for seed in range(count):
        confidence, truth = confidences(n, rng, kind)
        log_probs = np.log(np.stack([confidence, 1 - confidence], axis=1))
        y = (rng.random(n) > truth).astype(int)
        yield reliability_curve(log_probs, y, seed=seed, **options), log_probs, y


def population(kind: str, edges: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the accuracy of each bin and the calibration error of rows without end."""
    confidence, truth = confidences(2_000_000, np.random.default_rng(0), kind)
    k = np.clip(np.searchsorted(edges, confidence) - 1, 0, len(edges) - 2)
    count, right, total = (np.bincount(k, w, len(edges) - 1) for w in (None, truth, confidence))
    with np.errstate(invalid="ignore"):
        return right / count, float(np.abs(right - total).sum() / len(k))


@pytest.mark.parametrize("kind", ["calibrated", "off by .03", "overconfident"])
@pytest.mark.parametrize("n", [200, 5000])
def test_coverage_of_the_calibration_error(n, kind):
    accuracy, error = population(kind, np.linspace(0, 1, 16))
    found = [curve for curve, *_ in curves(n, kind, 250, resamples=300)]
    debiased = np.array([c.ece_debiased_interval for c in found])
    holds(f"debiased ECE, {kind}", n, debiased, error)
    plug_in = np.array([c.ece for c in found])
    # Near calibration the resampled ones vary more than the estimate, which can fall no further.
    sure = (0.92, 0.98) if kind == "overconfident" else AT_LEAST
    holds(f"ECE of its mean, {kind}", n, [c.ece_interval for c in found], plug_in.mean(), sure)
    ends = np.array(
        [[c.band_low[k], c.band_high[k]] for c in found for k in np.flatnonzero(c.count >= 5)]
    )
    truth = np.array([accuracy[k] for c in found for k in np.flatnonzero(c.count >= 5)])
    holds(f"accuracy of a bin, {kind}", n, ends, truth)
    if kind == "calibrated":
        ends = np.array([c.ece_if_calibrated_interval for c in found])
        holds("ECE if calibrated", n, ends, plug_in)


@pytest.mark.parametrize("binning", ["width", "mass"])
@pytest.mark.parametrize("n", [200, 2000])
def test_coverage_of_consistency_bars(n, binning):
    ends, seen = [], []
    for curve, *_ in curves(n, "calibrated", 150, resamples=400, binning=binning):
        kept = curve.count > 0
        ends += np.stack([curve.consistency_low, curve.consistency_high], axis=1)[kept].tolist()
        seen += curve.accuracy[kept].tolist()
    ends = np.array(ends) + np.array([-1e-9, 1e-9])
    holds(f"consistency bars by {binning}", n, ends, np.array(seen), AT_LEAST)


@pytest.mark.parametrize("n", [200, 2000])
def test_coverage_of_the_smooth_calibration_error(n):
    found = [
        smooth_calibration_error(log_probs, y, resamples=200, seed=i)
        for i, (_, log_probs, y) in enumerate(curves(n, "calibrated", 200, resamples=0))
    ]
    error = np.array([s.ece for s in found])
    holds("smooth ECE if calibrated", n, [s.if_calibrated_interval for s in found], error)


# ---------------------------------------------------------------- shares and means


@pytest.mark.parametrize("n", [30, 1000])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_coverage_of_shares(n, share):
    count = np.arange(n + 1)
    low, high = wilson(count / n, n).T
    held = binom.pmf(count, n, share)[(low <= share) & (share <= high)].sum()
    print(f"Wilson, share {share}, n = {n}: {held:.3f}")
    assert 0.92 <= held <= 0.98


@pytest.mark.parametrize("n", [40, 400])
def test_coverage_of_accuracy_by_class(n):
    rng, right, ends, mean = np.random.default_rng(n), np.array([0.95, 0.8, 0.6]), [], []
    y = np.repeat([0, 1, 2], n)
    for _ in range(500):
        guess = np.where(rng.random(3 * n) < right[y], y, (y + 1) % 3)
        log_probs = np.log(np.where(np.eye(3)[guess] > 0, 0.8, 0.1))
        found = class_accuracy(LatentSet(np.zeros((3 * n, 1)), log_probs, y))
        ends.append(found.interval)
        mean.append(found.balanced_interval)
    for k, one in enumerate(np.swapaxes(ends, 0, 1)):
        holds(f"accuracy of a class, {right[k]}", n, one, right[k])
    holds("balanced accuracy", n, mean, right.mean())


@pytest.mark.parametrize("seeds", [3, 10])
def test_coverage_of_a_mean_over_seeds(seeds):
    # Given the test rows: what varies is the training.
    values = np.random.default_rng(seeds).normal(0.8, 0.01, (2000, seeds))
    found = [Estimate.of(row) for row in values]
    ends = [(one.value - one.reach, one.value + one.reach) for one in found]
    holds("mean over seeds", seeds, ends, 0.8)
    expected = ttest_1samp(values[0], 0).confidence_interval(0.95)
    np.testing.assert_allclose(ends[0], expected)


@pytest.mark.parametrize("n", [50, 500])
def test_coverage_of_a_selections_mean_density_by_its_standard_error(n):
    prior = LatentPrior(np.zeros((2, 2)), scale=np.ones((2, 2)))
    rng, ends = np.random.default_rng(n), []
    log_probs, y = np.full((n, 2), np.log(0.5)), np.zeros(n, int)
    for _ in range(500):
        lat = LatentSet(rng.standard_normal((n, 2)), log_probs, y)
        one = selection_summary(lat, prior, np.arange(n), resamples=0)
        ends.append(one.log_density + one.log_density_error * np.array([-1, 1]))
    truth = -np.log(2 * np.pi) - 1
    holds("mean log p(z|y), one standard error", n, ends, truth, (0.63, 0.74))


# ---------------------------------------------------------------- likelihood and information


def mixture(n: int, separation: float, prior: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact posterior of normals on a circle, neighbours so far apart, and labels."""
    c = len(prior)
    angle = 2 * np.pi * np.arange(c) / c
    means = separation * np.stack([np.cos(angle), np.sin(angle)], 1) / (2 * np.sin(np.pi / c))
    y = rng.choice(c, n, p=prior)
    x = means[y] + rng.standard_normal((n, 2))
    scores = np.log(prior) - 0.5 * ((x[:, None] - means) ** 2).sum(2)
    return log_softmax(scores, axis=1), y


def information_by_class(separation: float, prior: np.ndarray) -> np.ndarray:
    rng, found = np.random.default_rng(1), []
    for _ in range(5):
        log_probs, y = mixture(200_000, separation, prior, rng)
        own = log_probs[np.arange(len(y)), y] - np.log(prior[y])
        found.append([own[y == k].mean() for k in range(len(prior))])
    return np.mean(found, axis=0)


@pytest.mark.parametrize("separation", [3.0, 6.0])
@pytest.mark.parametrize("n", [300, 3000])
def test_coverage_of_information(n, separation):
    prior, rng = np.array([0.6, 0.3, 0.1]), np.random.default_rng(n)
    by_class = information_by_class(separation, prior)
    kinds = ("counted", "given", "moved")
    whole = {kind: [] for kind in kinds}
    parts = {kind: [] for kind in kinds}
    nll, change = [], []
    for _ in range(250):
        log_probs, y = mixture(n, separation, prior, rng)
        lat = LatentSet(np.zeros((n, 1)), log_probs, y)
        even = np.full(3, 1 / 3)
        of_even = LatentSet(lat.z, shift_prior(log_probs, prior, even), y, label_prior=even)
        for kind, one, options in (
            ("counted", lat, {}), ("given", lat, {"prior_probs": prior}), ("moved", of_even, {}),
        ):  # fmt: skip
            whole[kind].append(mutual_information(one, **options).interval)
            parts[kind].append(class_information(one, **options).interval)
        sharper = LatentSet(lat.z, log_softmax(1.3 * log_probs, axis=1), y)
        score = posthoc_scores(lat, sharper, "temperature", resamples=0)
        nll.append(posthoc_scores(lat, lat, "none", resamples=0).nll_interval)
        change.append((score.nll_change, *score.nll_change_interval))
    truth = float(prior @ by_class)
    entropy = float(-prior @ np.log(prior))
    for kind in kinds:
        holds(f"I(X; Y), {kind}, {separation} apart", n, whole[kind], truth, AT_LEAST)
        for k in range(3):
            ends = np.array(parts[kind])[:, k]
            what = f"I of a class of {prior[k]}, {kind}, {separation} apart"
            holds(what, n, ends, by_class[k], AT_LEAST)
    holds(f"NLL, {separation} apart", n, nll, entropy - truth, AT_LEAST)
    change = np.array(change)
    mean = change[:, 0].mean()
    holds(f"change of NLL, {separation} apart", n, change[:, 1:], mean, AT_LEAST)


# ---------------------------------------------------------------- strangers


@pytest.mark.parametrize("n", [50, 500])
@pytest.mark.parametrize("distance", [0.5, 1.5, 2.5])
def test_coverage_of_separation(n, distance):
    rng = np.random.default_rng(n)
    at = np.linspace(-8, 12, 200_001)
    caught, accepted = norm.sf(at, distance), norm.sf(at)
    precision = caught / np.maximum(caught + accepted, 1e-300)
    truth = {
        "auroc": norm.cdf(distance / np.sqrt(2)),
        "aupr": trapezoid(precision * norm.pdf(at, distance), at),
        "fpr": norm.cdf(norm.ppf(0.95) - distance),
    }
    # Areas cost little: of so many samples the share itself is known to within a point.
    ends = {"auroc": [], "aupr": [], "fpr": []}
    for i in range(2000 if n == 50 else 500):
        known, strange = rng.standard_normal(n), rng.normal(distance, 1, n)
        ends["auroc"].append(auroc_interval(known, strange))
        ends["aupr"].append(aupr_interval(known, strange))
        if i < 300:
            ends["fpr"].append(fpr_interval(known, strange, resamples=200, seed=i))
    for name, value in truth.items():
        holds(f"{name}, {distance} apart", n, ends[name], value)


# ---------------------------------------------------------------- latents against their law


def classes_of(count: int, n: int, dim: int, mean: float, scale: float) -> tuple:
    """Return n latents in each of many classes, all by one law, and standard normals as p(z|y)."""
    rng = np.random.default_rng(n)
    z = mean + scale * rng.standard_normal((count * n, dim))
    y = np.repeat(np.arange(count), n)
    lat = LatentSet(z, np.full((len(y), count), -np.log(count)), y)
    return lat, LatentPrior(np.zeros((count, dim)), scale=np.ones((count, dim)))


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (0.3, 1.2)])
@pytest.mark.parametrize("n", [40, 300])
def test_coverage_of_the_fit(n, mean, scale):
    dim, same = 2, (mean, scale) == (0.0, 1.0)
    lat, prior = classes_of(250, n, dim, mean, scale)
    found = latent_fit(lat, prior, resamples=200, progress=False)
    what = "equal laws" if same else "other laws"
    kl = dim * (scale**2 + mean**2 - 1 - 2 * np.log(scale)) / 2
    kl += moment_kl_bias(n, dim)
    # Its estimate varies least at equal laws, where the interval is too long.
    sure = AT_LEAST if same else (0.92, 0.985)
    holds(f"moment KL of its mean, {what}", n, found.kl_interval, kl, sure)
    if same:
        holds("energy distance, equal laws", n, found.energy_interval, 0.0, AT_LEAST)
        holds("AUC, equal laws", n, found.auc_interval, 0.5)
        rejected = np.mean(found.energy_p <= 0.05)
        print(f"energy p-value at most .05, equal laws, n = {n}: {rejected:.3f}")
        assert 0.02 <= rejected <= 0.08
    else:
        mean_energy = float(found.energy.mean())  # unbiased: the mean is that of the laws
        holds("energy distance, other laws", n, found.energy_interval, mean_energy)


class _ByDraws:
    """A law that tells no formula."""

    def __init__(self, law: LatentPrior) -> None:
        self.log_prob = law.log_prob
        self.sample = lambda y, rng: law.sample(y, rng)[0]


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("n", [50, 400])
def test_coverage_along_a_direction(n, drawn):
    lat, prior = classes_of(300, n, 1, 0.0, 1.0)
    if drawn:
        prior = LatentPrior(prior.mean, scale=prior.scale, family="custom", density=_ByDraws(prior))
    found = marginals(lat, prior, [1.0], draws=500, seed=1)
    kept = np.isfinite(found.quantile)
    ends = np.stack([found.low[kept], found.high[kept]], axis=1)
    what = f"law {'known by draws' if drawn else 'exact'}"
    allowed = AT_LEAST if drawn else (0.92, 0.98)
    holds(f"quantiles, {what}", n, ends, found.quantile[kept], allowed)
    holds(f"KS distance, {what}", n, found.distance_interval, 0.0, AT_LEAST)
    rejected = np.mean(found.p_value <= 0.05)
    print(f"KS p-value at most .05, {what}, n = {n}: {rejected:.3f}")
    assert 0.02 <= rejected <= 0.08
