"""A tuned temperature under label noise: human labels of CIFAR-10N, and labels flipped by chance.

Claimed (Collier et al. 2020, 2021): on noisy labels the heteroscedastic softmax with a tuned tau
beats tau = 1 (Kendall & Gal) and the plain softmax. Everything is tuned by the NLL on noisy
validation rows; the clean test labels are looked at once. As tau also sets the effective learning
rate, softmax and tau = 1 may tune the learning rate instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.claims.tables import data, difference, table
from vcviz import Run, Split, load_data, train
from vcviz.records import Estimate

TEMPERATURES = (0.1, 0.3, 1.0, 3.0)
RATES = (1e-3, 2e-3, 4e-3)
RATE = 2e-3
ROWS = 8000
FLIPPED = 0.4
SETTINGS: dict[str, dict[str, Any]] = {
    "cifar10n": {"encoder": "cnn", "encoder_options": {"width": 8, "hidden": [64]}, "epochs": 5},
    "fashion_mnist": {"encoder": "mlp", "epochs": 10},
}
TITLES = {
    "cifar10n": "CIFAR-10N, the worst of three human labels (40 % wrong)",
    "fashion_mnist": f"Fashion-MNIST, {FLIPPED:.0%} of the labels replaced evenly at random",
}
METHODS = ("softmax", "softmax, lr tuned", "τ = 1", "τ = 1, lr tuned", "τ tuned")


def report(seeds: Sequence[int], runs_folder: str) -> str:
    """Return the Markdown of accuracy and NLL on clean test labels, and of paired differences."""
    text = (
        "# A tuned temperature under label noise\n\n"
        f"{ROWS:,} training rows, a fifth of them for validation, both with noisy labels; "
        f"{ROWS:,} test rows with clean labels, drawn anew with each of {len(seeds)} seeds. "
        f"D = 32, Adam, batches of 100; τ among {', '.join(f'{t:g}' for t in TEMPERATURES)} at "
        f"learning rate {RATE:g}, or the rate among {', '.join(f'{r:g}' for r in RATES)}, by the "
        "least validation NLL. S = 50 draws in training, 300 in prediction, diagonal covariance. "
        "± is half a 95 % t-interval over seeds; differences are paired by seed, and held means "
        "that their interval lies above zero.\n"
    )
    for name in SETTINGS:
        scores: dict[str, list[Run]] = {method: [] for method in METHODS}
        for seed in seeds:
            splits = _splits(name, seed)
            for method, run in _methods(name, splits, seed, runs_folder).items():
                scores[method].append(run)
        text += f"\n## {TITLES[name]}\n\n" + _tables(scores)
    return text


def _tables(scores: dict[str, list[Run]]) -> str:
    accuracy = {m: [run.metrics["accuracy"] for run in runs] for m, runs in scores.items()}
    nll = {m: [run.metrics["nll"] for run in runs] for m, runs in scores.items()}
    held_out = {m: [run.metrics["validation/nll"] for run in runs] for m, runs in scores.items()}
    rows = [
        [m, *(format(Estimate.of(s[m])) for s in (accuracy, nll, held_out)), _chosen(m, scores[m])]
        for m in METHODS
    ]
    header = ["method", "accuracy", "NLL, nats", "NLL of noisy validation labels", "chosen"]
    claims = []
    for other in METHODS[:-1]:
        gains = (
            difference(accuracy["τ tuned"], accuracy[other]),
            difference(nll[other], nll["τ tuned"]),
        )
        cells = [f"{gain:+.4f}: {gain.above(0)}" for gain in gains]
        claims.append([f"τ tuned against {other}", *cells])
    return table(header, rows) + "\n" + table(["", "accuracy gained", "NLL saved, nats"], claims)


def _chosen(method: str, runs: Sequence[Run]) -> str:
    if method == "τ tuned":
        return ", ".join(f"{run.config.head_options['temperature']:g}" for run in runs)
    return ", ".join(f"{run.config.lr:g}" for run in runs) if "lr" in method else ""


def _methods(name: str, splits: tuple[Split, Split], seed: int, folder: str) -> dict[str, Run]:
    def best(runs: Sequence[Run]) -> Run:
        return min(runs, key=lambda run: run.metrics["validation/nll"])

    softmax = {lr: _run(name, splits, seed, folder, lr) for lr in RATES}
    one = {lr: _run(name, splits, seed, folder, lr, 1.0) for lr in RATES}
    tuned = [_run(name, splits, seed, folder, RATE, tau) for tau in TEMPERATURES]
    runs = (softmax[RATE], best(list(softmax.values())), one[RATE], best(list(one.values())))
    return dict(zip(METHODS, (*runs, best(tuned)), strict=True))


def _run(
    name: str,
    splits: tuple[Split, Split],
    seed: int,
    folder: str,
    lr: float,
    tau: float | None = None,
) -> Run:
    return train(
        splits=splits,
        latent_dim=32,
        head="softmax" if tau is None else "heteroscedastic",
        head_options={} if tau is None else {"temperature": tau, "draws": 50},
        batch_size=100,
        lr=lr,
        validation=0.2,
        seed=seed,
        probe_every=1000,
        threads=1,
        out=folder,
        progress=False,
        **SETTINGS[name],
    )


def _splits(name: str, seed: int) -> tuple[Split, Split]:
    """Return training rows with noisy labels and test rows with clean ones."""
    if name == "cifar10n":
        train_split, test = load_data(
            data("cifar10"), extra_labels=data(name), seed=seed, max_rows=ROWS, progress=False
        )
        y = train_split.labels["worse_label"]
    else:
        train_split, test = load_data(data(name), seed=seed, max_rows=ROWS, progress=False)
        rng = np.random.default_rng(seed)
        flipped = rng.random(ROWS) < FLIPPED
        shift = np.where(flipped, rng.integers(1, train_split.n_classes, ROWS), 0)
        y = (train_split.y + shift) % train_split.n_classes
    return replace(train_split, y=y, name=f"{name} noisy", labels={}), replace(test, labels={})
