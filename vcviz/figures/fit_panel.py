"""The fit of each class to p(z|y), beneath a panel of latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.classes import labels
from vcviz.figures.latent_panel import View
from vcviz.figures.marks import Trace, scatter, text_at
from vcviz.figures.outlines import Range

#: letters of all class names together that fit beneath a narrow panel
_TICK_LETTERS = 24
_TICKED = 60  # classes with a tick each


def fit_range_of(
    fits: Sequence[NDArray[np.float64]], biases: Sequence[NDArray[np.float64]]
) -> Range:
    """Return the axis of fits, and of what few latents of the law give, as far as they are numbers.

    Widened for a log axis, with room above for a panel's numbers.
    """
    found = np.concatenate([*fits, *biases]) if len(fits) else np.empty(0)
    found = found[np.isfinite(found) & (found > 0)]
    if not len(found):
        return (0.1, 10.0)
    high = float(found.max())
    low = max(float(found.min()), high * 1e-6)
    decades = max(np.log10(high / low), 1.0)
    return low * 10 ** (-0.12 * decades), high * 10 ** (0.75 * decades)


def bias_trace(x: NDArray[np.floating], y: NDArray[np.floating], *, size: int) -> Trace:
    """Return what the fit of each class is on average if the law holds: layer "bias"."""
    line = {"symbol": "line-ew-open", "color": style.NEUTRAL, "size": size, "line": {"width": 1.5}}
    hover = "so few rows of p(z|y) itself give %{y:.3g} nats<extra></extra>"
    return scatter(x, y, "bias", "bias", mode="markers", marker=line, hovertemplate=hover)


def fit_traces(view: View, fit_range: Range) -> list[Trace]:
    """Return the fit of each class as a marker in its colour, with what notes say above.

    Hollow where it is infinite: that in the dimensions in which the class varies. "∞" stands at the
    upper edge then, and "–" at the lower where a class has no fit.
    """
    shown = list(view.shown)
    counts = np.bincount(view.lat.y, minlength=view.lat.n_classes)
    fit, varying, bias = (a[shown] for a in (view.fit, view.fit_varying, view.bias))
    endless, unknown = np.isinf(fit), np.isnan(fit)
    x, names = np.arange(len(shown), dtype=np.float32), labels(view.lat.class_names, 40)
    colors = [style.class_color(k) for k in shown]
    # Just inside: on the very edge, rounded, they may not be drawn.
    inside = (fit_range[1] / fit_range[0]) ** 0.01
    low, high = fit_range[0] * inside, fit_range[1] / inside
    hollow = [
        style.class_symbol(k) + ("-open" if one else "")
        for k, one in zip(shown, endless, strict=True)
    ]
    why = [
        "KL ∞: it does not vary in some dimension" if e else "too few rows for a KL"
        for e in endless
    ]
    quiet_key = {"showlegend": False}
    return [
        bias_trace(x, bias.astype(np.float32), size=9) | quiet_key,
        scatter(
            x,
            np.where(endless, varying, fit).astype(np.float32),
            "fit",
            "fit",
            mode="markers",
            marker={"color": colors, "symbol": hollow, "size": 8},
            text=[names[k] for k in shown],
            customdata=np.column_stack([counts[shown], bias]).astype(np.float32),
            hovertemplate="<b>%{text}</b><br>KL %{y:.3g} nats of %{customdata[0]:,d} rows"
            "<br>(%{customdata[1]:.3g} on average if p(z|y) holds)<extra></extra>",
            **quiet_key,
        ),
        scatter(
            x,
            np.select([endless, unknown], [high, low], np.nan).astype(np.float32),
            "edge",
            "edge",
            mode="text",
            cliponaxis=False,
            text=np.select([endless, unknown], ["∞", "–"], "").tolist(),
            textposition="top center",
            textfont={"color": colors, "size": 14},
            hovertext=[f"<b>{names[k]}</b><br>{text}" for k, text in zip(shown, why, strict=True)],
            hovertemplate="%{hovertext}<extra></extra>",
            **quiet_key,
        ),
        text_at(view.notes(), -0.45, high, "bottom right"),
    ]


def fit_axes(
    view: View, fit_range: Range, *, titled: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the axes of `fit_traces`: the classes, and the fit on a log scale."""
    names, shown = view.lat.class_names, view.shown
    n = len(shown)
    x: dict[str, Any] = {"title": {"text": "class"}, "range": [-0.6, n - 0.4]}
    x |= {"showgrid": False, "fixedrange": True, "tickvals": list(range(n))}
    if n <= _TICKED and sum(len(names[k]) for k in shown) <= _TICK_LETTERS:
        x["ticktext"] = [style.escape(names[k]) for k in shown]
    else:
        if n > _TICKED:
            x["tickvals"] = []
        x |= {"showticklabels": False, "title": {"text": "class, in the order of the legend"}}
    y = {
        "title": {"text": "KL from p(z|y), nats" if titled else None},
        "type": "log",
        "range": [float(v) for v in np.log10(fit_range)],
        "dtick": 1 if np.log10(fit_range[1] / fit_range[0]) > 2.5 else "D2",
        "tickformat": ",~g",
        "fixedrange": True,
    }
    return x, y
