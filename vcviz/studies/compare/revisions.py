"""What post-hoc methods make of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from tqdm.auto import tqdm

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_choice
from vcviz.base.titles import run_titles
from vcviz.metrics.posthoc import REVISIONS, PosthocScores, posthoc_scores, revised
from vcviz.metrics.posthoc.revision import fitted_to
from vcviz.runs import Run
from vcviz.studies.compare.labels import with_labels

if TYPE_CHECKING:
    import pandas as pd

#: column of `posthoc_table` -> what it means
POSTHOC_COLUMNS = {
    "run": "title of the run",
    "method": "post-hoc method",
    "fitted to": "rows that it was fitted to: train, validation or, by folds, other test",
    "accuracy": "test accuracy, fraction",
    "NLL": "test negative log-likelihood, nats",
    "NLL change": "the same less that of the run as trained, row by row; below 0 is better",
    "ECE": "test expected calibration error, 15 equal-width bins, fraction; interval: of its mean "
    "over samples of this size",
}


@takes_records
def revise_runs(
    runs: Run | Sequence[Run],
    methods: Sequence[str] | None = None,
    *,
    laws: Literal["train", "validation"] = "train",
    progress: bool = True,
    **options: Any,
) -> list[PosthocScores]:
    """Return how well each run predicts its test rows after each post-hoc method.

    Recalibration is fitted to the run's validation rows, and across folds of the test rows where
    the run held none out (``validation=``).

    Parameters
    ----------
    runs : a run or several
    methods : names of `vcviz.metrics.posthoc.REVISIONS`; default all
    laws : the rows that laws are fitted to. An encoder that knows its training rows gathers them
        more closely than any new ones; a law of held-out rows expects what really comes.
    progress : show a bar if it takes more than 2 s
    options : as for `vcviz.metrics.posthoc.posthoc_scores`

    Returns
    -------
    list of PosthocScores
        The methods of the first run, then those of the next.

    Raises
    ------
    InputError
        If there are no runs, or a method is unknown.

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> methods = ["none", "gaussian_shared"]
    >>> scores = vcviz.studies.revise_runs(run, methods, resamples=20, progress=False)
    >>> [f"{s.method}: {s.accuracy:.1f}" for s in scores]
    ['none: 0.6', 'gaussian_shared: 0.8']
    """
    check_choice("laws", laws, ("train", "validation"))
    listed: list[Any] = list(runs) if isinstance(runs, (list, tuple)) else [runs]
    if not listed:
        raise InputError("no runs to revise; train some first: vcviz train")
    methods = list(REVISIONS) if methods is None else list(methods)
    found = []
    bar = tqdm(total=len(listed) * len(methods), desc="revising", disable=not progress, delay=2)
    with bar:
        for run, title in zip(listed, run_titles(listed), strict=True):
            test, fitted = run.latents("test"), run.latents(laws)
            validation = run.latents("validation") if run.config.validation else None
            for method in methods:
                after = revised(test, method, validation=validation, train=fitted)
                rows = fitted_to(method, laws, held_out=validation is not None)
                told = {"name": title, "fitted_to": rows}
                found.append(posthoc_scores(test, after, method, **told | options))
                bar.update()
    return found


@takes_records
def posthoc_table(
    runs: Run | Sequence[Run] | Sequence[PosthocScores],
    methods: Sequence[str] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Return accuracy, NLL and ECE with intervals, one row per run and post-hoc method.

    Parameters
    ----------
    runs, methods, options : as for `revise_runs`; or only the list that it returned

    Returns
    -------
    DataFrame
        `POSTHOC_COLUMNS` says what each column is; the ends of an interval follow its number as,
        e.g., ``ECE low`` and ``ECE high``. A column ``labels`` is added where some predictions are
        not for the label frequencies of the test rows (`LatentSet.label_note`).

    Raises
    ------
    InputError
        As `revise_runs` does.

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> methods = ["none", "temperature"]
    >>> table = vcviz.studies.posthoc_table(run, methods, resamples=20, progress=False)
    >>> table[["method", "accuracy"]].round(1)
            method  accuracy
    0         none       0.6
    1  temperature       0.6
    """
    import pandas as pd

    given = isinstance(runs, (list, tuple)) and all(isinstance(r, PosthocScores) for r in runs)
    found: Any = runs if given else revise_runs(runs, methods, **options)  # type: ignore[arg-type]
    columns = {"accuracy": "accuracy", "NLL": "nll", "NLL change": "nll_change", "ECE": "ece"}
    rows = []
    for one in found:
        row: dict[str, Any] = {
            "run": one.name, "method": one.method, "fitted to": one.fitted_to,
        }  # fmt: skip
        for name, key in columns.items():
            low, high = getattr(one, f"{key}_interval")
            row |= {name: getattr(one, key), f"{name} low": low, f"{name} high": high}
        rows.append(row)
    return with_labels(pd.DataFrame(rows), [one.label_note for one in found])
