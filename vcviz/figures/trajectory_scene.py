"""What a figure of an attack shows: all of it is fixed but a few marks that move with the step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.grid import Cell, text_above
from vcviz.figures.latent_panel import default_projection
from vcviz.figures.latent_traces import outline_traces
from vcviz.figures.outlines import anticipated_outlines, latent_ranges
from vcviz.figures.pictures import attack_pictures, picture_axes
from vcviz.figures.trajectory_parts import (
    LATENTS_PX,
    PICTURES_PX,
    Traces,
    checked_samples,
    legend_keys,
    norm_name,
    of_class,
    scene_grid,
)
from vcviz.records import LatentPrior, LatentSet, Projection, Trajectory


class Scene:
    """An attack's paths, curves and pictures; `spec(step)` is the figure at a step.

    Parameters are those of `plot_trajectory`.
    """

    def __init__(
        self,
        path: Trajectory,
        prior: LatentPrior | None = None,
        *,
        projection: Projection | None = None,
        samples: Sequence[int] | None = None,
        mass: Sequence[float] = (0.9,),
        pictures: bool = True,
    ) -> None:
        self.path, self.prior = path, prior
        self.samples = checked_samples(path, samples)
        self.y = path.y[self.samples]
        self.classes = [int(k) for k in np.unique(self.y)]
        self.wrong = (path.log_probs.argmax(2) != path.y)[:, self.samples]
        #: drawn samples whose prediction is ever not the label, and the first step where it is so
        self.flipped = np.flatnonzero(self.wrong.any(0))
        self.first = self.wrong[:, self.flipped].argmax(0)
        n_steps, n = path.z.shape[:2]
        every = LatentSet(
            path.z.reshape(n_steps * n, -1),
            path.log_probs.reshape(n_steps * n, -1),
            np.tile(path.y, n_steps),
            class_names=path.class_names,
        )
        self.projection = projection or default_projection(every, prior)
        all_points = self.projection(every.z)[:, :2].reshape(n_steps, n, 2)
        self.points = all_points[:, self.samples]
        self.ranges = latent_ranges(self.points.reshape(-1, 2), prior, self.projection)
        own = np.arange(n)
        self.series = {"log p(y|x) of the true class": path.log_probs[:, own, path.y].astype(float)}
        if prior is not None:
            density = prior.log_prob(every.z).reshape(n_steps, n, -1)[:, own, path.y]
            self.series["log p(z|y) of the true class"] = density
        self._pictures = pictures and path.x.ndim == 4
        self._fixed = self._lay(tuple(mass))

    def checked(self, step: int) -> int:
        """Return the step, refusing one that the attack does not have."""
        if not 0 <= step <= self.path.steps:
            raise InputError(f"step must lie in [0, {self.path.steps}], got {step}")
        return int(step)

    def spec(self, step: int) -> dict[str, Any]:
        """Return the plain data and layout of the figure at a step."""
        data, layout, left, curves = self._fixed
        moving = left.place([self._now(step), self._readout(step)])
        for cell, series in zip(curves, self.series.values(), strict=True):
            moving += cell.place([self._cursor(series, step)])
        return {"data": data + moving, "layout": layout}

    # ---------------------------------------------------------- what stays

    def _lay(self, mass: Sequence[float]) -> tuple[Traces, dict[str, Any], Cell, list[Cell]]:
        left, curves, beneath = scene_grid(len(self.series), self._pictures)
        x_label, y_label = (style.escape(label, 60) for label in self.projection.labels[:2])
        layout: dict[str, Any] = left.axes(
            {"title": {"text": x_label}, "range": list(self.ranges[0]), "constrain": "domain"},
            {
                "title": {"text": y_label},
                "range": list(self.ranges[1]),
                "scaleanchor": "x",
                "constrain": "domain",
                "constraintoward": "top",
            },
        )
        heading = left.heading(style.escape(self.path.name, 60))
        layout["annotations"] = [heading | {"yshift": 34}]
        data = left.place([*self._outlines(mass), *self._paths(), *self._marks()])
        for i, (cell, (title, series)) in enumerate(zip(curves, self.series.items(), strict=True)):
            data += cell.place([*self._curves(series, title), self._flips(series)])
            last = i == len(curves) - 1
            layout |= cell.axes(
                {
                    "title": {"text": "attack step" if last else None},
                    "range": [-0.02 * self.path.steps, 1.02 * self.path.steps],
                    "showticklabels": last,
                },
                {"title": {"text": "nats"}, "range": list(self._span(series))},
            )
            layout["annotations"].append(cell.heading(title))
        if beneath is not None:
            data += beneath.place([attack_pictures(self.path, self.samples)])
            layout |= beneath.axes(*picture_axes(self.path, self.samples))
        data += left.place(legend_keys(self.classes, self.path.class_names, len(self.path)))
        height = LATENTS_PX + (PICTURES_PX if beneath is not None else 0)
        bottom = 56 if beneath is None else 16  # pictures have no axis beneath them
        layout |= {"height": height + 96 + bottom, "margin": {"t": 96, "b": bottom, "r": 12}}
        above = 1 + 58 / height
        layout["legend"] = {"orientation": "h", "y": above, "yanchor": "bottom", "x": 0}
        return data, layout, left, curves

    def _outlines(self, mass: Sequence[float]) -> Traces:
        if self.prior is None:
            return []
        outlines, centres = anticipated_outlines(self.prior, self.projection, mass)
        return outline_traces(
            outlines,
            centres,
            range(self.prior.n_classes),
            self.path.class_names,
            "anticipated",
            named=True,
            compact=False,
            arm=0.012 * (self.ranges[0][1] - self.ranges[0][0]),
        )

    def _paths(self) -> Traces:
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
                    "hoverinfo": "skip",
                    "meta": {"layer": "path", "class": k},
                }
            )
        return lines

    def _marks(self) -> Traces:
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

    def _curves(self, series: NDArray[np.float64], title: str) -> Traces:
        steps = np.append(np.arange(len(series), dtype=float), np.nan)
        lines = []
        for k in self.classes:
            mine = series[:, self.samples[self.y == k]].T
            joined = np.concatenate([mine, np.full((len(mine), 1), np.nan)], axis=1)
            lines.append(
                {
                    **of_class(k, self.path.class_names),
                    "x": np.tile(steps, len(mine)),
                    "y": joined.ravel(),
                    "mode": "lines",
                    "line": {"color": style.class_color(k), "width": 1.1},
                    "opacity": 0.65,
                    "hovertemplate": f"<b>%{{fullData.name}}</b>, step %{{x}}<br>{title} %{{y:.3g}}"
                    " nats<extra></extra>",
                    "meta": {"layer": "curve", "class": k},
                }
            )
        median = {
            "type": "scatter",
            "x": steps[:-1],
            "y": np.median(series, axis=1),
            "mode": "lines",
            "line": {"color": style.NEUTRAL, "width": 3},
            "name": "median",
            "showlegend": False,
            "hovertemplate": f"median of {len(self.path)}, step %{{x}}<br>%{{y:.3g}} nats"
            "<extra></extra>",
            "meta": {"layer": "median"},
        }
        return [*lines, median]

    def _flips(self, series: NDArray[np.float64]) -> dict[str, Any]:
        return {
            "type": "scatter",
            "x": self.first,
            "y": series[self.first, self.samples[self.flipped]],
            "mode": "markers",
            "marker": {"color": style.NEUTRAL, "symbol": "x", "size": 6},
            "name": "prediction flips",
            "showlegend": False,
            "hoverinfo": "skip",
            "meta": {"layer": "flip"},
        }

    def _span(self, series: NDArray[np.float64]) -> tuple[float, float]:
        """Return the range of an axis for the drawn samples and the median, outliers cut."""
        drawn = series[:, self.samples]
        low = min(float(np.quantile(drawn, 0.02)), float(np.median(series, axis=1).min()))
        high = max(float(drawn.max()), float(np.median(series, axis=1).max()))
        room = 0.06 * max(high - low, 1e-3)
        return low - room, high + room

    # ---------------------------------------------------------- what moves

    def _now(self, step: int) -> dict[str, Any]:
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

    def _readout(self, step: int) -> dict[str, Any]:
        lines = [
            f"accuracy {self.path.accuracy[step]:.3f} of {len(self.path):,} inputs",
            f"largest {norm_name(self.path.norm)} distance {self.path.distance[step].max():.3g}",
        ]
        return text_above(lines, self.ranges[0][0], self.ranges[1][1])

    def _cursor(self, series: NDArray[np.float64], step: int) -> dict[str, Any]:
        return {
            "type": "scatter",
            "x": np.array([step, step], float),
            "y": np.array(self._span(series)),
            "mode": "lines",
            "line": {"color": style.NEUTRAL, "width": 1.2, "dash": "dot"},
            "name": "this step",
            "showlegend": False,
            "hoverinfo": "skip",
            "meta": {"layer": "cursor"},
        }
