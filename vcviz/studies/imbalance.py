"""Runs at several imbalances of their classes: what they know, and which classes they get right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError
from vcviz.metrics.accuracy import ClassAccuracy, class_accuracy
from vcviz.metrics.information import Information, mutual_information, shift_prior
from vcviz.records import LatentSet
from vcviz.runs import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Level:
    """The runs of one imbalance.

    Attributes
    ----------
    ratio : frequency of the largest class over that of the smallest, in training
    frequencies : (C,) label frequencies in training
    runs : head -> latents of the test split
    truth : I(X; Y) in nats where it is known, else NaN
    """

    ratio: float
    frequencies: NDArray[np.float64]
    runs: dict[str, LatentSet]
    truth: float


@takes_records
def levels(runs: Run | Sequence[Run]) -> list[Level]:
    """Return the runs grouped by how imbalanced their training labels are, rising.

    Raises
    ------
    InputError
        If there are no runs, they differ in their classes, or a head is missing, or there twice,
        at some ratio.
    """
    listed = one_or_several("runs", runs)
    if len({run.class_names for run in listed}) > 1:
        raise InputError("runs side by side must have the same classes; compare them one by one")
    groups: dict[str, list[Run]] = {}
    for run in listed:
        groups.setdefault(repr(sorted(run.config.dataset_options.items())), []).append(run)
    found = sorted((_level(group) for group in groups.values()), key=lambda level: level.ratio)
    for level in found[1:]:
        if list(level.runs) != list(found[0].runs):
            raise InputError(
                f"at {level.ratio:.3g}:1 there are runs of {', '.join(level.runs)}, at "
                f"{found[0].ratio:.3g}:1 of {', '.join(found[0].runs)}; train the same heads"
            )
    return found


def _level(runs: Sequence[Run]) -> Level:
    heads = [run.config.head for run in runs]
    if twice := [head for head in heads if heads.count(head) > 1]:
        raise InputError(
            f"there are {heads.count(twice[0])} runs of {twice[0]!r} at one imbalance; compare "
            "one of each, of one seed"
        )
    truth = runs[0].split("test").truth
    known = truth.get("weights")
    frequencies = runs[0].label_frequencies if known is None else np.asarray(known, float)
    return Level(
        float(frequencies.max() / frequencies.min()),
        frequencies / frequencies.sum(),
        {run.config.head: run.latents("test") for run in runs},
        float(truth.get("mutual_information", np.nan)),
    )


def estimates(found: Sequence[Level]) -> dict[str, list[Information]]:
    """Return the estimates of each head, after plain softmax with log C, at every level."""
    by_name = {}
    if "softmax" in found[0].runs:
        # The trap is to forget what the probabilities are for.
        lats = [replace(level.runs["softmax"], label_prior=None) for level in found]
        by_name["softmax + log C"] = [
            mutual_information(lat, prior_probs=np.full(lat.n_classes, 1 / lat.n_classes))
            for lat in lats
        ]
    for head in found[0].runs:
        name = "softmax + H(Y)" if head == "softmax" else head
        by_name[name] = [mutual_information(level.runs[head]) for level in found]
    return by_name


def prior_between(frequencies: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return frequencies between equal ones (0) and those given (1), along their logarithms."""
    moved = frequencies**share
    return moved / moved.sum()


def accuracies(level: Level, test_prior: NDArray[np.float64]) -> list[ClassAccuracy]:
    """Return the accuracies of plain softmax, and of each head predicting for `test_prior`.

    Of the plain softmax the latter is post-hoc logit adjustment (see `shift_prior`).
    """
    found = []
    if "softmax" in level.runs:
        found.append(class_accuracy(level.runs["softmax"], name="softmax"))
    for head, lat in level.runs.items():
        name = "softmax, post-hoc" if head == "softmax" else head
        found.append(class_accuracy(shift_prior(lat, to_prior=test_prior), name=name))
    return found


def information_table(runs: Run | Sequence[Run]) -> pd.DataFrame:
    """Return one row per imbalance ratio and estimate: information and balanced accuracy.

    Parameters
    ----------
    runs : as for `vcviz.InformationExplorer`

    Returns
    -------
    DataFrame
        Columns: ``I`` estimated on the test split, with its 95 % interval ``from`` .. ``to``,
        ``true`` I(X; Y) where it is known and the excess ``off`` (nats); ``balanced accuracy``
        with its interval (fractions). That is of plain softmax as it is in the row with log C, and
        else of predictions for equally likely classes, for plain softmax by post-hoc logit
        adjustment in the row with H(Y).

    Raises
    ------
    InputError
        If there are no runs whose label frequencies can be compared.

    Examples
    --------
    >>> grid = {"dataset_options.imbalance": [1, 10], "head": ["softmax", "pc_softmax"]}
    >>> runs = vcviz.training.train_grid(grid, dataset="mixture", epochs=2, progress=False)
    >>> table = vcviz.studies.information_table(runs)
    >>> list(table.columns)
    ['I', 'from', 'to', 'true', 'off', 'balanced accuracy', 'at least', 'at most']
    """
    import pandas as pd

    found = levels(runs)
    plain = {"softmax + log C": "softmax", "softmax + H(Y)": "softmax, post-hoc"}
    balanced = [
        {a.name: a for a in accuracies(level, prior_between(level.frequencies, 0.0))}
        for level in found
    ]
    rows = []
    for name, informations in estimates(found).items():
        for level, accuracy, one in zip(found, balanced, informations, strict=True):
            own = accuracy[plain.get(name, name)]
            rows.append(
                {
                    "ratio": round(level.ratio, 1),
                    "estimate": name,
                    "I": one.estimate,
                    "from": one.interval[0],
                    "to": one.interval[1],
                    "true": level.truth,
                    "off": one.estimate - level.truth,
                    "balanced accuracy": own.balanced,
                    "at least": own.balanced_interval[0],
                    "at most": own.balanced_interval[1],
                }
            )
    table = pd.DataFrame(rows).sort_values("ratio", kind="stable")
    return table.set_index(["ratio", "estimate"])
