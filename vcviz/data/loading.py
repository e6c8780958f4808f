"""Data by name: `load_data` gives a train and a test `Split`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip, unknown
from vcviz.base.options import check_count, check_fraction, check_options
from vcviz.base.progress import bars
from vcviz.data.digits import load_digits
from vcviz.data.hub_and_path import HUB_ID, SHAPES, exists, source_title
from vcviz.data.labels import labelled_by, noisy_labels
from vcviz.data.mixture import load_mixture
from vcviz.data.read_options import ReadOptions
from vcviz.data.stored import load_stored, read_inputs_like
from vcviz.data.strangers import STRANGERS, make_strangers
from vcviz.data.subsets import imbalanced, some_rows, subset
from vcviz.data.utilities import load_utilities
from vcviz.records import Split

#: names that need no more; adding a dataset is a loader and a line here
DATASETS: dict[str, Callable[..., tuple[Split, Split]]] = {
    "digits": load_digits,
    "mixture": load_mixture,
    "utilities": load_utilities,
}

#: options that `load_data` handles itself
_COMMON = (
    "seed", "test_fraction", "n_train", "train_imbalance", "train_label", "train_noise", "progress"
)  # fmt: skip

#: what is asked of strangers beside where they are
_OF_STRANGERS = ("split", "config", "revision", "header", "separator", "image", "text", "label")


def load_data(
    name: str,
    *,
    seed: int = 0,
    test_fraction: float | None = None,
    n_train: int | None = None,
    train_imbalance: float | Mapping[str, Any] | None = None,
    train_label: str | None = None,
    train_noise: float = 0.0,
    progress: bool = True,
    **options: Any,
) -> tuple[Split, Split]:
    """Return the train and the test split of a dataset.

    Parameters
    ----------
    name : "digits" (scikit-learn's, no network), "mixture" (Gaussians whose truth is known),
        "utilities" (noise of labels that depends on the input, known too), "hub:<owner/name>"
        (Hugging Face Hub) or "path:<folder or file>"
    seed : of every random choice of rows
    test_fraction : share of the rows that becomes the test split; default a third, or the data's
        own test split where it has one
    n_train : keep this many training rows, stratified (see `subset`), of inputs made ready by all
        of them
    train_imbalance : keep training rows such that some classes are so many times rarer than
        others; the test split stays as it is. A ratio, or the options of `imbalanced`, e.g.
        ``{"ratio": 20, "kind": "step", "largest": 100}``. Comes before `n_train`.
    train_label : label column to train by in place of the main one, for example what annotators
        said (see `labelled_by`); the test split keeps the main one
    train_noise : share of the training labels replaced at random (see `noisy_labels`), after
        everything else
    progress : whether work longer than two seconds shows a bar
    options : of that dataset: see `load_digits`, `load_mixture`, `load_utilities` and, for
        hub: and path:, `vcviz.data.read_options.ReadOptions`; `dataset_options` lists them

    Returns
    -------
    train, test : Split
        Images as uint8, tables standardised by the training rows, text as token ids.

    Raises
    ------
    InputError
        For an unknown name or option, with the nearest one, and for data that cannot be used.

    Examples
    --------
    >>> train, test = vcviz.load_data("digits", n_train=100)
    >>> train.x.shape, train.class_counts
    ((100, 1, 8, 8), array([10, 10, 10, 10, 10, 10, 10, 10, 10, 10]))
    >>> vcviz.load_data("digits", test_fraction=2)
    Traceback (most recent call last):
        ...
    vcviz.base.errors.InputError: test_fraction must lie between 0 and 1, got 2
    """
    loader = _loader(name)
    check_options(f"dataset {name!r}", options, dataset_options(name))
    common: dict[str, Any] = {"seed": check_count("seed", seed, minimum=0)}
    if test_fraction is not None:
        common["test_fraction"] = check_fraction("test_fraction", test_fraction)
    with bars(progress):
        train, test = loader(**common, **options)
    if (train.class_counts > 0).sum() < 2:
        raise InputError(f"{train.name!r} holds one class only; a classifier needs at least 2")
    if train_imbalance is not None:
        train = _imbalanced(train, train_imbalance, seed)
    if n_train is not None:
        train = subset(train, n_train, seed=seed)
    if train_label is not None:
        train = labelled_by(train, train_label)
    if check_fraction("train_noise", train_noise, zero=True):
        train = noisy_labels(train, train_noise, seed=seed)
    return train, test


@takes_records
def load_strangers(
    source: str,
    like: Split,
    *,
    max_rows: int | None = None,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Split:
    """Return out-of-distribution inputs, preprocessed like the rows of a split.

    Parameters
    ----------
    source : "noise", "inverted" or "rotated" (see `make_strangers`), "auto" for square images
        rotated and noise else, or the name of a dataset: of its test rows, or all rows where it
        has no test split. Whether they have labels, and how many classes, plays no part.
    like : rows that a model takes: images become as large, texts are cut alike, and columns of a
        table are scaled as its were
    max_rows : keep at most this many, chosen at random
    seed : of what is random
    progress : whether work longer than two seconds shows a bar
    options : of a dataset of hub: or path:, such as ``split``, ``image``, ``text``, ``label``,
        ``header`` or ``separator``; of another, as for `load_data`

    Returns
    -------
    Split
        Inputs that the model of `like` can take; their labels mean nothing.

    Raises
    ------
    InputError
        If the source cannot be read, or its rows are of another kind or shape.

    Examples
    --------
    >>> _, test = vcviz.load_data("digits")
    >>> strangers = vcviz.data.load_strangers("noise", test, max_rows=100)
    >>> strangers.x.shape, strangers.name
    ((100, 1, 8, 8), 'noise')
    """
    if source == "auto":
        square = like.kind == "image" and like.x.shape[2] == like.x.shape[3]
        source = "rotated" if square else "noise"
    if source in STRANGERS:
        made = make_strangers(like, source, seed=seed)
        return made.take(some_rows(len(made), max_rows, seed))
    title, x, texts = source, np.empty(0), None
    if source not in DATASETS and _is_stored(source):
        preprocessing = dict(like.preprocessing)
        if like.kind == "image":
            # Pictures of one's own, too, have a size.
            shape = {"channels": like.x.shape[1], "size": list(like.x.shape[2:])}
            preprocessing = {"kind": "image", **shape}
        if not preprocessing:
            raise InputError(f"{like.name!r} does not say how its rows were made ready")
        check_options("strangers", options, _OF_STRANGERS)
        part = options.pop("split", None)
        how = ReadOptions(max_rows=max_rows, **options)
        with bars(progress):
            x, texts = read_inputs_like(source, preprocessing, how, split=part, seed=seed)
        title = source_title(source)
        if like.kind == "image" and like.x.dtype != np.uint8:
            x = x.astype(like.x.dtype) / 255
    else:
        other = load_data(source, **{"seed": seed, "progress": progress, **options})[1]
        other = other.take(some_rows(len(other), max_rows, seed))
        if other.kind != like.kind or other.x.shape[1:] != like.x.shape[1:]:
            raise InputError(
                f"strangers {clip(source)} are {other.kind} rows of shape {other.x.shape[1:]}, "
                f"{like.name!r} are {like.kind} rows of shape {like.x.shape[1:]}"
            )
        x, texts = other.x, other.texts
    return Split(
        x,
        np.zeros(len(x), int),
        like.class_names,
        title,
        like.kind,
        texts=texts,
        preprocessing=like.preprocessing,
    )


def dataset_options(name: str) -> list[str]:
    """Return the options that `load_data` takes for a dataset, beside its own arguments."""
    known = list(inspect.signature(_loader(name)).parameters)
    if _is_stored(name):
        known = [field.name for field in fields(ReadOptions)]
    return [option for option in known if option not in _COMMON]


def imbalance_option(dataset: str) -> str:
    """Return the option of a dataset that says how imbalanced its classes are.

    Parameters
    ----------
    dataset : as for `load_data`

    Returns
    -------
    str
        ``imbalance`` where the law itself can be imbalanced, and the test split with it, as that of
        "mixture"; else ``train_imbalance``, which leaves training rows out.

    Examples
    --------
    >>> vcviz.data.imbalance_option("mixture"), vcviz.data.imbalance_option("digits")
    ('imbalance', 'train_imbalance')
    """
    return "imbalance" if "imbalance" in dataset_options(dataset) else "train_imbalance"


def _imbalanced(train: Split, wanted: float | Mapping[str, Any], seed: int) -> Split:
    options = dict(wanted) if isinstance(wanted, Mapping) else {"ratio": wanted}
    check_options("train_imbalance", options, ("ratio", "kind", "largest"))
    if "ratio" not in options:
        raise InputError("train_imbalance must say its ratio, e.g. {'ratio': 100}")
    return imbalanced(train, options.pop("ratio"), seed=seed, **options)


def _is_stored(name: str) -> bool:
    return isinstance(name, str) and ":" in name and name.partition(":")[0] in SHAPES


def _loader(name: str) -> Callable[..., tuple[Split, Split]]:
    if not isinstance(name, str):
        raise InputError(f"a dataset is named by a string, got {clip(name)}")
    if name in DATASETS:
        return DATASETS[name]
    if _is_stored(name):
        # The source is bound by position, so that it is not among the options.
        return partial(load_stored, name)
    if "/" in name or exists(Path(name)):
        kind = "hub" if HUB_ID.fullmatch(name) else "path"
        meant = f"{'path' if exists(Path(name)) else kind}:{name}"
        raise InputError(f"unknown dataset {clip(name)}; did you mean {clip(meant)}?")
    raise unknown("dataset", name, (*DATASETS, *(f"{k}:{v}" for k, v in SHAPES.items())))
