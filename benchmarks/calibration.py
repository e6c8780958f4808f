"""ECE alone and with bands, against torchmetrics, netcal, relplot and verified_calibration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

import vcviz
from benchmarks.pairs import Pair, missing, pair

CLASSES, BINS = 10, 15


def pairs() -> Iterator[Pair | str]:
    """Yield every comparison, all on the same predictions of ten classes."""
    for n in (10_000, 1_000_000):
        yield from _alone(n)
    yield from _with_bands(1_000_000)


def predictions(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, C) log-probabilities in float64 and labels."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((n, CLASSES))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True)), rng.integers(0, CLASSES, n)


def _alone(n: int) -> Iterator[Pair | str]:
    log_probs, y = predictions(n)
    probs = np.exp(log_probs)
    limit = 1 / 1.2 if n == 1_000_000 else None
    if (line := missing("torchmetrics", "netcal")) is not None:
        yield line
        return
    from netcal.metrics import ECE
    from torchmetrics.functional.classification import multiclass_calibration_error

    labels = torch.tensor(y)
    for name, kind in (("float64", np.float64), ("float32", np.float32)):
        mine, given = log_probs.astype(kind), probs.astype(kind)
        tensor = torch.tensor(given)

        def ours(mine: np.ndarray = mine) -> float:
            return vcviz.expected_calibration_error(mine, y)

        def torchmetrics(tensor: torch.Tensor = tensor) -> torch.Tensor:
            return multiclass_calibration_error(tensor, labels, num_classes=CLASSES, n_bins=BINS)

        def netcal(given: np.ndarray = given) -> float:
            return ECE(BINS).measure(given, y)

        work = f"ECE, {n:,} rows in {name}"
        yield pair(work, ours, "torchmetrics", torchmetrics)
        yield pair(work, ours, "netcal", netcal)
        # The limit: every row's largest number has to be found, whatever is done with it.
        yield pair(
            work, ours, "limit: numpy's max over the rows alone", lambda m=mine: m.max(1),
            goal=limit,
        )  # fmt: skip


def _with_bands(n: int) -> Iterator[Pair | str]:
    log_probs, y = predictions(n)
    probs = np.exp(log_probs)

    def ours() -> vcviz.ReliabilityCurve:
        return vcviz.reliability_curve(log_probs, y)

    work = f"ECE with 1000-resample band and consistency bars, {n:,} rows"
    yield pair(
        work, ours, "ECE alone", lambda: vcviz.expected_calibration_error(log_probs, y)
    )  # fmt: skip
    if (line := missing("relplot", "calibration")) is not None:
        yield line
        return
    import calibration
    import relplot

    confidence, right = probs.max(1), probs.argmax(1) == y
    yield pair(
        work, ours, "relplot, its 200 resamples and no bars",
        lambda: relplot.prepare_rel_diagram(confidence, right), rounds=1, goal=100,
    )  # fmt: skip

    def error(data: list) -> float:
        of, labels = zip(*data, strict=True)
        return calibration.get_calibration_error(of, labels, p=1, debias=False, mode="top-label")

    yield pair(
        work, ours, "verified_calibration, one resample alone",
        lambda: calibration.utils.bootstrap_uncertainty(
            list(zip(probs, y, strict=True)), error, num_samples=1
        ),
        rounds=1, goal=100,
    )  # fmt: skip
