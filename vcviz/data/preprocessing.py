"""Input columns as arrays, fitted to the train split; other rows made ready alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError, unknown
from vcviz.base.progress import bars
from vcviz.data.columns import Roles
from vcviz.data.dataset_files import Places
from vcviz.data.documents import Documents
from vcviz.data.images import decode_images
from vcviz.data.lazy_rows import Rows, Values, missing
from vcviz.data.read_options import ReadOptions
from vcviz.data.tables import apply_table, fit_table
from vcviz.data.text import check_ngrams, hash_ngrams, pad, usual_length

if TYPE_CHECKING:
    import pandas as pd
_KINDS = ("image", "text", "table")


class Part(NamedTuple):
    """Rows of one split of the source: "train" or "test", the split, and positions in it."""

    name: str
    data: Rows
    rows: NDArray[np.int64]

    def values(self, column: str) -> Values:
        """Return a column of these rows."""
        return self.data.values(column, self.rows)

    def frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return columns of these rows."""
        return self.data.frame(columns, self.rows)


class Inputs(NamedTuple):
    """The inputs of each part, its texts if they are text, and how they were made."""

    x: list[NDArray[Any]]
    texts: list[tuple[str, ...] | None]
    preprocessing: dict[str, Any]


def read_inputs(
    parts: Sequence[Part],
    roles: Roles,
    how: ReadOptions,
    *,
    folder: Path | None,
) -> Inputs:
    """Return the inputs of every part; the first is the one that is fitted to.

    Relative paths of images start at `folder`.
    """
    if roles.kind == "image":
        return _images(parts, roles.inputs[0], folder, how.image_size)
    if roles.kind == "text":
        return _texts(parts, roles.inputs, how)
    frames = [part.frame(roles.inputs) for part in parts]
    preprocessing = fit_table(frames[0], f"the {parts[0].name} split")
    x: list[NDArray[Any]] = [
        apply_table(preprocessing, frame, f"the {part.name} split")
        for part, frame in zip(parts, frames, strict=True)
    ]
    return Inputs(x, [None] * len(parts), preprocessing)


def apply_inputs(
    part: Part,
    roles: Roles,
    preprocessing: Mapping[str, Any],
    *,
    folder: Path | None,
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Return the inputs of a part, made as `preprocessing` says, and its texts if it is text."""
    if roles.kind == "table":
        frame = part.frame(roles.inputs)
        return apply_table(preprocessing, frame, f"the {part.name} split"), None
    if roles.kind == "text":
        texts = _joined(part, roles.inputs)
        return _from_raw(preprocessing, texts), texts
    images = decode_images(
        _encoded(part, roles.inputs[0], folder),
        size=preprocessing["size"],
        channels=preprocessing["channels"],
        where=lambda k: f"row {part.rows[k]} of the {part.name} split",
    )
    return images, None


def _images(
    parts: Sequence[Part],
    column: str,
    folder: Path | None,
    size: int | Sequence[int] | None,
) -> Inputs:
    sources = [_encoded(part, column, folder) for part in parts]
    names = [f"row {row} of the {part.name} split" for part in parts for row in part.rows]
    images = decode_images(
        [image for chosen in sources for image in chosen],
        size=size,
        where=names.__getitem__,
    )
    _, channels, height, width = images.shape
    ends = np.cumsum([len(chosen) for chosen in sources])[:-1]
    preprocessing = {"kind": "image", "channels": channels, "size": [height, width]}
    return Inputs(np.split(images, ends), [None] * len(parts), preprocessing)


def _encoded(part: Part, column: str, folder: Path | None) -> list[Any]:
    """Return the images of a part, not yet decoded."""
    images = part.values(column).tolist()
    if isinstance(part.data, Documents):
        return images  # paths of our own
    places = Places(folder)
    return [
        _placed(image, places, part.name, int(row))
        for image, row in zip(images, part.rows, strict=True)
    ]


def _placed(image: Any, places: Places, split: str, row: int) -> Any:
    """Return bytes as they are, and a name as the path of a file that may be read."""
    if isinstance(image, dict):
        image = image["path"] if image["bytes"] is None else image["bytes"]
    if image is None or isinstance(image, bytes | np.ndarray):
        return image
    try:
        return places.locate(image)
    except InputError as error:
        raise InputError(f"row {row} of the {split} split: {error}") from None


def _texts(
    parts: Sequence[Part],
    columns: Sequence[str],
    how: ReadOptions,
) -> Inputs:
    texts = [_joined(part, columns) for part in parts]
    shape = check_ngrams(how.ngrams)
    ids = [hash_ngrams(t, n_tokens=how.n_tokens, ngrams=shape) for t in texts]
    if not any(len(row) for row in ids[0]):
        raise InputError(f"column {columns[0]!r} of the {parts[0].name} split holds no words")
    length = usual_length(ids[0]) if how.max_length is None else how.max_length
    preprocessing = {
        "kind": "text",
        "n_tokens": how.n_tokens,
        "ngrams": list(shape),
        "max_length": length,
    }
    return Inputs([pad(part, length) for part in ids], list(texts), preprocessing)


def _joined(part: Part, columns: Sequence[str]) -> tuple[str, ...]:
    frame = part.frame(columns)
    for column in columns:
        absent = int(missing(frame[column].to_numpy()).sum())
        if absent:
            raise InputError(
                f"column {column!r} of the {part.name} split has {absent} missing values in "
                f"{len(frame)} rows; remove those rows"
            )
    return tuple("\n".join(row) for row in frame.itertuples(index=False, name=None))


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

    Examples
    --------
    >>> train, _ = vcviz.load_data("digits")
    >>> eight = np.zeros((16, 16), np.uint8)  # a picture of another size
    >>> vcviz.data.apply_preprocessing(train.preprocessing, [eight]).shape
    (1, 1, 8, 8)
    """
    with bars(progress):
        return _from_raw(preprocessing, rows)


def _from_raw(preprocessing: Mapping[str, Any], rows: Any) -> NDArray[Any]:
    kind = preprocessing.get("kind")
    if kind == "image":
        return decode_images(
            rows,
            size=preprocessing["size"],
            channels=preprocessing["channels"],
        )
    if kind == "text":
        n_tokens, ngrams = preprocessing["n_tokens"], preprocessing["ngrams"]
        return pad(hash_ngrams(rows, n_tokens=n_tokens, ngrams=ngrams), preprocessing["max_length"])
    if kind == "table":
        return apply_table(preprocessing, rows)
    raise unknown("kind of preprocessing", kind, _KINDS)
