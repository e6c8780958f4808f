"""For which label frequencies probabilities are, in words for a heading or a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: nats by which label frequencies may differ without a word: less than a reader could see
_UNSEEN = 0.01


def label_note(label_prior: NDArray[np.float64] | None, y: NDArray[np.int64]) -> str:
    """Return "for equal classes" or "for other label frequencies"; "" where there is no need.

    Accuracy, NLL and calibration error judge probabilities at the label frequencies of the rows.
    There is no need for a word where those are what the probabilities are for: the KL divergence
    of the rows' frequencies from `label_prior` is at most 0.01 nats, beside twice what the noise
    of N rows alone makes of it, (C - 1) / 2N in the mean.

    Parameters
    ----------
    label_prior : (C,) label frequencies that the probabilities are for; None: those of the rows
    y : (N,) labels of the rows
    """
    if label_prior is None or len(y) == 0:
        return ""
    c = len(label_prior)
    share = np.bincount(y, minlength=c) / len(y)
    seen = share > 0
    with np.errstate(divide="ignore"):
        apart = float((share[seen] * (np.log(share[seen]) - np.log(label_prior[seen]))).sum())
    if apart <= _UNSEEN + (c - 1) / len(y):
        return ""
    equal = np.allclose(label_prior, 1 / c, rtol=1e-3)
    return "for equal classes" if equal else "for other label frequencies"
