"""The same attacks on several runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.records import RobustnessCurve, Trajectory
from vcviz.records.titles import run_titles
from vcviz.runs import Run
from vcviz.studies.compare.tables import with_labels

if TYPE_CHECKING:
    import pandas as pd

#: rows that are attacked at other radii too, for the gates
CHECKS = 50


@takes_records
def attack_runs(
    runs: Run | Sequence[Run], rows: int = 200, *, progress: bool = True, **options: Any
) -> list[Trajectory]:
    """Return the same attack on the first test rows of each run.

    Parameters
    ----------
    runs : finished runs, or one
    rows : how many test rows, the first
    progress : show a bar if it takes more than 2 s
    options : as for `vcviz.attack`

    Returns
    -------
    list of Trajectory

    Raises
    ------
    InputError
        As `vcviz.attack` does.

    Examples
    --------
    >>> heads = ["softmax", "gaussian_mixture"]
    >>> runs = vcviz.train_heads(heads, dataset="mixture", epochs=3, progress=False)
    >>> paths = vcviz.studies.attack_runs(runs, 50, epsilon=2.0, steps=5, progress=False)
    >>> [len(path.accuracy) for path in paths]
    [6, 6]
    """
    options = {"checks": CHECKS} | options
    return [
        replace(run.attack(rows, progress=False, **options), name=name)
        for run, name in _each(runs, progress)
    ]


@takes_records
def robustness_curves(
    runs: Run | Sequence[Run],
    rows: int = 200,
    epsilons: Sequence[float] | None = None,
    *,
    progress: bool = True,
    **options: Any,
) -> list[RobustnessCurve]:
    """Return accuracy and ECE against the radius of the same attack on each run.

    Parameters
    ----------
    runs : finished runs, or one
    rows : how many test rows are attacked, the first
    epsilons, options : as for `vcviz.robustness_curve`
    progress : show a bar if it takes more than 2 s

    Returns
    -------
    list of RobustnessCurve

    Raises
    ------
    InputError
        As `vcviz.attack` does.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> curves = vcviz.studies.robustness_curves([run], 50, [0.5, 1.0], steps=5, progress=False)
    >>> curves[0].epsilon, bool((np.diff(curves[0].accuracy) <= 0).all())
    (array([0. , 0.5, 1. ]), True)
    """
    if epsilons is not None:
        options["epsilons"] = epsilons
    return [
        run.robustness(rows, name=name, progress=False, **options)
        for run, name in _each(runs, progress)
    ]


def _each(runs: Run | Sequence[Run], progress: bool) -> Iterator[tuple[Run, str]]:
    """Yield each run with its title, behind a bar."""
    several = one_or_several("runs", runs)
    bar = tqdm(several, desc="attacking", unit="run", disable=not progress, delay=2)
    return zip(bar, run_titles(several), strict=True)


@takes_records
def robustness_table(curves: RobustnessCurve | Sequence[RobustnessCurve]) -> pd.DataFrame:
    """Return robustness curves as a table, one row for each curve and radius.

    Parameters
    ----------
    curves : one or several

    Returns
    -------
    DataFrame
        Columns: ``run``; ``epsilon``, 0 for clean inputs; ``accuracy``, the share of inputs that
        no attack up to this radius got misread; ``ECE`` of the worst points found, in so many
        ``bins``, its interval that of its mean over samples of this size; ``ECE if calibrated``;
        ``gates``, how many sanity gates hold, and which do not; and ``labels`` where some
        predictions are not for the label frequencies of the inputs (`LatentSet.label_note`).

    Raises
    ------
    InputError
        For anything but `RobustnessCurve` records.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> curves = vcviz.studies.robustness_curves([run], 50, [0.5, 1.0], steps=5, progress=False)
    >>> vcviz.studies.robustness_table(curves)[["epsilon", "accuracy"]].round(1)
       epsilon  accuracy
    0      0.0       0.9
    1      0.5       0.8
    2      1.0       0.6
    """
    import pandas as pd

    listed = one_or_several("curves", curves)
    table = pd.DataFrame(
        [
            {
                "run": curve.name,
                "epsilon": curve.epsilon[k],
                "accuracy": curve.accuracy[k],
                "accuracy low": curve.accuracy_interval[k, 0],
                "accuracy high": curve.accuracy_interval[k, 1],
                "ECE": curve.ece[k],
                "ECE low": curve.ece_interval[k, 0],
                "ECE high": curve.ece_interval[k, 1],
                "ECE if calibrated": curve.ece_if_calibrated[k],
                "bins": curve.n_bins,
                "gates": curve.gates.short,
            }
            for curve in listed
            for k in range(len(curve.epsilon))
        ]
    )
    return with_labels(table, [c.label_note for c in listed for _ in c.epsilon])
