"""Label columns that live in a dataset of their own, beside the rows that they belong to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from vcviz.data.frames import as_frame
from vcviz.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

_KEY = "index"


def join_labels(
    splits: dict[str, Dataset], others: dict[str, Dataset], name: str, other_name: str
) -> dict[str, Dataset]:
    """Return `splits` with the columns of `others` added where both have a split of one name.

    Rows are matched by the column ``index`` if both sides have it, else one by one. A column that
    both sides have must agree; it is what shows that the rows correspond.

    Raises
    ------
    InputError
        If no split is shared, rows are missing, or a shared column disagrees.
    """
    shared = [part for part in splits if part in others]
    if not shared:
        raise InputError(
            f"{other_name} has the splits {', '.join(others)}, {name!r} has {', '.join(splits)}: "
            "there is none to join"
        )
    joined = {part: _join(splits[part], others[part], part, other_name) for part in shared}
    return {**splits, **joined}


def _join(left: Dataset, right: Dataset, part: str, other_name: str) -> Dataset:
    from datasets import concatenate_datasets

    if _KEY in left.column_names and _KEY in right.column_names:
        right = _aligned(left, right, part, other_name)
    elif len(left) != len(right):
        raise InputError(
            f"{other_name} has {len(right)} rows in {part!r}, not {len(left)}; without an "
            f"{_KEY!r} column on both sides the rows must be the same"
        )
    for column in set(left.column_names) & set(right.column_names) - {_KEY}:
        apart = _disagreements(left, right, column)
        if apart:
            raise InputError(
                f"column {column!r} of {other_name} differs in {apart} of {len(left)} rows of "
                f"{part!r}: the rows do not correspond"
            )
    new = [c for c in right.column_names if c not in left.column_names]
    return concatenate_datasets([left, right.select_columns(new)], axis=1) if new else left


def _aligned(left: Dataset, right: Dataset, part: str, other_name: str) -> Dataset:
    """Return the rows of `right` whose index is that of each row of `left`."""
    wanted, given = _values(left, _KEY), _values(right, _KEY)
    if np.array_equal(wanted, given):
        return right
    distinct, first = np.unique(given, return_index=True)
    place = np.searchsorted(distinct, wanted).clip(max=len(distinct) - 1)
    absent = int((distinct[place] != wanted).sum())
    if absent or len(distinct) < len(given):
        problem = f"lacks {absent} of {len(wanted)}" if absent else "repeats some"
        raise InputError(f"the column {_KEY!r} of {other_name} {problem} rows of {part!r}")
    return right.select(first[place])


def _disagreements(left: Dataset, right: Dataset, column: str) -> int:
    """Return how many rows differ in a column of integers or strings; 0 for any other column."""
    kinds = {str(getattr(split.features[column], "dtype", "")) for split in (left, right)}
    if len(kinds) != 1 or not re.match(r"u?int|(large_)?string", kinds.pop()):
        return 0
    ours, theirs = (as_frame(split, [column])[column] for split in (left, right))
    return int((ours.ne(theirs) & ~(ours.isna() & theirs.isna())).sum())


def _values(split: Dataset, column: str) -> np.ndarray:
    return as_frame(split, [column])[column].to_numpy()
