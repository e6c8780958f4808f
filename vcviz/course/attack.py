"""Lesson 6: what an attack does to log p(z|y)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import chi2

from vcviz.base.errors import InputError
from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, line, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.figures import theme as style
from vcviz.records import LatentPrior, Trajectory
from vcviz.records.titles import run_titles

if TYPE_CHECKING:
    from vcviz.runs import Run

#: share of a class inside what is called its region
MASS = 0.95


def own_log_density(path: Trajectory, prior: LatentPrior) -> NDArray[np.float64]:
    """Return (T+1, N) log p(z|y) of each sample's own class at every step, nats."""
    steps, n, dim = path.z.shape
    values = prior.log_prob(path.z.reshape(-1, dim)).reshape(steps, n, -1)
    return values[:, np.arange(n), path.y]


def in_region(path: Trajectory, prior: LatentPrior, *, of: str = "own") -> NDArray[np.bool_]:
    """Return (T+1, N) whether a latent lies in the region that holds 95 % of a Gaussian class.

    Parameters
    ----------
    path, prior : the attack, and the law of the attacked head
    of : "own", the true class, or "predicted", the class that is predicted at that step
    """
    if of not in ("own", "predicted"):
        raise InputError(f"of must be 'own' or 'predicted', got {of!r}")
    steps, n, dim = path.z.shape
    label = path.log_probs.argmax(2) if of == "predicted" else np.tile(path.y, (steps, 1))
    whitened = prior.whiten(path.z.reshape(-1, dim), label.ravel())
    return ((whitened**2).sum(1) <= chi2.ppf(MASS, dim)).reshape(steps, n)


def flipped(path: Trajectory) -> NDArray[np.bool_]:
    """Return (N,) whether a sample was right at first and wrong at some step."""
    return path.first_flip > 0


def at_flip(path: Trajectory, inside: NDArray[np.bool_]) -> float:
    """Return the share of flipped samples for which `inside` (T+1, N) holds when they flip."""
    rows = np.flatnonzero(flipped(path))
    if len(rows) == 0:
        return float("nan")
    return float(inside[path.first_flip[rows], rows].mean())


def unlikely(path: Trajectory, prior: LatentPrior) -> NDArray[np.bool_]:
    """Return (T+1, N) whether p(z) is lower than for 95 % of the clean inputs: an alarm."""
    steps, n, dim = path.z.shape
    density = prior.log_marginal(path.z.reshape(-1, dim)).reshape(steps, n)
    return density < np.quantile(density[0], 1 - MASS)


def attacked(
    runs: Sequence[Run], *, rows: int = 100, epsilon: float = 0.15, steps: int = 15
) -> list[Trajectory]:
    """Return the same L∞ attack (PGD, in steps of ϵ/10) on the first test rows of each run."""
    from vcviz.studies.compare.attacks import attack_runs

    return attack_runs(
        runs, rows, epsilon=epsilon, steps=steps, step_size=epsilon / 10, progress=False
    )


def density_figure(runs: Sequence[Run], paths: Sequence[Trajectory]) -> go.Figure:
    """Return accuracy, median density of the own class, and alarms of p(z), along each attack."""
    accuracy, density, alarms = [], [], []
    names = run_titles(runs)
    last = max(path.steps for path in paths)
    lows, highs = [], []
    for i, (run, path, name) in enumerate(zip(runs, paths, names, strict=True)):
        color, dash, _ = style.run_style(i)
        at = np.arange(path.steps + 1)
        prior = run.prior()
        assert prior is not None
        middle = np.median(own_log_density(path, prior), axis=1)
        lows.append(middle.min())
        highs.append(middle.max())
        share = unlikely(path, prior).mean(axis=1)
        accuracy.append(line(at, path.accuracy, name, color, dash=dash))
        density.append(line(at, middle, name, color, dash=dash, legend=False))
        alarms.append(line(at, share, name, color, dash=dash, legend=False))
    # A law far from its latents would press the others together: its line leaves the panel.
    low = max(min(lows), -40.0) - 1
    step = axis("step", 0, last)
    panels = [
        Panel("Accuracy", accuracy, step, axis("fraction", 0, 1.02)),
        Panel(
            "Density of the own class, median",
            density,
            step,
            axis("log p(z|y), nats", low, max(highs) + 1),
        ),
        Panel("Alarms of p(z)", alarms, step, axis("fraction", 0, 1.02)),
    ]
    return go.Figure(**sheet(panels, height=260))


def predict_region(path: Trajectory, prior: LatentPrior) -> Prediction:
    """Ask where a latent is at the moment when its prediction flips."""

    def reveal() -> Reveal:
        own, other = (at_flip(path, in_region(path, prior, of=of)) for of in ("own", "predicted"))
        nowhere = at_flip(path, ~in_region(path, prior) & ~in_region(path, prior, of="predicted"))
        shares = [own, other, nowhere]
        rows = flipped(path)
        low, sure = unlikely(path, prior), np.exp(path.log_probs.max(2))
        steps, at = path.first_flip[rows], np.flatnonzero(rows)
        ends = "Nothing flipped."
        if rows.any():
            ends = (
                f"At that moment the classifier is not sure (median confidence "
                f"{np.median(sure[steps, at]):.2f}), at the last step it is "
                f"({np.median(sure[-1, at]):.2f}). p(z) is lower than for 95 % of the clean digits "
                f"in {low[steps, at].mean():.0%} when they flip and in {low[-1, at].mean():.0%} at "
                f"the last step, when "
                f"{in_region(path, prior, of='predicted')[-1, at].mean():.0%} are in a wrong "
                "class's region."
            )
        return Reveal(
            int(np.nanargmax(shares)) if rows.any() else 2,
            f"Of {int(rows.sum())} flipped samples {own:.0%} were still in the region of "
            f"95 % of their own class when they flipped, {other:.0%} in that of the class they "
            f"were taken for (regions may overlap), {nowhere:.0%} in neither. {ends}",
        )

    return Prediction(
        "An input is pushed step by step until its prediction flips. Where is its latent at that "
        "moment, most often?",
        [
            "still in the region of its own class",
            "in the region of the class it is taken for",
            "between the classes, in neither region",
        ],
        reveal,
    )


def predict_heads(runs: Sequence[Run], paths: Sequence[Trajectory]) -> Prediction:
    """Ask how many of the heads keep half of the digits under attack."""

    def reveal() -> Reveal:
        standing = sum(bool(path.accuracy[-1] >= 0.5) for path in paths)
        said = []
        for name, run, path in zip(run_titles(runs), runs, paths, strict=True):
            prior = run.prior()
            assert prior is not None
            own = np.median(own_log_density(path, prior), axis=1)
            alarms = unlikely(path, prior).mean(1)
            said.append(
                f"**{name}**: accuracy {path.accuracy[0]:.2f} → {path.accuracy[-1]:.2f}, median "
                f"log p(z|y) {own[0]:.1f} → {own[-1]:.1f} nats; p(z) raises an alarm for at most "
                f"{alarms.max():.0%} (step {alarms.argmax()}), at the end for {alarms[-1]:.0%}."
            )
        return Reveal(
            (2, 1, 1, 0)[standing],
            "\n\n".join(said) + "\n\nA law in latent space is no defence by itself. The density of "
            "the own class needs the label, which only the attacker and you have; a defender can "
            "watch p(z).",
        )

    return Prediction(
        "Two of the heads state a law p(z|y). Which heads still read half of the digits after "
        "the attack?",
        ["all", "those that state a law, or one of them", "none"],
        reveal,
    )


_WEIGHT, _MARGIN = np.array([1.0, -3.0]), 2.0


def key_radius() -> Key:
    """Return the smallest L∞ radius that flips a linear classifier."""
    return Key(
        float(_MARGIN / np.abs(_WEIGHT).sum()),
        "every coordinate moves by ϵ against the sign of its weight: the logit falls by ϵ‖w‖₁",
        {
            "that is the L2 distance, margin/‖w‖₂": float(_MARGIN / np.linalg.norm(_WEIGHT)),
            "that moves one coordinate alone; L∞ allows all": float(
                _MARGIN / np.abs(_WEIGHT).max()
            ),
            "weights of either sign help: sum their absolute values": float(
                _MARGIN / _WEIGHT.sum()
            ),
        },
        tolerance=0.01,
        hint="by how much can w'x fall if no coordinate may move by more than ϵ?",
    )


def key_far() -> Key:
    """Return log odds and density of a latent far from two Gaussian classes."""
    odds, drop = 2 * 1.5 * 10.0, -0.5 * 8.5**2
    return Key(
        (odds, drop),
        "the classifier is certain of a latent with e⁻³⁶ of the density at the mean of its class",
        {
            "log p(z|y) is that of the nearer class, at a distance of 8.5": (
                odds,
                -0.5 * 11.5**2,
            ),
            "the log odds are the difference of two densities: −½ (z − 1.5)² + ½ (z + 1.5)²": (
                -drop,
                drop,
            ),
            "the log odds are right; the density falls with ½ of the squared distance": (
                odds,
                2 * drop,
            ),
            "the log odds are right; measure the distance from the mean, not from 0": (odds, -50.0),
            "the log odds are right, and the density is lower here, not higher": (odds, -drop),
        },
        tolerance=0.005,
        hint="log N(z; μ, 1) = −½ (z − μ)² + const, for both classes",
    )


def key_alarms() -> Key:
    """Return the share of attacks among the alarms of a detector."""
    caught, false, rate = 0.8, 0.05, 0.001
    return Key(
        caught * rate / (caught * rate + false * (1 - rate)),
        "some sixty alarms of clean inputs for one of an attack: clean inputs are so many more",
        {
            "that is the share of attacks that raise an alarm; asked is the reverse": caught,
            "attacks are rare: weigh both shares by how often their inputs come": caught
            / (caught + false),
            "that is the share of all inputs": caught * rate,
            "that is the share of inputs with an alarm": caught * rate + false * (1 - rate),
            "that is the share of alarms that are none": false
            * (1 - rate)
            / (caught * rate + false * (1 - rate)),
        },
        unit="fraction",
        tolerance=0.02,
        hint="Bayes' rule: of 100,000 inputs, how many alarms are attacks and how many are not?",
    )


def key_flaw() -> Key:
    """Return the letter of the flaw in a robustness claim."""
    return Key(
        "b",
        "with every image allowed some image of another class is within reach, so the accuracy "
        "must fall to chance or below: the gradient that the attack follows leads nowhere",
        {
            "at ϵ = 1 any image may become any other: no classifier can be right then": "a",
            "more digits would make the number more certain, not lower": "c",
            "all three radii are in the same norm, and the largest allows everything": "d",
        },
        hint="answer with one letter; what does ϵ = 1 allow for pixels between 0 and 1?",
    )


CHECKS = {
    "6.1": Check(
        key_radius,
        "2 / (1 + 3)",
        r"Within $\|x' - x\|_\infty \le \epsilon$ the value $w^\top x'$ falls by at most "
        r"$\epsilon \|w\|_1 = 4 \epsilon$, which must be 2: $\epsilon = 0.5$.",
    ),
    "6.2": Check(
        key_far,
        "[2 * 1.5 * 10, -0.5 * (10 - 1.5)**2]",
        r"$\log \frac{p(z|+)}{p(z|-)} = -\tfrac12 (z - 1.5)^2 + \tfrac12 (z + 1.5)^2 = 3z = 30$; "
        r"$\log p(z|+)$ is $\tfrac12 \cdot 8.5^2 = 36.1$ nats below its value at the mean.",
        points=2,
    ),
    "6.3": Check(
        key_alarms,
        "0.8 * 0.001 / (0.8 * 0.001 + 0.05 * 0.999)",
        "Of 100,000 inputs 100 are attacked, 80 of them with an alarm; of 99,900 others 4,995 "
        "raise one. 80 of 5,075 alarms are attacks: 1.6 %.",
    ),
    "6.4": Check(
        key_flaw,
        '"b"',
        "A radius that allows every image is a control: an attack that does not bring the accuracy "
        "down there fails, for example because gradients vanish in a saturated softmax. This is "
        "one of the sanity gates of vcviz.",
    ),
}
PREDICTIONS = {"6a": predict_region, "6b": predict_heads}
