"""Reliability diagrams: accuracy against confidence, with what noise alone would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.figures import theme as style
from vcviz.figures.diagram import TOP, Diagram, count_traces, diagram_traces, numbers_text
from vcviz.figures.grid import Cell, Panels, side_by_side
from vcviz.figures.marks import text_at
from vcviz.records import ReliabilityCurve

_DIAGRAM_PX, _COUNTS_PX, _GAP_PX, _ALONE_PX = 300, 90, 26, 560
_HEADED_GAP_PX = 88  # beneath the counts: their axis, and the heading of the next row
_LEGEND_PX, _ABOVE_PX = 42, 95  # between legend and text, and both with their margin
_LINE_PX = 17
COLUMNS = 3


@takes_records
def plot_reliability(
    curves: ReliabilityCurve | Sequence[ReliabilityCurve],
    *,
    columns: int = COLUMNS,
    details: bool = False,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return the reliability diagram of each curve, with the counts beneath.

    Parameters
    ----------
    curves : one curve, or several to draw side by side on the same axes
    columns : diagrams in a row
    details : also show the gap to confidence, the intervals and the debiased ECE
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        For anything but `ReliabilityCurve` records, or options out of range.

    Notes
    -----
    A bar is as wide as its bin. Grey boxes: where the accuracy of a perfectly calibrated
    classifier of this size would fall. Above stands the ECE of these rows beside what as many
    calibrated rows would show. With `details`, or after a click on the legend, hatched: from
    accuracy to mean confidence, whose sum weighted by count is the ECE; whiskers: Wilson interval
    of the accuracy, at the mean confidence. With `details` the debiased ECE stands above too,
    with the interval of the population's error. Every number is the record's.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> figure = vcviz.plot_reliability(vcviz.reliability_curve(run.latents()))
    >>> figure.layout.annotations[0].text
    '<b>reliability</b>'
    """
    found = one_or_several("curves", curves)
    panels = reliability_panels(found, columns=columns, details=details)
    return style.apply(go.Figure(**panels.spec), theme)


def reliability_panels(
    curves: Sequence[ReliabilityCurve | Diagram], *, columns: int = COLUMNS, details: bool = False
) -> Panels:
    """Return the panels of `plot_reliability`, to which others can be added.

    A `Diagram` also shows what stands beside its curve. `meta["run"]` of bars is its number.
    """
    diagrams = [c if isinstance(c, Diagram) else Diagram(c) for c in curves]
    texts = [numbers_text(diagram, details=details) for diagram in diagrams]
    above = _LINE_PX * max(map(len, texts))
    heights, gaps = [_DIAGRAM_PX, _COUNTS_PX], [_GAP_PX, _HEADED_GAP_PX + above]
    panels, places = side_by_side(len(diagrams), columns, heights, gaps, gap_x=0.18)
    # Of all samples, not of the fullest bin: the axis stays put while a slider moves.
    most = max(diagram.most for diagram in diagrams)
    for i, (diagram, text, (top, counts)) in enumerate(zip(diagrams, texts, places, strict=True)):
        traces = [*diagram_traces(diagram, i, details=details), text_at(text, 0.0, TOP)]
        name = style.escape(diagram.curve.name, 60)
        panels.add(top, traces, _diagram_axes(top, counts), name, shift=_LINE_PX * len(text))
        panels.add(counts, count_traces(diagram, i), _count_axes(counts, most))
    alone = {"width": _ALONE_PX} if len(diagrams) == 1 else {}
    panels.frame(
        _ABOVE_PX + above,
        60,
        legend=_LEGEND_PX + above,
        margin={"r": 12},
        barmode="overlay",
        **alone,
    )
    return panels


def panel_of(axis: str, n: int, columns: int = COLUMNS) -> int | None:
    """Return which of `n` diagrams has an axis, such as "x5", or None for another panel's."""
    columns = min(columns, n)
    row, column = divmod(int(axis[1:] or 1) - 1, columns)
    found = (row // 2) * columns + column
    return found if found < n and row < 2 * -(-n // columns) else None


def _diagram_axes(top: Cell, counts: Cell) -> tuple[dict[str, Any], dict[str, Any]]:
    x = {
        "range": [0, 1],
        "constrain": "domain",
        "dtick": 0.2,
        "matches": f"x{counts.suffix}",
        "showticklabels": False,
    }
    y = {
        "title": {"text": "accuracy, fraction" if top.leftmost else None},
        "range": [0, TOP],
        "dtick": 0.2,
    }
    return x, y


def _count_axes(counts: Cell, most: int) -> tuple[dict[str, Any], dict[str, Any]]:
    x = {"title": {"text": "confidence, fraction"}, "range": [0, 1], "dtick": 0.2}
    y = {
        "title": {"text": "samples" if counts.leftmost else None},
        "type": "log",
        "range": [-0.3, float(np.log10(max(most, 1))) + 0.2],
        "dtick": 1,
        "tickformat": "~s",
    }
    return x, y
