"""A figure of latents as plain data and layout: panels, fits beneath them, one legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vcviz.base.options import check_count
from vcviz.figures import theme as style
from vcviz.figures.colouring import KEY_PX, colouring_of
from vcviz.figures.fit_panel import fit_axes, fit_range_of, fit_traces
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
    legend_traces,
    live_point_traces,
    marks,
    others_trace,
    outline_traces,
    point_trace,
)
from vcviz.figures.marks import Trace, text_at
from vcviz.figures.outlines import anticipated_outlines, latent_axes
from vcviz.geometry.contours import shares_of

#: above this many points in a panel WebGL draws them: faster, but a page has few contexts for it
WEBGL_ABOVE = 5000
#: measuring tick labels takes a fifth of the time from a slider to the painted frame
_UNMEASURED = {"automargin": False, "ticklabeloverflow": "allow"}
_LIVE_VERTICES = 48  # of an outline that must follow a slider
#: more classes than this have their legend beside the panels, not above
LEGEND_ABOVE = 24
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
    layers: list[Layer] = ["empirical"] if options.empirical else []
    if options.anticipated and any(view.prior is not None for view in views):
        layers.append("anticipated")
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
        heading = view.heading
        for below in beneath:
            axes = fit_axes(view, fit_range, titled=below.leftmost)
            panels.add(below, fit_traces(view, fit_range), axes)
        if not with_fit and options.compact:
            corner = view.ranges[0][0], view.ranges[1][1]
            traces.append(text_at(view.notes(), *corner, "bottom right"))
        elif not with_fit:
            heading = [*heading, " · ".join(view.notes())]
        axes = latent_axes(view.projection.labels, view.ranges, cell.suffix)
        panels.add(cell, traces, axes, *(style.escape(line, 120) for line in heading))
    # A compact figure has the same traces whatever the data, so that frames can follow it.
    steady = options.compact or options.live
    keys = legend_traces(
        names,
        shown,
        layers,
        wrong=steady or any(view.lat.accuracy < 1 for view in views),
        others=any(len(view.others) for view in views),
        counts=_counts(views[0], options),
        coloured=options.colouring is None,
    )
    panels.draw(places[0][0], keys)
    several = len(views) > 1
    panels.frame(
        76,
        56,
        legend=46 if several and len(shown) <= LEGEND_ABOVE else None,
        margin={"l": 68, "r": 12},
        # Which axis is which panel's, for those who hear of what a person does there.
        meta={"panels": [f"x{cell.suffix}" for cell, *_ in places]},
        **({} if several else {"width": _ALONE_PX}),
    )
    layout = panels.layout
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
    return panels.spec


def _counts(view: View, options: LatentOptions) -> list[str]:
    """Return how many rows each class has, and how many of them are chosen."""
    n_classes = view.lat.n_classes
    whole = np.bincount(view.lat.y, minlength=n_classes)
    if options.chosen is None:
        return [f"{n:,}" for n in whole]
    some = np.bincount(view.lat.y[view.marked(options.chosen)], minlength=n_classes)
    return [f"{a:,} of {n:,}" for a, n in zip(some, whole, strict=True)]


def _points(view: View, options: LatentOptions) -> list[Trace]:
    lat, points, rows = view.lat, view.points, view.rows
    if not options.live:
        traces = [
            _coloured(
                point_trace(lat, points, rows, k, options.compact, view.panel.texts),
                view,
                k,
                options,
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
