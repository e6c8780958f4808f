"""AdversarialExplorer: follow attacked inputs through the latents, step by step."""

from __future__ import annotations

from functools import cache
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go

from vcviz.errors import InputError
from vcviz.figures import theme as style
from vcviz.figures.trajectory_parts import SAMPLES
from vcviz.figures.trajectory_scene import Scene
from vcviz.records import LatentPrior, Projection, Trajectory
from vcviz.titles import run_titles
from vcviz.widgets.bind import Bound
from vcviz.widgets.controls import PLAIN, Choices, dropdown, player, reset_button
from vcviz.widgets.display import Explorer
from vcviz.widgets.sources import projected

Options = tuple[tuple[str, Any], ...]


class AdversarialExplorer(Explorer):
    """The path of an attack over p(z|y), with log p(y|x) and log p(z|y) on the way.

    Parameters
    ----------
    attacked : a `Trajectory`, a (Trajectory, LatentPrior or None) pair, a run (its `attack` method
        is called, again whenever an option changes), or a sequence of them
    path : an attack on the (first) run that has been made already, shown first
    rows : test rows to attack, for runs
    epsilon, steps : radius and steps of the first attack on a run, L-infinity PGD; default those
        of `path`
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control, among ``step``, ``source``, ``method``, ``norm``, ``epsilon``,
        ``steps``, ``axes``, ``classes``
    view, widget : the live figure; controls and figure
    """

    def __init__(
        self,
        attacked: Any,
        *,
        path: Trajectory | None = None,
        rows: int = 100,
        epsilon: float | None = None,
        steps: int | None = None,
        theme: style.Theme = "auto",
    ) -> None:
        self._theme, self._rows = theme, rows
        self._items = _listed(attacked)
        self._path = cache(self._new_path)
        self._scene = cache(self._new_scene)
        has_runs = any(not isinstance(item, Trajectory) for item, _ in self._items)
        #: options of an attack at first; none if there are only attacks that were made already
        self._start = _first_options(path, epsilon, steps) if has_runs else {}
        self._made = {} if path is None else {(0, tuple(self._start.items())): path}
        first = self._path(0, tuple(self._start.items()))
        controls = self._controls(first, has_runs=has_runs)
        super().__init__(Bound(self._draw, controls, "step", self._panel(controls)))
        if "steps" in controls:
            controls["steps"].observe(self._steps_changed, names="value")
        if "source" in controls:
            controls["source"].observe(self._steps_changed, names="value")

    @property
    def path(self) -> Trajectory:
        """The attack that is shown."""
        values = self.bound.values
        return self._path(values.get("source", 0), self._options(values))

    def figure(self) -> go.Figure:
        """Return one static figure with a slider over the steps."""
        return self.bound.figure()

    def _controls(self, first: Trajectory, has_runs: bool) -> dict[str, ipw.Widget]:
        controls: dict[str, ipw.Widget] = {}
        wide = ipw.Layout(width="320px")
        if len(self._items) > 1:
            titles = run_titles([item for item, _ in self._items])
            controls["source"] = dropdown("Attacked", [(t, i) for i, t in enumerate(titles)])
        if has_runs:
            late: dict[str, Any] = {"continuous_update": False, "style": PLAIN, "layout": wide}
            methods = [("PGD", "pgd"), ("FGSM", "fgsm")]
            controls["method"] = dropdown("Attack", methods, value=self._start["method"])
            norms = [("L∞", "linf"), ("L2", "l2")]
            controls["norm"] = dropdown("Norm", norms, value=self._start["norm"])
            epsilon = self._start["epsilon"]
            controls["epsilon"] = ipw.FloatSlider(
                epsilon,
                min=0,
                max=max(0.5, 2 * epsilon),
                step=0.01,
                description="Radius ε",
                readout_format=".3g",
                **late,
            )
            steps = self._start["steps"]
            controls["steps"] = ipw.IntSlider(
                steps, 1, max(60, steps), description="Attack steps", **late
            )
        controls["step"] = ipw.IntSlider(
            first.steps,
            0,
            first.steps,
            description="Step shown",
            style=PLAIN,
            layout=ipw.Layout(flex="1 1 auto"),
        )
        if first.z.shape[2] > 2:
            views = [("PCA of all steps", ("pca",)), ("LDA", ("lda",))]
            pairs = [(f"dimensions {i + 1} and {i + 2}", ("pair", i, i + 1)) for i in (0, 2)]
            controls["axes"] = dropdown("Axes", views + pairs[: first.z.shape[2] // 2])
        present = [int(k) for k in np.unique(first.y)]
        options = [(first.class_names[k], k) for k in present]
        controls["classes"] = Choices(options, description="Classes")
        return controls

    def _panel(self, controls: dict[str, ipw.Widget]) -> ipw.Widget:
        wrap = ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 18px")
        shown = controls | {"step": player(controls["step"], interval=300)}
        rows = [("source", "method", "norm", "epsilon", "steps"), ("step", "axes"), ("classes",)]
        boxes = [[shown[name] for name in row if name in shown] for row in rows]
        boxes[-1].append(reset_button(self.reset))
        return ipw.VBox([ipw.Box(box, layout=wrap) for box in boxes if box])

    # ---------------------------------------------------------- drawing

    def _draw(self, **values: Any) -> dict[str, Any]:
        scene = self._scene(
            values.get("source", 0),
            self._options(values),
            values.get("axes"),
            tuple(values["classes"]),
        )
        step = min(values["step"], scene.path.steps)
        return style.themed(scene.spec(step), self._theme)

    def _options(self, values: dict[str, Any]) -> Options:
        return tuple((name, values[name]) for name in self._start)

    def _new_path(self, i: int, options: Options) -> Trajectory:
        item = self._items[i][0]
        if isinstance(item, Trajectory):
            return item
        if (i, options) in self._made:
            return self._made[i, options]
        return item.attack(self._rows, progress=False, **dict(options))

    def _new_scene(
        self, i: int, options: Options, axes: tuple[Any, ...] | None, classes: tuple[int, ...]
    ) -> Scene:
        path = self._path(i, options)
        item, prior = self._items[i]
        if not isinstance(item, Trajectory):
            prior = item.prior()
        rows = np.flatnonzero(np.isin(path.y, classes))
        if len(rows) == 0:
            raise InputError("none of the attacked inputs is of these classes; tick more")
        samples = None if len(rows) == len(path) else _in_turn(path.y, rows)
        return Scene(path, prior, projection=_projection(path, prior, axes), samples=samples)

    def _steps_changed(self, _change: Any) -> None:
        last = self.path.steps
        slider = self.controls["step"]
        with self.bound.hold():
            slider.max = last
            slider.value = last


def _first_options(
    path: Trajectory | None, epsilon: float | None, steps: int | None
) -> dict[str, Any]:
    made = {"method": "pgd", "norm": "linf", "epsilon": 0.1, "steps": 20}
    if path is not None:
        made = {
            "method": path.method,
            "norm": path.norm,
            "epsilon": float(path.epsilon),
            "steps": path.steps,
        }
    return made | {k: v for k, v in (("epsilon", epsilon), ("steps", steps)) if v is not None}


def _projection(
    path: Trajectory, prior: LatentPrior | None, axes: tuple[Any, ...] | None
) -> Projection | None:
    if axes is None or axes == ("pca",):
        return None  # the scene's own choice
    return projected(path.at(0), prior, axes)


def _in_turn(y: Any, rows: Any) -> list[int]:
    """Return up to twelve rows, over their classes in turn."""
    turn = np.zeros(len(rows), dtype=int)
    for k in np.unique(y[rows]):
        mine = y[rows] == k
        turn[mine] = np.arange(mine.sum())
    return sorted(rows[np.argsort(turn, kind="stable")[:SAMPLES]].tolist())


def _listed(attacked: Any) -> list[tuple[Any, LatentPrior | None]]:
    if _is_pair(attacked) or not isinstance(attacked, (list, tuple)):
        attacked = [attacked]
    found = [item if _is_pair(item) else (item, None) for item in attacked]
    if not found:
        raise InputError("nothing to explore: pass a run or a Trajectory")
    for item, _ in found:
        if not isinstance(item, Trajectory) and not hasattr(item, "attack"):
            raise InputError(
                f"AdversarialExplorer takes runs or Trajectory records, got {type(item).__name__}"
            )
    return found


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Trajectory)
