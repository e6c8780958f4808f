"""How well runs tell strangers from test rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError, expect
from vcviz.metrics.ood import separations
from vcviz.records import LatentSet, Separation, Split
from vcviz.records.titles import run_titles
from vcviz.runs import Run
from vcviz.studies.compare.tables import row_of

if TYPE_CHECKING:
    import pandas as pd


@takes_records
def separate_strangers(
    known: Run | LatentSet | Sequence[Run],
    strangers: Split | LatentSet | Sequence[Split],
    methods: Sequence[str] | None = None,
    *,
    train: LatentSet | None = None,
    prior: Any = None,
    device: str = "cpu",
    progress: bool = True,
    **options: Any,
) -> list[Separation]:
    """Return how well each score of each run tells test rows from out-of-distribution inputs.

    Parameters
    ----------
    known : a run, several, or a `LatentSet` of known rows
    strangers : a `Split` of inputs of the same shape, or several, which the models of the runs
        encode; a `LatentSet` by the same model where `known` is one. Their labels play no part.
    methods : names of scores, see `vcviz.metrics.ood.score`; default all that a run has
    train, prior : latents of training rows and the law, where `known` is a `LatentSet`; runs have
        their own
    device : where models compute
    progress : show a bar if it takes more than 2 s
    options : as for `vcviz.metrics.ood.separations`, e.g. ``neighbours=50``, ``tpr=0.95``,
        ``seed=0``

    Returns
    -------
    list of Separation
        By run, kind of input and score, in this order.

    Raises
    ------
    InputError
        If inputs do not have the shape that a run was trained on, or a score lacks what it needs.

    Examples
    --------
    >>> settings = {"head": "gaussian_mixture", "latent_dim": 16, "epochs": 3}
    >>> run = vcviz.train("digits", **settings, progress=False)
    >>> strangers = vcviz.data.make_strangers(run.split(), "noise")
    >>> scores = ["max_prob", "knn"]
    >>> found = vcviz.studies.separate_strangers(run, strangers, scores, progress=False)
    >>> [(s.method, s.against) for s in found]
    [('max_prob', 'noise'), ('knn', 'noise')]
    """
    if isinstance(known, LatentSet):
        expect("strangers", strangers, LatentSet, "latents are compared with latents")
        assert isinstance(strangers, LatentSet)
        return separations(known, strangers, methods, train=train, prior=prior, **options)
    if train is not None or prior is not None:
        raise InputError("runs have their own training latents and law; leave out train and prior")
    runs = [known] if isinstance(known, Run) else list(known)
    splits: list[Any] = (
        [strangers] if isinstance(strangers, (Split, LatentSet)) else list(strangers)
    )
    if not runs or not splits:
        raise InputError("pass at least one run and one Split of strangers")
    for split in splits:
        expect("strangers", split, Split, "see vcviz.strangers, or build one from arrays")
    found = []
    bar = tqdm(runs, desc="judging strangers", unit="run", disable=not progress, delay=2)
    for run, title in zip(bar, run_titles(runs), strict=True):
        model, own = run.model(device), run.latents("test")
        for split in splits:
            found += separations(
                own,
                _encoded(run, model, split, device),
                methods,
                prior=run.prior(),
                train=run.latents("train"),
                **{"name": title, "against": split.name} | options,
            )
    return found


@takes_records
def ood_table(separations: Separation | Sequence[Separation]) -> pd.DataFrame:
    """Return how well scores tell strangers as a table, one row per run, strangers and score.

    Parameters
    ----------
    separations : what `separate_strangers` returned

    Returns
    -------
    DataFrame
        Columns: ``run``; ``strangers``; ``score``; ``AUROC``, 0.5 by chance; ``AUPR``, with
        strangers as positives, their share by chance; ``FPR95``, the share of strangers accepted
        where 95 % of the test rows are, 0.95 by chance; each with the ends of its interval, e.g.
        ``AUROC low`` and ``AUROC high``; and ``note``, "worse than chance" where the interval of
        the AUROC lies below 0.5, absent if nowhere.

    Raises
    ------
    InputError
        For anything but `Separation` records.

    Examples
    --------
    >>> settings = {"head": "gaussian_mixture", "latent_dim": 16, "epochs": 3}
    >>> run = vcviz.train("digits", **settings, progress=False)
    >>> strangers = vcviz.data.make_strangers(run.split(), "noise")
    >>> scores = ["max_prob", "knn"]
    >>> found = vcviz.studies.separate_strangers(run, strangers, scores, progress=False)
    >>> vcviz.studies.ood_table(found)[["score", "AUROC"]].round(1)
          score  AUROC
    0  max_prob    0.9
    1       knn    1.0
    """
    import pandas as pd

    texts = {"run": "name", "strangers": "against", "score": "method"}
    rows = []
    for one in one_or_several("separations", separations):
        numbers = {"AUROC": "auroc", "AUPR": "aupr", f"FPR{100 * one.tpr:g}": "fpr"}
        note = "worse than chance" if one.worse_than_chance else ""
        rows.append({**row_of(one, texts, numbers), "note": note})
    table = pd.DataFrame(rows)
    return table if table["note"].any() else table.drop(columns="note")


def _encoded(run: Run, model: Any, split: Split, device: str) -> LatentSet:
    """Return the latents of a split whatever its labels are."""
    from vcviz.latents import extract_latents

    shape = tuple(run.data["input_shape"])
    if split.kind != run.data["kind"] or split.x.shape[1:] != shape:
        raise InputError(
            f"strangers {split.name!r} are {split.kind} rows of shape {split.x.shape[1:]}, "
            f"run {run.name!r} takes {run.data['kind']} rows of shape {shape}"
        )
    blank = Split(split.x, np.zeros(len(split), int), run.class_names, split.name, split.kind)
    seed = run.config.seed
    return extract_latents(model, blank, device=device, seed=seed, progress=False)
