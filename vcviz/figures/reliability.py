"""Reliability diagrams: accuracy against confidence, with what noise alone would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vcviz.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, cells, text_above
from vcviz.records import ReliabilityCurve

ACCURACY, GAP = style.CLASS_COLORS[0], style.CLASS_COLORS[3]
_DIAGRAM_PX, _COUNTS_PX, _GAP_PX, _ALONE_PX = 300, 90, 26, 560
_HEADED_GAP_PX = 140  # beneath the counts: their axis, and the heading of the next row
_LINE_PX = 17
_TOP = 1.02  # of the accuracy axis, so that a marker at 1 is whole


def plot_reliability(
    curves: ReliabilityCurve | Sequence[ReliabilityCurve],
    *,
    columns: int = 3,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return the reliability diagram of each curve, with the counts beneath.

    Parameters
    ----------
    curves : one curve, or several to draw side by side on the same axes
    columns : diagrams in a row
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Notes
    -----
    A bar is as wide as its bin. Hatched: from accuracy to mean confidence, whose sum weighted by
    count is the ECE. Whiskers: bootstrap interval of the accuracy. Grey boxes: where the accuracy
    of a perfectly calibrated classifier of this size would fall. Every number is the record's.
    """
    spec = reliability_spec(_listed(curves), columns=columns)
    return style.apply(go.Figure(**spec), theme)


def reliability_spec(curves: Sequence[ReliabilityCurve], *, columns: int = 3) -> dict[str, Any]:
    """Return `plot_reliability` as the plain data and layout of a figure, without a theme."""
    columns = min(columns, len(curves))
    n_rows = -(-len(curves) // columns)
    heights = [_DIAGRAM_PX, _COUNTS_PX] * n_rows
    gaps = [_GAP_PX, _HEADED_GAP_PX] * n_rows
    rows = cells(heights, columns, gap_x=0.18 / columns, gap_y=gaps)
    plot = sum(heights) + sum(gaps[:-1])
    layout: dict[str, Any] = {
        "barmode": "overlay",
        "annotations": [],
        "height": plot + 206,
        "margin": {"t": 146, "b": 60, "r": 12},
        "legend": {"orientation": "h", "y": 1 + 94 / plot, "yanchor": "bottom", "x": 0},
    }
    if len(curves) == 1:
        layout["width"] = _ALONE_PX
    data: list[dict[str, Any]] = []
    # Of all samples, not of the fullest bin: the axis stays put while a slider moves.
    most = max(curve.n for curve in curves)
    for i, curve in enumerate(curves):
        top = rows[2 * (i // columns)][i % columns]
        counts = rows[2 * (i // columns) + 1][i % columns]
        data += top.place(_diagram(curve, legend=i == 0)) + counts.place([_counts(curve)])
        layout |= top.axes(*_diagram_axes(top, counts, first=i % columns == 0))
        layout |= counts.axes(*_count_axes(most, first=i % columns == 0))
        heading = top.heading(style.escape(curve.name, 60))
        layout["annotations"].append(heading | {"yshift": _LINE_PX * len(ece_text(curve))})
    return {"data": data, "layout": layout}


def ece_text(curve: ReliabilityCurve) -> list[str]:
    """Return the lines that say a curve's ECE, its interval and its finite-sample floor."""
    low, high = curve.ece_interval
    between = f" [{low:.3f}, {high:.3f}]" if np.isfinite([low, high]).all() else ""
    lines = [f"ECE {curve.ece:.3f}{between}"]
    if np.isfinite(curve.ece_if_calibrated):
        lines.append(f"{curve.ece_if_calibrated:.3f} expected if calibrated")
    bins = "bins" if curve.binning == "width" else "equal-mass bins"
    return [*lines, f"n = {curve.n:,}, {curve.n_bins} {bins}"]


def _listed(curves: ReliabilityCurve | Sequence[ReliabilityCurve]) -> list[ReliabilityCurve]:
    found: list[Any] = list(curves) if isinstance(curves, (list, tuple)) else [curves]
    if not found or not all(isinstance(c, ReliabilityCurve) for c in found):
        raise InputError("plot_reliability draws ReliabilityCurve records, at least one")
    return found


def _diagram(curve: ReliabilityCurve, legend: bool) -> list[dict[str, Any]]:
    filled = curve.count > 0
    edges = np.column_stack([curve.edges[:-1], curve.edges[1:]])[filled]
    middle, width = edges.mean(1), edges[:, 1] - edges[:, 0]
    accuracy, confidence = curve.accuracy[filled], curve.confidence[filled]
    told = np.column_stack([edges, confidence, accuracy, curve.count[filled]])
    percent = f"{curve.level:.0%}"
    bar = {"type": "bar", "x": middle, "width": width, "showlegend": legend}
    low, high = curve.band_low[filled], curve.band_high[filled]
    noise_low, noise_high = curve.consistency_low[filled], curve.consistency_high[filled]
    return [
        {
            **bar,
            "y": accuracy,
            "name": "accuracy",
            "legendgroup": "accuracy",
            "marker": {"color": ACCURACY, "opacity": 0.55, "line": {"width": 0}},
            "customdata": told,
            "hovertemplate": (
                "confidence in (%{customdata[0]:.3f}, %{customdata[1]:.3f}]<br>"
                "mean confidence %{customdata[2]:.3f}<br>accuracy %{customdata[3]:.3f}<br>"
                "%{customdata[4]:,d} samples<extra></extra>"
            ),
        },
        {
            **bar,
            "base": np.minimum(accuracy, confidence),
            "y": np.abs(accuracy - confidence),
            "name": "gap to confidence",
            "legendgroup": "gap",
            "marker": {
                "color": "rgba(0,0,0,0)",
                "line": {"width": 1, "color": GAP},
                "pattern": {"shape": "/", "fgcolor": GAP, "size": 6, "solidity": 0.25},
            },
            "hoverinfo": "skip",
        },
        {
            **bar,
            "base": noise_low,
            "y": noise_high - noise_low,
            "width": 0.5 * width,
            "name": f"if calibrated, {percent}",
            "legendgroup": "noise",
            "marker": {"color": "rgba(128,128,128,0.35)", "line": {"width": 0}},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "x": [0, 1],
            "y": [0, 1],
            "mode": "lines",
            "line": {"color": style.NEUTRAL, "width": 1},
            "name": "calibrated",
            "showlegend": False,
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "x": confidence,
            "y": accuracy,
            "mode": "markers",
            "marker": {"color": ACCURACY, "size": 5},
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": high - accuracy,
                "arrayminus": accuracy - low,
                "color": ACCURACY,
                "thickness": 1.3,
                "width": 3,
            },
            "name": f"bootstrap, {percent}",
            "legendgroup": "bootstrap",
            "showlegend": legend,
            "hoverinfo": "skip",
        },
        text_above(ece_text(curve), 0.0, _TOP),
    ]


def _counts(curve: ReliabilityCurve) -> dict[str, Any]:
    return {
        "type": "bar",
        "x": (curve.edges[:-1] + curve.edges[1:]) / 2,
        "y": curve.count,
        "width": np.diff(curve.edges),
        "name": "samples",
        "showlegend": False,
        "marker": {"color": style.NEUTRAL, "opacity": 0.6, "line": {"width": 0}},
        "hovertemplate": "%{y:,d} samples<extra></extra>",
    }


def _diagram_axes(top: Cell, counts: Cell, first: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    x = {
        "range": [0, 1],
        "constrain": "domain",
        "dtick": 0.2,
        "matches": f"x{counts.suffix}",
        "showticklabels": False,
    }
    y = {
        "title": {"text": "accuracy, fraction" if first else None},
        "range": [0, _TOP],
        "dtick": 0.2,
    }
    return x, y


def _count_axes(most: int, first: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    x = {"title": {"text": "confidence, fraction"}, "range": [0, 1], "dtick": 0.2}
    y = {
        "title": {"text": "samples" if first else None},
        "type": "log",
        "range": [-0.3, float(np.log10(max(most, 1))) + 0.2],
        "dtick": 1,
        "tickformat": "~s",
    }
    return x, y
