"""Inputs under attack: which are drawn, their ways through the plane, and marks that move there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.classes import MANY, labels
from vcviz.figures.marks import Trace, key, key_of_rest, of_class, quiet
from vcviz.records import Trajectory, as_indices

#: inputs that are drawn, at most
SAMPLES = 12
#: how samples are chosen -> what it is called
WHICH = {
    "evenly": "over the classes in turn",
    "flip": "those that flip",
    "hold": "those that hold",
    "rows": "by row number",
}


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

    def lines(self) -> list[Trace]:
        """Return the paths of each class as one trace: layer "path"."""
        lines = []
        for k in self.classes:
            mine = self.points[:, self.y == k].transpose(1, 0, 2)
            joined = np.concatenate([mine, np.full((len(mine), 1, 2), np.nan)], axis=1)
            x, y = joined[..., 0].ravel(), joined[..., 1].ravel()
            # Nothing to read, but a path can be clicked.
            looks = {"line": {"color": style.class_color(k), "width": 1.2}, "hoverinfo": "none"}
            names = self.path.class_names
            lines.append(of_class(k, names, x, y, "path", opacity=0.55, **looks))
        return lines

    def clicked(self, meta: dict[str, Any], point: int) -> int | None:
        """Return the position in the path of what was clicked, if it is an input."""
        if meta.get("layer") == "now":
            return int(self.samples[point])
        if meta.get("layer") == "path":
            mine = self.samples[self.y == meta["class"]]
            return int(mine[min(point // (self.path.steps + 2), len(mine) - 1)])
        return None

    def marks(self) -> list[Trace]:
        """Return where paths start and where predictions flip: layers "start" and "flip"."""
        x, y = self.points[0].T
        flip_x, flip_y = self.points[self.first, self.flipped].T
        dot = {"color": [style.class_color(k) for k in self.y], "size": 4}
        cross = {"color": style.NEUTRAL, "symbol": "x", "size": 8}
        told: Trace = {"hoverinfo": "text", "text": [f"flips at step {s}" for s in self.first]}
        told |= {"mode": "markers", "marker": cross}
        return [
            quiet(x, y, "start", "start", mode="markers", marker=dot),
            quiet(flip_x, flip_y, "prediction flips", "flip", **told),
        ]

    def followed(self, place: int) -> Trace:
        """Return the path of the followed input, thick: layer "followed"."""
        k = int(self.y[place])
        x, y = self.points[:, place].T
        line, meta = {"color": style.class_color(k), "width": 3.5}, {"layer": "followed"}
        looks: Trace = {"line": line, "hoverinfo": "skip", "meta": meta}
        return of_class(k, self.path.class_names, x, y, "followed", **looks)

    def now(self, step: int) -> Trace:
        """Return where the samples are at a step, misread ones ringed: layer "now"."""
        probability = np.exp(self.path.log_probs[step, self.samples])
        predicted = probability.argmax(1)
        names = self.path.class_names
        marker = {
            "color": [style.class_color(k) for k in self.y],
            "symbol": [style.class_symbol(k) for k in self.y],
            "size": 10,
            "line": {"color": style.NEUTRAL, "width": 1.8 * self.wrong[step]},
        }
        told = [
            f"row {self.path.index[i]}, true {style.escape(names[k], 20)}<br>predicted "
            f"{style.escape(names[p], 20)}, p = {q[p]:.3f}"
            for i, k, p, q in zip(self.samples, self.y, predicted, probability, strict=True)
        ]
        x, y = self.points[step].T
        looks: Trace = {"mode": "markers", "marker": marker, "hoverinfo": "text", "text": told}
        return quiet(x, y, "at this step", "now", **looks)

    def ring(self, place: int, step: int) -> Trace:
        """Return a ring around the followed input at a step: layer "ring"."""
        x, y = self.points[step, [place]].T
        ring = {"symbol": "circle-open", "size": 21, "color": style.NEUTRAL, "line": {"width": 2}}
        return quiet(x, y, "the followed input", "ring", mode="markers", marker=ring)


def legend_keys(classes: Sequence[int], names: Sequence[str], n: int) -> list[Trace]:
    """Return empty traces that stand in the legend."""
    found = []
    for k in classes[:MANY]:
        marker = {"color": style.class_color(k), "symbol": style.class_symbol(k)}
        own: Trace = {"legendgroup": f"class {k}", "showlegend": True}
        found.append(key(labels(names, 40)[k], mode="markers", marker=marker, **own))
    cross = {"color": style.NEUTRAL, "symbol": "x", "size": 8}
    ring = {"color": style.NEUTRAL, "symbol": "circle-open", "size": 9, "line": {"width": 2}}
    return [
        *found,
        *key_of_rest(len(classes) - MANY),
        key("prediction flips", mode="markers", marker=cross),
        key("misclassified at this step", mode="markers", marker=ring),
        key(f"median of {n:,}", line={"color": style.NEUTRAL, "width": 3}),
    ]


# ---------------------------------------------------------------- which are drawn


def checked_samples(path: Trajectory, samples: Sequence[int] | None) -> NDArray[np.int64]:
    """Return the rows to draw; by default of each class in turn, first those that were right."""
    if samples is not None:
        return as_indices("samples", samples, len(path))
    return in_turn(path, np.arange(len(path)))


def pick_samples(
    path: Trajectory, which: str, classes: Sequence[int], numbers: Sequence[int] = ()
) -> NDArray[np.int64]:
    """Return up to twelve positions in a path, of these classes.

    Parameters
    ----------
    which : a key of `WHICH`
    classes : of the true labels; not asked for where rows are named by number
    numbers : row numbers in the split, for "rows"

    Raises
    ------
    InputError
        If there are none, in words that say what to do.
    """
    if which == "rows":
        if not len(numbers):
            raise InputError("type row numbers to draw, for example 3, 17, 40-45")
        missing = sorted(set(numbers) - set(path.index.tolist()))
        if missing:
            raise InputError(
                f"row {missing[0]} was not attacked; there are {len(path)} rows from "
                f"{path.index.min()} to {path.index.max()}"
            )
        found = [int(np.flatnonzero(path.index == number)[0]) for number in numbers]
        return np.array(sorted(set(found))[:SAMPLES])
    of_classes = np.isin(path.y, classes)
    if not of_classes.any():
        raise InputError("none of the attacked inputs is of these classes; tick more")
    flips = path.first_flip
    wanted = {"evenly": of_classes, "flip": flips > 0, "hold": flips < 0}[which] & of_classes
    if not wanted.any():
        told = "flips" if which == "flip" else "holds"
        raise InputError(f"no input of these classes {told} under this attack; draw others")
    return in_turn(path, np.flatnonzero(wanted))


def in_turn(path: Trajectory, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return up to twelve of `rows`, of each class in turn, first those that were right."""
    y = path.y[rows]
    right = path.log_probs[0, rows].argmax(1) == y
    order = np.lexsort((np.arange(len(rows)), ~right))
    turn = np.zeros(len(rows), dtype=np.int64)  # the how-manieth of its class, in that order
    for k in np.unique(y):
        mine = order[y[order] == k]
        turn[mine] = np.arange(len(mine))
    return np.sort(rows[np.lexsort((y, turn))[:SAMPLES]])
