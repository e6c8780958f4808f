"""Means with intervals over seeds, and paired differences, as Markdown."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import t


class Mean(NamedTuple):
    """A mean over seeds with the half width of its 95 % t-interval."""

    value: float
    reach: float

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec or '.3f'}} ± {self.reach:{(spec or '.3f').lstrip('+')}}"

    @property
    def clear_of_zero(self) -> bool:
        """Whether the interval leaves out zero."""
        return abs(self.value) > self.reach


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of one number per seed, with its interval."""
    x = np.asarray(values, float)
    reach = t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.inf
    return Mean(float(x.mean()), float(reach))


def difference(values: Sequence[float], others: Sequence[float]) -> Mean:
    """Return the mean of ``values - others``, paired by seed, with its interval."""
    return mean(np.asarray(values, float) - np.asarray(others, float))


def verdict(gain: Mean) -> str:
    """Return "held", "not held" (the opposite is clear) or "undecided" for a gain that was claimed.

    The rule: held if the 95 % interval of the paired gain lies above zero, not held if it lies
    below, undecided if it holds zero.
    """
    if not gain.clear_of_zero:
        return "undecided"
    return "held" if gain.value > 0 else "not held"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def data(name: str) -> str:
    """Return the dataset name of a folder in ``VCVIZ_DATA``."""
    if "VCVIZ_DATA" not in os.environ:
        raise SystemExit("set VCVIZ_DATA to a folder of Parquet datasets")
    return f"path:{Path(os.environ['VCVIZ_DATA']) / name}"


def by_head(scores: Mapping[str, Sequence[float]], spec: str = ".3f") -> list[list[str]]:
    """Return one row per name: its mean with the interval."""
    return [[name, format(mean(values), spec)] for name, values in scores.items()]
