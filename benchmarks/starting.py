"""What it costs to import the package and to ask for help, beyond starting Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.pairs import Pair, pair


def pairs() -> Iterator[Pair]:
    """Yield both, as differences."""
    for work, arguments, goal in (
        ("import vcviz", ("-c", "import vcviz"), 0.1),
        ("vcviz --help", ("-m", "vcviz", "--help"), 0.3),
    ):
        yield pair(
            work, lambda a=arguments: _run(*a), "python -c pass, ours less it",
            lambda: _run("-c", "pass"), goal=goal, difference=True,
        )  # fmt: skip


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
