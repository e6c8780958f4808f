"""What a classifier says of corrupted test rows, kept once it was asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from tqdm.auto import tqdm

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.data import corrupt
from vcviz.data.corruptions import SEVERITIES, corruptions_of
from vcviz.metrics.calibration import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from vcviz.records import LatentSet, Split, Trained
from vcviz.records.titles import run_titles
from vcviz.runs import Run
from vcviz.studies.compare.tables import with_labels

if TYPE_CHECKING:
    import pandas as pd

#: test rows that are corrupted unless more are asked for
ROWS = 2000
#: sets of latents kept of a run: three corruptions at every severity
_KEEP = 3 * SEVERITIES + 1


class _Kept:
    """A run's model and first test rows, and the latents of those rows made worse."""

    def __init__(self) -> None:
        self.model: Any = None
        self.rows: dict[int, Split] = {}
        self.latents: OrderedDict[tuple[Any, ...], LatentSet] = OrderedDict()


_KEPT: WeakKeyDictionary[Any, _Kept] = WeakKeyDictionary()


def corruptions_for(run: Trained) -> list[str]:
    """Return the names of the corruptions that a run's test rows can be put through.

    None if its inputs or its model cannot be had again: latents alone, splits or an encoder that
    were passed in memory.
    """
    return corruptions_of(run.can_corrupt)


def corrupted_latents(
    run: Trained,
    kind: str,
    severity: int,
    *,
    rows: int = ROWS,
    seed: int = 0,
    progress: bool = True,
) -> LatentSet:
    """Return the latents and log-probabilities of a run's first test rows, corrupted.

    Parameters
    ----------
    run : a `Run`, or another classifier that knows its data
    kind, severity, seed : as for `vcviz.data.corrupt`; severity 0 gives the same rows clean
    rows : how many, from the first; the last 16 results are kept as long as the run is
    progress : show a bar if it takes more than 2 s

    Returns
    -------
    LatentSet
        `index` counts the rows of the test split.

    Raises
    ------
    InputError
        If the corruption does not fit the data, or the run cannot load its data or model again.

    Examples
    --------
    >>> settings = {"head": "gaussian_mixture", "latent_dim": 16, "epochs": 3}
    >>> run = vcviz.train("digits", **settings, progress=False)
    >>> noisy = vcviz.studies.corrupted_latents(run, "gaussian_noise", 5, rows=200)
    >>> noisy.accuracy < run.latents().take(range(200)).accuracy
    True
    """
    if not isinstance(run, Trained):
        raise InputError(
            f"corrupted rows need a run with its model and data, got {type(run).__name__}"
        )
    check_count("rows", rows)
    kept = _KEPT.setdefault(run, _Kept())
    key = (kind, severity, rows, seed) if severity else (rows,)
    if key in kept.latents:
        kept.latents.move_to_end(key)
        return kept.latents[key]
    from vcviz.latents import extract_latents

    if rows not in kept.rows:
        test = run.split("test")
        kept.rows[rows] = test.take(np.arange(min(rows, len(test))))
    worse = corrupt(kept.rows[rows], kind, severity, seed=seed)
    if kept.model is None:
        kept.model = run.model()
    found = extract_latents(kept.model, worse, layer=run.layer, name=worse.name, progress=progress)
    kept.latents[key] = found
    if len(kept.latents) > _KEEP:
        kept.latents.popitem(last=False)
    return found


@takes_records
def corruption_table(
    runs: Run | Sequence[Run],
    kinds: Sequence[str] | None = None,
    *,
    rows: int = ROWS,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Return accuracy, ECE and NLL of runs at every severity, one row for each.

    Parameters
    ----------
    runs : one run or several
    kinds : corruptions; default all that fit the data
    rows, seed : as for `corrupted_latents`
    progress : show a bar if it takes more than 2 s

    Returns
    -------
    DataFrame
        Columns: ``run``; ``corruption``; ``severity``, 0 for clean; ``rows``; ``accuracy`` and
        ``ECE`` (fractions) and ``NLL`` (nats); ``T clean``, the temperature of least NLL on the
        clean rows, and ``ECE at T clean`` and ``NLL at T clean``, since what it mends there it may
        not mend on corrupted rows; and ``labels`` where some predictions are not for the label
        frequencies of their rows (`LatentSet.label_note`).

    Raises
    ------
    InputError
        As `corrupted_latents` does.

    Examples
    --------
    >>> settings = {"head": "gaussian_mixture", "latent_dim": 16, "epochs": 3}
    >>> run = vcviz.train("digits", **settings, progress=False)
    >>> table = vcviz.studies.corruption_table(run, ["gaussian_noise"], rows=100, progress=False)
    >>> table[table["severity"].isin([0, 5])][["severity", "rows", "accuracy"]].round(1)
       severity  rows  accuracy
    0         0   100       0.8
    5         5   100       0.7
    """
    import pandas as pd

    several = one_or_several("runs", runs)
    table, notes = [], []
    bar = tqdm(several, desc="corrupting", unit="run", disable=not progress, delay=2)
    for run, title in zip(bar, run_titles(several), strict=True):
        for kind in kinds or corruptions_for(run):
            sets = [
                corrupted_latents(run, kind, s, rows=rows, seed=seed, progress=False)
                for s in range(SEVERITIES + 1)
            ]
            fitted = fit_temperature(sets[0]).temperature
            for severity, lat in enumerate(sets):
                cooled = apply_temperature(lat.log_probs, fitted)
                table.append(
                    {
                        "run": title,
                        "corruption": kind,
                        "severity": severity,
                        "rows": len(lat),
                        "accuracy": lat.accuracy,
                        "ECE": expected_calibration_error(lat),
                        "NLL": negative_log_likelihood(lat),
                        "T clean": fitted,
                        "ECE at T clean": expected_calibration_error(cooled, lat.y),
                        "NLL at T clean": negative_log_likelihood(cooled, lat.y),
                    }
                )
                notes.append(lat.label_note)
    return with_labels(pd.DataFrame(table), notes)
