"""What stands behind a row: its picture, its text or its numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcviz.base.caching import cached_method
from vcviz.base.errors import InputError
from vcviz.explorers.subject import Subject
from vcviz.figures.pictures import data_uri, rgba
from vcviz.records import Split
from vcviz.runs import Run

_FEATURES = 12  # numbers of a table's row that are told
_LONGEST = 600  # characters of a text
_MOST_NUMBERS = 20_000_000  # of inputs that are compared or averaged at a click


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
    run : one whose data are gone, or that never had any, has no samples
    """

    def __init__(self, run: Run | Subject) -> None:
        self._run = run

    def __call__(self, split: str, row: int) -> Sample | None:
        """Return what stands behind a row of "train" or "test", or None if nobody knows."""
        rows = self.split(split)
        if rows is None or not 0 <= row < len(rows):
            return None
        return sample_of(rows, row)

    def nearest(self, split: str, row: int, count: int) -> list[tuple[int, float]]:
        """Return the rows whose inputs are nearest, with the distances in units of the input.

        Euclidean distances of pictures and tables; of texts, and of more numbers than a click may
        take time for, none.
        """
        rows = self.split(split)
        if rows is None or rows.kind == "text" or rows.x.size > _MOST_NUMBERS:
            return []
        x = np.asarray(rows.x, np.float32).reshape(len(rows), -1)
        away = np.linalg.norm(x - x[row], axis=1)
        away[row] = np.inf
        near = np.argsort(away, kind="stable")[:count]
        return [(int(i), float(away[i])) for i in near]

    def mean_picture(self, split: str, rows: NDArray[np.int64]) -> str | None:
        """Return the mean of some pictures as a data URI; None if rows are no pictures."""
        known = self.split(split)
        if known is None or known.kind != "image" or not len(rows):
            return None
        some = rows[: _MOST_NUMBERS // max(known.x[0].size, 1)]
        largest = np.float32(255 if known.x.dtype == np.uint8 else 1)
        mean = known.x[some].mean(0, dtype=np.float64).astype(np.float32) / largest
        return data_uri(rgba(np.clip(mean, 0, 1)[None])[0][:-1, :-1])

    @cached_method()
    def split(self, name: str) -> Split | None:
        """Return a split of the run, or None if nobody knows it."""
        try:
            return self._run.split(name)
        except (InputError, OSError):
            return None  # latents are worth a look without their inputs, too


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
