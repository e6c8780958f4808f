"""What the claims have in common: paired differences, Markdown tables, and where data are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vcviz.records import Estimate


def difference(values: Sequence[float], others: Sequence[float]) -> Estimate:
    """Return the mean of ``values - others``, paired by seed, with its interval.

    Of a gain that was claimed, ``.above(0)`` says whether it held.
    """
    return Estimate.of(np.asarray(values, float) - np.asarray(others, float))


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
    return [[name, format(Estimate.of(values), spec)] for name, values in scores.items()]
