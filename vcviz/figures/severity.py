"""Accuracy, ECE and NLL as inputs get worse, at T = 1 and at the temperature of clean rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, Panels
from vcviz.figures.marks import Trace

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
    common = {
        "type": "scatter",
        "x": sweep.severity,
        "legendgroup": f"sweep {i}",
        "showlegend": False,
        "name": name,
    }

    def told(what: str) -> str:
        return f"{name}<br>severity %{{x}}, {what}: %{{y:.4g}}<extra></extra>"

    lines = [
        {
            **common,
            "y": sweep.fitted[measure],
            "mode": "lines+markers",
            "line": {"color": color, "dash": dash, "width": 1.8},
            "marker": {"color": color, "symbol": "line-ns-open", "size": 7, "line": {"width": 2}},
            "hovertemplate": told("T of clean rows"),
            "meta": {"layer": f"fitted {measure}"},
        },
        {
            **common,
            "y": sweep.before[measure],
            "mode": "lines+markers",
            "opacity": 0.7,
            "line": {"color": color, "dash": dash, "width": 1},
            "marker": {"color": color, "symbol": "circle-open", "size": 7},
            "hovertemplate": told("T = 1"),
            "meta": {"layer": f"before {measure}"},
        },
    ]
    at = {
        **common,
        "x": [severity],
        "y": [sweep.now[measure]],
        "mode": "markers",
        "marker": {"color": color, "size": 10},
        "hovertemplate": told("now"),
        "meta": {"layer": f"now {measure}"},
    }
    # No temperature changes which class is first.
    return [*(lines[:1] if measure == "accuracy" else lines), at]
