"""Label columns that live in a dataset of their own, beside the rows that they belong to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.data.rows import Beside, Rows, missing

_KEY = "index"


def join_labels(
    splits: dict[str, Rows], others: dict[str, Rows], name: str, other_name: str
) -> dict[str, Rows]:
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


def _join(left: Rows, right: Rows, part: str, other_name: str) -> Rows:
    order = np.arange(len(right))
    if _KEY in left.columns and _KEY in right.columns:
        order = _aligned(left, right, part, other_name)
    elif len(left) != len(right):
        raise InputError(
            f"{other_name} has {len(right)} rows in {part!r}, not {len(left)}; without an "
            f"{_KEY!r} column on both sides the rows must be the same"
        )
    for column in set(left.columns) & set(right.columns) - {_KEY}:
        apart = _disagreements(left, right, column, order)
        if apart:
            raise InputError(
                f"column {column!r} of {other_name} differs in {apart} of {len(left)} rows of "
                f"{part!r}: the rows do not correspond"
            )
    return Beside(left, right, order)


def _aligned(left: Rows, right: Rows, part: str, other_name: str) -> NDArray[np.int64]:
    """Return for each row of `left` the row of `right` whose index is the same."""
    wanted, given = left.values(_KEY), right.values(_KEY)
    distinct, first = np.unique(given, return_index=True)
    place = np.searchsorted(distinct, wanted).clip(max=len(distinct) - 1)
    absent = int((distinct[place] != wanted).sum())
    if absent or len(distinct) < len(given):
        problem = f"lacks {absent} of {len(wanted)}" if absent else "repeats some"
        raise InputError(f"the column {_KEY!r} of {other_name} {problem} rows of {part!r}")
    return first[place]


def _disagreements(left: Rows, right: Rows, column: str, order: NDArray[np.int64]) -> int:
    """Return how many rows differ in a column of integers or strings; 0 for any other column."""
    kinds = {split.columns[column].kind for split in (left, right)}
    if len(kinds) != 1 or kinds.pop() not in ("integer", "string"):
        return 0
    ours, theirs = left.values(column), right.values(column, order)
    return int(((ours != theirs) & ~(missing(ours) & missing(theirs))).sum())
