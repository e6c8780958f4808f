"""AdversarialExplorer: follow attacked inputs through the latents, step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go

from vcviz.base.errors import InputError
from vcviz.explorers.adversarial_controls import (
    ATTACK,
    NO_TARGET,
    Busy,
    attack_controls,
    attack_panel,
    gates_table,
    numbers_of,
)
from vcviz.explorers.attack_data import Attacked, Options
from vcviz.explorers.bind import Bound
from vcviz.explorers.display import NARROW_PX, Explorer
from vcviz.explorers.page_rows import with_attack
from vcviz.explorers.plot import DRAWING, Plot
from vcviz.explorers.selection import Selection
from vcviz.figures import theme as style
from vcviz.figures.robustness import robustness_spec
from vcviz.figures.trajectory import scene_figure
from vcviz.figures.trajectory_parts import SAMPLES
from vcviz.figures.trajectory_scene import Scene
from vcviz.metrics.robustness import attack_gates
from vcviz.records import Gates, Trajectory


class AdversarialExplorer(Explorer):
    """The paths of an attack over p(z|y), with one input followed step by step.

    Click a path, a marker or a picture, or choose from the list, to follow an input: its pictures
    and their change, its class probabilities, log p(y|x), log p(z|y) and log p(z) on the way, the
    steps at which it leaves the support of its class and flips. The sanity gates stand beneath,
    and accuracy and calibration error against the radius, once they are asked for.

    Parameters
    ----------
    attacked : a `Trajectory`, a (Trajectory, LatentPrior or None) pair, a run (its `attack` method
        is called, again whenever an option changes), or a sequence of them; what is named twice
        is shown once, at its first place
    path : an attack on the (first) run that has been made already, shown first
    rows : test rows to attack, for runs: the first so many, or their numbers
    epsilon, steps : radius and steps of the first attack on a run, L-infinity PGD; default those
        of `path`
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control, among ``step``, ``source``, ``method``, ``loss``, ``norm``,
        ``epsilon``, ``steps``, ``target``, ``axes``, ``which``, ``numbers``, ``classes``
    follow : list of the inputs that can be followed
    chosen : rows chosen here or in a linked explorer, see `vcviz.link`; drawn if they were attacked
    view, widget : the live figure; controls and figure

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> explorer = vcviz.AdversarialExplorer(run, rows=20, epsilon=2.0, steps=5)
    >>> explorer.path.z.shape, explorer.gates.passed
    ((6, 20, 2), True)
    """

    words = ("flip", "support", "sanity gate", "outline", "anticipated p(z|y)")

    bound: _Prepared

    def __init__(
        self,
        attacked: Any,
        *,
        path: Trajectory | None = None,
        rows: int | Sequence[int] = 100,
        epsilon: float | None = None,
        steps: int | None = None,
        theme: style.Theme = "auto",
    ) -> None:
        self._theme = theme
        self._attacked = Attacked(attacked, rows)
        #: options of an attack at first; none if there are only attacks that were made already
        self._start = _first_options(path, epsilon, steps) if self._attacked.has_runs else {}
        if path is not None:
            self._attacked.give(0, tuple(self._start.items()), path)
        first = self._attacked.path(0, tuple(self._start.items()))
        controls = attack_controls(first, self._start, self._attacked.titles)
        self.follow = ipw.Dropdown(
            description="Follow input",
            style={"description_width": "initial"},
            layout=ipw.Layout(width="max-content"),
        )
        self._busy = Busy([c for name, c in controls.items() if name in ATTACK])
        self._gates, self._curve_button, self._curves = ipw.HTML(), _curve_button(), ipw.VBox()
        self._curve_plot: Plot | None = None
        curve_row = [self._curve_button] if self._attacked.has_runs else []
        panel = attack_panel(controls, self.follow, self._busy.widget, self.reset)
        state = {"focus": None, "narrow": False}
        super().__init__(
            _Prepared(self._prepare, self._draw, controls, "step", panel, state),
            below=[self._gates, *curve_row, self._curves],
            chosen=Selection(),
        )
        self._prepare()
        self.follow.observe(self._followed, names="value")
        self._curve_button.on_click(lambda _: self.show_curves())
        self.bound.on("click", self._clicked)
        self.bound.on("resize", self._resized)

    @property
    def path(self) -> Trajectory:
        """The attack that is shown."""
        values = self.bound.values
        return self._attacked.path(values.get("source", 0), self._options(values))

    @property
    def gates(self) -> Gates:
        """The sanity gates of the attack that is shown."""
        return attack_gates(self.path)

    def _kept(self) -> dict[str, Any]:
        return {"focus": self.bound.values["focus"]}

    def _keep(self, kept: Mapping[str, Any]) -> None:
        if kept:
            self.bound.set_state(**kept)
            self._prepare()

    def figure(self) -> go.Figure:
        """Return one static figure with a slider over the steps and a list of inputs to follow."""
        values = self.bound.values | {"narrow": False}
        scene = self._scene(values, low=False)
        step = min(values["step"], scene.path.steps)
        figure = scene_figure(scene, step, values["focus"], self._theme)
        return with_attack(figure, scene.path, scene.samples)

    def show_curves(self) -> None:
        """Show accuracy and ECE against the radius beneath the figure."""
        try:
            with self._busy.working("following accuracy against the radius") as report:
                curves = self._attacked.curves(self._options(self.bound.values), report)
        except InputError as error:
            self.bound.say(str(error))
            return
        narrow = self.bound.values["narrow"]
        spec = style.themed(robustness_spec(curves, narrow=narrow), self._theme)
        if self._curve_plot is None:
            self._curve_plot = Plot(spec["data"], spec["layout"])
        else:
            self._curve_plot.show(spec["data"], spec["layout"])
        tables = [
            ipw.HTML(gates_table(curve.gates, f"Gates of the curve, {curve.name}", folded=True))
            for curve in curves
        ]
        self._curves.children = [self._curve_plot, *tables]

    def show_chosen(self) -> None:
        """Draw the rows that were chosen, here or elsewhere, as far as they were attacked."""
        if len(self.chosen) == 0:
            if self.controls["which"].value == "rows":
                self.bound.set(which="evenly", numbers="")
            return
        attacked = np.intersect1d(self.chosen.rows, self.path.index)[:SAMPLES]
        if len(attacked):
            self.bound.set(which="rows", numbers=", ".join(map(str, attacked)))
        else:
            self.bound.say("none of the chosen rows was attacked: pass rows= to attack those")

    # ---------------------------------------------------------- drawing

    def _draw(self, **values: Any) -> dict[str, Any]:
        scene = self._scene(values)
        step = min(values["step"], scene.path.steps)
        return style.themed(scene.spec(step, values["focus"], exact=True), self._theme)

    def _scene(self, values: dict[str, Any], *, low: bool = True) -> Scene:
        return self._attacked.scene(
            values.get("source", 0),
            self._options(values),
            values.get("axes"),
            tuple(values["classes"]),
            values["which"],
            numbers_of(values["numbers"]) if values["which"] == "rows" else (),
            values["narrow"],
            low,
        )

    def _options(self, values: dict[str, Any]) -> Options:
        """Return the options of an attack; one that is a single step has no number of steps."""
        chosen = {name: values[_CONTROL.get(name, name)] for name in self._start}
        if chosen.get("targeted") == NO_TARGET:
            chosen["targeted"] = None
        if "method" in chosen and _one_step(chosen["method"]):
            chosen["steps"] = 1
        return tuple(chosen.items())

    def _prepare(self) -> None:
        """Attack if need be, and let what depends on the attack follow it; errors show later."""
        values = self.bound.values
        controls = self.controls
        if "steps" in controls:
            controls["steps"].disabled = _one_step(controls["method"].value)
            largest = 5.0 if controls["norm"].value == "l2" else 0.5
            controls["epsilon"].max = max(largest, 2 * self._start["epsilon"])
        controls["numbers"].layout.display = None if values["which"] == "rows" else "none"
        with contextlib.suppress(InputError):
            with self._busy.working("attacking") as report:
                path = self._attacked.path(values.get("source", 0), self._options(values), report)
            slider = controls["step"]
            if slider.max != path.steps:
                slider.max = path.steps
                slider.value = path.steps
            self._gates.value = gates_table(attack_gates(path), f"Sanity gates, {path.name}")
            scene = self._scene(values)
            labels, places = scene.choices
            options = list(zip(labels, places, strict=True))
            focus = scene.focused(values["focus"])
            if list(self.follow.options) != options:
                self.follow.options = options
            self.follow.value = focus

    def _followed(self, _change: Any) -> None:
        if self.follow.value is not None:
            self.bound.set_state(focus=self.follow.value)

    def _resized(self, event: dict[str, Any]) -> None:
        self.bound.fit_page(narrow=event["width"] < NARROW_PX)

    def _clicked(self, event: dict[str, Any]) -> None:
        place = self._scene(self.bound.values).clicked(event.get("meta") or {}, event["point"])
        if place is not None:
            self.follow.value = place


#: name of an option of an attack -> its control
_CONTROL = {"targeted": "target"}


class _Prepared(Bound):
    """A bound figure that calls `prepare`, which may set controls, before it is drawn."""

    def __init__(self, prepare: Callable[[], None], *arguments: Any) -> None:
        self._prepare = prepare
        self._preparing = False
        super().__init__(*arguments)

    def redraw(self) -> None:
        """Prepare, then draw the values that this leaves."""
        with DRAWING:
            if self._preparing:
                return
            self._preparing = True
            try:
                self._prepare()
            finally:
                self._preparing = False
            super().redraw()


def _one_step(method: str) -> bool:
    from vcviz.attacks import ATTACKS

    return ATTACKS[method].one_step


def _curve_button() -> ipw.Button:
    return ipw.Button(
        description="Accuracy and ECE against the radius",
        icon="line-chart",
        tooltip="attack every run at eight radii, up to twice the one that is set",
        layout=ipw.Layout(width="max-content"),
    )


def _first_options(
    path: Trajectory | None, epsilon: float | None, steps: int | None
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "method": "pgd", "norm": "linf", "loss": "ce", "epsilon": 0.1, "steps": 20,
        "targeted": None,
    }  # fmt: skip
    if path is not None:
        target = path.target
        one = target is not None and (target == target[0]).all()
        made = {
            "method": path.method.removeprefix("targeted "),
            "norm": path.norm,
            "loss": path.loss,
            "epsilon": float(path.epsilon),
            "steps": path.steps,
            "targeted": None if target is None else int(target[0]) if one else "least_likely",
        }
    return made | {k: v for k, v in (("epsilon", epsilon), ("steps", steps)) if v is not None}
