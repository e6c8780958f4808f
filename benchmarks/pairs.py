"""Paired timing: two ways of the same work in turn, and the ratio pair by pair.

Times are seconds of the processor, this process's and its children's, unless said otherwise: what
runs on one thread is then disturbed little by what else the machine does.
"""

from __future__ import annotations

import importlib.util
import resource
import statistics
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]

HEADER = ["work", "against", "ours, ms", "other, ms", "other / ours: median (range)", "goal"]


@dataclass(frozen=True)
class Pair:
    """What ours and the other took in each round, taken in turn.

    Attributes
    ----------
    ours, other : seconds, or with another `unit` the number itself
    goal : least ratio of other to ours; with `difference` the most that ours may take beyond it
    unit : of the numbers in the table
    difference : whether ours less the other is what counts
    """

    work: str
    against: str
    ours: tuple[float, ...]
    other: tuple[float, ...]
    goal: float | None = None
    unit: str = "ms"
    difference: bool = False

    @property
    def ratios(self) -> list[float]:
        """Other over ours in each round: above 1 we are faster."""
        return [b / a for a, b in zip(self.ours, self.other, strict=True)]

    @property
    def excess(self) -> list[float]:
        """Ours less the other in each round."""
        return [a - b for a, b in zip(self.ours, self.other, strict=True)]

    def row(self) -> list[str]:
        """Return the cells of `HEADER`."""
        factor, note = (1000, "") if self.unit == "ms" else (1, f" {self.unit}")
        found, written = self.ratios, "{:.3g}"
        if self.difference:
            found, written = [factor * value for value in self.excess], "{:+.3g}" + note
        middle = statistics.median(found)
        spread = f"{written.format(min(found))} to {written.format(max(found))}"
        return [
            self.work,
            self.against,
            f"{factor * statistics.median(self.ours):.3g}{note}",
            f"{factor * statistics.median(self.other):.3g}{note}",
            f"{written.format(middle)} ({spread})",
            self._verdict(middle, factor),
        ]

    def _verdict(self, middle: float, factor: float) -> str:
        if self.goal is None:
            return "–"
        if self.difference:
            return f"≤ {factor * self.goal:+g}: " + _met(middle <= factor * self.goal)
        return f"≥ {self.goal:.3g}: " + _met(middle >= self.goal)


def pair(
    work: str,
    ours: Work,
    against: str,
    other: Work,
    *,
    rounds: int = 9,
    goal: float | None = None,
    times: float = 1.0,
    difference: bool = False,
    now: Callable[[], float] | None = None,
) -> Pair:
    """Return timings of both after one round that is not counted.

    `times` multiplies those of the other where it does only a part of the work, being too slow
    for the whole; the name should say so. `now` is the clock, default `clock`.
    """
    now = now or clock
    seconds: tuple[list[float], list[float]] = ([], [])
    for count in range(rounds + (rounds > 1)):
        for kept, call in zip(seconds, (ours, other), strict=True):
            start = now()
            call()
            if count or rounds == 1:
                kept.append(now() - start)
    slower = tuple(times * value for value in seconds[1])
    return Pair(work, against, tuple(seconds[0]), slower, goal, difference=difference)


def clock() -> float:
    """Return the processor's seconds so far."""
    of = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in of)


def missing(*modules: str) -> str | None:
    """Return a line that names the peers that are not installed, None if all are."""
    gone = [name for name in modules if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(gone)}; pip install -e '.[oracles]'" if gone else None


def line(cells: list[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def heading() -> str:
    """Return the head of the table."""
    return line(HEADER) + "\n|" + "---|" * len(HEADER)


def _met(whether: bool) -> str:
    return "met" if whether else "not met"
