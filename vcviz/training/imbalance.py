"""The same classifiers at several imbalances of the training classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vcviz.base.errors import InputError
from vcviz.runs import Run
from vcviz.training.train_runs import train_heads


def train_imbalanced(
    ratios: Sequence[float] = (1, 10, 100),
    heads: Sequence[str] = ("softmax", "pc_softmax"),
    *,
    dataset: str = "mixture",
    dataset_options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> list[Run]:
    """Return one run per imbalance ratio and head, with otherwise equal settings.

    Parameters
    ----------
    ratios : frequency of the most frequent class over that of the rarest
    heads : names of heads
    dataset : for "mixture" the law itself becomes imbalanced, the test split with it, and the
        true information is known; of any other dataset training rows are left out (every second
        class is rare, see `imbalanced`) and the test split stays as it is
    dataset_options : of the dataset
    settings : as for `train_heads`

    Returns
    -------
    list of Run
        By ratio, then head.

    Raises
    ------
    InputError
        For a ratio below 1, or as for `train_heads`.

    Examples
    --------
    >>> runs = vcviz.training.train_imbalanced((1, 10), epochs=2, progress=False)
    >>> for run in runs:
    ...     print(run.title, run.label_frequencies.round(2))
    ...
    softmax [0.21 0.2  0.2  0.19 0.2 ]
    pc_softmax [0.21 0.2  0.2  0.19 0.2 ]
    softmax [0.47 0.26 0.15 0.08 0.04]
    pc_softmax [0.47 0.26 0.15 0.08 0.04]
    """
    if not ratios:
        raise InputError("ratios must hold at least one imbalance ratio, e.g. [1, 10, 100]")
    option = "imbalance" if dataset == "mixture" else "train_imbalance"
    given = dict(dataset_options or {})
    if option in given:
        raise InputError(f"ratios say how imbalanced the classes are; leave out {option}=")
    return [
        run
        for ratio in ratios
        for run in train_heads(
            heads, dataset=dataset, dataset_options={**given, option: float(ratio)}, **settings
        )
    ]
