"""A word in a table for numbers that are not for the label frequencies of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def with_labels(table: pd.DataFrame, notes: Sequence[str]) -> pd.DataFrame:
    """Return a table with a column ``labels`` of notes, one a line, if any says something.

    See `LatentSet.label_note`.
    """
    return table.assign(labels=list(notes)) if any(notes) else table
