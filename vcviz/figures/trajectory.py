"""The path of an attack through the latents, and what it does to p(y|x) and p(z|y) on the way."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import cache
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip, unknown
from vcviz.figures import theme as style
from vcviz.figures.classes import FEW, MANY
from vcviz.figures.gates import gate_lines, norm_name
from vcviz.figures.grid import Cell, Panels, beside, legend_above, stacked
from vcviz.figures.latent_panel import default_projection
from vcviz.figures.latent_traces import outline_traces
from vcviz.figures.marks import Trace, text_at
from vcviz.figures.native import Menu
from vcviz.figures.outlines import anticipated_outlines, latent_axes, latent_ranges
from vcviz.figures.pictures import attack_axes, attack_pictures, attack_points
from vcviz.figures.static import lay_out
from vcviz.figures.trajectory_curves import Curves
from vcviz.figures.trajectory_focus import Focus
from vcviz.figures.trajectory_paths import (
    COLORS,
    ColorBy,
    Groups,
    Paths,
    checked_samples,
    legend_keys,
)
from vcviz.geometry.contours import shares_of
from vcviz.metrics.robustness import attack_gates, crossings
from vcviz.records import LatentPrior, LatentSet, Projection, Trajectory

_LINE_PX, _BOTTOM_PX = 16, 56
#: heights of the latents, of the followed input, and of the pictures of all
_LATENTS_PX, _FOCUS_PX, _PICTURES_PX = 420, 168, 170
_LOW_PX = 220, 132  # of latents and of the input that is followed
_GAP_PX = 96
#: most positions of the slider of a static figure
FRAMES = 25
#: characters in a line of a narrow page, and of another
_WRAP, _WIDE_WRAP = 26, 80


@takes_records
def plot_trajectory(
    path: Trajectory,
    prior: LatentPrior | None = None,
    *,
    projection: Projection | None = None,
    samples: Sequence[int] | None = None,
    step: int | None = None,
    focus: int | None = None,
    mass: Sequence[float] = (0.9,),
    color: ColorBy = "class",
    pictures: bool = True,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return an attack's paths over the anticipated law, with a slider over its steps.

    Parameters
    ----------
    path : N inputs under attack, T steps
    prior : p(z|y), drawn as outlines; with it log p(z|y) is followed too
    projection : map to two dimensions; default the two axes if D = 2, otherwise PCA of all steps
    samples : rows of `path` to draw; default twelve, over the classes in turn, first those that
        were right before the attack
    step : where the slider starts; default the last step
    focus : the sample that is followed at first; default the first that flips
    mass : share of each class that an outline encloses, one or several; the support of a class
        holds the first
    color : what paths and curves are coloured by: "class", the true class, or "flip", the step at
        which the prediction first is not the label
    pictures : for images, show inputs before and after and their difference
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Returns
    -------
    go.Figure
        With a slider over the T + 1 steps.

    Raises
    ------
    InputError
        If classes or dimensions of path and law differ, a row or step does not exist, or `color` is
        unknown.

    Notes
    -----
    A small dot is where a path starts, a cross where the
    prediction first is not the label, a ring a misclassified sample at the slider's step. Thin
    curves are the drawn samples; the thick grey one is the median of all N, the thick coloured one
    the input that is followed beneath: what is done to it, and its class probabilities. Above stand
    the sanity gates, and when paths leave the support of their class.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> path = run.attack(rows=20, epsilon=2.0, steps=3, progress=False)
    >>> figure = vcviz.plot_trajectory(path, run.prior(), samples=[0, 1])
    >>> [step.label for step in figure.layout.sliders[0].steps]
    ['0', '1', '2', '3']
    """
    scene = Scene(
        path,
        prior,
        projection=projection,
        samples=samples,
        mass=mass,
        color=color,
        pictures=pictures,
    )
    return scene.figure(path.steps if step is None else step, focus, theme)


class _Places(NamedTuple):
    """The cells of a scene: latents, curves, what is done to the followed input, pictures."""

    latents: Cell
    curves: list[Cell]
    change: Cell
    bars: Cell
    pictures: Cell | None
    height: float


def _places(n_curves: int, pictures: bool, narrow: bool, low: bool) -> _Places:
    """Return latents beside curves, above one followed input, above pictures of all.

    On a narrow page all of them stand beneath one another; a low figure has lower panels.
    """
    if narrow:
        heights = [260, 140 * n_curves, 110, _FOCUS_PX, *([110] if pictures else [])]
        gaps = [_GAP_PX, 1.5 * _GAP_PX, _GAP_PX, _GAP_PX]  # words of several lines
        panels = Panels(heights, 1, gap_x=0, gap_y=gaps[: len(heights) - 1])
        latents, right, change, bars, *wide = [row[0] for row in panels.rows]
    else:
        heights = [*(_LOW_PX if low else (_LATENTS_PX, _FOCUS_PX))]
        heights += [_PICTURES_PX] if pictures else []
        panels = Panels(heights, 2, gap_x=0.09, gap_y=_GAP_PX, widths=[1.0, 1.05])
        (latents, right), (change, bars), *last = panels.rows
        # Numbers far from those of the rows: axes must not be shared.
        wide = [beside(row[0].y_domain, 1, gap_x=0, first=20)[0] for row in last]
    curves = stacked(right, n_curves, gap=0.28, first=10)
    return _Places(latents, curves, change, bars, wide[0] if wide else None, panels.height)


class Scene:
    """An attack's paths, curves and pictures; `spec(step)` is the figure at a step.

    Most of it is fixed, a few marks move with the step.

    Parameters are those of `plot_trajectory`; `narrow` lays it out for a page of a phone's width,
    `low` for one of a screen's height.

    Attributes
    ----------
    samples : positions in the path that are drawn
    paths : their ways through the plane
    crossing : when paths leave the support of their class and flip; None without a law
    """

    def __init__(
        self,
        path: Trajectory,
        prior: LatentPrior | None = None,
        *,
        projection: Projection | None = None,
        samples: Sequence[int] | None = None,
        mass: Sequence[float] = (0.9,),
        color: ColorBy = "class",
        pictures: bool = True,
        narrow: bool = False,
        low: bool = False,
    ) -> None:
        shares = shares_of(mass)
        if color not in COLORS:
            raise unknown("colour of paths", color, COLORS)
        self.path, self.prior = path, prior
        self.samples = checked_samples(path, samples)
        groups = Groups(path, self.samples, color)
        n_steps, n = path.z.shape[:2]
        every = LatentSet(
            path.z.reshape(n_steps * n, -1),
            path.log_probs.reshape(n_steps * n, -1),
            np.tile(path.y, n_steps),
            class_names=path.class_names,
            label_prior=path.label_prior,
        )
        self.projection = projection or default_projection(every, prior)
        points = self.projection(every.z)[:, :2].reshape(n_steps, n, 2)[:, self.samples]
        self.paths = Paths(path, self.samples, points, groups)
        self.ranges = latent_ranges(points.reshape(-1, 2), prior, self.projection)
        self.crossing = None if prior is None else crossings(path, prior, shares[0])
        self.curves = Curves(path, self.crossing, self.samples, groups)
        self._pictures = pictures and path.x.ndim == 4
        self._narrow = narrow
        self._places = _places(len(self.curves.series), self._pictures, narrow, low)
        self._focus = cache(lambda i: Focus(path, i))
        self._fixed = self._lay(shares)

    def checked(self, step: int) -> int:
        """Return the step, refusing one that the attack does not have."""
        if not isinstance(step, Integral) or not 0 <= step <= self.path.steps:
            raise InputError(f"step must lie in [0, {self.path.steps}], got {clip(step)}")
        return int(step)

    def focused(self, focus: int | None) -> int:
        """Return the position of the input to follow: the first that flips later than at once."""
        if focus is not None and focus in self.samples:
            return int(focus)
        flips = self.path.first_flip[self.samples]
        return int(self.samples[int((flips > 0).argmax())])

    def clicked(self, meta: dict[str, Any], point: int) -> int | None:
        """Return the position in the path of what was clicked, if it is an input."""
        if meta.get("layer") == "pictures":
            return int(self.samples[point % len(self.samples)])
        return self.paths.clicked(meta, point)

    @property
    def choices(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Labels and positions of the inputs that can be followed."""
        names, final = self.path.class_names, self.path.log_probs[-1].argmax(1)
        labels = [
            f"row {self.path.index[i]}: {names[self.path.y[i]]} → {names[final[i]]}"
            for i in self.samples
        ]
        return tuple(labels), tuple(self.samples.tolist())

    def words(self, focus: int) -> str:
        """Return in words what becomes of an input."""
        path, names = self.path, self.path.class_names
        final = int(path.log_probs[-1, focus].argmax())
        text = f"row {path.index[focus]}, true {names[path.y[focus]]}, read as {names[final]}"
        if self.crossing is not None:
            return f"{text}: {self.crossing.words(focus)}"
        flip = int(path.first_flip[focus])
        return f"{text}: " + (f"flips at step {flip}" if flip >= 0 else "never flips")

    def spec(self, step: int, focus: int | None = None, *, exact: bool = False) -> dict[str, Any]:
        """Return the plain data and layout of the figure at a step.

        Parameters
        ----------
        focus : position in the path of the input that is followed
        exact : put the picture of this very step into the film strip, which then differs from
            step to step
        """
        at, (data, layout) = self._places, self._fixed
        i = self.focused(focus)
        one, place = self._focus(i), int(np.flatnonzero(self.samples == i)[0])
        still = at.latents.place([self.paths.followed(place)])
        for cell, trace in zip(at.curves, self.curves.followed(place), strict=True):
            still += cell.place([trace])
        axes, images = one.axes(at.change, at.bars), layout["images"]
        marks = [self.paths.now(step), self.paths.ring(place, step), self._readout(step)]
        moving = at.latents.place(marks)
        for cell, trace in zip(at.curves, self.curves.cursors(step), strict=True):
            moving += cell.place([trace])
        moving += at.bars.place(one.bars(step))
        if one.image:
            frames = one.frames(step if exact else None)
            images = [*images, one.strip(frames, at.change)]
            moving += at.change.place([one.frame_mark(frames, step)])
            axes[f"xaxis{at.change.suffix}"]["ticktext"] = [str(t) for t in frames]
        else:
            moving += at.change.place([one.columns_now(step)])
        sentence = style.escape(self.words(i)[:1].upper() + self.words(i)[1:])
        lines = textwrap.wrap(sentence, _WRAP if self._narrow else _WIDE_WRAP)
        heading = at.change.heading(style.SOFT_BREAK.join(lines))
        notes = [*layout["annotations"], heading | {"yshift": 22 if one.image else 0}]
        return {
            "data": data + still + moving,
            "layout": layout | axes | {"annotations": notes, "images": images},
        }

    def figure(self, step: int, focus: int | None = None, theme: style.Theme = "auto") -> go.Figure:
        """Return the figure with plotly's own slider and list of inputs to follow."""
        steps = tuple(range(self.path.steps + 1))
        slider = Menu("step", "Attack step", tuple(map(str, steps)), steps)
        start = self.checked(step)
        figure = lay_out(
            self.spec,
            {"step": start, "focus": self.focused(focus)},
            slider=slider.thinned(FRAMES, start),
            menus=[Menu("focus", "Input", *self.choices)],
            share=True,
            progress=False,
        )
        return style.apply(figure, theme)

    # ---------------------------------------------------------- what stays

    def _lay(self, mass: Sequence[float]) -> tuple[list[Trace], dict[str, Any]]:
        at = self._places
        layout = at.latents.axes(*latent_axes(self.projection.labels, self.ranges))
        lines = self._title()
        top = _LINE_PX * len(lines) + (112 if self._narrow else 110)
        layout["annotations"], layout["images"] = [self._heading(lines, top)], []
        data = at.latents.place([*self._outlines(mass), *self.paths.lines(), *self.paths.marks()])
        more, axes, headings = self.curves.lay(at.curves)
        data, layout = data + more, layout | axes
        layout["annotations"] += headings
        if at.pictures is not None:
            data += at.pictures.place([attack_points(self.path, self.samples)])
            layout |= at.pictures.axes(*attack_axes(self.path, self.samples, at.pictures))
            layout["images"] = [attack_pictures(self.path, self.samples, at.pictures)]
        # On a narrow page the outlines name the classes.
        named = [] if self._narrow and self.prior is not None else self.paths.classes
        keys = legend_keys(named, self.path.class_names, len(self.path), self.paths.groups)
        data += at.latents.place(keys)
        bottom = _BOTTOM_PX if at.pictures is None else 16  # pictures have no axis beneath them
        height = at.height + top + bottom
        layout |= {"height": height, "margin": {"t": top, "b": bottom, "r": 12}}
        layout["legend"] = legend_above(1 + 40 / at.height)
        return data, layout

    def _title(self) -> list[str]:
        """Return the lines above it all: what it is, its gates, what happens in the median."""
        (gates,) = gate_lines(["Sanity gates"], [attack_gates(self.path)])
        lines = [style.escape(self.path.name, 90), gates]
        if self.crossing is not None:
            share = f"{100 * self.crossing.mass:g} %"
            text = f"Support of the true class ({share}): {self.crossing.summary}"
            lines += [style.escape(part) for part in text.split("; ")]
        if self._narrow:
            lines = [part for line in lines for part in textwrap.wrap(line, _WRAP)]
        return lines

    def _heading(self, lines: Sequence[str], top: float) -> dict[str, Any]:
        small = [f"<span style='font-size:11px'>{line}</span>" for line in lines[1:]]
        return {
            "text": "<br>".join([f"<b>{lines[0]}</b>", *small]),
            "x": 0,
            "y": 1,
            "xref": "paper",
            "yref": "paper",
            "xanchor": "left",
            "yanchor": "top",
            "yshift": top - 14,
            "align": "left",
            "showarrow": False,
        }

    def _outlines(self, mass: Sequence[float]) -> list[Trace]:
        if self.prior is None:
            return []
        few = self.prior.n_classes > MANY  # then of the attacked classes alone
        classes = self.paths.classes[:FEW] if few else range(self.prior.n_classes)
        outlines, centres = anticipated_outlines(
            self.prior, self.projection, mass, classes=list(classes)
        )
        return outline_traces(
            outlines,
            centres,
            classes,
            self.path.class_names,
            "anticipated",
            named=True,
            compact=False,
            arm=0.012 * (self.ranges[0][1] - self.ranges[0][0]),
        )

    def _readout(self, step: int) -> Trace:
        lines = [
            f"accuracy {self.path.accuracy[step]:.3f} of {len(self.path):,} inputs",
            f"largest {norm_name(self.path.norm)} distance {self.path.distance[step].max():.3g}",
        ]
        if self.path.target is not None:
            lines[0] += f", at the target {self.path.reached[step]:.3f}"
        if self.path.label_note:
            lines.append(f"p(y|x) {self.path.label_note}")
        return text_at(lines, self.ranges[0][0], self.ranges[1][1])
