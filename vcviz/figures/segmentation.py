"""Panels of one picture: labels, predictions, where the labels are noisy, and the errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, Panels
from vcviz.records import PixelSplit, Segmentation

_PANEL_PX, _GAP_PX = 190, 44
_SHARE = (0.0, 0.5)
_GREY = [[0, "#000000"], [1, "#FFFFFF"]]


@takes_records
def plot_segmentation(
    split: PixelSplit,
    segmentations: Segmentation | Sequence[Segmentation],
    *,
    row: int = 0,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return panels of the data in a row, and beneath it one row for each segmentation.

    Parameters
    ----------
    split : pictures with labels, and true label distributions if they are known
    segmentations : one segmentation of them or several
    row : which picture
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If the segmentations are not of these pictures, or there is no such row.

    Notes
    -----
    Data: picture, label, how often the true label is not the likeliest one. Each segmentation:
    most probable class, -log p of the label (nats) and, if the head has noise, how often the noise
    changes the winner, and its standard deviation over tau. Only the former is determined by the
    labels: a flexible encoder can scale mean and noise of a pixel together. All maps of one kind
    share their colour scale; that of a share goes to one half.

    Examples
    --------
    >>> _, test = vcviz.data.load_shapes(n_train=2, n_test=2)
    >>> seen = vcviz.records.Segmentation(np.log(test.label_probs + 1e-9), name="the truth")
    >>> figure = vcviz.figures.plot_segmentation(test, seen)
    >>> [note.text for note in figure.layout.annotations][:3]
    ['<b>picture</b>', '<b>label, as drawn</b>', '<b>truth: unlike, share</b>']
    """
    segmentations = one_or_several("segmentations", segmentations)
    shape = (len(split), split.n_classes, *split.y.shape[1:])
    if wrong := [s for s in segmentations if s.log_probs.shape != shape]:
        raise InputError(
            f"segmentations must be {shape} like the split, got {wrong[0].log_probs.shape}"
        )
    if check_count("row", row, minimum=0) >= len(split):
        raise InputError(f"row must lie in [0, {len(split)}), got {row}")
    figure = Panels([_PANEL_PX] * (1 + len(segmentations)), 4, gap_x=0.04, gap_y=_GAP_PX)
    first, *others = figure.rows
    noise = [s.noise[row] for s in segmentations if s.noise is not None]
    loudest = float(np.quantile(noise, 0.99)) if noise else 1.0
    worst = max(float(np.quantile(s.nll(split.y)[row], 0.99)) for s in segmentations)
    panels: list[tuple[Cell, str, dict[str, Any]]] = [
        (first[0], "picture", _map(split.x[row].mean(0), _GREY, (0, 1))),
        (first[1], "label, as drawn", _classes(split.y[row], split.class_names)),
    ]
    if split.label_probs is not None:
        unlike = 1 - split.label_probs[row].max(0)
        panels.append((first[2], "truth: unlike, share", _map(unlike, "Viridis", _SHARE)))
    for place, one in zip(others, segmentations, strict=True):
        nll = one.nll(split.y)[row]
        predicted = _classes(one.predicted[row], split.class_names)
        panels += [
            (place[0], f"{one.name}", predicted),
            (place[1], f"−log p, mean {nll.mean():.3f}", _map(nll, "Magma", (0, worst))),
        ]
        if one.noise is not None and one.flips is not None:
            flips = _map(one.flips[row], "Viridis", _SHARE)
            loud = _map(one.noise[row], "Viridis", (0, loudest))
            panels += [
                (place[2], "flipped by noise, share", flips),
                (place[3], "noise over τ", loud),
            ]
    plain = {"showticklabels": False, "ticks": "", "showgrid": False, "showline": False}
    plain["constrain"] = "domain"
    for cell, title, trace in panels:
        down = {"autorange": "reversed", "scaleanchor": f"x{cell.suffix}"}
        figure.add(cell, [trace], (plain, plain | down), style.escape(title))
    height, margin = figure.height + 60, {"l": 12, "r": 12}
    figure.frame(34, 20, height=height, margin=margin)
    for note in figure.layout["annotations"]:
        note["font"] = {"size": 12}
    return style.apply(go.Figure(**figure.spec), theme)


def _map(values: NDArray[Any], colors: Any, bounds: tuple[float, float]) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "z": np.asarray(values, np.float32),
        "colorscale": colors,
        "zmin": bounds[0],
        "zmax": bounds[1],
        "showscale": False,
        "hovertemplate": "row %{y}, column %{x}: %{z:.3f}<extra></extra>",
    }


def _classes(y: NDArray[np.int64], names: Sequence[str]) -> dict[str, Any]:
    n = len(names)
    steps = np.linspace(0, 1, n + 1)
    scale = [[float(s), style.class_color(k)] for k in range(n) for s in steps[k : k + 2]]
    named = np.array([style.escape(name, 30) for name in names], dtype=object)[y]
    return _map(y, scale, (-0.5, n - 0.5)) | {
        "customdata": named,
        "hovertemplate": "row %{y}, column %{x}: %{customdata}<extra></extra>",
    }
