"""New rows made ready as the rows of a split were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from vcviz.base.errors import unknown
from vcviz.data.images import decode_images
from vcviz.data.tables import apply_table
from vcviz.data.text import encode_texts

_KINDS = ("image", "text", "table")


def apply_preprocessing(
    preprocessing: Mapping[str, Any], rows: Any, *, progress: bool = False
) -> NDArray[Any]:
    """Return the inputs of a classifier from raw rows, as ``split.preprocessing`` says.

    Parameters
    ----------
    preprocessing : ``preprocessing`` of a `Split`; JSON-able, so it survives a run folder
    rows : for images a list of PIL images, paths, encoded bytes or uint8 arrays, resized to the
        size of the split; for text a list of strings; for tables a DataFrame, a mapping of column
        to values, a list of mappings or an array
    progress : whether work longer than two seconds shows a bar

    Returns
    -------
    x : (N, c, h, w) uint8, (N, L) int32 or (N, F) float32

    Raises
    ------
    InputError
        If the rows do not fit what the split was made from.
    """
    kind = preprocessing.get("kind")
    if kind == "image":
        return decode_images(
            rows,
            size=preprocessing["size"],
            channels=preprocessing["channels"],
            progress=progress,
        )
    if kind == "text":
        settings = {k: preprocessing[k] for k in ("n_tokens", "ngrams", "max_length")}
        return encode_texts(rows, **settings, progress=progress)
    if kind == "table":
        return apply_table(preprocessing, rows)
    raise unknown("kind of preprocessing", kind, _KINDS)
