"""One input under attack: what is done to it, and what the classifier makes of it, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.grid import Cell
from vcviz.figures.marks import Trace, quiet
from vcviz.figures.pictures import EDGE, picture_rows
from vcviz.records import Trajectory

#: columns of the film strip, bars of probabilities, and columns of a table that are drawn
_FRAMES, _BARS, _COLUMNS = 7, 10, 40
_THICK = {"line": {"color": style.NEUTRAL, "width": 7}, "opacity": 0.6}


class Focus:
    """The input at position `i` of a path.

    Bars and frames are lines and markers, which a static figure can move without redrawing.
    """

    def __init__(self, path: Trajectory, i: int) -> None:
        self.path, self.i = path, i
        self.image = path.x.ndim == 4
        self._classes = _likely(path, i)
        whole = path.x_adv[i] - path.x[i]
        change = path.change[:, i].astype(np.float32) if path.change is not None else None
        #: (T+1, …) change at each step, or only at the ends if no more was kept
        self._change = np.stack([0 * whole, whole]) if change is None else change
        self._largest = float(np.abs(self._change).max()) or 1.0

    # ---------------------------------------------------------- what stays

    def axes(self, change: Cell, bars: Cell) -> dict[str, Any]:
        """Return the axes of what is done to the input, and of its probabilities."""
        plain = {"showgrid": False, "fixedrange": True}
        names = self.path.class_names
        labels = [style.escape(names[k], 12) for k in self._classes]
        labels = [self._marked(k, label) for k, label in zip(self._classes, labels, strict=True)]
        layout = bars.axes(
            {"title": {"text": "probability p(y|x) at this step"}, "range": [0, 1.12],
             "tickvals": [0, 0.25, 0.5, 0.75, 1], "fixedrange": True},
            {"tickvals": list(range(len(labels))), "ticktext": labels,
             "range": [len(labels) - 0.4, -0.6], **plain},
        )  # fmt: skip
        if not self.image:
            top = 1.1 * self._largest
            layout |= change.axes(
                {"title": {"text": "column"}, "range": [-0.7, len(self._columns) - 0.3],
                 "tickvals": list(range(len(self._columns))),
                 "ticktext": [str(c) for c in self._columns], "nticks": 12},
                {"title": {"text": "change, input units"}, "range": [-top, top],
                 "zeroline": True},
            )  # fmt: skip
            return layout
        height, width = (n + EDGE for n in self.path.x.shape[-2:])
        n = len(self.frames())
        layout |= change.axes(
            plain | {"showline": False, "ticks": "", "side": "top", "constrain": "domain",
                     "tickvals": [width * (j + 0.5) - 0.5 for j in range(n)],
                     "range": [-0.5 - EDGE, width * n - 0.5]},
            plain | {"showline": False, "ticks": "", "constrain": "domain",
                     "constraintoward": "top", "scaleanchor": f"x{change.suffix}",
                     "range": [2 * height - 0.5, -0.5 - EDGE],
                     "tickvals": [height * (j + 0.5) - 0.5 for j in range(2)],
                     "ticktext": ["input", f"change ×{0.5 / self._largest:.2g}"]},
        )  # fmt: skip
        return layout

    @property
    def _columns(self) -> NDArray[np.int64]:
        """The columns of a table that are drawn: all, or those that change most."""
        size = np.abs(self._change[-1]).ravel()
        return np.sort(np.argsort(-size, kind="stable")[:_COLUMNS])

    def frames(self, step: int | None = None) -> list[int]:
        """Return the steps in the film strip, evenly; `step` takes the place of the nearest."""
        last = self.path.steps
        if len(self._change) <= last:
            return [0, last]
        found = np.unique(np.linspace(0, last, _FRAMES).round().astype(int)).tolist()
        if step is not None and step not in found:
            found[int(np.abs(np.array(found) - step).argmin())] = step
        return found

    def strip(self, frames: list[int], cell: Cell) -> dict[str, Any]:
        """Return a layout image: the input at these steps, and its change so far beneath."""
        rows = [min(t, len(self._change) - 1) if t < self.path.steps else -1 for t in frames]
        change = self._change[rows]
        shown = (self.path.x[self.i] + change, 0.5 + 0.5 * change / self._largest)
        return picture_rows([np.clip(part, 0, 1).astype(np.float32) for part in shown], cell)

    # ---------------------------------------------------------- what moves

    def frame_mark(self, frames: list[int], step: int) -> Trace:
        """Return a frame around the picture of the step, or of the last one before it."""
        height, width = (n + EDGE for n in self.path.x.shape[-2:])
        j = max(k for k, t in enumerate(frames) if t <= step)
        left, right = width * j - 0.5 - EDGE / 2, width * (j + 1) - 0.5 - EDGE / 2
        top, bottom = -0.5 - EDGE / 2, 2 * height - 0.5 - EDGE / 2
        x = np.array([left, right, right, left, left], np.float32)
        y = np.array([top, top, bottom, bottom, top], np.float32)
        line = {"color": style.class_color(int(self.path.y[self.i])), "width": 2.5}
        return quiet(x, y, "this step", "frame", line=line)

    def columns_now(self, step: int) -> Trace:
        """Return the change of each column of a table at the step."""
        at = step if len(self._change) > self.path.steps else -1
        values = self._change[at].ravel()[self._columns].astype(np.float32)
        x, y = _stems(np.arange(len(values)), values)
        return quiet(x, y, "change of each column", "columns", **_THICK)

    def bars(self, step: int) -> list[Trace]:
        """Return the probability of each class at the step: a bar with the class's marker."""
        p = np.exp(self.path.log_probs[step, self.i, self._classes].astype(np.float64))
        places, names = np.arange(len(p)), self.path.class_names
        y, x = _stems(places, p.astype(np.float32))
        looks: Trace = {
            "mode": "markers+text",
            "marker": {
                "color": [style.class_color(k) for k in self._classes],
                "symbol": [style.class_symbol(k) for k in self._classes],
                "size": 9,
            },
            "text": [f" {v:.2f}" if v >= 0.005 else "" for v in p],
            "textposition": "middle right",
            "textfont": {"size": 10},
            "hovertext": [
                f"{style.escape(names[k], 30)}: p = {v:.3g}"
                for k, v in zip(self._classes, p, strict=True)
            ],
            "hoverinfo": "text",
            "cliponaxis": False,
        }
        named = quiet(
            p.astype(np.float32), places, "probability of each class", "probability", **looks
        )
        return [quiet(x, y, "probability", "bars", **_THICK), named]

    def _marked(self, k: int, label: str) -> str:
        if k == self.path.y[self.i]:
            return f"<b>{label}</b> (true)"
        aimed = self.path.target is not None and k == self.path.target[self.i]
        return f"{label} (target)" if aimed else label


def _likely(path: Trajectory, i: int) -> list[int]:
    """Return the classes whose probability is drawn: all, or those that are ever likely."""
    n = len(path.class_names)
    if n <= _BARS:
        return list(range(n))
    most = path.log_probs[:, i].max(0)
    most[path.y[i]] = np.inf
    if path.target is not None:
        most[path.target[i]] = np.inf
    return sorted(np.argsort(-most, kind="stable")[:_BARS].tolist())


def _stems(
    places: NDArray[Any], values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return places and values of lines from 0 to each: bars that a frame can change."""
    n = len(places)
    along = np.stack([np.zeros(n), values, np.full(n, np.nan)], axis=1).ravel()
    return np.repeat(places, 3).astype(np.float32), along.astype(np.float32)
