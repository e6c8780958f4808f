"""Stochastic encoders side by side: how much their latents may tell of the input, at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vcviz.base.errors import InputError
from vcviz.runs import Run
from vcviz.studies.compare.labels import with_labels

if TYPE_CHECKING:
    import pandas as pd


def rate_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per run of a stochastic encoder with a rate in its loss.

    Parameters
    ----------
    runs : finished runs, see `vcviz.training.train_rates`

    Returns
    -------
    DataFrame
        Columns: ``head``; ``rate weight``; ``rate``, the mean over the last epoch in nats of
        KL(q(z|x) || r), with r = N(0, I), which bounds the information I(X; Z) from above, or of a
        head that states a law p(z|y) (unless ``rate_to="normal"``), which bounds I(X; Z | Y); test
        ``accuracy`` and ``ECE`` (fractions) and ``NLL`` (nats); ``labels`` where these are not for
        the label frequencies of the test rows (`Run.label_note`).

    Raises
    ------
    InputError
        For a run that kept no rate; `train_rates` trains runs that do.

    Examples
    --------
    >>> runs = vcviz.training.train_rates([0.01, 1.0], dataset="mixture", epochs=2, progress=False)
    >>> table = vcviz.studies.rate_table(runs)
    >>> bool(table["rate"].iloc[0] > table["rate"].iloc[1])  # a heavier weight, a lower rate
    True
    """
    import pandas as pd

    rows = []
    for run in runs:
        if "train/rate" not in run.history[-1]:
            raise InputError(
                f"run {run.name!r} has no rate in its loss; train with stochastic=True and a "
                "rate_weight above 0"
            )
        rows.append(
            {
                "head": run.config.head,
                "rate weight": run.config.rate_weight,
                "rate": run.history[-1]["train/rate"],
                "accuracy": run.metrics["accuracy"],
                "ECE": run.metrics["ece"],
                "NLL": run.metrics["nll"],
            }
        )
    return with_labels(pd.DataFrame(rows), [run.label_note for run in runs])
