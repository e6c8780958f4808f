"""Lesson 1: what a linear layer and softmax assume."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, columns, float_slider, line, panel_of, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.course.two_classes import (
    LAWS,
    MEAN_A,
    best_softmax,
    boundary_shape,
    log_odds,
    two_classes,
)
from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import dropdown, reset_button
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.pictures import data_uri
from vcviz.figures.regions import region_pixels
from vcviz.geometry.contours import law_contours, level_line

_REACH, _GRID = 7.0, 71
#: how far out a centre can be, and the steps it moves in
_FAR, _STEP = 5.0, 0.1
#: what is dragged -> the controls that say where it is
_CENTRES = {"centre of A": ("ax", "ay"), "centre of B": ("x", "y")}
#: most positions of a page's slider
_FRAMES = 21
_ODDS = 12.0
_BAYES, _SOFTMAX = style.NEUTRAL, style.CLASS_COLORS[3]


class BayesExplorer(Explorer):
    """Two laws p(z|y) in the plane, Bayes' rule, and the linear softmax nearest to it.

    The centres can be dragged in the plane.

    Parameters
    ----------
    slider : what the slider of a page moves: "x" (centre of B), "spread", "correlation", …
    theme : "auto", "light" or "dark"
    start : controls' first values

    Attributes
    ----------
    controls : ``law``, ``ax``, ``ay`` (centre of A), ``x``, ``y`` (centre of B), ``spread``,
        ``correlation``, ``share``
    """

    def __init__(self, slider: str = "x", *, theme: style.Theme = "auto", **start: Any) -> None:
        self._theme = theme
        at: dict[str, Any] = {"law": "gaussian", "ax": MEAN_A[0], "ay": MEAN_A[1]}
        at |= {"x": 1.5, "y": 0.0, "spread": 1.0, "correlation": 0.0, "share": 0.5} | start
        controls: dict[str, ipw.Widget] = {
            "law": dropdown("Laws", [(name, name) for name in LAWS], value=at["law"]),
            **{
                name: float_slider(f"Centre of {label}", at[name], -_FAR, _FAR, _STEP, ".1f")
                for (label, name) in (
                    ("A, z₁", "ax"),
                    ("A, z₂", "ay"),
                    ("B, z₁", "x"),
                    ("B, z₂", "y"),
                )
            },
            "spread": float_slider("Spread of B (A has 1)", at["spread"], 0.4, 3, 0.2, ".1f"),
            "correlation": float_slider("Correlation in B", at["correlation"], -0.9, 0.9, 0.15),
            "share": float_slider("P(B)", at["share"], 0.05, 0.95, 0.05),
        }
        law, *sliders = controls.values()
        panel = ipw.VBox([panel_of([law], reset_button(self.reset)), panel_of(sliders)])
        super().__init__(Bound(self._draw, controls, slider, panel))
        self.bound.on("drag", self._dragged)

    def figure(self, menus: tuple[str, ...] = ("law",)) -> go.Figure:
        """Return one static figure with a slider and a list of the laws."""
        return self.bound.figure(menus=menus, frames=_FRAMES, draw=self._brief)

    def _dragged(self, event: dict[str, Any]) -> None:
        across, up = _CENTRES[event["meta"]["layer"]]
        self.bound.set(**{across: float(event["x"]), up: float(event["y"])})

    def _brief(self, **values: Any) -> dict[str, Any]:
        return self._draw(**values, live=False)

    def _draw(self, live: bool = True, **values: Any) -> dict[str, Any]:
        law, best = _fitted(**values)
        at = np.linspace(-_REACH, _REACH, _GRID)
        grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        posterior = law.log_posterior(grid).reshape(_GRID, _GRID, 2)
        step = at[1] - at[0]
        traces: list[dict[str, Any]] = [
            {
                "type": "image",
                "source": data_uri(region_pixels(posterior)),
                "x0": -_REACH,
                "dx": step,
                "y0": -_REACH,
                "dy": step,
                "hoverinfo": "skip",
                "meta": {"layer": "regions"},
            }
        ]
        for contour in law_contours(law, mass=(0.5, 0.9)):
            name, color = f"p(z|{'AB'[contour.label]}), 50 and 90 %", contour.label
            first = contour.mass == 0.5
            x, y = columns(contour.xy)
            traces.append(
                line(
                    x,
                    y,
                    name,
                    style.class_color(color),
                    legend=first,
                    hoverinfo="skip",
                    meta={"layer": f"rings {'AB'[color]}"},
                )
            )
        truth = level_line(posterior[..., 1] - posterior[..., 0], at, at, 0.0)
        traces.append(_path(truth, "Bayes' rule, p = ½", _BAYES, "solid", 3, "bayes"))
        linear = best.log_odds(grid).reshape(_GRID, _GRID)
        traces.append(
            _path(
                level_line(linear, at, at, 0.0),
                "best softmax, p = ½",
                _SOFTMAX,
                "dash",
                2.5,
                "softmax",
            )
        )
        for k, (name, controls) in enumerate(_CENTRES.items()):
            traces.append(_centre(name, k, [values[control] for control in controls], live))
        plane = Panel(
            "p(y|z) in the plane",
            traces,
            axis("z₁", -_REACH, _REACH, constrain="domain", showgrid=False),
            axis("z₂", -_REACH, _REACH, scaleanchor="x", showgrid=False),
            [
                "softmax: w = ({:.2f}, {:.2f}), b = {:.2f}".format(
                    *np.round([*best.weight, best.bias], 2) + 0.0
                )
            ],
        )
        z1 = np.linspace(-_REACH, _REACH, 141)
        cut = np.column_stack([z1, np.zeros_like(z1)])
        odds = np.clip(log_odds(law, cut), -2 * _ODDS, 2 * _ODDS)
        cross = Panel(
            "log odds along z₂ = 0",
            [
                line(
                    z1,
                    odds,
                    "Bayes' rule, p = ½",
                    _BAYES,
                    width=3,
                    legend=False,
                    meta={"layer": "bayes odds"},
                ),
                line(
                    z1,
                    best.log_odds(cut),
                    "best softmax, p = ½",
                    _SOFTMAX,
                    dash="dash",
                    width=2.5,
                    legend=False,
                ),
            ],
            axis("z₁", -_REACH, _REACH),
            axis("log p(B|z) / p(A|z), nats", -_ODDS, _ODDS),
            [
                f"Bayes' rule {best.least:.3f} nats of cross-entropy",
                f"<b>best softmax {abs(best.excess):.3f} nats more</b>",
            ],
        )
        return sheet([plane, cross], height=380, legend_rows=2, theme=self._theme)


@lru_cache(maxsize=256)
def _fitted(**values: Any) -> tuple[Any, Any]:
    law = two_classes(
        values["law"],
        mean_a=(values["ax"], values["ay"]),
        mean_b=(values["x"], values["y"]),
        spread=values["spread"],
        correlation=values["correlation"],
        share_b=values["share"],
    )
    return law, best_softmax(law)


def _path(xy: Any, name: str, color: str, dash: str, width: float, layer: str) -> dict[str, Any]:
    x, y = columns(xy)
    return line(x, y, name, color, dash=dash, width=width, hoverinfo="skip", meta={"layer": layer})


def _centre(name: str, label: int, at: list[float], live: bool) -> dict[str, Any]:
    """Return the mark of a law's centre, which can be dragged in a live figure."""
    limits = [-_FAR, _FAR]
    return {
        "type": "scatter",
        "x": at[:1],
        "y": at[1:],
        "mode": "markers+text",
        "marker": {
            "size": 22,
            "color": style.class_color(label),
            "line": {"color": "#fff", "width": 2},
        },
        "text": [name[-1]],
        "textposition": "middle center",
        "textfont": {"color": "#fff", "size": 13},
        "hovertemplate": f"{name} (%{{x:.1f}}, %{{y:.1f}})<extra></extra>",
        "showlegend": False,
        "name": name,
        "meta": {
            "layer": name,
            "draggable": {"x": limits, "y": limits, "step": _STEP} if live else False,
        },
    }


def predict_shape() -> Prediction:
    """Ask for the decision line between a narrow and a wide Gaussian."""

    def reveal() -> Reveal:
        law = two_classes(spread=2.6)
        order = ["line", "ellipse", "hyperbola"]
        best = best_softmax(law)
        return Reveal(
            order.index(boundary_shape(law)),
            "Far out in any direction the wide law B has more density than the narrow A, so A's "
            "region is closed. log p(B|z)/p(A|z) has the square ½ z'(S_A⁻¹ − S_B⁻¹)z, which a "
            f"linear layer cannot have: the best one pays {best.excess:.2f} nats a sample, "
            f"on top of the {best.least:.2f} that nobody can avoid.",
        )

    return Prediction(
        "B gets 2.6 times the standard deviation of A, in both directions. "
        "Where is p(A|z) = ½ now?",
        ["still on a straight line, moved", "on a closed curve around A", "on two branches"],
        reveal,
    )


def key_weight() -> Key:
    """Return w_B - w_A = S^-1 (mu_B - mu_A)."""
    law = two_classes(mean_b=(1.5, 2.0))
    truth = law.mean[1] - law.mean[0]
    return Key(
        truth,
        "with S = I the weight is the difference of the means: w_y = S⁻¹ μ_y",
        {
            "that points from B to A; asked is w_B − w_A": -truth,
            "that is half of it: the ½ of the Gaussian's exponent cancels": truth / 2,
            "that is the sum of the means": law.mean.sum(0),
            "that is the midpoint of the means": law.mean.mean(0),
        },
        hint="write out log N(z; μ_B, I) − log N(z; μ_A, I): what multiplies z?",
    )


def key_bias() -> Key:
    """Return b_B - b_A, with the class frequencies."""
    law = two_classes(mean_b=(2.5, 0.0), share_b=0.2)
    means = 0.5 * (np.sum(law.mean[0] ** 2) - np.sum(law.mean[1] ** 2))
    prior = float(np.diff(law.log_weight)[0])
    truth = float(means + prior)
    return Key(
        truth,
        "a bias holds the lengths of the means and the class frequencies, both at once",
        {
            "you forgot the class frequencies, log P(B)/P(A)": means,
            "you forgot the means, ½(|μ_A|² − |μ_B|²)": prior,
            "the frequencies have the wrong sign: B is the rarer class": means - prior,
            "the means have the wrong sign": prior - means,
            "the ½ of the Gaussian's exponent is missing": 2 * means + prior,
            "use natural logarithms": means + prior / np.log(10),
            "use natural logarithms, not bits": means + prior / np.log(2),
        },
        tolerance=0.01,
        hint="b_y = log π_y − ½ μ_y' S⁻¹ μ_y; take the difference B − A",
    )


def key_excess() -> Key:
    """Return what the best softmax lacks where B is narrow and A wide, as figure 2 says it."""
    found = best_softmax(two_classes(spread=3.0))
    return Key(
        found.excess,
        "KL(p(y|z) ‖ softmax) on average; no training gets rid of it",
        {
            "that is the cross-entropy nobody can avoid; asked is what comes on top": found.least,
            "that is the whole cross-entropy; take off that of Bayes' rule": found.least
            + found.excess,
        },
        unit="nats",
        tolerance=0.03,
        hint="set the spread of B to 3 in the second figure and read the bold line",
    )


CHECKS = {
    "1.1": Check(key_weight, "[3.0, 2.0]"),
    "1.2": Check(key_bias, "0.5 * (1.5**2 - 2.5**2) + math.log(0.2 / 0.8)"),
    "1.3": Check(key_excess, "0.217"),
}
PREDICTIONS = {"1": predict_shape}
