"""DirectionExplorer: latents along one direction against what the law says of them there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import ipywidgets as ipw
import plotly.graph_objects as go

from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import (
    class_choice,
    dropdown,
    epoch_slider,
    player,
    reset_button,
    row_of,
)
from vcviz.explorers.display import Explorer
from vcviz.explorers.panel_data import Rows, sources
from vcviz.figures import theme as style
from vcviz.figures.direction import DirectionRanges, direction_ranges, direction_spec
from vcviz.geometry.directions import direction, natural_directions
from vcviz.metrics.fit.marginals import marginals
from vcviz.records import Direction, Marginals

_SHARED = ("split", "epoch", "all_rows", "classes")


class DirectionExplorer(Explorer):
    """Marginals and Q-Q plots of the latents along any direction, against p(z|y), class by class.

    Parameters
    ----------
    runs : as for `LatentExplorer`
    split : "test" or "train", the rows shown at first
    theme : "auto", "light" or "dark"
    follows : controls of another explorer of the same runs, of which ``split``, ``epoch``,
        ``all_rows`` and ``classes`` move this one too

    Attributes
    ----------
    controls : name -> control, among ``run``, ``direction``, ``split``, ``epoch``, ``all_rows``,
        ``classes`` (those that have something to choose)
    view, widget : the live figure; controls and figure
    drawer : the widget, folded away until it is opened

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> explorer = vcviz.DirectionExplorer(run)
    >>> explorer.controls["direction"].label
    'z₁'
    >>> explorer.controls["direction"].options[-1]
    ('mean of 3 → mean of 4', ('means', 3, 4))
    """

    def __init__(
        self,
        runs: Any,
        *,
        split: str = "test",
        theme: style.Theme = "auto",
        follows: Mapping[str, ipw.Widget] | None = None,
    ) -> None:
        self._sources = sources(runs)
        self._theme = theme
        self._found = cache(self._new)
        self._ranges = cache(self._new_ranges)
        own = self._own_controls()
        shared = follows if follows is not None else self._shared_controls(split)
        controls = own | {name: shared[name] for name in _SHARED if name in shared}
        self._defaults = {
            "run": 0,
            "split": split,
            "epoch": None,
            "all_rows": "epoch" not in shared,
        }
        shown = own if follows is not None else dict(controls)
        if follows is None and "epoch" in shown:
            shown["epoch"] = player(shown["epoch"])
        rest = [] if follows is not None else [reset_button(self.reset)]
        slider = "epoch" if "epoch" in controls else None
        panel = row_of([*shown.values(), *rest])
        super().__init__(Bound(self._draw, controls, slider, panel))

    @property
    def drawer(self) -> ipw.Accordion:
        """The widget, folded away; nothing is computed or drawn before it is opened."""
        drawer = ipw.Accordion(
            [ipw.VBox()], titles=("Along one direction: marginals and Q-Q plot",)
        )
        drawer.selected_index = None

        def opened(change: Any) -> None:
            if change["new"] is not None and not drawer.children[0].children:
                drawer.children[0].children = (self.widget,)

        drawer.observe(opened, names="selected_index")
        return drawer

    def figure(self, *, directions: Sequence[Any] | None = None) -> go.Figure:
        """Return one static figure with an epoch slider and a list of runs or of directions.

        Parameters
        ----------
        directions : list these, e.g. ``[("axis", 0), ("means", 0, 1)]``, of the run that is shown;
            default a list of the runs, along the direction that is shown, and for a single run
            its first two directions
        """
        menus: dict[str, Sequence[Any] | None] = {"run": None}
        if directions is not None or "run" not in self.controls:
            offered = [value for _, value in self.controls["direction"].options]
            menus = {"direction": list(directions) if directions is not None else offered[:2]}
        return self.bound.figure(menus=menus, frames=5)

    def _own_controls(self) -> dict[str, ipw.Widget]:
        controls: dict[str, ipw.Widget] = {}
        if len(self._sources) > 1:
            controls["run"] = dropdown("Run", [(s.title, i) for i, s in enumerate(self._sources)])
        lat = self._sources[0].latents(("test", False), None)[0]
        controls["direction"] = dropdown("Direction", list(natural_directions(lat).items()))
        return controls

    def _shared_controls(self, split: str) -> dict[str, ipw.Widget]:
        made, controls = self._sources, dict[str, ipw.Widget]()
        epochs = sorted(set().union(*(s.epochs for s in made)))
        if epochs:
            controls["split"] = dropdown("Split", [(s, s) for s in ("test", "train")], value=split)
        if len(epochs) > 1:
            controls["epoch"] = epoch_slider(epochs)
        rules = [(found.rule, found.classes) for found in made[0].rules(split)]
        controls["classes"] = class_choice(made[0].class_names, rules)
        return controls

    def _draw(self, **values: Any) -> dict[str, Any]:
        values = {**self._defaults, **values}
        rows: Rows = values["split"], not values["all_rows"]
        i, spec, classes = values["run"], values["direction"], tuple(values["classes"])
        epoch = self._sources[i].kept(values["epoch"]) if rows[1] else None
        found = self._found(i, spec, rows, epoch, classes)
        # The slider says the epoch: in a static figure no heading can change along it.
        found = dataclasses.replace(found, name=f"{self._sources[i].title}, {values['split']}")
        drawn = direction_spec([found], self._ranges(i, spec, rows, classes))
        return style.themed(drawn, self._theme)

    def _new(
        self, i: int, spec: Any, rows: Rows, epoch: int | None, classes: tuple[int, ...]
    ) -> Marginals:
        lat, prior = self._sources[i].latents(rows, epoch)
        return marginals(lat, prior, self._direction(i, spec, rows[0]), classes=classes)

    def _direction(self, i: int, spec: Any, split: str) -> Direction:
        """Return the direction, the same at every epoch: that of the trained model."""
        return direction(self._sources[i].latents((split, False), None)[0], spec)  # type: ignore[arg-type]

    def _new_ranges(
        self, i: int, spec: Any, rows: Rows, classes: tuple[int, ...]
    ) -> DirectionRanges:
        """Return axes that stay put over the epochs, and show the second half of them whole.

        Before training all latents are in one place, with a density that would hide all others.
        """
        epochs: list[int | None] = [None]
        if rows[1] and (kept := self._sources[i].epochs):
            epochs = [kept[len(kept) // 2], kept[-1]]
        return direction_ranges([self._found(i, spec, rows, e, classes) for e in epochs])
