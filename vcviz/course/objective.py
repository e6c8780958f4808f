"""Lesson 4: from cross-entropy to a bottleneck to variational classification, term by term."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import norm

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, float_slider, line, sheet
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
from vcviz.explorers.controls import Control, checkbox
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.pictures import data_uri

if TYPE_CHECKING:
    from vcviz.runs import Run

_STEPS, _DEEPEST = 10, 3.0
_P, _Q, _SAME = style.CLASS_COLORS[0], style.CLASS_COLORS[3], style.CLASS_COLORS[1]


class ObjectiveExplorer(Explorer):
    """An objective whose terms are switches, where it is largest, and the latents that it wants.

    Attributes
    ----------
    controls : ``likelihood``, ``entropy``, ``rate`` (switches), ``weight`` of those, ``mean`` of
        p(z|y), ``noise`` of the encoder
    """

    def __init__(self, mean: float = 1.5) -> None:
        super().__init__(
            self._draw,
            [
                Control("likelihood", checkbox("log p(z|y)", True)),
                Control("entropy", checkbox("entropy of q(z|y)", True)),
                Control("rate", checkbox("rate −I(x;z|y)", False)),
                Control("weight", float_slider("Weight β", 1.0, 0.1, 2.0, 0.1, ".1f")),
                Control("mean", float_slider("Means of p(z|y) at ±", mean, 0.5, 4.0, 0.25)),
                Control("noise", float_slider("Noise of the encoder", 0.1, 0.05, 1.0, 0.05)),
            ],
            slider="weight",
        )

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
        return sheet([plane, latents], height=320)


def four_objectives(*, mean: float = 1.5) -> go.Figure:
    """Return what each of the four objectives wants of the latents, side by side."""
    panels = []
    for i, (name, (likelihood, entropy, rate)) in enumerate(OBJECTIVES.items()):
        best = _best(name, mean=mean)
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
    return go.Figure(**sheet(panels, height=210))


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


def predict_same(mean: float = 1.5) -> Prediction:
    """Ask which two objectives have the same best latents."""
    names = list(OBJECTIVES)
    pairs = [(1, 2), (0, 1), (2, 3), (1, 3)]

    def reveal() -> Reveal:
        found = {name: _best(name, mean=mean) for name in names}
        same = [
            i for i, pair in enumerate(pairs) if len({found[names[k]].place for k in pair}) == 1
        ]
        said = "; ".join(
            f"{name} m = {best.m:.2f}{' (the edge)' if best.m == DISTANCES[-1] else ''}, "
            f"s = {best.s:.2f}"
            for name, best in found.items()
        )
        return Reveal(
            same[0],
            f"The law has means at ±{mean:g} and a spread of 1. The best latents: {said}. The "
            "noise of the encoder is 0.1, and no spread can be smaller: **the mixture and the "
            "bottleneck both shrink a class to that noise.** With fixed noise their objectives "
            "differ by a constant (check 4.1). Only VC gives a class a width near that of its law.",
        )

    options = [f"{names[a]} and {names[b]}" for a, b in pairs]
    return Prediction("Two of the four objectives want the same latents. Which?", options, reveal)


def predict_place(mean: float = 1.5) -> Prediction:
    """Ask where the best latents of VC lie, seen from the law."""

    def reveal() -> Reveal:
        best, heavy = _best("VC", mean=mean), _best("VC", mean=mean, weight=2.0)
        far, noisy = _best("VC", mean=4.0), _best("bottleneck", mean=mean, noise=1.0)
        without = [
            optimum(**_SETTING | {"likelihood": a, "entropy": not a, "rate": False, "mean": mean})
            for a in (True, False)
        ]
        step = DISTANCES[1] / 2
        at_law = abs(best.m - mean) <= step and abs(best.s - 1) <= 0.05
        return Reveal(
            0 if at_law else 1 if best.m > mean and best.s < 1 else 2 if best.m > mean else 3,
            f"× is at m = {best.m:.2f}, s = {best.s:.2f}: at the law the two classes overlap, and "
            "cross-entropy gains by pulling them apart and making them narrower.\n\n"
            f"1. Without the **entropy** the spread goes to {without[0].s:.2f}, the noise of the "
            f"encoder. Without the **likelihood** the means go to ±{without[1].m:.2f}, the edge of "
            f"what is searched, and the spread to {without[1].s:.2f}. Only the two terms together "
            "are a divergence from the law.\n\n"
            f"2. At **β** = 2 × is at m = {heavy.m:.2f}, s = {heavy.s:.2f}: closer to ○, but not "
            "on it.\n\n"
            f"3. With the **means** of the law at ±4 the classes hardly overlap under their law, "
            f"and × falls on ○: m = {far.m:.2f}, s = {far.s:.2f}.\n\n"
            f"4. The bottleneck with **noise** 1 has s = {noisy.s:.2f}, as wide as its law, at "
            f"m = {noisy.m:.2f}. All of that width is noise: the rate is "
            f"{abs(noisy.values['rate']):.2f} nats, so the latent tells nothing of the input but "
            "its label.",
        )

    return Prediction(
        "The figure starts with VC at β = 1. Where do its best latents lie (×), seen from the "
        "point where q = p (○)?",
        [
            "on it",
            "further apart and narrower",
            "further apart and wider",
            "closer together",
        ],
        reveal,
    )


def predict_spread(runs: Sequence[Run]) -> Prediction:
    """Ask how wide the classes of the mixture head become."""

    def reveal() -> Reveal:
        from vcviz.studies import latent_fits

        fits = latent_fits(runs[1:], split="train", resamples=0, progress=False)
        mixture, variational = (np.asarray(fit.whitened_variance) for fit in fits)
        return Reveal(
            0 if mixture.mean() < 0.5 else 1 if mixture.mean() < 2 else 2,
            f"Whitened variance of the classes: Gaussian mixture {mixture.min():.2f} to "
            f"{mixture.max():.2f}, variational {variational.min():.2f} to {variational.max():.2f}. "
            "The mixture has no entropy term, and its classes shrink. The critic stands in for "
            "that term.",
        )

    return Prediction(
        "The law has whitened variance 1. How wide are the classes of the Gaussian mixture head "
        "after training?",
        ["narrower: below ½", "about as wide: ½ to 2", "wider: above 2"],
        reveal,
    )


_SETTING = {"weight": 1.0, "mean": 1.5, "noise": 0.1}


def _best(name: str, **changed: float) -> Optimum:
    likelihood, entropy, rate = OBJECTIVES[name]
    switches = {"likelihood": likelihood, "entropy": entropy, "rate": rate}
    return optimum(**_SETTING | switches | changed)


def key_constant() -> Key:
    """Return entropy and rate of an encoder with noise N(0, 0.1²), as the bottleneck has both."""
    parts = terms(1.5, 0.5, mean=1.5, noise=0.1)
    return Key(
        float(parts["entropy"] + parts["rate"]),
        "(3) + (4) is the entropy of q(z|x), whatever the encoder does: both have one optimum",
        {
            "that is the rate at s = 1 alone": float(np.log(0.1)),
            "0.1 is the standard deviation; the formula has the variance": float(
                0.5 * (1 + np.log(2 * np.pi * 0.1))
            ),
            "(3) and (4) both depend on s, but not in the same way: write their sum": 0.0,
            "that is the entropy of the law, N(μ, 1); asked is that of the noise": float(
                0.5 * (1 + np.log(2 * np.pi))
            ),
        },
        unit="nats",
        hint="the difference is (3) + (4), entropy of a class minus what latents tell of the input",
    )


def key_noise() -> Key:
    """Return the noise that the bottleneck wants and the one that the likelihood wants."""
    return Key(
        (1.0, 0.0),
        "the divergence of q(z|x) is 0 at ν = 1; E log p(z|y) = −½ (ν² + distance²) + const",
        {
            "the other way round: which of the two has the entropy of q(z|x) in it?": (0.0, 1.0),
            "the likelihood −½ (ν² + distance²) + const has no term that rewards noise": (1.0, 1.0),
            "at ν → 0 the divergence KL(q(z|x) ‖ p(z|y)) is infinite": (0.0, 0.0),
        },
        tolerance=0.01,
        hint="write both for q = N(f, ν²), p = N(μ, 1) and differentiate by ν",
    )


def key_which() -> Key:
    """Return the objective whose latents shrink to fixed noise, and fill the law with their own."""
    return Key(
        "bottleneck",
        "with fixed noise (3) + (4) is a constant; once the noise is learned, both are there",
        {
            "it shrinks to fixed noise, but nothing in it lets learned noise grow: see 4.2": (
                "mixture",
                "gaussian mixture",
            ),
            "under fixed noise its classes are nearly as wide as their law": (
                "VC",
                "variational",
                "variational classification",
            ),
            "it moves the means to the edge, away from those of the law": (
                "cross-entropy",
                "softmax",
            ),
        },
        hint="name one of the four objectives of the first figure",
        spellings=("conditional entropy bottleneck", "CEB"),
    )


def key_ceiling() -> Key:
    """Return the largest accuracy where both classes follow their laws N(±1.5, 1)."""
    truth = float(norm.cdf(1.5))
    return Key(
        truth,
        "Bayes' rule errs where a latent lies beyond 0, 1.5 standard deviations from its mean",
        {
            "that is the share of errors": 1 - truth,
            "the means are 3 apart, but the boundary lies halfway": float(norm.cdf(3)),
            "that is the share within 1.5 standard deviations; one tail alone is an error": 2
            * truth
            - 1,
        },
        unit="fraction",
        tolerance=0.003,
        hint="the best classifier decides by the sign of z",
    )


CHECKS = {
    "4.1": Check(
        key_constant,
        "0.5 * math.log(2 * math.pi * math.e * 0.1**2)",
        r"The bottleneck is (1) + (2) + (3) + (4), the mixture (1) + (2). The difference "
        r"$H(q(z|y)) - I_q(x; z\,|\,y)$ is $H(q(z|x))$, the entropy of the noise: "
        r"$\tfrac12 \log(2 \pi e \cdot 0.1^2) = -0.884$ nats.",
    ),
    "4.2": Check(
        key_noise,
        "[1, 0]",
        r"$-\mathrm{KL}(\mathcal N(f, \nu^2)\,\|\,\mathcal N(\mu, 1)) = \log \nu - \tfrac12(\nu^2 "
        r"+ (f - \mu)^2 - 1)$ has the derivative $1/\nu - \nu$, which is 0 at $\nu = 1$. "
        r"$\mathbb E \log p(z|y) = -\tfrac12(\nu^2 + (f - \mu)^2) + \mathrm{const}$ grows as $\nu$ "
        r"falls, down to 0.",
    ),
    "4.3": Check(
        key_which,
        '"bottleneck"',
        "Under fixed noise mixture and bottleneck both shrink a class to its noise; VC, (1) + (2) "
        "+ (3), does not. With learned noise the mixture lets it go to 0; the bottleneck lets it "
        "grow, because its rate is the price of little noise.",
    ),
    "4.4": Check(
        key_ceiling,
        "0.5 * (1 + math.erf(1.5 / math.sqrt(2)))",
        r"If $q = p$ the latents are draws of $\mathcal N(\pm 1.5, 1)$. Bayes' rule decides by the "
        r"sign and is right with probability $\Phi(1.5) = 0.933$, and no classifier of $z$ is more "
        r"accurate. So a law with overlapping classes has a price: it must be met by mistakes.",
        points=2,
    ),
}
PREDICTIONS = {"4a": predict_same, "4b": predict_place, "4c": predict_spread}
