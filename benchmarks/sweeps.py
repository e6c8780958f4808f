"""Sweeps and the notebook runner: `python -m benchmarks.sweeps`, ratios measured in one run."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import nbformat
import papermill
import torch
from nbformat.v4 import new_code_cell, new_notebook

import vcviz
from benchmarks.pairs import Pair, heading, line, pair
from vcviz.headless import run_notebook
from vcviz.headless.notebooks import RENDERER


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


#: what a cell holds, by what the notebook is called
_CELLS = {
    "20 empty cells": (20, "pass"),
    "12 figures of 20,000 points": (
        12,
        "import numpy as np, plotly.graph_objects as go\n"
        "x = np.random.default_rng(0).standard_normal((2, 20_000))\n"
        "go.Figure(go.Scattergl(x=x[0], y=x[1], mode='markers'))",
    ),
}


def runner(folder: Callable[[], Path], kind: str) -> Pair:
    """The notebook runner, without a page, against papermill alone."""
    root = folder()
    root.mkdir()
    source = root / "cells.ipynb"
    count, code = _CELLS[kind]
    nb = new_notebook(cells=[new_code_cell(code) for _ in range(count)])
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nb, source)
    options: dict[str, Any] = {"html": False, "images": False, "progress": False}
    return pair(
        f"run_notebook, {kind}", lambda: run_notebook(source, out=folder(), **options), "papermill",
        lambda: papermill.execute_notebook(source, root / "out.ipynb", progress_bar=False),
        rounds=5, now=time.perf_counter,
    )  # fmt: skip


def pairs(root: Path) -> Iterator[Pair]:
    """Yield every comparison."""
    folder = _fresh(root)
    for kind in _CELLS:
        yield runner(folder, kind)
    yield workers(folder)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    os.environ["PLOTLY_RENDERER"] = RENDERER  # papermill is to save the same
    print(heading())
    with tempfile.TemporaryDirectory() as root:
        for found in pairs(Path(root)):
            print(line(found.row()), flush=True)


if __name__ == "__main__":
    main()
