"""One reliability diagram: its bars, its noise, its counts, and its numbers in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.marks import Trace, error_bars, quiet
from vcviz.metrics.calibration import BrierParts, SmoothError
from vcviz.records import ReliabilityCurve

ACCURACY, GAP, CHOSEN = style.CLASS_COLORS[0], style.CLASS_COLORS[3], style.CLASS_COLORS[1]
TOP = 1.02  # of the accuracy axis, so that a marker at 1 is whole


@dataclass(frozen=True, eq=False)
class Diagram:
    """A reliability curve with what stands beside it.

    Attributes
    ----------
    curve : drawn as bars
    before, before_text : a curve drawn as an outline, and what it is called
    smooth, brier : numbers printed above the diagram
    chosen : (K,) chosen samples of each bin, drawn as part of the counts; None if none can be
    at_most : samples that the axis of counts must hold; default those of the curve
    """

    curve: ReliabilityCurve
    before: ReliabilityCurve | None = None
    before_text: str = "at T = 1"
    smooth: SmoothError | None = None
    brier: BrierParts | None = None
    chosen: NDArray[np.int64] | None = None
    at_most: int = 0

    @property
    def most(self) -> int:
        """Samples that the axis of counts holds."""
        return max(self.curve.n, self.at_most)


def numbers_text(diagram: Diagram, *, details: bool = True) -> list[str]:
    """Return the ECE with its floor, and the number of samples and bins, as lines of text.

    With `details` also the debiased ECE, smooth ECE and Brier's parts. The interval is the one
    that holds the population's error, not that of the plug-in estimate. No line is longer than a
    diagram of three in a row on a narrow page.
    """
    curve, smooth, brier = diagram.curve, diagram.smooth, diagram.brier
    lines = [f"ECE {curve.ece:.3f}{_floor(curve.ece_if_calibrated)}"]
    if details and np.isfinite(curve.ece_debiased):
        lines.append(f"debiased {curve.ece_debiased:.3f}{_between(curve.ece_debiased_interval)}")
    if details and smooth is not None:
        lines.append(f"smECE {smooth.ece:.3f}{_floor(smooth.if_calibrated)}")
    if details and brier is not None:
        lines += [
            f"Brier {brier.score:.3f}: reliability {brier.reliability:.3f}",
            f"− resolution {brier.resolution:.3f}",
            f"+ uncertainty {brier.uncertainty:.3f}",
            f"{_signed(brier.remainder)} within bins",
        ]
    bins = "bins" if curve.binning == "width" else "equal-mass bins"
    lines.append(f"n = {curve.n:,}, {curve.n_bins} {bins}")
    if curve.label is not None:
        lines.append(f"of p(y = {curve.label}|x), not the top label")
    if curve.label_note:
        lines.append(f"p(y|x) {curve.label_note}")
    return lines


def _between(interval: tuple[float, float]) -> str:
    low, high = interval
    return f" [{low:.3f}, {high:.3f}]" if np.isfinite([low, high]).all() else ""


def _floor(value: float) -> str:
    return f", {value:.3f} if calibrated" if np.isfinite(value) else ""


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'} {abs(value):.3f}"


def diagram_traces(diagram: Diagram, run: int, *, details: bool = True) -> list[Trace]:
    """Return bars, gaps, noise and whiskers of one curve; the first has the legend.

    Without `details`, gaps and whiskers are shown by a click on the legend.
    """
    curve, legend = diagram.curve, run == 0
    filled = curve.count > 0
    edges = np.column_stack([curve.edges[:-1], curve.edges[1:]])[filled]
    middle, width = edges.mean(1), edges[:, 1] - edges[:, 0]
    accuracy, confidence = curve.accuracy[filled], curve.confidence[filled]
    custom = np.column_stack([edges, confidence, accuracy, curve.count[filled]])
    percent = f"{curve.level:.0%}"
    bar = {"type": "bar", "x": middle, "width": width, "showlegend": legend}
    low, high = curve.band_low[filled], curve.band_high[filled]
    noise_low, noise_high = curve.consistency_low[filled], curve.consistency_high[filled]
    looks = {"color": ACCURACY, "thickness": 1.3, "width": 3}
    whiskers = error_bars(high - accuracy, accuracy - low, **looks)
    extra: Trace = {} if details else {"visible": "legendonly"}
    before = [] if diagram.before is None else [_outline(diagram, diagram.before, legend)]
    return [
        {
            **bar,
            "y": accuracy,
            "name": "accuracy",
            "legendgroup": "accuracy",
            "meta": {"layer": "accuracy", "run": run},
            "marker": {"color": ACCURACY, "opacity": 0.55, "line": {"width": 0}},
            "customdata": custom,
            "hovertemplate": (
                "confidence in (%{customdata[0]:.3f}, %{customdata[1]:.3f}]<br>"
                "mean confidence %{customdata[2]:.3f}<br>accuracy %{customdata[3]:.3f}<br>"
                "%{customdata[4]:,d} samples<extra></extra>"
            ),
        },
        {
            **bar,
            **extra,
            "base": np.minimum(accuracy, confidence),
            "y": np.abs(accuracy - confidence),
            "name": "gap to confidence",
            "legendgroup": "gap",
            "marker": {
                "color": "rgba(0,0,0,0)",
                "line": {"width": 1, "color": GAP},
                "pattern": {"shape": "/", "fgcolor": GAP, "size": 6, "solidity": 0.25},
            },
            "hoverinfo": "skip",
        },
        {
            **bar,
            "base": noise_low,
            "y": noise_high - noise_low,
            "width": 0.5 * width,
            "name": f"if calibrated, {percent}",
            "legendgroup": "noise",
            "marker": {"color": "rgba(128,128,128,0.35)", "line": {"width": 0}},
            "hoverinfo": "skip",
        },
        quiet([0, 1], [0, 1], "calibrated", line={"color": style.NEUTRAL, "width": 1}),
        quiet(
            confidence,
            accuracy,
            f"interval, {percent}",
            mode="markers",
            marker={"color": ACCURACY, "size": 5},
            error_y=whiskers,
            legendgroup="interval",
            showlegend=legend,
            **extra,
        ),
        *before,
    ]


def _outline(diagram: Diagram, curve: ReliabilityCurve, legend: bool) -> Trace:
    """Return the tops of a curve's bars as a line, with gaps where bins are empty."""
    edges = np.stack([curve.edges[:-1], curve.edges[1:]], axis=1).ravel()
    looks = {"line": {"width": 1.2, "color": style.NEUTRAL}, "legendgroup": "before"}
    heights = np.repeat(curve.accuracy, 2)
    return quiet(edges, heights, diagram.before_text, "before", showlegend=legend, **looks)


def count_traces(diagram: Diagram, run: int) -> list[Trace]:
    """Return the bars of counts, and the chosen part of each if rows can be chosen."""
    curve = diagram.curve
    bars = {
        "type": "bar",
        "x": (curve.edges[:-1] + curve.edges[1:]) / 2,
        "y": curve.count,
        "width": np.diff(curve.edges),
        "name": "samples",
        "showlegend": False,
        "marker": {"color": style.NEUTRAL, "opacity": 0.6, "line": {"width": 0}},
        "hovertemplate": "%{y:,d} samples<extra></extra>",
        "meta": {"layer": "counts", "run": run},
    }
    if diagram.chosen is None:
        return [bars]
    chosen = {
        "y": diagram.chosen,
        "name": "chosen samples",
        "showlegend": run == 0,
        "legendgroup": "chosen",
        "marker": {"color": CHOSEN, "line": {"width": 0}},
        "hovertemplate": "%{y:,d} of them chosen<extra></extra>",
        "meta": {"layer": "chosen", "run": run},
    }
    return [bars, bars | chosen]
