"""Inputs under attack: which are drawn, their ways through the plane, and marks that move there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from plotly.colors import sample_colorscale

from vcviz.base.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.classes import MANY, labels
from vcviz.figures.marks import Trace, key, key_of_rest, of_class, quiet, scatter
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


#: what paths are coloured by -> what it is called
COLORS = {"class": "true class", "flip": "step of the first flip"}
ColorBy = Literal["class", "flip"]
#: part of Viridis: its ends are lost on a dark or on a light page
_SHADES = 0.3, 0.8


class Groups:
    """Drawn samples in groups of one colour: those of a class, or those that flip at one step.

    Attributes
    ----------
    of : (M,) number of each sample's group
    colors : one a group
    titles : what flips at that step is called; none for classes
    """

    def __init__(self, path: Trajectory, samples: NDArray[np.int64], by: ColorBy) -> None:
        self._names, self._by = path.class_names, by
        self.titles: list[str] = []
        if by == "class":
            classes, self.of = np.unique(path.y[samples], return_inverse=True)
            self._classes = classes.tolist()
            self.colors = [style.class_color(k) for k in self._classes]
        else:
            words, self.of, self.colors = flip_levels(path.first_flip[samples])
            self.titles = [
                "never flips" if word == "never" else f"flips at {word}" for word in words
            ]

    def __len__(self) -> int:
        return len(self.colors)

    def members(self, group: int) -> NDArray[np.int64]:
        """Return the places, among the drawn samples, of those in a group."""
        return np.flatnonzero(self.of == group)

    def color(self, place: int) -> str:
        """Return the colour of a drawn sample."""
        return self.colors[self.of[place]]

    def line(self, group: int, x: Any, y: Any, layer: str, **looks: Any) -> Trace:
        """Return a trace of a group; a click on its key in the legend toggles it."""
        looks["line"] = {"color": self.colors[group], **looks["line"]}
        if self._by == "class":
            trace = of_class(self._classes[group], self._names, x, y, layer, **looks)
        else:
            own: Trace = {"legendgroup": f"flip {group}", "showlegend": False}
            trace = scatter(x, y, self.titles[group], layer, **own | looks)
        return trace | {"meta": {**trace["meta"], "group": int(group)}}


def flip_levels(first: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64], list[str]]:
    """Return levels such as "step 3" and "never", the level of each sample, and their colours.

    Parameters
    ----------
    first : steps at which predictions first flip, -1 where they never do
    """
    steps, places = np.unique(np.where(first < 0, np.inf, first), return_inverse=True)
    words = [f"step {step:g}" if np.isfinite(step) else "never" for step in steps]
    known = int(np.isfinite(steps).sum())
    # Not the scale of numbers: its middle is grey, which here means that nothing flips.
    shares = np.linspace(*_SHADES, known) if known > 1 else [_SHADES[0]]
    shades = sample_colorscale("Viridis", shares[:known], colortype="tuple")
    colors = ["#{:02x}{:02x}{:02x}".format(*(round(255 * c) for c in one)) for one in shades]
    return words, places, colors + [style.NEUTRAL] * (len(words) - known)


class Paths:
    """Paths of samples in the plane.

    Parameters
    ----------
    path : the attack
    samples : (M,) positions in it that are drawn
    points : (T+1, M, 2) where they are in the plane at each step
    groups : their colours

    Attributes
    ----------
    classes : labels of the samples, each once
    """

    def __init__(
        self,
        path: Trajectory,
        samples: NDArray[np.int64],
        points: NDArray[np.floating],
        groups: Groups,
    ) -> None:
        self.path, self.samples, self.points, self.groups = path, samples, points, groups
        self.y = path.y[samples]
        self.classes = [int(k) for k in np.unique(self.y)]
        self.wrong = (path.log_probs.argmax(2) != path.y)[:, samples]
        #: samples whose prediction is ever not the label, and the first step where it is so
        self.flipped = np.flatnonzero(self.wrong.any(0))
        self.first = self.wrong[:, self.flipped].argmax(0)

    def lines(self) -> list[Trace]:
        """Return the paths of each group as one trace: layer "path"."""
        lines = []
        for group in range(len(self.groups)):
            mine = self.points[:, self.groups.members(group)].transpose(1, 0, 2)
            joined = np.concatenate([mine, np.full((len(mine), 1, 2), np.nan)], axis=1)
            x, y = joined[..., 0].ravel(), joined[..., 1].ravel()
            # Nothing to read, but a path can be clicked.
            looks: Trace = {"line": {"width": 1.2}, "hoverinfo": "none", "opacity": 0.55}
            lines.append(self.groups.line(group, x, y, "path", **looks))
        return lines

    def clicked(self, meta: dict[str, Any], point: int) -> int | None:
        """Return the position in the path of what was clicked, if it is an input."""
        if meta.get("layer") == "now":
            return int(self.samples[point])
        if meta.get("layer") == "path":
            mine = self.samples[self.groups.members(meta["group"])]
            return int(mine[min(point // (self.path.steps + 2), len(mine) - 1)])
        return None

    def marks(self) -> list[Trace]:
        """Return where paths start and where predictions flip: layers "start" and "flip"."""
        x, y = self.points[0].T
        flip_x, flip_y = self.points[self.first, self.flipped].T
        dot = {"color": self._colors, "size": 4}
        cross = {"color": style.NEUTRAL, "symbol": "x", "size": 8}
        hover: Trace = {"hoverinfo": "text", "text": [f"flips at step {s}" for s in self.first]}
        hover |= {"mode": "markers", "marker": cross}
        return [
            quiet(x, y, "start", "start", mode="markers", marker=dot),
            quiet(flip_x, flip_y, "prediction flips", "flip", **hover),
        ]

    def followed(self, place: int) -> Trace:
        """Return the path of the followed input, thick: layer "followed"."""
        x, y = self.points[:, place].T
        looks: Trace = {"line": {"width": 3.5}, "hoverinfo": "skip"}
        return self.groups.line(self.groups.of[place], x, y, "followed", **looks)

    def now(self, step: int) -> Trace:
        """Return where the samples are at a step, misread ones ringed: layer "now"."""
        probability = np.exp(self.path.log_probs[step, self.samples])
        predicted = probability.argmax(1)
        names = self.path.class_names
        marker = {
            "color": self._colors,
            "symbol": [style.class_symbol(k) for k in self.y],
            "size": 10,
            "line": {"color": style.NEUTRAL, "width": 1.8 * self.wrong[step]},
        }
        texts = [
            f"row {self.path.index[i]}, true {style.escape(names[k], 20)}<br>predicted "
            f"{style.escape(names[p], 20)}, p = {q[p]:.3f}"
            for i, k, p, q in zip(self.samples, self.y, predicted, probability, strict=True)
        ]
        x, y = self.points[step].T
        looks: Trace = {"mode": "markers", "marker": marker, "hoverinfo": "text", "text": texts}
        return quiet(x, y, "at this step", "now", **looks)

    @property
    def _colors(self) -> list[str]:
        return [self.groups.color(i) for i in range(len(self.samples))]

    def ring(self, place: int, step: int) -> Trace:
        """Return a ring around the followed input at a step: layer "ring"."""
        x, y = self.points[step, [place]].T
        ring = {"symbol": "circle-open", "size": 21, "color": style.NEUTRAL, "line": {"width": 2}}
        return quiet(x, y, "the followed input", "ring", mode="markers", marker=ring)


def legend_keys(
    classes: Sequence[int], names: Sequence[str], n: int, groups: Groups
) -> list[Trace]:
    """Return empty traces that stand in the legend.

    Of a class it is the symbol alone where colours say something else.
    """
    found = [
        key(title, line={"color": color, "width": 3}, legendgroup=f"flip {group}")
        for group, (title, color) in enumerate(zip(groups.titles, groups.colors, strict=False))
    ]
    for k in classes[:MANY]:
        color = style.NEUTRAL if groups.titles else style.class_color(k)
        marker = {"color": color, "symbol": style.class_symbol(k)}
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
        verb = "flips" if which == "flip" else "holds"
        raise InputError(f"no input of these classes {verb} under this attack; draw others")
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
