"""One inspected sample as bars, and the numbers of a selection in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.figures import theme as style
from vcviz.figures.grid import Panels
from vcviz.figures.marks import Trace
from vcviz.metrics.ood import METHODS
from vcviz.records import Inspection

#: classes that get a bar: the most probable, and the label
MOST_CLASSES = 12
_SPAN = 40.0  # nats below the best that the axis of log p(z|y) shows at most
_BAR_PX = 21


@takes_records
def plot_inspection(inspection: Inspection, *, theme: style.Theme = "auto") -> go.Figure:
    """Return bars of p(y|x) and of log p(z|y) of one sample.

    Parameters
    ----------
    inspection : see `vcviz.metrics.inspect_row`
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Notes
    -----
    A bar of log p(z|y) starts at the left end of its axis, at most 40 nats below the best class:
    only differences between classes have a meaning. Classes further down have a number and no bar.
    Of many classes the twelve most probable are shown, and the label.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> row = vcviz.metrics.inspect_row(run.latents(), run.prior(), row=3)
    >>> figure = vcviz.figures.plot_inspection(row)
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['log density', 'probability']
    """
    return style.apply(go.Figure(**inspection_spec(inspection)), theme)


def inspection_spec(one: Inspection) -> dict[str, Any]:
    """Return `plot_inspection` as the plain data and layout of a figure, without a theme.

    Two traces of bars whatever the sample; without a law the second has no bars.
    """
    best = np.argsort(-one.log_probs, kind="stable")[:MOST_CLASSES]
    shown = sorted({*best.tolist(), one.label})
    names = [style.escape(one.class_names[k], 18) for k in shown]
    panels = Panels([_BAR_PX * len(shown)], 2, gap_x=0.08)
    left, right = panels.rows[0]
    y = {
        "range": [len(shown) - 0.5, -0.5],
        "tickvals": list(range(len(shown))),
        "ticktext": [
            f"<b>{name}</b> (label)" if k == one.label else name
            for k, name in zip(shown, names, strict=True)
        ],
        "showgrid": False,
        "fixedrange": True,
    }
    x = {
        "title": {"text": ", ".join(filter(None, ("p(y|x)", one.label_note)))},
        "range": [0, 1.16],
        "tickvals": [0, 0.5, 1],
        "fixedrange": True,
    }
    probs = np.exp(one.log_probs[shown])
    bars = _bars(one, shown, probs, 0.0, [_percent(p) for p in probs], "probability")
    panels.add(left, [bars], (x, y), *headline(one))
    density = np.full(len(shown), np.nan) if one.log_density is None else one.log_density[shown]
    first, last = _ends(one.log_density)
    texts = [f"{v:.1f}" if np.isfinite(v) else "" for v in density]
    bars = _bars(one, shown, np.maximum(density, first), first, texts, "log density")
    law = "log p(z|y), nats" if one.log_density is not None else "no p(z|y) to look at"
    x = {"title": {"text": law}, "range": [first, last], "nticks": 5, "fixedrange": True}
    panels.add(right, [bars], (x, y | {"showticklabels": False}))
    height, margin = panels.height + 112, {"r": 14}
    panels.frame(54, 48, height=height, margin=margin, bargap=0.25, showlegend=False)
    return panels.spec


def headline(one: Inspection) -> list[str]:
    """Return two lines: which sample this is, and what stands out."""
    names = one.class_names
    right = "right" if one.predicted == one.label else "wrong"
    first = (
        f"row {one.row}: {style.escape(names[one.label], 24)}, predicted "
        f"{style.escape(names[one.predicted], 24)} ({_percent(one.confidence)}, {right})"
    )
    parts = []
    if one.log_marginal is not None:
        parts.append(f"log p(z) {one.log_marginal:.4g} nats")
    if one.score is not None and one.method not in (None, "log_marginal"):
        parts.append(f"{METHODS.get(str(one.method), one.method)} {one.score:.3g}")
    if len(one.neighbours):
        same = int((one.neighbour_labels == one.label).sum())
        parts.append(f"{same} of {len(one.neighbours)} neighbours share the label")
    return [first, " · ".join(parts)] if parts else [first]


def _bars(
    one: Inspection,
    shown: list[int],
    values: NDArray[np.float64],
    base: float,
    texts: list[str],
    layer: str,
) -> Trace:
    return {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(shown))),
        "x": np.nan_to_num(values - base).tolist(),
        "base": base,
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "textfont": {"size": 11},
        "marker": {
            "color": [style.class_color(k) for k in shown],
            "opacity": 0.85,
            "line": {"color": style.NEUTRAL, "width": [2 * (k == one.label) for k in shown]},
        },
        "hovertext": [style.escape(one.class_names[k], 40) for k in shown],
        "hovertemplate": "<b>%{hovertext}</b><br>%{text}<extra></extra>",
        "name": layer,
        "meta": {"layer": layer},
    }


def _ends(density: NDArray[np.float64] | None) -> tuple[float, float]:
    """Return the ends of the axis of log densities, with room for a number on the right."""
    if density is None:
        return 0.0, 1.0
    best = float(density.max())
    span = float(np.clip(best - density.min(), 2.0, _SPAN))
    return best - 1.08 * span, best + 0.32 * span


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if value >= 5e-4 else "< 0.1 %"
