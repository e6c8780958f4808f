"""Lesson 1: what a linear layer and softmax assume."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from scipy.stats import poisson

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, columns, float_slider, line, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.course.two_classes import (
    DF,
    LAWS,
    MEAN_A,
    best_softmax,
    boundary_shape,
    log_odds,
    two_classes,
)
from vcviz.explorers.controls import Control, dropdown
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
_SLIDER_PX = 264  # three to a row in JupyterLab
_FRAMES = 21
_ODDS = 12.0
_BAYES, _SOFTMAX = style.NEUTRAL, style.CLASS_COLORS[3]


class BayesExplorer(Explorer):
    """Two laws p(z|y) in the plane, Bayes' rule, and the linear softmax nearest to it.

    The centres can be dragged in the plane.

    Parameters
    ----------
    slider : what the slider of a page moves: "x" (centre of B), "spread", "correlation", …
    start : controls' first values

    Attributes
    ----------
    controls : ``law``, ``ax``, ``ay`` (centre of A), ``x``, ``y`` (centre of B), ``spread``,
        ``correlation``, ``share``
    """

    def __init__(self, slider: str = "x", **start: Any) -> None:
        at: dict[str, Any] = {"law": "gaussian", "ax": MEAN_A[0], "ay": MEAN_A[1]}
        at |= {"x": 1.5, "y": 0.0, "spread": 1.0, "correlation": 0.0, "share": 0.5} | start

        def number(
            name: str, label: str, low: float, high: float, step: float, form: str = ".2f"
        ) -> Control:
            slider = float_slider(label, at[name], low, high, step, form, px=_SLIDER_PX)
            return Control(name, slider)

        super().__init__(
            self._draw,
            [
                Control("law", dropdown("Laws", [(name, name) for name in LAWS], value=at["law"])),
                number("ax", "Centre of A, z₁", -_FAR, _FAR, _STEP, ".1f"),
                number("ay", "Centre of A, z₂", -_FAR, _FAR, _STEP, ".1f"),
                number("x", "Centre of B, z₁", -_FAR, _FAR, _STEP, ".1f"),
                number("y", "Centre of B, z₂", -_FAR, _FAR, _STEP, ".1f"),
                number("spread", "Spread of B", 0.4, 3, 0.2, ".1f"),
                number("correlation", "Correlation in B", -0.9, 0.9, 0.15),
                number("share", "Frequency of B", 0.05, 0.95, 0.05),
            ],
            slider=slider,
        )
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
        return sheet([plane, cross], height=380, legend_rows=2)


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


def predict_frequency() -> Prediction:
    """Ask what the class frequencies do to the decision line of two equal covariances."""

    def reveal() -> Reveal:
        even, most = (best_softmax(two_classes(share_b=share)) for share in (0.5, 0.9))
        before, after = (round(-s.bias / s.weight[0], 9) + 0.0 for s in (even, most))
        return Reveal(
            1 if after < before else 2,
            "The frequencies enter the biases alone: their difference rises by log(0.9/0.1) = "
            f"{most.bias - even.bias:.2f} nats, and that of the weights stays "
            f"({most.weight[0]:.2f}, {abs(most.weight[1]):.2f}). The line moves from "
            f"z₁ = {before:.2f} to z₁ = −{abs(after):.2f}, away from the more frequent class. The "
            f"best softmax is Bayes' rule itself, {abs(most.excess):.3f} nats above it, wherever "
            "the centres are.",
        )

    return Prediction(
        "A and B have the same covariance, and the line where p(B|z) = ½ lies halfway between "
        "their centres. The frequency of B rises from 0.5 to 0.9. What does the line do?",
        [
            "it stays where it is",
            "it moves towards A and stays parallel to itself",
            "it moves towards B and stays parallel to itself",
            "it bends around A",
        ],
        reveal,
    )


def predict_shape() -> Prediction:
    """Ask for the decision line between a narrow and a wide Gaussian."""

    def reveal() -> Reveal:
        law = two_classes(spread=2.6)
        order = ["line", "ellipse", "hyperbola"]
        best = best_softmax(law)
        square = np.diff(-0.5 * np.linalg.inv(law.covariance)[:, 0, 0])[0]
        return Reveal(
            order.index(boundary_shape(law)),
            "Far out in any direction the wide law B has more density than the narrow law A, so "
            f"A's region is bounded. The log odds of B hold the square {square:.2f} (z₁² + z₂²), "
            "a parabola along z₂ = 0, and a linear layer has no squares: the best one is "
            f"{best.excess:.2f} nats above the {best.least:.2f} nats of Bayes' rule. At a spread "
            "of 1 the square is gone and the two agree; below 1 its sign is the other one, and "
            "B's region is bounded.",
        )

    return Prediction(
        "B gets 2.6 times the standard deviation of A, in both directions. "
        "Where is p(A|z) = ½ now?",
        ["still on a straight line, moved", "on a closed curve around A", "on two branches"],
        reveal,
    )


def predict_tails() -> Prediction:
    """Ask where the log odds of two heavy-tailed laws go, far out."""

    def reveal() -> Reveal:
        law = two_classes("heavy tails")
        z1 = np.linspace(0, _REACH, 701)
        odds = log_odds(law, np.column_stack([z1, np.zeros_like(z1)]))
        far, wide = (
            log_odds(two_classes("heavy tails", spread=spread), [[1e9, 0.0]])[0] + 0.0
            for spread in (1.0, 2.6)
        )
        clumps = best_softmax(two_classes("two clumps"))
        return Reveal(
            0 if odds[-1] == odds.max() else 2 if abs(far) < 1e-3 else 1,
            f"They reach {odds.max():.2f} nats at z₁ = {z1[odds.argmax()]:.2f}, are at "
            f"{odds[-1]:.2f} where the figure ends, and go to {abs(far):.2f}: far out both "
            f"densities fall like |z| to the power −{DF + 2:g}, whatever the centre, and their "
            f"ratio goes to 1. With a spread of 2.6 they come back too, to {DF:g} log 2.6 = "
            f"{wide:.2f} nats. A line cannot turn: the best one is "
            f"{best_softmax(law).excess:.2f} nats above Bayes' rule. With two clumps, A lies on "
            f"both sides of B, and the best line has {clumps.least + clumps.excess:.3f} nats, "
            f"those of guessing (log 2 = {np.log(2):.3f}).",
        )

    return Prediction(
        "Both laws get heavy tails: Student-t with 1.5 degrees of freedom, equal shapes "
        "(spread 1), centres at −1.5 and 1.5. Far out to the right, where do the log odds "
        "of B go?",
        ["they grow like a straight line", "they level off above zero", "they return to zero"],
        reveal,
    )


def key_weight() -> Key:
    """Return w_B - w_A = Sigma^-1 (mu_B - mu_A)."""
    covariance = np.array([[1.0, 0.5], [0.5, 1.0]])
    law = two_classes(mean_b=(2.5, 3.5))
    apart = law.mean[1] - law.mean[0]
    truth = np.linalg.solve(covariance, apart)
    return Key(
        truth,
        "w_B − w_A = Σ⁻¹ (μ_B − μ_A): with a correlation the weight does not point from one "
        "mean to the other",
        {
            "that points from B to A; asked is w_B − w_A": -truth,
            "that is half of it: the ½ of the Gaussian's exponent cancels": truth / 2,
            "that is μ_B − μ_A, right for Σ = I": apart,
            "that is Σ (μ_B − μ_A); the exponent holds the inverse of Σ": covariance @ apart,
            "that is Σ⁻¹ times the sum of the means": np.linalg.solve(covariance, law.mean.sum(0)),
        },
        hint="write out log N(z; μ_B, Σ) − log N(z; μ_A, Σ): what multiplies z?",
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
            "log π_B is taken alone; take log π_B − log π_A": means + np.log(0.2),
            "use natural logarithms": means + prior / np.log(10),
            "use natural logarithms, not bits": means + prior / np.log(2),
        },
        tolerance=0.01,
        hint="b_y = log π_y − ½ μ_y' Σ⁻¹ μ_y; take the difference B − A",
    )


def key_radius() -> Key:
    """Return the radius of the decision line between N(0, I) and N(0, 4 I) in the plane."""
    law = two_classes(mean_a=(0, 0), mean_b=(0, 0), spread=2.0)
    constant, one = log_odds(law, [[0.0, 0.0], [1.0, 0.0]])
    square = one - constant
    truth = float(np.sqrt(-constant / square))
    return Key(
        truth,
        "r² = 8/3 log 4; the wide law has to make up for its lower density at the centre",
        {
            "at r = 0 the narrow law is denser: the normalising constants differ": 0.0,
            "that is r²": truth**2,
            "a factor √2 is missing: mind the ½ of the exponent, and that the constant of the "
            "plane is log 2πs², not that of one dimension": truth / np.sqrt(2),
            "that has 2 in place of the variance 4": float(np.sqrt(4 * np.log(2))),
        },
        tolerance=0.01,
        hint="set log N(z; 0, I) = log N(z; 0, 4 I) and solve for |z|; keep the normalising "
        "constants",
    )


def key_counts() -> Key:
    """Return w_B - w_A and b_B - b_A of Poisson counts with rates 2 and 6."""
    rates = np.array([2.0, 6.0])
    at_0, at_1 = np.diff([poisson.logpmf(count, rates) for count in (0, 1)], axis=1)[:, 0]
    weight, bias = float(at_1 - at_0), float(at_0)
    return Key(
        (weight, bias),
        "log z! is the same for both classes and cancels: counts suit a softmax exactly",
        {
            "that points from B to A; asked is B − A": (-weight, -bias),
            "the weight is a difference of logarithms, log λ_B − log λ_A": (-bias, bias),
            "b has the wrong sign: the larger rate makes a count of 0 less likely": (
                weight,
                -bias,
            ),
            "use natural logarithms": (weight / np.log(10), bias),
            "the normalising constant exp(−λ) is missing": (weight, 0.0),
        },
        hint="log p(z|y) = z log λ_y − λ_y − log z!; which terms have z, which have y alone?",
    )


CHECKS = {
    "1.1": Check(
        key_weight,
        "[3.0, 2.0]",
        r"""$\log\frac{p(z|B)}{p(z|A)} = z^\top \Sigma^{-1}(\mu_B - \mu_A) + \mathrm{const}$, so
$w_B - w_A = \Sigma^{-1}(\mu_B - \mu_A)$ with $\mu_B - \mu_A = (4, 3.5)$ and
$\Sigma^{-1} = \tfrac43 \begin{pmatrix} 1 & -\frac12 \ -\frac12 & 1 \end{pmatrix}$:
$\tfrac43\,(4 - 1.75,\; 3.5 - 2) = (3, 2)$.""",
    ),
    "1.2": Check(
        key_bias,
        "0.5 * (1.5**2 - 2.5**2) + math.log(0.2 / 0.8)",
        r"""$b_B - b_A = \log\frac{\pi_B}{\pi_A} - \tfrac12(|\mu_B|^2 - |\mu_A|^2)
= \log\frac{0.2}{0.8} - \tfrac12(6.25 - 2.25) = -1.386 - 2 = -3.386$.""",
    ),
    "1.3": Check(
        key_radius,
        "(8 / 3 * math.log(4)) ** 0.5",
        r"""In the plane $\log \mathcal N(z; 0, v I) = -\log 2\pi v - |z|^2 / 2 v$. With variances
$v = 1$ and $v = 4$, equality means $\log 4 = \tfrac12 |z|^2 (1 - \tfrac14)$, so
$|z|^2 = \tfrac83 \log 4 = 3.697$ and $|z| = 1.923$.""",
    ),
    "1.4": Check(
        key_counts,
        "[math.log(6 / 2), 2 - 6]",
        r"""$p(z|y) = \lambda_y^z e^{-\lambda_y} / z!$, so
$\log\frac{p(z|B)}{p(z|A)} = z \log\frac{\lambda_B}{\lambda_A} - (\lambda_B - \lambda_A)
= z \log 3 - 4$. It is linear in $z$ because $z!$ does not depend on the class: every exponential
family $p(z|y) = h(z)\, e^{w_y^\top z + b_y}$ makes softmax exact.""",
        points=2,
    ),
}
PREDICTIONS = {"1a": predict_frequency, "1b": predict_shape, "1c": predict_tails}
