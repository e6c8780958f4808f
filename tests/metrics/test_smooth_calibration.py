"""Smooth ECE against the kernel sum of its definition, relplot, and laws that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_softmax

from vcviz.base.errors import InputError
from vcviz.metrics.calibration import SmoothError, smooth_calibration_error


def binary(p) -> np.ndarray:
    p = np.asarray(p, dtype=float)
    with np.errstate(divide="ignore"):
        return np.log(np.stack([1 - p, p], axis=1))


def sample(n: int, sharpness: float = 1.0, seed: int = 0):
    """Log-probabilities of four classes, sharper than the law that the labels are drawn from."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((n, 4))
    truth = np.exp(log_softmax(logits, axis=1))
    y = (truth.cumsum(1) > rng.random((n, 1))).argmax(1)
    return log_softmax(sharpness * logits, axis=1), y


def told(log_probs, y, label=None):
    p = np.exp(log_probs)
    return (p.max(1), p.argmax(1) == y) if label is None else (p[:, label], y == label)


def by_definition(confidence, right, width, points=3001):
    """The integral of |sum of residuals times the reflected kernel|, sample by sample."""
    t = (np.arange(points) + 0.5) / points
    total = np.zeros(points)
    for residual, place in zip(right - confidence, confidence, strict=True):
        for image in [place + 2 * k for k in range(-3, 4)] + [2 * k - place for k in range(-3, 5)]:
            total += residual * np.exp(-0.5 * ((t - image) / width) ** 2)
    return np.abs(total).mean() / (np.sqrt(2 * np.pi) * width * len(confidence))


@pytest.mark.parametrize("label", [None, 2])
@pytest.mark.parametrize("width", [0.02, 0.1, 0.7])
def test_is_the_integral_of_the_definition(label, width):
    log_probs, y = sample(60, 1.5)
    found = smooth_calibration_error(log_probs, y, label=label, bandwidth=width, resamples=0)
    wanted = by_definition(*told(log_probs, y, label), width)
    assert found.ece == pytest.approx(wanted, rel=2e-3)
    assert found.bandwidth == width


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_bandwidth_is_the_fixed_point(sharpness):
    log_probs, y = sample(80, sharpness)
    confidence, right = told(log_probs, y)
    wanted = brentq(lambda s: by_definition(confidence, right, s) - s, 0.005, 1)
    found = smooth_calibration_error(log_probs, y, resamples=0)
    assert found.ece == found.bandwidth == pytest.approx(wanted, rel=2e-3)


@pytest.mark.oracle
@pytest.mark.parametrize("n", [50, 20_000])
@pytest.mark.parametrize("label", [None, 1])
def test_agrees_with_relplot(n, label, monkeypatch):
    metrics = pytest.importorskip("relplot.metrics")
    # Of its 200 points those at 0 and 1 count twice too much; more of them mend that.
    monkeypatch.setattr(metrics.config, "smECE_mesh_pts", 20_000)
    # It loses half of what lies within 1/2000 of 0 or 1: confidences that keep away from both.
    log_probs, y = sample(n, 0.3)
    confidence, right = told(log_probs, y, label)
    theirs = metrics.smECE_sigma(confidence, right.astype(float), 0.05)
    ours = smooth_calibration_error(log_probs, y, label=label, bandwidth=0.05, resamples=0).ece
    assert ours == pytest.approx(theirs, rel=1e-3)
    # It seeks the bandwidth in steps of 1/1024.
    theirs = metrics.smECE(confidence, right.astype(float))
    ours = smooth_calibration_error(log_probs, y, label=label, resamples=0).ece
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_a_constant_gap_is_the_error_whatever_the_bandwidth():
    log_probs = binary([0.75] * 400)
    y = np.arange(400) % 2
    for width in (0.02, 0.2, None):
        found = smooth_calibration_error(log_probs, y, label=1, bandwidth=width, resamples=0)
        assert found.ece == pytest.approx(0.25, abs=1e-5)


def test_the_error_falls_as_the_kernel_widens():
    errors = [
        smooth_calibration_error(*sample(300), bandwidth=w, resamples=0).ece
        for w in (0.001, 0.01, 0.05, 0.2, 1.0)
    ]
    assert errors == sorted(errors, reverse=True)


def test_a_sure_and_right_classifier_has_none():
    found = smooth_calibration_error(binary([1.0, 0.0, 1.0]), [1, 0, 1])
    assert found.ece == found.interval[0] == found.if_calibrated == 0


@pytest.mark.parametrize("sharpness", [1.0, 1.6])
def test_the_interval_is_that_of_resampling_the_samples(sharpness):
    # Of a calibrated classifier the resampled errors are half as large again: the bias counts.
    log_probs, y = sample(500, sharpness)
    found = smooth_calibration_error(log_probs, y, resamples=2000)
    rng = np.random.default_rng(1)
    rows = (rng.integers(0, 500, 500) for _ in range(400))
    draws = [smooth_calibration_error(log_probs[r], y[r], resamples=0).ece for r in rows]
    shifted = np.quantile(draws, (0.025, 0.975)) - (np.mean(draws) - found.ece)
    np.testing.assert_allclose(found.interval, shifted, atol=0.006)
    assert found.interval[0] < found.ece < found.interval[1]


@pytest.mark.parametrize("sharpness", [1.0, 4.0])
def test_the_floor_is_that_of_drawing_every_label(sharpness):
    log_probs, y = sample(400, sharpness)
    found = smooth_calibration_error(log_probs, y, resamples=800)
    confidence, _ = told(log_probs, y)
    rng = np.random.default_rng(2)
    draws = []
    for _ in range(300):
        labels = (rng.random(400) < confidence).astype(int)
        draws.append(smooth_calibration_error(binary(confidence), labels, label=1, resamples=0).ece)
    assert found.if_calibrated == pytest.approx(np.mean(draws), rel=0.05)
    np.testing.assert_allclose(
        found.if_calibrated_interval, np.quantile(draws, (0.025, 0.975)), rtol=0.15
    )


def test_few_calibrated_draws_are_as_fine_as_many_rows_need():
    # Far from calibrated, with a floor a hundred times lower than the error.
    found = smooth_calibration_error(*sample(60_000, 4.0), resamples=50)
    calibrated = smooth_calibration_error(*sample(60_000, 1.0), resamples=50)
    assert found.ece > 30 * found.if_calibrated
    assert found.if_calibrated == pytest.approx(calibrated.if_calibrated, rel=0.35)


def test_seed_and_resamples():
    data = sample(100)
    assert smooth_calibration_error(*data, seed=1) == smooth_calibration_error(*data, seed=1)
    assert smooth_calibration_error(*data, seed=1) != smooth_calibration_error(*data, seed=2)
    bare = smooth_calibration_error(*data, resamples=0)
    assert isinstance(bare, SmoothError)
    assert np.isnan([*bare.interval, bare.if_calibrated, *bare.if_calibrated_interval]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bandwidth": 0}, "bandwidth must be a number above 0"),
        ({"level": 1}, "level must lie between 0 and 1"),
        ({"resamples": -1}, "resamples must be a whole number of at least 0"),
        ({"label": 4}, r"label must be None or a class in \[0, 4\)"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InputError, match=message):
        smooth_calibration_error(*sample(10), **options)


def test_wrong_shapes_are_refused_and_not_broadcast():
    log_probs, y = sample(10)
    with pytest.raises(InputError, match="one label per row"):
        smooth_calibration_error(log_probs, y[:, None])
