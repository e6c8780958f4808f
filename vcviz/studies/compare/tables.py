"""Records as rows of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def row_of(record: Any, texts: Mapping[str, str], numbers: Mapping[str, str]) -> dict[str, Any]:
    """Return texts of a record, then numbers, each with the ends of its interval.

    Parameters
    ----------
    texts, numbers : column -> attribute; the interval of ``ece`` is ``ece_interval``, its columns
        are, e.g., ``ECE low`` and ``ECE high``
    """
    row = {column: getattr(record, name) for column, name in texts.items()}
    for column, name in numbers.items():
        low, high = getattr(record, f"{name}_interval")
        row |= {column: getattr(record, name), f"{column} low": low, f"{column} high": high}
    return row


def with_labels(table: pd.DataFrame, notes: Sequence[str]) -> pd.DataFrame:
    """Return a table with a column ``labels`` of notes, one a line, if any says something.

    See `LatentSet.label_note`.
    """
    return table.assign(labels=list(notes)) if any(notes) else table
