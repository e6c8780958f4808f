"""The handwritten digits that come with scikit-learn: no network, 1797 pictures of 8x8."""

from __future__ import annotations

import numpy as np

from vcviz.data.subsets import TEST_FRACTION, train_and_test
from vcviz.records import Split


def load_digits(*, seed: int = 0, test_fraction: float = TEST_FRACTION) -> tuple[Split, Split]:
    """Return the train and the test split of the digits, stratified by `seed`.

    Images (N, 1, 8, 8) uint8: the source's grey values 0..16 are spread over 0..255 by rounding.

    References
    ----------
    Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository.
    """
    from sklearn.datasets import load_digits as sklearn_digits

    images, y = sklearn_digits(return_X_y=True)
    whole = Split(
        x=np.rint(images * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8),
        y=y,
        class_names=tuple("0123456789"),
        name="digits",
        kind="image",
        preprocessing={"kind": "image", "channels": 1, "size": [8, 8]},
    )
    return train_and_test(whole, test_fraction, seed=seed)
