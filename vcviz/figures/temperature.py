"""Reliability at a temperature, with NLL and ECE along all temperatures beneath."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vcviz.figures import theme as style
from vcviz.figures.diagram import Diagram
from vcviz.figures.grid import beside, room_beneath
from vcviz.figures.reliability import COLUMNS, reliability_spec
from vcviz.figures.severity import SeveritySweep, severity_panels
from vcviz.metrics.calibration import TemperatureSweep
from vcviz.records import ReliabilityCurve

_SWEEP_PX, _GAP_PX = 190, 110
_GAPS = {1: 0.0, 2: 0.09, 3: 0.07}  # panels in a row -> between them, as a share of the width
_ALONE_PX, _ALONE_SHARE = 720, 0.6


def temperature_spec(
    curves: Sequence[ReliabilityCurve | Diagram],
    sweeps: Sequence[TemperatureSweep],
    temperature: float,
    *,
    clean: Sequence[TemperatureSweep] = (),
    heights: Sequence[TemperatureSweep] = (),
    severities: Sequence[SeveritySweep] = (),
    severity: int = 0,
    corruption: str = "",
    narrow: bool = False,
    details: bool = False,
) -> dict[str, Any]:
    """Return the data and layout of reliability diagrams at a temperature above its sweeps.

    Parameters
    ----------
    curves : reliability of each run at `temperature`, or diagrams
    sweeps : of each run, in the same order; `best` is that of clean rows
    temperature : marked on the sweeps
    clean : sweeps of the clean rows, drawn thin beside those of corrupted ones
    heights : what the axes of the sweeps must hold, whatever is drawn; default `sweeps`
    severities, severity, corruption : a row of panels beneath, see `severity_panels`
    narrow : stand all panels beneath one another, for a page of a phone's width
    details : as of `plot_reliability`
    """
    top = reliability_spec(curves, columns=1 if narrow else COLUMNS, details=details)
    layout = top["layout"]
    rows = [2, 3] if severities else [2]
    rows = [1] * sum(rows) if narrow else rows
    total = room_beneath(layout, len(rows) * (_GAP_PX + _SWEEP_PX))
    places = []
    for i, n in enumerate(rows):
        low = (len(rows) - 1 - i) * (_GAP_PX + _SWEEP_PX) / total
        high = low + _SWEEP_PX / total
        places += beside((low, high), n, gap_x=_GAPS[n], first=80 + 10 * i, row=9 + i)
    if (
        len(curves) == 1 and not narrow
    ):  # a diagram is about as wide as it is high; its sweeps need more
        layout["width"] = _ALONE_PX
        for name in ("xaxis", "xaxis2"):
            layout[name]["domain"] = [0, _ALONE_SHARE]
    data = list(top["data"])
    ends = heights or sweeps
    for cell, (what, unit) in zip(places[:2], (("nll", "nats"), ("ece", "fraction")), strict=True):
        lines: list[dict[str, Any]] = []
        for i, sweep in enumerate(sweeps):
            lines += _sweep(sweep, what, temperature, i, legend=what == "nll", of_clean=bool(clean))
            if clean:
                lines.append(_thin(clean[i], what, i))
        data += cell.place(lines)
        x = {"title": {"text": "temperature T"}, "type": "log", "range": _log_range(sweeps)}
        x |= {"tickvals": list(_TICKS), "ticktext": [f"{t:g}" for t in _TICKS]}
        layout |= cell.axes(x, {"title": {"text": unit}} | _height(ends, what))
        label = sweeps[0].label
        of = "" if label is None or what == "nll" else f" of p(y = {label}|x)"
        name = f"{what.upper()}(T){of}"
        marks = f"● now  ○ T = 1  | {'clean T' if clean else 'least NLL'}"
        told = (name, marks) if narrow else (f"{name}: {marks}",)
        layout["annotations"].append(cell.heading(*told))
    if severities:
        found, axes, headings = severity_panels(severities, places[2:], severity, corruption)
        data += found
        layout |= axes
        layout["annotations"] += headings
    return {"data": data, "layout": layout}


_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10)


def _height(sweeps: Sequence[TemperatureSweep], what: str) -> dict[str, Any]:
    """Return the range of an axis, the same wherever a slider stands: NLL on a log scale."""
    values = np.concatenate([getattr(s, what) for s in sweeps])
    values = values[np.isfinite(values)]
    if what == "ece":
        return {"range": [0.0, 0.1 * float(np.ceil(10.2 * values.max(initial=0.01)))]}
    low, high = max(values.min(initial=1.0), 1e-4), values.max(initial=1.0)
    bounds = [float(np.log10(low * 0.8)), float(np.log10(high * 1.25))]
    return {"type": "log", "range": bounds, "dtick": "D2", "tickformat": "~g"}


def _log_range(sweeps: Sequence[TemperatureSweep]) -> list[float]:
    every = np.concatenate([s.temperature for s in sweeps])
    return [float(np.log10(every.min())) - 0.02, float(np.log10(every.max())) + 0.02]


def _sweep(
    sweep: TemperatureSweep,
    what: str,
    temperature: float,
    i: int,
    *,
    legend: bool,
    of_clean: bool,
) -> list[dict[str, Any]]:
    values = getattr(sweep, what)
    color, dash, _ = style.run_style(i)
    name = style.escape(sweep.name, 40)
    low, high = sweep.temperature[[0, -1]]
    best = sweep.best if low <= sweep.best <= high else np.nan
    at = np.array([temperature, 1.0, best])
    # Between grid points along log T; the marks are on the line that is drawn.
    height = np.interp(np.log(at), np.log(sweep.temperature), values)
    least = "least NLL of clean rows" if of_clean else "least NLL"
    common = {"type": "scatter", "legendgroup": f"sweep {i}", "showlegend": False}
    return [
        {
            **common,
            "x": sweep.temperature,
            "y": values,
            "mode": "lines",
            "line": {"color": color, "dash": dash, "width": 1.8},
            "name": f"{name}, {least} at T = {sweep.best:.3g}",
            "showlegend": legend,
            "hovertemplate": f"{name}<br>T = %{{x:.3g}}: %{{y:.4g}}<extra></extra>",
            "meta": {"layer": what},
        },
        {
            **common,
            "x": at,
            "y": height,
            "mode": "markers",
            "marker": {
                "color": color,
                "size": [10, 9, 9],
                "symbol": ["circle", "circle-open", "line-ns-open"],
                "line": {"width": 2},
            },
            "name": name,
            "hoverinfo": "skip",
            "meta": {"layer": "marks"},
        },
    ]


def _thin(sweep: TemperatureSweep, what: str, i: int) -> dict[str, Any]:
    color, dash, _ = style.run_style(i)
    name = style.escape(sweep.name, 40)
    return {
        "type": "scatter",
        "legendgroup": f"sweep {i}",
        "showlegend": False,
        "x": sweep.temperature,
        "y": getattr(sweep, what),
        "mode": "lines",
        "opacity": 0.55,
        "line": {"color": color, "dash": dash, "width": 0.9},
        "name": f"{name}, clean",
        "hovertemplate": f"{name}, clean<br>T = %{{x:.3g}}: %{{y:.4g}}<extra></extra>",
        "meta": {"layer": f"clean {what}"},
    }
