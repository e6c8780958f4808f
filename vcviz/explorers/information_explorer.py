"""InformationExplorer: what imbalanced classes do to estimates of information and to accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go

from vcviz.base.caching import cached_method
from vcviz.explorers.controls import PLAIN, Control, dropdown, steps
from vcviz.explorers.display import Explorer
from vcviz.figures import theme as style
from vcviz.figures.class_accuracy import class_axes, class_bars
from vcviz.figures.grid import beside
from vcviz.figures.information import information_axes, information_lines, pointwise_bars
from vcviz.figures.marks import text_at
from vcviz.metrics.accuracy import ClassAccuracy
from vcviz.metrics.information import pointwise_information
from vcviz.studies.imbalance import Level, accuracies, estimates, levels, prior_between

_TOP_PX, _BOTTOM_PX, _GAP_PX = 300, 250, 160


class InformationExplorer(Explorer):
    """Estimated information, accuracy by class and pointwise information by imbalance ratio.

    Above: estimates of I(X; Y) at every ratio, of every head and of plain softmax with the offset
    log C, which only balanced data allow; beside it the pointwise information of each test row.
    Beneath: accuracy by class of the plain softmax and of each head after its class frequencies
    were moved to those of the test (for softmax: post-hoc logit adjustment).

    Parameters
    ----------
    runs : runs of one or more heads at one or more imbalances of one dataset, all of the same
        classes, see `vcviz.training.train_grid`
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control, among ``ratio``, ``test_prior``, ``head``
    view, widget : the live figure; controls and figure

    Examples
    --------
    >>> grid = {"dataset_options.imbalance": [1, 10], "head": ["softmax", "pc_softmax"]}
    >>> runs = vcviz.training.train_grid(grid, dataset="mixture", epochs=2, progress=False)
    >>> explorer = vcviz.InformationExplorer(runs)
    >>> explorer.controls["ratio"].options
    (('1', 0), ('10', 1))
    """

    def __init__(self, runs: Any, *, theme: style.Theme = "auto") -> None:
        self._theme = theme
        self.levels = levels(runs)
        self._estimates = estimates(self.levels)
        self._names = list(self._estimates)
        ratios = [(f"{level.ratio:.3g}", i) for i, level in enumerate(self.levels)]
        heads = list(self.levels[0].runs)
        test_prior = ipw.FloatSlider(
            0.0,
            min=0.0,
            max=1.0,
            step=0.1,
            description="Test classes (0 equal, 1 as in training)",
            style=PLAIN,
            readout_format=".1f",
            layout=ipw.Layout(width="460px"),
        )
        last = len(ratios) - 1
        super().__init__(
            self._draw,
            [
                Control("ratio", steps("Imbalance ratio, to 1", ratios, last, width="420px")),
                Control("test_prior", test_prior),
                Control("head", dropdown("Histogram of", [(h, h) for h in heads], value=heads[-1])),
            ],
            slider="ratio",
        )

    def figure(self) -> go.Figure:
        """Return one static figure with a slider over the ratios and a list of test priors."""
        return self.bound.figure(menus={"test_prior": (0.0, 1.0)})

    def _draw(self, *, ratio: int, test_prior: float, head: str) -> dict[str, Any]:
        level = self.levels[ratio]
        at = np.array([one.ratio for one in self.levels])
        truth = np.array([one.truth for one in self.levels])
        total = _TOP_PX + _GAP_PX + _BOTTOM_PX
        share = _BOTTOM_PX / total
        left, right = beside((share + _GAP_PX / total, 1.0), 2, gap_x=0.11, first=1)
        (below,) = beside((0.0, share), 1, gap_x=0.0, first=3)
        lines = information_lines(
            at,
            self._estimates,
            None if np.isnan(truth).any() else truth,
            [found.label_entropy for found in self._estimates[self._names[-1]]],
            now=level.ratio,
        )
        lat = level.runs[head]
        pointwise = pointwise_information(lat)
        highest = max(_ceiling(one) for one in self.levels)
        bars = pointwise_bars(pointwise, lat.y, lat.class_names, highest)
        accuracies = self._accuracies(ratio, round(test_prior, 3))
        layout: dict[str, Any] = {
            "height": total + 148,
            "barmode": "overlay",
            "margin": {"t": 88, "b": 60, "r": 12},
            "legend": {"orientation": "h", "y": 1 + 32 / total, "yanchor": "bottom", "x": 0},
            **left.axes(*information_axes(at, self._estimates, "imbalance ratio")),
            **right.axes(
                {"title": {"text": "log p(y|x) / p(y), nats"}, "range": [-3.05, highest + 0.05]},
                {"title": {"text": "share of test rows"}, "range": [0, 0.6]},
            ),
            **below.axes(*class_axes(lat.class_names)),
            "annotations": [
                left.heading("Information against the truth"),
                right.heading("Pointwise information of the test rows"),
                below.heading("Accuracy by class") | {"yshift": 17 * len(accuracies) + 8},
            ],
        }
        # Readouts are traces, which a static figure's slider can change.
        mean_text = [style.escape(head), f"mean {pointwise.mean():.3f} nats"]
        mean = text_at(mean_text, -2.95, 0.59, "bottom right")
        readout = text_at(_readout(accuracies, level, test_prior), -0.6, 1.02)
        data = left.place(lines) + right.place([*bars, mean])
        data += below.place([bar | {"showlegend": False} for bar in class_bars(accuracies)])
        data += below.place([readout])
        return style.themed({"data": data, "layout": layout}, self._theme)

    @cached_method()
    def _accuracies(self, i: int, test_prior: float) -> list[ClassAccuracy]:
        level = self.levels[i]
        return accuracies(level, prior_between(level.frequencies, test_prior))


def _ceiling(level: Level) -> float:
    y = next(iter(level.runs.values())).y
    return float(-np.log(np.bincount(y)[np.unique(y)].min() / len(y)))


def _readout(accuracies: Sequence[ClassAccuracy], level: Level, test_prior: float) -> list[str]:
    """Return lines with the balanced accuracies and those at the test's frequencies."""
    wanted = prior_between(level.frequencies, test_prior)
    lines = []
    for i, one in enumerate(accuracies):
        at_test = float(np.nansum(one.accuracy * wanted) / wanted[one.count > 0].sum())
        color = style.run_style(i)[0]
        lines.append(
            f"<span style='color:{color}'>■</span> {style.escape(one.name)}: balanced "
            f"{one.balanced:.3f}, at the test's class frequencies {at_test:.3f}"
        )
    return lines
