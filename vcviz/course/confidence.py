"""Lesson 5: why confidence is not accuracy."""

from __future__ import annotations

from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from scipy.special import expit

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, line, panel_of, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.course.sharpness import (
    BINS,
    SHARPNESS,
    SIZES,
    accuracy,
    error_spread,
    sample,
    true_error,
)
from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import PLAIN, reset_button
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.metrics.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_curve,
)
from vcviz.records import ReliabilityCurve

_POINT, _TRUE, _IF = style.CLASS_COLORS[0], style.CLASS_COLORS[3], style.NEUTRAL


class ConfidenceExplorer(Explorer):
    """A classifier of known calibration: its reliability in a sample, and its ECE in any.

    Attributes
    ----------
    controls : ``sharpness`` (of the log odds, 1 is right), ``n``, ``draw``
    """

    def __init__(self, sharpness: float = 2.0, n: int = 200, *, theme: style.Theme = "auto"):
        self._theme = theme
        wide = ipw.Layout(width="400px")
        controls: dict[str, ipw.Widget] = {
            "sharpness": ipw.SelectionSlider(
                options=[(f"{s:g}", s) for s in SHARPNESS],
                value=sharpness,
                description="Sharpness of the log odds",
                style=PLAIN,
                layout=wide,
            ),
            "n": ipw.SelectionSlider(
                options=[(f"{n:,}", n) for n in SIZES],
                value=n,
                description="Test rows n",
                style=PLAIN,
                layout=wide,
            ),
            "draw": ipw.IntSlider(0, 0, 9, description="Another sample", style=PLAIN),
        }
        panel = panel_of(list(controls.values()), reset_button(self.reset))
        super().__init__(Bound(self._draw, controls, "sharpness", panel))

    def figure(self) -> go.Figure:
        """Return one static figure: a slider over the sharpness, a list of sizes."""
        return self.bound.figure(menus={"n": (50, 200, 2000, 20000)})

    def _draw(self, *, sharpness: float, n: int, draw: int) -> dict[str, Any]:
        log_probs, y = sample(sharpness, n, draw)
        curve = reliability_curve(log_probs, y, n_bins=BINS, resamples=200)
        fitted = fit_temperature(log_probs, y)
        diagram = Panel(
            "Accuracy against confidence",
            _reliability(curve, sharpness),
            axis("confidence, fraction", 0.48, 1.02),
            axis("accuracy, fraction", -0.02, 1.04),
            [
                f"accuracy {(log_probs.argmax(1) == y).mean():.3f} (true {accuracy():.3f})",
                f"NLL {negative_log_likelihood(log_probs, y):.3f}; "
                f"fitted T = {fitted.temperature:.2f}, NLL {fitted.nll_after:.3f}",
            ],
        )
        mean, low, high = error_spread(sharpness).T
        sizes = np.array(SIZES, float)
        floor = error_spread(1.0)[:, 0]
        errors = Panel(
            "ECE in samples of any size",
            [
                line(
                    np.r_[sizes, sizes[::-1]],
                    np.r_[low, high[::-1]],
                    "95 % of samples",
                    _POINT,
                    width=0,
                    fill="toself",
                    fillcolor=_POINT,
                    opacity=0.18,
                    hoverinfo="skip",
                ),
                line(sizes, mean, "mean ECE", _POINT),
                line(sizes, floor, "mean ECE if calibrated", _IF, dash="dot"),
                line(
                    sizes[[0, -1]],
                    np.full(2, true_error(sharpness)),
                    "true calibration error",
                    _TRUE,
                    dash="dash",
                ),
                line(
                    [n],
                    [curve.ece],
                    "this sample",
                    style.NEUTRAL,
                    mode="markers",
                    marker={"size": 11, "symbol": "diamond", "color": _POINT},
                ),
            ],
            axis("test rows n", np.log10(40), np.log10(25000), type="log", dtick=1),
            axis("ECE, fraction", 0, 0.26),
            [
                f"ECE {curve.ece:.3f}; {curve.ece_if_calibrated:.3f} expected if calibrated",
                f"true calibration error {true_error(sharpness):.3f}",
            ],
        )
        return sheet([diagram, errors], height=320, legend_rows=2, theme=self._theme)


def _reliability(curve: ReliabilityCurve, sharpness: float | None) -> list[dict[str, Any]]:
    kept = curve.count > 0
    x, at = curve.confidence[kept], curve.accuracy[kept]
    low, high = curve.consistency_low[kept], curve.consistency_high[kept]
    middle = (low + high) / 2
    traces = [
        line([0.5, 1], [0.5, 1], "calibrated", style.NEUTRAL, width=1, legend=False),
        line(
            x,
            middle,
            "95 % of samples if calibrated",
            _IF,
            mode="markers",
            marker={"opacity": 0},
            error_y={"type": "data", "array": (high - low) / 2, "color": _IF, "width": 5},
            hoverinfo="skip",
            legend=False,
        ),
        line(
            x,
            at,
            "bins of this sample",
            _POINT,
            mode="markers",
            marker={"size": 8, "color": _POINT},
            text=[f"{c} rows" for c in curve.count[kept]],
            hovertemplate="confidence %{x:.3f}<br>accuracy %{y:.3f}<br>%{text}<extra></extra>",
        ),
    ]
    if sharpness is not None:
        odds = np.linspace(0, 9, 60)
        truth = (expit(sharpness * odds), expit(odds))
        traces.append(line(*truth, "true accuracy", _TRUE, dash="dash", legend=False))
    return traces


def five_diagrams(n: int = 100, *, theme: style.Theme = "auto") -> go.Figure:
    """Return five reliability diagrams of the prediction, without what chance would do."""
    panels = []
    for i, name in enumerate("ABCDE"):
        curve = reliability_curve(*sample(1.0, n, i), n_bins=BINS, resamples=0)
        dots = [t for t in _reliability(curve, None) if "error_y" not in t]
        panels.append(
            Panel(
                name,
                [t | {"showlegend": False} for t in dots],
                axis("confidence", 0.48, 1.02, dtick=0.25, tick0=0.5),
                axis("accuracy" if i == 0 else "", -0.02, 1.04),
                [f"ECE {curve.ece:.3f}"],
            )
        )
    return go.Figure(**sheet(panels, height=190, legend_rows=0, theme=theme))


def predict_five(n: int = 100) -> Prediction:
    """Ask how many of the five diagrams are of a calibrated classifier."""

    def reveal() -> Reveal:
        found = [expected_calibration_error(*sample(1.0, n, i), n_bins=BINS) for i in range(5)]
        exact = true_error(1.0)
        return Reveal(
            2 if exact < 1e-12 else 0,
            f"They are one classifier, Bayes' rule itself, on five samples of {n} rows. Its "
            f"calibration error is {exact:.3f}, and yet the ECE came out between "
            f"{min(found):.3f} and {max(found):.3f}: an ECE adds absolute values, so noise "
            "never cancels.",
        )

    return Prediction(
        f"Five reliability diagrams of {n} test rows each. How many of them show a perfectly "
        "calibrated classifier?",
        ["none of them", "one or two", "all five"],
        reveal,
    )


def key_ece() -> Key:
    """Return the ECE of four samples, by hand."""
    confidence, right = np.array([0.9, 0.9, 0.7, 0.7]), np.array([1, 0, 1, 1])
    log_probs = np.log(np.column_stack([1 - confidence, confidence]))
    truth = expected_calibration_error(log_probs, right, n_bins=5)
    return Key(
        truth,
        "each bin's gap counts by its share of the rows, and gaps of either sign add up",
        {
            "that is mean accuracy minus mean confidence; gaps add up by absolute value": abs(
                float(right.mean() - confidence.mean())
            ),
            "weigh the gaps by the share of rows in the bin": 2 * truth,
            "that is the largest gap; ECE is their weighted mean": 0.4,
        },
        unit="fraction",
        hint="two bins have rows: what is accuracy minus confidence in each?",
    )


def key_temperature() -> Key:
    """Return the temperature that undoes logits 2.5 times too large."""
    log_probs, y = sample(2.5, 200_000, 0)
    return Key(
        round(fit_temperature(log_probs, y).temperature, 1),
        "softmax(a / T): what is too large by 2.5 is divided by 2.5",
        {"that sharpens further: logits are divided by T, not multiplied": 1 / 2.5},
        hint="softmax(a / T) should give back the logits of Bayes' rule",
    )


def key_floor() -> Key:
    """Return the mean ECE of the calibrated classifier with 200 rows."""
    mean = float(error_spread(1.0)[SIZES.index(200), 0])
    return Key(
        mean,
        "a report of an ECE without its sample size says little",
        {
            "that is its true calibration error; asked is the mean of what samples show": 0.0,
        },
        unit="fraction",
        tolerance=0.15,
        hint="set sharpness to 1 and read the line 'mean ECE' at n = 200",
    )


CHECKS = {
    "5.1": Check(key_ece, "2 / 4 * abs(1 / 2 - 0.9) + 2 / 4 * abs(1 - 0.7)"),
    "5.2": Check(key_temperature, "2.5"),
    "5.3": Check(key_floor, "0.06"),
}
PREDICTIONS = {"5": predict_five}
