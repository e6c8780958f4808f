"""Curves against the radius of an attack are those of the record, their gates beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_runs import robustness

from vcviz.base.errors import InputError
from vcviz.figures import plot_robustness
from vcviz.studies.compare.attacks import robustness_table


def of(fig, layer: str):
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


def test_lines_and_bands_are_those_of_the_record():
    one, other = robustness(), robustness("other", seed=1)
    fig = plot_robustness([one, other])
    for i, curve in enumerate((one, other)):
        line, ece, floor = (of(fig, k)[i] for k in ("accuracy", "ece", "if calibrated"))
        np.testing.assert_allclose(line.x, curve.epsilon)
        np.testing.assert_allclose(line.y, curve.accuracy)
        np.testing.assert_allclose(ece.y, curve.ece)
        np.testing.assert_allclose(floor.y, curve.ece_if_calibrated)
        band = of(fig, "interval")[2 * i]
        np.testing.assert_allclose(band.y[: len(curve.epsilon)], curve.accuracy_interval[:, 1])
        assert (line.line.color, line.line.dash) == (ece.line.color, ece.line.dash)
    assert of(fig, "accuracy")[0].line.dash != of(fig, "accuracy")[1].line.dash
    assert fig.layout.xaxis.title.text == "radius ε (L∞, in units of the inputs)"
    assert fig.layout.yaxis.title.text == "accuracy, fraction"


def test_gates_stand_beneath_and_what_failed_is_named():
    fig = plot_robustness([robustness("<i>a</i>"), robustness("b", still=0.4)])
    told = fig.layout.annotations[0].text.split("<br>")
    assert told[1:] == [
        "&lt;i&gt;a&lt;/i&gt;: 9 of 9 hold",
        "b: 8 of 9 hold; ✗ has a gradient (0.4)",
    ]


def test_without_calibration_there_is_one_panel():
    curve = robustness()
    blank = np.full(len(curve.epsilon), np.nan)
    fig = plot_robustness(replace(curve, ece=blank))
    assert not of(fig, "ece")
    assert "xaxis2" not in fig.layout
    assert tuple(fig.layout.xaxis.domain) == (0, 1)


def test_tables_carry_the_gates_in_every_row():
    table = robustness_table([robustness(), robustness("b", still=0.4)])
    assert len(table) == 8
    assert table["gates"].tolist()[3:5] == [
        "9 of 9", "8 of 9: has a gradient",
    ]  # fmt: skip
    np.testing.assert_allclose(table["accuracy"][:4], robustness().accuracy)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="at least one record"):
        plot_robustness([])
    with pytest.raises(InputError, match="different norms cannot share an axis"):
        plot_robustness([robustness(), replace(robustness(), norm="l2")])
    with pytest.raises(InputError, match="at least one record"):
        robustness_table([])
