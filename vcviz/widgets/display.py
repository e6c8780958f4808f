"""How an explorer shows itself: alive in a notebook, static where nobody can move a control."""

from __future__ import annotations

import os
from typing import Any

import ipywidgets as ipw
import plotly.graph_objects as go

from vcviz.widgets.bind import Bound


class Explorer:
    """Controls and a live figure; in a headless run, the static figure instead.

    Attributes
    ----------
    bound : the figure function tied to its controls
    """

    def __init__(self, bound: Bound) -> None:
        self.bound = bound

    @property
    def controls(self) -> dict[str, ipw.Widget]:
        """Name -> control."""
        return self.bound.controls

    @property
    def view(self) -> go.FigureWidget:
        """The live figure."""
        return self.bound.view

    @property
    def widget(self) -> ipw.Widget:
        """Controls and live figure."""
        return self.bound.widget

    def reset(self) -> None:
        """Put every control back to where it was."""
        self.bound.reset()

    def figure(self) -> go.Figure:
        """Return one static figure with plotly's own controls."""
        return self.bound.figure()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        # An environment variable, because the notebook under way does not know who runs it.
        headless: Any = os.environ.get("VCVIZ_HEADLESS") == "1"
        display(self.figure() if headless else self.widget)
