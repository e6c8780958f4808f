"""Lesson 5: why confidence is not accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.special import entr, expit, logit
from scipy.stats import binom

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, line, sheet
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
from vcviz.explorers.controls import PLAIN, Control, steps
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.metrics.calibration import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_curve,
)
from vcviz.records import ReliabilityCurve

#: seeds of the rows on which a temperature is fitted
_HELD_OUT = 100
#: positions of the slider "Another sample"
SAMPLES = 10
_POINT, _TRUE, _IF = style.CLASS_COLORS[0], style.CLASS_COLORS[3], style.NEUTRAL


class ConfidenceExplorer(Explorer):
    """A classifier of known calibration: its reliability in a sample, and its ECE in any.

    Attributes
    ----------
    controls : ``sharpness`` (of the log odds, 1 is right), ``n``, ``draw``
    """

    def __init__(self, sharpness: float = 2.0, n: int = 200):
        odds, sizes = [(f"{s:g}", s) for s in SHARPNESS], [(f"{n:,}", n) for n in SIZES]
        again = ipw.IntSlider(0, 0, SAMPLES - 1, description="Another sample", style=PLAIN)
        super().__init__(
            self._draw,
            [
                Control(
                    "sharpness", steps("Sharpness of the log odds", odds, sharpness, width="400px")
                ),
                Control("n", steps("Test rows n", sizes, n, width="400px")),
                Control("draw", again),
            ],
            slider="sharpness",
        )

    def figure(self) -> go.Figure:
        """Return one static figure: a slider over the sharpness, a list of sizes."""
        return self.bound.figure(menus={"n": (50, 200, 2000, 20000)})

    def _draw(self, *, sharpness: float, n: int, draw: int) -> dict[str, Any]:
        log_probs, y = sample(sharpness, n, draw)
        curve = reliability_curve(log_probs, y, n_bins=BINS, resamples=200)
        softer, t = _softened(sharpness, n, draw)
        diagram = Panel(
            "Accuracy against confidence",
            _reliability(curve, sharpness),
            axis("confidence, fraction", 0.48, 1.02),
            axis("accuracy, fraction", -0.02, 1.04),
            [
                f"accuracy {(log_probs.argmax(1) == y).mean():.3f} (true {accuracy():.3f})",
                f"T = 1: NLL {negative_log_likelihood(log_probs, y):.3f}, ECE {curve.ece:.3f}",
                f"T = {t:.2f} (other rows): NLL {negative_log_likelihood(softer, y):.3f}, "
                f"ECE {expected_calibration_error(softer, y, n_bins=BINS):.3f}",
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
                line(sizes, floor, "mean ECE at sharpness 1", _IF, dash="dot"),
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
                f"ECE {curve.ece:.3f}; {curve.ece_if_calibrated:.3f} if it were calibrated",
                f"true calibration error {true_error(sharpness):.3f}",
            ],
        )
        return sheet([diagram, errors], height=320, legend_rows=2)


def _softened(sharpness: float, n: int, draw: int) -> tuple[NDArray[np.float64], float]:
    """Return the log-probabilities at the temperature fitted on n other rows, and it."""
    t = fit_temperature(*sample(sharpness, n, _HELD_OUT + draw)).temperature
    return apply_temperature(sample(sharpness, n, draw)[0], t), t


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


def five_diagrams(n: int = 100) -> go.Figure:
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
    return go.Figure(**sheet(panels, height=190, legend_rows=0))


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
            "does not cancel.",
        )

    return Prediction(
        f"Five reliability diagrams of {n} test rows each. How many of them show a perfectly "
        "calibrated classifier?",
        ["none of them", "one or two", "all five"],
        reveal,
    )


def predict_enough(sharpness: float = 2.0, n: int = 200) -> Prediction:
    """Ask whether so few rows tell a classifier that is too sure from a calibrated one."""

    def reveal() -> Reveal:
        found = [seen(sharpness, n, draw) for draw in range(SAMPLES)]
        above = sum(one.ece > one.limit for one in found)
        out = [one.bins_out for one in found]
        errors = [one.ece for one in found]
        return Reveal(
            0 if above <= 2 else 1 if above <= 7 else 2,
            f"In {above} of the {SAMPLES} samples of the figure the ECE ({min(errors):.3f} to "
            f"{max(errors):.3f}) lies above the interval that holds 95 % of the samples of "
            f"a calibrated classifier. The single bins say less: {min(out)} to {max(out)} of the "
            f"{found[0].bins} lie outside their grey bars. The true error is "
            f"{true_error(sharpness):.3f}, the mean ECE of such samples "
            f"{error_spread(sharpness)[SIZES.index(n), 0]:.3f}.",
        )

    return Prediction(
        f"A classifier gives {sharpness:g} times the log odds of Bayes' rule: it is too sure. Do "
        f"{n} test rows show it?",
        [
            "no: a calibrated classifier would look the same",
            "in about half of such samples",
            "yes, in nearly all of them",
        ],
        reveal,
    )


def predict_floor() -> Prediction:
    """Ask how the ECE of a calibrated classifier falls with the number of rows."""

    def reveal() -> Reveal:
        few, many = (error_spread(1.0)[SIZES.index(n), 0] for n in (200, 20000))
        ratio = few / many
        return Reveal(
            0 if ratio < 2 else 1 if ratio < 30 else 2,
            f"From {few:.3f} to {many:.4f}, by a factor of {ratio:.1f}: the noise of a share falls "
            "like 1/√n, and the absolute value keeps it.",
        )

    return Prediction(
        "A classifier is perfectly calibrated. What happens to its mean ECE if a test set has "
        "20,000 rows instead of 200?",
        [
            "nothing: it is 0 with both",
            "it falls to about a tenth",
            "it falls to about a hundredth",
        ],
        reveal,
    )


@dataclass(frozen=True)
class Seen:
    """What one sample shows: its ECE, the 97.5 % point of a calibrated classifier's, and its bins.

    `bins_out` counts those of its `bins` with rows whose accuracy lies outside the grey bar.
    """

    ece: float
    limit: float
    bins_out: int
    bins: int


def seen(sharpness: float, n: int, draw: int) -> Seen:
    """Return what the figure shows of a sample."""
    curve = reliability_curve(*sample(sharpness, n, draw), n_bins=BINS, resamples=200)
    kept = curve.count > 0
    low, at, high = curve.consistency_low, curve.accuracy, curve.consistency_high
    out = kept & ((at < low) | (at > high))
    limit = curve.ece_if_calibrated_interval[1]
    return Seen(curve.ece, float(limit), int(out.sum()), int(kept.sum()))


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
    """Return the temperature at which a two-class confidence of 0.99 becomes 0.9."""
    said, right = 0.99, 0.9
    return Key(
        float(logit(said) / logit(right)),
        "a temperature divides log odds: log 99 / T = log 9",
        {
            "that is the ratio of the probabilities; T divides the log odds": said / right,
            "upside down: that T would make it surer": float(logit(right) / logit(said)),
            "T divides log odds log p/(1 − p), not log p": float(np.log(right) / np.log(said)),
            "that is the ratio of the odds; take their logarithms": 99 / 9,
        },
        tolerance=0.01,
        hint="softmax(a/T) of two classes has the log odds of softmax(a), divided by T",
    )


def key_floor() -> Key:
    """Return the mean ECE of a calibrated classifier whose 200 rows share one confidence."""
    n, p = 200, 0.8
    right = np.arange(n + 1)
    truth = float(binom.pmf(right, n, p) @ np.abs(right / n - p))
    spread = float(np.sqrt(p * (1 - p) / n))
    return Key(
        truth,
        "√(2/π) times the standard deviation of a share: no ECE of a finite sample is 0 on average",
        {
            "that is its true calibration error; the accuracy of 200 rows is not quite 0.8": 0.0,
            "that is the standard deviation; the mean of an absolute value is √(2/π) of it": spread,
            "that is the variance of the accuracy": spread**2,
            "that is the spread of one row; divide by √200": float(np.sqrt(p * (1 - p))),
        },
        unit="fraction",
        hint="the accuracy is about normal around 0.8; how large is its mean distance from 0.8?",
    )


def key_hidden() -> Key:
    """Return the ECE with one bin and with two where two halves err in opposite directions."""
    said, right = np.array([0.95, 0.85]), np.array([0.85, 0.95])
    truth = (abs(float(right.mean() - said.mean())), float(np.abs(right - said).mean()))
    return Key(
        truth,
        "gaps within a bin cancel: merging bins never raises an ECE, and may hide everything",
        {
            "in one bin accuracy and confidence are averaged first, and then compared": (0.1, 0.1),
            "the two gaps are weighted by ½ each": (0.0, 0.2),
            "with two bins the gaps no longer cancel": (0.0, 0.0),
            "that is the other way round": truth[::-1],
        },
        tolerance=0.01,
        hint="average accuracy and confidence within each bin, then take the absolute difference",
    )


def key_ignorant() -> Key:
    """Return true calibration error and NLL of a classifier that always says the frequencies."""
    share = np.array([0.5, 0.25, 0.25])
    nll = float(entr(share).sum())
    return Key(
        (0.0, nll),
        "calibrated and ignorant: calibration asks whether a number is honest, not what it knows",
        {
            "its confidence is ½ and it is right for half of the inputs": (0.5, nll),
            "the NLL is the mean of −log p over all labels, not −log of the confidence": (
                0.0,
                float(np.log(2)),
            ),
            "give the NLL in nats": (0.0, nll / np.log(2)),
            "that is the NLL of a uniform guess": (0.0, float(np.log(3))),
        },
        tolerance=0.01,
        hint="what is its confidence, and how often is it right? The NLL is −Σ π_y log π_y",
    )


CHECKS = {
    "5.1": Check(
        key_ece,
        "2 / 4 * abs(1 / 2 - 0.9) + 2 / 4 * abs(1 - 0.7)",
        r"""Bins of width 0.2: the rows at 0.9 share one (accuracy ½, gap −0.4), those at 0.7 the
next (accuracy 1, gap 0.3). $\tfrac24 \cdot 0.4 + \tfrac24 \cdot 0.3 = 0.35$.""",
    ),
    "5.2": Check(
        key_temperature,
        "math.log(99) / math.log(9)",
        r"""The log odds of a confidence of 0.99 are $\log 99 = 4.595$, those of 0.9 are
$\log 9 = 2.197$. $\log 99 / T = \log 9$ gives $T = 2.09$.""",
    ),
    "5.3": Check(
        key_floor,
        "math.sqrt(2 / math.pi) * math.sqrt(0.8 * 0.2 / 200)",
        r"""All rows are in one bin, so the ECE is $|\mathrm{accuracy} - 0.8|$. The accuracy is
about $\mathcal N(0.8, 0.8 \cdot 0.2 / 200)$, with standard deviation 0.0283. A
normal variable is on average $\sqrt{2/\pi} = 0.798$ standard deviations from its mean: 0.0226.""",
    ),
    "5.4": Check(
        key_hidden,
        "[0.0, 0.1]",
        r"""One bin: mean confidence 0.9, accuracy 0.9, gap 0. Two bins: gaps of $-0.1$ and $+0.1$,
each with weight ½. By the triangle inequality merging bins never raises an ECE, so an ECE of 0 with
few bins proves nothing.""",
        points=2,
    ),
    "5.5": Check(
        key_ignorant,
        "[0.0, 0.5 * math.log(2) + 0.5 * math.log(4)]",
        r"""The confidence is always ½ (the largest frequency) and the guess is right for half of
the inputs: error 0. The NLL is $-\sum_y \pi_y \log \pi_y = \tfrac12\log 2 + \tfrac12\log 4 = 1.04$
nats, the entropy of the label: nothing is known of it (lesson 8).""",
        points=2,
    ),
}
PREDICTIONS = {"5a": predict_five, "5b": predict_enough, "5c": predict_floor}
