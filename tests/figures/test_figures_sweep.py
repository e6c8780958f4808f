"""The sweep figure draws the runs, their means and t-intervals, and refuses what does not fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from vcviz.base.errors import InputError
from vcviz.figures import plot_sweep


def table(rng):
    settings = np.repeat([0.1, 1.0, 10.0], 4)
    return pd.DataFrame(
        {
            "tau": np.tile(settings, 2),
            "kl": rng.random(24) + np.tile(np.abs(np.log10(settings)), 2),
            "head": np.repeat(["b <i>", "a"], 12),
        }
    )


def layer(fig, name):
    return [t for t in fig.data if t.meta["layer"] == name]


def test_means_and_intervals_are_those_of_the_runs(rng):
    rows = table(rng)
    shuffled = rows.sample(frac=1, random_state=0).sort_values("head", ascending=False)
    fig = plot_sweep(shuffled, x="tau", y="kl", by="head", log_x=True, best="least", level=0.9)
    assert [t.name for t in layer(fig, "mean")] == ["b &lt;i&gt;", "a"]
    for head, line, band in zip(
        ("b <i>", "a"), layer(fig, "mean"), layer(fig, "interval"), strict=True
    ):
        mine = rows[rows["head"] == head].groupby("tau")["kl"]
        np.testing.assert_allclose(line.x, [0.1, 1, 10])
        np.testing.assert_allclose(line.y, mine.mean())
        for k, (_, runs) in enumerate(mine):
            expected = ttest_1samp(runs, 0).confidence_interval(0.9)
            np.testing.assert_allclose(band.y[k], expected.high)
            np.testing.assert_allclose(band.y[5 - k], expected.low)
    for line, ring in zip(layer(fig, "mean"), layer(fig, "best"), strict=True):
        assert ring.y[0] == min(line.y)
    assert fig.layout.xaxis.type == "log"
    assert fig.layout.xaxis.title.text == "tau"
    assert sum(len(t.x) for t in layer(fig, "runs")) == len(rows)


def test_a_mapping_without_groups_and_level_references():
    rows = {"n": [1, 2, 2], "accuracy": [0.5, 0.6, 0.8]}
    fig = plot_sweep(
        rows, x="n", y="accuracy", references={"softmax": [0.6, 0.7]}, y_title="accuracy, fraction"
    )
    (line,), (reference,) = layer(fig, "mean"), layer(fig, "reference")
    assert tuple(line.y) == (0.5, pytest.approx(0.7))
    assert line.customdata[0] == 0  # one run has no interval
    assert tuple(reference.x) == (1, 2)
    assert tuple(reference.y) == (pytest.approx(0.65),) * 2
    assert fig.layout.yaxis.title.text == "accuracy, fraction"


def test_a_band_below_zero_ends_above_it_on_a_logarithmic_axis():
    rows = {"x": [1, 1, 2, 2], "y": [0.1, 8.0, 1.0, 1.1]}
    plain = plot_sweep(rows, x="x", y="y")
    logarithmic = plot_sweep(rows, x="x", y="y", log_y=True)
    assert min(layer(plain, "interval")[0].y) < 0
    assert min(layer(logarithmic, "interval")[0].y) == pytest.approx(0.05)
    assert tuple(layer(logarithmic, "mean")[0].y) == tuple(layer(plain, "mean")[0].y)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({"x": [1], "y": [1]}, {"y": "z"}, "unknown column 'z'"),
        ({"x": [1, 2], "y": [1]}, {}, "one length of at least 1, got x 2, y 1"),
        ({"x": [], "y": []}, {}, "one length of at least 1, got x 0"),
        ({"x": [0, 1], "y": [1, 2]}, {"log_x": True}, "x must be positive on a logarithmic axis"),
        ({"x": [1, 2], "y": [1, 0]}, {"log_y": True}, "a logarithmic axis needs positive values"),
        ({"x": [1], "y": [1]}, {"best": "lowest"}, "unknown best 'lowest'"),
        ({"x": [1], "y": [1]}, {"level": 3}, "level must lie between 0 and 1, got 3"),
    ],
)
def test_what_does_not_fit_is_refused(rows, options, message):
    with pytest.raises(InputError, match=message):
        plot_sweep(rows, **{"x": "x", "y": "y"} | options)
