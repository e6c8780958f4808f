"""A figure of latents as plain data and layout: panels, fits beneath them, one legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.colouring import KEY_PX, colouring_of
from vcviz.figures.grid import Cell, cells, grid_of, text_below
from vcviz.figures.latent_panel import (
    LatentOptions,
    LatentPanel,
    View,
    checked_classes,
    shared_names,
)
from vcviz.figures.latent_traces import (
    Layer,
    Trace,
    bias_trace,
    edge_trace,
    fit_trace,
    legend_traces,
    live_point_traces,
    marks,
    others_trace,
    outline_traces,
    point_trace,
)
from vcviz.figures.outlines import Range, anticipated_outlines
from vcviz.figures.raster import raster_trace
from vcviz.geometry.contours import shares_of

#: above this many points in a panel WebGL draws them: faster, but a page has few contexts for it
WEBGL_ABOVE = 5000
#: measuring tick labels takes a fifth of the time from a slider to the painted frame
_UNMEASURED = {"automargin": False, "ticklabeloverflow": "allow"}
_LIVE_VERTICES = 48  # of an outline that must follow a slider
#: more classes than this have their legend beside the panels, not above
LEGEND_ABOVE = 24
#: letters of all class names together that fit beneath a narrow panel
_TICK_LETTERS = 24
_TICKED = 60  # classes with a tick each
_ALONE_PX = 700
_LEGEND_PX = 170
GAP_X = 0.22  # of the width, between all columns together
_GAP_PX, _HEADED_GAP_PX = 72, 112  # above fits; above panels, which have a heading
_VERTICES = 13  # enough for an ellipse drawn as a spline


def latent_spec(panels: Sequence[LatentPanel], options: LatentOptions) -> dict[str, Any]:
    """Return `plot_latent_panels` as the plain data and layout of a figure, without a theme."""
    names = shared_names(panels)
    if options.classes is None:
        found = next((p for p in panels if p.prior is not None), panels[0]).chosen
        options = replace(options, classes=found.classes, rule=found.rule)
    shown = checked_classes(options.classes, len(names))
    views = [View(panel, shown, options, i) for i, panel in enumerate(panels)]
    return spec_of_views(views, options)


def spec_of_views(views: Sequence[View], options: LatentOptions) -> dict[str, Any]:
    """Return the figure of panels that are laid open already, all of the same classes."""
    names, shown = views[0].lat.class_names, views[0].shown
    layers = _layers(views, options)
    if options.color != "class" and options.colouring is None:
        scale = colouring_of([view.values for view in views if view.values is not None])
        options = replace(options, colouring=scale)
    with_fit = any(view.panel.fit is not None for view in views)
    fit_range = options.fit_range or fit_range_of(
        [v.fit_varying for v in views], [v.bias for v in views]
    )
    n_rows, _ = grid_of(len(views), options.columns)
    columns = -(-len(views) // n_rows)  # four panels stand two by two, not three and one
    heights = [options.panel_px, options.fit_px] if with_fit else [options.panel_px]
    upper, lower = _grid(n_rows, columns, heights)
    # Which axis is which panel's, for those who hear of what a person does there.
    panels = [f"x{cell.suffix}" for cell in upper[: len(views)]]
    layout: dict[str, Any] = {"annotations": [], "meta": {"panels": panels}}
    data: list[Trace] = []
    for i, (view, cell) in enumerate(zip(views, upper, strict=False)):
        grey = [others_trace(view.points[view.others])] if len(view.others) else []
        traces = [*view.under, *grey, *_points(view, options)]
        for layer in layers:
            traces += _outlines(view, layer, layers, options)
        traces += view.over
        notes, heading = view.notes(), view.heading
        if with_fit:
            # Just inside: on the very edge, rounded, they may not be drawn.
            corner = -0.45, fit_range[1] / (fit_range[1] / fit_range[0]) ** 0.01
            counts = np.bincount(view.lat.y, minlength=len(names))
            data += lower[i].place(
                [
                    bias_trace(view.bias, shown),
                    fit_trace(view.fit, view.fit_varying, view.bias, counts, shown, names),
                    edge_trace(view.fit, shown, names, fit_range),
                    text_below(notes, *corner),
                ]
            )
            layout |= lower[i].axes(*_fit_axes(names, shown, fit_range, i % columns == 0))
        elif options.compact:
            traces.append(text_below(notes, view.ranges[0][0], view.ranges[1][1]))
        else:
            heading = [*heading, " · ".join(notes)]
        data += cell.place(traces)
        layout |= cell.axes(*_latent_axes(view, cell.suffix))
        layout["annotations"].append(cell.heading(*(style.escape(line, 120) for line in heading)))
    if options.live:
        for name in [key for key in layout if "axis" in key]:
            layout[name] |= _UNMEASURED
    # A compact figure has the same traces whatever the data, so that frames can follow it.
    steady = options.compact or options.live
    wrong = steady or any(view.lat.accuracy < 1 for view in views)
    others = any(len(view.others) for view in views)
    data += upper[0].place(
        legend_traces(
            names,
            shown,
            layers,
            wrong,
            others,
            counts=_counts(views[0], options),
            coloured=options.colouring is None,
        )
    )
    frame = _frame(n_rows, heights, len(views), len(shown))
    if options.colouring is not None:
        key = options.colouring.key(layout["yaxis"]["domain"], options.key_offset)
        layout["annotations"] += key["annotations"]
        layout["shapes"] = key["shapes"]
        beside = KEY_PX
        if "legend" not in frame:  # beside the panels, and beside the key
            frame["legend"] = {"xref": "container", "x": 1, "xanchor": "right"}
            beside += _LEGEND_PX
            layout["meta"] |= {"legend_px": _LEGEND_PX}  # a narrow page has no room for it
        frame["margin"] = frame["margin"] | {"r": frame["margin"]["r"] + beside}
        if "width" in frame:
            frame["width"] += KEY_PX
    return {"data": data, "layout": layout | frame}


def _counts(view: View, options: LatentOptions) -> list[str]:
    """Return how many rows each class has, and how many of them are chosen."""
    n_classes = view.lat.n_classes
    whole = np.bincount(view.lat.y, minlength=n_classes)
    if options.chosen is None:
        return [f"{n:,}" for n in whole]
    some = np.bincount(view.lat.y[view.marked(options.chosen)], minlength=n_classes)
    return [f"{a:,} of {n:,}" for a, n in zip(some, whole, strict=True)]


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


def _layers(views: Sequence[View], options: LatentOptions) -> list[Layer]:
    layers: list[Layer] = ["empirical"] if options.empirical else []
    if options.anticipated and any(view.prior is not None for view in views):
        layers.append("anticipated")
    return layers


def _points(view: View, options: LatentOptions) -> list[Trace]:
    lat, points, rows = view.lat, view.points, view.rows
    if not options.live:
        traces = [
            _coloured(
                point_trace(lat, points, rows, k, options.compact, view.texts), view, k, options
            )
            for k in view.shown
        ]
        if options.chosen is not None:
            traces = [
                trace | marks(lat.index[view.of_class(k)], options.chosen)
                for k, trace in zip(view.shown, traces, strict=True)
            ]
        kind = "scattergl" if len(rows) > WEBGL_ABOVE else "scatter"
        return [trace | {"type": kind} for trace in traces]
    picture = [] if view.picture is None else [raster_trace(view.picture)]
    # In a picture nothing stands behind the chosen points: they are all drawn strongly.
    chosen = options.chosen if view.picture is None else None
    edged = any(trace["meta"]["layer"] == "regions" for trace in view.under)
    live = [live_point_traces(lat, points, rows, k, chosen, edged=edged) for k in view.shown]
    live = [[_coloured(p, view, k, options), r] for k, (p, r) in zip(view.shown, live, strict=True)]
    return picture + [trace for pair in live for trace in pair]


def _coloured(trace: Trace, view: View, k: int, options: LatentOptions) -> Trace:
    """Return the points of class `k` in the colours of their values, if they have any."""
    if options.colouring is None or view.values is None:
        return trace
    marker = options.colouring.marker(view.values.values[view.of_class(k)])
    return trace | {"marker": trace["marker"] | marker}


def _outlines(
    view: View, layer: Layer, layers: Sequence[Layer], options: LatentOptions
) -> list[Trace]:
    vertices = _VERTICES if options.compact else _LIVE_VERTICES if options.live else None
    some = tuple(view.shown) if len(view.shown) < view.lat.n_classes else None
    if layer == "empirical":
        outlines, centres = view.panel.outlines(shares_of(options.mass), vertices, some)
    elif view.prior is not None:
        outlines, centres = anticipated_outlines(
            view.prior, view.projection, options.mass, vertices=vertices, seed=options.seed,
            classes=some,
        )  # fmt: skip
    else:
        return []
    return outline_traces(
        outlines,
        centres,
        view.shown,
        view.lat.class_names,
        layer,
        # Names stand at the anticipated law if there is one, else at the empirical.
        named=layer == "anticipated" or "anticipated" not in layers or view.prior is None,
        compact=options.compact,
        arm=0.012 * (view.ranges[0][1] - view.ranges[0][0]),
    )


# ---------------------------------------------------------------- layout


def _grid(n_rows: int, columns: int, heights: Sequence[int]) -> tuple[list[Cell], list[Cell]]:
    """Return the cells of the panels and, if there are any, of the fits beneath them."""
    with_fit = len(heights) > 1
    gaps = [_GAP_PX, _HEADED_GAP_PX] if with_fit else [_HEADED_GAP_PX]
    rows = cells([*heights] * n_rows, columns, gap_x=GAP_X / columns, gap_y=gaps * n_rows)
    upper = [cell for row in rows[:: len(heights)] for cell in row]
    return upper, [cell for row in rows[1::2] for cell in row] if with_fit else []


def _latent_axes(view: View, suffix: str) -> tuple[dict[str, Any], dict[str, Any]]:
    x_label, y_label = (style.escape(label, 60) for label in view.projection.labels[:2])
    x_range, y_range = (list(bounds) for bounds in view.ranges)
    x = {"title": {"text": x_label}, "range": x_range, "constrain": "domain"}
    y = {
        "title": {"text": y_label},
        "range": y_range,
        "scaleanchor": f"x{suffix}",
        "constrain": "domain",
        "constraintoward": "top",
    }
    return x, y


def _fit_axes(
    names: Sequence[str], shown: Sequence[int], fit_range: Range, first: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    x: dict[str, Any] = {
        "title": {"text": "class"},
        "range": [-0.6, len(shown) - 0.4],
        "showgrid": False,
        "fixedrange": True,
    }
    x["tickvals"] = list(range(len(shown)))
    if len(shown) <= _TICKED and sum(len(names[k]) for k in shown) <= _TICK_LETTERS:
        x["ticktext"] = [style.escape(names[k]) for k in shown]
    else:
        if len(shown) > _TICKED:
            x |= {"tickvals": []}
        x |= {"showticklabels": False, "title": {"text": "class, in the order of the legend"}}
    y = {
        "title": {"text": "KL from p(z|y), nats" if first else None},
        "type": "log",
        "range": [float(v) for v in np.log10(fit_range)],
        "dtick": 1 if np.log10(fit_range[1] / fit_range[0]) > 2.5 else "D2",
        "tickformat": ",~g",
        "fixedrange": True,
    }
    return x, y


def _frame(n_rows: int, heights: Sequence[int], n_panels: int, n_classes: int) -> dict[str, Any]:
    """Return size, margins and legend: above the panels, or beside a single one."""
    each = sum(heights) + _GAP_PX * (len(heights) - 1)
    plot = n_rows * each + (n_rows - 1) * _HEADED_GAP_PX
    frame: dict[str, Any] = {"height": plot + 132, "margin": {"l": 68, "t": 76, "b": 56, "r": 12}}
    if n_panels == 1:
        return frame | {"width": _ALONE_PX}
    if n_classes <= LEGEND_ABOVE:
        above = 1 + 46 / plot
        frame["legend"] = {"orientation": "h", "y": above, "yanchor": "bottom", "x": 0}
    return frame
