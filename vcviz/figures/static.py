"""A figure function laid out over control values as one plotly figure with native controls.

Plotly's menus overwrite each other's choices, so each kind of control here owns a property of its
own: the slider the data (frames), the list of views `visible` (each view has its own traces), the
list of layers `opacity`. Any combination of the three therefore shows what it says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from tqdm.auto import tqdm

from vcviz.errors import InputError
from vcviz.figures.differences import differences
from vcviz.figures.native import Menu, frame_name, place
from vcviz.figures.theme import escape

#: more sets of traces than this make a page that nobody wants to open
MAX_VIEWS = 12

#: data and layout of a figure, plain
Spec = Mapping[str, Any]
Draw = Callable[..., go.Figure | Spec]


def lay_out(
    draw: Draw,
    values: Mapping[str, Any],
    *,
    slider: Menu | None = None,
    menus: Sequence[Menu] = (),
    layers: Mapping[str, bool] | Sequence[str] = (),
    progress: bool = True,
) -> go.Figure:
    """Return one figure with plotly's own slider, play button and lists.

    Parameters
    ----------
    draw : returns a figure, or its plain data and layout, for keyword arguments
    values : what `draw` gets, but for the options below
    slider : options along the slider; the figure starts at `values[slider.name]`
    menus : their combinations become one list of views
    layers : names of layers (`meta["layer"]` of traces) that a second list shows or hides; as a
        mapping, name -> whether it is shown at first, else all are
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

    data = [{**trace, "visible": i == first} for i, view in enumerate(views) for trace in view.data]
    layout = dict(views[first].layout)
    frames = _frames(views, slider) if slider else []
    lists = [_view_list(views, menus, choices, first)] if len(views) > 1 else []
    if layers:
        shown = dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, True)
        lists.append(_layer_list(data, shown))
    # Anything but scatter, and the layout, changes only if the frame is drawn anew.
    redraw = any(
        frame["layout"] or any(t["type"] != "scatter" for t in frame["data"]) for frame in frames
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
        return value.astype(np.float32 if value.dtype.kind == "f" else np.int32)
    return value


def _picked(source: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return the part of nested properties that these dotted paths name."""
    found: dict[str, Any] = {}
    for path in paths:
        *parents, leaf = path.split(".")
        target = found
        for name in parents:
            target = target.setdefault(name, {})
        target[leaf] = _at(source, path)
    return found


def _at(source: Mapping[str, Any], path: str) -> Any:
    value: Any = source
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _frames(views: Sequence[_View], slider: Menu) -> list[dict[str, Any]]:
    offsets = np.cumsum([0, *(len(view.data) for view in views)]).tolist()
    frames = []
    for s, label in enumerate(slider.labels):
        layout = views[0].layout_moves[s]
        if any(differences(layout, view.layout_moves[s]) for view in views[1:]):
            raise InputError(
                f"the layout changes along {slider.name}, and not alike in every view, which a "
                "static figure cannot show; draw what changes as a trace"
            )
        moves = {
            offset + i: change
            for offset, view in zip(offsets, views, strict=False)
            for i, change in view.moves[s].items()
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
    views: Sequence[_View], menus: Sequence[Menu], choices: Sequence[Sequence[int]], first: int
) -> dict[str, Any]:
    """Return a list that shows the traces of one view and sets its axes."""
    paths = {path for view in views for path in differences(views[first].layout, view.layout)}
    buttons = []
    for view, choice in zip(views, choices, strict=True):
        parts = [f"{m.title}: {m.labels[j]}" for m, j in zip(menus, choice, strict=True)]
        visible = [other is view for other in views for _ in other.data]
        layout = {path: _at(view.layout, path) for path in paths}
        buttons.append(
            {
                "label": escape(" · ".join(parts), 60),
                "method": "update",
                "args": [{"visible": visible}, layout],
            }
        )
    return {"buttons": buttons, "active": first}


def _layer_list(data: list[dict[str, Any]], layers: Mapping[str, bool]) -> dict[str, Any]:
    """Return a list that shows any subset of the layers; those not shown at first are hidden."""
    owner = [(trace.get("meta") or {}).get("layer") for trace in data]
    rows = [i for i, layer in enumerate(owner) if layer in layers]
    subsets = [s for n in range(len(layers), -1, -1) for s in itertools.combinations(layers, n)]
    first = tuple(layer for layer, on in layers.items() if on)
    for i in rows:
        if owner[i] not in first:
            data[i] = data[i] | {"opacity": 0.0}
    buttons = [
        {
            "label": escape("Lines: " + (" + ".join(subset) or "none")),
            "method": "restyle",
            "args": [{"opacity": [float(owner[i] in subset) for i in rows]}, rows],
        }
        for subset in subsets
    ]
    return {"buttons": buttons, "active": subsets.index(first)}
