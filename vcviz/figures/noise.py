"""One input of a heteroscedastic classifier: its probabilities, and its logits with their noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, Panels
from vcviz.figures.marks import Trace, quiet, scatter
from vcviz.figures.noise_maps import COLORS, grid_axes, grid_values
from vcviz.metrics.noisy_scores import draw_utilities
from vcviz.records import LogitLaw

_TOP_PX, _BOTTOM_PX, _GAP_PX = 270, 270, 104
_MOST_CLASSES = 20
_MOST_DOTS = 300


@dataclass(frozen=True, eq=False)
class NoiseView:
    """What `noise_spec` draws of one input.

    Attributes
    ----------
    law : of the chosen input alone, with the temperature of training
    probs : (C,) at the temperature and draws shown
    limit : (C,) exact probabilities as tau falls to 0, or None where there is no formula
    truth : (C,) true p(y|x), or None
    temperature, draws : tau and S shown
    x : (2,) the input, if it has two coordinates, else None
    plane_x, plane : grid of inputs and their law, or None
    others : law of many inputs, drawn where there is no plane
    curve : (taus, values, what): a score over the test rows at the draws shown
    seed : of the dots
    """

    law: LogitLaw
    probs: NDArray[np.float64]
    limit: NDArray[np.float64] | None
    truth: NDArray[np.float64] | None
    temperature: float
    draws: int
    x: NDArray[np.float64] | None
    plane_x: NDArray[np.float64] | None
    plane: LogitLaw | None
    others: LogitLaw
    curve: tuple[NDArray[np.float64], NDArray[np.float64], str]
    seed: int = 0

    @property
    def ranked(self) -> list[int]:
        """Up to three classes of largest mean utility, best first."""
        return np.argsort(-self.law.mean[0])[:3].tolist()


def noise_spec(view: NoiseView) -> dict[str, Any]:
    """Return the data and layout of the four panels of a `NoiseView`."""
    panels = Panels([_TOP_PX, _BOTTOM_PX], 2, gap_x=0.14, gap_y=_GAP_PX)
    (probabilities, cloud), (below, curve) = panels.rows
    names = [style.escape(n, 14) for n in view.law.class_names]
    panels.add(probabilities, *_probabilities(view, names), "p(y|x) of the chosen input")
    panels.add(cloud, *_cloud(view, names), "Draws of the logits, by the class that wins")
    if view.plane is not None and view.plane_x is not None:
        heading = "Noise: std of (u<sub>1st</sub> − u<sub>2nd</sub>) / τ of training"
        panels.add(below, *_plane(view.plane, view.plane_x, view.x, below), heading)
    else:
        heading = "How sure and how noisy: the two likeliest classes of each input"
        panels.add(below, *_rows(view), heading)
    panels.add(curve, *_curve(view), view.curve[2], "● now  ○ τ of training")
    panels.frame(86, 60, legend=44, barmode="overlay", margin={"l": 60, "r": 16})
    return panels.spec


Panel = tuple[list[Trace], tuple[dict[str, Any], dict[str, Any]]]


def _probabilities(view: NoiseView, names: list[str]) -> Panel:
    rows = np.sort(np.argsort(-view.law.mean[0])[:_MOST_CLASSES])
    shown = [names[k] for k in rows]
    traces: list[Trace] = [
        {
            "type": "bar",
            "x": shown,
            "y": view.probs[rows],
            "marker": {"color": [style.class_color(k) for k in rows], "opacity": 0.75},
            "name": "p(y|x) at this τ and S",
            "hovertemplate": "%{x}: %{y:.3f}<extra>this τ and S</extra>",
        }
    ]
    for values, name, symbol, size in (
        (view.limit, "τ → 0, exact", "line-ew-open", 22),
        (view.truth, "truth", "diamond-open", 13),
    ):
        if values is not None:
            marker = {"symbol": symbol, "size": size, "color": style.NEUTRAL, "line": {"width": 2}}
            hover = f"%{{x}}: %{{y:.3f}}<extra>{name}</extra>"
            looks: Trace = {"mode": "markers", "marker": marker, "hovertemplate": hover}
            traces.append(scatter(shown, values[rows], name, **looks))
    x = {"type": "category", "title": {"text": "class"}}
    y = {"title": {"text": "probability"}, "range": [0, 1.03]}
    return traces, (x, y)


def _cloud(view: NoiseView, names: list[str]) -> Panel:
    """Dots: differences of drawn utilities, each with the class that wins the draw."""
    law, tau = view.law, view.law.temperature
    first, *rest = view.ranked
    shown = min(view.draws, _MOST_DOTS)
    u = draw_utilities(law, view.draws, seed=view.seed)[:shown, 0] / tau
    all_u = draw_utilities(law, _MOST_DOTS, seed=view.seed)[:, 0] / tau
    winners = u.argmax(1)
    second = rest[0]
    third = rest[1] if len(rest) > 1 else None
    gap = u[:, first] - u[:, second]
    other = np.linspace(-1, 1, shown) if third is None else u[:, first] - u[:, third]
    reach = [float(np.abs(all_u[:, first] - all_u[:, k]).max()) for k in rest]
    limits = [1.05 * max(reach[0], 1e-6), 1.05 * max(reach[-1], 1e-6) if third is not None else 1.1]
    soft = min(view.temperature / tau, 2 * max(limits))
    undecided = "within τ of a tie: the softmax is undecided"
    grey: Trace = {"fill": "toself", "fillcolor": "rgba(128,128,128,0.22)", "line": {"width": 0}}
    traces: list[Trace] = [
        quiet(*strip, undecided, legendgroup="soft", showlegend=i == 0, **grey)
        for i, strip in enumerate(_ties(soft, limits, third is not None))
    ]
    for k in view.ranked:
        mine = winners == k
        traces.append(_dots(gap[mine], other[mine], k, names))
    rest_wins = ~np.isin(winners, view.ranked)
    traces.append(_dots(gap[rest_wins], other[rest_wins], None, names))
    traces.append(_ellipses(law, first, second, third))
    a, b = names[first], names[second]
    x: dict[str, Any] = {"title": {"text": f"(u<sub>{a}</sub> − u<sub>{b}</sub>) / τ of training"}}
    x |= {"range": [-limits[0], limits[0]], "zeroline": True, "zerolinecolor": style.NEUTRAL}
    y: dict[str, Any] = {"range": [-limits[1], limits[1]], "showticklabels": third is not None}
    y["title"] = {"text": None}
    if third is not None:
        y["title"] = {"text": f"(u<sub>{a}</sub> − u<sub>{names[third]}</sub>) / τ of training"}
        y |= {"zeroline": True, "zerolinecolor": style.NEUTRAL}
    return traces, (x, y)


def _ties(soft: float, limits: list[float], both: bool) -> list[tuple[list[float], list[float]]]:
    """Return the strips around ties of the best class with the second and with the third."""
    wide, high = (2 * limit for limit in limits)
    upright = ([-soft, soft, soft, -soft], [-high, -high, high, high])
    level = ([-wide, wide, wide, -wide], [-soft, -soft, soft, soft])
    return [upright, level if both else ([], [])]


def _dots(x: NDArray[np.float64], y: NDArray[np.float64], k: int | None, names: list[str]) -> Trace:
    color = style.NEUTRAL if k is None else style.class_color(k)
    title = "another class" if k is None else names[k]
    symbol = "x" if k is None else style.class_symbol(k)
    marker = {"color": color, "symbol": symbol, "size": 6, "opacity": 0.6}
    looks: Trace = {"mode": "markers", "marker": marker, "showlegend": False}
    hover = f"{title} wins<extra></extra>"
    return scatter(x, y, f"{title} wins", hovertemplate=hover, **looks)


def _ellipses(law: LogitLaw, first: int, second: int, third: int | None) -> Trace:
    """Return the outlines of one and two standard deviations of the differences."""
    name, line = "1 and 2 standard deviations", {"color": style.NEUTRAL, "width": 1.3}
    if third is None:
        return quiet([], [], name, line=line)
    contrast = np.zeros((2, law.n_classes))
    contrast[:, first] = 1
    contrast[0, second] = contrast[1, third] = -1
    centre = contrast @ law.mean[0] / law.temperature
    covariance = contrast @ law.covariance[0] @ contrast.T / law.temperature**2
    values, axes = np.linalg.eigh(covariance)
    angle = np.linspace(0, 2 * np.pi, 61)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    ring = axes @ (np.sqrt(np.maximum(values, 0))[:, None] * circle)
    gap = np.full((2, 1), np.nan)
    path = np.hstack([centre[:, None] + ring, gap, centre[:, None] + 2 * ring])
    return scatter(path[0], path[1], name, line=line, hoverinfo="skip")


def _plane(
    law: LogitLaw, inputs: NDArray[np.float64], chosen: NDArray[np.float64] | None, cell: Cell
) -> Panel:
    across, down = grid_axes(inputs)
    _, noise = law.contrast(*law.leaders.T)
    traces: list[Trace] = [
        {
            "type": "heatmap",
            "x": across,
            "y": down,
            "z": grid_values(inputs, noise).astype(np.float32),
            "colorscale": COLORS,
            "zmin": 0,
            "colorbar": {
                "thickness": 12,
                "len": _BOTTOM_PX / (_TOP_PX + _BOTTOM_PX + _GAP_PX),
                "y": 0,
                "yanchor": "bottom",
                "x": cell.x_domain[1] + 0.005,
            },
            "hovertemplate": "x1 %{x:.2f}, x2 %{y:.2f}<br>noise %{z:.2f}<extra></extra>",
        }
    ]
    if chosen is not None:
        cross = {"symbol": "x-thin", "size": 14, "line": {"color": "#FFFFFF", "width": 3}}
        place = [chosen[0]], [chosen[1]]
        traces.append(quiet(*place, "chosen input", mode="markers", marker=cross))
    return traces, ({"title": {"text": "x1"}}, {"title": {"text": "x2"}})


def _rows(view: NoiseView) -> Panel:
    """For inputs that are no plane: how sure and how noisy each of them is."""
    one, other = style.RUN_COLORS[:2]
    dot: Trace = {"size": 4, "color": one, "symbol": "circle", "line": {"width": 0}}
    cross: Trace = {"size": 14, "color": other, "symbol": "x-thin-open"}
    cross["line"] = {"width": 2, "color": other}
    hover = "mean %{x:.2f}, noise %{y:.2f}<extra></extra>"
    looks: Trace = {"mode": "markers", "showlegend": False, "hovertemplate": hover}
    traces = []
    for law, marker, name in ((view.others, dot, "inputs"), (view.law, cross, "chosen input")):
        mean, std = law.contrast(*law.leaders.T)
        traces.append(scatter(mean, std, name, marker=marker | {"opacity": 0.7}, **looks))
    x = {"title": {"text": "mean of (u<sub>1st</sub> − u<sub>2nd</sub>) / τ of training"}}
    y = {"title": {"text": "its standard deviation"}, "rangemode": "tozero"}
    return traces, (x, y)


def _curve(view: NoiseView) -> Panel:
    taus, values, what = view.curve
    at = np.array([view.temperature, view.law.temperature])
    height = np.interp(np.log(at), np.log(taus), values)
    color = style.RUN_COLORS[0]
    line, hover = {"color": color, "width": 2}, "τ = %{x:.3g}: %{y:.4f} nats<extra></extra>"
    marks: Trace = {"symbol": ["circle", "circle-open"], "size": [11, 10], "color": color}
    marks["line"] = {"width": 2}
    traces = [
        scatter(taus, values, what, line=line, showlegend=False, hovertemplate=hover),
        quiet(at, height, "now, and τ of training", mode="markers", marker=marks),
    ]
    x = {"title": {"text": "τ of the prediction"}, "type": "log", "tickformat": "~g", "dtick": 1}
    return traces, (x, {"title": {"text": "nats"}})
