"""Which column of a dataset is what: recognised by what it holds, or as asked.

A column of images is the input of an image set; strings are text; several numbers are a table. A
column that states its class names, or else one with a usual name, is the label.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vcviz.base.errors import InputError, clip, nearest
from vcviz.data.dataset_files import kind_of
from vcviz.data.lazy_rows import Column, Rows, missing
from vcviz.data.read_options import ReadOptions
from vcviz.records import Kind

#: names of labels, without spaces, points and underscores: the usual, and else these
_LABEL_NAMES = ("label", "labels", "target", "class", "y", "category", "species")
_OTHER_LABEL_NAMES = ("classid", "classname", "classlabel", "intent", "sentiment")
_TEXT_NAMES = ("text", "sentence", "content", "document", "review", "question")
_ROW_NAMES = ("index", "idx", "id", "row", "row_id", "unnamed: 0", "__index_level_0__")
#: a column with more distinct values than this, or than half its rows, is hardly a label
_MOST_CLASSES = 1000
_LABELS = ("integer", "string", "bool")
_NONE_NEEDED = "; out-of-distribution inputs need none: vcviz.data.load_strangers"
_Columns = dict[str, Column]


@dataclass(frozen=True)
class Roles:
    """What each column is for.

    Attributes
    ----------
    kind : "image", "text" or "table"
    inputs : the image column, the text columns (joined) or the columns of the table
    label : the main label; "" where none is needed
    labels : further label columns
    """

    kind: Kind
    inputs: tuple[str, ...]
    label: str
    labels: tuple[str, ...]


def assign_roles(
    features: _Columns,
    rows: Rows,
    how: ReadOptions,
    *,
    needs_label: bool = True,
    name: str,
) -> Roles:
    """Return the roles of the columns of a dataset: those asked for, and what is recognised.

    `features` may hold columns of the test split alone; `rows`, of the train split, are looked at
    where names do not settle which column is the label. Where no label is needed, what could be
    one is only no input.

    Raises
    ------
    InputError
        If a column is missing, or what is there does not settle a role.
    """
    asked = {
        "image": _names("image", how.image, features, name),
        "text": _names("text", how.text, features, name),
        "table": _names("columns", how.columns, features, name),
    }
    kinds: list[Kind] = [kind for kind, chosen in asked.items() if chosen]  # type: ignore[misc]
    if len(kinds) > 1:
        raise InputError("give one of image=, text= and columns=, not several")
    inputs = asked[kinds[0]] if kinds else ()
    main = next(iter(_names("label", how.label, features, name)), "")
    if how.label is None and needs_label:
        main = _find_label(features, inputs, rows, name)
    elif how.label is None:
        stated = [c for c in features if features[c].names is not None]
        main = next((c for c in (*stated, *usual_labels(list(features))) if c not in inputs), "")
    if how.labels is None:
        free = [c for c in features if c not in (main, *inputs)]
        further = tuple(c for c in free if _is_label_like(c, features[c]))
    else:
        further = _names("labels", how.labels, features, name)
    if not kinds:
        own = {c: f for c, f in features.items() if c in rows.columns}
        kind, inputs = _find_inputs(own, rows, {main, *further}, name)
        kinds = [kind]
    for column in inputs:
        _check_input(kinds[0], column, features[column])
    if main in inputs:
        raise InputError(f"column {main!r} cannot be both the label and an input")
    return Roles(kinds[0], inputs, main, further)


def _names(
    option: str, value: str | Sequence[str] | None, features: _Columns, name: str
) -> tuple[str, ...]:
    """Return the column names that an option gives, each of them known."""
    if value is None:
        return ()
    given = tuple(value) if isinstance(value, list | tuple) else (value,)
    # Columns without names are called by their numbers.
    chosen = tuple(str(c) if type(c) is int and str(c) in features else c for c in given)
    for column in chosen:
        if column not in features:
            raise InputError(
                f"{option}={clip(column)} is no column of {name!r}, whose columns are "
                f"{', '.join(features)}{nearest(column, features)}"
            )
    return chosen


def _check_input(kind: Kind, column: str, feature: Column) -> None:
    string = feature.kind == "string"
    fits = {
        "image": feature.kind == "image" or string,
        "text": string,
        "table": string or feature.is_number,
    }
    if not fits[kind]:
        needed = {"image": "images", "text": "strings", "table": "numbers or strings"}[kind]
        raise InputError(f"column {column!r} must hold {needed}, got {feature.kind}")


def _find_label(features: _Columns, inputs: Sequence[str], rows: Rows, name: str) -> str:
    free = [c for c in features if c not in inputs]
    stated = [c for c in free if features[c].names is not None]
    usual = [c for c in usual_labels(free) if features[c].kind != "image"]
    both = [c for c in usual if c in stated]
    for found in (both, stated, usual):
        if len(found) == 1:
            return found[0]
    several = stated or usual
    likely = {} if several else _likely(rows, [c for c in free if c.lower() not in _ROW_NAMES])
    numbered = all(c.isdecimal() for c in features)
    if numbered and len(likely) == 1:
        # Columns without names: only what they hold can tell.
        return next(iter(likely))
    problem = f"several labels ({', '.join(several)})" if several else "no label column"
    layout = " (or put the images in one folder a class)" if "image" in features else ""
    layout = " (or put the texts in one folder a class)" if list(features) == ["text"] else layout
    offer = ", ".join(f"{column!r} ({n} values)" for column, n in list(likely.items())[:4])
    bare = not numbered and any(re.fullmatch(r"-?[\d.]+(e-?\d+)?(\.\d+)?", c) for c in features)
    raise InputError(
        f"{name!r} has {problem}; name the one to learn with label={layout}"
        f"{f', likely {offer}' if offer else ''}, its columns are: {', '.join(features)}"
        f"{'; if they are its first row, pass header=False' if bare else ''}"
        f"{'' if several or likely else _NONE_NEEDED}"
    )


def usual_labels(columns: Sequence[str]) -> list[str]:
    """Return the columns that are called as labels usually are."""
    plain = {c: re.sub(r"[\W_]", "", c.lower()) for c in columns}
    first = [c for c in columns if plain[c] in _LABEL_NAMES]
    return first or [c for c in columns if plain[c] in _OTHER_LABEL_NAMES]


def _likely(rows: Rows, columns: Sequence[str]) -> dict[str, int]:
    """Return the columns whose values come again and again, fewest first, and how many they are."""
    counts = {}
    for column in columns:
        if column in rows.columns and rows.columns[column].kind in _LABELS:
            values = rows.values(column)
            distinct = len(set(values[~missing(values)].tolist()))
            if 2 <= distinct <= min(len(values) / 2, _MOST_CLASSES):
                counts[column] = distinct
    return dict(sorted(counts.items(), key=lambda item: item[1]))


def _find_inputs(
    features: _Columns, rows: Rows, taken: set[str], name: str
) -> tuple[Kind, tuple[str, ...]]:
    free = [c for c in features if c not in taken and c.lower() not in _ROW_NAMES]
    images = [c for c in free if features[c].kind == "image"]
    images = images or [c for c in free if _names_images(rows, c)]
    texts = [c for c in free if features[c].kind == "string"]
    numbers = [c for c in free if features[c].is_number]
    if len(images) == 1:
        return "image", (images[0],)
    named = [c for c in texts if c.lower() in _TEXT_NAMES]
    if not images and len(named) == 1:
        return "text", (named[0],)
    if not images and numbers:
        return "table", tuple(c for c in free if c in numbers or c in texts)
    if not images and len(texts) == 1:
        return "text", (texts[0],)
    several = images or texts
    problem = (
        f"several columns that could be the input ({', '.join(several)})"
        if several
        else "no column of images, text or numbers (labels alone are joined by extra_labels=)"
    )
    raise InputError(
        f"{name!r} has {problem}; name the input with image=, text= or columns=, its columns are: "
        f"{', '.join(features)}"
    )


def _names_images(rows: Rows, column: str) -> bool:
    """Return whether the first strings of a column are names of images."""
    if rows.columns[column].kind != "string":
        return False
    first = rows.values(column, np.arange(min(20, len(rows))))
    return len(first) > 0 and all(kind_of(str(name)) == "image" for name in first)


def _is_label_like(column: str, feature: Column) -> bool:
    named = "label" in column.lower() and feature.kind in ("integer", "string")
    return feature.names is not None or named
