"""Class activation maps over their images: plain and informative, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from vcviz.base.arguments import takes_records
from vcviz.figures import theme as style
from vcviz.figures.pictures import EDGE, data_uri, picture_axes, rgba
from vcviz.records import ActivationMaps, as_indices

_ROWS = ("image", "CAM", "infoCAM")
_ROW_PX = 108
#: blue against, red for, and nothing where the map is zero
_COLORS = [[0.0, "rgb(33,102,172)"], [0.5, "rgba(200,200,200,0)"], [1.0, "rgb(178,24,43)"]]


@takes_records
def plot_info_cam(
    maps: ActivationMaps,
    rows: ArrayLike | None = None,
    *,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return images with their class activation maps and, beneath, the informative ones.

    Parameters
    ----------
    maps : of `info_cam`
    rows : which of its images; default the first eight
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If `rows` are not positions of images.

    Notes
    -----
    Red speaks for the class, blue against it. All images of a row share one scale, symmetric
    about zero and saturated for the strongest hundredth of the places. A cell is a place of the
    layer that was taken apart, at its own resolution.

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> net = torch.nn.Sequential(
    ...     torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
    ...     torch.nn.Flatten(), torch.nn.Linear(4, 3),
    ... )
    >>> figure = vcviz.figures.plot_info_cam(vcviz.latents.info_cam(net, x.numpy()))
    >>> [trace.name for trace in figure.data]
    ['images', 'CAM', 'infoCAM']
    """
    first = np.arange(min(8, len(maps)))
    chosen = first if rows is None else as_indices("rows", rows, len(maps))
    # Beneath the maps the pictures are pale, so that both colours show on them.
    clear, pale = (
        np.concatenate(list(rgba(x)), axis=1) for x in (maps.x[chosen], 0.45 + 0.5 * maps.x[chosen])
    )
    data: list[dict[str, Any]] = [
        {
            "type": "image",
            "source": data_uri(np.concatenate([clear, pale, pale])),
            "hoverinfo": "skip",
            "name": "images",
        },
        _overlay(maps.cam[chosen], maps, row=1, unit="score", place=0.78),
        _overlay(maps.info[chosen], maps, row=2, unit="nats", place=0.24),
    ]
    x, y = picture_axes(maps.x.shape[-2:], [_caption(maps, i) for i in chosen], _ROWS)
    h, w = maps.info.shape[1:]
    title = f"{maps.name}: maps of {h} x {w} places of {maps.layer}"
    layout = {
        "height": len(_ROWS) * _ROW_PX + 120,
        "margin": {"t": 86, "b": 14, "l": 66},
        "title": {"text": style.escape(title), "font": {"size": 13}},
        "xaxis": x | {"tickangle": 0},
        "yaxis": y,
    }
    return style.apply(go.Figure(data, layout), theme)


def _overlay(
    values: NDArray[np.float32], maps: ActivationMaps, *, row: int, unit: str, place: float
) -> dict[str, Any]:
    """Return a heat map over one row of pictures, with a gap of nothing between two pictures."""
    n, h, w = values.shape
    height, width = maps.x.shape[-2:]
    z = np.full((n, h, w + 1), np.nan)
    z[:, :, :w] = values
    edges = [i * (width + EDGE) - 0.5 + np.linspace(0, width, w + 1) for i in range(n)]
    # Not of the largest value: one place should not leave all others pale.
    largest = float(np.quantile(np.abs(values), 0.99)) or 1.0
    return {
        "type": "heatmap",
        "z": np.concatenate(list(z), axis=1)[:, :-1],
        "x": np.concatenate(edges),
        "y": row * (height + EDGE) - 0.5 + np.linspace(0, height, h + 1),
        "zmin": -largest,
        "zmax": largest,
        "colorscale": _COLORS,
        "opacity": 0.75,
        "name": _ROWS[row],
        "hovertemplate": f"{_ROWS[row]}: %{{z:.3g}} {unit}<extra></extra>",
        "hoverongaps": False,
        "colorbar": {
            "title": {"text": f"{_ROWS[row]},<br>{unit}", "font": {"size": 11}},
            "len": 0.5,
            "y": place,
            "thickness": 11,
            "tickfont": {"size": 10},
        },
        "meta": {"layer": _ROWS[row]},
    }


def _caption(maps: ActivationMaps, i: int) -> str:
    names = maps.class_names
    against = "the rest" if maps.against[i] < 0 else names[maps.against[i]]
    name, other = style.escape(names[maps.label[i]], 9), style.escape(against, 9)
    return f"<b>{name}</b><br>against {other}<br>{maps.difference[i]:+.1f} nats"
