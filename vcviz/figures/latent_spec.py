"""A figure of latents as plain data and layout: panels, fits beneath them, one legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.options import check_count
from vcviz.figures import theme as style
from vcviz.figures.colouring import KEY_PX, colouring_of
from vcviz.figures.grid import side_by_side
from vcviz.figures.latent_panel import (
    LatentOptions,
    LatentPanel,
    View,
    checked_classes,
    shared_names,
)
from vcviz.figures.latent_traces import (
    Layer,
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
from vcviz.figures.marks import Trace, text_at
from vcviz.figures.outlines import Range, anticipated_outlines, latent_axes
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
    heights, gaps = [options.panel_px], [_HEADED_GAP_PX]
    if with_fit:
        heights, gaps = [options.panel_px, options.fit_px], [_GAP_PX, _HEADED_GAP_PX]
    n_rows = -(-len(views) // min(check_count("columns", options.columns), len(views)))
    columns = -(-len(views) // n_rows)  # four panels stand two by two, not three and one
    panels, places = side_by_side(len(views), columns, heights, gaps, gap_x=GAP_X)
    for view, (cell, *beneath) in zip(views, places, strict=True):
        grey = [others_trace(view.points[view.others])] if len(view.others) else []
        traces = [*view.under, *grey, *_points(view, options)]
        for layer in layers:
            traces += _outlines(view, layer, layers, options)
        traces += view.over
        notes, heading = view.notes(), view.heading
        for below in beneath:
            # Just inside: on the very edge, rounded, they may not be drawn.
            corner = -0.45, fit_range[1] / (fit_range[1] / fit_range[0]) ** 0.01
            counts = np.bincount(view.lat.y, minlength=len(names))
            fits = [
                bias_trace(view.bias, shown),
                fit_trace(view.fit, view.fit_varying, view.bias, counts, shown, names),
                edge_trace(view.fit, shown, names, fit_range),
                text_at(notes, *corner, "bottom right"),
            ]
            panels.add(below, fits, _fit_axes(names, shown, fit_range, below.leftmost))
        if not with_fit and options.compact:
            corner = view.ranges[0][0], view.ranges[1][1]
            traces.append(text_at(notes, *corner, "bottom right"))
        elif not with_fit:
            heading = [*heading, " · ".join(notes)]
        axes = latent_axes(view.projection.labels, view.ranges, cell.suffix)
        panels.add(cell, traces, axes, *(style.escape(line, 120) for line in heading))
    # A compact figure has the same traces whatever the data, so that frames can follow it.
    steady = options.compact or options.live
    keys = legend_traces(
        names,
        shown,
        layers,
        steady or any(view.lat.accuracy < 1 for view in views),
        any(len(view.others) for view in views),
        counts=_counts(views[0], options),
        coloured=options.colouring is None,
    )
    panels.draw(places[0][0], keys)
    several = len(views) > 1
    spec = panels.spec(
        76,
        56,
        legend=46 if several and len(shown) <= LEGEND_ABOVE else None,
        margin={"l": 68, "r": 12},
        # Which axis is which panel's, for those who hear of what a person does there.
        meta={"panels": [f"x{cell.suffix}" for cell, *_ in places]},
        **({} if several else {"width": _ALONE_PX}),
    )
    layout = spec["layout"]
    if options.live:
        for name in [key for key in layout if "axis" in key]:
            layout[name] |= _UNMEASURED
    if options.colouring is not None:
        key = options.colouring.key(layout["yaxis"]["domain"], options.key_offset)
        layout["annotations"] += key["annotations"]
        layout["shapes"] = key["shapes"]
        beside = KEY_PX
        if "legend" not in layout:  # beside the panels, and beside the key
            layout["legend"] = {"xref": "container", "x": 1, "xanchor": "right"}
            beside += _LEGEND_PX
            layout["meta"] |= {"legend_px": _LEGEND_PX}  # a narrow page has no room for it
        layout["margin"]["r"] += beside
        if "width" in layout:
            layout["width"] += KEY_PX
    return spec


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
    picture = [] if view.picture is None else [view.picture.trace]
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
