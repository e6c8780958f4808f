"""Latents of each class with the law that the head anticipates and the law that they follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, cells, text_below
from vcviz.figures.latent_traces import (
    Layer,
    fit_trace,
    legend_traces,
    outline_traces,
    point_trace,
    stratified,
)
from vcviz.figures.outlines import (
    Range,
    anticipated_outlines,
    count_outside,
    empirical_outlines,
    latent_ranges,
)
from vcviz.projections import fit_projection
from vcviz.records import LatentPrior, LatentSet, Projection

#: above this many points in a panel WebGL draws them: faster, but a page has few contexts for it
WEBGL_ABOVE = 5000
#: more classes than this have no name each beneath the fits, and a legend beside the panels
NAMED_TICKS = 24
_LATENTS_PX, _FIT_PX, _GAP_PX, _ALONE_PX = 350, 150, 72, 700
_VERTICES = 13  # enough for an ellipse drawn as a spline


@dataclass(frozen=True, eq=False)
class LatentPanel:
    """What one panel of a latent figure shows.

    Attributes
    ----------
    lat : the latents
    prior : p(z|y), or None to draw none
    projection : map to the plane; default `default_projection`
    title : shown above; default the name of `lat`
    subtitle : a second line in small print
    ranges : fixed (x, y) axis ranges; default `latent_ranges` of what is drawn
    fit : (C,) moment KL of each class from p(z|y) in nats, drawn beneath the latents
    texts : N strings for hovers, e.g. the text behind each sample
    """

    lat: LatentSet
    prior: LatentPrior | None = None
    projection: Projection | None = None
    title: str | None = None
    subtitle: str | None = None
    ranges: tuple[Range, Range] | None = None
    fit: NDArray[np.float64] | None = None
    texts: Sequence[str] | None = None


@dataclass(frozen=True)
class LatentOptions:
    """What is drawn of each panel.

    Attributes
    ----------
    anticipated, empirical, mass, classes, seed : as for `plot_latents`
    max_points : most points in a panel
    columns : panels in a row
    fit_range : (low, high) in nats of the axis of the fits; default what they need
    compact : for figures that carry many frames: hovers tell class and row alone, outlines have
        few vertices, and what changes with the data is drawn as traces, not as layout
    """

    anticipated: bool = True
    empirical: bool = True
    mass: Sequence[float] = (0.5, 0.9)
    classes: Sequence[int] | None = None
    max_points: int = 5000
    columns: int = 3
    fit_range: Range | None = None
    compact: bool = False
    seed: int = 0


def plot_latents(
    lat: LatentSet,
    prior: LatentPrior | None = None,
    *,
    projection: Projection | None = None,
    anticipated: bool = True,
    empirical: bool = True,
    mass: Sequence[float] = (0.5, 0.9),
    classes: Sequence[int] | None = None,
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
    projection : map to two dimensions; default the two axes if D = 2, otherwise LDA
    anticipated, empirical : draw outlines of p(z|y), of q(z|y)
    mass : share of each class that an outline encloses, one outline each
    classes : class indices to show; default all
    max_points : draw a stratified sample (by `seed`) of this size if N is larger, and say so
    title : heading; default the name of `lat`
    hover : N strings shown, as text, when pointing at a sample
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Notes
    -----
    A ring marks a misclassified sample. Both axes have the same scale; their ranges leave
    out the outermost 0.5 % at each end, and the figure says how many points that hides.
    """
    options = LatentOptions(
        anticipated=anticipated,
        empirical=empirical,
        mass=mass,
        classes=classes,
        max_points=max_points,
        seed=seed,
    )
    panel = LatentPanel(lat, prior, projection, title=title, texts=hover)
    return compare_latents([panel], options, theme=theme)


def compare_latents(
    panels: Sequence[LatentPanel],
    options: LatentOptions | None = None,
    *,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return several sets of latents side by side, with one legend for all.

    Parameters
    ----------
    panels : one each, all with the same class names
    options : what is drawn of each; default `LatentOptions()`
    theme : as for `plot_latents`

    Raises
    ------
    InputError
        If there is no panel, class names differ, or a class index is out of range.
    """
    return style.apply(go.Figure(**latent_spec(panels, options or LatentOptions())), theme)


def latent_spec(panels: Sequence[LatentPanel], options: LatentOptions) -> dict[str, Any]:
    """Return `compare_latents` as the plain data and layout of a figure, without a theme."""
    panels = [_completed(panel) for panel in panels]
    names = _shared_names(panels)
    shown = _checked_classes(options.classes, len(names))
    layers: list[Layer] = ["empirical"] if options.empirical else []
    if options.anticipated and any(panel.prior is not None for panel in panels):
        layers.append("anticipated")
    with_fit = any(panel.fit is not None for panel in panels)
    fit_range = options.fit_range or _fit_range(panels, shown)
    columns = min(options.columns, len(panels))
    grid = _grid(len(panels), columns, with_fit)
    webgl = max(min(len(panel.lat), options.max_points) for panel in panels) > WEBGL_ABOVE
    layout: dict[str, Any] = {"annotations": []}
    data: list[dict[str, Any]] = []
    for i, panel in enumerate(panels):
        cell, beneath = (row[i % columns] for row in grid[i // columns])
        points = panel.projection(panel.lat.z)
        rows = stratified(panel.lat.y, shown, options.max_points, options.seed)
        traces = [
            point_trace(panel.lat, points, rows, k, webgl, options.compact, panel.texts)
            for k in shown
        ]
        for layer in layers:
            traces += _outlines(panel, points, layer, layers, shown, options)
        notes = _notes(panel, points, rows, shown)
        heading = [panel.title, *([panel.subtitle] if panel.subtitle else [])]
        if beneath is not None:
            values = np.full(len(names), np.nan) if panel.fit is None else panel.fit
            corner = -0.45, fit_range[1]
            fits = [fit_trace(values, shown, names), text_below(notes, *corner)]
            data += beneath.place(fits)
            layout |= beneath.axes(*_fit_axes(names, shown, fit_range, i % columns == 0))
        elif options.compact:
            traces.append(text_below(notes, panel.ranges[0][0], panel.ranges[1][1]))
        else:
            heading.append(" · ".join(notes))
        data += cell.place(traces)
        layout |= cell.axes(*_latent_axes(panel, cell.suffix))
        layout["annotations"].append(cell.heading(*(style.escape(line, 80) for line in heading)))
    wrong = any(panel.lat.accuracy < 1 for panel in panels)
    data += grid[0][0][0].place(legend_traces(names, shown, layers, wrong))
    return {"data": data, "layout": layout | _frame(grid, len(panels), len(shown))}


def default_projection(lat: LatentSet, prior: LatentPrior | None = None) -> Projection:
    """Return the two axes themselves if D = 2, else linear discriminants."""
    if lat.latent_dim < 2:
        raise InputError("a figure of latents is a plane: it needs latents of 2 or more dimensions")
    return fit_projection(lat, method="pair" if lat.latent_dim == 2 else "lda", prior=prior)


# ---------------------------------------------------------------- inputs


def _completed(panel: LatentPanel) -> LatentPanel:
    projection = panel.projection or default_projection(panel.lat, panel.prior)
    if panel.texts is not None and len(panel.texts) != len(panel.lat):
        raise InputError(
            f"hover texts must have {len(panel.lat)} entries, one per row, got {len(panel.texts)}"
        )
    if panel.prior is not None and panel.prior.n_classes != panel.lat.n_classes:
        raise InputError(
            f"the prior must have {panel.lat.n_classes} classes like the latents, "
            f"got {panel.prior.n_classes}"
        )
    ranges = panel.ranges
    if ranges is None:
        law = panel.prior.project(projection) if panel.prior and projection.linear else None
        ranges = latent_ranges(projection(panel.lat.z), law)
    title = panel.lat.name if panel.title is None else panel.title
    return replace(panel, projection=projection, ranges=ranges, title=title)


def _shared_names(panels: Sequence[LatentPanel]) -> tuple[str, ...]:
    if not panels:
        raise InputError("nothing to draw: pass at least one set of latents")
    names = panels[0].lat.class_names
    for panel in panels[1:]:
        if panel.lat.class_names != names:
            raise InputError(
                f"latents side by side must have the same classes: {panels[0].title!r} and "
                f"{panel.title!r} differ; draw them one by one"
            )
    return names


def _checked_classes(classes: Sequence[int] | None, n_classes: int) -> list[int]:
    if classes is None:
        return list(range(n_classes))
    shown = sorted({int(k) for k in classes})
    if not shown or shown[0] < 0 or shown[-1] >= n_classes:
        raise InputError(
            f"classes must be indices in [0, {n_classes}), at least one; got {list(classes)}"
        )
    return shown


def _notes(
    panel: LatentPanel,
    points: NDArray[np.float64],
    rows: NDArray[np.int64],
    shown: Sequence[int],
) -> list[str]:
    notes = [f"accuracy {panel.lat.accuracy:.3f}"]
    fit = np.empty(0) if panel.fit is None else panel.fit[list(shown)]
    if (known := ~np.isnan(fit)).any():
        mean = fit[known].mean()
        notes.append(f"mean KL {mean:.3g} nats" if np.isfinite(mean) else "mean KL infinite")
    of_shown = int(np.isin(panel.lat.y, shown).sum())
    if len(rows) < of_shown:
        notes.append(f"{len(rows):,} of {of_shown:,} points drawn")
    outside = count_outside(points[rows], panel.ranges)
    if outside:
        notes.append(f"{outside:,} point{'s' if outside > 1 else ''} outside the axes")
    return notes


# ---------------------------------------------------------------- parts


def _outlines(
    panel: LatentPanel,
    points: NDArray[np.float64],
    layer: Layer,
    layers: Sequence[Layer],
    shown: Sequence[int],
    options: LatentOptions,
) -> list[dict[str, Any]]:
    vertices = _VERTICES if options.compact else None
    if layer == "empirical":
        outlines, centres = empirical_outlines(points, panel.lat, options.mass, vertices=vertices)
    elif panel.prior is not None:
        outlines, centres = anticipated_outlines(
            panel.prior, panel.projection, options.mass, vertices=vertices, seed=options.seed
        )
    else:
        return []
    return outline_traces(
        outlines,
        centres,
        shown,
        panel.lat.class_names,
        layer,
        named=layer == "anticipated" or "anticipated" not in layers or panel.prior is None,
        smooth=options.compact,
        arm=0.012 * (panel.ranges[0][1] - panel.ranges[0][0]),
    )


def _fit_range(panels: Sequence[LatentPanel], shown: Sequence[int]) -> Range:
    values = [panel.fit[list(shown)] for panel in panels if panel.fit is not None]
    found = np.concatenate(values) if values else np.empty(0)
    found = found[np.isfinite(found) & (found > 0)]
    return padded_fit_range(float(found.min()), float(found.max())) if len(found) else (0.1, 10.0)


def padded_fit_range(low: float, high: float) -> Range:
    """Return (low, high) widened for a log axis, with room above for a panel's numbers."""
    low = max(low, high * 1e-6)
    decades = max(np.log10(high / low), 1.0)
    return low * 10 ** (-0.12 * decades), high * 10 ** (0.75 * decades)


# ---------------------------------------------------------------- layout


def _grid(n: int, columns: int, with_fit: bool) -> list[tuple[list[Cell], list[Cell] | list[None]]]:
    """Return for each row of panels the cells of latents and those of the fits beneath."""
    n_rows = -(-n // columns)
    gap_x = 0.22 / columns
    if not with_fit:
        rows = cells([_LATENTS_PX] * n_rows, columns, gap_x=gap_x, gap_y=_GAP_PX)
        return [(row, [None] * columns) for row in rows]
    rows = cells([_LATENTS_PX, _FIT_PX] * n_rows, columns, gap_x=gap_x, gap_y=_GAP_PX)
    return list(zip(rows[::2], rows[1::2], strict=True))


def _latent_axes(panel: LatentPanel, suffix: str) -> tuple[dict[str, Any], dict[str, Any]]:
    x_label, y_label = (style.escape(label, 60) for label in panel.projection.labels[:2])
    x_range, y_range = (list(r) for r in panel.ranges)
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
    x = {
        "title": {"text": "class"},
        "range": [-0.6, len(shown) - 0.4],
        "showgrid": False,
        "fixedrange": True,
    }
    if len(shown) <= NAMED_TICKS:
        x["tickvals"] = list(range(len(shown)))
        x["ticktext"] = [style.escape(names[k], 10) for k in shown]
    y = {
        "title": {"text": "KL from p(z|y), nats" if first else None},
        "type": "log",
        "range": [float(v) for v in np.log10(fit_range)],
        "dtick": 1 if np.log10(fit_range[1] / fit_range[0]) > 2.5 else "D2",
        "tickformat": ",~g",
        "fixedrange": True,
    }
    return x, y


def _frame(grid: Sequence[tuple[list[Cell], Any]], n_panels: int, n_classes: int) -> dict[str, Any]:
    """Return size, margins and legend: above the panels, or beside a single one."""
    with_fit = grid[0][1][0] is not None
    each = _LATENTS_PX + (_FIT_PX + _GAP_PX if with_fit else 0)
    plot = len(grid) * each + (len(grid) - 1) * _GAP_PX
    frame: dict[str, Any] = {"height": plot + 132, "margin": {"t": 76, "b": 56, "r": 12}}
    if n_panels == 1:
        return frame | {"width": _ALONE_PX}
    if n_classes <= NAMED_TICKS:
        above = 1 + 42 / plot
        frame["legend"] = {"orientation": "h", "y": above, "yanchor": "bottom", "x": 0}
    return frame
