"""Label columns as integers with names, and training rows whose labels are replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_choice, check_count, check_fraction
from vcviz.data.lazy_rows import Values, missing
from vcviz.records import Split

#: name under which the labels are kept that were replaced
CLEAN = "clean_label"


def encode_labels(
    name: str, columns: dict[str, Values], names: tuple[str, ...] | None
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Return the labels of each split as 0..C-1 and the C class names.

    Parameters
    ----------
    name : of the column
    columns : its values in "train" and, if there is one, "test". Strings and integers become
        classes in sorted order of the train split's distinct values, so integers may have gaps.
    names : class names where the column states them, whose order and number then hold

    Raises
    ------
    InputError
        For missing or unlabelled (-1) rows, labels that are no classes, fewer than two classes in
        the train split, and test labels that the train split does not have.
    """
    values = {part: _checked(name, column, part) for part, column in columns.items()}
    distinct = np.unique(values["train"])
    # -1 means unlabelled, but -1 and 1 are an old way to write two classes.
    if names is not None or set(distinct.tolist()) != {-1, 1}:
        for part, column in values.items():
            _check_labelled(column, f"label column {name!r} of the {part} split")
    if names is not None:
        for part, column in values.items():
            _check_range(column, len(names), f"label column {name!r} of the {part} split")
        codes = {part: column.astype(np.int64) for part, column in values.items()}
    else:
        names = tuple(str(v) for v in distinct)
        last = len(distinct) - 1
        codes = {p: np.searchsorted(distinct, v).clip(0, last) for p, v in values.items()}
        for part, column in values.items():
            strange = sorted(set(column[distinct[codes[part]] != column].tolist()))
            if strange:
                raise InputError(
                    f"the test split has labels that the train split does not: {clip(strange)}"
                )
    if len(distinct) < 2:
        raise InputError(
            f"label column {name!r} of the train split holds one class "
            f"({distinct[0]!s}); a classifier needs at least 2 (out-of-distribution inputs need "
            "none: vcviz.data.load_strangers)"
        )
    return codes, tuple(names)


def encode_further(
    name: str, columns: dict[str, Values], names: tuple[str, ...] | None, classes: tuple[str, ...]
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...] | None]:
    """Return a further label column of each split as integers, with names of its own if it has any.

    Integers stay as they are; strings that are all names of `classes`, of the main label, become
    their numbers; other strings are numbered in sorted order. A split in which the column is wholly
    missing is left out.
    """
    values = {p: _checked(name, v, p) for p, v in columns.items() if not missing(v).all()}
    if not values or all(v.dtype.kind in "iub" for v in values.values()):
        whole = {part: column.astype(np.int64) for part, column in values.items()}
        return whole, names
    found = sorted({str(v) for column in values.values() for v in column})
    order = list(classes) if set(found) <= set(classes) else found
    position = {value: code for code, value in enumerate(order)}
    codes = {p: np.array([position[str(v)] for v in column]) for p, column in values.items()}
    return codes, None if order == list(classes) else tuple(order)


def _checked(name: str, array: Values, part: str) -> NDArray[Any]:
    """Return a label column as integers or strings, with nothing missing."""
    where = f"label column {name!r} of the {part} split"
    absent = int(missing(array).sum())
    if absent:
        raise InputError(
            f"{where} has {absent} missing values in {len(array)} rows; remove those rows or "
            "name another column with label="
        )
    if array.dtype.kind == "f" and np.array_equal(array, np.round(array)):
        array = array.astype(np.int64)
    if array.dtype.kind == "b" or (array.dtype.kind in "iu"):
        return array
    if array.dtype.kind in "OUT" and all(isinstance(v, str) for v in array):
        return array.astype(str)
    example = array[0].tolist() if hasattr(array[0], "tolist") else array[0]
    raise InputError(
        f"{where} must hold classes (integers or strings), got values like {clip(example, 40)}; "
        "name another column with label="
    )


def _check_labelled(values: NDArray[Any], where: str) -> None:
    unlabelled = int((values == -1).sum()) if values.dtype.kind in "iu" else 0
    if unlabelled:
        raise InputError(
            f"{where} is -1, which means unlabelled, in {unlabelled} of {len(values)} rows; name "
            "labelled splits with train_split= and test_split="
        )


def _check_range(values: NDArray[Any], n_classes: int, where: str) -> None:
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= n_classes:
        raise InputError(
            f"{where} must hold integers in [0, {n_classes}), got {values.min()} to {values.max()}"
        )


@takes_records
def noisy_labels(split: Split, share: float, *, seed: int = 0) -> Split:
    """Return the split with a share of its labels replaced by another class, each equally likely.

    Parameters
    ----------
    split : rows with true labels
    share : chance that a label is replaced, in [0, 1)
    seed : which ones, and by what; with one seed the labels replaced at a smaller share are among
        those replaced at a larger one

    Returns
    -------
    Split
        The labels as they were are its ``labels["clean_label"]``.

    Raises
    ------
    InputError
        If `share` is not in [0, 1).

    Examples
    --------
    >>> train, _ = vcviz.load_data("digits")
    >>> noisy = vcviz.data.noisy_labels(train, 0.2)
    >>> print(f"{np.mean(noisy.y != noisy.labels['clean_label']):.1f}")
    0.2
    """
    share = check_fraction("share", share, zero=True)
    rng = np.random.default_rng([check_count("seed", seed, minimum=0), len(split)])
    chance, step = rng.random(len(split)), rng.integers(1, split.n_classes, len(split))
    wrong = (split.y + np.where(chance < share, step, 0)) % split.n_classes
    return replace(split, y=wrong, labels={**split.labels, CLEAN: split.y})


@takes_records
def labelled_by(split: Split, column: str) -> Split:
    """Return the split with another of its label columns as its labels.

    For example what annotators said of the rows. The labels as they were are
    ``labels["clean_label"]``.

    Parameters
    ----------
    split : rows with more than one label column
    column : name of one of ``split.labels``

    Raises
    ------
    InputError
        If there is no such column, or its values are no classes of the split.

    Examples
    --------
    >>> train, _ = vcviz.load_data("digits")
    >>> noisy = vcviz.data.noisy_labels(train, 0.2)
    >>> again = vcviz.data.labelled_by(noisy, "clean_label")
    >>> print(f"{np.mean(noisy.y != train.y):.1f}, {np.mean(again.y != train.y):.1f}")
    0.2, 0.0
    """
    check_choice(f"label column of {split.name!r}", column, split.labels)
    own = split.preprocessing.get("label_names", {})
    values = split.labels[column]
    if column in own or not ((values >= 0) & (values < split.n_classes)).all():
        raise InputError(
            f"{column!r} of {split.name!r} has other values than its {split.n_classes} classes"
        )
    return replace(split, y=values, labels={**split.labels, CLEAN: split.y})
