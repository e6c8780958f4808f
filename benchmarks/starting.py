"""What it costs to import the package, to ask for help, and to take the tour."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu import BATCH, bare_epoch
from benchmarks.pairs import Pair, pair
from benchmarks.training import trainer


def pairs() -> Iterator[Pair]:
    """Yield all; the first two as differences."""
    for work, arguments, goal in (
        ("import vcviz", ("-c", "import vcviz"), 0.1),
        ("vcviz --help", ("-m", "vcviz", "--help"), 0.3),
    ):
        yield pair(
            work, lambda a=arguments: _run(*a), "python -c pass, ours less it",
            lambda: _run("-c", "pass"), goal=goal, difference=True,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        yield _tour(Path(folder))


def _tour(folder: Path) -> Pair:
    """All of it, processes included, against a third of its training steps by hand."""
    steps = bare_epoch(trainer(folder, "softmax", 10 * BATCH, "mlp", 8), "float32")
    where = ("--out", str(folder / "runs"), "--reports", str(folder / "reports"))
    return pair(
        "vcviz tour", lambda: _run("-m", "vcviz", "tour", "--quiet", *where),
        "3,000 bare steps of its softmax", lambda: [steps() for _ in range(300)],
        rounds=1, goal=1 / 7,
    )  # fmt: skip


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
