"""Lesson 9: few labels, many seeds, and what a comparison can make one believe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import norm, t

from vcviz.base.errors import InputError
from vcviz.base.progress import bar_interval
from vcviz.course.answers import Check, Key
from vcviz.course.drawing import Panel, axis, line, sheet
from vcviz.course.predictions import Prediction, Reveal
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


def _ahead(found: FewLabels, over: str) -> int:
    """Return for how many numbers of labels the interval of VC's gain lies above zero."""
    return sum(Estimate.of(row).above(0) == "held" for row in found.gains(VC, over))


def predict_best(found: FewLabels) -> Prediction:
    """Ask who is most accurate with the fewest labels."""

    def reveal() -> Reveal:
        n = found.labels[0]
        means = {name: Estimate.of(values[0]) for name, values in found.accuracy.items()}
        order = [name for name, _ in sorted(means.items(), key=lambda item: -item[1].value)]
        said = ", ".join(f"{name} {means[name]}" for name in order)
        winners = [list(HEADS)[i] for i in np.argmax([*found.accuracy.values()], axis=0)[0]]
        won = ", ".join(f"{name} {winners.count(name)}" for name in HEADS)
        return Reveal(
            list(HEADS).index(order[0]),
            f"Mean accuracy with {n} labels (± half a 95 % interval over seeds): {said}. In how "
            f"many of the {len(winners)} seeds each head is first: {won}. Who reports one seed "
            "can choose.",
        )

    return Prediction(
        f"With {found.labels[0]} labels, two for each digit: which head is the most accurate, on "
        "average over the seeds?"
        if found.labels[0] == 20
        else f"With {found.labels[0]} labels: which head is the most accurate, on average?",
        [
            "softmax",
            "softmax with q(z|x): the encoder of VC, and no law",
            "variational: q(z|x), and a law that the latents are held to",
        ],
        reveal,
    )


def predict_control(found: FewLabels) -> Prediction:
    """Ask what is left of VC's gain when softmax gets the same encoder."""

    def reveal() -> Reveal:
        total = len(found.labels)
        plain, fair = _ahead(found, SOFTMAX), _ahead(found, CONTROL)
        n = found.labels[0]
        over, left = (100 * found.gains(VC, other)[0].mean() for other in (SOFTMAX, CONTROL))
        return Reveal(
            0 if fair == total else 2 if fair == 0 else 1,
            f"Over plain softmax the paired interval lies above zero for {plain} of {total} "
            f"numbers of labels, over softmax with the encoder of VC for {fair}. With {n} labels "
            f"the mean gain is {over:+.1f} points over the one and {left:+.1f} over the other. "
            "The first comparison changes two things at once, the encoder and the law. Only the "
            "second is about the law (and its critic).\n\n"
            "**Look for** the unpaired intervals too: where both heads find the same seeds easy "
            "or hard, pairing takes that away and its interval is the shorter one. With so few "
            "seeds it need not be.",
        )

    return Prediction(
        "VC differs from softmax in its encoder, q(z|x), and in its law. At how many of these "
        "numbers of labels is it ahead of softmax with the same encoder (95 % paired interval "
        "above zero)?",
        ["at all", "at some", "at none"],
        reveal,
    )


_DIFFERENCES = (0.03, 0.11, 0.10, 0.13, 0.05)


def key_interval() -> Key:
    """Return half of the paired 95 % interval of five differences."""
    d = np.array(_DIFFERENCES)
    truth = Estimate.of(d).reach
    root, quantile = np.sqrt(len(d)), t.ppf(0.975, len(d) - 1)
    return Key(
        truth,
        "the mean is 0.084, so the interval is 0.031 to 0.137 and lies above zero",
        {
            "divide by R − 1 in the variance": float(quantile * d.std() / root),
            "the standard error is the standard deviation over √R": float(quantile * d.std(ddof=1)),
            "with five runs the quantile is that of t with 4 degrees of freedom, 2.776": float(
                1.96 * d.std(ddof=1) / root
            ),
            "that is the standard error; multiply it with the quantile of t": float(
                d.std(ddof=1) / root
            ),
            "that is the whole width": 2 * truth,
            "that is the mean": float(d.mean()),
        },
        unit="fraction",
        tolerance=0.01,
        hint="t · standard deviation of the differences / √R, with t = 2.776",
    )


def key_chance() -> Key:
    """Return how often one of four true hypotheses of no difference is rejected."""
    return Key(
        1 - 0.95**4,
        "nearly one in five: say beforehand which n counts, or show all of them",
        {
            "that is the expected number of such n; two or more can happen at once": 0.2,
            "that is for one n": 0.05,
            "that is the chance that none is": 0.95**4,
            "asked is at least one, not all four": 0.05**4,
        },
        unit="fraction",
        tolerance=0.01,
        hint="one minus the chance that all four intervals cover zero",
    )


def key_encoder(found: FewLabels) -> Key:
    """Return how much of accuracy the encoder of VC alone gains with the fewest labels, points."""
    encoder, whole = (100 * found.gains(name, SOFTMAX)[0].mean() for name in (CONTROL, VC))
    return Key(
        float(encoder),
        "this part of the gain needs no law and no critic",
        {
            "that is the gain of VC over plain softmax, encoder and law together": float(whole),
            "that is what VC gains over softmax with its encoder": float(whole - encoder),
            "these two gains share VC: subtract them": float(2 * whole - encoder),
        },
        tolerance=max(0.03, 0.11 / max(abs(float(encoder)), 1e-9)),
        hint="(control − softmax) = (VC − softmax) − (VC − control); both stand above the panels",
    )


def key_one_seed() -> Key:
    """Return how often a single seed has the sign wrong."""
    truth = float(norm.cdf(-2 / 3))
    return Key(
        truth,
        "one seed in four says the opposite of the truth",
        {
            "that is how often the sign is right": 1 - truth,
            "the spread of one difference is 3 points: there is no √R for one seed": float(
                norm.cdf(-2 / 3 * np.sqrt(5))
            ),
            "one side only: a gain above the mean is no error": 2 * truth,
            "standardise: zero lies 2/3 of a standard deviation below the mean": float(
                norm.cdf(-3 / 2)
            ),
        },
        unit="fraction",
        tolerance=0.015,
        hint="P(d < 0) for d with mean 2 and standard deviation 3",
    )


CHECKS = {
    "9.1": Check(
        key_interval,
        "2.776 * np.std([0.03, 0.11, 0.10, 0.13, 0.05], ddof=1) / math.sqrt(5)",
        r"$\bar d = 0.084$, standard deviation 0.0422, standard error $0.0422/\sqrt 5 = 0.0189$, "
        r"times 2.776: 0.052.",
    ),
    "9.2": Check(
        key_encoder,
        "100 * found.gains('softmax with q(z|x)', 'softmax')[0].mean()",
        "Means subtract: (control − softmax) = (VC − softmax) − (VC − control).",
    ),
    "9.3": Check(
        key_chance,
        "1 - 0.95**4",
        r"$1 - 0.95^4 = 0.185$ for independent comparisons. Those on shared seeds are not "
        r"independent, which makes it less, but at least 0.05.",
    ),
    "9.4": Check(
        key_one_seed,
        "0.5 * (1 + math.erf(-2 / 3 / math.sqrt(2)))",
        r"$P(d < 0) = \Phi(-2/3) = 0.252$. With $R$ seeds it is $\Phi(-\tfrac23 \sqrt R)$: 0.07 "
        r"for five.",
        points=2,
    ),
}
PREDICTIONS = {"9a": predict_best, "9b": predict_control}
