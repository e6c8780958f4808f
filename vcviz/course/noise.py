"""Lesson 7: noise in labels, and the temperature of a noisy softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from scipy.special import expit, logit, softmax
from scipy.stats import norm

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, bars, float_slider, line, sheet
from vcviz.course.noisy_labels import (
    DRAWS,
    HALF,
    TEMPERATURES,
    UTILITIES,
    fitted,
    flipped,
    log_odds,
    plain_temperature,
    smoothing,
    utilities,
)
from vcviz.course.predictions import Prediction, Reveal
from vcviz.explorers.controls import Control, steps
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.metrics.noisy_scores import argmax_probs, noisy_log_probs
from vcviz.records import LogitLaw

NAMES = ("A", "B", "C")
_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_LOG_TICKS = {"type": "log", "tickvals": _TICKS, "ticktext": [f"{t:g}" for t in _TICKS]}
#: the temperatures that the second figure is about: where it ends and where it starts
_ENDS = (TEMPERATURES[0], TEMPERATURES[9])
_BLUE, _ORANGE = style.CLASS_COLORS[0], style.CLASS_COLORS[3]


class FlipExplorer(Explorer):
    """Labels turned at random: Bayes' rule for them, and the best softmax.

    Attributes
    ----------
    controls : ``rate``, share of the labels that are turned; ``share``, P(B)
    """

    def __init__(self, rate: float = 0.1, share: float = 0.5):
        super().__init__(
            self._draw,
            [
                Control("rate", float_slider("Share of labels turned", rate, 0.0, 0.4, 0.05)),
                Control("share", float_slider("Frequency of B", share, 0.1, 0.9, 0.1, ".1f")),
            ],
            slider="rate",
        )

    def figure(self) -> go.Figure:
        """Return one static figure: a slider over the share turned, a list of frequencies."""
        return self.bound.figure(menus={"share": (0.5, 0.2)})

    def _draw(self, *, rate: float, share: float) -> dict[str, Any]:
        z = np.linspace(-4, 4, 161)
        best = fitted(round(rate, 6), round(share, 6))
        odds = log_odds(z, share)
        noisy, line_of_best = flipped(odds, rate), best.slope * z + best.bias
        probability = Panel(
            "Probability of the label B",
            [
                line(z, expit(odds), "clean labels", style.NEUTRAL, width=1.5, dash="dot"),
                line(z, noisy, "turned labels, Bayes' rule", style.NEUTRAL, width=3),
                line(z, expit(line_of_best), "best softmax", _ORANGE, dash="dash", width=2.5),
            ],
            axis("z", -4, 4),
            axis("p(B|z), fraction", -0.02, 1.02),
            [
                f"NLL {best.nll:.3f} nats, least possible {best.least:.3f}",
                f"with clean labels {fitted(0.0, round(share, 6)).least:.3f}",
            ],
        )
        turned = np.log(noisy) - np.log1p(-noisy)
        ratio = Panel(
            "The same as log odds",
            [
                line(z, odds, "clean labels", style.NEUTRAL, dash="dot", legend=False),
                line(z, turned, "turned labels", style.NEUTRAL, width=3, legend=False),
                line(z, line_of_best, "softmax", _ORANGE, dash="dash", width=2.5, legend=False),
            ],
            axis("z", -4, 4),
            axis("log odds of B, nats", -8, 8),
            [
                f"slope {2 * HALF:.2f} → {best.slope:.2f}, "
                f"bias {_near(float(logit(share)))} → {_near(best.bias)}",
                f"<b>as a temperature T = {2 * HALF / best.slope:.2f}</b>"
                if abs(share - 0.5) < 1e-6
                else f"p = ½ at z = {_near(best.boundary)}, Bayes' rule {_near(boundary(share))}",
            ],
        )
        return sheet([probability, ratio], height=320)


def boundary(share: float) -> float:
    """Return the z where Bayes' rule says ½, for clean labels and, as p̃ = ½ there, for turned."""
    return float(-log_odds(np.zeros(1), share)[0] / (2 * HALF))


def _near(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"


class TemperatureExplorer(Explorer):
    """Three noisy utilities: how often each is the largest, and softmax(u / tau) in its place.

    Attributes
    ----------
    controls : ``temperature`` tau, ``noise`` (standard deviation of each utility)
    """

    def __init__(self, temperature: float | None = None) -> None:
        options = [(f"{t:.2g}", t) for t in TEMPERATURES]
        first = temperature or _ENDS[1]
        super().__init__(
            self._draw,
            [
                Control("temperature", steps("Temperature τ", options, first, width="360px")),
                Control("noise", float_slider("Noise σ of each utility", 1.0, 0.25, 3.0, 0.25)),
            ],
            slider="temperature",
        )

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
                bars(at + 0.27, plain, "softmax(a/T), best T", _ORANGE, width=0.25),
            ],
            axis("class", -0.6, 2.6, tickvals=at, ticktext=list(NAMES)),
            axis("probability, fraction", 0, 1),
            [
                f"a = ({', '.join(f'{u:g}' for u in UTILITIES)})",
                f"best plain T = {best:.2f}, KL {lacking:.4f} nats",
            ],
        )
        values = smoothing(noise)
        now = TEMPERATURES.index(temperature)
        x = np.array(TEMPERATURES)
        trade = Panel(
            "Too soft, or too noisy",
            [
                line(x, values[:, 0], "bias: KL from the truth, 4,000 draws", _BLUE),
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
            axis("nats", -0.02, 0.9),
            [f"bias {values[now, 0]:.4f} nats", f"noise {values[now, 1]:.3f} nats"],
        )
        return sheet([chosen, trade], height=320, legend_rows=2)


def predict_flips() -> Prediction:
    """Ask what turned labels do to the decision line and to the confidence."""

    def reveal() -> Reveal:
        z = np.linspace(-4, 4, 4001)
        p = flipped(log_odds(z), 0.2)
        crossing = float(z[np.abs(p - 0.5).argmin()])
        top = float(flipped(np.array([50.0]), 0.2)[0])
        moved, lower = abs(crossing) > 1e-3, top < 0.99
        best, rare = fitted(0.2), fitted(0.2, 0.2)
        return Reveal(
            0 if moved else 1 if lower else 2,
            f"It says ½ where it said ½ before, here at z = {abs(crossing):.1f}, and nowhere more "
            f"than {top:.2f}: the log odds stay within log(0.8/0.2) = {np.log(4):.2f} nats. The "
            f"best softmax cannot level off. It lowers its slope from {2 * HALF:.2f} to "
            f"{best.slope:.2f}, as a temperature of {2 * HALF / best.slope:.2f} would: too careful "
            f"in the middle, too sure far out. If B is rare (0.2), it also moves its own decision, "
            f"to z = {_near(rare.boundary)} where Bayes' rule has {_near(boundary(0.2))}.",
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


def predict_smoothing() -> Prediction:
    """Ask what a lower temperature costs with few draws."""

    def reveal() -> Reveal:
        (low, few), (high, many) = (smoothing(1.0)[TEMPERATURES.index(t)] for t in _ENDS)
        t, plain = plain_temperature(1.0)
        return Reveal(
            0 if few < many and low < high else 1 if low < high else 2,
            f"From τ = {_ENDS[1]:.2g} to {_ENDS[0]:g} the bias falls from {high:.3f} to "
            f"{low:.4f} nats, and the noise of log p with ten draws grows from {many:.2f} to "
            f"{few:.2f} nats: a small τ counts which class was largest in each draw, and ten such "
            f"counts say little. A plain softmax at its best temperature, {t:.2f}, is {plain:.4f} "
            "nats from the truth: for one input it is nearly as good. What it cannot do is be "
            "noisy for one input and not for another.",
        )

    return Prediction(
        f"τ is lowered from {_ENDS[1]:.2g} to {_ENDS[0]:g}. What happens to the estimate of p(y|x) "
        "from ten draws?",
        [
            "its bias and its noise both fall",
            "its bias falls, its noise grows",
            "its bias grows, its noise falls",
        ],
        reveal,
    )


def key_one_sided() -> Key:
    """Return the clean log odds at which labels say ½ if only A's are turned, at 20 %."""
    rate = 0.2
    clean = (0.5 - rate) / (1 - rate)
    truth = float(logit(clean))
    return Key(
        truth,
        "noise that is not the same for both classes moves the decision: towards A, whose labels "
        "it takes",
        {
            "that is p(B|z); give log odds": clean,
            "only noise that is the same for both classes leaves the decision where it is": 0.0,
            "that is with B's labels turned instead of A's": -truth,
            "use natural logarithms": truth / np.log(10),
        },
        unit="nats",
        hint="p̃(B|z) = p(B|z) + 0.2 (1 − p(B|z)): for which p(B|z) is it ½?",
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
            "that is how often the second is chosen": norm.cdf(-1 / np.sqrt(2)),
        },
        unit="fraction",
        tolerance=0.005,
        hint="u_A − u_B is normal: with which mean and standard deviation is it above 0?",
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


def key_clean() -> Key:
    """Return the clean accuracy behind one of 0.85 on labels of which 10 % are turned."""
    seen, rate = 0.85, 0.1
    truth = (seen - rate) / (1 - 2 * rate)
    return Key(
        truth,
        "noise in test labels hides accuracy: 0.9 is the most that anybody can show here",
        {
            "a wrong prediction is counted as right where the label was turned": seen / (1 - rate),
            "not every turned label was an error: some turn a wrong prediction into a right one": (
                seen + rate
            ),
            "that is what would be seen of a clean accuracy of 0.85": (1 - rate) * seen
            + rate * (1 - seen),
            "turned labels lower what is seen, not what is true": seen - rate,
        },
        unit="fraction",
        tolerance=0.005,
        hint="a prediction counts as right if it is right and the label stayed, or wrong and it "
        "was turned",
    )


CHECKS = {
    "7.1": Check(
        key_one_sided,
        "math.log(0.375 / 0.625)",
        r"""$\tilde p(B|z) = p + 0.2\,(1 - p) = 0.2 + 0.8\,p = \tfrac12$ gives $p = 0.375$, and
$\log\frac{0.375}{0.625} = -0.51$.""",
    ),
    "7.2": Check(
        key_probit,
        "0.5 * (1 + math.erf(1 / 2))",
        r"""$u_1 - u_2 \sim \mathcal N(1, 2)$, so $P(u_1 > u_2) = \Phi(1/\sqrt2) = 0.760$.""",
    ),
    "7.3": Check(
        key_scale,
        "1.0",
        r"""$u/\tau = (2a + 2\sigma\xi)/\tau$ equals $(a + \sigma\xi)/0.5$ for $\tau = 1$.""",
    ),
    "7.4": Check(
        key_clean,
        "(0.85 - 0.1) / (1 - 2 * 0.1)",
        r"""Of correct predictions a share $1 - \eta$ agrees with the label, of wrong ones a share
$\eta$: $0.85 = 0.9\,\mathrm{acc} + 0.1\,(1 - \mathrm{acc})$. So the clean accuracy is
$(0.85 - 0.1)/(1 - 0.2) = 0.9375$. This takes for granted that labels are turned whether or not the
prediction is right. It fails where inputs are hard for people and machines alike.""",
        points=2,
    ),
}
PREDICTIONS = {"7a": predict_flips, "7b": predict_smoothing}
