"""The handwritten digits that come with scikit-learn: no network, 1797 pictures of 8x8."""

from __future__ import annotations

import numpy as np

from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.data.subsets import TEST_FRACTION, train_and_test
from vcviz.records import Split


def load_digits(
    *, seed: int = 0, test_fraction: float = TEST_FRACTION, n_classes: int = 10
) -> tuple[Split, Split]:
    """Return the train and the test split of the digits, stratified by `seed`.

    Images (N, 1, 8, 8) uint8: the source's grey values 0..16 are spread over 0..255 by rounding.

    Parameters
    ----------
    seed : of the split
    test_fraction : share of the rows that becomes the test split
    n_classes : C, from 2 to 10: the digits 0 to C - 1, for lessons that must be quick

    Raises
    ------
    InputError
        For another number of classes.

    References
    ----------
    Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository.
    """
    from sklearn.datasets import load_digits as sklearn_digits

    if check_count("n_classes", n_classes, minimum=2) > 10:
        raise InputError(f"n_classes must be at most 10, there are no more digits, got {n_classes}")
    images, y = sklearn_digits(n_class=n_classes, return_X_y=True)
    whole = Split(
        x=np.rint(images * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8),
        y=y,
        class_names=tuple("0123456789"[:n_classes]),
        name="digits",
        kind="image",
        preprocessing={"kind": "image", "channels": 1, "size": [8, 8]},
    )
    return train_and_test(whole, test_fraction, seed=seed)
