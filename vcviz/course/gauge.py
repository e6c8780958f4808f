"""Lesson 2: different laws of the latents, the same classifier."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, bars, columns, float_slider, line, panel_of, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import reset_button
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.pictures import data_uri
from vcviz.figures.regions import region_pixels
from vcviz.geometry.contours import law_contours
from vcviz.records import LatentPrior, as_float

#: a softmax layer of three classes in the plane
WEIGHT = np.array([[1.2, 0.4], [-0.9, 0.9], [-0.2, -1.3]])
BIAS = np.array([0.2, 0.0, -0.2])
NAMES = ("A", "B", "C")
_REACH, _GRID = 6.0, 81


def reading(
    weight: ArrayLike, bias: ArrayLike, covariance: ArrayLike, shift: ArrayLike
) -> LatentPrior:
    """Return the Gaussian law of covariance S and shift m whose Bayes' rule is softmax(W z + b).

    mu_y = S w_y + m and log pi_y = b_y + mu_y' S^-1 mu_y / 2 + const, for any S and m.

    Parameters
    ----------
    weight, bias : (C, D) and (C,)
    covariance : (D, D) symmetric and positive definite
    shift : (D,)
    """
    w, b = as_float("weight", weight, 2, np.float64), as_float("bias", bias, 1, np.float64)
    s = as_float("covariance", covariance, 2, np.float64)
    mean = w @ s + as_float("shift", shift, 1, np.float64)
    log_weight = b + 0.5 * np.einsum("cd,cd->c", mean, np.linalg.solve(s, mean.T).T)
    factor = np.broadcast_to(np.linalg.cholesky(s), (len(w), *s.shape))
    return LatentPrior(mean, scale_tril=factor, log_weight=log_weight)


def ellipse(scale: float, ratio: float, degrees: float) -> NDArray[np.float64]:
    """Return a (2, 2) covariance: standard deviations scale·√ratio and scale/√ratio, turned."""
    turn = np.deg2rad(degrees)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return axes @ np.diag([scale**2 * ratio, scale**2 / ratio]) @ axes.T


class GaugeExplorer(Explorer):
    """One softmax layer, its regions frozen, and any of the Gaussian laws that it may stand for.

    Attributes
    ----------
    controls : ``scale``, ``ratio`` and ``turn`` of the covariance, ``x`` and ``y`` of the shift
    """

    def __init__(
        self, scale: float = 0.6, shift: float = 2.0, *, theme: style.Theme = "auto"
    ) -> None:
        self._theme = theme
        controls: dict[str, ipw.Widget] = {
            "scale": float_slider("Scale of S", scale, 0.2, 2.0, 0.1, ".1f"),
            "ratio": float_slider("Longer axis over shorter", 1.0, 1.0, 4.0, 0.5, ".1f"),
            "turn": float_slider("Turn, degrees", 30.0, 0.0, 180.0, 15.0, ".0f"),
            "x": float_slider("Shift m₁", shift, -3.0, 3.0, 0.5, ".1f"),
            "y": float_slider("Shift m₂", 0.0, -3.0, 3.0, 0.5, ".1f"),
        }
        panel = panel_of(list(controls.values()), reset_button(self.reset))
        self._picture = cache(_regions)
        super().__init__(Bound(self._draw, controls, "scale", panel))

    def figure(self) -> go.Figure:
        """Return one static figure: a slider over the scale, a list of ratios and shifts."""
        return self.bound.figure(menus={"ratio": (1.0, 4.0), "x": (-2.0, 0.0, 2.0)})

    def _draw(
        self, *, scale: float, ratio: float, turn: float, x: float, y: float
    ) -> dict[str, Any]:
        fixed = reading(WEIGHT, BIAS, np.eye(2), np.zeros(2))
        law = reading(WEIGHT, BIAS, ellipse(scale, ratio, turn), (x, y))
        source, grid, layer = self._picture()
        apart = max(np.abs(p.log_posterior(grid) - layer).max() for p in (fixed, law))
        panels = [
            _plane(fixed, source, "A reading: S = I, m = 0", legend=True),
            _plane(law, source, "Your reading", legend=False),
        ]
        at = np.arange(3)
        implied = [
            bars(at - 0.2, np.exp(fixed.log_weight), "S = I, m = 0", "#B0B0B0", width=0.36),
            bars(at + 0.2, np.exp(law.log_weight), "yours", _colors(), width=0.36),
        ]
        panels.append(
            Panel(
                "π (grey: S = I)",
                [bar | {"showlegend": False} for bar in implied],
                axis("class", -0.6, 2.6, tickvals=at, ticktext=list(NAMES)),
                axis("π, fraction", 0, 1),
            )
        )
        panels[0] = replace(panels[0], said=[f"both give softmax to {_rounded(apart)} nats"])
        return sheet(panels, height=300, widths=(1, 1, 0.8), theme=self._theme)


def _rounded(error: float) -> str:
    """Return the power of ten above a rounding error."""
    return f"10<sup>{int(np.ceil(np.log10(max(error, 1e-16))))}</sup>"


def _colors() -> list[str]:
    return [style.class_color(k) for k in range(3)]


def _plane(law: LatentPrior, source: str, heading: str, *, legend: bool) -> Panel:
    step = 2 * _REACH / (_GRID - 1)
    image: dict[str, Any] = {"type": "image", "source": source, "hoverinfo": "skip"}
    image |= {"x0": -_REACH, "y0": -_REACH, "dx": step, "dy": step}
    traces = [image | {"meta": {"layer": "regions"}}]
    for contour in law_contours(law, mass=(0.5, 0.9)):
        k = contour.label
        shown = legend and contour.mass == 0.5
        name, color = f"p(z|{NAMES[k]})", style.class_color(k)
        traces.append(line(*columns(contour.xy), name, color, legend=shown, hoverinfo="skip"))
    return Panel(
        heading,
        traces,
        axis("z₁", -_REACH, _REACH, constrain="domain", showgrid=False),
        axis("z₂", -_REACH, _REACH, showgrid=False),
    )


def _regions() -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """Return the picture of the layer's regions, its grid, and the layer's log-probabilities."""
    at = np.linspace(-_REACH, _REACH, _GRID)
    grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    layer = log_softmax(grid @ WEIGHT.T + BIAS, axis=1)
    return data_uri(region_pixels(layer.reshape(_GRID, _GRID, 3))), grid, layer


def predict_scale() -> Prediction:
    """Ask what twice the standard deviation does to the distance between means."""

    def reveal() -> Reveal:
        one, two = (reading(WEIGHT, BIAS, ellipse(s, 1, 0), (0, 0)).mean for s in (1.0, 2.0))
        near, far = (float(np.linalg.norm(m[0] - m[1])) for m in (one, two))
        return Reveal(
            [1.0, 2.0, 4.0].index(round(far / near, 6)),
            f"μ_y = S w_y: with S = I the means of A and B lie {near:.2f} apart, with S = 4 I "
            f"{far:.2f}. In units of the standard deviation they are only twice as far apart: "
            "the wider the law, the more surely it must tell the classes apart to say the same.",
        )

    return Prediction(
        "The standard deviation of every class is doubled and the classifier stays what it is. "
        "What happens to the distance between two means?",
        ["it stays as it is", "it doubles", "it grows fourfold"],
        reveal,
    )


def key_freedom() -> Key:
    """Return the number of free numbers in S and m for D = 3."""
    d = 3
    return Key(
        d * (d + 1) // 2 + d,
        "a symmetric S has D(D+1)/2 free numbers and m has D",
        {
            "a covariance is symmetric: count S₁₂ and S₂₁ once": d * d + d,
            "the shift m is free too": d * (d + 1) // 2,
            "that is m alone; S is free too": d,
            "that counts a diagonal S; every S will do": 2 * d,
        },
        tolerance=1e-9,
        hint="how many different entries has a symmetric 3×3 matrix?",
    )


def key_prior() -> Key:
    """Return the implied log pi_A / pi_B with S = I and m = 0."""
    log_weight = reading(WEIGHT, BIAS, np.eye(2), np.zeros(2)).log_weight
    truth = float(log_weight[0] - log_weight[1])
    biases = float(BIAS[0] - BIAS[1])
    square = float(np.sum(WEIGHT[0] ** 2) - np.sum(WEIGHT[1] ** 2))
    return Key(
        truth,
        "b alone is not log π: the lengths of the means go with it",
        {
            "that is b_A − b_B; the term ½ μ' S⁻¹ μ is missing": biases,
            "the ½ is missing": biases + square,
            "½ μ' S⁻¹ μ is added to b, not taken off": biases - square / 2,
            "that is the ratio π_A/π_B itself; take its logarithm": float(np.exp(truth)),
        },
        unit="nats",
        hint="log π_y = b_y + ½ μ_y' S⁻¹ μ_y, with μ_y = w_y here",
    )


def key_identified() -> Key:
    """Return what a softmax layer says for certain."""
    return Key(
        "log-ratios",
        "log π_y p(z|y) / π_k p(z|k) = (w_y − w_k)'z + b_y − b_k, in every reading",
        {
            "no: they moved with every slider while the classifier stayed": "means",
            "no: any S will do": "covariance",
            "no: π moved with the shift while the classifier stayed": "prior",
        },
        hint='choose "means", "covariance", "prior" or "log-ratios"',
    )


CHECKS = {
    "2.1": Check(key_freedom, "6 + 3"),
    "2.2": Check(key_prior, "0.2 + 0.5 * (1.2**2 + 0.4**2) - 0.5 * (0.9**2 + 0.9**2)"),
    "2.3": Check(key_identified, '"log-ratios"'),
}
PREDICTIONS = {"2": predict_scale}
