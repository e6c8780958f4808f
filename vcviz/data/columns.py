"""Which column of a dataset is what: recognised by its features, or as asked.

An Image feature is the input of an image set; strings are text; several numbers are a table. A
ClassLabel feature, or else a column with a usual name, is the label.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vcviz.errors import InputError, clip, nearest
from vcviz.records import Kind

if TYPE_CHECKING:
    from datasets import Features

_LABEL_NAMES = ("label", "labels", "target", "class", "y", "category", "species")
_TEXT_NAMES = ("text", "sentence", "content", "document", "review", "question")
_ROW_NAMES = ("index", "idx", "id", "row", "row_id", "unnamed: 0", "__index_level_0__")


@dataclass(frozen=True)
class Roles:
    """What each column is for.

    Attributes
    ----------
    kind : "image", "text" or "table"
    inputs : the image column, the text columns (joined) or the columns of the table
    label : the main label
    labels : further label columns
    """

    kind: Kind
    inputs: tuple[str, ...]
    label: str
    labels: tuple[str, ...]


def assign_roles(
    features: Features,
    *,
    image: str | None = None,
    text: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    label: str | None = None,
    labels: Sequence[str] | None = None,
    name: str = "data",
) -> Roles:
    """Return the roles of the columns of a dataset with these `features`.

    Parameters
    ----------
    features : column name to feature
    image, text, columns : the input column or columns, at most one of the three
    label : the main label
    labels : further label columns; default every other ClassLabel, and every integer or string
        column with "label" in its name
    name : of the dataset, for messages

    Raises
    ------
    InputError
        If a column is missing, or what is there does not settle a role.
    """
    asked = {
        "image": _names("image", image, features, name),
        "text": _names("text", text, features, name),
        "table": _names("columns", columns, features, name),
    }
    kinds: list[Kind] = [kind for kind, chosen in asked.items() if chosen]  # type: ignore[misc]
    if len(kinds) > 1:
        raise InputError("give one of image=, text= and columns=, not several")
    inputs = asked[kinds[0]] if kinds else ()
    main = label if label is not None else _find_label(features, inputs, name)
    _names("label", main, features, name)
    if labels is None:
        free = [c for c in features if c not in (main, *inputs)]
        further = tuple(c for c in free if _is_label_like(c, features[c]))
    else:
        further = _names("labels", labels, features, name)
    if not kinds:
        kind, inputs = _find_inputs(features, {main, *further}, name)
        kinds = [kind]
    for column in inputs:
        _check_input(kinds[0], column, features[column])
    if main in inputs:
        raise InputError(f"column {main!r} cannot be both the label and an input")
    return Roles(kinds[0], inputs, main, further)


def is_number(feature: Any) -> bool:
    """Return whether a feature holds one number or truth value a row."""
    return bool(re.match(r"u?int|float|bool", dtype_of(feature)))


def dtype_of(feature: Any) -> str:
    """Return the type of a plain value, like "int64" or "string"; "" for any other feature."""
    return feature.dtype if _type(feature) == "Value" else ""


def class_names(feature: Any) -> list[str] | None:
    """Return the names that a ClassLabel feature states, or None for any other feature."""
    return list(feature.names) if _type(feature) == "ClassLabel" else None


def _names(
    option: str, value: str | Sequence[str] | None, features: Features, name: str
) -> tuple[str, ...]:
    """Return the column names that an option gives, each of them known."""
    if value is None:
        return ()
    chosen = tuple(value) if isinstance(value, list | tuple) else (value,)
    for column in chosen:
        if column not in features:
            raise InputError(
                f"{option}={clip(column)} is no column of {name!r}, whose columns are "
                f"{', '.join(features)}{nearest(column, features)}"
            )
    return chosen


def _check_input(kind: Kind, column: str, feature: Any) -> None:
    string = "string" in dtype_of(feature)
    fits = {
        "image": _is_image(feature) or string,
        "text": string,
        "table": string or is_number(feature) or class_names(feature) is not None,
    }
    if not fits[kind]:
        needed = {"image": "images", "text": "strings", "table": "numbers or strings"}[kind]
        raise InputError(f"column {column!r} must hold {needed}, got {clip(feature)}")


def _find_label(features: Features, inputs: Sequence[str], name: str) -> str:
    free = [c for c in features if c not in inputs]
    stated = [c for c in free if class_names(features[c]) is not None]
    usual = [c for c in free if c.lower() in _LABEL_NAMES and not _is_image(features[c])]
    both = [c for c in usual if c in stated]
    for found in (both, stated, usual):
        if len(found) == 1:
            return found[0]
    several = stated or usual
    problem = f"several labels ({', '.join(several)})" if several else "no label column"
    layout = " (or put the images in one folder a class)" if "image" in features else ""
    raise InputError(
        f"{name!r} has {problem}; name the one to learn with label={layout}, its columns are: "
        f"{', '.join(features)}"
    )


def _find_inputs(features: Features, taken: set[str], name: str) -> tuple[Kind, tuple[str, ...]]:
    free = [c for c in features if c not in taken and c.lower() not in _ROW_NAMES]
    images = [c for c in free if _is_image(features[c])]
    texts = [c for c in free if dtype_of(features[c]) in ("string", "large_string")]
    numbers = [c for c in free if is_number(features[c])]
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


def _is_label_like(column: str, feature: Any) -> bool:
    named = "label" in column.lower() and re.match(r"u?int|(large_)?string", dtype_of(feature))
    return class_names(feature) is not None or bool(named)


def _is_image(feature: Any) -> bool:
    pair = isinstance(feature, dict) and set(feature) == {"bytes", "path"}
    return _type(feature) == "Image" or pair or dtype_of(feature) in ("binary", "large_binary")


def _type(feature: Any) -> str:
    return type(feature).__name__
