"""Columns of a dataset as a table in memory, if they fit there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vcviz.data.room import check_memory, free_memory

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset


def as_frame(
    data: Dataset, columns: Sequence[str], rows: NDArray[np.int64] | None = None
) -> pd.DataFrame:
    """Return columns of a dataset, which lies on the disk, as a frame; all rows or those given.

    Raises
    ------
    InputError
        If they would not fit into the memory that is free.
    """
    chosen = data.select_columns(list(columns))
    # A value is copied once on its way, or an object points to it.
    need = 2.0 * (chosen.data.nbytes + 8 * len(chosen) * len(columns))
    if rows is not None and len(rows) < len(chosen) and need > free_memory():
        need *= len(rows) / len(chosen)
        chosen, rows = chosen.select(rows), None
    check_memory(
        f"{len(chosen):,} rows of {', '.join(map(repr, columns[:3]))}",
        need,
        "name fewer columns, or make a smaller copy",
    )
    frame = chosen.to_pandas()
    # Gathering rows is far faster in pandas than in the library.
    return frame if rows is None else frame.iloc[rows]
