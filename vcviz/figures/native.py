"""Plotly's own slider, play button and lists: how they look and where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vcviz.base.errors import InputError, unknown
from vcviz.figures.theme import escape

_STEP_MS = 350
_BELOW = 60  # pixels of tick labels and titles beneath the axes
_SLIDER_PX, _LISTS_PX = 78, 42
_ROW_PX = 720  # of lists side by side, on a narrow page
#: what a switch is labelled with beside its name
ON, OFF = "☑", "☐"
_EDGE = "rgba(128,128,128,0.6)"
_BUTTONS = {
    "x": 0,
    "y": 0,
    "xanchor": "left",
    "yanchor": "top",
    "font": {"size": 12, "color": "#2B2B2B"},
    "bgcolor": "#EDEDED",
    "bordercolor": _EDGE,
}


@dataclass(frozen=True)
class Menu:
    """A control's options: its name, what it is called, and label and value of each."""

    name: str
    title: str
    labels: tuple[str, ...]
    values: tuple[Any, ...]

    def index(self, value: Any) -> int:
        """Return the position of a value, for numbers of the nearest."""
        if value in self.values:
            return self.values.index(value)
        if isinstance(value, float):
            return int(np.abs(np.array(self.values, dtype=float) - value).argmin())
        raise InputError(f"{self.title} has no option {value!r}")

    def thinned(self, limit: int, keep: Any) -> Menu:
        """Return at most `limit` options, spread evenly; the ends and `keep` stay."""
        n, at = len(self.values), self.index(keep)
        if n <= limit:
            return self
        chosen = set(np.linspace(0, n - 1, max(limit, 2)).round().astype(int).tolist())
        if at not in chosen:
            nearest = min(chosen - {0, n - 1}, key=lambda i: abs(i - at), default=at)
            chosen = (chosen - {nearest}) | {at}
        return self._rows(sorted(chosen))

    def only(self, values: Sequence[Any] | None) -> Menu:
        """Return the options that have these values; None keeps all."""
        if values is None:
            return self
        for value in values:
            if value not in self.values:
                raise unknown(self.title, value, [str(v) for v in self.values])
        return self._rows([self.values.index(v) for v in values])

    def _rows(self, rows: Sequence[int]) -> Menu:
        labels, values = (tuple(part[i] for i in rows) for part in (self.labels, self.values))
        return Menu(self.name, self.title, labels, values)


def frame_name(label: str) -> str:
    """Return the name of the frame of a slider's label."""
    return f"at {label}"


def place(
    layout: Mapping[str, Any],
    lists: Sequence[dict[str, Any]],
    slider: Menu | None,
    start: int,
    redraw: bool,
) -> dict[str, Any]:
    """Return layout that puts slider, play button and lists in rows beneath the figure.

    Parameters
    ----------
    layout : the figure's, of which margin and height grow
    lists : buttons and active number of each drop-down list or switch
    slider, start : options of the slider and the one to start at
    redraw : whether a frame must be drawn anew because more than scatter data change
    """
    margin = dict(layout.get("margin") or {})
    below = margin.get("b") or _BELOW
    room, menus = 0, []
    found: dict[str, Any] = {}
    if slider is not None:
        found["sliders"] = [_slider(slider, start, redraw, below)]
        menus.append(_play(redraw, below + 20))
        room += _SLIDER_PX
    left = 0
    for entry in lists:
        width = 52 + 7 * max(len(b["label"]) for b in entry["buttons"])
        look: dict[str, Any] = {"direction": "up"}
        if entry.get("type") == "buttons":
            width, look = width - 16, {"direction": "right", "showactive": False}
        if left and left + width > _ROW_PX:
            left, room = 0, room + _LISTS_PX
        menus.append({**_BUTTONS, **entry, **look, "pad": {"t": below + room, "l": left}})
        left += width
    room += _LISTS_PX if lists else 0
    found["updatemenus"] = menus
    found["margin"] = margin | {"b": below + room}
    found["height"] = (layout.get("height") or 450) + room
    return found


def _animation(redraw: bool, duration: int = 0) -> dict[str, Any]:
    return {
        "mode": "immediate",
        "frame": {"duration": duration, "redraw": redraw},
        "transition": {"duration": 0},
    }


def _slider(slider: Menu, start: int, redraw: bool, top: float) -> dict[str, Any]:
    steps = [
        {
            "label": escape(label),
            "method": "animate",
            "args": [[frame_name(label)], _animation(redraw)],
        }
        for label in slider.labels
    ]
    return {
        "steps": steps,
        "active": start,
        "currentvalue": {"prefix": f"{escape(slider.title)}: ", "font": {"size": 13}},
        "x": 0,
        "y": 0,
        "len": 1.0,
        "pad": {"t": top, "l": 110},
        "ticklen": 4,
        "font": {"size": 11},
        "bgcolor": "rgba(128,128,128,0.25)",
        "activebgcolor": _EDGE,
        "bordercolor": _EDGE,
        "tickcolor": _EDGE,
    }


def _play(redraw: bool, top: float) -> dict[str, Any]:
    go_on = {**_animation(redraw, _STEP_MS), "fromcurrent": True}
    buttons = [
        {"label": "▶", "method": "animate", "args": [None, go_on]},
        {"label": "❚❚", "method": "animate", "args": [[None], _animation(False)]},
    ]
    look = {"type": "buttons", "direction": "left", "showactive": False, "pad": {"t": top, "l": 0}}
    return {**_BUTTONS, **look, "buttons": buttons}
