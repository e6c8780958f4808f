"""Information: estimates along a setting against the truth, and sample by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError, clip
from vcviz.figures import theme as style
from vcviz.figures.grid import legend_above
from vcviz.figures.marks import Trace, error_bars, quiet, scatter
from vcviz.metrics.information import Information
from vcviz.records import as_float

_BINS = 40
#: samples below are counted in the first bin, nats
_LOWEST = -3.0


def plot_information(
    at: ArrayLike,
    estimates: Mapping[str, Sequence[Information]],
    *,
    truth: ArrayLike | None = None,
    entropy: ArrayLike | None = None,
    title: str = "imbalance ratio",
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return estimates of the mutual information along a setting, with intervals and the truth.

    Parameters
    ----------
    at : (R,) positive values of the setting, rising
    estimates : name -> R estimates
    truth : (R,) true informations, nats, where they are known
    entropy : (R,) entropies of the labels H(Y), nats, which no information exceeds
    title : of the setting
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If lengths differ, or values of the setting are not positive.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> found = vcviz.mutual_information(run.latents())
    >>> truth = run.split().truth["mutual_information"]
    >>> figure = vcviz.figures.plot_information([1.0], {"gaussian_mixture": [found]}, truth=[truth])
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['estimate', 'reference']
    """
    values = as_float("at", at, 1, np.float64)
    if not len(values) or values.min() <= 0 or (np.diff(values) <= 0).any():
        raise InputError(f"at must hold positive values that rise, got {clip(values.tolist())}")
    for name, known in (("truth", truth), ("entropy", entropy)):
        if known is not None and as_float(name, known, 1).shape != values.shape:
            raise InputError(f"{name} must have {len(values)} values like at")
    for name, found in estimates.items():
        if len(found) != len(values):
            raise InputError(f"{name!r} must have {len(values)} estimates, got {len(found)}")
    data = information_lines(values, estimates, truth, entropy)
    x, y = information_axes(values, estimates, title)
    layout = {
        "height": 380,
        "xaxis": x,
        "yaxis": y,
        "margin": {"t": 74},
        "legend": legend_above(1.02),
    }
    return style.apply(go.Figure(data, layout), theme)


def information_lines(
    at: NDArray[np.float64],
    estimates: Mapping[str, Sequence[Information]],
    truth: ArrayLike | None = None,
    entropy: ArrayLike | None = None,
    now: float | None = None,
) -> list[Trace]:
    """Return the traces of `plot_information`; `now` marks a value of the setting."""
    data = [_estimate(at, name, found, i) for i, (name, found) in enumerate(estimates.items())]
    if entropy is not None:
        data.append(_reference(at, entropy, "H(Y), of the labels", "dot"))
    if truth is not None:
        data.append(_reference(at, truth, "true I(X; Y)", "solid"))
    if now is not None:
        line = {"color": style.NEUTRAL, "width": 8}
        ends = [0, _span(estimates)[1]]
        data.append(quiet([now, now], ends, "now", "now", line=line, opacity=0.25))
    return data


def information_axes(
    at: NDArray[np.float64], estimates: Mapping[str, Sequence[Information]], title: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the axes of `information_lines`: the setting on a log scale, nats."""
    reach = 0.08 * max(float(np.log10(at.max() / at.min())), 0.5)
    x = {
        "type": "log",
        "tickvals": at.tolist(),
        "ticktext": [f"{v:.3g}" for v in at],
        "range": [float(np.log10(at.min())) - reach, float(np.log10(at.max())) + reach],
        "title": {"text": title},
    }
    return x, {"title": {"text": "I(X; Y), nats"}, "range": list(_span(estimates))}


def pointwise_bars(
    information: NDArray[np.float64],
    y: NDArray[np.int64],
    class_names: Sequence[str],
    highest: float,
) -> list[Trace]:
    """Return a histogram of pointwise information, nats, the classes stacked in their colours.

    Parameters
    ----------
    information : (N,) values; those below -3 are counted in the first bin
    y : (N,) labels
    class_names : C names
    highest : right end of the last bin
    """
    edges = np.linspace(_LOWEST, max(highest, _LOWEST + 1), _BINS + 1)
    inside = np.clip(information, edges[0], edges[-1])
    middle, base = (edges[1:] + edges[:-1]) / 2, np.zeros(_BINS)
    bars = []
    for k, name in enumerate(class_names):
        share = np.histogram(inside[y == k], edges)[0] / len(y)
        bars.append(
            {
                "type": "bar",
                "x": middle,
                "y": share,
                "base": base.copy(),
                "width": edges[1] - edges[0],
                "marker": {"color": style.class_color(k), "line": {"width": 0}},
                "name": f"class {style.escape(name, 20)}",
                "legendgroup": f"class {k}",
                "showlegend": False,
                "hovertemplate": (
                    "%{fullData.name}<br>%{x:.2f} nats: %{y:.3f} of all<extra></extra>"
                ),
                "meta": {"layer": "pointwise", "class": k},
            }
        )
        base += share
    dashed = {"color": style.NEUTRAL, "width": 2, "dash": "dash"}
    mean = quiet([float(information.mean())] * 2, [0, 1], "mean", "mean", line=dashed)
    return [*bars, mean]


def _estimate(at: NDArray[np.float64], name: str, found: Sequence[Information], i: int) -> Trace:
    color, dash, symbol = style.run_style(i)
    numbers = np.array([(e.estimate, *e.interval) for e in found])
    estimate, low, high = np.where(np.isfinite(numbers), numbers, np.nan).T
    # Side by side, so that intervals of equal estimates can be told apart.
    shift = 10 ** (0.012 * (i - 1))
    percent = f"{found[0].level:.0%}"
    return {
        "type": "scatter",
        "x": at * shift,
        "y": estimate,
        "mode": "lines+markers",
        "line": {"color": color, "dash": dash, "width": 1.6},
        "marker": {"symbol": symbol, "size": 7},
        "error_y": error_bars(high - estimate, estimate - low, thickness=1.4, width=3),
        "name": style.escape(name, 40),
        # A legend with any groups stacks whatever has none.
        "legendgroup": f"estimate {i}",
        "customdata": np.column_stack([low, high]),
        "hovertemplate": (
            f"{style.escape(name, 40)}<br>%{{y:.3f}} nats, {percent} "
            "[%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra></extra>"
        ),
        "meta": {"layer": "estimate"},
    }


def _reference(at: NDArray[np.float64], values: ArrayLike, name: str, dash: str) -> Trace:
    y = as_float(name, values, 1, np.float64)
    line = {"color": style.NEUTRAL, "width": 2.5 if dash == "solid" else 1.5, "dash": dash}
    hover = f"{name}: %{{y:.3f}} nats<extra></extra>"
    return scatter(at, y, name, "reference", line=line, legendgroup=name, hovertemplate=hover)


def _span(estimates: Mapping[str, Sequence[Information]]) -> tuple[float, float]:
    """Return a range of nats from 0 that shows all that is finite."""
    every = [
        v for found in estimates.values() for e in found for v in (*e.interval, e.label_entropy)
    ]
    finite = [v for v in every if np.isfinite(v)]
    return min(0.0, *finite), 1.06 * max(finite)
