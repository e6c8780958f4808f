"""Lesson 4: from cross-entropy to a bottleneck to variational classification, term by term."""

from __future__ import annotations

from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import norm

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, float_slider, line, panel_of, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.course.terms import (
    DISTANCES,
    OBJECTIVES,
    SPREADS,
    Optimum,
    landscape,
    optimum,
    terms,
)
from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import checkbox, reset_button
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.pictures import data_uri

_STEPS, _DEEPEST = 10, 3.0
_P, _Q, _SAME = style.CLASS_COLORS[0], style.CLASS_COLORS[3], style.CLASS_COLORS[1]


class ObjectiveExplorer(Explorer):
    """An objective whose terms are switches, where it is largest, and the latents that it wants.

    Attributes
    ----------
    controls : ``likelihood``, ``entropy``, ``rate`` (switches), ``weight`` of those, ``mean`` of
        p(z|y), ``noise`` of the encoder
    """

    def __init__(self, mean: float = 1.5, *, theme: style.Theme = "auto") -> None:
        self._theme = theme
        controls: dict[str, ipw.Widget] = {
            "likelihood": checkbox("log p(z|y)", True),
            "entropy": checkbox("entropy of q(z|y)", True),
            "rate": checkbox("rate −I(x;z|y)", False),
            "weight": float_slider("Weight β", 1.0, 0.1, 2.0, 0.1, ".1f"),
            "mean": float_slider("Means of p(z|y) at ±", mean, 0.5, 4.0, 0.25),
            "noise": float_slider("Noise of the encoder", 0.1, 0.05, 1.0, 0.05),
        }
        panel = panel_of(list(controls.values()), reset_button(self.reset))
        super().__init__(Bound(self._draw, controls, "weight", panel))

    def figure(self) -> go.Figure:
        """Return one static figure: a slider over the weight, a list of the switches."""
        return self.bound.figure(menus=("likelihood", "entropy", "rate"))

    def _draw(self, **values: Any) -> dict[str, Any]:
        total, best = landscape(**values), optimum(**values)
        where = "runs to the edge" if best.runs_away else "largest at"
        log_s = np.log10(SPREADS)
        image = {
            "type": "image",
            "source": data_uri(_shades(total)),
            "x0": DISTANCES[0],
            "dx": DISTANCES[1] - DISTANCES[0],
            "y0": log_s[0],
            "dy": log_s[1] - log_s[0],
            "hoverinfo": "skip",
            "meta": {"layer": "objective"},
        }
        spreads = (0.05, 0.1, 0.2, 0.5, 1, 2, 4)
        plane = Panel(
            "The objective (strong colour is large)",
            [
                image,
                line(
                    [best.m],
                    [np.log10(best.s)],
                    "best",
                    _Q,
                    mode="markers",
                    legend=False,
                    marker={"size": 13, "symbol": "x", "color": _Q},
                ),
                line(
                    [values["mean"]],
                    [0],
                    "where q = p",
                    _SAME,
                    mode="markers",
                    legend=False,
                    marker={
                        "size": 13,
                        "symbol": "circle-open",
                        "color": _SAME,
                        "line": {"width": 3},
                    },
                ),
            ],
            axis("latents' means at ±m", 0, DISTANCES[-1], constrain="domain", showgrid=False),
            axis(
                "spread s of q(z|y)",
                log_s[0],
                log_s[-1],
                scaleanchor=False,  # an image would make both units as long
                showgrid=False,
                autorange=False,
                tickvals=np.log10(spreads),
                ticktext=[f"{s:g}" for s in spreads],
            ),
            [f"{where} m = {best.m:.2f}, s = {best.s:.2f}", "○ where q is p   × best"],
        )
        words = {"posterior": "log p(y|z)", "likelihood": "log p(z|y)"}
        said = [f"{words.get(k, k)} {v:.2f}" for k, v in best.values.items()]
        latents = Panel(
            "Anticipated, and what it wants",
            _laws(values["mean"], best),
            axis("z", -7, 7),
            axis("density", 0, 1.0),
            [", ".join(said[:2]), ", ".join(said[2:]) + " nats"],
        )
        return sheet([plane, latents], height=320, theme=self._theme)


def four_objectives(
    *, weight: float = 1.0, mean: float = 1.5, noise: float = 0.1, theme: style.Theme = "auto"
) -> go.Figure:
    """Return what each of the four objectives wants of the latents, side by side."""
    panels = []
    for i, (name, (likelihood, entropy, rate)) in enumerate(OBJECTIVES.items()):
        best = optimum(
            likelihood=likelihood,
            entropy=entropy,
            rate=rate,
            weight=weight,
            mean=mean,
            noise=noise,
        )
        switches = zip((2, 3, 4), (likelihood, entropy, rate), strict=True)
        used = ["(1)", *(f"({n})" for n, on in switches if on)]
        end = "at the edge" if best.runs_away else "inside"
        panels.append(
            Panel(
                name,
                [t | {"showlegend": t["showlegend"] and i == 0} for t in _laws(mean, best)],
                axis("z", -7, 7),
                axis("density" if i == 0 else "", 0, 1.0),
                [
                    " + ".join(used),
                    f"m = {best.m:.2f}, s = {best.s:.2f}",
                    end,
                ],
            )
        )
    return go.Figure(**sheet(panels, height=210, theme=theme))


def _laws(mean: float, best: Optimum) -> list[dict[str, Any]]:
    z = np.linspace(-7, 7, 561)
    traces = []
    for sign in (-1, 1):
        first = sign < 0
        p, q = norm.pdf(z, sign * mean), norm.pdf(z, sign * best.m, best.s)
        traces.append(line(z, p, "anticipated p(z|y)", _P, legend=first, hoverinfo="skip"))
        traces.append(
            line(
                z,
                np.minimum(q, 1.5),
                "latents q(z|y)",
                _Q,
                dash=style.EMPIRICAL_DASH,
                legend=first,
                hoverinfo="skip",
            )
        )
    return traces


def _shades(total: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a picture whose opacity rises in steps with the objective; blank where undefined."""
    depth = np.clip((total - np.nanmax(total)) / _DEEPEST + 1, 0, 1)
    level = np.nan_to_num(np.floor(depth * (_STEPS - 1)) / (_STEPS - 1))
    color = np.array(style.rgb(_P), np.uint8)
    picture = np.empty((*total.shape, 4), np.uint8)
    picture[..., :3] = color
    picture[..., 3] = (200 * level).astype(np.uint8)
    return picture


def predict_collapse() -> Prediction:
    """Ask what the likelihood alone does to the spread of the latents."""

    def reveal() -> Reveal:
        shared = {"rate": False, "weight": 1.0, "mean": 1.5, "noise": 0.05}
        gm = optimum(likelihood=True, entropy=False, **shared)
        vc = optimum(likelihood=True, entropy=True, **shared)
        return Reveal(
            0 if gm.s < 0.2 else 1 if gm.s < 1.5 else 2,
            f"The spread goes to {gm.s:.2f}, the smallest there is, with the means at "
            f"±{gm.m:.2f}: the most likely latents of a Gaussian all lie at its mean. With the "
            f"entropy it is {vc.s:.2f}: only both terms together are −KL(q(z|y) ‖ p(z|y)).",
        )

    return Prediction(
        "Cross-entropy plus log p(z|y), as the Gaussian-mixture head has it. Which spread do "
        "the latents of a class get, where the law has 1?",
        ["close to 0", "close to 1", "well above 1"],
        reveal,
    )


def key_entropy() -> Key:
    """Return the entropy of N(0, 0.5²), nats."""
    truth = 0.5 * (1 + np.log(2 * np.pi * 0.25))
    return Key(
        float(truth),
        "½ log 2πe s²",
        {
            "0.5 is the standard deviation; the formula has the variance": float(
                0.5 * (1 + np.log(2 * np.pi * 0.5))
            ),
            "the e is missing": float(0.5 * np.log(2 * np.pi * 0.25)),
            "the ½ is missing": float(2 * truth),
        },
        unit="nats",
        hint="H(N(0, s²)) = ½ log(2πe s²)",
    )


def key_kl() -> Key:
    """Return KL(N(mu, 0.5²) || N(mu, 1)), as likelihood and entropy give it."""
    parts = terms(1.5, 0.5, mean=1.5, noise=0.1)
    truth = -float(parts["likelihood"] + parts["entropy"])
    return Key(
        truth,
        "minus the sum of the two switches",
        {
            "that is KL(p ‖ q), the other way round": float(np.log(0.5) + 2 - 0.5),
            "0.5 is the standard deviation; use its square": float(-0.5 * np.log(0.5) + 0.25 - 0.5),
        },
        unit="nats",
        hint="KL = −log s + ½ (s² + distance² − 1)",
    )


def key_constant() -> Key:
    """Return entropy and rate of an encoder with noise N(0, 0.1²), as the bottleneck has both."""
    parts = terms(1.5, 0.5, mean=1.5, noise=0.1)
    return Key(
        float(parts["entropy"] + parts["rate"]),
        "the entropy of q(z|x), whatever the encoder does: both objectives have one optimum",
        {
            "that is the rate at s = 1 alone": float(np.log(0.1)),
            "0.1 is the standard deviation; the formula has the variance": float(
                0.5 * (1 + np.log(2 * np.pi * 0.1))
            ),
            "it has no entropy of its own, but (3) and (4) depend on s; their sum does not": 0.0,
        },
        unit="nats",
        hint="(3) − I(x;z|y) = H(q(z|x)): the entropy of a class minus what tells of x",
    )


CHECKS = {
    "4.1": Check(key_entropy, "0.5 * math.log(2 * math.pi * math.e * 0.5**2)"),
    "4.2": Check(key_kl, "-math.log(0.5) + 0.5 * (0.5**2 - 1)"),
    "4.3": Check(key_constant, "0.5 * math.log(2 * math.pi * math.e * 0.1**2)"),
}
PREDICTIONS = {"4": predict_collapse}
