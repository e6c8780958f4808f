"""Tie a figure function to controls: alive in a notebook, or as one static figure."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go

from vcviz.base.caching import cached_method
from vcviz.base.errors import InputError, unknown
from vcviz.explorers.controls import row_of
from vcviz.explorers.plot import DRAWING, Kind, Plot
from vcviz.figures.native import Menu
from vcviz.figures.static import Draw, lay_out, plain

Plain = tuple[list[dict[str, Any]], dict[str, Any]]

_RANGES = (ipw.IntSlider, ipw.FloatSlider, ipw.FloatLogSlider)
_LISTS = (ipw.SelectionSlider, ipw.Dropdown, ipw.RadioButtons, ipw.Select, ipw.ToggleButtons)
#: figures kept, so that a slider moved back and forth computes nothing twice
_KEPT = 96


class Bound:
    """A figure function with its controls.

    Attributes
    ----------
    controls : name -> control; anything with a `value` trait
    message : what is wrong with the present values, if anything
    slider : name of the control that becomes the slider of the static figure, or None

    Parameters
    ----------
    state : name -> hashable value of what the figure function also takes and no control sets,
        such as chosen rows; see `set_state`
    before : called before the figure is drawn anew; may set controls and state
    """

    def __init__(
        self,
        figure: Draw,
        controls: Mapping[str, ipw.Widget],
        slider: str | None = None,
        state: Mapping[str, Any] | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        if slider is not None and slider not in controls:
            raise unknown("control", slider, controls)
        self.controls = dict(controls)
        self._state = dict(state or {})
        self.slider = slider
        self._figure = figure
        self._before, self._redrawing = before, False
        self._held = 0
        self.message = ipw.HTML(layout=ipw.Layout(display="none"))
        self._start = self.values
        self._listeners: list[tuple[Kind, Callable[[dict[str, Any]], Any]]] = []
        for control in self.controls.values():
            control.observe(self._changed, names="value")

    @cached_property
    def view(self) -> Plot:
        """The live figure; made when it is first asked for, a static figure does without."""
        view = Plot(*self._drawn())
        for kind, callback in self._listeners:
            view.on(kind, callback)
        return view

    @cached_property
    def widget(self) -> ipw.Widget:
        """Controls above the live figure, to be displayed."""
        shown = [c for c in self.controls.values() if isinstance(c, ipw.Widget)]
        return ipw.VBox([row_of(shown), self.message, self.view])

    def on(self, kind: Kind, callback: Callable[[dict[str, Any]], Any]) -> None:
        """Call `callback` when a person does something to the live figure; see `Plot.on`."""
        self._listeners.append((kind, callback))
        if "view" in self.__dict__:
            self.view.on(kind, callback)

    @property
    def values(self) -> dict[str, Any]:
        """The controls' present values, and the state."""
        return {name: control.value for name, control in self.controls.items()} | self._state

    def set(self, **values: Any) -> None:
        """Set several controls with one redraw."""
        for name in values:
            if name not in self.controls:
                raise unknown("control", name, self.controls)
        with self.hold():
            for name, value in values.items():
                self.controls[name].value = value

    def set_state(self, **values: Any) -> None:
        """Set what no control sets, with one redraw if it differs."""
        for name in values:
            if name not in self._state:
                raise unknown("state", name, self._state)
        with DRAWING:
            if any(self._state[name] != value for name, value in values.items()):
                self._state |= values
                self._changed()

    def fit_page(self, **values: Any) -> None:
        """Set what the page is like, such as its width; a reset leaves it, as the page stays."""
        self.set_state(**values)
        self._start |= values

    def reset(self) -> None:
        """Set every control, and zoom and legend, back to what they were at first."""
        with self.hold():
            self.set(**{name: self._start[name] for name in self.controls})
            self.set_state(**{name: self._start[name] for name in self._state})
        if "view" in self.__dict__:
            self.view.restore()

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Redraw once, at the end, whatever changes inside."""
        with DRAWING:
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1
                if not self._held:
                    self.redraw()

    def say(self, message: str) -> None:
        """Show what is wrong until the figure is drawn again; "" for nothing."""
        self.message.value = f"<b>{html.escape(message)}</b>" if message else ""
        self.message.layout.display = None if message else "none"

    def redraw(self) -> None:
        """Draw the present values; one message to the page if traces keep their number."""
        with DRAWING:
            if self._redrawing:  # what stands around the figure follows the values, too
                return
            self._redrawing = True
            try:
                self._before()
                if "view" not in self.__dict__:
                    return
                new = self._drawn()
            except InputError as error:
                self.say(str(error))
                return
            finally:
                self._redrawing = False
            self.say("")
            self.view.show(*new)

    def figure(
        self,
        *,
        menus: Sequence[str] | Mapping[str, Sequence[Any] | None] = (),
        layers: Sequence[str] = (),
        one_of: str | None = None,
        frames: int | None = None,
        draw: Draw | None = None,
        slider: str | None = None,
        **fixed: Any,
    ) -> go.Figure:
        """Return one static figure that needs no kernel: slider, play and menus are plotly's own.

        Parameters
        ----------
        menus : controls whose options become one drop-down list (their combinations, if
            several); as a mapping, control -> the values to list, None for all
        layers : on/off controls of the same name as a layer of traces (`meta["layer"]`): a
            second list shows or hides them, whatever the first list and the slider say; at first
            they are as the controls are
        one_of : a control with a list of which one group of traces is shown at a time: those whose
            ``meta["beneath"]`` is its value, which is all that `draw` need not follow
        frames : most positions of the slider; more are thinned evenly, the ends kept
        draw : draws instead of the bound function, e.g. smaller; may return the plain data and
            layout of a figure, which plotly then checks once and not at every step
        slider : another control to make the slider of
        fixed : values of other controls; default their present ones

        Raises
        ------
        InputError
            If a control is unknown or has no options to list.
        """
        listed = dict(menus) if isinstance(menus, Mapping) else dict.fromkeys(menus)
        along = slider or self.slider
        single = [name for name in (along, one_of) if name]
        for name in (*listed, *layers, *single):
            if name not in self.controls:
                raise unknown("control", name, self.controls)
        for name in fixed:
            if name not in self.values:
                raise unknown("control", name, self.controls)
        base = self.values | fixed | dict.fromkeys(layers, True)
        steps = None
        if along is not None:
            steps = _menu(along, self.controls[along])
            if frames is not None:
                steps = steps.thinned(frames, base[along])
        return lay_out(
            draw or self._figure,
            base,
            slider=steps,
            menus=[_menu(name, self.controls[name]).only(keep) for name, keep in listed.items()],
            layers={name: bool(self.values[name]) for name in layers},
            one_of=_menu(one_of, self.controls[one_of]) if one_of else None,
        )

    def _changed(self, _change: object = None) -> None:
        with DRAWING:
            if not self._held:
                self.redraw()

    def _drawn(self) -> Plain:
        return self._plain(tuple((name, _frozen(value)) for name, value in self.values.items()))

    @cached_method(_KEPT)
    def _plain(self, values: tuple[tuple[str, Any], ...]) -> Plain:
        return plain(self._figure(**dict(values)))


def bind(figure: Draw, *, slider: str | None = None, **controls: ipw.Widget) -> Bound:
    """Return `figure(**values)` as a widget that is redrawn when a control's value changes.

    Parameters
    ----------
    figure : returns a go.Figure, or a mapping with its plain ``data`` and ``layout`` (which plotly
        then need not check at every step), for keyword arguments named like the controls. Slow
        work belongs before it or into a cache; a figure once drawn is kept.
    slider : the control that becomes the slider of `Bound.figure`; default the first one that is
        a slider
    controls : ipywidgets, or anything with a `value` trait

    Returns
    -------
    Bound
        ``controls``, the live figure ``view``, and ``figure()``, a static one with a slider.

    Examples
    --------
    >>> import ipywidgets, plotly.graph_objects as go
    >>> ui = vcviz.explorers.bind(
    ...     lambda k: go.Figure(go.Scatter(y=[0, k])), k=ipywidgets.IntSlider(1, 0, 3)
    ... )
    >>> ui.controls["k"].value = 2
    >>> ui.view.data[0].y
    (0, 2)
    """
    if slider is None:
        sliders = (*_RANGES, ipw.SelectionSlider)
        slider = next((n for n, c in controls.items() if isinstance(c, sliders)), None)
    return Bound(figure, controls, slider)


def _menu(name: str, control: ipw.Widget) -> Menu:
    if not isinstance(control, (*_LISTS, *_RANGES, ipw.Checkbox)):
        raise InputError(
            f"control {name!r} ({type(control).__name__}) has no options to list in a static figure"
        )
    title = (control.description or name).rstrip(":")
    if isinstance(control, _LISTS):
        pairs = [o if isinstance(o, tuple) else (str(o), o) for o in control.options]
        return Menu(name, title, tuple(str(p[0]) for p in pairs), tuple(p[1] for p in pairs))
    if isinstance(control, ipw.Checkbox):
        return Menu(name, title, ("off", "on"), (False, True))
    if isinstance(control, ipw.IntSlider):
        whole = tuple(range(control.min, control.max + 1, control.step))
        return Menu(name, title, tuple(map(str, whole)), whole)
    n = round((control.max - control.min) / control.step)
    values = tuple(float(v) for v in np.linspace(control.min, control.max, n + 1))
    if isinstance(control, ipw.FloatLogSlider):
        values = tuple(float(control.base**v) for v in values)
    return Menu(name, title, tuple(f"{v:.3g}" for v in values), values)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, (list, tuple)) else value
