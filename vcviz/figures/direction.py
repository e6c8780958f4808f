"""Latents along one direction: densities and Q-Q plots against the anticipated law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.classes import FEW, MANY, labels, shown_note
from vcviz.figures.grid import Panels
from vcviz.figures.latent_traces import Layer, legend_traces
from vcviz.figures.marks import Trace, of_class, quiet, text_at
from vcviz.figures.outlines import Range
from vcviz.records import Marginals

_PANEL_PX, _GAP_PX = 300, 104
_FILL, _BAND = 0.13, 0.36  # opacities beneath an observed density, of all bands together
_QQ = 4.0  # quantiles that are drawn, in σ of the law


@dataclass(frozen=True)
class DirectionRanges:
    """Axes of a figure of marginals, which stay put while a slider moves.

    Attributes
    ----------
    x : of u·z, in latent units
    density : per latent unit
    law_quantile, quantile : of the Q-Q plot, in σ of the law
    """

    x: Range
    density: Range
    law_quantile: Range
    quantile: Range


@takes_records
def plot_direction(
    marginals: Marginals | Sequence[Marginals],
    *,
    ranges: DirectionRanges | None = None,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return densities of u·z by class, observed and anticipated, with their Q-Q plot.

    Parameters
    ----------
    marginals : see `vcviz.metrics.marginals`; several stand above one another, with the same axes
    ranges : of the axes; default what all need, `direction_ranges`
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If the classes of several records differ.

    Notes
    -----
    Left, solid: the density that is anticipated; dashed: a kernel estimate of the observed one.
    Right: observed quantiles against anticipated ones, both in σ of the law from its median: on
    the diagonal if the law holds. 95 % of the points lie in the band then, each taken by itself.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> found = vcviz.metrics.marginals(run.latents(), run.prior(), [1, 0], classes=[0, 1])
    >>> figure = vcviz.figures.plot_direction(found)
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['anticipated', 'band', 'diagonal', 'empirical', 'key', 'quantiles', 'readout']
    """
    found = one_or_several("marginals", marginals)
    if len({(one.class_names, one.classes) for one in found}) > 1:
        raise InputError("marginals above one another must be of the same classes")
    return style.apply(go.Figure(**direction_spec(found, ranges)), theme)


def direction_spec(
    found: Sequence[Marginals], ranges: DirectionRanges | None = None
) -> dict[str, Any]:
    """Return `plot_direction` as the plain data and layout of a figure, without a theme.

    The traces are the same ones, in the same order, whatever the data, given the number of sets,
    their classes and whether there are laws.
    """
    found = _few(found)
    ranges = ranges or direction_ranges(found)
    first = found[0]
    panels = Panels([_PANEL_PX] * len(found), 2, gap_x=0.11, gap_y=_GAP_PX, widths=[1.35, 1.0])
    for one, (left, right) in zip(found, panels.rows, strict=True):
        readout = text_at([_numbers(one)], ranges.x[0], ranges.density[1], "bottom right")
        name = style.escape(one.name, 60)
        along = f"u·z, latent units (u: {style.escape(one.direction.label, 60)})"
        x = {"title": {"text": along}, "range": list(ranges.x)}
        y = {"title": {"text": "density, per latent unit"}, "range": list(ranges.density)}
        panels.add(left, [*_densities(one), readout], (x, y), name)
        traces = [_diagonal(ranges), *_bands(one), *_quantiles(one)]
        x = {"title": {"text": "anticipated quantile, σ"}, "range": list(ranges.law_quantile)}
        y = {"title": {"text": "observed quantile, σ"}, "range": list(ranges.quantile)}
        how = f" · law from {one.draws:,} draws" if one.draws else ""
        heading = f"Q–Q against p(z|y), {one.level:.0%} band{how}".replace("%", " %")
        panels.add(right, traces, (x, y), heading)
    layers: list[Layer] = ["anticipated", "empirical"]
    shown = layers if any(one.has_law for one in found) else layers[1:]
    panels.draw(panels.rows[0][0], legend_traces(first.class_names, first.classes, shown))
    panels.frame(98, 58, legend=46, margin={"r": 14})
    return panels.spec


def _few(found: Sequence[Marginals]) -> Sequence[Marginals]:
    """Return marginals of the same classes or, of many, of those farthest from the law."""
    if len(found[0].classes) <= MANY:
        return found
    farthest = np.nan_to_num(np.mean([one.distance for one in found], axis=0), nan=-1.0)
    rows = np.sort(np.argsort(-farthest, kind="stable")[:FEW])

    def part(one: Marginals) -> Marginals:
        arrays: dict[str, Any] = {
            name: value[rows] for name, value in vars(one).items() if isinstance(value, np.ndarray)
        }
        return replace(one, classes=tuple(one.classes[i] for i in rows), **arrays)

    return [part(one) for one in found]


def direction_ranges(found: Sequence[Marginals]) -> DirectionRanges:
    """Return axes on which all of `found` (several epochs, say) are seen."""
    x = _ends([a for m in found for a in (m.x, m.law_x)])
    top = _ends([a for m in found for a in (m.density, m.law_density)])[1]
    observed = np.concatenate([m.quantile[np.abs(m.law_quantile) <= _QQ] for m in found])
    bulk = np.quantile(observed, (0.005, 0.995)) if len(observed) else np.array([-_QQ, _QQ])
    low, high = min(float(bulk[0]), -_QQ), max(float(bulk[1]), _QQ)
    pad = 0.04 * (high - low)
    return DirectionRanges(x, (0.0, 1.16 * top), (-_QQ, _QQ), (low - pad, high + pad))


def _ends(arrays: Sequence[NDArray[np.float64]]) -> Range:
    values = np.concatenate([a[np.isfinite(a)] for a in arrays])
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


# ---------------------------------------------------------------- traces


def _line(one: Marginals, i: int, x: Any, y: Any, layer: str, **more: Any) -> Trace:
    k = one.classes[i]
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    return of_class(k, one.class_names, x, y, layer, **{"hoverinfo": "skip"} | more)


def _densities(one: Marginals) -> list[Trace]:
    traces = []
    for i, k in enumerate(one.classes):
        color = style.class_color(k)
        dashed = {"color": color, "width": 1.6, "dash": style.EMPIRICAL_DASH}
        traces.append(
            _line(
                one, i, one.x[i], one.density[i], "empirical",
                line=dashed, fill="tozeroy", fillcolor=style.faint(color, _FILL),
            )
        )  # fmt: skip
    for i, k in enumerate(one.classes):
        solid = {"color": style.class_color(k), "width": 1.8, "dash": style.ANTICIPATED_DASH}
        traces.append(_line(one, i, one.law_x[i], one.law_density[i], "anticipated", line=solid))
    return traces


def _bands(one: Marginals) -> list[Trace]:
    traces = []
    # Nearly the same for every class: grey, and of many classes each fainter.
    opacity = round(max(_BAND / len(one.classes), 0.03), 3)
    for i in range(len(one.classes)):
        kept = np.isfinite(one.low[i]) & np.isfinite(one.high[i])
        x, low, high = (a[i][kept] for a in (one.law_quantile, one.low, one.high))
        traces.append(
            _line(
                one, i, [*x, *x[::-1]], [*low, *high[::-1]], "band",
                line={"width": 0}, fill="toself", fillcolor=style.faint(style.NEUTRAL, opacity),
            )
        )  # fmt: skip
    return traces


def _quantiles(one: Marginals) -> list[Trace]:
    traces = []
    for i, k in enumerate(one.classes):
        marker = {"color": style.class_color(k), "symbol": style.class_symbol(k), "size": 4.5}
        hover = f"<b>%{{fullData.name}}</b>, {one.used[i]:,} latents"
        template = (
            f"{hover}<br>anticipated %{{x:.2f}} σ, observed %{{y:.2f}} σ"
            f"<br>KS distance {_interval(one, i)}, p = {one.p_value[i]:.2g}<extra></extra>"
        )
        traces.append(
            _line(
                one, i, one.law_quantile[i], one.quantile[i], "quantiles",
                mode="markers", marker=marker, hovertemplate=template, hoverinfo=None,
            )
        )  # fmt: skip
    return traces


def _diagonal(ranges: DirectionRanges) -> Trace:
    ends = [
        min(ranges.law_quantile[0], ranges.quantile[0]),
        max(ranges.law_quantile[1], ranges.quantile[1]),
    ]
    line = {"color": style.NEUTRAL, "width": 1}
    return quiet(ends, ends, "the law holds", "diagonal", line=line)


def _numbers(one: Marginals) -> str:
    """Return the one line beside the densities."""
    if not one.has_law:
        return "no p(z|y) to compare with"
    known = np.flatnonzero(np.isfinite(one.distance))
    if not len(known):
        return "no latents of these classes"
    worst = int(known[one.distance[known].argmax()])
    label = labels(one.class_names, 24)[one.classes[worst]]
    most = "largest KS distance" if len(known) > 1 else "KS distance"
    some = "".join(f"{line} · " for line in shown_note(len(one.classes), len(one.class_names)))
    return f"{some}{most} {_interval(one, worst)} ({label})"


def _interval(one: Marginals, i: int) -> str:
    low, high = one.distance_interval[i]
    return f"{one.distance[i]:.2f} [{low:.2f}, {high:.2f}]"
