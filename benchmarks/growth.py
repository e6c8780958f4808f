"""How cost grows with N, C, D, S and steps: `python -m benchmarks.growth` draws growth.png."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import nn

import vcviz
from benchmarks.pairs import clock
from benchmarks.reading import images, small_cnn
from vcviz.figures import theme
from vcviz.metrics.fit.energy import energy_distance
from vcviz.models.heads import build_head

OUT = Path(__file__).with_name("growth.png")
ROUNDS = 3
DASHES = ("solid", "dash", "dot", "dashdot")
BATCH = 256


class Series(NamedTuple):
    """One line: the work, the number that grows, and how to make the work for a value of it."""

    axis: str
    work: str
    values: tuple[int, ...]
    make: Callable[[int], Callable[[], object]]


def series() -> Iterator[Series]:
    """Yield every line of the figure."""
    rows = (1_000, 10_000, 100_000, 1_000_000)
    classes, dims = (10, 100, 1000), (2, 16, 128, 1024)
    yield Series("N rows", "ECE, C = 10", rows, lambda n: _calibration(n, 10))
    yield Series(
        "N rows", "ECE with 1000 resamples", rows, lambda n: _calibration(n, 10, bands=True)
    )
    yield Series("N rows", "energy distance, D = 1", rows, lambda n: _energy(n, 1))
    yield Series(
        "N rows", "energy distance, D = 2, 64 directions", rows[:3], lambda n: _energy(n, 2, 64)
    )
    yield Series("C classes", "ECE, 10,000 rows", classes, lambda c: _calibration(10_000, c))
    for head in ("softmax", "gaussian_mixture", "variational"):
        yield Series(
            "C classes", f"{head} loss, D = 16", classes, lambda c, h=head: _loss(h, c, 16)
        )
        yield Series(
            "D dimensions", f"{head} loss, C = 10", dims, lambda d, h=head: _loss(h, 10, d)
        )
    yield Series("D dimensions", "latent_fit, 3,000 latents", dims[:3], _fit)
    draws = (1, 4, 16, 64)
    yield Series(
        "S draws",
        "heteroscedastic loss, C = 10",
        draws,
        lambda s: _loss("heteroscedastic", 10, 16, s),
    )
    yield Series("S draws", "ECE band, 10,000 rows, 10 S resamples", draws,
                 lambda s: _calibration(10_000, 10, bands=True, resamples=10 * s))  # fmt: skip
    steps = (1, 4, 16, 40)
    yield Series("attack steps", "PGD, 64 images", steps, lambda t: _attack(t, "pgd"))
    yield Series("attack steps", "APGD, 64 images", steps, lambda t: _attack(t, "apgd"))


def _calibration(
    n: int, c: int, *, bands: bool = False, resamples: int = 1000
) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((n, c), dtype=np.float32)
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    y = rng.integers(0, c, n)
    if bands:
        return lambda: vcviz.reliability_curve(log_probs, y, resamples=resamples)
    return lambda: vcviz.expected_calibration_error(log_probs, y)


def _energy(n: int, dim: int, directions: int | None = None) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, n, dim))
    return lambda: energy_distance(a, b, directions=directions)


def _loss(name: str, c: int, d: int, draws: int | None = None) -> Callable[[], object]:
    torch.manual_seed(0)
    options = {} if draws is None else {"draws": draws}
    head = build_head(name, latent_dim=d, n_classes=c, **options)
    z, y = torch.randn(BATCH, d, requires_grad=True), torch.randint(c, (BATCH,))

    def step() -> None:
        head.zero_grad()
        head.loss(z, y).total.backward()
        if head.critic is not None:
            head.critic_terms(z.detach(), y).total.backward()

    return step


def _fit(dim: int) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    y = np.arange(3000) % 3
    log_probs = np.full((3000, 3), -np.log(3), np.float32)
    lat = vcviz.LatentSet(rng.standard_normal((3000, dim), dtype=np.float32), log_probs, y)
    prior = vcviz.LatentPrior(
        mean=np.zeros((3, dim)), scale=np.ones((3, dim)), log_weight=np.full(3, -np.log(3))
    )
    return lambda: vcviz.latent_fit(lat, prior, progress=False)


def _attack(steps: int, method: str) -> Callable[[], object]:
    model: nn.Module = small_cnn()
    split = images(64)
    return lambda: vcviz.attack(
        model, split, method=method, epsilon=0.1, steps=steps, progress=False
    )


def measured(line: Series) -> list[float]:
    """Return the median milliseconds for each value."""
    found = []
    for value in line.values:
        work, seconds = line.make(value), []
        work()
        for _ in range(ROUNDS):
            start = clock()
            work()
            seconds.append(clock() - start)
        found.append(1000 * statistics.median(seconds))
    return found


def figure(lines: list[tuple[Series, list[float]]]) -> go.Figure:
    """Return a panel for each number that grows, both axes in powers of ten."""
    axes = list(dict.fromkeys(line.axis for line, _ in lines))
    fig = make_subplots(rows=len(axes), cols=1, vertical_spacing=0.07)
    for row, axis in enumerate(axes, 1):
        own = [found for found in lines if found[0].axis == axis]
        legend = f"legend{row if row > 1 else ''}"
        for number, (line, cost) in enumerate(own):
            fig.add_scatter(
                x=line.values, y=cost, name=line.work, row=row, col=1, mode="lines+markers",
                line_dash=DASHES[number], line_color=theme.class_color(number),
                marker_symbol=theme.class_symbol(number), legend=legend,
            )  # fmt: skip
        values = sorted({value for line, _ in own for value in line.values})
        every = np.log10([cost for _, costs in own for cost in costs])
        span = [np.floor(every.min()), np.ceil(every.max())]
        fig.update_xaxes(
            type="log", title_text=axis, tickvals=values, ticktext=[f"{v:,}" for v in values],
            row=row, col=1,
        )  # fmt: skip
        fig.update_yaxes(type="log", title_text="ms", dtick=1, range=span, row=row, col=1)
        top = fig.get_subplot(row, 1).yaxis.domain[1]
        fig.update_layout({legend: {"y": top, "yanchor": "top", "x": 1.02}})
    return fig.update_layout(
        width=900, height=1300, template=theme.template("light"), margin={"t": 30, "l": 70}
    )


def main() -> None:
    """Measure, print and draw."""
    torch.set_num_threads(1)
    lines = []
    for line in series():
        cost = measured(line)
        lines.append((line, cost))
        told = ", ".join(f"{v:,}: {c:.3g}" for v, c in zip(line.values, cost, strict=True))
        print(f"{line.axis} | {line.work} | {told} ms", flush=True)
    figure(lines).write_image(OUT, scale=1.5)


if __name__ == "__main__":
    main()
