"""DropMax's lower error than softmax on few MNIST digits (Lee et al. 2018, table 1).

The paper: 7.09 -> 5.32 % with 1,000 training rows, 2.13 -> 1.64 % with 5,000. Its code's LeNet and
settings are used, nothing is tuned here. About 22 minutes on a free core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

import vcviz
from benchmarks.claims.tables import data, difference, table
from vcviz.records import Estimate

HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "softmax": ("softmax", {}),
    "DropMax": ("dropmax", {}),
    "DropMax, q = p": ("dropmax", {"variant": "prior"}),
    "deterministic attention": ("dropmax", {"variant": "deterministic"}),
    "random class dropout": ("dropmax", {"variant": "random"}),
}
LATENTS = 500


def lenet(seed: int) -> nn.Module:
    """Return the authors' LeNet (20-50-500) up to its features, its weights from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.Linear(800, LATENTS), nn.ReLU(),
        )  # fmt: skip


def run(name: str, n_train: int, epochs: int, seed: int, runs_folder: str) -> vcviz.Run:
    """Return one run, trained unless it is in the folder."""
    head, options = HEADS[name]
    return vcviz.train(
        dataset=data("mnist"),
        n_train=n_train,
        encoder=lenet(seed),
        head=head,
        head_options=options,
        latent_dim=LATENTS,
        epochs=epochs,
        batch_size=100,
        lr=1e-3,
        weight_decay=1e-4,
        schedule="step",
        schedule_options={"milestones": [1 / 3, 2 / 3], "gamma": 0.1},
        probe_size=20,
        probe_every=epochs,
        threads=1,
        seed=seed,
        out=runs_folder,
        progress=False,
    )


#: training rows -> epochs and the heads compared
SIZES = {
    1000: (200, tuple(HEADS)[:4]),
    5000: (40, tuple(HEADS)[:2]),
}
PAPER = {1000: {"softmax": 7.09, "DropMax": 5.32, "DropMax, q = p": 7.52,
                "deterministic attention": 6.91},
         5000: {"softmax": 2.13, "DropMax": 1.64}}  # fmt: skip


def report(seeds: Sequence[int], runs_folder: str) -> str:
    """Return errors, ECE and NLL of each head by training size, and the paired gains in error."""
    metrics: dict[tuple[int, str], list[dict[str, float]]] = {}
    for seed in seeds:
        for n, (epochs, names) in SIZES.items():
            for name in names:
                found = run(name, n, epochs, seed, runs_folder).metrics
                metrics.setdefault((n, name), []).append(dict(found))
    rows, verdicts = [], []
    for (n, name), found in metrics.items():
        error = [100 * (1 - m["accuracy"]) for m in found]
        base = [100 * (1 - m["accuracy"]) for m in metrics[n, "softmax"]]
        gain = difference(base, error)
        rows.append(
            [
                f"{n:,}",
                name,
                f"{Estimate.of(error):.2f}",
                "" if name == "softmax" else f"{gain:+.2f}",
                f"{PAPER[n][name]:.2f}",
                f"{Estimate.of([100 * m['ece'] for m in found]):.2f}",
                f"{Estimate.of([m['nll'] for m in found]):.3f}",
            ]
        )
        if name == "DropMax":
            ece = difference(
                [100 * m["ece"] for m in metrics[n, "softmax"]], [100 * m["ece"] for m in found]
            )
            verdicts.append(
                f"* {n:,} rows: a lower error than softmax is **{gain.above(0)}**; a lower ECE "
                f"is {ece.above(0)} ({ece:+.2f})."
            )
    header = ["rows", "head", "error, %", "gain over softmax", "paper", "ECE, %", "NLL, nats"]
    budget = ", ".join(f"{e} epochs at {n:,} rows" for n, (e, _) in SIZES.items())
    return (
        "# DropMax errs less than softmax on few MNIST digits\n\n"
        f"MNIST, test split of 10,000; {len(seeds)} seeds, each with its own training rows, the "
        "same for every head. The authors' LeNet (20-50-500) and settings: batches of 100, Adam "
        "1e-3, a tenth after each third, weight decay 1e-4 but for rho and r, all weights 1. "
        f"{budget.capitalize()} (the authors: 200). Nothing was tuned. Mean ± half the 95 % "
        "t-interval; gains are paired by seed; the prediction replaces the mask by rho.\n\n"
        + table(header, rows)
        + "\n"
        + "\n".join(verdicts)
        + "\n"
    )
