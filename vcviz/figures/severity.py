"""Accuracy, ECE and NLL as inputs get worse, at T = 1 and at the temperature of clean rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, Panels
from vcviz.figures.marks import Trace, scatter

MEASURES = {
    "accuracy": ("accuracy", "fraction"),
    "ece": ("ECE", "fraction"),
    "nll": ("NLL", "nats"),
}


@dataclass(frozen=True, eq=False)
class SeveritySweep:
    """What corruption does to one classifier.

    Attributes
    ----------
    severity : (S,) 0 (clean) and up
    before, fitted : measure ("accuracy", "ece", "nll") -> (S,) values at T = 1, and at the
        temperature fitted to the clean rows; fractions, and nats
    now : measure -> its value at the severity and the temperature that are shown
    top : measure -> what its axis must hold
    name : shown when hovering
    """

    severity: NDArray[np.int64]
    before: dict[str, NDArray[np.float64]]
    fitted: dict[str, NDArray[np.float64]]
    now: dict[str, float]
    top: dict[str, float]
    name: str


def severity_panels(
    panels: Panels,
    sweeps: Sequence[SeveritySweep],
    cells: Sequence[Cell],
    severity: int,
    title: str,
) -> None:
    """Add three panels, whose axes no slider moves.

    Parameters
    ----------
    sweeps : one of each run
    cells : three places
    severity : marked
    title : of the corruption
    """
    for cell, (measure, (name, unit)) in zip(cells, MEASURES.items(), strict=True):
        lines = [t for i, s in enumerate(sweeps) for t in _lines(s, measure, severity, i)]
        top = _round(max(sweep.top[measure] for sweep in sweeps))
        y = {"title": {"text": unit}, "range": [0, 1.02 if measure == "accuracy" else top]}
        x = {"title": {"text": f"severity of {style.escape(title)}"}, "dtick": 1}
        x["range"] = [-0.3, sweeps[0].severity[-1] + 0.3]
        marks = "● now" if measure == "accuracy" else "● now  ○ T = 1  | clean T"
        panels.add(cell, lines, (x, y), f"{name}: {marks}")


def _round(top: float) -> float:
    """Return a little more than `top`, with one digit."""
    digit = 10.0 ** np.floor(np.log10(max(top, 1e-3)))
    return float(np.ceil(1.05 * top / digit) * digit)


def _lines(sweep: SeveritySweep, measure: str, severity: int, i: int) -> list[Trace]:
    color, dash, _ = style.run_style(i)
    name = style.escape(sweep.name, 40)

    def trace(x: Any, y: Any, what: str, layer: str, **looks: Any) -> Trace:
        hover = f"{name}<br>severity %{{x}}, {what}: %{{y:.4g}}<extra></extra>"
        own: Trace = {"legendgroup": f"sweep {i}", "showlegend": False, "hovertemplate": hover}
        return scatter(x, y, name, f"{layer} {measure}", **own | looks)

    def along(values: Any, what: str, layer: str, width: float, marker: Trace) -> Trace:
        line = {"color": color, "dash": dash, "width": width}
        looks: Trace = {"mode": "lines+markers", "line": line}
        looks["marker"] = {"color": color, "size": 7} | marker
        return trace(sweep.severity, values, what, layer, **looks)

    tick, ring = {"symbol": "line-ns-open", "line": {"width": 2}}, {"symbol": "circle-open"}
    lines = [along(sweep.fitted[measure], "T of clean rows", "fitted", 1.8, tick)]
    if measure != "accuracy":  # no temperature changes which class is first
        lines.append(along(sweep.before[measure], "T = 1", "before", 1, ring) | {"opacity": 0.7})
    dot = {"color": color, "size": 10}
    now = trace([severity], [sweep.now[measure]], "now", "now", mode="markers", marker=dot)
    return [*lines, now]
