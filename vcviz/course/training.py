"""Lesson 3: anticipated against empirical latents while a network trains; runs for 4 and 6."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, line, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.figures import theme as style
from vcviz.metrics.fit import latent_fit
from vcviz.records.titles import run_titles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vcviz.runs import Run

HEADS = ("softmax", "gaussian_mixture", "variational")
N_CLASSES, EPOCHS = 5, 200
#: more than there are, so that figures over epochs end with the numbers of the trained model
_ALL_ROWS = 1_000


def course_runs(
    *,
    out: str | Path = "runs",
    epochs: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> list[Run]:
    """Return three heads on the digits 0 to 4 with latents in the plane, trained unless there.

    Parameters
    ----------
    out : folder of the runs; three notebooks share them
    epochs : default 200, half a minute or so in all
    seed : of data split, weights and batches
    progress : show a bar
    """
    from vcviz.training import train_heads

    epochs = epochs or EPOCHS
    return train_heads(
        HEADS,
        dataset="digits",
        dataset_options={"n_classes": N_CLASSES},
        latent_dim=2,
        epochs=epochs,
        batch_size=100,
        seed=seed,
        probe_every=max(1, epochs // 20),
        probe_size=_ALL_ROWS,
        out=out,
        progress=progress,
    )


def fit_history(runs: Sequence[Run]) -> dict[str, list[list[float]]]:
    """Return head -> [epoch, mean moment KL (nats), mean whitened variance] at every kept epoch."""
    found: dict[str, list[list[float]]] = {}
    for run, title in zip(runs, run_titles(runs), strict=True):
        rows = []
        for epoch in run.epochs:
            prior = run.prior(epoch)
            assert prior is not None
            fit = latent_fit(run.latents("train", epoch), prior, resamples=0, progress=False)
            rows.append([float(epoch), fit.mean("kl"), fit.mean("whitened_variance")])
        found[title] = rows
    return found


def fit_figure(runs: Sequence[Run]) -> go.Figure:
    """Return how far the training latents are from the law, epoch by epoch, for each head."""
    history = {k: np.array(rows) for k, rows in fit_history(runs).items()}
    last = max(rows[-1, 0] for rows in history.values())
    panels = []
    for column, heading, title in (
        (1, "Distance from the anticipated law", "moment KL, nats"),
        (2, "Spread of the latents", "whitened variance, 1 = as anticipated"),
    ):
        values = [rows[:, column] for rows in history.values()]
        top = np.log10(np.nanmax([np.nanmax(v) for v in values])) + 0.1
        low = np.log10(np.nanmin([np.nanmin(v) for v in values])) - 0.1
        traces = []
        for i, (name, rows) in enumerate(history.items()):
            color, dash, _ = style.run_style(i)
            traces.append(
                line(rows[:, 0], rows[:, column], name, color, dash=dash, legend=column == 1)
            )
        if column == 2:
            traces.append(line([0, last], [1, 1], "law", style.NEUTRAL, width=1, legend=False))
        y = axis(title, low, top, type="log", tickformat="~g", dtick=1)
        panels.append(Panel(heading, traces, axis("epoch", 0, last), y))
    return go.Figure(**sheet(panels, height=280))


def predict_nearest(runs: Sequence[Run]) -> Prediction:
    """Ask whose latents follow their law best when training ends."""

    def reveal() -> Reveal:
        final = {name: rows[-1] for name, rows in fit_history(runs).items()}
        names = list(final)
        order = sorted(names, key=lambda name: final[name][1])
        distance = ", ".join(f"{n} {final[n][1]:.2f}" for n in order)
        width = ", ".join(f"{n} {final[n][2]:.2f}" for n in names)
        accuracy = ", ".join(f"{run.latents('test').accuracy:.3f}" for run in runs)
        start, end = (
            ", ".join(f"{run.latents('train', epoch).z.std(0).mean():.2g}" for run in runs)
            for epoch in (0, runs[0].epochs[-1])
        )
        return Reveal(
            names.index(order[0]),
            f"Moment KL of the training latents, mean of the classes, in nats: {distance}. Look in "
            f"the figure for the width of the classes (whitened variance, 1 = as the law has it): "
            f"{width}. All three start as one cloud: in the order of the figure the latents have a "
            f"standard deviation of {start} at first, and of {end} in the end.\n\n"
            f"The test accuracies are {accuracy}: they do not tell who follows a law.",
        )

    return Prediction(
        "After training, whose latents q(z|y) are nearest to the law p(z|y) that the head "
        "anticipates?",
        [
            "softmax: the law is read off its own layer",
            "Gaussian mixture: its likelihood is maximised",
            "variational: a critic compares latents with the law",
        ],
        reveal,
    )


def predict_way(runs: Sequence[Run]) -> Prediction:
    """Ask how the distance of the mixture's latents from their law changes while it trains."""

    def reveal() -> Reveal:
        softmax, mixture, variational = (np.array(rows) for rows in fit_history(runs).values())
        best = int(mixture[:, 1].argmin())
        rises = mixture[-1, 1] > 1.2 * mixture[best, 1]
        lowest = int(softmax[:, 1].argmin())
        return Reveal(
            2 if best == 0 else 1 if rises else 0,
            f"**Mixture:** {mixture[0, 1]:.2f} nats before training, {mixture[best, 1]:.2f} at "
            f"epoch {mixture[best, 0]:.0f}, its least, and {mixture[-1, 1]:.2f} at the end. "
            f"Between these two its variance goes from {mixture[best, 2]:.2f} to "
            f"{mixture[-1, 2]:.2f}: the likelihood goes on pulling latents to the mean.\n\n"
            f"**Softmax:** least at epoch {softmax[lowest, 0]:.0f} ({softmax[lowest, 1]:.2f} "
            f"nats), {softmax[-1, 1]:.2f} at the end: cross-entropy asks for no law.\n\n"
            f"**Variational:** {variational[-1, 1]:.2f} nats at the end, with a variance of "
            f"{variational[-1, 2]:.2f}.",
        )

    return Prediction(
        "The mixture head maximises log p(z|y) of its latents. How does their moment KL from "
        "p(z|y) change over the epochs?",
        ["it falls, to the end", "it falls, then rises again", "it rises from the beginning"],
        reveal,
    )


def key_collapse() -> Key:
    """Return the KL of N(0, 0.1²) from N(0, 1), nats."""
    truth = 0.5 * (0.01 - 1 - np.log(0.01))
    return Key(
        float(truth),
        "log 10 for a spread ten times smaller than the law's, less ½ (1 − 0.01)",
        {
            "that is KL(p ‖ q), the other way round": float(0.5 * (100 - 1 + np.log(0.01))),
            "0.1 is the standard deviation; its square goes into the formula": float(
                0.5 * (0.1 - 1 - np.log(0.1))
            ),
            "the ½ is missing": float(2 * truth),
            "the sign of log s² is wrong": float(0.5 * (0.01 - 1 + np.log(0.01))),
        },
        unit="nats",
        tolerance=0.01,
        hint="½ (s² + δ² − 1 − log s²) in one dimension, with the latents' standard deviation s",
    )


def key_radius() -> Key:
    """Return the radius that holds 90 % of a standard normal in two dimensions."""
    truth = np.sqrt(-2 * np.log(0.1))
    return Key(
        float(truth),
        "|z|² is exponential with mean 2: the outlines above have this radius in whitened units",
        {
            "that is the 90 % interval in one dimension": 1.645,
            "that is its square": float(truth**2),
            "that leaves 90 % outside": float(np.sqrt(-2 * np.log(0.9))),
        },
        tolerance=0.01,
        hint="P(|z|² > r²) = exp(−r²/2) in two dimensions",
    )


def key_flaw() -> Key:
    """Return the letter of the flaw in praise of the softmax head's variance."""
    return Key(
        "b",
        "Σ is the pooled covariance of these very latents, so the mean is 1 whatever they look "
        "like; the moment KL, which sees means and single classes too, says how far they are off",
        {
            "compare the moment KL of the three heads, in the left panel": "a",
            "they may, but the number says nothing of the training rows either": "c",
            "whitening takes out the units: a scale of the latents cannot change it": "d",
        },
        hint="answer with one letter; where does the Σ of the softmax panel come from (lesson 2)?",
    )


def key_bias() -> Key:
    """Return the mean moment KL of 50 draws from the law itself, in two dimensions."""
    n, dim = 50, 2
    means, covariance = dim / (2 * n), dim * (dim + 1) / 2 / (2 * n)
    return Key(
        means + covariance,
        "a fit with 5 numbers costs ½ nat each, over n: a KL of this size says nothing",
        {
            "the covariance is fitted too: D(D + 1)/2 more numbers": means,
            "the means are fitted too: D more numbers": covariance,
            "the ½ is missing": 2 * (means + covariance),
            "a covariance is symmetric: it has D(D + 1)/2 free numbers, not D²": (dim + dim**2)
            / (2 * n),
            "the latents are draws, and their own mean and covariance are not those of the law": (
                0.0
            ),
        },
        unit="nats",
        tolerance=0.03,
        hint="each of the fitted numbers adds 1/(2n) on average; how many are there?",
    )


CHECKS = {
    "3.1": Check(
        key_collapse,
        "0.5 * (0.1**2 - 1 - math.log(0.1**2))",
        r"$D = 1$, $\delta = 0$, $\hat\Sigma = 0.1^2$, $\Sigma = 1$: "
        r"$\tfrac12 (0.01 - 1 - \log 0.01) = 1.808$ nats.",
    ),
    "3.2": Check(
        key_radius,
        "math.sqrt(-2 * math.log(1 - 0.9))",
        r"For $\mathcal N(0, I)$ in the plane $|z|^2/2$ is exponential with mean 1. It exceeds "
        r"$\log 10$ with probability 0.1, and then $|z| > \sqrt{2 \log 10} = 2.146$.",
    ),
    "3.3": Check(
        key_flaw,
        '"b"',
        "The convention of lesson 2: Σ is the pooled within-class covariance of the training "
        "latents. The whitened variance, averaged over rows, is then 1 by construction.",
    ),
    "3.4": Check(
        key_bias,
        "(2 + 3) / (2 * 50)",
        r"To first order $2n\,\mathrm{KL}$ is a chi-square with one degree of freedom a fitted "
        r"number, $D + D(D+1)/2 = 5$ of them, so the mean of $\mathrm{KL}$ is $5/2n = 0.05$ nats.",
        points=2,
    ),
}
PREDICTIONS = {"3a": predict_nearest, "3b": predict_way}
