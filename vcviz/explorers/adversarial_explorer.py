"""AdversarialExplorer: follow attacked inputs through the latents, step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go

from vcviz.base.errors import InputError
from vcviz.explorers.adversarial_controls import (
    AttackValues,
    Busy,
    attack_controls,
    gates_table,
    numbers_of,
)
from vcviz.explorers.attack_data import Attacked
from vcviz.explorers.controls import PLAIN, button
from vcviz.explorers.display import NARROW_PX, Explorer
from vcviz.explorers.page_rows import with_attack
from vcviz.explorers.plot import Plot
from vcviz.explorers.selection import Selection
from vcviz.figures import theme as style
from vcviz.figures.robustness import robustness_spec
from vcviz.figures.trajectory import Scene
from vcviz.figures.trajectory_paths import COLORS, SAMPLES
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
        ``epsilon``, ``steps``, ``target``, ``axes``, ``color``, ``which``, ``numbers``, ``classes``
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

    _kept = ("focus",)

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
        start = AttackValues() if path is None else AttackValues.of(path)
        start = start._replace(
            epsilon=start.epsilon if epsilon is None else epsilon,
            steps=start.steps if steps is None else steps,
        )
        self._first_epsilon = start.epsilon
        if path is not None:
            self._attacked.give(0, start, path)
        anew = self._attacked.has_runs
        self.follow = ipw.Dropdown(
            description="Follow input", style=PLAIN, layout=ipw.Layout(width="max-content")
        )
        first = self._attacked.path(0, start)
        in_view, folded = attack_controls(
            first, start, self._attacked.titles, self.follow, anew=anew
        )
        super().__init__(
            self._draw,
            *in_view,
            more=folded,
            slider="step",
            state={"focus": None, "narrow": False},
            chosen=Selection(),
        )
        attacking = ("source", *AttackValues._fields)
        self._busy = Busy([self.controls[name] for name in attacking if name in self.controls])
        self._gates, self._curves = ipw.HTML(), ipw.VBox()
        self._curve_button = button(
            "Accuracy and ECE against the radius",
            "line-chart",
            "attack every run at eight radii, up to twice the one that is set",
            self.show_curves,
            width="max-content",
        )
        self._curve_plot: Plot | None = None
        self._above = [self._busy.widget]
        self._below = [self._gates, *([self._curve_button] if anew else []), self._curves]
        self._before_drawing()
        self.follow.observe(self._followed, names="value")
        self.bound.on("click", self._clicked)
        self.bound.on("resize", self._resized)

    @property
    def path(self) -> Trajectory:
        """The attack that is shown."""
        values = self.bound.values
        return self._attacked.path(values["source"], _options(values))

    @property
    def gates(self) -> Gates:
        """The sanity gates of the attack that is shown."""
        return attack_gates(self.path)

    def figure(self) -> go.Figure:
        """Return one static figure with a slider over the steps and a list of inputs to follow."""
        values = self.bound.values | {"narrow": False}
        scene = self._scene(values, low=False)
        step = min(values["step"], scene.path.steps)
        figure = scene.figure(step, values["focus"], self._theme)
        drawn = "class" if values["color"] == "class" else COLORS[values["color"]]
        return with_attack(figure, scene.path, scene.samples, drawn=drawn)

    def show_curves(self) -> None:
        """Show accuracy and ECE against the radius beneath the figure."""
        try:
            with self._busy.working("following accuracy against the radius") as report:
                curves = self._attacked.curves(_options(self.bound.values), report)
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

    def show_chosen(self, _change: object = None) -> None:
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

    def _scene(self, values: Mapping[str, Any], *, low: bool = True) -> Scene:
        return self._attacked.scene(
            values["source"],
            _options(values),
            values["axes"],
            values["classes"],
            values["which"],
            numbers_of(values["numbers"]) if values["which"] == "rows" else (),
            values["color"],
            values["narrow"],
            low,
        )

    def _before_drawing(self) -> None:
        """Attack if need be, and let what depends on the attack follow it; errors show later."""
        super()._before_drawing()
        values, controls = self.bound.values, self.controls
        if "epsilon" in controls:
            largest = 5.0 if values["norm"] == "l2" else 0.5
            controls["epsilon"].max = max(largest, 2 * self._first_epsilon)
            values = self.bound.values
        with contextlib.suppress(InputError):
            with self._busy.working("attacking") as report:
                path = self._attacked.path(values["source"], _options(values), report)
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


def _options(values: Mapping[str, Any]) -> AttackValues:
    return AttackValues(**{name: values[name] for name in AttackValues._fields})
