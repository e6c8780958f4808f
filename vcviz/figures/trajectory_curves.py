"""What an attack does to p(y|x), p(z|y) and p(z) on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.grid import Cell
from vcviz.figures.marks import Trace, quiet, scatter
from vcviz.figures.trajectory_paths import Groups
from vcviz.metrics.robustness import Crossing
from vcviz.records import Trajectory


class Curves:
    """Curves over the steps of an attack: of the drawn samples, and the median of all.

    Attributes
    ----------
    series : title -> (T+1, N) values in nats
    """

    def __init__(
        self,
        path: Trajectory,
        crossing: Crossing | None,
        samples: NDArray[np.int64],
        groups: Groups,
    ) -> None:
        self.path, self.samples, self.groups = path, samples, groups
        own = path.log_probs[:, np.arange(len(path)), path.y].astype(np.float64)
        self.series: dict[str, NDArray[np.float64]] = {"log p(y|x) of the true class": own}
        if crossing is not None:
            self.series["log p(z|y) of the true class"] = crossing.log_density
            self.series["log p(z), all classes"] = crossing.log_marginal
        flips = path.first_flip[samples]
        self._flipped = np.flatnonzero(flips >= 0)
        self._first = flips[self._flipped]

    def lay(self, at: Sequence[Cell]) -> tuple[list[Trace], dict[str, Any], list[dict[str, Any]]]:
        """Return the traces that stay, the axes and the headings."""
        data: list[Trace] = []
        layout: dict[str, Any] = {}
        headings = []
        for cell, (title, series) in zip(at, self.series.items(), strict=True):
            last = cell is at[-1]
            flips = self._first, series[self._first, self.samples[self._flipped]]
            cross = {"color": style.NEUTRAL, "symbol": "x", "size": 6}
            marks = quiet(*flips, "prediction flips", "flip", mode="markers", marker=cross)
            data += cell.place([*self._lines(series, title), marks])
            layout |= cell.axes(
                {
                    "title": {"text": "attack step" if last else None},
                    "range": [-0.02 * self.path.steps, 1.02 * self.path.steps],
                    "showticklabels": last,
                },
                {"title": {"text": "nats"}, "range": list(self._span(series)), "nticks": 5},
            )
            headings.append(cell.heading(title))
        return data, layout, headings

    def followed(self, place: int) -> list[Trace]:
        """Return the curves of one drawn sample, thick."""
        group, i = self.groups.of[place], int(self.samples[place])
        lines, row = [], self.path.index[i]
        for title, series in self.series.items():
            hover = f"row {row}, step %{{x}}<br>{title} %{{y:.3g}} nats<extra></extra>"
            looks: Trace = {"line": {"width": 3}, "hovertemplate": hover}
            steps = np.arange(len(series))
            lines.append(self.groups.line(group, steps, series[:, i], "followed curve", **looks))
        return lines

    def cursors(self, step: int) -> list[Trace]:
        """Return a line at the step across each panel."""
        at = np.array([step, step], float)
        line = {"color": style.NEUTRAL, "width": 1.2, "dash": "dot"}
        return [
            quiet(at, np.array(self._span(series)), "this step", "cursor", line=line)
            for series in self.series.values()
        ]

    # ---------------------------------------------------------- parts

    def _lines(self, series: NDArray[np.float64], title: str) -> list[Trace]:
        steps = np.append(np.arange(len(series), dtype=float), np.nan)
        hover = f"<b>%{{fullData.name}}</b>, step %{{x}}<br>{title} %{{y:.3g}} nats<extra></extra>"
        lines = []
        for group in range(len(self.groups)):
            mine = series[:, self.samples[self.groups.members(group)]].T
            joined = np.concatenate([mine, np.full((len(mine), 1), np.nan)], axis=1)
            x, y = np.tile(steps, len(mine)), joined.ravel()
            looks: Trace = {"line": {"width": 1.1}, "opacity": 0.65, "hovertemplate": hover}
            lines.append(self.groups.line(group, x, y, "curve", **looks))
        middle, thick = np.median(series, axis=1), {"color": style.NEUTRAL, "width": 3}
        hover = f"median of {len(self.path)}, step %{{x}}<br>%{{y:.3g}} nats<extra></extra>"
        looks = {"line": thick, "showlegend": False, "hovertemplate": hover}
        return [*lines, scatter(steps[:-1], middle, "median", "median", **looks)]

    def _span(self, series: NDArray[np.float64]) -> tuple[float, float]:
        """Return the range of an axis for the drawn samples and the median, outliers cut."""
        drawn = series[:, self.samples]
        low = min(float(np.quantile(drawn, 0.02)), float(np.median(series, axis=1).min()))
        high = max(float(drawn.max()), float(np.median(series, axis=1).max()))
        room = 0.06 * max(high - low, 1e-3)
        return low - room, high + room
