"""Tables as standardised columns: numbers centred and scaled, categories one-hot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.records import as_array, as_float

if TYPE_CHECKING:
    import pandas as pd

#: a column of strings with more distinct values than this is no category
MOST_CATEGORIES = 50


def fit_table(frame: pd.DataFrame, name: str = "the table") -> dict[str, Any]:
    """Return how the columns of `frame` become features, from its own rows: JSON-able.

    ``columns`` names the source columns, ``categories`` the sorted values of those that hold
    strings, ``features`` the F features in order (a category is ``column=value``), ``mean`` and
    ``scale`` (F) what is subtracted and divided by: mean and standard deviation of the numbers
    (1 where a column is constant), 0 and 1 for categories.

    Raises
    ------
    InputError
        For missing values, columns that are neither numbers nor strings, or too many categories.
    """
    categories = {}
    for column in frame.columns:
        check_column(frame[column], name)
        if not _is_number(frame[column]):
            values = sorted(frame[column].unique())
            if len(values) > MOST_CATEGORIES:
                raise InputError(
                    f"column {column!r} of {name} has {len(values)} different strings, too many "
                    f"for a category (at most {MOST_CATEGORIES}); name the columns to use with "
                    "columns=, or read it with text="
                )
            categories[column] = values
    fitted: dict[str, Any] = {
        "kind": "table",
        "columns": list(frame.columns),
        "categories": categories,
    }
    features, raw, is_category = _features(fitted, frame)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = raw.mean(0), raw.std(0)
    if not np.isfinite(scale).all():
        worst = features[int(np.argmin(np.isfinite(scale)))]
        raise InputError(f"column {worst!r} of {name} holds values too large to be squared")
    # The spread of a constant column is rounding, not zero.
    scale[is_category | (scale <= 1e-12 * np.abs(mean))] = 1.0
    mean[is_category] = 0.0
    return {**fitted, "features": features, "mean": mean.tolist(), "scale": scale.tolist()}


def plain_table(columns: list[str]) -> dict[str, Any]:
    """Return the preprocessing of a table of numbers that stay as they are."""
    return {
        "kind": "table",
        "columns": columns,
        "categories": {},
        "features": columns,
        "mean": [0.0] * len(columns),
        "scale": [1.0] * len(columns),
    }


def apply_table(
    preprocessing: Mapping[str, Any], rows: Any, name: str = "new rows"
) -> NDArray[np.float32]:
    """Return (N, F) standardised features of new rows.

    Parameters
    ----------
    preprocessing : what `fit_table` returned
    rows : a DataFrame, a mapping of column to values, a list of mappings, or an (N, columns)
        array in the order of ``columns``. A category that was not there at first becomes zeros.
    name : of the rows, for messages
    """
    frame = _as_frame(rows, preprocessing["columns"])
    for column in preprocessing["columns"]:
        check_column(frame[column], name)
        expected = column not in preprocessing["categories"]
        if _is_number(frame[column]) != expected:
            raise InputError(
                f"column {column!r} of {name} must hold {'numbers' if expected else 'strings'}, "
                f"got {frame[column].dtype}"
            )
    _, raw, _ = _features(preprocessing, frame)
    standard = (raw - np.asarray(preprocessing["mean"])) / np.asarray(preprocessing["scale"])
    return standard.astype(np.float32)


def check_column(values: pd.Series, name: str) -> None:
    """Refuse missing and infinite values, and anything but numbers and strings."""
    import pandas as pd

    where = f"column {values.name!r} of {name}"
    missing = int(values.isna().sum())
    if missing:
        raise InputError(
            f"{where} has {missing} missing values in {len(values)} rows; remove those rows or "
            "leave the column out"
        )
    if _is_number(values):
        infinite = int(np.isinf(values.to_numpy(np.float64)).sum())
        if infinite:
            raise InputError(f"{where} has {infinite} infinite values; remove those rows")
    elif not all(isinstance(v, str) for v in values):
        kind = values.dtype if pd.api.types.is_datetime64_any_dtype(values) else "mixed values"
        raise InputError(f"{where} must hold numbers or strings, got {kind}")


def _is_number(values: pd.Series) -> bool:
    import pandas as pd

    return pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values)


def _features(
    preprocessing: Mapping[str, Any], frame: pd.DataFrame
) -> tuple[list[str], NDArray[np.float64], NDArray[np.bool_]]:
    """Return names, (N, F) values before standardising, and which of them are categories."""
    names: list[str] = []
    columns: list[NDArray[np.float64]] = []
    is_category: list[bool] = []
    for column in preprocessing["columns"]:
        values = frame[column].to_numpy()
        categories = preprocessing["categories"].get(column)
        if categories is None:
            names.append(column)
            columns.append(values.astype(np.float64))
        else:
            names += [f"{column}={category}" for category in categories]
            columns += [(values == category).astype(np.float64) for category in categories]
        is_category += [categories is not None] * (len(names) - len(is_category))
    return names, np.stack(columns, axis=1), np.array(is_category)


def _as_frame(rows: Any, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    if isinstance(rows, np.ndarray) or hasattr(rows, "detach"):
        rows = as_array("rows", rows)
        if rows.dtype.kind in "fiub":
            rows = as_float("rows", rows, 2, np.float64)
        elif rows.dtype.kind not in "US":
            raise InputError(f"rows must hold numbers or strings, got dtype {rows.dtype}")
        if rows.ndim != 2 or rows.shape[1] != len(columns):
            raise InputError(f"rows must have shape (N, {len(columns)}), got {rows.shape}")
        return pd.DataFrame(rows, columns=list(columns))
    try:
        if isinstance(rows, (list, tuple)) and not all(isinstance(r, Mapping) for r in rows):
            raise TypeError("a list of rows must hold mappings of column to value")
        frame = pd.DataFrame(rows)
    except (TypeError, ValueError) as error:
        raise InputError(f"rows must be a table: {error}") from None
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        have = ", ".join(map(str, frame.columns))
        raise InputError(f"rows lack the columns {', '.join(missing)}; they have: {have}")
    return frame
