"""ECE alone and with bands, against what any form of it must do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import vcviz
from benchmarks.pairs import Pair, pair

CLASSES = 10


def pairs() -> Iterator[Pair]:
    """Yield every comparison, all on the same predictions of ten classes."""
    for n in (10_000, 1_000_000):
        yield _alone(n)
    yield _with_bands(1_000_000)


def predictions(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, C) log-probabilities in float64 and labels."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((n, CLASSES))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True)), rng.integers(0, CLASSES, n)


def _alone(n: int) -> Pair:
    """The limit: every row's largest number has to be found, whatever is done with it."""
    log_probs, y = predictions(n)
    mine = log_probs.astype(np.float32)
    return pair(
        f"ECE, {n:,} rows in float32", lambda: vcviz.expected_calibration_error(mine, y),
        "limit: numpy's max over the rows alone", lambda: mine.max(1),
        goal=1 / 1.2 if n == 1_000_000 else None,
    )  # fmt: skip


def _with_bands(n: int) -> Pair:
    log_probs, y = predictions(n)
    return pair(
        f"ECE with 1000-resample band and consistency bars, {n:,} rows",
        lambda: vcviz.reliability_curve(log_probs, y), "ECE alone",
        lambda: vcviz.expected_calibration_error(log_probs, y),
    )  # fmt: skip
