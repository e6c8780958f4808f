"""Lesson 6: what an attack does to log p(z|y)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import chi2

from vcviz.base.errors import InputError
from vcviz.base.titles import run_titles
from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, line, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.figures import theme as style
from vcviz.records import LatentPrior, Trajectory

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
    """Return the same L∞ attack (PGD, in steps of ε/10) on the first test rows of each run."""
    from vcviz.studies.compare import attack_runs

    return attack_runs(
        runs, rows, epsilon=epsilon, steps=steps, step_size=epsilon / 10, progress=False
    )


def density_figure(
    runs: Sequence[Run], paths: Sequence[Trajectory], *, theme: style.Theme = "auto"
) -> go.Figure:
    """Return accuracy, and the median log p(z|y) of the own class, along each attack."""
    accuracy, density = [], []
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
        accuracy.append(line(at, path.accuracy, name, color, dash=dash))
        density.append(line(at, middle, name, color, dash=dash, legend=False))
    # A law far from its latents would press the others together: its line leaves the panel.
    low = max(min(lows), -40.0) - 1
    panels = [
        Panel("Accuracy", accuracy, axis("step", 0, last), axis("fraction", 0, 1.02)),
        Panel(
            "Density of the own class, median",
            density,
            axis("step", 0, last),
            axis("log p(z|y), nats", low, max(highs) + 1),
        ),
    ]
    return go.Figure(**sheet(panels, height=260, theme=theme))


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
        "An input is pushed step by step until its label flips. Where is its latent at that "
        "moment, most often?",
        [
            "still in the region of its own class",
            "in the region of the class it is taken for",
            "between the classes, in neither region",
        ],
        reveal,
    )


_WEIGHT, _MARGIN = np.array([1.0, -3.0]), 2.0


def key_radius() -> Key:
    """Return the smallest L∞ radius that flips a linear classifier."""
    return Key(
        float(_MARGIN / np.abs(_WEIGHT).sum()),
        "every coordinate moves by ε against the sign of its weight: the logit falls by ε‖w‖₁",
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
        hint="by how much can w'x fall if no coordinate may move by more than ε?",
    )


def key_drop() -> Key:
    """Return the change of log N(z; 0, I) from the mean to 3 standard deviations."""
    law = LatentPrior(np.zeros((1, 2)), scale=np.ones((1, 2)))
    far, near = law.log_prob([[3.0, 0.0], [0.0, 0.0]])[:, 0]
    truth = float(far - near)
    return Key(
        truth,
        "−½ r²: leaving a class is cheap at first and then ever dearer",
        {
            "that is −r²: the ½ is missing": 2 * truth,
            "log p falls with the square of the distance": -3.0,
        },
        unit="nats",
        tolerance=0.01,
        hint="log N(z; 0, I) = −½ |z|² + const",
    )


def key_share(path: Trajectory, prior: LatentPrior) -> Key:
    """Return the share of flipped samples that end inside the region of the predicted class."""
    inside = in_region(path, prior, of="predicted")
    rows = flipped(path)
    if not rows.any():
        raise InputError("no digit flipped under this attack; choose a larger epsilon")
    mistakes: dict[str, Any] = {
        "that is at the step of the flip; asked is the last step": at_flip(path, inside),
        "that is of the own class": in_region(path, prior)[-1, rows].mean(),
        "that is of all steps": inside[:, rows].mean(),
        "that is of all digits; asked is of those that flipped": inside[-1].mean(),
        "that is the share outside": 1 - inside[-1, rows].mean(),
    }
    return Key(
        float(inside[-1, rows].mean()),
        "they lie where honest digits do, and p(z) says nothing of them any more",
        mistakes,
        unit="fraction",
        tolerance=0.005,
        hint="inside[-1] is the last step; take its mean over the rows that flipped",
    )


CHECKS = {
    "6.1": Check(key_radius, "2 / (1 + 3)"),
    "6.2": Check(key_drop, "-0.5 * 3**2"),
    "6.3": Check(
        key_share,
        'course.in_region(path, variational.prior(), of="predicted")[-1, course.flipped(path)].mean()',
    ),
}
PREDICTIONS = {"6": predict_region}
