"""Accuracy class by class, classifiers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vcviz.base.arguments import one_or_several, takes_records
from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.classes import FEW, MANY, labels, shown_note
from vcviz.figures.marks import error_bars
from vcviz.metrics.accuracy import ClassAccuracy

#: share of the distance between two classes that their bars fill
_FILLED = 0.82


@takes_records
def plot_class_accuracy(
    accuracies: ClassAccuracy | Sequence[ClassAccuracy], *, theme: style.Theme = "auto"
) -> go.Figure:
    """Return the accuracy of every class as bars with intervals, one colour per classifier.

    Parameters
    ----------
    accuracies : one `ClassAccuracy`, or several of the same classes
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If the classes of the records differ.

    Notes
    -----
    The legend gives the mean over the classes (balanced accuracy) with its interval.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> figure = vcviz.figures.plot_class_accuracy(vcviz.metrics.class_accuracy(run.latents()))
    >>> figure.data[0].y.round(1)
    array([1. , 1. , 1. , 0.9, 1. ])
    """
    found = one_or_several("accuracies", accuracies)
    if len({a.class_names for a in found}) > 1:
        raise InputError("accuracies side by side must be of the same classes; draw them apart")
    n_classes = len(found[0].class_names)
    found, rule = least_accurate(found)
    x, y = class_axes(found[0].class_names)
    x["title"] = {"text": " · ".join(["class", *shown_note(len(found[0].count), n_classes, rule)])}
    x["ticktext"] = [
        f"{name}<br>n = {n:,}" for name, n in zip(x["ticktext"], found[0].count, strict=True)
    ]
    layout = {
        "height": 360,
        "xaxis": x,
        "yaxis": y,
        "margin": {"t": 48 + 20 * len(found)},
        "legend": {"y": 1.02, "yanchor": "bottom", "x": 0},
    }
    return style.apply(go.Figure(class_bars(found), layout), theme)


def least_accurate(found: Sequence[ClassAccuracy]) -> tuple[list[ClassAccuracy], str]:
    """Return accuracies of all classes or, of many, of the least accurate, and that rule."""
    if len(found[0].class_names) <= MANY:
        return list(found), ""
    mean = np.mean([one.accuracy for one in found], axis=0)
    chosen = np.sort(np.argsort(mean, kind="stable")[:FEW])  # those without samples are last
    return [
        replace(
            one,
            accuracy=one.accuracy[chosen],
            interval=one.interval[chosen],
            count=one.count[chosen],
            class_names=tuple(one.class_names[k] for k in chosen),
        )
        for one in found
    ], "the least accurate"


def class_bars(accuracies: Sequence[ClassAccuracy]) -> list[dict[str, Any]]:
    """Return one bar trace per classifier, side by side within each class."""
    width = _FILLED / len(accuracies)
    return [
        _bars(accuracy, i, width * i - _FILLED / 2, width) for i, accuracy in enumerate(accuracies)
    ]


def class_axes(class_names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the axes of `class_bars`: classes, accuracy."""
    names = labels(class_names, 14)
    x = {
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "range": [-0.6, len(names) - 0.4],
        "title": {"text": "class"},
        "showgrid": False,
    }
    return x, {"title": {"text": "accuracy, fraction"}, "range": [0, 1.02]}


def _bars(accuracy: ClassAccuracy, i: int, offset: float, width: float) -> dict[str, Any]:
    color, _, _ = style.run_style(i)
    low, high = accuracy.balanced_interval
    value = accuracy.accuracy
    below, above = accuracy.interval.T
    return {
        "type": "bar",
        "x": np.arange(len(value)),
        "y": value,
        "offset": offset,
        "width": width,
        "marker": {"color": color, "opacity": 0.75, "line": {"width": 0}},
        "error_y": error_bars(
            above - value, value - below, thickness=1.2, width=2, color=style.NEUTRAL
        ),
        "name": (
            f"{style.escape(accuracy.name, 40)}: balanced {accuracy.balanced:.3f} "
            f"[{low:.3f}, {high:.3f}]" + (accuracy.label_note and f", {accuracy.label_note}")
        ),
        "legendgroup": f"accuracy {i}",
        "customdata": np.column_stack([accuracy.interval, accuracy.count]),
        "hovertemplate": (
            f"{style.escape(accuracy.name, 40)}<br>%{{y:.3f}} [%{{customdata[0]:.3f}}, "
            "%{customdata[1]:.3f}]<br>%{customdata[2]:,d} samples<extra></extra>"
        ),
        "meta": {"layer": "accuracy"},
    }
