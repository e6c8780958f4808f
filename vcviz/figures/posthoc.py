"""Accuracy, NLL and ECE after each post-hoc method, beside the classifier as it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, Panels
from vcviz.figures.marks import Trace, error_bars, quiet, scatter
from vcviz.metrics.posthoc import REVISIONS, PosthocScores

#: attribute -> (title, axis title, whether more is better)
PANELS = {
    "accuracy": ("accuracy →", "fraction"),
    "nll": ("← NLL", "nats, log scale"),
    "ece": ("← ECE, 15 bins", "fraction, at this n"),
}
ROW_PX = 30
_SPREAD = 0.5


@takes_records
def plot_posthoc(scores: Sequence[PosthocScores], *, theme: style.Theme = "auto") -> go.Figure:
    """Return accuracy, NLL and ECE of each method with their intervals, a colour per run.

    Parameters
    ----------
    scores : see `vcviz.studies.revise_runs`
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If there are no scores.

    Notes
    -----
    An arrow points to where a number is better. A dotted line stands at the run as trained. The
    interval of the ECE holds what it is on average for so many rows, noise of the bins included.

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> methods = ["temperature", "vector"]
    >>> scores = vcviz.studies.revise_runs(run, methods, resamples=20, progress=False)
    >>> figure = vcviz.figures.plot_posthoc(scores)
    >>> [axis.title.text for axis in figure.select_xaxes()]
    ['fraction', 'nats, log scale', 'fraction, at this n']
    """
    found: list[PosthocScores] = one_or_several("scores", scores)
    methods = list(dict.fromkeys(s.method for s in found))
    panels = Panels([ROW_PX * len(methods) + 20], 3, gap_x=0.05)
    several = len({s.name for s in found}) > 1
    score_panels(panels, found, panels.rows[0])
    panels.frame(70 + 20 * several, 60, legend=34, margin={"r": 14})
    return style.apply(go.Figure(**panels.spec), theme)


def score_panels(
    panels: Panels, found: Sequence[PosthocScores], row: Sequence[Cell], chosen: str | None = None
) -> None:
    """Add three panels, one of each score.

    Parameters
    ----------
    found : scores of one run or several
    row : the places of the panels
    chosen : the method to mark with a large ring
    """
    methods = list(dict.fromkeys(s.method for s in found))
    names = list(dict.fromkeys(s.name for s in found))
    for cell, (key, (title, unit)) in zip(row, PANELS.items(), strict=True):
        dots: list[Trace] = []
        for i, name in enumerate(names):
            of_run = [s for s in found if s.name == name]
            dots += _dots(of_run, key, methods, i, len(names), chosen)
        labels = [style.escape(REVISIONS.get(m, m), 40) for m in methods]
        y = {
            "tickvals": list(range(len(methods))),
            "ticktext": labels if cell is row[0] else [""] * len(labels),
            "range": [len(methods) - 0.4, -0.6],
            "ticks": "",
        }
        x = {"title": {"text": unit}, "nticks": 5} | _range(found, key)
        panels.add(cell, dots, (x, y), title)


def _range(found: Sequence[PosthocScores], key: str) -> dict[str, Any]:
    """Return the range of an axis: where all intervals lie, NLL on a log scale."""
    ends = np.array([getattr(s, f"{key}_interval") for s in found], float)
    ends = ends[np.isfinite(ends)]
    low, high = (ends.min(), ends.max()) if len(ends) else (0.0, 1.0)
    if key == "nll":
        low = max(low, 1e-3 * high, 1e-6)
        return {
            "type": "log",
            "range": [float(np.log10(low)) - 0.03, float(np.log10(high)) + 0.03],
            "dtick": "D2" if high < 30 * low else 1,
            "tickformat": "~g",
        }
    reach = 0.06 * max(high - low, 1e-3)
    return {"range": [max(low - reach, -0.005), min(high + reach, 1.005)]}


def _hover(one: PosthocScores) -> str:
    """Return the method, the rows that it was fitted to, and what its probabilities are for."""
    rows = one.fitted_to and f"fitted to {one.fitted_to} rows"
    return ", ".join(filter(None, (REVISIONS.get(one.method, one.method), rows, one.label_note)))


def _dots(
    of_run: Sequence[PosthocScores],
    key: str,
    methods: Sequence[str],
    i: int,
    runs: int,
    chosen: str | None,
) -> list[Trace]:
    color, _, symbol = style.run_style(i)
    shift = 0.0 if runs == 1 else _SPREAD * (i / (runs - 1) - 0.5)
    values = np.array([getattr(s, key) for s in of_run])
    ends = np.array([getattr(s, f"{key}_interval") for s in of_run])
    with np.errstate(invalid="ignore"):  # an infinite NLL has no whiskers
        reach = np.nan_to_num(np.abs(ends - values[:, None]), posinf=0.0)
    place = np.array([methods.index(s.method) for s in of_run]) + shift
    name = style.escape(of_run[0].name, 40)
    traces: list[Trace] = []
    trained = next((getattr(s, key) for s in of_run if s.method == "none"), None)
    if trained is not None:
        axis, dotted = [-0.6, len(methods) - 0.4], {"color": color, "width": 1, "dash": "dot"}
        traces.append(quiet([trained] * 2, axis, f"{name}, as trained", line=dotted))
    sizes = [15 if s.method == chosen else 9 for s in of_run]
    dots = scatter(
        values,
        place,
        name,
        key,
        mode="markers",
        marker={"color": color, "symbol": symbol, "size": sizes, "line": {"width": 0}},
        error_x=error_bars(reach[:, 1], reach[:, 0], color=color, thickness=1.4, width=4),
        showlegend=runs > 1 and key == "accuracy",
        text=[style.escape(_hover(s)) for s in of_run],
        customdata=ends,
        hovertemplate=f"<b>%{{text}}</b><br>{name}<br>%{{x:.4g}} "
        f"[%{{customdata[0]:.4g}}, %{{customdata[1]:.4g}}], {of_run[0].level:.0%}<extra></extra>",
    )
    return [trace | {"legendgroup": f"run {i}"} for trace in [*traces, dots]]
