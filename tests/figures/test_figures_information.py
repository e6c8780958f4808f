"""Figures of information, accuracy by class and activation maps: their data against the records."""

from __future__ import annotations

import numpy as np
import pytest
from fake_runs import NAMES, latents

from vcviz.base.errors import InputError
from vcviz.figures import plot_class_accuracy, plot_info_cam, plot_information
from vcviz.figures.information import pointwise_bars
from vcviz.metrics.accuracy import class_accuracy
from vcviz.metrics.information import Information, pointwise_information
from vcviz.records import ActivationMaps


def on(fig, layer: str):
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


def estimate(value: float, error: float = 0.1) -> Information:
    return Information(value, error, (value - 2 * error, value + error), 1.5, 0.95, 100)


def maps(n: int = 5) -> ActivationMaps:
    rng = np.random.default_rng(0)
    return ActivationMaps(
        x=rng.random((n, 1, 6, 4)),
        cam=rng.normal(size=(n, 3, 2)),
        info=rng.normal(size=(n, 3, 2)),
        label=np.arange(n) % 3,
        against=np.arange(n) % 3 - 1,
        difference=np.arange(n) + 0.5,
        remainder=np.zeros(n),
        y=np.zeros(n, int),
        class_names=NAMES,
        layer="encoder.<body>",
    )


def test_estimates_stand_with_their_intervals_between_truth_and_entropy():
    found = {"a": [estimate(1.0), estimate(0.5)], "<b>": [estimate(1.2), estimate(1.3)]}
    fig = plot_information([1, 100], found, truth=[0.9, 0.4], entropy=[1.6, 1.1])
    first, second = on(fig, "estimate")
    np.testing.assert_allclose(first.y, [1.0, 0.5])
    np.testing.assert_allclose(first.error_y.array, 0.1)
    np.testing.assert_allclose(first.error_y.arrayminus, 0.2)
    np.testing.assert_allclose(np.asarray(first.x) / [1, 100], 1, rtol=0.05)
    assert second.name == "&lt;b&gt;"
    entropy, truth = on(fig, "reference")
    np.testing.assert_allclose(entropy.y, [1.6, 1.1])
    np.testing.assert_allclose(truth.y, [0.9, 0.4])
    assert fig.layout.xaxis.type == "log"
    assert fig.layout.yaxis.title.text == "I(X; Y), nats"
    assert len(on(plot_information([1], {"a": [estimate(1)]}), "reference")) == 0


def test_a_label_given_no_probability_is_left_out_of_the_range():
    lost = Information(-np.inf, np.inf, (-np.inf, np.inf), 1.5, 0.95, 10)
    fig = plot_information([1, 10], {"a": [lost, estimate(1.0)]})
    assert np.isfinite(fig.layout.yaxis.range).all()


def test_the_histogram_holds_every_row_once():
    lat = latents(46)
    values = pointwise_information(lat)
    bars = pointwise_bars(np.r_[values[:-1], -50.0], lat.y, NAMES, 1.2)
    assert sum(bar["y"].sum() for bar in bars[:3]) == pytest.approx(1)
    for k in range(3):
        assert bars[k]["y"].sum() == pytest.approx((lat.y == k).mean())
    top = bars[2]["base"] + bars[2]["y"]
    assert top.sum() == pytest.approx(1)
    assert bars[lat.y[-1]]["y"][0] > 0  # what is below the range is in its first bin


def test_bars_are_the_accuracies_with_their_intervals():
    one, two = class_accuracy(latents(46), name="one"), class_accuracy(latents(31), name="t<w>o")
    fig = plot_class_accuracy([one, two])
    first, second = on(fig, "accuracy")
    np.testing.assert_allclose(first.y, one.accuracy)
    np.testing.assert_allclose(first.y + first.error_y.array, one.interval[:, 1])
    np.testing.assert_allclose(first.y - first.error_y.arrayminus, one.interval[:, 0])
    assert first.offset + first.width == pytest.approx(second.offset)
    assert f"balanced {one.balanced:.3f}" in first.name
    assert second.name.startswith("t&lt;w&gt;o")
    assert fig.layout.xaxis.ticktext[0] == "ant<br>n = 16"


def test_maps_lie_over_their_pictures():
    record = maps()
    fig = plot_info_cam(record, rows=[4, 0])
    for layer, values, row in (("CAM", record.cam, 1), ("infoCAM", record.info, 2)):
        (trace,) = on(fig, layer)
        z = np.asarray(trace.z)
        np.testing.assert_allclose(z[:, :2], values[4])
        np.testing.assert_allclose(z[:, 3:], values[0])
        assert np.isnan(z[:, 2]).all()  # between two pictures
        assert trace.zmin == -trace.zmax
        # Pictures are 4 pixels wide and 6 high with one between: pixel i covers i ± 1/2.
        np.testing.assert_allclose(trace.x, [-0.5, 1.5, 3.5, 4.5, 6.5, 8.5])
        np.testing.assert_allclose(trace.y, row * 7 - 0.5 + np.array([0, 2, 4, 6]))
    assert "nats" in on(fig, "infoCAM")[0].colorbar.title.text
    told = fig.layout.xaxis.ticktext
    assert "&lt;b&gt;bee" in told[0]
    assert "against ant" in told[0]
    assert "against the rest" in told[1]
    assert "+0.5 nats" in told[1]


def test_refuses():
    with pytest.raises(InputError, match="'a' must have 2 estimates, got 1"):
        plot_information([1, 2], {"a": [estimate(1)]})
    with pytest.raises(InputError, match="at least one record"):
        plot_class_accuracy([])
    other = class_accuracy(latents(9))
    renamed = class_accuracy(type(latents())(latents().z, latents().log_probs, latents().y))
    with pytest.raises(InputError, match="of the same classes"):
        plot_class_accuracy([other, renamed])
    for rows in ([0, 5], [0.5]):
        with pytest.raises(InputError, match=r"rows must be whole numbers in \[0, 5\)"):
            plot_info_cam(maps(), rows=rows)
    with pytest.raises(InputError, match="maps must be an ActivationMaps, got int; see"):
        plot_info_cam(3)
