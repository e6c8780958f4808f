"""DirectionExplorer: latents along one direction against what the law says of them there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import ipywidgets as ipw
import plotly.graph_objects as go

from vcviz.base.caching import cached_method
from vcviz.explorers.controls import Control, choice, dropdown
from vcviz.explorers.display import Explorer
from vcviz.explorers.latent_controls import classes_control, epoch_control, split_control
from vcviz.explorers.panel_data import Rows, sources
from vcviz.figures import theme as style
from vcviz.figures.direction import DirectionRanges, direction_ranges, direction_spec
from vcviz.geometry.directions import direction as direction_of
from vcviz.geometry.directions import natural_directions
from vcviz.metrics.fit.marginals import marginals
from vcviz.records import Marginals

_SHARED = ("split", "epoch", "all_rows", "classes")


class DirectionExplorer(Explorer):
    """Marginals and Q-Q plots of the latents along any direction, against p(z|y), class by class.

    Parameters
    ----------
    runs : as for `LatentExplorer`
    split : "test" or "train", the rows shown at first
    theme : "auto", "light" or "dark"
    follows : another explorer of the same runs, of which ``split``, ``epoch``, ``all_rows`` and
        ``classes`` move this one too

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
        follows: Explorer | None = None,
    ) -> None:
        self._sources, self._theme = sources(runs), theme
        of = self._sources
        directions = natural_directions(of[0].trained("test")[0])
        own = [
            choice("run", "Run", [(source.title, i) for i, source in enumerate(of)]),
            Control("direction", dropdown("Direction", list(directions.items()))),
        ]
        if follows is None:
            epochs = epoch_control(of)
            more = [split_control(of, split), epochs, classes_control(of, split)]
            every = Control("all_rows", None, epochs.widget is None)
            super().__init__(self._draw, [*own, *more, every], slider="epoch")
        else:
            shared = [control for control in follows.declared if control.name in _SHARED]
            super().__init__(self._draw, own, follows=shared, slider="epoch")

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

    def _draw(
        self,
        *,
        run: int,
        direction: Any,
        split: str,
        epoch: int | None,
        all_rows: bool,
        classes: tuple[int, ...],
    ) -> dict[str, Any]:
        source, rows = self._sources[run], (split, not all_rows)
        found = self._found(run, direction, rows, source.kept(rows, epoch), classes)
        # The slider says the epoch: in a static figure no heading can change along it.
        found = dataclasses.replace(found, name=f"{source.title}, {split}")
        drawn = direction_spec([found], self._ranges(run, direction, rows, classes))
        return style.themed(drawn, self._theme)

    @cached_method()
    def _found(
        self, i: int, spec: Any, rows: Rows, epoch: int | None, classes: tuple[int, ...]
    ) -> Marginals:
        """Return the latents along a direction, the same at every epoch: the trained model's."""
        source = self._sources[i]
        along = direction_of(source.trained(rows[0])[0], spec)
        lat, prior = source.latents(rows, epoch)
        return marginals(lat, prior, along, classes=classes)

    @cached_method()
    def _ranges(self, i: int, spec: Any, rows: Rows, classes: tuple[int, ...]) -> DirectionRanges:
        """Return axes that stay put over the epochs, and show the second half of them whole.

        Before training all latents are in one place, with a density that would hide all others.
        """
        epochs: list[int | None] = [None]
        if rows[1] and (kept := self._sources[i].epochs):
            epochs = [kept[len(kept) // 2], kept[-1]]
        return direction_ranges([self._found(i, spec, rows, e, classes) for e in epochs])
