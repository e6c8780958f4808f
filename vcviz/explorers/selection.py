"""Rows that a person chose, shared by the explorers that show them."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError


class Selection(traitlets.HasTraits):
    """Chosen rows of a split.

    Attributes
    ----------
    rows : (M,) rising int64 row numbers in the split (`LatentSet.index`); observe this trait
    split : "test" or "train", what the rows are numbers of
    source : title of the run in which they were chosen, or None

    Examples
    --------
    >>> lat = vcviz.train("mixture", epochs=3, progress=False).latents()
    >>> explorer = vcviz.LatentExplorer((lat, None))
    >>> explorer.chosen.observe(lambda change: print("chosen:", change.new), "rows")
    >>> explorer.chosen.choose([5, 3])
    chosen: [3 5]
    """

    rows: Any = traitlets.Any()
    split = traitlets.Unicode("test")
    source = traitlets.Unicode(None, allow_none=True)

    def __init__(self) -> None:
        super().__init__(rows=np.empty(0, np.int64))

    def choose(
        self,
        rows: ArrayLike,
        *,
        split: str = "test",
        source: str | None = None,
        combine: str = "new",
    ) -> None:
        """Choose these rows, none to clear; observers of ``rows`` hear of it once.

        With `combine` "add" or "remove" they come to those of the same split that are chosen
        already, or go from them.

        Raises
        ------
        InputError
            If `rows` are not whole numbers from 0.
        """
        chosen = _checked(rows)
        if combine != "new" and split == self.split:
            joined = np.union1d if combine == "add" else np.setdiff1d
            chosen = joined(self.rows, chosen)
        if np.array_equal(chosen, self.rows) and split == self.split:
            return
        # The rows last: who hears of them finds the rest in place.
        self.split, self.source = split, source
        self.rows = chosen

    def clear(self) -> None:
        """Choose nothing."""
        self.choose([], split=self.split)

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return True  # an empty selection is still one

    @traitlets.validate("rows")
    def _rows(self, proposal: Any) -> NDArray[np.int64]:
        return _checked(proposal["value"])


def _checked(rows: ArrayLike) -> NDArray[np.int64]:
    found = np.asarray(rows)
    if found.size == 0:
        return np.empty(0, np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu" or found.min() < 0:
        raise InputError(
            f"rows must be whole numbers from 0 in one dimension, got {found.dtype} of shape "
            f"{found.shape}"
        )
    return np.unique(found).astype(np.int64)
