"""The traces of one panel of latents, as plain dictionaries.

A figure with a slider needs thousands of them; plotly checks them once, when it is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.classes import MANY, labels
from vcviz.figures.marks import Trace, key, key_of_rest, of_class, quiet
from vcviz.figures.outlines import GAP, Centres, Outlines
from vcviz.records import LatentSet

Layer = Literal["anticipated", "empirical"]

#: outlines of more classes than this carry no names, which would hide the points
NAMED_CLASSES = 20
_LONG_LABELS = 12  # classes with long names in the legend
_GREY_SVG = 3000  # grey points that WebGL need not draw
_DASH = {"anticipated": style.ANTICIPATED_DASH, "empirical": style.EMPIRICAL_DASH}
_KEY = {"anticipated": "anticipated p(z|y)", "empirical": "empirical q(z|y)"}


def point_trace(
    lat: LatentSet,
    points: NDArray[np.float64],
    rows: NDArray[np.int64],
    k: int,
    brief: bool,
    texts: Sequence[str] | None,
) -> Trace:
    """Return the points of class `k` among `rows`, with a ring around misclassified ones."""
    mine = rows[lat.y[rows] == k]
    predicted = lat.log_probs[mine].argmax(1)
    template = "<b>%{fullData.name}</b> · row %{customdata[0]:d}"
    if brief:
        hover: Trace = {"customdata": lat.index[mine][:, None].astype(np.int32)}
        if lat.table is not None:  # one column of them: every frame has its own copy
            hover["hovertext"] = [
                style.escape(line, 60) for i in mine for line in lat.details(int(i), 1)
            ]
            template += "<br>%{hovertext}"
    else:
        probability, names = np.exp(lat.log_probs[mine, predicted]), labels(lat.class_names, 40)
        hover = {
            "customdata": np.column_stack([lat.index[mine], probability]).astype(np.float64),
            "text": [names[c] for c in predicted],
        }
        template += "<br>predicted %{text}, p = %{customdata[1]:.3f}"
        if texts is not None or lat.table is not None:
            hover["hovertext"] = [_hover(lat, int(i), texts) for i in mine]
            template += "<br>%{hovertext}"
    trace = _points(lat, points, mine, k, _size(len(rows)))
    # Widths, not symbols: a byte a point in every frame, and quick for plotly to check.
    width = (predicted != k).astype(np.uint8)
    trace["marker"] |= {"line": {"color": style.NEUTRAL, "width": width}}
    return trace | {"hovertemplate": template + "<extra></extra>"} | hover


def _hover(lat: LatentSet, i: int, texts: Sequence[str] | None) -> str:
    """Return the lines of a hover that the user's own columns and texts make."""
    lines = [*lat.details(i), *([] if texts is None else [texts[i]])]
    return "<br>".join(style.escape(line, 160) for line in lines)


def live_point_traces(
    lat: LatentSet,
    points: NDArray[np.float64],
    rows: NDArray[np.int64],
    k: int,
    chosen: NDArray[np.int64] | None,
    *,
    edged: bool = False,
) -> list[Trace]:
    """Return the points of class `k` for WebGL, and rings around the misclassified ones.

    What a point is, the kernel says when it is pointed at. Rings are a trace of their own: a
    width for each point makes WebGL several times slower. If rows are `chosen`, others fade;
    `edged` points stand out from a ground of their own colour.
    """
    mine = rows[lat.y[rows] == k]
    size = _size(len(rows))
    wrong = mine[lat.log_probs[mine].argmax(1) != k]
    trace = _points(lat, points, mine, k, size)
    trace |= {"type": "scattergl", "hovertemplate": "<b>%{fullData.name}</b><extra></extra>"}
    ring = {"symbol": "circle-open", "color": style.NEUTRAL, "size": size + 2.5}
    rings = _points(lat, points, wrong, k, size) | {
        "type": "scattergl",
        "marker": ring | {"line": {"width": 1.2}},
        "hoverinfo": "skip",
        "meta": {"layer": "wrong", "class": k},
    }
    if edged:
        edge = {"color": "rgba(255,255,255,0.9)", "width": 0.4}
        trace["marker"] |= {"opacity": 1.0, "line": edge}
    if chosen is not None:
        trace |= marks(lat.index[mine], chosen)
        rings["opacity"] = 0.15
    return [trace, rings]


def marks(rows: NDArray[np.int64], chosen: NDArray[np.int64]) -> Trace:
    """Return what lets the chosen rows of a trace stand out, and the others fade."""
    return {
        "selectedpoints": np.flatnonzero(np.isin(rows, chosen)).astype(np.int32),
        "selected": {"marker": {"opacity": 0.95}},
        "unselected": {"marker": {"opacity": 0.1}},
    }


def pin_trace(points: NDArray[np.float64]) -> Trace:
    """Return a mark around points (M, 2) that a person keeps an eye on: layer "pinned"."""
    ring = {"symbol": "circle-open", "size": 19, "color": style.NEUTRAL, "line": {"width": 3}}
    x, y = points.T.astype(np.float32)
    return quiet(x, y, "kept", "pinned", mode="markers", marker=ring)


def label_trace(lat: LatentSet, points: NDArray[np.float64], places: NDArray[np.int64]) -> Trace:
    """Return row number and class beside some points: layer "labels"."""
    names = labels(lat.class_names, 18)
    return {
        "type": "scatter",
        "x": points[places, 0].astype(np.float32),
        "y": points[places, 1].astype(np.float32),
        "mode": "text",
        "text": [
            f"{row}: {names[k]}" for row, k in zip(lat.index[places], lat.y[places], strict=True)
        ],
        "textposition": "top center",
        "textfont": {"size": 10},
        "hoverinfo": "skip",
        "showlegend": False,
        "meta": {"layer": "labels"},
    }


def _points(
    lat: LatentSet, points: NDArray[np.float64], rows: NDArray[np.int64], k: int, size: float
) -> Trace:
    x, y = points[rows].T.astype(np.float32)
    marker: Trace = {"color": style.class_color(k), "symbol": style.class_symbol(k)}
    marker |= {"size": size, "opacity": 0.6}
    return of_class(k, lat.class_names, x, y, "points", mode="markers", marker=marker)


def _size(n: int) -> float:
    """Return the size of markers in pixels, smaller if they are many."""
    return round(float(np.clip(130 / np.sqrt(max(n, 1)), 3.5, 7)), 1)


def outline_traces(
    outlines: Outlines,
    centres: Centres,
    classes: Sequence[int],
    names: Sequence[str],
    layer: Layer,
    *,
    named: bool,
    compact: bool,
    arm: float,
) -> list[Trace]:
    """Return one line trace per class: its outlines, a cross at its mean and (if `named`) a name.

    `compact` draws splines through few vertices, and leaves out what only decorates; `arm` is
    half a cross in the axes' units.
    """
    named = named and len(classes) <= NAMED_CLASSES
    short = labels(names, 12)
    traces = []
    for k in classes:
        xy, centre = outlines.get(k, GAP), centres.get(k, GAP[0])
        parts = [xy]
        if layer == "anticipated" or not compact:
            parts = [_cross(centre, arm), xy]
        if named:
            # The name's place comes first so that one text is enough; gaps keep it off the lines.
            top = xy[np.nanargmax(xy[:, 1])] if np.isfinite(xy).any() else centre
            parts = [top[None], GAP, *parts]
        path = np.concatenate(parts).astype(np.float32)
        line = {
            "color": style.class_color(k),
            "width": 1.6,
            "dash": _DASH[layer],
            "shape": "spline" if compact else "linear",
        }
        trace = of_class(k, names, path[:, 0], path[:, 1], layer, line=line, hoverinfo="skip")
        if named:
            trace["mode"] = "lines+text"
            trace["text"] = [f"<b>{short[k]}</b>"]
            trace["textposition"] = "top center"
            trace["textfont"] = {"color": style.class_color(k), "size": 12}
        traces.append(trace)
    return traces


def others_trace(points: NDArray[np.float64]) -> Trace:
    """Return points (M, 2) of the classes that are not drawn one by one: layer "others"."""
    looks: Trace = {
        "type": "scattergl" if len(points) > _GREY_SVG else "scatter",
        "mode": "markers",
        "marker": {"color": style.NEUTRAL, "size": 3, "opacity": 0.25},
        "legendgroup": "others",
    }
    x, y = points.T.astype(np.float32)
    return quiet(x, y, "other classes", "others", **looks)


def legend_traces(
    names: Sequence[str],
    classes: Sequence[int],
    layers: Sequence[Layer] = (),
    *,
    wrong: bool = False,
    others: bool = False,
    counts: Sequence[str] | None = None,
    coloured: bool = True,
) -> list[Trace]:
    """Return empty traces that stand in the legend: a class's key toggles all that is its own.

    Of more than 24 classes the first have one, and a line says how many have not. `others` adds a
    key of the classes that are drawn grey; `counts` are words beside the names of all C classes.
    Where colours say something else than the class (not `coloured`), its symbol alone is the key.
    """
    titles = labels(names, 28 if len(classes) <= _LONG_LABELS else 18)
    keys = [
        key(
            titles[k] if counts is None else f"{titles[k]} · {counts[k]}",
            mode="markers",
            marker={
                "color": style.class_color(k) if coloured else style.NEUTRAL,
                "symbol": style.class_symbol(k),
                "size": 8,
            },
            legendgroup=f"class {k}",
            meta={"layer": "key", "class": k},
        )
        for k in classes[:MANY]
    ]
    keys += key_of_rest(len(classes) - MANY)
    if others:
        grey = {"color": style.NEUTRAL, "size": 4, "opacity": 0.6}
        keys.append(key("other classes", mode="markers", marker=grey, legendgroup="others"))
    for layer in layers:
        line = {"color": style.NEUTRAL, "width": 1.6, "dash": _DASH[layer]}
        keys.append(key(_KEY[layer], line=line))
    if wrong:
        ring = {"symbol": "circle-open", "color": style.NEUTRAL, "size": 8, "line": {"width": 1.5}}
        keys.append(key("misclassified", mode="markers", marker=ring))
    return keys


def _cross(centre: NDArray[np.float64], arm: float) -> NDArray[np.float64]:
    across, up = np.array([arm, 0.0]), np.array([0.0, arm])
    return np.array([centre - across, centre + across, GAP[0], centre - up, centre + up, GAP[0]])
