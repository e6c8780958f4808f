"""Reliability at a temperature, with NLL and ECE along all temperatures beneath."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vcviz.figures import theme as style
from vcviz.figures.diagram import Diagram
from vcviz.figures.grid import Cell, beside
from vcviz.figures.marks import Trace, quiet, scatter
from vcviz.figures.reliability import COLUMNS, reliability_panels
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
    panels = reliability_panels(curves, columns=1 if narrow else COLUMNS, details=details)
    rows = [2, 3] if severities else [2]
    rows = [1] * sum(rows) if narrow else rows
    total = panels.room_beneath(len(rows) * (_GAP_PX + _SWEEP_PX))
    places: list[Cell] = []
    for i, n in enumerate(rows):
        low = (len(rows) - 1 - i) * (_GAP_PX + _SWEEP_PX) / total
        high = low + _SWEEP_PX / total
        places += beside((low, high), n, gap_x=_GAPS[n], first=80 + 10 * i)
    # A diagram is about as wide as it is high; its sweeps need more.
    if len(curves) == 1 and not narrow:
        panels.layout["width"] = _ALONE_PX
        for name in ("xaxis", "xaxis2"):
            panels.layout[name]["domain"] = [0, _ALONE_SHARE]
    ends = heights or sweeps
    every = np.concatenate([s.temperature for s in sweeps])
    ends_of_t = [float(np.log10(every.min())) - 0.02, float(np.log10(every.max())) + 0.02]
    for cell, (what, unit) in zip(places[:2], (("nll", "nats"), ("ece", "fraction")), strict=True):
        lines: list[Trace] = []
        for i, sweep in enumerate(sweeps):
            lines += _sweep(sweep, what, temperature, i, legend=what == "nll", of_clean=bool(clean))
            if clean:
                name = f"{style.escape(clean[i].name, 40)}, clean"
                thin = {"opacity": 0.55, "meta": {"layer": f"clean {what}"}}
                lines.append(_line(clean[i], what, i, name, 0.9) | thin)
        x = {"title": {"text": "temperature T"}, "type": "log", "range": ends_of_t}
        x |= {"tickvals": list(_TICKS), "ticktext": [f"{t:g}" for t in _TICKS]}
        y = {"title": {"text": unit}} | _height(ends, what)
        label = sweeps[0].label
        of = "" if label is None or what == "nll" else f" of p(y = {label}|x)"
        name = f"{what.upper()}(T){of}"
        marks = f"● now  ○ T = 1  | {'clean T' if clean else 'least NLL'}"
        heading = (name, marks) if narrow else (f"{name}: {marks}",)
        panels.add(cell, lines, (x, y), *heading)
    if severities:
        severity_panels(panels, severities, places[2:], severity, corruption)
    return panels.spec


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


def _sweep(
    sweep: TemperatureSweep,
    what: str,
    temperature: float,
    i: int,
    *,
    legend: bool,
    of_clean: bool,
) -> list[Trace]:
    name = style.escape(sweep.name, 40)
    low, high = sweep.temperature[[0, -1]]
    best = sweep.best if low <= sweep.best <= high else np.nan
    at = np.array([temperature, 1.0, best])
    # Between grid points along log T; the marks are on the line that is drawn.
    height = np.interp(np.log(at), np.log(sweep.temperature), getattr(sweep, what))
    least = "least NLL of clean rows" if of_clean else "least NLL"
    key = {"name": f"{name}, {least} at T = {sweep.best:.3g}", "showlegend": legend}
    group = f"sweep {i}"
    marks = {
        "color": style.run_style(i)[0],
        "size": [10, 9, 9],
        "symbol": ["circle", "circle-open", "line-ns-open"],
        "line": {"width": 2},
    }
    return [
        _line(sweep, what, i, name, 1.8) | key,
        quiet(at, height, name, "marks", mode="markers", marker=marks, legendgroup=group),
    ]


def _line(sweep: TemperatureSweep, what: str, i: int, name: str, width: float) -> Trace:
    """Return NLL or ECE along all temperatures."""
    color, dash, _ = style.run_style(i)
    line = {"color": color, "dash": dash, "width": width}
    hover = f"{name}<br>T = %{{x:.3g}}: %{{y:.4g}}<extra></extra>"
    own: Trace = {"legendgroup": f"sweep {i}", "showlegend": False, "hovertemplate": hover}
    return scatter(sweep.temperature, getattr(sweep, what), name, what, line=line, **own)
