"""How noisy the label is over a plane of inputs: models beside the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.grid import side_by_side
from vcviz.metrics.noisy_scores import relative_noise
from vcviz.records import LogitLaw, as_float, as_labels

COLORS = "Viridis"
_PANEL_PX, _GAP_PX = 300, 80


def plot_noise_maps(
    laws: Mapping[str, LogitLaw],
    x: ArrayLike,
    *,
    classes: tuple[int, int] | None = None,
    columns: int = 3,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return maps of the noise between two classes over a grid of inputs, on one colour scale.

    Parameters
    ----------
    laws : title -> law of the utilities at the inputs `x`
    x : (N, 2) inputs that fill a grid, see `vcviz.metrics.input_grid`
    classes : k and j; default the two of largest mean at each input, of the first law
    columns : maps in a row
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If `x` does not fill a grid, or laws and inputs differ in number.

    Notes
    -----
    What is drawn is `vcviz.metrics.noisy_scores.relative_noise`: the standard deviation of u_k -
    u_j over the root mean square of its mean, since mean, noise and temperature have no scale of
    their own.

    Examples
    --------
    >>> _, test = vcviz.load_data("utilities", n=300)
    >>> x = vcviz.metrics.input_grid(test.x, size=9)
    >>> laws = {"true noise": vcviz.data.true_utilities(test, x)}
    >>> figure = vcviz.figures.plot_noise_maps(laws, x)
    >>> [note.text for note in figure.layout.annotations]
    ['<b>true noise</b>']
    """
    if not laws:
        raise InputError("plot_noise_maps needs at least one law")
    across, down = grid_axes(x)
    reference = next(iter(laws.values()))
    if classes is None:
        k, j = reference.leaders.T
    else:
        k, j = as_labels("classes", classes, 2, reference.n_classes)
    maps = {}
    for title, law in laws.items():
        if len(law) != len(across) * len(down):
            raise InputError(f"the law {title!r} has {len(law)} inputs, x has {len(np.asarray(x))}")
        if not 0 <= np.min([k, j]) <= np.max([k, j]) < law.n_classes or np.any(k == j):
            raise InputError(f"classes must be two of 0..{law.n_classes - 1}, got {classes}")
        maps[title] = grid_values(x, relative_noise(law, k, j))
    names = ["1st", "2nd"] if classes is None else [reference.class_names[c] for c in classes]
    panels, places = side_by_side(len(maps), columns, [_PANEL_PX], [_GAP_PX], gap_x=0.16)
    bare = {"constrain": "domain", "showgrid": False}
    for (cell,), (title, values) in zip(places, maps.items(), strict=True):
        heat = {
            "type": "heatmap",
            "x": across,
            "y": down,
            "z": values.astype(np.float32),
            "coloraxis": "coloraxis",
            "name": style.escape(title),
            "hovertemplate": "x1 %{x:.2f}, x2 %{y:.2f}<br>%{z:.3f}<extra></extra>",
        }
        x_axis = bare | {"title": {"text": "x1"}}
        y_axis = bare | {"title": {"text": "x2" if cell.leftmost else None}}
        y_axis["scaleanchor"] = f"x{cell.suffix}"
        panels.add(cell, [heat], (x_axis, y_axis), style.escape(title, 50))
    first, second = (style.escape(name, 8) for name in names)
    text = f"noise of u<sub>{first}</sub> − u<sub>{second}</sub><br>over its typical mean"
    colors = {
        "colorscale": COLORS,
        "cmin": 0,
        "cmax": max(float(m.max()) for m in maps.values()),
        "colorbar": {"title": {"text": text, "font": {"size": 12}}, "thickness": 14},
    }
    height = panels.height + 100
    panels.frame(40, 56, height=height, margin={"l": 56}, coloraxis=colors)
    return style.apply(go.Figure(**panels.spec), theme)


def grid_axes(x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the values of the first and of the second input of a full grid.

    Raises
    ------
    InputError
        If the inputs do not fill a grid.
    """
    points = as_float("x", x, 2, np.float64)
    axes = [np.unique(column) for column in points.T]
    full = len(axes) == 2 and len(np.unique(points, axis=0)) == len(points)
    if not full or len(axes[0]) * len(axes[1]) != len(points):
        raise InputError(
            f"x must hold every point of a grid of two inputs, got shape {points.shape}; "
            "see vcviz.metrics.input_grid"
        )
    return axes[0], axes[1]


def grid_values(x: ArrayLike, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values at the points of a grid as (second input, first input)."""
    points = as_float("x", x, 2, np.float64)
    across, down = grid_axes(points)
    order = np.lexsort((points[:, 0], points[:, 1]))
    return values[order].reshape(len(down), len(across))
