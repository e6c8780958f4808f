"""A figure function laid out over control values as one plotly figure with native controls.

Plotly's menus overwrite each other's choices, so each kind of control here owns a property of its
own: the slider the data (frames), the list of views `visible` (each view has its own traces), the
switches of layers `opacity`, and so does the list of what lies beneath, of traces that are no
layers. Any combination of them therefore shows what it says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from tqdm.auto import tqdm

from vcviz.base.errors import InputError
from vcviz.figures.differences import differences
from vcviz.figures.native import OFF, ON, Menu, frame_name, place
from vcviz.figures.theme import escape

#: more sets of traces than this make a page that nobody wants to open
MAX_VIEWS = 12
#: what stands for every view; the first view has such a trace like all others
_ALL = -1

#: data and layout of a figure, plain
Spec = Mapping[str, Any]
Draw = Callable[..., go.Figure | Spec]


def lay_out(
    draw: Draw,
    values: Mapping[str, Any],
    *,
    slider: Menu | None = None,
    menus: Sequence[Menu] = (),
    layers: Mapping[str, bool] | None = None,
    one_of: Menu | None = None,
    share: bool = False,
    progress: bool = True,
) -> go.Figure:
    """Return one figure with plotly's own slider, play button and lists.

    Parameters
    ----------
    draw : returns a figure, or its plain data and layout, for keyword arguments
    values : what `draw` gets, but for the options below
    slider : options along the slider; the figure starts at `values[slider.name]`
    menus : their combinations become one list of views
    layers : names of layers (`meta["layer"]` of traces) with a switch each -> whether it is shown
        at first
    one_of : a list that shows one group of traces at a time, those whose ``meta["beneath"]`` is
        its value; at first that of `values`
    share : let a trace that is the same in all views stand there once, which is smaller; traces
        then stand in the order of their numbers, not view by view
    progress : show a bar if it takes longer than two seconds

    Raises
    ------
    InputError
        If there are too many combinations, or traces differ in number along the slider.
    """
    choices = list(itertools.product(*(range(len(m.values)) for m in menus)))
    if len(choices) > MAX_VIEWS:
        raise InputError(
            f"{len(choices)} combinations of {', '.join(m.name for m in menus)} are too many "
            f"for one figure (at most {MAX_VIEWS}); leave a menu out"
        )
    chosen = [{m.name: m.values[i] for m, i in zip(menus, c, strict=True)} for c in choices]
    first = next((i for i, c in enumerate(chosen) if all(values[k] == c[k] for k in c)), 0)
    n_steps = len(slider.values) if slider else 1
    with tqdm(
        total=len(chosen) * n_steps, desc="laying out", delay=2, leave=False, disable=not progress
    ) as bar:
        views = [_View(draw, {**values, **choice}, slider, bar.update) for choice in chosen]

    places = _places(views, share)
    data = [
        trace | {"visible": v in (_ALL, first) and trace.get("visible", True)}
        for v, trace in ((v, views[v].data[j]) for v, j in places)
    ]
    layout = dict(views[first].layout)
    frames = _frames(views, places, slider) if slider else []
    lists = [_view_list(views, places, menus, choices, first)] if len(views) > 1 else []
    if layers:
        lists += _switches(data, layers, len(lists) + (slider is not None))
    if one_of is not None:
        lists.append(_single_list(data, one_of, values[one_of.name]))
    # Without a redraw plotly.js draws scatter traces alone: any other that stands there, moving or
    # not, would vanish, and the layout would stay.
    redraw = any(frame["layout"] for frame in frames) or any(
        trace.get("type", "scatter") != "scatter" for trace in data
    )
    start = slider.index(values[slider.name]) if slider else 0
    layout |= place(layout, lists, slider, start, redraw)
    return go.Figure(data, layout, frames)


class _View:
    """One combination: its traces and layout at the start, and what changes along the slider."""

    def __init__(
        self,
        draw: Draw,
        values: dict[str, Any],
        slider: Menu | None,
        tick: Callable[[], Any],
    ) -> None:
        self.moves: list[dict[int, dict[str, Any]]] = []
        self.layout_moves: list[dict[str, Any]] = []
        if slider is None:
            self.data, self.layout = plain(draw(**values))
            tick()
            return
        steps = []
        for value in slider.values:
            steps.append(plain(draw(**{**values, slider.name: value})))
            tick()
        self.data, self.layout = steps[slider.index(values[slider.name])]
        kinds = [trace.get("type", "scatter") for trace in self.data]
        if any([t.get("type", "scatter") for t in data] != kinds for data, _ in steps):
            raise InputError(
                f"the figure has other traces at another {slider.name}; along the slider of a "
                "static figure they must stay the same in number and type"
            )
        moving: list[set[str]] = [set() for _ in kinds]
        for data, _ in steps:
            for paths, mine, other in zip(moving, self.data, data, strict=True):
                paths |= differences(mine, other).keys() - {"uid"}
        #: per step: trace number -> its type and those properties that are not the same everywhere
        self.moves = [
            {
                i: {"type": kinds[i]} | _picked(data[i], paths)
                for i, paths in enumerate(moving)
                if paths
            }
            for data, _ in steps
        ]
        still = set().union(*(differences(self.layout, layout) for _, layout in steps))
        self.layout_moves = [_picked(layout, still) for _, layout in steps]


def plain(figure: go.Figure | Spec) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the traces and the layout of a figure as dictionaries, their arrays in 32 bits."""
    if isinstance(figure, Mapping):
        return [_small(dict(trace)) for trace in figure["data"]], dict(figure["layout"])
    data = [_small(trace.to_plotly_json()) for trace in figure.data]
    return data, figure.layout.to_plotly_json()


def _small(value: Any) -> Any:
    """Return properties with 32-bit arrays, which go into a page as half as much text."""
    if isinstance(value, dict):
        return {k: _small(v) for k, v in value.items()}
    if isinstance(value, np.ndarray) and value.dtype in (np.float64, np.int64):
        with np.errstate(over="ignore"):  # what 32 bits do not reach is not drawn
            return value.astype(np.float32 if value.dtype.kind == "f" else np.int32)
    return value


def _picked(source: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return the part of nested properties that these dotted paths name."""
    found: dict[str, Any] = {}
    for path in sorted(paths):
        *parents, leaf = path.split(".")
        target = found
        for name in parents:
            target = target.setdefault(name, {})
        target[leaf] = _at(source, path)
    return found


def _at(source: Mapping[str, Any], path: str) -> Any:
    value: Any = source
    for name in path.split("."):
        name, _, place = name.partition("[")
        value = value.get(name) if isinstance(value, Mapping) else None
        if place and value is not None:
            value = value[int(place[:-1])]
    return value


def _fine(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """Return paths of what differs, into lists of equal length: ``annotations[2].text``."""
    found = set()
    for path in differences(one, other):
        a, b = _at(one, path), _at(other, path)
        lists = isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b)
        if lists and all(isinstance(entry, Mapping) for entry in (*a, *b)):
            for i, (mine, theirs) in enumerate(zip(a, b, strict=True)):
                found |= {f"{path}[{i}].{inner}" for inner in differences(mine, theirs)}
        else:
            found.add(path)
    return found


def _places(views: Sequence[_View], share: bool) -> list[tuple[int, int]]:
    """Return view and number of each trace of the figure, in the order in which they are drawn.

    A shared trace, the same in every view at every step, is that of view `_ALL`.
    """
    sizes = [len(view.data) for view in views]
    if not share or len(views) == 1 or len(set(sizes)) > 1:
        return [(v, j) for v, n in enumerate(sizes) for j in range(n)]
    found = []
    for j in range(sizes[0]):
        shared = all(_same(views[0], view, j) for view in views[1:])
        found += [(_ALL, j)] if shared else [(v, j) for v in range(len(views))]
    return found


def _same(one: _View, other: _View, j: int) -> bool:
    """Return whether trace `j` is the same in both views, whatever the slider says."""
    return not differences(one.data[j], other.data[j]) and not any(
        differences(a.get(j, {}), b.get(j, {})) for a, b in zip(one.moves, other.moves, strict=True)
    )


def _frames(
    views: Sequence[_View], places: Sequence[tuple[int, int]], slider: Menu
) -> list[dict[str, Any]]:
    frames = []
    for s, label in enumerate(slider.labels):
        layout = views[0].layout_moves[s]
        if any(differences(layout, view.layout_moves[s]) for view in views[1:]):
            raise InputError(
                f"the layout changes along {slider.name}, and not alike in every view, which a "
                "static figure cannot show; draw what changes as a trace"
            )
        moves = {
            i: views[v].moves[s][j] for i, (v, j) in enumerate(places) if j in views[v].moves[s]
        }
        frames.append(
            {
                "name": frame_name(label),
                "data": list(moves.values()),
                "traces": list(moves),
                "layout": layout,
            }
        )
    return frames


def _view_list(
    views: Sequence[_View],
    places: Sequence[tuple[int, int]],
    menus: Sequence[Menu],
    choices: Sequence[Sequence[int]],
    first: int,
) -> dict[str, Any]:
    """Return a list that shows the traces of one view and sets its axes."""
    own = [i for i, (v, _) in enumerate(places) if v != _ALL]
    paths = sorted({p for view in views for p in _fine(views[first].layout, view.layout)})
    buttons = []
    for n, (view, choice) in enumerate(zip(views, choices, strict=True)):
        parts = [f"{m.title}: {m.labels[j]}" for m, j in zip(menus, choice, strict=True)]
        visible = [
            places[i][0] == n and views[n].data[places[i][1]].get("visible", True) for i in own
        ]
        layout = {path: _at(view.layout, path) for path in paths}
        buttons.append(
            {
                "label": escape(" · ".join(parts), 60),
                "method": "update",
                "args": [{"visible": visible}, layout, *([own] if len(own) < len(places) else [])],
            }
        )
    return {"buttons": buttons, "active": first}


def _switches(
    data: list[dict[str, Any]], layers: Mapping[str, bool], first: int
) -> list[dict[str, Any]]:
    """Return a switch for each layer; those not shown at first are hidden.

    A switch says by its own label whether it is on, as nothing else of a button does that everyone
    can see. `first` is its number among all buttons and lists of the figure.
    """
    owner = [(trace.get("meta") or {}).get("layer") for trace in data]
    found = []
    for number, (layer, on) in enumerate(layers.items(), first):
        rows = [i for i, own in enumerate(owner) if own == layer]
        place = f"updatemenus[{number}].buttons[0].label"
        labels = [f"{mark} {escape(layer)}" for mark in (OFF, ON)]
        off_args, on_args = ([{"opacity": float(i)}, {place: labels[i]}, rows] for i in (0, 1))
        if not on:
            for i in rows:
                data[i] = data[i] | {"opacity": 0.0}
        button = {"label": labels[on], "method": "update", "args": on_args, "args2": off_args}
        found.append({"type": "buttons", "buttons": [button], "active": 0 if on else -1})
    return found


def _single_list(data: list[dict[str, Any]], menu: Menu, value: Any) -> dict[str, Any]:
    """Return a list that shows one group of traces, and their bar of colours; others are hidden."""
    owner = [(trace.get("meta") or {}).get("beneath") for trace in data]
    rows = [i for i, group in enumerate(owner) if group is not None]
    barred = [bool(data[i].get("marker", {}).get("showscale")) for i in rows]

    def shown(value: Any) -> dict[str, list[Any]]:
        on = [owner[i] == value for i in rows]
        bars = [a and b for a, b in zip(on, barred, strict=True)]
        return {"opacity": [float(one) for one in on], "marker.showscale": bars}

    first = shown(value)
    for i, opacity, bar in zip(rows, *first.values(), strict=True):
        data[i] = data[i] | {"opacity": opacity}
        if "marker" in data[i]:
            data[i]["marker"] = data[i]["marker"] | {"showscale": bar}
    buttons = [
        {
            "label": escape(f"{menu.title}: {label}"),
            "method": "restyle",
            "args": [shown(option), rows],
        }
        for label, option in zip(menu.labels, menu.values, strict=True)
    ]
    return {"buttons": buttons, "active": menu.index(value)}
