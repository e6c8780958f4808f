"""Latents of each class with the law that the head anticipates and the law that they follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
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
    title_of,
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
from vcviz.records import LatentPrior, LatentSet, Projection

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


@takes_records
def plot_latents(
    lat: LatentSet,
    prior: LatentPrior | None = None,
    *,
    projection: Projection | None = None,
    anticipated: bool = True,
    empirical: bool = True,
    mass: Sequence[float] = (0.5, 0.9),
    classes: Sequence[int] | None = None,
    color: str = "class",
    max_points: int = 5000,
    title: str | None = None,
    hover: Sequence[str] | None = None,
    theme: style.Theme = "auto",
    seed: int = 0,
) -> go.Figure:
    """Return the latents in a plane with what the head anticipates (solid) and gets (dashed).

    Parameters
    ----------
    lat : N latents of D dimensions with their predictions
    prior : p(z|y); None draws the latents alone
    projection : map to two dimensions; default the two axes if D = 2, otherwise PCA
    anticipated, empirical : draw outlines of p(z|y), of q(z|y)
    mass : share of each class that an outline encloses, one outline each
    classes : class indices to show; default all, of more than 24 the 12 that fit the law worst
        (moment KL less its bias), or without a law are confused most. The others are grey
    color : what points are coloured by: "class", or a number of each row such as "confidence",
        "entropy", "log_density" or "own:" and the name of a column, see
        `vcviz.metrics.row_values`; markers still say the class
    max_points : draw a stratified sample (by `seed`) of this size if N is larger, and say so
    title : heading; default the name of `lat`
    hover : N strings shown, as text, when pointing at a sample
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background
    seed : of that sample

    Returns
    -------
    go.Figure
        ``trace.meta["layer"]`` says what a trace shows: points, anticipated, empirical, …

    Raises
    ------
    InputError
        If classes or dimensions of latents and law differ, or an option is unknown.

    Notes
    -----
    A ring marks a misclassified sample, a cross the mean of a law. Both axes have the same scale;
    their ranges leave out the outermost 0.5 % at each end, and the figure says how many points
    that hides.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> figure = vcviz.plot_latents(run.latents(), run.prior(), mass=(0.9,))
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['anticipated', 'empirical', 'key', 'points']
    """
    options = LatentOptions(
        anticipated=anticipated,
        empirical=empirical,
        mass=mass,
        classes=classes,
        color=color,
        max_points=max_points,
        seed=seed,
    )
    panel = LatentPanel(lat, prior, projection, title=title, texts=hover)
    return plot_latent_panels([panel], options, theme=theme)


@takes_records
def plot_latent_panels(
    panels: Sequence[LatentPanel],
    options: LatentOptions | None = None,
    *,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return several sets of latents side by side, with one legend.

    Parameters
    ----------
    panels : one each, all with the same class names
    options : what is drawn of each; default `LatentOptions()`
    theme : as for `plot_latents`

    Raises
    ------
    InputError
        If there is no panel, class names differ, or a class index is out of range.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> Panel = vcviz.figures.LatentPanel
    >>> panels = [Panel(run.latents(epoch=e), run.prior(e), title=f"epoch {e}") for e in (0, 3)]
    >>> figure = vcviz.figures.plot_latent_panels(panels)
    >>> [note.text.partition("<br>")[0] for note in figure.layout.annotations]
    ['<b>epoch 0</b>', '<b>epoch 3</b>']
    """
    options = options or LatentOptions()
    names = _shared_names(panels)
    if options.classes is None:
        found = next((p for p in panels if p.prior is not None), panels[0]).chosen
        options = replace(options, classes=found.classes, rule=found.rule)
    shown = checked_classes(options.classes, len(names))
    views = [View(panel, shown, options, i) for i, panel in enumerate(panels)]
    return style.apply(go.Figure(**spec_of_views(views, options)), theme)


def _shared_names(panels: Sequence[LatentPanel]) -> tuple[str, ...]:
    """Return the class names that all panels have."""
    if not panels:
        raise InputError("nothing to draw: pass at least one set of latents")
    names = panels[0].lat.class_names
    for panel in panels[1:]:
        if panel.lat.class_names != names:
            raise InputError(
                "latents side by side must have the same classes: "
                f"{title_of(panels[0])!r} and {title_of(panel)!r} differ; draw them one by one"
            )
    return names


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
