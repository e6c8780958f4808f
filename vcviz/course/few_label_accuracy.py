"""Three heads trained with few labels and many seeds: their accuracies, and what one gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import t

from vcviz.base.errors import InputError
from vcviz.base.progress import bar_interval
from vcviz.course.drawing import Panel, axis, line, sheet
from vcviz.figures import theme as style
from vcviz.records import Estimate
from vcviz.runs.presets import PRESETS

SOFTMAX, CONTROL, VC = "softmax", "softmax with q(z|x)", "variational"
_NOISE = {k: PRESETS["vcviz"]["variational"][k] for k in ("stochastic", "rate_weight")}
#: name -> its settings; the second has the encoder of the third, and no law
HEADS: Mapping[str, Mapping[str, Any]] = {
    SOFTMAX: {"head": "softmax"},
    CONTROL: {"head": "softmax", **_NOISE},
    VC: {"head": "variational"},
}
EPOCHS = 50
#: D
DIM = 16


@dataclass(frozen=True)
class FewLabels:
    """Test accuracies of three heads that were trained with few labels.

    Attributes
    ----------
    labels : (L,) numbers of training rows, rising
    accuracy : head -> (L, R) accuracy, a fraction, of every number of labels and seed
    """

    labels: tuple[int, ...]
    accuracy: Mapping[str, NDArray[np.float64]]

    def gains(self, head: str, over: str) -> NDArray[np.float64]:
        """Return (L, R) how much more accurate a head is than another, seed by seed."""
        return self.accuracy[head] - self.accuracy[over]


def few_label_runs(
    labels: Sequence[int] = (20, 50, 100),
    *,
    seeds: int = 5,
    epochs: int | None = None,
    out: str | Path = "runs",
    progress: bool = True,
) -> FewLabels:
    """Return the test accuracy of three heads on digits, trained with few labels, unless there.

    Parameters
    ----------
    labels : numbers of training rows; each is a stratified sample of the training split
    seeds : how many, from 0; a seed decides on split, sample, weights and batches, for all heads
    epochs : default 50
    out : folder of the runs
    progress : show a bar

    Raises
    ------
    InputError
        With fewer than two seeds, or no number of labels.
    """
    from tqdm.auto import tqdm

    from vcviz.training import train

    labels = tuple(sorted(set(labels)))
    if not labels or seeds < 2:
        raise InputError(f"needs labels and at least 2 seeds, got {list(labels)} and {seeds}")
    found = {name: np.empty((len(labels), seeds)) for name in HEADS}
    jobs = [(name, i, seed) for i in range(len(labels)) for seed in range(seeds) for name in HEADS]
    bar = tqdm(jobs, desc="training", disable=not progress, mininterval=bar_interval())
    for name, i, seed in bar:
        run = train(
            **HEADS[name],
            dataset="digits",
            n_train=labels[i],
            latent_dim=DIM,
            epochs=epochs or EPOCHS,
            lr=0.01,
            batch_size=100,
            seed=seed,
            probe_size=10,  # nothing is drawn of it
            probe_every=10_000,
            out=out,
            progress=False,
        )
        found[name][i, seed] = run.metrics["accuracy"]
    return FewLabels(labels, found)


def accuracy_figure(found: FewLabels) -> go.Figure:
    """Return accuracy against labels: one seed alone, and all seeds with their means."""
    low = min(a.min() for a in found.accuracy.values()) - 0.03
    ends = np.log10([found.labels[0] / 1.2, found.labels[-1] * 1.2])
    x = axis("labels (training rows)", *ends, type="log", tickvals=list(found.labels))
    one, all_seeds = [], []
    for i, (name, values) in enumerate(found.accuracy.items()):
        color, dash, symbol = style.run_style(i)
        look: dict[str, Any] = {
            "dash": dash,
            "mode": "lines+markers",
            "marker": {"symbol": symbol, "size": 7},
        }
        one.append(line(found.labels, values[:, 0], name, color, **look))
        all_seeds.append(line(found.labels, values.mean(1), name, color, legend=False, **look))
        # Seeds stand a little apart, head by head.
        places = np.repeat(np.array(found.labels) * 1.06 ** (i - 1), values.shape[1])
        dots: dict[str, Any] = {"mode": "markers", "legend": False, "opacity": 0.5}
        dots["marker"] = {"symbol": symbol, "size": 5, "color": color}
        all_seeds.append(line(places, values.ravel(), f"{name}, seeds", color, **dots))
    seeds = values.shape[1]
    panels = [
        Panel("Seed 0 alone", one, x, axis("test accuracy", low, 1)),
        Panel(f"{seeds} seeds (dots) and their mean", all_seeds, x, axis("", low, 1)),
    ]
    return go.Figure(**sheet(panels, height=280, legend_rows=2))


def gains_figure(found: FewLabels) -> go.Figure:
    """Return what VC gains over softmax and over its control, paired and unpaired."""
    comparisons = {f"VC − {over}": (VC, over) for over in (SOFTMAX, CONTROL)}
    gains = {title: 100 * found.gains(*pair) for title, pair in comparisons.items()}
    apart = {
        title: [100 * unpaired(found.accuracy[a][i], found.accuracy[b][i]) for i in _rows(found)]
        for title, (a, b) in comparisons.items()
    }
    reach = {title: [Estimate.of(row).reach for row in rows] for title, rows in gains.items()}
    far = 1.1 * max(
        np.abs(rows).max() + max(*apart[title], *reach[title]) for title, rows in gains.items()
    )
    ends = np.log10([found.labels[0] / 1.3, found.labels[-1] * 1.3])
    x = axis("labels (training rows)", *ends, type="log", tickvals=list(found.labels))
    panels: list[Panel] = []
    for title, rows in gains.items():
        first = not panels
        at = np.array(found.labels, dtype=float)
        mean = rows.mean(1)
        traces = [
            line(10**ends, [0, 0], "no difference", style.NEUTRAL, width=1, legend=False),
            _bars(at / 1.07, mean, reach[title], "paired", style.CLASS_COLORS[0], first),
            _bars(at * 1.07, mean, apart[title], "unpaired", style.CLASS_COLORS[1], first),
            line(
                np.repeat(at, rows.shape[1]),
                rows.ravel(),
                "single seeds",
                style.NEUTRAL,
                mode="markers",
                legend=first,
                marker={"size": 5, "color": style.NEUTRAL},
            ),
        ]
        said = [
            f"n = {n}: {Estimate.of(row):+.1f}" for n, row in zip(found.labels, rows, strict=True)
        ]
        half = -(-len(said) // 2)
        words = [" &nbsp; ".join(said[:half]), " &nbsp; ".join(said[half:])]
        panels.append(Panel(title, traces, x, axis("points of accuracy", -far, far), words))
    return go.Figure(**sheet(panels, height=300))


def unpaired(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return half of a 95 % interval of the difference of two means, as if no seed were shared.

    Welch's, with as many degrees of freedom as the smaller sample has.
    """
    variance = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)
    return float(t.ppf(0.975, min(len(first), len(second)) - 1) * np.sqrt(variance))


def _rows(found: FewLabels) -> range:
    return range(len(found.labels))


def _bars(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    reach: Sequence[float],
    name: str,
    color: str,
    legend: bool,
) -> dict[str, Any]:
    return line(
        x,
        y,
        f"mean, {name} 95 % interval",
        color,
        mode="markers",
        legend=legend,
        marker={"size": 8, "color": color, "symbol": "diamond"},
        error_y={"type": "data", "array": np.asarray(reach), "color": color, "thickness": 2},
    )
