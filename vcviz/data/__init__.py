"""Data by name: `load_data` gives a train and a test `Split`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from vcviz.data.corruptions import CORRUPTIONS, corrupt, corruptions_of
from vcviz.data.digits import load_digits
from vcviz.data.fingerprint import fingerprint
from vcviz.data.mixture import load_mixture, true_prior
from vcviz.data.preprocessing import apply_preprocessing
from vcviz.data.relabelled import labelled_by, noisy_labels
from vcviz.data.shapes import load_shapes
from vcviz.data.sources import HUB_ID, SHAPES, exists
from vcviz.data.stored import load_stored
from vcviz.data.strangers import HeldOut, hold_out_classes, make_strangers
from vcviz.data.subsets import imbalanced, stratified_split, subset
from vcviz.data.text import encode_texts
from vcviz.data.utilities import load_utilities, true_utilities
from vcviz.errors import InputError, clip, unknown
from vcviz.options import check_count, check_fraction, check_options
from vcviz.records import Split

#: names that need no more; adding a dataset is a loader and a line here
DATASETS: dict[str, Callable[..., tuple[Split, Split]]] = {
    "digits": load_digits,
    "mixture": load_mixture,
    "utilities": load_utilities,
}

#: what `load_data` sees to itself
_COMMON = (
    "seed", "test_fraction", "n_train", "train_imbalance", "train_label", "train_noise", "progress"
)  # fmt: skip

__all__ = [
    "CORRUPTIONS",
    "DATASETS",
    "HeldOut",
    "apply_preprocessing",
    "corrupt",
    "corruptions_of",
    "dataset_options",
    "encode_texts",
    "fingerprint",
    "hold_out_classes",
    "imbalanced",
    "load_data",
    "load_shapes",
    "make_strangers",
    "noisy_labels",
    "stratified_split",
    "subset",
    "true_prior",
    "true_utilities",
]


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
        hub: and path:, `load_stored`; `dataset_options` lists them

    Raises
    ------
    InputError
        For an unknown name or option, with the nearest one, and for data that cannot be used.

    Examples
    --------
    >>> train, test = load_data("digits", n_train=100)
    >>> train.x.shape, train.class_counts.tolist()
    ((100, 1, 8, 8), [10, 10, 10, 10, 10, 10, 10, 10, 10, 10])
    """
    loader = _loader(name)
    known = dataset_options(name)
    for option in options:
        if option not in known:
            raise unknown(f"option of dataset {name!r}", option, known)
    common: dict[str, Any] = {"seed": check_count("seed", seed, minimum=0), "progress": progress}
    if test_fraction is not None:
        common["test_fraction"] = check_fraction("test_fraction", test_fraction)
    taken = inspect.signature(loader).parameters
    train, test = loader(**{k: v for k, v in common.items() if k in taken}, **options)
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


def dataset_options(name: str) -> list[str]:
    """Return the options that `load_data` takes for a dataset, beside its own arguments."""
    known = inspect.signature(_loader(name)).parameters
    return [option for option in known if option not in _COMMON]


def _imbalanced(train: Split, wanted: float | Mapping[str, Any], seed: int) -> Split:
    options = dict(wanted) if isinstance(wanted, Mapping) else {"ratio": wanted}
    check_options("train_imbalance", options, ("ratio", "kind", "largest"))
    if "ratio" not in options:
        raise InputError("train_imbalance must say its ratio, e.g. {'ratio': 100}")
    return imbalanced(train, options.pop("ratio"), seed=seed, **options)


def _loader(name: str) -> Callable[..., tuple[Split, Split]]:
    if not isinstance(name, str):
        raise InputError(f"a dataset is named by a string, got {clip(name)}")
    if name in DATASETS:
        return DATASETS[name]
    if name.partition(":")[0] in SHAPES and ":" in name:
        # The source is bound by position, so that it is not among the options.
        return partial(load_stored, name)
    if "/" in name or exists(Path(name)):
        kind = "hub" if HUB_ID.fullmatch(name) else "path"
        meant = f"{'path' if exists(Path(name)) else kind}:{name}"
        raise InputError(f"unknown dataset {clip(name)}; did you mean {clip(meant)}?")
    raise unknown("dataset", name, (*DATASETS, *(f"{k}:{v}" for k, v in SHAPES.items())))
