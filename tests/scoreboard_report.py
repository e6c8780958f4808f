"""A scoreboard's report as docs/scoreboard has it, read back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from story import ROOT

CLEAN = ("MNIST", "Fashion-MNIST", "CIFAR-10", "AG News", "TREC")
OUTCOMES = ("held", "not held", "undecided")


@dataclass(frozen=True)
class Comparison:
    """One row of a report's claims: `gain` in `measure`'s unit, paired by seed."""

    measure: str
    gain: float
    outcome: str

    def __str__(self) -> str:
        """Return the gain in points, in nats, or as an energy distance."""
        if "energy" in self.measure:
            return f"{self.gain:+.1f}"
        in_nats = "nats" in self.measure
        return f"{self.gain:+.2f}" if in_nats else f"{100 * self.gain:+.1f}"


@dataclass(frozen=True)
class Report:
    """A report: claim -> task -> comparison, and task -> number -> head -> text of its mean.

    And tasks that share them -> head -> settings that tuning chose.
    """

    claims: Mapping[str, Mapping[str, Comparison]]
    means: Mapping[str, Mapping[str, Mapping[str, str]]]
    settings: Mapping[str, Mapping[str, str]]

    def of(self, *, variational: bool) -> list[tuple[str, str]]:
        """Return the claims and tasks that are about VC, or those that are not."""
        of_vc = [c for c in self.claims if ("VC" in c or c.startswith("so do"))]
        return [(c, t) for c in self.claims if (c in of_vc) == variational for t in self.claims[c]]

    def count(self, rows: Sequence[tuple[str, str]]) -> list[int]:
        """Return how many of these held, did not hold, and are undecided."""
        found = Counter(self.claims[claim][task].outcome for claim, task in rows)
        return [found[o] for o in OUTCOMES]

    def mean(self, task: str, number: str, head: str) -> str:
        """Return a number's mean over seeds, as the report prints it."""
        return self.means[task][number][head]

    def span(self, number: str, head: str, tasks: Sequence[str] = CLEAN, digits: int = 2) -> str:
        """Return the smallest and the largest mean of these tasks, as "0.1 to 0.2"."""
        found = [float(self.mean(task, number, head)) for task in tasks]
        return f"{min(found):.{digits}f} to {max(found):.{digits}f}"


def cells(line: str) -> list[str]:
    return [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]


@cache
def report(name: str) -> Report:
    """Return what stands in docs/scoreboard/NAME.md."""
    claims: dict[str, dict[str, Comparison]] = {}
    means: dict[str, dict[str, dict[str, str]]] = {}
    settings: dict[str, dict[str, str]] = {}
    task, heads = "", []
    for line in (ROOT / f"docs/scoreboard/{name}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            task = line[3:]
        if not line.startswith("| ") or line.startswith("| ---"):
            continue
        row = cells(line)
        if task == "Claims" and row[0] != "claim":
            where, measure = row[3].rsplit(": ", 1)
            gain = float(row[6].split(" ± ")[0])
            claims.setdefault(row[0], {})[where] = Comparison(measure, gain, row[7])
        elif row[0] in ("", "for"):
            heads = row[1:]
        elif task == "Settings that tuning chose":
            settings[row[0]] = dict(zip(heads, row[1:], strict=True))
        elif task != "Claims":
            found = dict(zip(heads, (c.split(" ± ")[0] for c in row[1:]), strict=True))
            means.setdefault(task, {})[row[0].rstrip(" ↑↓")] = found
    return Report(claims, means, settings)
