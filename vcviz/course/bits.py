"""Lesson 8: how many bits does a classifier know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import norm

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, float_slider, line, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.explorers.controls import Control, steps
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
    """Return (P,) separations and (P, 3): information, bound and trap there, bits."""
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

    def __init__(self, separation: float = 2.0, ratio: int = 10) -> None:
        ratios = [(f"{r} : 1", r) for r in RATIOS]
        super().__init__(
            self._draw,
            [
                Control(
                    "separation", float_slider("Distance of means", separation, 0, _MOST, 0.25)
                ),
                Control("ratio", steps("Class frequencies", ratios, ratio, width="320px")),
                Control("sharpness", float_slider("Sharpness of the logits", 1.0, 0.25, 3.0, 0.25)),
            ],
            slider="separation",
        )

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
        return sheet([densities, known_bits], height=320)


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


def predict_sharp() -> Prediction:
    """Ask what twice the log odds do to the information and to the bound."""

    def reveal() -> Reveal:
        right, sharp = (known(2.0, 10, factor) for factor in (1.0, 2.0))
        nothing = known(0.0, 10, 2.0)
        fell = [
            before > after + 1e-9
            for before, after in (
                (right.information, sharp.information),
                (right.bound, sharp.bound),
            )
        ]
        return Reveal(
            [[False, True], [True, True], [False, False]].index(fell),
            f"I(Z;Y) is about the latents: {sharp.information / _BIT:.3f} bits, whoever reads "
            f"them. H(Y) − NLL falls from {right.bound / _BIT:.3f} to {sharp.bound / _BIT:.3f} "
            f"bits, by the KL of the classifier from Bayes' rule, which a temperature of 2 takes "
            "away (lesson 5). Where all classes lie on top of each other it is "
            f"−{abs(nothing.bound) / _BIT:.3f} bits: such a classifier does worse than one that "
            "knows the frequencies alone.",
        )

    return Prediction(
        "Bayes' rule is made too sharp: its logits are multiplied by 2. No decision changes. "
        "Which of I(Z;Y) and H(Y) − NLL falls?",
        ["H(Y) − NLL alone", "both", "neither"],
        reveal,
    )


_SHARES = np.array([0.5, 0.25, 0.125, 0.125])
#: frequency of the fault that a detector looks for
_RARE = 0.01


def key_entropy() -> Key:
    """Return H(Y) of four unequal classes, bits."""
    return Key(
        float(-(_SHARES * np.log2(_SHARES)).sum()),
        "½·1 + ¼·2 + 2·⅛·3: the number of yes-or-no questions a good guesser needs",
        {
            "that is log C; the classes are not equally likely": float(np.log2(4)),
            "weigh −log₂ π_k by π_k": float(-np.log2(_SHARES).mean()),
            "there are two classes of frequency ⅛": 0.5 + 0.5 + 0.375,
        },
        unit="bits",
        tolerance=0.01,
        hint="H(Y) = −Σ π_k log₂ π_k",
    )


def key_known() -> Key:
    """Return what a balanced 10-class classifier with NLL 0.5 nats knows, bits."""
    truth = (np.log(10) - 0.5) / _BIT
    return Key(
        float(truth),
        f"of {np.log2(10):.2f} bits to know, all but {0.5 / _BIT:.2f} are known",
        {
            "the NLL is in nats: convert it too": float(np.log2(10) - 0.5),
            "that is what is not known, the NLL in bits": 0.5 / _BIT,
            "that is all there is to know": float(np.log2(10)),
            "multiply by log₂ e = 1.44 (divide by log 2) for bits": float(
                (np.log(10) - 0.5) * _BIT
            ),
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
        {
            "that is H(Y) itself": float(-(_SHARES * np.log(_SHARES)).sum()),
            "that is log C; take off H(Y)": float(np.log(4)),
        },
        unit="nats",
        hint="log 4 minus the entropy of check 8.1, both in nats",
    )


def key_detector() -> Key:
    """Return what two detectors of a rare fault know: one always right, one that says its rate."""
    rates = np.array([_RARE, 1 - _RARE])
    parts = -rates * np.log2(rates)
    return Key(
        (float(parts.sum()), 0.0),
        "their accuracies are 1 and 0.99, and their information is all there is and nothing; "
        f"even all of it is little, since {1 - _RARE:.0%} of the inputs could be guessed",
        {
            "that is what one fault tells; average over inputs with and without": (
                float(-np.log2(_RARE)),
                0.0,
            ),
            "inputs without a fault tell something too: add −0.99 log₂ 0.99": (
                float(parts[0]),
                0.0,
            ),
            "that is in nats": (float(parts.sum() * _BIT), 0.0),
            "the second says the same of every input, so it knows nothing": (
                float(parts.sum()),
                float(parts.sum()),
            ),
            "one bit would be a fault in every second input": (1.0, 0.0),
            "accuracy is no information: both are asked for in bits": (1.0, 0.99),
        },
        tolerance=0.02,
        hint="H(Y) − NLL: the NLL of the first is 0, that of the second is H(Y)",
    )


CHECKS = {
    "8.1": Check(
        key_entropy,
        "0.5 * 1 + 0.25 * 2 + 2 * 0.125 * 3",
        r"""$-\sum_y \pi_y \log_2 \pi_y
= \tfrac12 \cdot 1 + \tfrac14 \cdot 2 + 2 \cdot \tfrac18 \cdot 3 = 1.75$.""",
    ),
    "8.2": Check(
        key_known,
        "(math.log(10) - 0.5) / math.log(2)",
        r"""$(\log 10 - 0.5)/\log 2 = (2.303 - 0.5)/0.693 = 2.60$ bits.""",
    ),
    "8.3": Check(
        key_offset,
        "math.log(4) - 1.75 * math.log(2)",
        r"""$(\log C - \mathrm{NLL}) - (H(Y) - \mathrm{NLL}) = \log C - H(Y)
= (2 - 1.75) \log 2 = 0.173$ nats.""",
    ),
    "8.4": Check(
        key_detector,
        "[-0.01 * math.log2(0.01) - 0.99 * math.log2(0.99), 0.0]",
        r"""$H(Y) = 0.01 \cdot 6.64 + 0.99 \cdot 0.0145 = 0.0664 + 0.0144 = 0.0808$ bits. The first
detector has an NLL of 0 and knows all of it. The second has an NLL of $H(Y)$ and knows nothing,
with an accuracy of 0.99.""",
        points=2,
    ),
}
PREDICTIONS = {"8a": predict_offset, "8b": predict_sharp}
