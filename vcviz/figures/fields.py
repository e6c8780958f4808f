"""A critic's log-ratio and out-of-distribution scores over a plane of the latents, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.grid import side_by_side
from vcviz.figures.latent_traces import legend_traces
from vcviz.figures.marks import Trace, quiet, scatter
from vcviz.figures.pictures import data_uri
from vcviz.figures.regions import plane_axes, plane_image, plane_points
from vcviz.geometry.contours import level_line
from vcviz.records import LatentSet, PlaneField

#: fewer latents than anticipated, more: apart for every kind of colour vision, no class has them
FEWER, MORE = "#8C7BD0", "#E08214"
_STRONGEST = 0.8  # opacity at the end of the colours
_STEPS = 24  # of each colour
_PANEL_PX, _GAP_PX = 360, 100


@takes_records
def plot_field(
    fields: PlaneField | Sequence[PlaneField],
    *,
    strangers: LatentSet | None = None,
    columns: int = 2,
    max_points: int = 600,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return each field as a picture, with its latents and its threshold on top.

    Parameters
    ----------
    fields : see `vcviz.latents.plane_log_ratio` and `vcviz.latents.score_plane`
    strangers : latents of out-of-distribution inputs, drawn as crosses
    columns : panels in a row
    max_points : most latents drawn in a panel, evenly from the classes, and most crosses
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If there is no field, or an option is out of range.

    Notes
    -----
    A log-ratio is purple where there are fewer latents than anticipated, orange where there are
    more, and clear where the two agree. A score is grey where it is beyond that of half of the
    known latents, the more the stranger.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="variational", epochs=3, progress=False)
    >>> field = vcviz.latents.plane_log_ratio(run.model(), run.latents(), size=20)
    >>> figure = vcviz.figures.plot_field(field)
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['bar', 'key', 'log_ratio', 'points']
    """
    found = one_or_several("fields", fields)
    panels, places = side_by_side(len(found), columns, [_PANEL_PX], [_GAP_PX], gap_x=0.34)
    thresholds = [field for field in found if field.threshold is not None]
    for i, ((cell,), field) in enumerate(zip(places, found, strict=True)):
        layers = [field_trace(field), *plane_points(field, max_points)]
        if strangers is not None and field.projection is not None:
            rows = np.linspace(0, len(strangers) - 1, min(max_points, len(strangers))).astype(int)
            points = field.projection(strangers.z[rows])
            layers.append(stranger_trace(points, strangers.name, legend=i == 0))
        if field.threshold is not None:
            layers.append(threshold_line(field) | {"showlegend": field is thresholds[0]})
        high = cell.x_domain[1]
        middle = sum(cell.y_domain) / 2
        layers.append(field_bar(field, x=high + 0.01, y=middle, length=np.ptp(cell.y_domain)))
        notes = [threshold_text(field)] if field.threshold is not None else []
        axes = plane_axes(field, cell.suffix)
        panels.add(cell, layers, axes, style.escape(field.name, 60), *notes)
    names = next((f.latents.class_names for f in found if f.latents is not None), ())
    panels.draw(places[0][0], legend_traces(names, range(len(names))))
    width = 90 + 560 * len(panels.rows[0])
    panels.frame(106, 60, legend=50, width=width, margin={"r": 110})
    return style.apply(go.Figure(**panels.spec), theme)


def field_trace(field: PlaneField, limits: tuple[float, float] | None = None) -> Trace:
    """Return a field as one picture: layer "log_ratio" without a threshold, else "ood".

    `limits` are the values that the colours reach; default the field's own.
    """
    layer = "log_ratio" if field.threshold is None else "ood"
    return plane_image(field, data_uri(field_pixels(field, limits)), layer)


def field_pixels(field: PlaneField, limits: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Return (R, Q, 4) bytes: one of two colours about 0, or grey above the lower limit."""
    low, high = limits or field.limits
    values = np.asarray(field.values, np.float64)
    pixels = np.zeros((*values.shape, 4), np.uint8)
    if field.threshold is None:
        strength = np.abs(values) / (max(abs(low), abs(high)) or 1.0)
        pixels[..., :3] = np.where((values > 0)[..., None], style.rgb(MORE), style.rgb(FEWER))
    else:
        strength = (values - low) / ((high - low) or 1.0)
        pixels[..., :3] = style.rgb(style.NEUTRAL)
    level = np.round(np.clip(strength, 0, 1) * _STEPS) / _STEPS
    pixels[..., 3] = (255 * _STRONGEST * level).round()
    return pixels


def field_bar(
    field: PlaneField,
    *,
    x: float = 1.02,
    y: float = 0.5,
    length: float = 1.0,
    limits: tuple[float, float] | None = None,
) -> Trace:
    """Return the colour bar of a field: a trace without points, because a picture has none.

    Parameters
    ----------
    x, y, length : left edge, middle and length, as shares of the plot
    limits : as for `field_trace`
    """
    low, high = limits or field.limits
    grey = style.NEUTRAL
    scale: list[list[Any]] = [[0, style.faint(grey, 0)], [1, style.faint(grey, _STRONGEST)]]
    if field.threshold is None:
        high = max(abs(low), abs(high))
        low = -high
        clear = [[0.4999, style.faint(FEWER, 0)], [0.5001, style.faint(MORE, 0)]]
        scale = [[0, style.faint(FEWER, _STRONGEST)], *clear, [1, style.faint(MORE, _STRONGEST)]]
    return quiet(
        [None],
        [None],
        "colours",
        "bar",
        mode="markers",
        marker={
            "color": [low],
            "cmin": low,
            "cmax": high,
            "colorscale": scale,
            "showscale": True,
            "colorbar": {
                "title": {
                    "text": ", ".join(filter(None, (style.escape(field.quantity, 40), field.unit))),
                    "side": "right",
                },
                "x": x,
                "xanchor": "left",
                "y": y,
                "len": float(length),
                "thickness": 11,
                "outlinewidth": 0,
                "tickfont": {"size": 11},
            },
        },
    )


def threshold_line(field: PlaneField) -> Trace:
    """Return the line on which the score is its threshold: layer "fpr95"."""
    if field.threshold is None:
        raise InputError("this field has no threshold; take one from score_plane")
    line = level_line(field.values, field.x, field.y, field.threshold).astype(np.float32)
    name = f"accepts {field.tpr:.0%} of the known".replace("%", " %")
    looks = {"color": style.NEUTRAL, "width": 2, "dash": "dashdot"}
    return scatter(line[:, 0], line[:, 1], name, "fpr95", line=looks, hoverinfo="skip")


def threshold_note(field: PlaneField) -> str:
    """Return what the threshold lets pass in few words: "FPR95 0.31 [0.28, 0.34] (noise)"."""
    one = field.separation
    if one is None:
        return f"line: {100 * field.tpr:.3g} % of the known inside"
    low, high = one.fpr_interval
    against = style.escape(one.against, 20)
    return f"FPR{100 * one.tpr:.3g} {one.fpr:.2f} [{low:.2f}, {high:.2f}], {against}"


def threshold_text(field: PlaneField) -> str:
    """Return what the threshold lets pass: "FPR95 0.31 [0.28, 0.34]: 31 % of … accepted"."""
    accepts = f"{100 * field.tpr:.3g} % of the known"
    one = field.separation
    if one is None:
        return f"the line accepts {accepts} latents"
    low, high = one.fpr_interval
    return (
        f"FPR{100 * one.tpr:.3g} {one.fpr:.2f} [{low:.2f}, {high:.2f}]: with {accepts}, "
        f"{100 * one.fpr:.3g} % of {style.escape(one.against, 40)} accepted"
    )


def stranger_trace(
    points: ArrayLike, name: str, *, rows: ArrayLike | None = None, legend: bool = True
) -> Trace:
    """Return out-of-distribution points (M, 2) as crosses: layer "strangers".

    `rows` are what a hover calls them; default their place.
    """
    points = np.asarray(points, np.float32)
    numbers = np.arange(len(points)) if rows is None else np.asarray(rows)
    cross = {"symbol": "x-thin", "size": 7, "line": {"color": style.NEUTRAL, "width": 1.4}}
    return scatter(
        points[:, 0],
        points[:, 1],
        style.escape(name, 40),
        "strangers",
        mode="markers",
        marker=cross,
        customdata=numbers[:, None].astype(np.int32),
        showlegend=legend,
        hovertemplate="<b>%{fullData.name}</b> · row %{customdata[0]:d}<extra></extra>",
    )
