"""Accuracy of classifiers while an attack goes on, and against its radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.gates import LINE_PX, gates_beneath, norm_name
from vcviz.figures.grid import Panels, legend_above
from vcviz.figures.marks import Trace, band, scatter
from vcviz.metrics.robustness import attack_gates, wilson
from vcviz.records import RobustnessCurve, Trajectory

#: pixels of tick labels and title beneath an axis
_AXIS_PX = 62
_PANEL_PX, _GAP_PX = 300, 92


@takes_records
def plot_attack_accuracy(
    paths: Trajectory | Sequence[Trajectory],
    *,
    level: float = 0.95,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return accuracy after each step of an attack, one line per classifier with its interval.

    Parameters
    ----------
    paths : one attack, or the same attack on several classifiers
    level : mass of the (Wilson score) interval of each accuracy, drawn as a band
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If there is no path, or `level` or `theme` is out of range.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> path = run.attack(rows=20, epsilon=2.0, steps=3, progress=False)
    >>> figure = vcviz.figures.plot_attack_accuracy(path)
    >>> figure.layout.xaxis.title.text, figure.layout.yaxis.title.text
    ('attack step', 'accuracy, fraction')
    """
    paths = one_or_several("paths", paths)
    data: list[Trace] = []
    for i, path in enumerate(paths):
        steps = np.arange(path.steps + 1)
        name = _legend(path.name, len(path), path.label_note)
        interval = wilson(path.accuracy, len(path), level)
        data += _line(steps, path.accuracy, interval, i, name, "step %{x}: accuracy %{y:.3f}")
    attacks = {(p.method, p.loss, p.norm, round(float(p.epsilon), 6)) for p in paths}
    said = "; ".join(f"{_attack(m, loss, n)}, ε = {e:g}" for m, loss, n, e in sorted(attacks))
    names, gates = [p.name for p in paths], [attack_gates(p) for p in paths]
    bottom = _AXIS_PX + LINE_PX * (len(paths) + 1)
    layout = {
        "height": 380 + bottom - 54,
        "title": {"text": style.escape(f"Attack: {said}"), "font": {"size": 13}},
        "xaxis": {"title": {"text": "attack step"}},
        "yaxis": {"title": {"text": "accuracy, fraction"}, "range": [-0.02, 1.02]},
        "margin": {"t": 78, "b": bottom},
        "legend": legend_above(1.02),
        "annotations": [gates_beneath(names, gates, _AXIS_PX - 14)],
    }
    return style.apply(go.Figure(data, layout), theme)


@takes_records
def plot_robustness(
    curves: RobustnessCurve | Sequence[RobustnessCurve], *, theme: style.Theme = "auto"
) -> go.Figure:
    """Return accuracy and calibration error against an attack's radius, one line per classifier.

    Parameters
    ----------
    curves : one curve, or several of the same norm
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If the norms of the curves differ, or `theme` is unknown.

    Notes
    -----
    Bands are the intervals of the record: that of the ECE holds what the ECE of so many points is
    on average, to be judged against the thin line of the same colour, the ECE that a calibrated
    model with these confidences would show. Beneath stand the gates of each attack.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> curve = run.robustness(rows=100, epsilons=[0.5, 1.0], steps=10, progress=False)
    >>> figure = vcviz.plot_robustness(curve)
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['accuracy', 'ece', 'if calibrated', 'interval']
    """
    return style.apply(go.Figure(**robustness_spec(curves)), theme)


def robustness_spec(
    curves: RobustnessCurve | Sequence[RobustnessCurve], *, narrow: bool = False
) -> dict[str, Any]:
    """Return `plot_robustness` as the plain data and layout of a figure, without a theme.

    On a `narrow` page the panels stand beneath one another.
    """
    curves = one_or_several("curves", curves)
    if len({c.norm for c in curves}) > 1:
        raise InputError("radii of different norms cannot share an axis; draw the norms one by one")
    calibrated = [c for c in curves if np.isfinite(c.ece).all()]
    n = 2 if calibrated else 1
    across, down = (1, n) if narrow else (n, 1)
    panels = Panels([_PANEL_PX] * down, across, gap_x=0.1, gap_y=_GAP_PX)
    left, *right = [cell for row in panels.rows for cell in row]
    for i, c in enumerate(curves):
        name = _legend(c.name, c.n, c.label_note)
        hover = "ε = %{x:.3g}: accuracy %{y:.3f}"
        panels.draw(left, _line(c.epsilon, c.accuracy, c.accuracy_interval, i, name, hover))
        if c in calibrated:
            hover = "ε = %{x:.3g}: ECE %{y:.3f}"
            lines = _line(c.epsilon, c.ece, c.ece_interval, i, name, hover, layer="ece")
            lines = [line | {"showlegend": False} for line in lines]
            panels.draw(right[0], [*lines, _floor(c, i, name)])
    attacks = {(c.method, c.loss, c.norm, c.steps) for c in curves}
    said = "; ".join(
        f"{_attack(m, loss, n)}, {t} step{'s' * (t != 1)}" for m, loss, n, t in sorted(attacks)
    )
    axes = _axes(curves, "accuracy, fraction", 1.0)
    gates = gates_beneath([c.name for c in curves], [c.gates for c in curves], 48)
    panels.layout["annotations"].append(gates)
    panels.add(left, [], axes, f"Accuracy under {style.escape(said)}")
    if calibrated:
        top = max(float(np.nanmax(c.ece_interval)) for c in calibrated)
        bins = ", ".join(str(k) for k in sorted({c.n_bins for c in calibrated}))
        axes = _axes(curves, f"ECE of the worst points, {bins} bins, fraction", top)
        panels.add(right[0], [], axes, "ECE of so many points; thin: if calibrated")
    panels.frame(96, _AXIS_PX + LINE_PX * (len(curves) + 1), legend=30)
    return panels.spec


# ---------------------------------------------------------------- parts


def _legend(name: str, n: int, label_note: str) -> str:
    return ", ".join(filter(None, (f"{style.escape(name, 50)} (n = {n:,})", label_note)))


def _axes(
    curves: Sequence[RobustnessCurve], title: str, top: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    largest = max(float(c.epsilon[-1]) for c in curves)
    x = {
        "title": {"text": f"radius ε ({norm_name(curves[0].norm)}, in units of the inputs)"},
        "range": [-0.02 * largest, 1.02 * largest],
    }
    return x, {"title": {"text": title}, "range": [-0.02 * top, 1.04 * top]}


def _line(
    x: NDArray[Any],
    y: NDArray[np.float64],
    interval: NDArray[np.float64],
    i: int,
    name: str,
    hover: str,
    layer: str = "accuracy",
) -> list[Trace]:
    """Return the line of the `i`-th classifier over the band of its interval."""
    color, dash, symbol = style.run_style(i)
    low, high = interval.T
    looks: Trace = {
        "mode": "lines+markers" if len(x) <= 20 else "lines",
        "line": {"color": color, "dash": dash, "width": 2},
        "marker": {"color": color, "symbol": symbol, "size": 6},
        "hovertemplate": f"%{{fullData.name}}<br>{hover}<extra></extra>",
    }
    pair = [band(x, low, high, color, name=name), scatter(x, y, name, layer, **looks)]
    return [trace | {"legendgroup": f"run {i}"} for trace in pair]


def _floor(curve: RobustnessCurve, i: int, name: str) -> dict[str, Any]:
    color, dash, _ = style.run_style(i)
    line = {"color": color, "dash": dash, "width": 1}
    hover = "%{fullData.name}<br>ε = %{x:.3g}: ECE %{y:.3f}<extra></extra>"
    looks: Trace = {"legendgroup": f"run {i}", "showlegend": False, "hovertemplate": hover}
    x, y, name = curve.epsilon, curve.ece_if_calibrated, f"{name}, if calibrated"
    return scatter(x, y, name, "if calibrated", line=line, opacity=0.7, **looks)


def _attack(method: str, loss: str, norm: str) -> str:
    """Return an attack in words, e.g. "PGD, L∞"; the loss where it is not the cross-entropy."""
    words = [w if w == "targeted" else w.upper() for w in method.split()]
    return ", ".join([" ".join(words), *([loss.upper()] if loss != "ce" else []), norm_name(norm)])
