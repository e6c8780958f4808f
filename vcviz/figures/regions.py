"""Decision regions: which class a classifier predicts at every point of a plane, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.grid import side_by_side
from vcviz.figures.latent_panel import stratified
from vcviz.figures.latent_traces import legend_traces, point_trace
from vcviz.figures.marks import Trace, image
from vcviz.figures.pictures import data_uri
from vcviz.records import LatentPlane, PlaneField

#: steps in which confidence is drawn: few colours make a picture of a few kilobytes
_STEPS = 9
_FAINTEST, _STRONGEST = 0.05, 0.5  # opacity at confidence 1/C and 1
_PANEL_PX, _GAP_PX, _ALONE_PX = 340, 96, 640


@takes_records
def plot_regions(
    planes: LatentPlane | Sequence[LatentPlane],
    *,
    columns: int = 3,
    max_points: int = 600,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return the decision regions of each plane, with the latents on top.

    Parameters
    ----------
    planes : one plane, or several of the same classes to draw side by side, see
        `vcviz.latents.plane_log_probs`
    columns : panels in a row
    max_points : most latents drawn in a panel, evenly from the classes
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If there is no plane, or the classes of several differ.

    Notes
    -----
    A region has the colour of the class that is most probable there, stronger where its
    probability is higher, from 1/C to 1 in nine steps. The picture's size does not depend on the
    number of latents.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> plane = vcviz.latents.plane_log_probs(run.model(), run.latents(), size=50)
    >>> figure = vcviz.figures.plot_regions(plane)
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['key', 'points', 'regions']
    """
    found = one_or_several("planes", planes)
    names = found[0].class_names
    if any(plane.class_names != names for plane in found):
        raise InputError("planes side by side must have the same classes")
    panels, places = side_by_side(len(found), columns, [_PANEL_PX], [_GAP_PX], gap_x=0.16)
    for (cell,), plane in zip(places, found, strict=True):
        traces = [region_trace(plane), *plane_points(plane, max_points)]
        notes = [] if plane.latents is None else [style.accuracy_text(plane.latents)]
        axes = plane_axes(plane, cell.suffix)
        panels.add(cell, traces, axes, style.escape(plane.name, 60), *notes)
    panels.draw(places[0][0], legend_traces(names, range(len(names))))
    alone = {"width": _ALONE_PX} if len(found) == 1 else {}
    panels.frame(102, 58, legend=46, margin={"r": 12}, **alone)
    return style.apply(go.Figure(**panels.spec), theme)


def region_trace(plane: LatentPlane) -> Trace:
    """Return the regions as one picture, a pixel a point of the plane's grid."""
    return plane_image(plane, data_uri(region_pixels(plane.log_probs)), "regions")


def plane_image(plane: LatentPlane | PlaneField, source: str, layer: str) -> Trace:
    """Return a picture, a pixel a point of the plane's grid, as an image trace."""
    x, y = ((float(ends[0]), float(ends[1] - ends[0])) for ends in (plane.x, plane.y))
    return image(source, layer, layer, x0=x[0], dx=x[1], y0=y[0], dy=y[1])


def region_pixels(log_probs: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return (R, Q, 4) bytes for (R, Q, C) log-probabilities: the colour of the likeliest class.

    Opacity rises with its probability, in nine equal steps from 1/C to 1.
    """
    n_classes = log_probs.shape[2]
    colors = np.array([style.rgb(style.class_color(k)) for k in range(n_classes)], np.uint8)
    confidence = (np.exp(log_probs.max(2)) - 1 / n_classes) / (1 - 1 / n_classes)
    level = np.clip(np.floor(confidence * _STEPS), 0, _STEPS - 1) / (_STEPS - 1)
    opacity = 255 * (_FAINTEST + (_STRONGEST - _FAINTEST) * level)
    return np.dstack([colors[log_probs.argmax(2)], opacity.round().astype(np.uint8)])


def plane_points(plane: LatentPlane | PlaneField, max_points: int) -> list[Trace]:
    """Return the plane's latents, one trace a class; none if it has none."""
    if plane.latents is None or plane.projection is None:
        return []
    lat, points = plane.latents, plane.projection(plane.latents.z)
    classes = range(lat.n_classes)
    rows = stratified(lat.y, classes, max_points, 0)
    traces = [point_trace(lat, points, rows, k, False, None) for k in classes]
    for trace in traces:
        # On a region of its own colour a point needs an edge.
        edge = {"color": "rgba(255,255,255,0.9)", "width": 0.8}
        trace["marker"] = trace["marker"] | {"opacity": 1, "line": edge}
    return traces


def plane_axes(
    plane: LatentPlane | PlaneField, suffix: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the axes of a plane: its ranges, one unit as long on either."""
    bare = {"showgrid": False, "constrain": "domain"}
    x = bare | {
        "range": [float(plane.x[0]), float(plane.x[-1])],
        "title": {"text": style.escape(plane.labels[0], 60)},
    }
    y = bare | {
        "range": [float(plane.y[0]), float(plane.y[-1])],
        "title": {"text": style.escape(plane.labels[1], 60)},
        "scaleanchor": f"x{suffix}",
        "autorange": False,
    }
    return x, y
