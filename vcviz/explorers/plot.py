"""A live plotly figure: one copy of plotly.js a page, and only what changed is sent."""

from __future__ import annotations

import gzip
import importlib.resources
import pathlib
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, get_args

import anywidget
import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
import traitlets
from numpy.typing import NDArray

from vcviz.base.errors import unknown
from vcviz.figures.differences import differences
from vcviz.headless.access import access_script, access_style

Kind = Literal["click", "hover", "unhover", "drag", "select", "viewport", "resize"]
#: what is told of a point
_OF_POINTS = ("click", "hover", "drag")


class _Shown(NamedTuple):
    """What is shown, and how often that changed."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]
    version: int


#: held by the thread that sets and draws: JupyterLab hands messages of widgets to threads of their
#: own, beside that of the cells. One for all figures, as linked ones set each other.
DRAWING = threading.RLock()
#: what plotly.js takes as a typed array
_DTYPES = {"f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4"}
_ASSETS = pathlib.Path(__file__).parent / "assets"
_ESM = _ASSETS / "plot.js"


class _Library(anywidget.AnyWidget):
    """plotly.js and our script around it, sent to a page once however many figures it holds.

    Plotly's own FigureWidget sends and saves all of it with every figure.
    """

    _esm = "export default { render() {} };"
    code = traitlets.Bytes().tag(sync=True)


@cache
def _library() -> _Library:
    source = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    scripts = access_script() + (_ASSETS / "handles.js").read_text(encoding="utf-8")
    return _Library(code=gzip.compress(source.read_bytes() + b"\n" + scripts.encode(), 6))


class Plot(anywidget.AnyWidget):
    """A plotly figure in a notebook, with what a person does to it as events.

    Messages to the page go through a plain widget of ipywidgets: anywidget hands on none at all
    to a widget that its page did not start within two seconds. They are numbered, so that a page
    that missed one, or came late, gets the whole figure.

    Parameters
    ----------
    data, layout : traces and layout as plain dictionaries
    label : what the figure is called by a screen reader; default its headings

    Attributes
    ----------
    data : tuple of plotly traces, what is shown
    layout : plotly's layout of what is shown
    """

    _esm = _ESM
    _css = access_style() + (_ASSETS / "handles.css").read_text(encoding="utf-8")
    _library = traitlets.Instance(_Library).tag(sync=True, **ipw.widget_serialization)
    _channel = traitlets.Instance(ipw.Widget).tag(sync=True, **ipw.widget_serialization)
    _figure = traitlets.Dict().tag(
        sync=True, to_json=lambda _, plot: _packed(plot._shown._asdict())
    )
    _listened = traitlets.List(traitlets.Unicode()).tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)

    def __init__(self, data: list[dict[str, Any]], layout: dict[str, Any], label: str = "") -> None:
        self._shown = _Shown(data, layout, 0)
        self._objects: tuple[_Shown, go.Figure] | None = None
        self._callbacks: dict[str, list[Callable[[dict[str, Any]], Any]]] = {}
        super().__init__(_library=_library(), _channel=ipw.Widget(), label=label)
        self.on_msg(self._received)
        self._channel.on_msg(self._resend)

    @property
    def data(self) -> tuple[Any, ...]:
        """The traces that are shown."""
        return self._as_figure().data

    @property
    def layout(self) -> go.Layout:
        """The layout that is shown, without what a person did to it."""
        return self._as_figure().layout

    def show(self, data: list[dict[str, Any]], layout: dict[str, Any]) -> None:
        """Draw other data and layout, in one message with only what differs.

        What a person did to the figure (zoom, legend, selection) stays unless the figure itself
        changes it.
        """
        with DRAWING:
            old = self._shown
            arrays: list[bytes] = []
            if [_kind(t) for t in old.data] == [_kind(t) for t in data]:
                changes = [differences(was, now) for was, now in zip(old.data, data, strict=True)]
                content: dict[str, Any] = {
                    "traces": {i: change for i, change in enumerate(changes) if change}
                }
            else:
                content = {"data": data}
            content["layout"] = differences(old.layout, layout)
            changed = content.get("data") or content.get("traces") or content["layout"]
            version = old.version + bool(changed)
            self._shown = _Shown(data, layout, version)
            if changed:
                self.send(_packed(content | {"version": version}, arrays), arrays)

    def send(self, content: Any, buffers: Any = None) -> None:
        """Send a message to the page."""
        self._channel.send(content, buffers)

    def close(self) -> None:
        """Take the figure and its channel away."""
        self._channel.close()
        super().close()

    def restore(self) -> None:
        """Undo what a person did to the figure: zoom, legend and selection."""
        self.send({"kind": "restore"})

    def tip(self, *, image: str | None = None, text: str = "") -> None:
        """Show a picture (a data URI) or a text beside what is pointed at.

        It goes when the pointer leaves. The text is shown as it is, without markup.
        """
        self.send({"kind": "tip", "image": image, "text": text})

    def download(self, name: str, content: bytes, mime: str = "application/octet-stream") -> None:
        """Let the page save bytes as a file of this name, where the browser keeps downloads."""
        self.send({"kind": "download", "name": name, "mime": mime}, [content])

    def on(self, kind: Kind, callback: Callable[[dict[str, Any]], Any]) -> None:
        """Call `callback` with a dictionary whenever a person does something.

        Parameters
        ----------
        kind : "click" and "hover" tell ``trace``, ``point``, ``x``, ``y``, the trace's ``meta``
            and its panel's ``axes`` (the names of both); "unhover" nothing; "select" ``axes``,
            ``polygon``, (P, 2) corners in their units or None when it is cleared, and ``combine``,
            "add" with Shift, "remove" with Alt, else None; "viewport"
            ``axes`` and ``range``, ((x0, x1), (y0, y1)); "resize" the ``width`` in pixels that the
            page gives the figure, at first and whenever it changes
        callback : anything it returns is ignored

        Notes
        -----
        A person can drag the points of a trace with ``meta["draggable"]``, by mouse, touch or
        arrow keys: True, or a mapping with limits ``x`` and ``y``, (low, high) in units of the
        axes (default their range), and the ``step`` of the grid that they stay on. Each point
        gets a button, so let there be a few, on axes of numbers. A point follows the hand at once;
        callbacks hear of it while it moves, ``done`` False, whenever they are through with the
        place before, and at last with ``done`` True. Escape puts it back where it was, which is
        one more place. Then it stands where the figure that they have shown puts it.
        """
        if kind not in get_args(Kind):
            raise unknown("event", kind, get_args(Kind))
        self._callbacks.setdefault(kind, []).append(callback)
        self._listened = sorted(self._callbacks)

    def tell(self, kind: Kind, **event: Any) -> None:
        """Call what listens to `kind`, as the page does when a person acts."""
        if kind in _OF_POINTS:
            trace = self._shown.data[event["trace"]]
            event["meta"] = trace.get("meta") or {}
            event["axes"] = (trace.get("xaxis", "x"), trace.get("yaxis", "y"))
        for callback in self._callbacks.get(kind, ()):
            callback(event)

    def _received(self, _widget: Any, content: Mapping[str, Any], _buffers: Any) -> None:
        event = dict(content)
        kind = event.pop("kind", None)
        if kind == "drag":
            self._dragged(event)
            return
        if kind in _OF_POINTS and not 0 <= event["trace"] < len(self._shown.data):
            return  # of a figure that is no longer shown
        if kind == "select" and event["polygon"] is not None:
            event["polygon"] = np.asarray(event["polygon"], dtype=float)
        if kind in get_args(Kind):
            self.tell(kind, **event)

    def _dragged(self, event: dict[str, Any]) -> None:
        """Tell of a drag and let the page know, which sends the next place no earlier."""
        ticket = event.pop("ticket", None)
        try:
            traces = self._shown.data
            if event["trace"] < len(traces) and (traces[event["trace"]].get("meta") or {}).get(
                "draggable"
            ):
                self.tell("drag", **event)
        finally:
            self.send({"kind": "dragged", "ticket": ticket})

    def _resend(self, _channel: Any, content: Mapping[str, Any], _buffers: Any) -> None:
        """Send all of the figure to a page that shows another version of it."""
        with DRAWING:
            if content.get("version") != self._shown.version:
                arrays: list[bytes] = []
                self.send(_packed({"whole": self._shown._asdict()}, arrays), arrays)

    def _as_figure(self) -> go.Figure:
        with DRAWING:
            shown, made = self._shown, self._objects
            if made is None or made[0] is not shown:
                # Copies: for a moment, plotly takes the type out of a trace that it is given.
                figure = go.Figure([dict(trace) for trace in shown.data], dict(shown.layout))
                made = self._objects = shown, figure
            return made[1]


def _kind(trace: Mapping[str, Any]) -> str:
    return trace.get("type", "scatter")


def _packed(value: Any, arrays: list[bytes] | None = None) -> Any:
    """Return properties as JSON with arrays in binary: in place, or at the end of `arrays`."""
    if isinstance(value, np.ndarray):
        return _packed_array(value, arrays)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None  # JSON has no word for it, and plotly takes it for a gap
    if isinstance(value, Mapping):
        return {key: _packed(part, arrays) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(part, arrays) for part in value]
    if isinstance(value, go.layout.Template):
        return _packed(value.to_plotly_json(), arrays)
    return value


def _packed_array(value: NDArray[Any], arrays: list[bytes] | None) -> Any:
    if value.dtype == np.int64:
        value = value.astype(np.int32)
    if value.dtype.str[1:] not in _DTYPES:
        return _packed(value.tolist())
    little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    packed: dict[str, Any] = {"dtype": little.dtype.str[1:], "shape": list(value.shape)}
    if arrays is None:
        return packed | {"bytes": little.tobytes()}
    arrays.append(little.tobytes())
    return packed | {"bytes": len(arrays) - 1}
