"""What post-hoc methods make of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from tqdm.auto import tqdm

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.options import check_choice
from vcviz.metrics.posthoc import REVISIONS, PosthocScores, posthoc_scores, revised
from vcviz.metrics.posthoc.revision import fitted_to
from vcviz.records.titles import run_titles
from vcviz.runs import Run
from vcviz.studies.compare.tables import row_of, with_labels

if TYPE_CHECKING:
    import pandas as pd


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
    listed = one_or_several("runs", runs)
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
                labels = {"name": title, "fitted_to": rows}
                found.append(posthoc_scores(test, after, method, **labels | options))
                bar.update()
    return found


@takes_records
def posthoc_table(scores: PosthocScores | Sequence[PosthocScores]) -> pd.DataFrame:
    """Return scores of post-hoc methods as a table, one row for each.

    Parameters
    ----------
    scores : what `revise_runs` returned

    Returns
    -------
    DataFrame
        Columns: ``run``; ``method``; ``fitted to``, the rows that it was fitted to; ``accuracy``
        (fraction), ``NLL`` and ``NLL change`` (nats; against the run as trained, row by row, below
        0 is better) and ``ECE`` (fraction; its interval is that of its mean over samples of this
        size), each with the ends of its interval, e.g. ``ECE low`` and ``ECE high``; and ``labels``
        where some predictions are not for the label frequencies of the test rows
        (`LatentSet.label_note`).

    Raises
    ------
    InputError
        For anything but `PosthocScores` records.

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> methods = ["none", "temperature"]
    >>> scores = vcviz.studies.revise_runs(run, methods, resamples=20, progress=False)
    >>> vcviz.studies.posthoc_table(scores)[["method", "accuracy"]].round(1)
            method  accuracy
    0         none       0.6
    1  temperature       0.6
    """
    import pandas as pd

    found = one_or_several("scores", scores)
    texts = {"run": "name", "method": "method", "fitted to": "fitted_to"}
    numbers = {"accuracy": "accuracy", "NLL": "nll", "NLL change": "nll_change", "ECE": "ece"}
    table = pd.DataFrame([row_of(one, texts, numbers) for one in found])
    return with_labels(table, [one.label_note for one in found])
