"""Lesson 2: different laws of the latents, the same classifier."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, bars, columns, float_slider, line, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.explorers.controls import Control
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
    """Return the Gaussian law of covariance Σ and shift c whose Bayes' rule is softmax(W z + b).

    μ_y = Σ w_y + c and log π_y = b_y + μ_y' Σ⁻¹ μ_y / 2 + const, for any Σ and c.

    Parameters
    ----------
    weight, bias : (C, D) and (C,)
    covariance : (D, D) symmetric and positive definite
    shift : (D,)
    """
    w, b = as_float("weight", weight, 2, np.float64), as_float("bias", bias, 1, np.float64)
    sigma = as_float("covariance", covariance, 2, np.float64)
    mean = w @ sigma + as_float("shift", shift, 1, np.float64)
    log_weight = b + 0.5 * np.einsum("cd,cd->c", mean, np.linalg.solve(sigma, mean.T).T)
    factor = np.broadcast_to(np.linalg.cholesky(sigma), (len(w), *sigma.shape))
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

    def __init__(self, scale: float = 0.6, shift: float = 2.0) -> None:
        self._picture = cache(_regions)
        longer = float_slider("Longer axis over shorter", 1.0, 1.0, 4.0, 0.5, ".1f")
        super().__init__(
            self._draw,
            [
                Control("scale", float_slider("Scale of Σ", scale, 0.2, 2.0, 0.1, ".1f")),
                Control("ratio", longer),
                Control("turn", float_slider("Turn, degrees", 30.0, 0.0, 180.0, 15.0, ".0f")),
                Control("x", float_slider("Shift c₁", shift, -3.0, 3.0, 0.5, ".1f")),
                Control("y", float_slider("Shift c₂", 0.0, -3.0, 3.0, 0.5, ".1f")),
            ],
            slider="scale",
        )

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
            _plane(fixed, source, "One reading: Σ = I, c = 0", legend=True),
            _plane(law, source, "Your reading", legend=False),
        ]
        at = np.arange(3)
        implied = [
            bars(at - 0.2, np.exp(fixed.log_weight), "Σ = I, c = 0", "#B0B0B0", width=0.36),
            bars(at + 0.2, np.exp(law.log_weight), "yours", _colors(), width=0.36),
        ]
        panels.append(
            Panel(
                "π (grey: Σ = I)",
                [bar | {"showlegend": False} for bar in implied],
                axis("class", -0.6, 2.6, tickvals=at, ticktext=list(NAMES)),
                axis("π, fraction", 0, 1),
            )
        )
        panels[0] = replace(panels[0], said=[f"both give softmax to {_rounded(apart)} nats"])
        return sheet(panels, height=300, widths=(1, 1, 0.8))


def _rounded(error: float) -> str:
    """Return the power of ten above a rounding error."""
    return f"10<sup>{int(np.ceil(np.log10(max(error, 1e-16))))}</sup>"


def _colors() -> list[str]:
    return [style.class_color(k) for k in range(3)]


def _plane(prior: LatentPrior, source: str, heading: str, *, legend: bool) -> Panel:
    step = 2 * _REACH / (_GRID - 1)
    image: dict[str, Any] = {"type": "image", "source": source, "hoverinfo": "skip"}
    image |= {"x0": -_REACH, "y0": -_REACH, "dx": step, "dy": step}
    traces = [image | {"meta": {"layer": "regions"}}]
    for contour in law_contours(prior, mass=(0.5, 0.9)):
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


def predict_shift() -> Prediction:
    """Ask what a shift of all means does to the class frequencies of a reading."""

    def reveal() -> Reveal:
        here, there = (reading(WEIGHT, BIAS, np.eye(2), (x, 0.0)) for x in (0.0, 2.0))
        before, after = (np.exp(law.log_weight) for law in (here, there))
        moved = np.abs(after - before).max() > 0.01
        return Reveal(
            2 if moved and after.argmax() == 0 and after.max() > 0.9 else 0,
            f"They go from {_shares(before)} to {_shares(after)}, for A, B and C. Where z₁ is "
            "large the layer says A, and the shift puts all three laws there: only a frequent A "
            "keeps p(y|z) what it is. The frequencies of a reading need not be "
            "those of the training labels.",
        )

    return Prediction(
        "A reading with Σ = I has class frequencies π_A, π_B, π_C. The layer stays, and so does "
        "Σ; all three means are shifted by c = (2, 0). What must happen to π?",
        [
            "nothing: the means keep their distances",
            "the three become equal",
            "A gets nearly all of it",
        ],
        reveal,
    )


def _shares(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{v:.2f}" for v in values)


def predict_scale() -> Prediction:
    """Ask what twice the standard deviation does to the distance between means."""

    def reveal() -> Reveal:
        one, two = (reading(WEIGHT, BIAS, ellipse(s, 1, 0), (0, 0)).mean for s in (1.0, 2.0))
        near, far = (float(np.linalg.norm(m[0] - m[1])) for m in (one, two))
        return Reveal(
            [1.0, 2.0, 4.0].index(round(far / near, 6)),
            f"μ_y = Σ w_y + c: with Σ = I the means of A and B lie {near:.2f} apart, with Σ = 4 I "
            f"they lie {far:.2f} apart. In standard deviations that is {near:.2f} and "
            f"{far / 2:.2f}: the wide laws overlap less. Latents drawn from them would be "
            "classified better, by the same layer; the layer does not say which of them its "
            "latents follow.",
        )

    return Prediction(
        "The standard deviation of every class is doubled and the classifier stays what it is. "
        "What happens to the distance between two means?",
        ["it stays as it is", "it doubles", "it grows fourfold"],
        reveal,
    )


def key_freedom() -> Key:
    """Return the number of free numbers in Σ and c for D = 3."""
    d = 3
    return Key(
        d * (d + 1) // 2 + d,
        "a symmetric Σ has D(D+1)/2 free numbers and c has D",
        {
            "a covariance is symmetric: count Σ₁₂ and Σ₂₁ once": d * d + d,
            "that is Σ alone, or a diagonal Σ with c: c is free too, and every Σ will do": (
                d * (d + 1) // 2
            ),
            "that is c alone; Σ is free too": d,
        },
        tolerance=1e-9,
        hint="how many different entries has a symmetric 3×3 matrix?",
    )


def key_prior() -> Key:
    """Return the implied log pi_A / pi_B with Σ = I and c = (2, 0)."""
    shift = np.array([2.0, 0.0])
    law = reading(WEIGHT, BIAS, np.eye(2), shift)
    truth = float(law.log_weight[0] - law.log_weight[1])
    biases = float(BIAS[0] - BIAS[1])
    a, b = (float(np.sum(mean**2)) for mean in law.mean[:2])
    at_0 = biases + (np.sum(WEIGHT[0] ** 2) - np.sum(WEIGHT[1] ** 2)) / 2
    return Key(
        truth,
        f"in this reading A is {np.exp(truth):.0f} times as frequent as B: b alone is not log π",
        {
            "that is b_A − b_B; the term ½ μ' Σ⁻¹ μ is missing": biases,
            "the ½ is missing": biases + a - b,
            "½ μ' Σ⁻¹ μ is added to b, not taken off": biases - (a - b) / 2,
            "that is the reading with c = 0: the means are w_y + c": float(at_0),
            "b_A − b_B is missing": (a - b) / 2,
            "that is the ratio π_A/π_B itself; take its logarithm": float(np.exp(truth)),
        },
        unit="nats",
        hint="log π_y = b_y + ½ μ_y' Σ⁻¹ μ_y + const, with μ_y = w_y + c here",
    )


def key_balanced() -> Key:
    """Return the c_1 at which A and B are equally frequent, with Σ = I and c = (c_1, 0)."""
    gaps = [
        float(reading(WEIGHT, BIAS, np.eye(2), (x, 0.0)).log_weight @ [1, -1, 0])
        for x in (0.0, 1.0)
    ]
    truth = -gaps[0] / (gaps[1] - gaps[0])
    return Key(
        truth,
        "a shift sets the ratio of two frequencies to whatever one likes; p(y|z) stays",
        {
            "with c = 0 they are not equal: log π_A − log π_B = 0.19": 0.0,
            "the sign is wrong: with a positive c₁ A is the more frequent": -truth,
            "the term ½ (|w_A|² − |w_B|²) is missing": -float(BIAS[0] - BIAS[1]) / 2.1,
            "the ½ is missing": -gaps[0] / (2 * (gaps[1] - gaps[0])),
        },
        tolerance=0.02,
        hint="log π_A − log π_B = b_A − b_B + ½(|w_A + c|² − |w_B + c|²): its squares of c₁ cancel",
    )


def key_own() -> Key:
    """Return what stays free for C = 3, D = 2 if each class has a covariance of its own."""
    c, d = 3, 2
    law = d + d * (d + 1) // 2
    parameters = c * law + c - 1
    ratios = (c - 1) * (law + 1)
    return Key(
        parameters - ratios,
        "log-ratios fix differences between classes only: one class's Gaussian stays free",
        {
            "that is the number of parameters; how many of them do the log-ratios fix?": parameters,
            "that is what the log-ratios fix; how many parameters are left?": ratios,
            "a ratio of densities never fixes the densities": 0,
            "that is the covariance of one class; its mean is free too": law - d,
            "C log-ratios would be one too many: they sum to nothing new": parameters
            - c * (law + 1),
        },
        tolerance=1e-9,
        hint="count the parameters of three Gaussians and of π, then the coefficients of two "
        "quadratic log-ratios",
    )


def key_flaw() -> Key:
    """Return the first step of the argument that does not follow: the third."""
    here, there = (reading(WEIGHT, BIAS, np.eye(2), (x, 0.0)) for x in (0.0, 2.0))
    z = np.array([[0.5, -1.0], [3.0, 2.0]])
    assert np.allclose(here.log_posterior(z), there.log_posterior(z))
    assert not np.allclose(here.log_prob(z), there.log_prob(z))
    return Key(
        3,
        "the posterior is right for any of these laws, and for many that are not Gaussian",
        {
            "step 1 is this lesson's formula, and it is exact": 1,
            "step 2 is what is assumed": 2,
            "step 4 would follow if step 3 did": 4,
        },
        tolerance=1e-9,
        hint="the number of a step, 1 to 4",
    )


CHECKS = {
    "2.1": Check(
        key_freedom,
        "6 + 3",
        r"""A symmetric $3 \times 3$ matrix has $3 \cdot 4/2 = 6$ different entries; $c$ has 3.""",
    ),
    "2.2": Check(
        key_prior,
        "0.2 + 0.5 * (3.2**2 + 0.4**2) - 0.5 * (1.1**2 + 0.9**2)",
        r"""$\mu_A = (3.2, 0.4)$ and $\mu_B = (1.1, 0.9)$, so
$\log\frac{\pi_A}{\pi_B} = b_A - b_B + \tfrac12(|\mu_A|^2 - |\mu_B|^2)
= 0.2 + \tfrac12(10.40 - 2.02) = 4.39$.""",
    ),
    "2.3": Check(
        key_balanced,
        "-0.19 / 2.1",
        r"""$b_A - b_B + \tfrac12(|w_A + c|^2 - |w_B + c|^2)
= 0.2 + \tfrac12(1.60 - 1.62) + c_1 (w_{A1} - w_{B1}) = 0.19 + 2.1\, c_1 = 0$.""",
    ),
    "2.4": Check(
        key_own,
        "(3 * 5 + 2) - 2 * 6",
        r"""Three Gaussians have $3 \cdot (2 + 3) = 15$ numbers and $\pi$ has two more: 17. Each of
the two log-ratios is a quadratic in two variables, $3 + 2 + 1 = 6$ coefficients: 12 in all.
$17 - 12 = 5$ stay free. Multiply every $p(z|y)$ by the same $h(z) > 0$, normalised: with a suitable
$\pi$ the posterior is the same, and a Gaussian $h$ has $3 + 2 = 5$ numbers. These are the
$D(D+1)/2 + D$ of one $\Sigma$ for all.""",
        points=2,
    ),
    "2.5": Check(
        key_flaw,
        "3",
        r"""Step 1 is exact and 2 the assumption. Step 3 takes one of the laws that fit for that of
the latents: $h(z)\, p(z|y)$, normalised, fits as well for any $h > 0$. So step 4 does not follow
either. What would help is a comparison of the latents themselves with the law (lesson 3).""",
        points=2,
    ),
}
PREDICTIONS = {"2a": predict_shift, "2b": predict_scale}
