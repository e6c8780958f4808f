"""The ways of inputs under attack through the plane: lines, and the marks that move on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.figures.trajectory_parts import Traces, of_class
from vcviz.records import Trajectory


class Paths:
    """Paths of samples in the plane.

    Parameters
    ----------
    path : the attack
    samples : (M,) positions in it that are drawn
    points : (T+1, M, 2) where they are in the plane at each step

    Attributes
    ----------
    classes : labels of the samples, each once
    """

    def __init__(
        self, path: Trajectory, samples: NDArray[np.int64], points: NDArray[np.floating]
    ) -> None:
        self.path, self.samples, self.points = path, samples, points
        self.y = path.y[samples]
        self.classes = [int(k) for k in np.unique(self.y)]
        self.wrong = (path.log_probs.argmax(2) != path.y)[:, samples]
        #: samples whose prediction is ever not the label, and the first step where it is so
        self.flipped = np.flatnonzero(self.wrong.any(0))
        self.first = self.wrong[:, self.flipped].argmax(0)

    def lines(self) -> Traces:
        """Return the paths of each class as one trace: layer "path"."""
        lines = []
        for k in self.classes:
            mine = self.points[:, self.y == k].transpose(1, 0, 2)
            joined = np.concatenate([mine, np.full((len(mine), 1, 2), np.nan)], axis=1)
            lines.append(
                {
                    **of_class(k, self.path.class_names),
                    "x": joined[..., 0].ravel(),
                    "y": joined[..., 1].ravel(),
                    "mode": "lines",
                    "line": {"color": style.class_color(k), "width": 1.2},
                    "opacity": 0.55,
                    # Nothing to read, but a path can be clicked.
                    "hoverinfo": "none",
                    "meta": {"layer": "path", "class": k},
                }
            )
        return lines

    def clicked(self, meta: dict[str, Any], point: int) -> int | None:
        """Return the position in the path of what was clicked, if it is an input."""
        if meta.get("layer") == "now":
            return int(self.samples[point])
        if meta.get("layer") == "path":
            mine = self.samples[self.y == meta["class"]]
            return int(mine[min(point // (self.path.steps + 2), len(mine) - 1)])
        return None

    def marks(self) -> Traces:
        """Return where paths start and where predictions flip: layers "start" and "flip"."""
        start, flip = self.points[0], self.points[self.first, self.flipped]
        blank = {"type": "scatter", "mode": "markers", "showlegend": False, "hoverinfo": "skip"}
        return [
            {
                **blank,
                "x": start[:, 0],
                "y": start[:, 1],
                "marker": {"color": [style.class_color(k) for k in self.y], "size": 4},
                "name": "start",
                "meta": {"layer": "start"},
            },
            {
                **blank,
                "x": flip[:, 0],
                "y": flip[:, 1],
                "marker": {"color": style.NEUTRAL, "symbol": "x", "size": 8},
                "name": "prediction flips",
                "hoverinfo": "text",
                "text": [f"flips at step {s}" for s in self.first],
                "meta": {"layer": "flip"},
            },
        ]

    def followed(self, place: int) -> dict[str, Any]:
        """Return the path of the followed input, thick: layer "followed"."""
        k = int(self.y[place])
        return {
            **of_class(k, self.path.class_names),
            "x": self.points[:, place, 0],
            "y": self.points[:, place, 1],
            "mode": "lines",
            "line": {"color": style.class_color(k), "width": 3.5},
            "hoverinfo": "skip",
            "meta": {"layer": "followed"},
        }

    def now(self, step: int) -> dict[str, Any]:
        """Return where the samples are at a step, misread ones ringed: layer "now"."""
        probability = np.exp(self.path.log_probs[step, self.samples])
        predicted = probability.argmax(1)
        names = self.path.class_names
        return {
            "type": "scatter",
            "x": self.points[step, :, 0],
            "y": self.points[step, :, 1],
            "mode": "markers",
            "marker": {
                "color": [style.class_color(k) for k in self.y],
                "symbol": [style.class_symbol(k) for k in self.y],
                "size": 10,
                "line": {"color": style.NEUTRAL, "width": 1.8 * self.wrong[step]},
            },
            "text": [
                f"row {self.path.index[i]}, true {style.escape(names[y], 20)}<br>predicted "
                f"{style.escape(names[p], 20)}, p = {q[p]:.3f}"
                for i, y, p, q in zip(self.samples, self.y, predicted, probability, strict=True)
            ],
            "hoverinfo": "text",
            "name": "at this step",
            "showlegend": False,
            "meta": {"layer": "now"},
        }

    def ring(self, place: int, step: int) -> dict[str, Any]:
        """Return a ring around the followed input at a step: layer "ring"."""
        return {
            "type": "scatter",
            "x": self.points[step, [place], 0],
            "y": self.points[step, [place], 1],
            "mode": "markers",
            "marker": {
                "symbol": "circle-open",
                "size": 21,
                "color": style.NEUTRAL,
                "line": {"width": 2},
            },
            "hoverinfo": "skip",
            "showlegend": False,
            "name": "the followed input",
            "meta": {"layer": "ring"},
        }
