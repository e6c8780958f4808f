"""Datasets of the Hub and of local files as splits: images, text or tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_count
from vcviz.data.columns import assign_roles
from vcviz.data.hub_and_path import open_source, source_folder, source_title
from vcviz.data.labels import encode_further, encode_labels
from vcviz.data.lazy_rows import Column, Rows, join_labels
from vcviz.data.preprocessing import Part, apply_inputs, read_inputs
from vcviz.data.read_options import ReadOptions
from vcviz.data.subsets import TEST_FRACTION, some_rows, split_rows, subset_rows
from vcviz.records import Split, as_float

_TRAIN_NAMES = ("train", "training")
_TEST_NAMES = ("test", "validation", "valid", "val", "dev")


def load_stored(
    source: str,
    *,
    seed: int = 0,
    test_fraction: float | None = None,
    **options: Any,
) -> tuple[Split, Split]:
    """Return the train and the test split of ``hub:<owner/name>`` or ``path:<folder or file>``.

    A folder holds Parquet, CSV, JSON or NumPy files (a ``README.md`` may say which file is which
    split), or one folder of images or of texts a class, within ``train`` and ``test`` where there
    are both; tables beside images say more of them.

    Parameters
    ----------
    source : where the data are
    seed : of the stratified choice of rows, where one is made
    test_fraction : share of the train split that becomes the test split. Default: the test split
        of the data, or its validation split, or a third where it has neither
    options : see `ReadOptions`

    Raises
    ------
    InputError
        If the data cannot be read, are not what a classifier can learn from, or take more memory
        than is free.
    """
    how = ReadOptions(**options)
    with ExitStack() as stack:
        used = _used_splits(source, how, test_fraction, stack)
        title = source_title(source)
        features = {**used["train"].columns}
        for column, feature in used.get("test", used["train"]).columns.items():
            features.setdefault(column, feature)
        roles = assign_roles(
            features,
            used["train"],
            how,
            name=title,
        )
        _check_columns(used, (*roles.inputs, roles.label))
        raw = {name: data.values(roles.label) for name, data in used.items()}
        y, classes = encode_labels(roles.label, raw, features[roles.label].names)
        share = TEST_FRACTION if test_fraction is None else test_fraction
        rows = _rows(y, how.max_rows, share, seed)
        train_data = used["train"]
        parts = [Part(name, used.get(name, train_data), rows[name]) for name in ("train", "test")]
        inputs = read_inputs(
            parts,
            roles,
            how,
            folder=source_folder(source),
        )
        further, names = _further(parts, roles.labels, features, classes)
        probs = [_distributions(part, how.label_probs, features, len(classes)) for part in parts]
    preprocessing = (
        {**inputs.preprocessing, "label_names": names} if names else inputs.preprocessing
    )
    built = [
        Split(
            x=x,
            y=y.get(part.name, y["train"])[part.rows],
            class_names=classes,
            name=f"{title} {part.name}",
            kind=roles.kind,
            label_probs=label_probs,
            index=part.rows,
            texts=texts,
            labels=further[part.name],
            preprocessing=preprocessing,
        )
        for part, x, texts, label_probs in zip(parts, inputs.x, inputs.texts, probs, strict=True)
    ]
    return built[0], built[1]


def read_inputs_like(
    source: str,
    preprocessing: Mapping[str, Any],
    how: ReadOptions,
    *,
    split: str | None,
    seed: int,
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Return inputs of a source, made ready as those of other data were, and their texts.

    Labels play no part: `how.label` is a column that is no input. The split is the one asked for,
    or that for testing, or for validation, or the first; `max_rows` of it are chosen at random.

    Raises
    ------
    InputError
        If the data cannot be read, or are of another kind.
    """
    with ExitStack() as stack:
        splits = open_source(source, stack, how)
        title = source_title(source)
        if split is None:
            split = _first(splits, _TEST_NAMES) or next(iter(splits))
        data = splits[check_choice(f"split of {title!r}", split, splits)]
        chosen = some_rows(len(data), how.max_rows, seed)
        how = replace(how, columns=preprocessing.get("columns"), labels=())
        roles = assign_roles(data.columns, data, how, needs_label=False, name=title)
        if roles.kind != preprocessing["kind"]:
            raise InputError(f"{title!r} are {roles.kind} rows, not {preprocessing['kind']} rows")
        if not len(chosen):
            raise InputError(f"the split {split!r} of {title!r} is empty: it has no rows")
        part, folder = Part(split, data, chosen), source_folder(source)
        return apply_inputs(part, roles, preprocessing, folder=folder)


def _used_splits(
    source: str, how: ReadOptions, test_fraction: float | None, stack: ExitStack
) -> dict[str, Rows]:
    """Return the splits to use, as `_choose`, with the labels that lie elsewhere."""
    splits = open_source(source, stack, how)
    title, others = source_title(source), how.extra_labels or ()
    for other in (others,) if isinstance(others, str) else others:
        joined = open_source(other, stack)
        splits = join_labels(splits, joined, title, other)
    return _choose(splits, how.train_split, how.test_split, test_fraction, title)


def _choose(
    splits: dict[str, Rows],
    train_split: str | None,
    test_split: str | None,
    test_fraction: float | None,
    title: str,
) -> dict[str, Rows]:
    """Return the splits to use under "train" and, unless one is to be made, "test"."""
    for asked in (train_split, test_split):
        if asked is not None:
            check_choice(f"split of {title!r}", asked, splits)
    if test_split is not None and test_fraction is not None:
        raise InputError("give test_split or test_fraction, not both")
    train_name = train_split or _first(splits, _TRAIN_NAMES)
    if train_name is None and len(splits) == 1:
        train_name = next(iter(splits))
    if train_name is None:
        raise InputError(
            f"{title!r} has no split called 'train' but {', '.join(splits)}; name one with "
            "train_split="
        )
    test_name = test_split
    if test_name is None and test_fraction is None:
        others = [name for name in splits if name != train_name]
        test_name = _first(others, _TEST_NAMES)
    used = {"train": splits[train_name]}
    if test_name is not None:
        used["test"] = splits[test_name]
    for name, data in zip((train_name, test_name), used.values(), strict=False):
        if len(data) == 0:
            raise InputError(f"the split {name!r} of {title!r} is empty: it has no rows")
    return used


def _first(splits: Iterable[str], names: Sequence[str]) -> str | None:
    """Return the split that is called by the first of the names that any is."""
    lower = {name.lower(): name for name in splits}
    return next((lower[name] for name in names if name in lower), None)


def _check_columns(used: dict[str, Rows], columns: Sequence[str]) -> None:
    for name, data in used.items():
        for column in columns:
            if column not in data.columns:
                advice = "; test_fraction= takes the test rows from the train split"
                raise InputError(
                    f"the {name} split has no column {column!r}; its columns are: "
                    f"{', '.join(data.columns)}{advice if name == 'test' else ''}"
                )


def _rows(
    y: dict[str, NDArray[np.int64]], max_rows: int | None, test_fraction: float, seed: int
) -> dict[str, NDArray[np.int64]]:
    """Return which rows become "train" and "test"; without a test split both come from train."""
    limit = None if max_rows is None else check_count("max_rows", max_rows)
    rows = {}
    for name, labels in y.items():
        rows[name] = np.arange(len(labels))
        if limit is not None and limit < len(labels):
            rows[name] = subset_rows(labels, limit, seed=seed, name=name)
    if "test" not in rows:
        rest, part = split_rows(y["train"][rows["train"]], test_fraction, seed=seed, name="train")
        rows["train"], rows["test"] = rows["train"][rest], rows["train"][part]
    return rows


def _further(
    parts: Sequence[Part],
    columns: Sequence[str],
    features: dict[str, Column],
    classes: tuple[str, ...],
) -> tuple[dict[str, dict[str, NDArray[np.int64]]], dict[str, list[str]]]:
    """Return the further labels of each part, and the names of those that have their own."""
    labels: dict[str, dict[str, NDArray[np.int64]]] = {part.name: {} for part in parts}
    names = {}
    for column in columns:
        given = {p.name: p.values(column) for p in parts if column in p.data.columns}
        codes, own = encode_further(column, given, features[column].names, classes)
        if own is not None:
            names[column] = list(own)
        for part_name, values in codes.items():
            labels[part_name][column] = values
    return labels, names


def _distributions(
    part: Part, column: str | None, features: dict[str, Column], n_classes: int
) -> NDArray[np.float64] | None:
    """Return (N, C) label distributions of a part, or None if it has no such column."""
    if column is None:
        return None
    if column not in features:
        raise InputError(
            f"label_probs={column!r} is no column; the columns are: {', '.join(features)}"
        )
    if column not in part.data.columns:
        return None
    values = part.values(column).tolist()
    where = f"column {column!r} of the {part.name} split"
    if any(not hasattr(row, "__len__") or len(row) != n_classes for row in values):
        raise InputError(f"{where} must hold lists of {n_classes} numbers, one a class")
    probs = as_float(where, np.stack(values), 2, np.float64)
    if probs.min() < 0 or probs.sum(1).min() <= 0:
        raise InputError(f"{where} must hold distributions: no number below 0, not all of them 0")
    return probs / probs.sum(1, keepdims=True)
