"""Lesson 3: anticipated against empirical latents while a network trains; runs for 4 and 6."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from vcviz.base.titles import run_titles
from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, line, sheet
from vcviz.course.predictions import Prediction, Reveal
from vcviz.figures import theme as style
from vcviz.metrics.fit import latent_fit

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


def fit_history(runs: Sequence[Run], *, split: str = "train") -> dict[str, list[list[float]]]:
    """Return head -> [epoch, mean moment KL (nats), mean whitened variance] at every kept epoch."""
    found: dict[str, list[list[float]]] = {}
    for run, title in zip(runs, run_titles(runs), strict=True):
        rows = []
        for epoch in run.epochs:
            prior = run.prior(epoch)
            assert prior is not None
            fit = latent_fit(run.latents(split, epoch), prior, resamples=0, progress=False)
            rows.append([float(epoch), fit.mean("kl"), fit.mean("whitened_variance")])
        found[title] = rows
    return found


def fit_figure(runs: Sequence[Run], *, theme: style.Theme = "auto") -> go.Figure:
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
    return go.Figure(**sheet(panels, height=280, theme=theme))


def predict_nearest(runs: Sequence[Run]) -> Prediction:
    """Ask whose latents follow their law best when training ends."""

    def reveal() -> Reveal:
        final = {name: rows[-1] for name, rows in fit_history(runs).items()}
        names = list(final)
        order = sorted(names, key=lambda name: final[name][1])
        said = ", ".join(f"{n} {final[n][1]:.2f}" for n in order)
        accuracies = [run.latents("test").accuracy for run in runs]
        return Reveal(
            names.index(order[0]),
            f"Mean moment KL of the training latents in nats: {said}. The test accuracies are "
            f"{', '.join(f'{a:.3f}' for a in accuracies)}: nothing in cross-entropy asks for the "
            "law, and the mixture's likelihood overdoes it (whitened variance "
            f"{final[names[1]][2]:.2f}).",
        )

    return Prediction(
        "After training, whose latents q(z|y) are nearest to the law p(z|y) that the head "
        "anticipates?",
        [
            "softmax: the law it implies is made to fit",
            "Gaussian mixture: its likelihood is maximised",
            "variational: a critic compares latents with the law",
        ],
        reveal,
    )


def key_collapse() -> Key:
    """Return the KL of N(0, 0.1²) from N(0, 1), nats."""
    truth = 0.5 * (0.01 - 1 - np.log(0.01))
    return Key(
        float(truth),
        "mostly log 10: the law wastes its mass where no latent is",
        {
            "that is KL(p ‖ q), the other way round": float(0.5 * (100 - 1 + np.log(0.01))),
            "0.1 is the standard deviation; its square goes into the formula": float(
                0.5 * (0.1 - 1 - np.log(0.1))
            ),
            "the ½ is missing": float(2 * truth),
            "the sign of log σ² is wrong": float(0.5 * (0.01 - 1 + np.log(0.01))),
        },
        unit="nats",
        tolerance=0.01,
        hint="½ (σ²_q + δ² − 1 − log σ²_q) for one dimension and a standard normal law",
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


def key_softmax(runs: Sequence[Run]) -> Key:
    """Return the mean moment KL of the softmax run's training latents, nats."""
    fits = {
        split: latent_fit(run.latents(split), run.prior(), resamples=0, progress=False).mean("kl")  # type: ignore[arg-type]
        for run in runs[:1]
        for split in ("train", "test")
    }
    return Key(
        fits["train"],
        "and the predictions are as good as the others': accuracy says nothing of it",
        {"that is of the test latents": fits["test"]},
        unit="nats",
        hint="vcviz.studies.latent_fits(runs, split='train')[0].mean('kl') is that number",
    )


CHECKS = {
    "3.1": Check(key_collapse, "0.5 * (0.1**2 - 1 - math.log(0.1**2))"),
    "3.2": Check(key_radius, "math.sqrt(-2 * math.log(1 - 0.9))"),
    "3.3": Check(key_softmax, 'vcviz.studies.latent_fits(runs, split="train")[0].mean("kl")'),
}
PREDICTIONS = {"3": predict_nearest}
