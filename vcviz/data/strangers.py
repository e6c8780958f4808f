"""Inputs that a classifier was not trained for, far from its data and near."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_count
from vcviz.records import Split, as_array, as_labels


class HeldOut(NamedTuple):
    """Splits without some classes, and the test rows of those classes: a named tuple.

    Attributes
    ----------
    train, test : splits without the classes that were held out
    strangers : test rows of those classes

    Examples
    --------
    >>> train, test = vcviz.load_data("digits")
    >>> train, test, strangers = vcviz.data.hold_out_classes(train, test, [8, 9])
    >>> test.class_names
    ('0', '1', '2', '3', '4', '5', '6', '7')
    """

    train: Split
    test: Split
    strangers: Split


@takes_records
def make_strangers(split: Split, kind: str, *, seed: int = 0) -> Split:
    """Return out-of-distribution inputs made of a split's rows, as many and of the same shape.

    Parameters
    ----------
    split : rows to start from, usually the test split
    kind : ``"noise"``, far: every value drawn by itself, uniformly over the range of pixels (of
        its column in a table, over the tokens that occur in a text);
        ``"inverted"``, images only: black for white, the same shapes;
        ``"rotated"``, square images only, near: a quarter turn anticlockwise, the same strokes (a
        turned 0 is still a 0: some of these are no strangers)
    seed : of the noise

    Returns
    -------
    Split
        Labels are those of the rows that each was made of, and say nothing about it.

    Raises
    ------
    InputError
        If the kind is unknown or does not fit the data.

    See Also
    --------
    hold_out_classes : strangers that are nearer still

    Examples
    --------
    >>> _, test = vcviz.load_data("digits")
    >>> strangers = vcviz.data.make_strangers(test, "inverted")
    >>> np.array_equal(strangers.x, 255 - test.x)
    True
    """
    made = STRANGERS[check_choice("kind of strangers", kind, STRANGERS)]
    x = made(split, np.random.default_rng(check_count("seed", seed, minimum=0)))
    return replace(split, x=x, name=kind, label_probs=None, texts=None, preprocessing={}, truth={})


@takes_records
def hold_out_classes(train: Split, test: Split, classes: Sequence[int | str]) -> HeldOut:
    """Return the splits without some classes, which become out-of-distribution inputs.

    The test rows of those classes are returned beside the splits.

    A model trained on the first two never sees them: strangers from the same source, and the
    hardest to tell.

    Parameters
    ----------
    train, test : splits with the same classes
    classes : numbers or names of the classes to leave out

    Returns
    -------
    HeldOut
        ``train``, ``test`` and ``strangers``.

    Raises
    ------
    InputError
        If a class is unknown, has no test rows, or fewer than two classes would be left.

    Examples
    --------
    >>> train, test = vcviz.load_data("digits")
    >>> held = vcviz.data.hold_out_classes(train, test, [8, 9])
    >>> held.train.n_classes, np.unique(held.strangers.y)
    (8, array([8, 9]))
    """
    names = list(train.class_names)
    found = as_array("classes", classes, 1).tolist()
    given = [names.index(c) if isinstance(c, str) and c in names else c for c in found]
    out = as_labels("classes", given, None, len(names))
    kept = np.setdiff1d(np.arange(len(names)), out)
    if len(kept) < 2 or len(out) == 0:
        raise InputError(f"leave out at least one class and keep at least 2, got {list(classes)}")
    strange = np.isin(test.y, out)
    if not strange.any():
        raise InputError(f"the test split {test.name!r} has no rows of {list(classes)}")
    held = ", ".join(names[k] for k in sorted(set(out.tolist())))
    strangers = test.take(strange, f"held-out {held}")
    return HeldOut(_only(train, kept), _only(test, kept), strangers)


def _only(split: Split, kept: NDArray[np.int64]) -> Split:
    """Return the rows of some classes, which are numbered anew."""
    rows = split.take(np.isin(split.y, kept))
    return replace(
        rows,
        y=np.searchsorted(kept, rows.y),
        class_names=tuple(split.class_names[k] for k in kept),
        name=f"{split.name} without {split.n_classes - len(kept)}",
        label_probs=None,
        labels={},
        truth={},
    )


def _noise(split: Split, rng: np.random.Generator) -> NDArray[Any]:
    x = split.x
    if split.kind == "text":
        words = np.unique(x[x > 0])
        if not len(words):
            raise InputError(f"{split.name!r} has no words to draw strangers from")
        return np.where(x > 0, rng.choice(words, x.shape), x)
    if split.kind == "table":
        return rng.uniform(x.min(0), x.max(0), x.shape)
    if x.dtype == np.uint8:
        return rng.integers(0, 256, x.shape, dtype=np.uint8)
    return rng.random(x.shape, dtype=np.float32)


def _inverted(split: Split, rng: np.random.Generator) -> NDArray[Any]:
    _need_images(split, "inverted")
    return split.x.dtype.type(255 if split.x.dtype == np.uint8 else 1) - split.x


def _rotated(split: Split, rng: np.random.Generator) -> NDArray[Any]:
    _need_images(split, "rotated")
    if split.x.shape[2] != split.x.shape[3]:
        raise InputError(f"only square images can be turned, got {split.x.shape[2:]}")
    return np.rot90(split.x, axes=(2, 3)).copy()


def _need_images(split: Split, kind: str) -> None:
    if split.kind != "image":
        raise InputError(f"{kind} strangers are made of images, {split.name!r} is {split.kind}")


STRANGERS: dict[str, Callable[[Split, np.random.Generator], NDArray[Any]]] = {
    "noise": _noise,
    "inverted": _inverted,
    "rotated": _rotated,
}
