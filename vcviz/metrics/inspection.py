"""One sample, or a selection of them: where the latents lie, what the law and the classifier say.

Samples are named by their rows in the split, `LatentSet.index`, so that a selection made in one
view means the same samples in another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_count
from vcviz.metrics.calibration import reliability_curve
from vcviz.metrics.intervals import wilson
from vcviz.metrics.ood import score
from vcviz.records import Inspection, LatentPrior, LatentSet, SelectionSummary, as_array, as_labels
from vcviz.records.blocks import row_blocks

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 1 << 16
#: rows that stand for all in a mean
_ENOUGH = 50_000


@takes_records
def inspect_row(
    lat: LatentSet,
    prior: LatentPrior | None,
    row: int,
    *,
    neighbours: int = 10,
    method: str | None = None,
    train: LatentSet | None = None,
) -> Inspection:
    """Return prediction, densities and nearest neighbours of one sample.

    Parameters
    ----------
    lat : latents of the split
    prior : p(z|y), or None
    row : its row in the split, one of ``lat.index``
    neighbours : how many of the nearest other latents of `lat` to name, if there are as many
    method, train : an out-of-distribution score to give too, as for `vcviz.metrics.ood.score`

    Returns
    -------
    Inspection

    Raises
    ------
    InputError
        If `lat` has no such row, or the score lacks what it needs.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> lat = run.latents()
    >>> surest = int(lat.index[lat.log_probs.max(axis=1).argmax()])
    >>> row = vcviz.metrics.inspect_row(lat, run.prior(), surest, neighbours=3)
    >>> row.predicted == row.label, bool((row.neighbour_labels == row.label).all())
    (True, True)
    """
    check_count("neighbours", neighbours, minimum=0)
    place = int(places_of(lat, [row])[0])
    one = lat.take([place])
    near, distances = _nearest(lat.z, place, neighbours)
    options: dict[str, Any] = {"prior": prior, "train": train}
    return Inspection(
        row=int(row),
        label=int(lat.y[place]),
        log_probs=lat.log_probs[place].astype(np.float64),
        log_density=None if prior is None else prior.log_prob(one.z)[0],
        log_marginal=None if prior is None else float(prior.log_marginal(one.z)[0]),
        score=None if method is None else float(score(one, method, **options)[0]),  # type: ignore[arg-type]
        method=method,
        neighbours=lat.index[near],
        distances=distances,
        neighbour_labels=lat.y[near],
        class_names=lat.class_names,
        name=lat.name,
        label_note=lat.label_note,
    )


@takes_records
def selection_table(
    lat: LatentSet, prior: LatentPrior | None, rows: Sequence[int] | NDArray[np.int64]
) -> pd.DataFrame:
    """Return a table of selected rows, in their order.

    Parameters
    ----------
    lat : latents of the split
    prior : p(z|y), or None
    rows : (M,) rows in the split, of ``lat.index``

    Returns
    -------
    DataFrame
        Columns: ``row`` in the split; ``label`` and ``predicted``, names of classes;
        ``confidence``, the probability of the latter; ``right``; and, with a law, ``log p(z|y)``
        of the label and ``log p(z)``, in nats; then the user's own, `LatentSet.table`.

    Raises
    ------
    InputError
        If `lat` has no such row.

    Examples
    --------
    >>> log_probs = np.log([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    >>> z, names = [[0.0], [2.0], [1.5]], ("cat", "dog")
    >>> lat = vcviz.LatentSet(z, log_probs, y=[0, 1, 0], class_names=names)
    >>> vcviz.metrics.selection_table(lat, None, [2, 1]).round(2)
       row label predicted  confidence  right
    0    2   cat       dog         0.7  False
    1    1   dog       dog         0.8   True
    """
    import pandas as pd

    places = places_of(lat, rows)
    chosen = lat.take(places if len(places) else [0])
    names = np.array(lat.class_names, dtype=object)
    predicted = chosen.log_probs.argmax(1)
    columns: dict[str, Any] = {
        "row": chosen.index,
        "label": names[chosen.y],
        "predicted": names[predicted],
        "confidence": np.exp(chosen.log_probs.max(1).astype(np.float64)),
        "right": predicted == chosen.y,
    }
    if prior is not None:
        columns["log p(z|y)"], columns["log p(z)"] = log_densities(chosen, prior)
    return pd.DataFrame(with_own(columns, chosen, slice(None))).head(len(places))


@takes_records
def find_rows(
    lat: LatentSet,
    prior: LatentPrior | None,
    query: str,
    *,
    texts: Sequence[str] | None = None,
) -> NDArray[np.int64]:
    """Return the rows (`LatentSet.index`) that a query finds, rising.

    Parameters
    ----------
    lat, prior : as for `selection_table`
    query : the number of a row; the name of a class (rows with that label); an expression of
        `pandas.DataFrame.query` over ``row``, ``label``, ``predicted``, ``confidence``, ``right``,
        ``log_density``, ``log_marginal`` and the user's own columns, e.g.
        ``confidence > 0.9 and not right``; or else a text, which rows have in `texts` or in a
        column of words, whether in small letters or capitals
    texts : N strings, what stands behind each row

    Returns
    -------
    (M,) int64 array

    Raises
    ------
    InputError
        If nothing is found.

    Examples
    --------
    >>> log_probs = np.log([[0.9, 0.1], [0.8, 0.2]])
    >>> lat = vcviz.LatentSet([[0.0], [1.0]], log_probs, y=[0, 1])
    >>> vcviz.metrics.find_rows(lat, None, "confidence > 0.7 and not right")
    array([1])
    """
    import pandas as pd

    asked = query.strip()
    if not asked:
        return lat.index[:0]
    if asked.isdecimal() and (lat.index == int(asked)).any():
        return np.array([int(asked)])
    if asked in lat.class_names:
        return np.sort(lat.index[lat.y == lat.class_names.index(asked)])
    table = selection_table(lat, prior, lat.index)
    table = table.rename(columns={"log p(z|y)": "log_density", "log p(z)": "log_marginal"})
    found = _satisfying(table, asked)
    if found is None:
        words = [table[name] for name in table.columns if pd.api.types.is_string_dtype(table[name])]
        found = np.zeros(len(lat), bool)
        for column in words:
            found |= column.astype(str).str.contains(asked, case=False, regex=False).to_numpy()
        if texts is not None:
            found |= np.array([asked.lower() in text.lower() for text in texts])
    if not found.any():
        raise InputError(
            f"no row matches {clip(asked)}; try a row number, a class, a text, or an expression "
            f"such as confidence > 0.9 and not right (known: {', '.join(map(str, table.columns))})"
        )
    return np.sort(lat.index[found])


def _satisfying(table: pd.DataFrame, expression: str) -> NDArray[np.bool_] | None:
    """Return which rows satisfy an expression; None if it is none."""
    if "@" in expression or "__" in expression:  # names of Python, not of columns
        return None
    try:
        found = table.eval(expression, engine="python")
    except Exception:  # whatever a parser and its operators raise: it is a text, then
        return None
    found = np.asarray(found)
    return found if found.shape == (len(table),) and found.dtype == bool else None


def with_own(columns: Mapping[str, Any], lat: LatentSet, places: Any) -> dict[str, Any]:
    """Return columns that tell of some latents, then the user's own; a name is never lost."""
    own = {f"{k} (own)" if k in columns else k: v[places] for k, v in (lat.table or {}).items()}
    return {**columns, **own}


@takes_records
def selection_summary(
    lat: LatentSet,
    prior: LatentPrior | None,
    rows: Sequence[int] | NDArray[np.int64],
    *,
    n_bins: int = 15,
    resamples: int = 200,
    seed: int = 0,
) -> SelectionSummary:
    """Return the accuracy, calibration and mean log-densities of a selection.

    Parameters
    ----------
    lat, prior, rows : as for `selection_table`
    n_bins, resamples, seed : as for `vcviz.reliability_curve`

    Returns
    -------
    SelectionSummary
        `log_density_all` is that of some 50,000 of the rows, evenly spaced, where there are more.

    Raises
    ------
    InputError
        If `lat` has no such row.

    Examples
    --------
    >>> log_probs = np.log([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    >>> lat = vcviz.LatentSet([[0.0], [2.0], [1.5]], log_probs, y=[0, 1, 0])
    >>> some = vcviz.metrics.selection_summary(lat, None, [1, 2])
    >>> some.n, some.counts, some.accuracy, round(some.confidence, 2)
    (2, array([1, 1]), 0.5, 0.75)
    """
    places, nan = places_of(lat, rows), float("nan")
    found: dict[str, Any] = dict.fromkeys(
        ("accuracy", "confidence", "ece", "ece_if_calibrated", "ece_debiased", "log_density",
         "log_density_error", "log_density_all", "log_marginal"), nan
    )  # fmt: skip
    found |= {"accuracy_interval": (nan, nan), "ece_debiased_interval": (nan, nan)}
    if len(places):
        found |= _measured(lat.take(places), prior, n_bins=n_bins, resamples=resamples, seed=seed)
    if prior is not None:
        every = max(1, len(lat) // _ENOUGH)
        some = lat if every == 1 else lat.take(np.arange(0, len(lat), every))
        found["log_density_all"] = float(log_densities(some, prior)[0].mean())
    return SelectionSummary(
        n=len(places),
        of=len(lat),
        counts=np.bincount(lat.y[places], minlength=lat.n_classes),
        class_names=lat.class_names,
        name=lat.name,
        label_note=lat.label_note,
        n_bins=n_bins,
        **found,
    )


def _measured(chosen: LatentSet, prior: LatentPrior | None, **options: int) -> dict[str, Any]:
    """Return the numbers of latents, of one at least."""
    n = len(chosen)
    right = int((chosen.log_probs.argmax(1) == chosen.y).sum())
    low, high = wilson(right / n, n)
    curve = reliability_curve(chosen.log_probs, chosen.y, **options)  # type: ignore[arg-type]
    found: dict[str, Any] = {
        "accuracy": right / n,
        "accuracy_interval": (float(low), float(high)),
        "confidence": float(np.exp(chosen.log_probs.max(1).astype(np.float64)).mean()),
        "ece": curve.ece,
        "ece_if_calibrated": curve.ece_if_calibrated,
        "ece_debiased": curve.ece_debiased,
        "ece_debiased_interval": curve.ece_debiased_interval,
    }
    if prior is not None:
        own, marginal = log_densities(chosen, prior)
        found |= {"log_density": float(own.mean()), "log_marginal": float(marginal.mean())}
        if n > 1:
            found["log_density_error"] = float(own.std(ddof=1) / np.sqrt(n))
    return found


def places_of(lat: LatentSet, rows: ArrayLike) -> NDArray[np.int64]:
    """Return the places in `lat` of rows of the split.

    Raises
    ------
    InputError
        If `lat` has no latents of some of them; the first is named.
    """
    given = as_array("rows", rows, 1)
    wanted = as_labels("rows", given) if len(given) else np.empty(0, np.int64)
    order = None if (np.diff(lat.index) > 0).all() else np.argsort(lat.index)
    known = lat.index if order is None else lat.index[order]
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    if (missing := known[place] != wanted).any():
        raise InputError(
            f"{lat.name!r} has no latent of row {wanted[missing][0]} "
            f"({int(missing.sum())} of {len(wanted)} rows are missing); its rows go from "
            f"{known[0]} to {known[-1]}"
        )
    return place if order is None else order[place]


def log_densities(lat: LatentSet, prior: LatentPrior) -> tuple[NDArray, NDArray]:
    """Return (N,) log p(z|y) of the labels and (N,) log p(z), in nats."""
    own, of_any = np.empty((2, len(lat)))
    for rows in row_blocks(len(lat), max(prior.latent_dim, prior.n_classes)):
        joint = prior.log_prob(lat.z[rows])
        own[rows] = joint[np.arange(len(joint)), lat.y[rows]]
        of_any[rows] = np.logaddexp.reduce(joint + prior.log_weight, axis=1)
    return own, of_any


def _nearest(
    z: NDArray[np.float32], place: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the places of the nearest other rows, the nearest first, and their distances."""
    here = z[place].astype(np.float64)  # whose squares float32 may not hold
    square = np.concatenate(
        [
            np.einsum("nd,nd->n", gap, gap)
            for start in range(0, len(z), _BLOCK)
            for gap in [z[start : start + _BLOCK] - here]
        ]
    )
    square[place] = np.inf
    count = min(count, len(z) - 1)
    near = np.argpartition(square, count)[:count] if count else np.empty(0, np.int64)
    near = near[np.argsort(square[near], kind="stable")]
    return near, np.sqrt(square[near])
