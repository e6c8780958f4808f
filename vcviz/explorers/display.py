"""How an explorer shows itself: alive in a notebook, static where nobody can move a control."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import ipywidgets as ipw
import plotly.graph_objects as go

from vcviz.explorers.bind import Bound
from vcviz.explorers.plot import Plot
from vcviz.explorers.selection import Selection
from vcviz.explorers.words import words_html


class Explorer:
    """Controls and a live figure; in a headless run, the static figure instead.

    Parameters
    ----------
    bound : the figure function tied to its controls
    below : what is shown beneath the figure
    chosen : rows that can be chosen here and shown elsewhere, see `vcviz.link`; None if there
        are none to choose

    Attributes
    ----------
    bound, chosen : as given
    words : terms of `vcviz.explorers.words` that are explained beneath, on demand
    """

    words: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, bound: Bound, *, below: Sequence[ipw.Widget] = (), chosen: Selection | None = None
    ) -> None:
        self.bound = bound
        self.chosen: Any = chosen
        self._below = tuple(below)
        if chosen is not None:
            chosen.observe(self._chosen_changed, names="rows")

    @property
    def controls(self) -> dict[str, ipw.Widget]:
        """Name -> control."""
        return self.bound.controls

    @property
    def view(self) -> Plot:
        """The live figure."""
        return self.bound.view

    @cached_property
    def widget(self) -> ipw.Widget:
        """Controls, live figure and what stands beneath it."""
        told = [ipw.HTML(words_html(self.words))] if self.words else []
        if not (self._below or told):
            return self.bound.widget
        return ipw.VBox([self.bound.widget, *self._below, *told])

    def reset(self) -> None:
        """Put every control back to where it was, and choose no rows."""
        with self.bound.hold():
            if self.chosen is not None:
                self.chosen.clear()
            self.bound.reset()

    def figure(self) -> go.Figure:
        """Return one static figure with plotly's own controls."""
        return self.bound.figure()

    def share(self, chosen: Selection) -> None:
        """Choose and show rows in `chosen` from now on, which others may share."""
        if self.chosen is not None:
            self.chosen.unobserve(self._chosen_changed, names="rows")
        self.chosen = chosen
        chosen.observe(self._chosen_changed, names="rows")
        self.show_chosen()

    def show_chosen(self) -> None:
        """Show which rows are chosen; what can choose rows says how."""

    def _chosen_changed(self, _change: Any) -> None:
        self.show_chosen()

    def show_static(self) -> None:
        """Display the static figure, and what its words mean."""
        from IPython.display import HTML, display

        display(self.figure())
        if self.words:
            display(HTML(words_html(self.words)))

    def _ipython_display_(self) -> None:
        from IPython.display import display

        # An environment variable, because the notebook under way does not know who runs it.
        if os.environ.get("VCVIZ_HEADLESS") == "1":
            self.show_static()
        else:
            display(self.widget)
