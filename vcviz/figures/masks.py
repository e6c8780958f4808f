"""One mask of a DropMax head: the sub-classifier that it leaves, and what it makes of one input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, legend_above
from vcviz.figures.latent_traces import legend_traces
from vcviz.figures.marks import Trace, image, scatter, text_at
from vcviz.figures.pictures import data_uri, rgba
from vcviz.figures.regions import plane_axes, plane_points, region_trace
from vcviz.records import LatentPlane

_PLOT_PX = 470
#: more classes than this have no room for their names on the bars' axis
_NAMED = 12
_DROPPED = 0.22  # opacity of a class that the mask drops
_PLANE = Cell(1, (0.0, 0.58), (0.0, 1.0))
_PICTURE = Cell(2, (0.7, 1.0), (0.68, 1.0))
_RETAIN = Cell(3, (0.7, 1.0), (0.34, 0.58))
_ANSWER = Cell(4, (0.7, 1.0), (0.0, 0.24))


@dataclass(frozen=True, eq=False)
class MaskView:
    """What is drawn of one input under one mask, or under several together.

    Attributes
    ----------
    plane : p(y|z, m) over the plane
    point : (2,) where the input's latent lies
    label : its true class
    rho : (C,) its retain probabilities
    mask : (C,) True where retained, or None for several masks together
    probs : (C,) p(y|x, m)
    expected : (C,) p(y|x) of the head, with rho in place of the mask
    title, caption : what the input is called; what the mask does
    picture : (channels, h, w) in [0, 1], or None
    """

    plane: LatentPlane
    point: NDArray[np.float64]
    label: int
    rho: NDArray[np.floating[Any]]
    mask: NDArray[np.bool_] | None
    probs: NDArray[np.floating[Any]]
    expected: NDArray[np.floating[Any]]
    title: str
    caption: str
    picture: NDArray[np.floating[Any]] | None = None


def mask_spec(view: MaskView, *, max_points: int = 400) -> dict[str, Any]:
    """Return the figure as plain data and layout: the plane, the input, rho and p(y|x, m)."""
    plane, n_classes = view.plane, view.plane.n_classes
    names = [style.escape(name, 12) for name in plane.class_names]
    best = int(view.probs.argmax())
    answer = f"says {names[best]}, p = {view.probs[best]:.2f}"
    corner = float(plane.x[0]), float(plane.y[-1])
    data = _PLANE.place(
        [
            region_trace(plane),
            *plane_points(plane, max_points),
            _chosen(view),
            text_at([f"<b>{style.escape(view.caption, 70)}</b>", answer], *corner),
            *legend_traces(plane.class_names, range(n_classes)),
        ]
    )
    kept = np.ones(n_classes, bool) if view.mask is None else view.mask
    heading = text_at([f"<b>{style.escape(view.title, 60)}</b>"], -0.6, 1.0)
    data += _RETAIN.place([_bars(view.rho, kept, "ρ"), heading])
    data += _ANSWER.place([_bars(view.probs, kept, "p(y|x, m)"), _marks(view.expected)])
    layout: dict[str, Any] = {
        **_PLANE.axes(*plane_axes(plane)),
        **_RETAIN.axes(_class_axis(names, None), _share_axis("ρ")),
        **_ANSWER.axes(_class_axis(names, view.label), _share_axis("p(y|x, m)")),
        "height": _PLOT_PX + 150,
        "margin": {"t": 100, "b": 50, "r": 12},
        "legend": legend_above(1 + 48 / _PLOT_PX),
        "bargap": 0.2,
    }
    if view.picture is not None:
        source = data_uri(rgba(view.picture[None])[0])
        data += _PICTURE.place([image(source, "input", "picture")])
        height, width = view.picture.shape[1:]
        bare = {"visible": False, "constrain": "domain", "fixedrange": True}
        x = bare | {"range": [-0.5, width - 0.5]}
        y = bare | {"range": [height - 0.5, -0.5], "scaleanchor": f"x{_PICTURE.suffix}"}
        layout |= _PICTURE.axes(x, y)
    return {"data": data, "layout": layout}


def _chosen(view: MaskView) -> Trace:
    marker: Trace = {"symbol": style.class_symbol(view.label), "color": "#FFFFFF", "size": 15}
    marker["line"] = {"color": "#111111", "width": 3}
    hover = f"{style.escape(view.title, 60)}<extra></extra>"
    looks = {"mode": "markers", "marker": marker, "hovertemplate": hover}
    return scatter(view.point[:1], view.point[1:], "this input", "chosen", **looks)


def _bars(values: NDArray[Any], kept: NDArray[np.bool_], what: str) -> Trace:
    n = len(values)
    return {
        "type": "bar",
        "x": np.arange(n),
        "y": np.asarray(values, np.float64).round(4),
        "marker": {
            "color": [style.class_color(k) for k in range(n)],
            "opacity": np.where(kept, 1.0, _DROPPED),
            "line": {"width": 0},
        },
        "customdata": np.where(kept, "", ", dropped").tolist(),
        "showlegend": False,
        "name": what,
        "hovertemplate": f"class %{{x}}: {what} = %{{y:.3f}}%{{customdata}}<extra></extra>",
        "meta": {"layer": what},
    }


def _marks(values: NDArray[Any]) -> Trace:
    x, y = np.arange(len(values)), np.asarray(values, np.float64).round(4)
    marker: Trace = {"symbol": "line-ew", "size": 11, "color": style.NEUTRAL}
    marker["line"] = {"color": style.NEUTRAL, "width": 2.5}
    hover = "with ρ in place of the mask: %{y:.3f}<extra></extra>"
    looks = {"mode": "markers", "marker": marker, "hovertemplate": hover}
    return scatter(x, y, "p(y|x) with ρ in place of the mask", "expected", **looks)


def _class_axis(names: list[str], label: int | None) -> dict[str, Any]:
    ticks = [f"<b>▲<br>{name}</b>" if k == label else name for k, name in enumerate(names)]
    few = len(names) <= _NAMED
    return {
        "tickvals": list(range(len(names))) if few else ([] if label is None else [label]),
        "ticktext": ticks if few else ([] if label is None else [ticks[label]]),
        "range": [-0.6, len(names) - 0.4],
        "showgrid": False,
        "ticks": "",
    }


def _share_axis(title: str) -> dict[str, Any]:
    return {"title": {"text": title}, "range": [0, 1], "dtick": 0.5}
