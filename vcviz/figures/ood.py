"""Scores of known samples and of strangers, with the line that accepts most of the known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.options import check_count
from vcviz.figures import theme as style
from vcviz.figures.grid import side_by_side
from vcviz.figures.marks import Trace, error_bars, quiet, scatter
from vcviz.metrics.ood import METHODS, UNITS, roc_curve
from vcviz.records import Separation

KNOWN, STRANGE = style.CLASS_COLORS[0], style.CLASS_COLORS[3]
_PANEL_PX, _GAP_PX, _ROC_GAP_PX = 150, 116, 58


@takes_records
def plot_ood(
    separations: Separation | Sequence[Separation],
    *,
    columns: int = 3,
    roc: bool = False,
    n_bins: int = 40,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return histograms of in- and out-of-distribution scores, a panel per score.

    Parameters
    ----------
    separations : one or several, see `vcviz.studies.separate_strangers`
    columns : panels in a row
    roc : draw the ROC curve beneath each histogram
    n_bins : bars along each axis
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        For anything but `Separation` records, or options out of range.

    Notes
    -----
    Further right is further out of distribution. The dotted line accepts a share `tpr` of the
    in-distribution inputs; the share of the others to its left is FPR95. Axes show the
    in-distribution inputs and as much of the others as lies within three times their range: what
    lies beyond is in the outermost bars. "Worse than chance" means that the interval of the AUROC
    lies below 0.5: the score takes in-distribution inputs for the stranger ones. Every number is
    the record's.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> known, strange = rng.normal(0, 1, 500), rng.normal(2, 1, 500)
    >>> found = vcviz.metrics.ood.separation(known, strange, method="distance")
    >>> figure = vcviz.plot_ood(found, roc=True)
    >>> figure.layout.annotations[0].text.split("<br>")[0]
    '<b>distance</b>'
    """
    found = one_or_several("separations", separations)
    check_count("n_bins", n_bins, minimum=2)
    gaps = [_ROC_GAP_PX, _GAP_PX] if roc else [_GAP_PX]
    panels, places = side_by_side(len(found), columns, [_PANEL_PX] * len(gaps), gaps, gap_x=0.2)
    several = len({s.name for s in found}) > 1, len({s.against for s in found}) > 1
    for i, (one, (cell, *below)) in enumerate(zip(found, places, strict=True)):
        low, high = _range(one)
        unit = UNITS.get(one.method)
        x = {"title": {"text": f"score, {unit}" if unit else "score"}, "range": [low, high]}
        title = {"text": "share of rows" if cell.leftmost else None}
        y = {"title": title, "rangemode": "tozero", "tickformat": ".0%"}
        bars = _histogram(one, np.linspace(low, high, n_bins + 1), legend=i == 0)
        panels.add(cell, bars, (x, y), *_heading(one, *several))
        for under in below:
            title = {"text": "known accepted" if under.leftmost else None}
            accepted = {"title": {"text": "strangers accepted, fraction"}, "range": [-0.01, 1]}
            known = {"title": title, "range": [0, 1.02], "dtick": 0.5}
            panels.add(under, _roc(one), (accepted | {"dtick": 0.25}, known))
    panels.frame(150, 56, legend=92, barmode="overlay", bargap=0, margin={"r": 14})
    return style.apply(go.Figure(**panels.spec), theme)


def _heading(one: Separation, runs: bool, kinds: bool) -> list[str]:
    what = METHODS.get(one.method, one.method)
    title = style.escape(f"{one.name}: {what}" if runs else what, 46)

    def between(interval: tuple[float, float]) -> str:
        return f"[{interval[0]:.3f}, {interval[1]:.3f}]"

    lines = [
        title,
        f"AUROC {one.auroc:.3f} {between(one.auroc_interval)}",
        f"FPR{100 * one.tpr:g} {one.fpr:.3f} {between(one.fpr_interval)}",
    ]
    if one.worse_than_chance:
        lines[1] += ", worse than chance"
    return [*lines, f"against {style.escape(one.against, 32)}"] if kinds else lines


def _histogram(one: Separation, edges: NDArray[np.float64], legend: bool) -> list[Trace]:
    middle = (edges[:-1] + edges[1:]) / 2
    traces: list[Trace] = []
    top = 0.0
    for scores, name, color, shape in (
        (one.known, "known", KNOWN, ""),
        (one.strange, f"strangers ({one.against})", STRANGE, "/"),
    ):
        share = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0] / len(scores)
        top = max(top, float(share.max()))
        traces.append(
            {
                "type": "bar",
                "x": middle,
                "y": share,
                "width": np.diff(edges),
                "name": style.escape(name if legend else name.split(" (")[0], 60),
                "legendgroup": name.split(" (")[0],
                "showlegend": legend,
                "opacity": 0.6,
                "marker": {
                    "color": color,
                    "line": {"width": 0},
                    "pattern": {"shape": shape, "size": 5, "solidity": 0.35, "fgcolor": color},
                },
                "customdata": np.column_stack([edges[:-1], edges[1:]]),
                "hovertemplate": (
                    f"{name.split(' (')[0]}<br>%{{customdata[0]:.4g}} to %{{customdata[1]:.4g}}"
                    f"<br>%{{y:.1%}} of {len(scores):,}<extra></extra>"
                ),
            }
        )
    line = scatter(
        [one.threshold] * 2,
        [0, 1.05 * top],
        f"accepts {one.tpr:.0%} of the known",
        line={"color": style.NEUTRAL, "width": 1.6, "dash": "dot"},
        legendgroup="threshold",
        showlegend=legend,
        hovertemplate=f"threshold {one.threshold:.4g}<extra></extra>",
    )
    return [*traces, line]


def _range(one: Separation) -> tuple[float, float]:
    """Return the ends of the axis: the known, and strangers as far as they leave those visible."""

    def bulk(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        finite = scores[np.isfinite(scores)]
        return np.quantile(finite, [0.002, 0.998]) if len(finite) else np.array([0.0, 0.0])

    (low, high), (strange_low, strange_high) = bulk(one.known), bulk(one.strange)
    width = max(high - low, 1e-6 * max(abs(low), abs(high), 1e-6))
    low = min(low, max(strange_low, low - 3 * width))
    high = max(high, min(strange_high, high + 3 * width))
    if np.isfinite(one.threshold):
        low, high = min(low, one.threshold), max(high, one.threshold)
    return float(low), float(max(high, low + width))


def _roc(one: Separation) -> list[Trace]:
    strange, known = roc_curve(one.known, one.strange)
    rate, (low, high) = f"FPR{100 * one.tpr:g}", one.fpr_interval
    return [
        quiet([0, 1], [0, 1], "chance", line={"color": style.NEUTRAL, "width": 1}),
        scatter(
            strange,
            known,
            "ROC",
            line={"color": KNOWN, "width": 1.8, "shape": "linear"},
            showlegend=False,
            hovertemplate="accepts %{x:.3f} of strangers, %{y:.3f} of known<extra></extra>",
        ),
        scatter(
            [one.fpr],
            [one.tpr],
            rate,
            mode="markers",
            marker={"color": STRANGE, "size": 8, "symbol": "diamond"},
            error_x=error_bars(
                [max(high - one.fpr, 0)], [max(one.fpr - low, 0)], color=STRANGE, thickness=1.4
            ),
            showlegend=False,
            hovertemplate=f"{rate} %{{x:.3f}}<extra></extra>",
        ),
    ]
