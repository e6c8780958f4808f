"""Sweeps on several workers: `python -m benchmarks.sweeps`, ratios measured in one run."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import vcviz
from benchmarks.pairs import Pair, heading, line, pair


def _fresh(root: Path) -> Callable[[], Path]:
    numbers = itertools.count()
    return lambda: root / str(next(numbers))


def workers(folder: Callable[[], Path]) -> Pair:
    """Two heads and five seeds on digits: two workers against one."""
    grid = {"head": ["gaussian_mixture", "variational"], "seed": range(5)}

    def with_workers(count: int) -> Callable[[], Any]:
        fixed = {"epochs": 150, "probe_every": 20}
        return lambda: vcviz.sweep(grid, fixed=fixed, out=folder(), workers=count, progress=False)

    return pair("sweep of 2 heads x 5 seeds, two workers", with_workers(2), "one worker",
                with_workers(1), rounds=2, now=time.perf_counter)  # fmt: skip


def pairs(root: Path) -> Iterator[Pair]:
    """Yield every comparison."""
    folder = _fresh(root)
    yield workers(folder)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(heading())
    with tempfile.TemporaryDirectory() as root:
        for found in pairs(Path(root)):
            print(line(found.row()), flush=True)


if __name__ == "__main__":
    main()
