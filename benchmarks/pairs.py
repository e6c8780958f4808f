"""Paired timing: two ways of the same work in turn, and the ratio pair by pair."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """Seconds of ours and of the other in each round, taken in turn."""

    work: str
    against: str
    ours: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Other over ours in each round: above 1 we are faster."""
        return [b / a for a, b in zip(self.ours, self.other, strict=True)]

    def row(self) -> list[str]:
        ratios = self.ratios
        return [
            self.work,
            self.against,
            f"{1000 * statistics.median(self.ours):.3g}",
            f"{1000 * statistics.median(self.other):.3g}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        ]


def pair(work: str, ours: Work, against: str, other: Work, *, rounds: int = 9) -> Pair:
    """Return timings of both after one round that is not counted."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for count in range(rounds + 1):
        for kept, call in zip(seconds, (ours, other), strict=True):
            start = time.perf_counter()
            call()
            if count:
                kept.append(time.perf_counter() - start)
    return Pair(work, against, tuple(seconds[0]), tuple(seconds[1]))
