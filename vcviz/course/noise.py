"""Lesson 7: noise in labels, and the temperature of a noisy softmax."""

from __future__ import annotations

from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from scipy.special import expit, softmax
from scipy.stats import norm

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, bars, float_slider, line, panel_of, sheet
from vcviz.course.noisy_labels import (
    DRAWS,
    HALF,
    TEMPERATURES,
    UTILITIES,
    fitted_slope,
    flipped,
    plain_temperature,
    smoothing,
    utilities,
)
from vcviz.course.predictions import Prediction, Reveal
from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import PLAIN, reset_button
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.metrics.noisy_scores import argmax_probs, noisy_log_probs
from vcviz.records import LogitLaw

NAMES = ("A", "B", "C")
_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_LOG_TICKS = {"type": "log", "tickvals": _TICKS, "ticktext": [f"{t:g}" for t in _TICKS]}
_BLUE, _ORANGE = style.CLASS_COLORS[0], style.CLASS_COLORS[3]


class FlipExplorer(Explorer):
    """Labels turned at random: Bayes' rule for them, and the best softmax.

    Attributes
    ----------
    controls : ``rate``, share of the labels that are turned
    """

    def __init__(self, rate: float = 0.1, *, theme: style.Theme = "auto") -> None:
        self._theme = theme
        slider = float_slider("Share of labels turned", rate, 0.0, 0.4, 0.05)
        panel = panel_of([slider], reset_button(self.reset))
        super().__init__(Bound(self._draw, {"rate": slider}, "rate", panel))

    def _draw(self, *, rate: float) -> dict[str, Any]:
        z = np.linspace(-4, 4, 161)
        slope, nll, least = fitted_slope(round(rate, 6))
        clean, noisy = expit(2 * HALF * z), flipped(2 * HALF * z, rate)
        probability = Panel(
            "Probability of the label B",
            [
                line(z, clean, "clean labels", style.NEUTRAL, width=1.5, dash="dot"),
                line(z, noisy, "turned labels, Bayes' rule", style.NEUTRAL, width=3),
                line(z, expit(slope * z), "best softmax", _ORANGE, dash="dash", width=2.5),
            ],
            axis("z", -4, 4),
            axis("p(B|z), fraction", -0.02, 1.02),
            [
                f"NLL {nll:.3f} nats, least possible {least:.3f}",
                f"with clean labels {fitted_slope(0.0)[2]:.3f}",
            ],
        )
        odds = np.log(noisy) - np.log1p(-noisy)
        ratio = Panel(
            "The same as log odds",
            [
                line(z, 2 * HALF * z, "clean labels", style.NEUTRAL, dash="dot", legend=False),
                line(z, odds, "turned labels", style.NEUTRAL, width=3, legend=False),
                line(z, slope * z, "best softmax", _ORANGE, dash="dash", width=2.5, legend=False),
            ],
            axis("z", -4, 4),
            axis("log odds of B, nats", -8, 8),
            [
                f"softmax's slope {slope:.2f} instead of {2 * HALF:.2f}:",
                f"<b>temperature T = {2 * HALF / slope:.2f}</b>",
            ],
        )
        return sheet([probability, ratio], height=320, theme=self._theme)


class TemperatureExplorer(Explorer):
    """Three noisy utilities: how often each is the largest, and softmax(u / tau) in its place.

    Attributes
    ----------
    controls : ``temperature`` tau, ``noise`` (standard deviation of each utility)
    """

    def __init__(self, temperature: float | None = None, *, theme: style.Theme = "auto") -> None:
        self._theme = theme
        controls: dict[str, ipw.Widget] = {
            "temperature": ipw.SelectionSlider(
                options=[(f"{t:.2g}", t) for t in TEMPERATURES],
                value=temperature or TEMPERATURES[9],
                description="Temperature τ",
                style=PLAIN,
                layout=ipw.Layout(width="360px"),
            ),
            "noise": float_slider("Noise σ of each utility", 1.0, 0.25, 3.0, 0.25),
        }
        panel = panel_of(list(controls.values()), reset_button(self.reset))
        super().__init__(Bound(self._draw, controls, "temperature", panel))

    def figure(self) -> go.Figure:
        """Return one static figure: a slider over the temperature, a list of noises."""
        return self.bound.figure(menus={"noise": (0.5, 1.0, 2.0)})

    def _draw(self, *, temperature: float, noise: float) -> dict[str, Any]:
        truth = argmax_probs(utilities(noise))[0]
        smooth = np.exp(noisy_log_probs(utilities(noise, temperature), draws=DRAWS)[0])
        best, lacking = plain_temperature(noise)
        plain = softmax(UTILITIES / best)
        at = np.arange(3)
        chosen = Panel(
            "How often each class is chosen",
            [
                bars(at - 0.27, truth, "truth: largest u", style.NEUTRAL, width=0.25),
                bars(at, smooth, "mean of softmax(u/τ)", _BLUE, width=0.25),
                bars(at + 0.27, plain, "softmax(μ/T), best T", _ORANGE, width=0.25),
            ],
            axis("class", -0.6, 2.6, tickvals=at, ticktext=list(NAMES)),
            axis("probability, fraction", 0, 1),
            [
                f"μ = ({', '.join(f'{u:g}' for u in UTILITIES)})",
                f"best plain T = {best:.2f}, KL {lacking:.4f} nats",
            ],
        )
        values = smoothing(noise)
        now = TEMPERATURES.index(temperature)
        x = np.array(TEMPERATURES)
        trade = Panel(
            "Too soft, or too noisy",
            [
                line(x, values[:, 0], "bias: KL from the truth", _BLUE),
                line(x, values[:, 1], "noise: sd of log p, 10 draws", style.NEUTRAL, dash="dash"),
                line(
                    [x[now]] * 2,
                    values[now],
                    "now",
                    style.NEUTRAL,
                    mode="markers",
                    legend=False,
                    marker={"size": 10, "color": [_BLUE, style.NEUTRAL]},
                ),
            ],
            axis("temperature τ", np.log10(0.045), np.log10(5.6), **_LOG_TICKS),
            axis("nats", -0.02, 0.6),
            [f"bias {values[now, 0]:.4f} nats", f"noise {values[now, 1]:.3f} nats"],
        )
        return sheet([chosen, trade], height=320, legend_rows=2, theme=self._theme)


def predict_flips() -> Prediction:
    """Ask what turned labels do to the decision line and to the confidence."""

    def reveal() -> Reveal:
        z = np.linspace(-4, 4, 4001)
        p = flipped(2 * HALF * z, 0.2)
        crossing = float(z[np.abs(p - 0.5).argmin()])
        top = float(flipped(np.array([50.0]), 0.2)[0])
        moved, lower = abs(crossing) > 1e-3, top < 0.99
        return Reveal(
            0 if moved else 1 if lower else 2,
            f"p(B|z) = ½ stays at z = {abs(crossing):.1f}, and no probability is above {top:.2f}. "
            f"The best softmax takes a temperature of {2 * HALF / fitted_slope(0.2)[0]:.2f}, the "
            "only thing that it can do: a straight line cannot level off.",
        )

    return Prediction(
        "A fifth of all labels, in both classes alike, is turned into the other class. What "
        "happens to Bayes' rule for the labels that are seen?",
        [
            "the decision line moves",
            "the line stays, the confidence falls",
            "nothing: the noise averages out",
        ],
        reveal,
    )


def key_probit() -> Key:
    """Return P(u_A > u_B) with means 1 and 0 and unit noise in both."""
    law = LogitLaw(np.array([[1.0, 0.0]]), np.ones((1, 2)))
    return Key(
        float(argmax_probs(law)[0, 0]),
        "Φ(1/√2): the difference of two noises has variance 2",
        {
            "both utilities are noisy: the difference has standard deviation √2": norm.cdf(1),
            "that is the softmax, which belongs to Gumbel noise": float(expit(1)),
            "that is the variance 2 in place of the standard deviation √2": norm.cdf(0.5),
        },
        unit="fraction",
        tolerance=0.005,
        hint="u_A − u_B is normal: with which mean and standard deviation is it above 0?",
    )


def key_ceiling() -> Key:
    """Return the largest log odds that labels with 10 % turned can have."""
    return Key(
        float(np.log(0.9 / 0.1)),
        "however far out z is: log (1 − η)/η",
        {
            "that is log 0.9; log odds are log p/(1 − p)": float(np.log(0.9)),
            "use natural logarithms": float(np.log10(9)),
            "that is the odds; take the logarithm": 9.0,
        },
        unit="nats",
        hint="far out p(B|z) is 1 − η; what are its log odds?",
    )


def key_scale() -> Key:
    """Return the tau that goes with means and noises twice as large."""
    tau = 0.5
    before = noisy_log_probs(utilities(1.0, tau), draws=500)
    doubled = LogitLaw(2 * UTILITIES[None], np.full((1, 3), 2.0), temperature=2 * tau)
    assert np.allclose(before, noisy_log_probs(doubled, draws=500))
    return Key(
        2 * tau,
        "only u/τ counts: τ alone means nothing, and a learned scale can undo it",
        {"that makes u/τ four times as large": tau / 2, "then u/τ is twice as large": tau},
        hint="the probabilities are those of softmax(u/τ): keep u/τ as it is",
    )


CHECKS = {
    "7.1": Check(key_ceiling, "math.log(0.9 / 0.1)"),
    "7.2": Check(key_probit, "0.5 * (1 + math.erf(1 / 2))"),
    "7.3": Check(key_scale, "1.0"),
}
PREDICTIONS = {"7": predict_flips}
