"""Claim (Qin et al. 2019): PC-softmax estimates I(X; Y) of imbalanced data, plain softmax does not.

Here with the offset that plain softmax needs: + log K is right for balanced data only, + H(Y)
always.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import vcviz
from benchmarks.claims.tables import table
from vcviz.records import Estimate
from vcviz.runs import Run

#: five unit Gaussians along the all-ones vector
MEANS = [[0], [2], [-2], [4], [-4]]
DIMENSIONS = (1, 2, 5, 10)
#: ten classes along a line and on a circle, the largest 100 times the smallest
TEN = {
    "10 classes 100:1, d=1": {"n_classes": 10, "dim": 1, "means": "diagonal", "separation": 3},
    "10 classes 100:1, d=2": {"n_classes": 10, "dim": 2, "separation": 3},
}
ESTIMATES = ("PC-softmax", "softmax + H(Y)", "Gaussian mixture", "softmax + log K")
#: allowed distance from the truth, a fraction of it
GOAL = 0.05


def report(seeds: Sequence[int], runs_folder: str) -> str:
    """Return the Markdown of the result."""
    rows, errors = [], {name: [] for name in ESTIMATES}  # type: dict[str, list[Estimate]]
    for title, options in _settings().items():
        truth, found = _estimates(options, seeds, runs_folder)
        for name in ESTIMATES:
            errors[name].append(Estimate.of(found[name] / truth - 1))
        rows.append([title, f"{truth:.4f}", *(format(Estimate.of(found[n])) for n in ESTIMATES)])
    lines = [f"- {name}: {_verdict(errors[name])}" for name in ESTIMATES]
    return (
        "# Mutual information from classifiers\n\n"
        "Five unit Gaussians at 0, ±2 and ±4 times the all-ones vector in d dimensions, class "
        "weights equal or 1:2:3:4:5, and ten at 100:1. 15,000 rows, a third of them test rows; "
        "MLP of 2 x 100 units, D = 8, 12 epochs. Truth by quadrature (on the circle by Monte "
        f"Carlo); estimates on test rows, nats. {len(seeds)} seeds (rows and weights), means with "
        "95 % t-intervals over seeds, the noise of the test rows included.\n\n"
        + table(["data", "truth", *ESTIMATES], rows)
        + f"\nWithin {GOAL:.0%} of the truth in every row?\n\n"
        + "\n".join(lines)
        + "\n\nThe last column exceeds the one with H(Y) by log K - H(Y), a constant that no "
        "training changes: what fails there is the offset, not the softmax.\n"
    )


def _settings() -> dict[str, dict[str, Any]]:
    laws = {"balanced": {}, "imbalanced": {"weights": [1, 2, 3, 4, 5]}}
    five = {
        f"{law}, d={d}": {"means": MEANS, "dim": d, **weights}
        for law, weights in laws.items()
        for d in DIMENSIONS
    }
    return five | {title: {**options, "imbalance": 100} for title, options in TEN.items()}


def _estimates(
    options: dict[str, Any], seeds: Sequence[int], runs_folder: str
) -> tuple[float, dict[str, np.ndarray]]:
    """Return the true information and the estimates by name, one per seed."""
    found: dict[str, list[float]] = {name: [] for name in ESTIMATES}
    truth = np.nan
    for seed in seeds:
        runs = vcviz.train_heads(
            ["softmax", "pc_softmax", "gaussian_mixture"],
            dataset="mixture",
            dataset_options={"n": 15_000, **options},
            encoder="mlp",
            encoder_options={"hidden": [100, 100]},
            latent_dim=8,
            epochs=12,
            lr=3e-3,
            probe_every=12,
            seed=seed,
            out=runs_folder,
            progress=False,
        )
        law = runs[0].split("test").truth
        truth, weights = law["mutual_information"], np.asarray(law["weights"])
        plain, pc, mixture = (_information(run, weights) for run in runs)
        found["softmax + H(Y)"].append(plain)
        found["softmax + log K"].append(_plus_log_k(runs[0]))
        found["PC-softmax"].append(pc)
        found["Gaussian mixture"].append(mixture)
    return truth, {name: np.array(values) for name, values in found.items()}


def _information(run: Run, weights: np.ndarray) -> float:
    return vcviz.mutual_information(run.latents("test"), prior_probs=weights).estimate


def _plus_log_k(run: Run) -> float:
    lat = run.latents("test")
    return np.log(lat.n_classes) - vcviz.metrics.negative_log_likelihood(lat.log_probs, lat.y)


def _verdict(errors: Sequence[Estimate]) -> str:
    worst = max(errors, key=lambda error: abs(error.value))
    if all(abs(e.value) + e.reach < GOAL for e in errors):
        return f"held, the largest deviation {worst.value:+.1%} ± {worst.reach:.1%}"
    outside = sum(abs(e.value) - e.reach > GOAL for e in errors)
    if outside:
        return f"not held: {outside} rows clearly outside, the largest {worst.value:+.1%}"
    return f"undecided, the largest deviation {worst.value:+.1%} ± {worst.reach:.1%}"
