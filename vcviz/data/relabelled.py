"""Training rows with other labels than the true ones: noise by chance, or what people said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_count, check_fraction
from vcviz.records import Split

#: name under which the labels are kept that were replaced
CLEAN = "clean_label"


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
    """
    share = check_fraction("share", share, zero=True)
    rng = np.random.default_rng([check_count("seed", seed, minimum=0), len(split)])
    chance, step = rng.random(len(split)), rng.integers(1, split.n_classes, len(split))
    wrong = (split.y + np.where(chance < share, step, 0)) % split.n_classes
    return replace(split, y=wrong, labels={**split.labels, CLEAN: split.y})


def labelled_by(split: Split, column: str) -> Split:
    """Return the split with another of its label columns as its labels.

    For example what annotators said of the rows. The labels as they were are
    ``labels["clean_label"]``.

    Raises
    ------
    InputError
        If there is no such column, or its values are no classes of the split.
    """
    if column not in split.labels:
        raise unknown(f"label column of {split.name!r}", column, split.labels)
    own = split.preprocessing.get("label_names", {})
    values = split.labels[column]
    if column in own or not ((values >= 0) & (values < split.n_classes)).all():
        raise InputError(
            f"{column!r} of {split.name!r} has other values than its {split.n_classes} classes"
        )
    return replace(split, y=values, labels={**split.labels, CLEAN: split.y})
