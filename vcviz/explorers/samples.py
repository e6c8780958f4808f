"""What stands behind a row: its picture, its text or its numbers."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from vcviz.base.errors import InputError
from vcviz.figures.pictures import data_uri, rgba
from vcviz.records import Split

_FEATURES = 12  # numbers of a table's row that are told
_LONGEST = 600  # characters of a text


class Sample(NamedTuple):
    """One row of a split.

    Attributes
    ----------
    image : PNG as a data URI, or None
    text : the row in words or numbers, "" for a picture; not escaped
    """

    image: str | None
    text: str


class Samples:
    """Rows of a run's splits, loaded when the first one is asked for.

    Parameters
    ----------
    run : has ``split(name)``; one whose data are gone, or that never had any, has no samples
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._split = cache(self._load)

    def __call__(self, split: str, row: int) -> Sample | None:
        """Return what stands behind a row of "train" or "test", or None if nobody knows."""
        rows = self._split(split)
        if rows is None or not 0 <= row < len(rows):
            return None
        return sample_of(rows, row)

    def _load(self, split: str) -> Split | None:
        load = getattr(self._run, "split", None)
        if load is None:
            return None
        try:
            found: Split | None = load(split)
        except (InputError, OSError):
            return None  # latents are worth a look without their inputs, too
        return found


def sample_of(split: Split, row: int) -> Sample:
    """Return what stands behind one row."""
    x = split.x[row]
    if split.kind == "image":
        largest = np.float32(255 if split.x.dtype == np.uint8 else 1)
        image = np.clip(np.asarray(x, np.float32) / largest, 0, 1).astype(np.float32)
        return Sample(data_uri(rgba(image[None])[0][:-1, :-1]), "")
    if split.texts is not None:
        text = split.texts[row]
        return Sample(None, text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
    values = ", ".join(f"{v:.4g}" for v in np.ravel(x)[:_FEATURES])
    return Sample(None, values + (", …" if np.size(x) > _FEATURES else ""))
