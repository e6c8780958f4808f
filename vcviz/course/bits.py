"""Lesson 8: how many bits does a classifier know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import norm

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, float_slider, line, panel_of, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import PLAIN, reset_button
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style

N_CLASSES = 4
RATIOS = (1, 2, 5, 10, 30, 100)
_MOST = 6.0
_BIT = np.log(2)
_NODES = 1201


@dataclass(frozen=True)
class Known:
    """What is known of the label, in nats, on average over the latents.

    Attributes
    ----------
    entropy : H(Y), before looking
    information : I(Z; Y), what Bayes' rule gets to know
    nll : cross-entropy of the classifier
    """

    entropy: float
    information: float
    nll: float

    @property
    def bound(self) -> float:
        """H(Y) - NLL: I(Z; Y) minus the classifier's mean KL from p(y|z)."""
        return self.entropy - self.nll

    @property
    def trap(self) -> float:
        """Return log C - NLL, which is right for equally likely classes alone."""
        return float(np.log(N_CLASSES)) - self.nll


def frequencies(ratio: float) -> NDArray[np.float64]:
    """Return (C,) class frequencies that fall geometrically, the first `ratio` times the last."""
    weight = float(ratio) ** -np.linspace(0, 1, N_CLASSES)
    return weight / weight.sum()


def known(separation: float, ratio: float = 1.0, sharpness: float = 1.0) -> Known:
    """Return what a classifier knows of four unit Gaussians in a row, by quadrature.

    Parameters
    ----------
    separation : distance of neighbouring means
    ratio : most over least frequent class
    sharpness : factor on the logits log π_y p(z|y) of Bayes' rule
    """
    prior = frequencies(ratio)
    means = separation * (np.arange(N_CLASSES) - (N_CLASSES - 1) / 2)
    z = np.linspace(means[0] - 9, means[-1] + 9, _NODES)
    joint = norm.logpdf(z[:, None], means) + np.log(prior)
    weight = np.exp(joint)
    right = np.trapezoid((weight * log_softmax(joint, axis=1)).sum(1), z)
    said = np.trapezoid((weight * log_softmax(sharpness * joint, axis=1)).sum(1), z)
    entropy = float(-(prior * np.log(prior)).sum())
    return Known(entropy, entropy + float(right), -float(said))


@lru_cache(maxsize=128)
def curves(ratio: float, sharpness: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (S,) separations and (S, 3): information, bound and trap there, bits."""
    at = np.linspace(0, _MOST, 49)
    found = [known(float(s), ratio, sharpness) for s in at]
    values = [[k.information, k.bound, k.trap] for k in found]
    return at, np.array(values) / _BIT


class BitsExplorer(Explorer):
    """Four Gaussians in a row: I(Z; Y), and what a classifier's cross-entropy says of it.

    Attributes
    ----------
    controls : ``separation``, ``ratio`` of class frequencies, ``sharpness`` of the logits
    """

    def __init__(
        self, separation: float = 2.0, ratio: int = 10, *, theme: style.Theme = "auto"
    ) -> None:
        self._theme = theme
        controls: dict[str, ipw.Widget] = {
            "separation": float_slider("Distance of means", separation, 0, _MOST, 0.25),
            "ratio": ipw.SelectionSlider(
                options=[(f"{r} : 1", r) for r in RATIOS],
                value=ratio,
                description="Class frequencies",
                style=PLAIN,
                layout=ipw.Layout(width="320px"),
            ),
            "sharpness": float_slider("Sharpness of the logits", 1.0, 0.25, 3.0, 0.25),
        }
        panel = panel_of(list(controls.values()), reset_button(self.reset))
        super().__init__(Bound(self._draw, controls, "separation", panel))

    def figure(self) -> go.Figure:
        """Return one static figure: a slider over the distance, a list of the others."""
        return self.bound.figure(menus={"ratio": (1, 10, 100), "sharpness": (1.0, 2.0)})

    def _draw(self, *, separation: float, ratio: int, sharpness: float) -> dict[str, Any]:
        now, prior = known(separation, ratio, sharpness), frequencies(ratio)
        means = separation * (np.arange(N_CLASSES) - (N_CLASSES - 1) / 2)
        z = np.linspace(-12, 12, 241)
        densities = Panel(
            "π p(z|y)",
            [
                line(
                    z,
                    prior[k] * norm.pdf(z, means[k]),
                    f"class {k + 1}",
                    style.class_color(k),
                    legend=False,
                    hoverinfo="skip",
                )
                for k in range(N_CLASSES)
            ],
            axis("z", -12, 12),
            axis("density", 0, 0.4),
            [
                f"H(Y) = {now.entropy / _BIT:.3f} bits, log C = {np.log2(N_CLASSES):.0f} bits",
                f"I(Z;Y) = {now.information / _BIT:.3f} bits = {now.information:.3f} nats",
            ],
        )
        at, values = curves(ratio, sharpness)
        blue, orange = style.CLASS_COLORS[0], style.CLASS_COLORS[3]
        known_bits = Panel(
            "Bits known of the label",
            [
                line(at[[0, -1]], np.full(2, now.entropy / _BIT), "H(Y)", style.NEUTRAL, width=1),
                line(at, values[:, 0], "I(Z;Y)", style.NEUTRAL, width=3),
                line(at, values[:, 1], "H(Y) − NLL", blue, dash="dash"),
                line(at, values[:, 2], "log C − NLL", orange, dash="dot"),
                line(
                    [separation] * 2,
                    [now.bound / _BIT, now.trap / _BIT],
                    "now",
                    style.NEUTRAL,
                    mode="markers",
                    marker={"size": 10, "color": [blue, orange]},
                    legend=False,
                ),
            ],
            axis("distance of means", 0, _MOST),
            axis("bits", -0.6, 2.2),
            [
                f"H(Y) − NLL = {now.bound / _BIT:.3f} bits",
                f"log C − NLL = {now.trap / _BIT:.3f} bits",
            ],
        )
        return sheet([densities, known_bits], height=320, theme=self._theme)


def predict_offset() -> Prediction:
    """Ask what log C - NLL does where classes overlap wholly but are unequal."""

    def reveal() -> Reveal:
        found = known(0.0, 10)
        bits = found.trap / _BIT
        return Reveal(
            0 if abs(bits) < 1e-6 else 1 if bits > 0 else 2,
            f"z says nothing (I = {found.information / _BIT:.3f} bits), but guessing by "
            f"frequency has an NLL of H(Y) = {found.entropy / _BIT:.3f} bits, less than "
            f"log C = {np.log2(N_CLASSES):.0f} bits. log C − NLL claims {bits:.3f} bits, all of "
            "them known before looking.",
        )

    return Prediction(
        "All four classes have the same law of z, so that z says nothing about the label; but "
        "the classes are 10 : 1 in frequency. What is log C − NLL of Bayes' rule?",
        ["zero", "above zero", "below zero"],
        reveal,
    )


_SHARES = np.array([0.5, 0.25, 0.125, 0.125])


def key_entropy() -> Key:
    """Return H(Y) of four unequal classes, bits."""
    return Key(
        float(-(_SHARES * np.log2(_SHARES)).sum()),
        "½·1 + ¼·2 + 2·⅛·3: the number of yes-or-no questions a good guesser needs",
        {"that is log C; the classes are not equally likely": float(np.log2(4))},
        unit="bits",
        tolerance=0.01,
        hint="H(Y) = −Σ π_k log₂ π_k",
    )


def key_known() -> Key:
    """Return what a balanced 10-class classifier with NLL 0.5 nats knows, bits."""
    truth = (np.log(10) - 0.5) / _BIT
    return Key(
        float(truth),
        "of 3.32 bits to know, all but 0.72 are known",
        {
            "the NLL is in nats: convert it too": float(np.log2(10) - 0.5),
            "that is what is not known, the NLL in bits": 0.5 / _BIT,
            "that is all there is to know": float(np.log2(10)),
        },
        unit="bits",
        tolerance=0.01,
        hint="H(Y) − NLL with H(Y) = log 10, both in nats, then divide by log 2",
    )


def key_offset() -> Key:
    """Return log C - H(Y) of the unequal classes, nats."""
    bits = float(np.log2(4) + (_SHARES * np.log2(_SHARES)).sum())
    return Key(
        bits * _BIT,
        "a constant: it has nothing to do with z",
        {"that is H(Y) itself": float(-(_SHARES * np.log(_SHARES)).sum())},
        unit="nats",
        hint="log 4 minus the entropy of check 8.1, both in nats",
    )


CHECKS = {
    "8.1": Check(key_entropy, "0.5 * 1 + 0.25 * 2 + 2 * 0.125 * 3"),
    "8.2": Check(key_known, "(math.log(10) - 0.5) / math.log(2)"),
    "8.3": Check(key_offset, "math.log(4) - 1.75 * math.log(2)"),
}
PREDICTIONS = {"8": predict_offset}
