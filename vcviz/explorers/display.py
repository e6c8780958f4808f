"""How an explorer shows itself: alive in a notebook, static where nobody can move a control."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets as ipw
import plotly.graph_objects as go
from traitlets import TraitError

from vcviz.base.errors import InputError, clip, unknown
from vcviz.explorers.bind import Bound
from vcviz.explorers.controls import Control, Row, button, folded_panel
from vcviz.explorers.plot import Plot
from vcviz.explorers.selection import Selection
from vcviz.explorers.words import words_html
from vcviz.figures.static import Draw

#: a figure of fewer pixels stands in one column
NARROW_PX = 600


class Explorer:
    """Controls and a live figure; in a headless run, the static figure instead.

    Parameters
    ----------
    draw : returns the figure, or its plain data and layout, for the values of all controls and of
        `state`
    rows, more : controls as they are laid out, rows in view and rows that are folded away
    follows : controls of another explorer that set this one's arguments too, and are laid out there
    slider : the control that becomes the slider of the static figure, where there is one
    state : name -> value of what `draw` takes and no control sets
    chosen : rows that can be chosen here and shown elsewhere, see `vcviz.link`; None if there
        are none to choose

    Attributes
    ----------
    bound : the figure function tied to its controls
    chosen : as given
    declared : what `draw` takes of controls, whether there is something to choose or not
    words : terms of `vcviz.explorers.words` that are explained beneath, on demand
    """

    words: ClassVar[tuple[str, ...]] = ()
    #: controls that do something at once, and are no part of a view
    _acting: ClassVar[tuple[str, ...]] = ()
    #: states that belong to a view, as controls and chosen rows do
    _kept: ClassVar[tuple[str, ...]] = ()
    #: what stands between controls and figure, and beneath the figure
    _above: Sequence[ipw.Widget] = ()
    _below: Sequence[ipw.Widget] = ()

    def __init__(
        self,
        draw: Draw,
        *rows: Row,
        more: Sequence[Row] = (),
        follows: Sequence[Control] = (),
        slider: str | None = None,
        state: Mapping[str, Any] | None = None,
        chosen: Selection | None = None,
    ) -> None:
        self._own = [c for row in (*rows, *more) for c in row if isinstance(c, Control)]
        self.declared = [*self._own, *follows]
        controls = {c.name: c.widget for c in self.declared if c.widget is not None}
        fixed = {c.name: c.default for c in self.declared if c.widget is None}
        self.bound = Bound(
            draw,
            controls,
            slider if slider in controls else None,
            state=fixed | dict(state or {}),
            before=self._before_drawing,
        )
        reset = button("Reset", "undo", "put every control back to where it was", self.reset)
        self._panel = folded_panel(rows, more, *([] if follows else [reset]))
        self.chosen: Any = chosen
        if chosen is not None:
            chosen.observe(self.show_chosen, names="rows")
        self._follow()

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
        glossary = [ipw.HTML(words_html(self.words))] if self.words else []
        controls = [self._panel, *self._above, self.bound.message]
        return ipw.VBox([*controls, self.view, *self._below, *glossary])

    def reset(self) -> None:
        """Put every control back to where it was, and choose no rows."""
        with self.bound.hold():
            if self.chosen is not None:
                self.chosen.clear()
            self.bound.reset()

    @property
    def state(self) -> dict[str, Any]:
        """What is shown, as plain values that JSON can hold: set it to come back to a view.

        The value of every control, the chosen rows, and what is kept or followed. It can be set
        to such a mapping, to its JSON, or to the path of a file that holds it; an empty one
        changes nothing.

        Raises
        ------
        InputError
            If it is set to that of another explorer.

        Examples
        --------
        >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
        >>> explorer = vcviz.LatentExplorer(run)
        >>> explorer.state = {"all_rows": True, "chosen": {"rows": [3, 17], "split": "test"}}
        >>> explorer.selection["row"].tolist()
        [3, 17]
        """
        shown: dict[str, Any] = {
            name: list(control.value) if isinstance(control.value, tuple) else control.value
            for name, control in self.controls.items()
        }
        if self.chosen is not None:
            shown["chosen"] = {"rows": self.chosen.rows.tolist(), "split": self.chosen.split}
        return shown | {name: self.bound.values[name] for name in self._kept}

    @state.setter
    def state(self, state: Mapping[str, Any] | str | os.PathLike[str]) -> None:
        given = _read_state(state)
        chosen = given.pop("chosen", None)
        kept = {name: given.pop(name) for name in self._kept if name in given}
        for name in given:
            if name not in self.controls:
                raise unknown("control", name, self.controls)
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        values = {k: v for k, v in values.items() if k not in self._acting}
        try:
            for _ in range(2 * bool(values)):  # what one can be may depend on another
                self.bound.set(**values)
            if chosen is not None and self.chosen is not None:
                self.chosen.choose(chosen["rows"], split=chosen["split"])
            self._keep(**kept)
        except (TraitError, ValueError, TypeError, KeyError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"a state of another explorer: {error}") from None

    def _before_drawing(self) -> None:
        """Bring what stands around the figure up to the values, before each drawing."""
        self._follow()

    def _follow(self) -> None:
        for control in self._own:
            control.follow(self.bound.values)

    def _keep(self, **kept: Any) -> None:
        """Come back to states of `_kept`."""
        self.bound.set_state(**kept)

    def figure(self) -> go.Figure:
        """Return one static figure with plotly's own controls."""
        return self.bound.figure()

    def share(self, chosen: Selection) -> None:
        """Choose and show rows in `chosen` from now on, which others may share."""
        if self.chosen is not None:
            self.chosen.unobserve(self.show_chosen, names="rows")
        self.chosen = chosen
        chosen.observe(self.show_chosen, names="rows")
        self.show_chosen()

    def show_chosen(self, _change: object = None) -> None:
        """Show which rows are chosen; what can choose rows says how."""

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


def link(*explorers: Any) -> None:
    """Link explorers: rows chosen in one are shown in all.

    Parameters
    ----------
    explorers : two or more that can choose rows, of the same data; what is chosen in the first
        stays chosen

    Raises
    ------
    InputError
        If fewer than two are given, or one cannot choose rows.

    Examples
    --------
    >>> lat = vcviz.train("mixture", epochs=3, progress=False).latents()
    >>> latents, calibration = vcviz.LatentExplorer((lat, None)), vcviz.CalibrationExplorer(lat)
    >>> vcviz.link(latents, calibration)
    >>> latents.chosen.choose([3, 5, 8])  # as a lasso in the figure does
    >>> len(calibration.selection)
    3
    """
    if len(explorers) < 2:
        raise InputError(f"link takes at least two explorers, got {len(explorers)}")
    for explorer in explorers:
        if not isinstance(explorer, Explorer) or explorer.chosen is None:
            raise InputError(f"{type(explorer).__name__} has no rows to choose, so nothing to link")
    for explorer in explorers[1:]:
        explorer.share(explorers[0].chosen)


def _read_state(state: Mapping[str, Any] | str | os.PathLike[str]) -> dict[str, Any]:
    """Return a state given as a mapping, as JSON, or as the path of a file that holds JSON."""
    if isinstance(state, Mapping):
        return dict(state)
    text = os.fspath(state)
    try:
        found = json.loads(text if text.lstrip()[:1] == "{" else Path(text).read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"a state is a mapping, JSON or the path of a JSON file; {clip(text)}: {reason}"
        ) from None
    except ValueError as error:
        raise InputError(f"the state {clip(text)} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"a state should be a JSON object, got {clip(found)}")
    return found
