"""A figure's still: what stands in its place before it is drawn, on paper and without scripts.

An SVG of the panels, their axes and marks, with the page's ink, made without a browser. It shows
what the figure shows at first, without its controls; of kinds of traces that it does not know
there is none.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from itertools import count, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures.theme import class_color
from vcviz.headless.slim import numbers_of

HEIGHT = 450  # plotly's own default, pixels
WIDTH = 1080  # of a page's column
_KINDS = {"scatter", "scattergl", "bar", "image", "heatmap"}
_MARGIN = {"l": 80, "r": 80, "t": 100, "b": 80}  # plotly's own
_DASHES = {"dash": "9 5", "dot": "2 4", "dashdot": "9 4 2 4", "longdash": "14 5",
           "longdashdot": "14 4 2 4"}  # fmt: skip
_STACKED, _STEPS = ("stack", "relative"), ("hv", "vh", "hvh", "vhv")  # not known either
_MOST_CELLS = 250_000  # of a heat map
_FEW_CELLS = 100  # of one that is drawn as rectangles, and not as a picture
_FEW_MARKERS = 12  # of a kind that are outlines each; more are the corners of one path
#: corners of a marker of radius 1; a circle has none
_CORNERS: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "diamond": [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
    "triangle-up": [(0, -1.1), (1.1, 0.8), (-1.1, 0.8)],
    "triangle-down": [(0, 1.1), (1.1, -0.8), (-1.1, -0.8)],
    "cross": [(-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4),
              (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4)],
    "x": [(-1, -0.6), (-0.6, -1), (0, -0.4), (0.6, -1), (1, -0.6), (0.4, 0), (1, 0.6), (0.6, 1),
          (0, 0.4), (-0.6, 1), (-1, 0.6), (-0.4, 0)],
    "hourglass": [(-1, -1.1), (1, -1.1), (-1, 1.1), (1, 1.1)],
    "line-ew": [(-1.2, 0), (1.2, 0)],
    "line-ns": [(0, -1.2), (0, 1.2)],
    "pentagon": [(math.sin(a) * 1.1, -math.cos(a) * 1.1) for a in np.arange(5) * 2 * math.pi / 5],
    "hexagon": [(math.sin(a) * 1.1, -math.cos(a) * 1.1) for a in np.arange(6) * math.pi / 3],
    "star": [(math.sin(a) * r, -math.cos(a) * r) for a, r in
             zip(np.arange(10) * math.pi / 5, [1.4, 0.55] * 5, strict=True)],
}  # fmt: skip

Floats = NDArray[np.float64]


def still(figure: Mapping[str, Any], number: int = 0) -> str | None:
    """Return the SVG of a figure's JSON, or None if it has traces that a still cannot show.

    `number` tells it from the page's others.
    """
    data, layout = figure.get("data") or [], figure.get("layout") or {}
    shown = [t for t in data if t.get("visible", True) is True and t.get("opacity", 1) > 0]
    known = all(
        t.get("type", "scatter") in _KINDS and (t.get("line") or {}).get("shape") not in _STEPS
        for t in shown
    )
    if not shown or not known or layout.get("barmode") in _STACKED:
        return None
    return "".join(_Still(shown, layout, number).parts())


@dataclass(frozen=True)
class _Axis:
    """One axis: its pixels from `start` to `end`, and what they stand for."""

    start: float
    end: float
    low: float
    high: float
    log: bool
    names: tuple[str, ...]
    spec: Mapping[str, Any]

    def __call__(self, values: Any) -> Floats:
        """Return pixels of values."""
        if self.names:
            place = {name: i for i, name in enumerate(self.names)}
            values = np.array([place.get(str(v), np.nan) for v in values], np.float64)
        return self._pixels(_numbers(values))

    def _pixels(self, found: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.log10(found) if self.log else found
        share = (found - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return (pixels, text) of each tick."""
        spec = self.spec
        if spec.get("showticklabels", True) is False:
            return []
        values: Sequence[float]
        if "tickvals" in spec:
            values = _numbers(spec["tickvals"]).tolist()
            texts = list(spec.get("ticktext") or [_short(v) for v in values])
        elif self.names:
            values, texts = list(range(len(self.names))), list(self.names)
        elif self.log:
            whole = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
            steps = (1, 2, 5) if len(whole) < 3 else (1,)
            found = [10.0**e * s for e in range(math.floor(self.low), whole.stop) for s in steps]
            values = [v for v in found if self.low - 1e-9 <= math.log10(v) <= self.high + 1e-9]
            texts = [_short(v) for v in values]
        else:
            values = _nice(self.low, self.high, abs(self.end - self.start) / 60)
            texts = [_short(v) for v in values]
        low, high = sorted((self.start, self.end))
        pairs = zip(self._pixels(np.array(values, np.float64)).tolist(), texts, strict=True)
        return [(p, t) for p, t in pairs if low - 0.5 <= p <= high + 0.5]


class _Still:
    def __init__(
        self, data: Sequence[Mapping[str, Any]], layout: Mapping[str, Any], number: int
    ) -> None:
        self.data, self.layout, self.number = data, layout, number
        self.height = float(layout.get("height") or HEIGHT)
        self.width = float(layout.get("width") or WIDTH)
        margin = _MARGIN | {k: v for k, v in (layout.get("margin") or {}).items() if v is not None}
        self.left, self.top = margin["l"], margin["t"]
        self.w = self.width - margin["l"] - margin["r"]
        self.h = self.height - margin["t"] - margin["b"]
        self.panels = list((layout.get("meta") or {}).get("panels") or [])
        self.pairs = {_pair(t) for t in data}
        self.axes: dict[str, _Axis] = {}
        self.names = count()
        for x, y in sorted(self.pairs):
            self._square(x, y)

    def parts(self) -> Iterator[str]:
        yield (
            f'<svg class="still" viewBox="0 0 {self.width:g} {self.height:g}" aria-hidden="true" '
            f'width="{self.width:g}" height="{self.height:g}">'
        )
        for x, y in sorted(self.pairs):
            yield from self._frame(x, y)
        for number, (x, y) in enumerate(sorted(self.pairs)):
            ax, ay = self.axes[x], self.axes[y]
            area = _rect((ax.start, ay.end, ax.end - ax.start, ay.start - ay.end), "none")
            clip = f"still-{self.number}-{number}"
            yield f'<clipPath id="{clip}">{area}</clipPath><g clip-path="url(#{clip})">'
            mine = [t for t in self.data if _pair(t) == (x, y)]
            yield from self._traces(mine, ax, ay)
            yield "</g>"
            for trace in mine:
                yield from self._texts(trace, ax, ay)
        yield from self._annotations()
        yield from self._legend()
        yield "</svg>"

    # ------------------------------------------------------ axes

    def _axis(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.layout.get(f"{name[0]}axis{name[1:]}") or {}
        return found

    def _of(self, name: str) -> Iterator[Mapping[str, Any]]:
        letter = name[0]
        same = {n for n in {p[letter == "y"] for p in self.pairs} | {name}
                if n == name or self._axis(n).get("matches") == name}  # fmt: skip
        return (t for t in self.data if (t.get(f"{letter}axis") or letter) in same)

    def _bounds(self, name: str) -> tuple[float, float, tuple[str, ...]]:
        spec, letter = self._axis(name), name[0]
        owner = spec.get("matches")
        if owner and "range" not in spec:
            return self._bounds(owner)
        log = spec.get("type") == "log"
        names: dict[str, None] = {}
        found = []
        pictures: list[float] = []  # the ends of heat maps that have no places of their own
        for trace in self._of(name):
            values = _values(trace.get(letter))
            if values is None and (cells := _values(trace.get("z"))) is not None:
                start, step = float(trace.get(f"{letter}0", 0)), float(trace.get(f"d{letter}", 1))
                n = cells.shape[letter == "x"]
                pictures += [start - step / 2, start + (n - 0.5) * step]
            # A picture's places are not data.
            placed = trace.get("type") in ("image", "heatmap") and f"{letter}0" in trace
            if values is None or placed:
                continue
            if len(values) and values.dtype.kind not in "fiub" and spec.get("type") != "log":
                names |= dict.fromkeys(str(v) for v in values if v is not None)
                continue
            numbers = _numbers(values)
            found.append(numbers[np.isfinite(numbers) & ((numbers > 0) | (not log))])
            # A bar begins at nothing.
            across = trace.get("orientation") == "h"
            if trace.get("type") == "bar" and (letter == "x") == across and not log:
                base = _numbers(_values(trace.get("base", 0)))
                found += [base, numbers + base]
        if names:
            low, high = -0.5, len(names) - 0.5
        else:
            every = np.concatenate(found) if found else np.empty(0)
            every = np.log10(every) if log else every
            low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
            pad = (high - low or 1.0) * 0.05
            low, high = low - pad, high + pad
            if pictures and not len(every):  # a heat map by itself fills its panel
                low, high = min(pictures), max(pictures)
        given = spec.get("range")
        if given is not None and all(v is not None for v in given):
            if not names or not any(isinstance(v, str) for v in given):
                low, high = (float(v) for v in given)
        elif spec.get("autorange") == "reversed":
            low, high = high, low
        return low, (high if high != low else low + 1), tuple(names)

    def _square(self, x: str, y: str) -> None:
        """Lay out a pair of axes; panels of equal units become narrower, as plotly makes them."""
        sx, sy = self._axis(x), self._axis(y)
        (x0, x1), (y0, y1) = (s.get("domain") or (0, 1) for s in (sx, sy))
        left, right = self.left + x0 * self.w, self.left + x1 * self.w
        bottom, top = self.top + (1 - y0) * self.h, self.top + (1 - y1) * self.h
        lx, hx, names_x = self._bounds(x)
        ly, hy, names_y = self._bounds(y)
        if x in (sy.get("scaleanchor"), None) or sx.get("scaleanchor") == y:
            ratio = float(sy.get("scaleratio") or 1)
            per = min((right - left) / abs(hx - lx), (bottom - top) / abs(hy - ly) / ratio)
            w, h = per * abs(hx - lx), per * abs(hy - ly) * ratio
            middle = (left + right) / 2
            toward = {"left": left + w / 2, "right": right - w / 2}
            middle = toward.get(sx.get("constraintoward", ""), middle)
            left, right = middle - w / 2, middle + w / 2
            ends = {"top": (top + h, top), "bottom": (bottom, bottom - h)}
            half = ((bottom + top) / 2 + h / 2, (bottom + top) / 2 - h / 2)
            bottom, top = ends.get(sy.get("constraintoward", ""), half)
        self.axes[x] = _Axis(left, right, lx, hx, sx.get("type") == "log", names_x, sx)
        self.axes[y] = _Axis(bottom, top, ly, hy, sy.get("type") == "log", names_y, sy)

    def _frame(self, x: str, y: str) -> Iterator[str]:
        ax, ay = self.axes[x], self.axes[y]
        lines = []
        if ax.spec.get("visible", True) is not False:
            lines.append(f"M{ax.start:.1f} {ay.start:.1f}H{ax.end:.1f}")
            for at, text in ax.ticks():
                lines.append(f"M{at:.1f} {ay.start:.1f}v4")
                yield _text(text, at, ay.start + 16, 11, "middle")
            if title := _title(ax.spec):
                yield _text(title, (ax.start + ax.end) / 2, ay.start + 34, 12, "middle")
        if ay.spec.get("visible", True) is not False:
            lines.append(f"M{ax.start:.1f} {ay.start:.1f}V{ay.end:.1f}")
            widest = 0
            for at, text in ay.ticks():
                lines.append(f"M{ax.start:.1f} {at:.1f}h-4")
                widest = max(widest, len(_plain(text)))
                yield _text(text, ax.start - 7, at + 4, 11, "end")
            if title := _title(ay.spec):
                turn = (
                    f"rotate(-90 {ax.start - 18 - 6.5 * widest:.1f} {(ay.start + ay.end) / 2:.1f})"
                )
                yield _text(title, ax.start - 18 - 6.5 * widest, (ay.start + ay.end) / 2, 12,
                            "middle", f' transform="{turn}"')  # fmt: skip
        yield f'<path class="still-axis" d="{"".join(lines)}"/>'

    # ------------------------------------------------------ marks

    def _group(self, trace: Mapping[str, Any], content: str, opacity: float = 1.0) -> str:
        x = trace.get("xaxis") or "x"
        panel = self.panels.index(x) + 1 if x in self.panels else 0
        layer = escape(str((trace.get("meta") or {}).get("layer") or ""), quote=True)
        opacity *= float(trace.get("opacity", 1))
        faint = f' opacity="{opacity:.2g}"' if opacity < 1 else ""
        return f'<g data-layer="{layer}" data-panel="{panel}"{faint}>{content}</g>'

    def _traces(self, traces: Sequence[Mapping[str, Any]], x: _Axis, y: _Axis) -> Iterator[str]:
        order = {"image": 0, "heatmap": 0, "bar": 1}
        for trace in sorted(traces, key=lambda t: order.get(t.get("type", "scatter"), 2)):
            kind = trace.get("type", "scatter")
            if kind == "image":
                yield self._group(trace, _image(trace, x, y))
            elif kind == "heatmap":
                yield self._group(trace, _heatmap(trace, x, y))
            elif kind == "bar":
                bars = [id(t) for t in traces if t.get("type") == "bar"]
                drawn = self._bars(trace, len(bars), bars.index(id(trace)), (x, y))
                yield self._group(trace, drawn)
            else:
                yield from self._scatter(trace, x, y)

    def _scatter(self, trace: Mapping[str, Any], x: _Axis, y: _Axis) -> Iterator[str]:
        px, py = _xy(trace, x, y)
        mode, line = str(trace.get("mode", "lines")), trace.get("line") or {}
        marker, found = trace.get("marker") or {}, ""
        color = _color(line.get("color")) or _color(marker.get("color")) or self._own(trace)
        if trace.get("fill") == "toself" and len(px):
            paint = _color(trace.get("fillcolor")) or color
            found += f'<path d="{_line(px, py, True)}" fill="{paint}" stroke="none"/>'
        if "lines" in mode and float(line.get("width", 2)) > 0:
            path = (_spline if line.get("shape") == "spline" else _line)(px, py)
            found += _stroke(path, line, color)
        for letter, axis in (("x", x), ("y", y)):
            found += _errors(trace, letter, axis, (px, py), color)
        if found:
            yield self._group(trace, found)
        if "markers" in mode:
            name = f"still-{self.number}-m{next(self.names)}"
            drawn = _markers(marker, color, px, py, name)
            yield self._group(trace, drawn, _one(marker.get("opacity"), 1.0))

    def _bars(
        self, trace: Mapping[str, Any], n_bars: int, place: int, axes: tuple[_Axis, _Axis]
    ) -> str:
        """Return the bars of a trace, which is number `place` of `n_bars`."""
        across = trace.get("orientation") == "h"
        (along, value), (at, much) = (axes[::-1], "yx") if across else (axes, "xy")
        heights = _numbers(trace.get(much))
        given = _values(trace.get(at))
        places = along(np.arange(len(heights)) if given is None else given)
        base = np.broadcast_to(_numbers(trace.get("base", 0)), heights.shape)
        unit = abs((along.end - along.start) / (along.high - along.low))
        steps = np.diff(np.unique(places))
        room = float(steps.min()) if len(steps) else unit
        width = np.full(places.shape, room * (1 - float(self.layout.get("bargap", 0.2))))
        start = places - width / 2
        if trace.get("width") is not None:
            width = np.broadcast_to(_numbers(trace["width"]) * unit, places.shape)
            start = places - width / 2
        elif self.layout.get("barmode", "group") == "group" and n_bars > 1:
            start, width = start + place * width / n_bars, width / n_bars
        if trace.get("offset") is not None:
            start = places + _numbers(trace["offset"]) * unit
        ends = value(base + heights)
        low = np.full(places.shape, value.start) if value.log else value(base)
        marker = trace.get("marker") or {}
        edge = marker.get("line") or {}
        drawn = f' opacity="{_one(marker.get("opacity"), 1.0):g}"'
        if _color(edge.get("color")) and _one(edge.get("width"), 1.0):
            drawn += f' stroke="{edge["color"]}"'
        found, colors = "", marker.get("color")
        for i, (p, a, b, w) in enumerate(zip(start, low, ends, width, strict=True)):
            if np.isfinite([p, a, b]).all():
                box = (min(a, b), p, abs(b - a), w) if across else (p, min(a, b), w, abs(b - a))
                color = _color(colors[i] if isinstance(colors, list) else colors)
                found += _rect(box, color or self._own(trace), drawn)
        px, py = (ends, places) if across else (places, ends)
        for letter, axis in zip("xy", axes, strict=True):
            found += _errors(trace, letter, axis, (px, py), "currentColor")
        return found

    def _own(self, trace: Mapping[str, Any]) -> str:
        number = next((i for i, t in enumerate(self.data) if t is trace), 0)
        return class_color(number)

    # ------------------------------------------------------ words

    def _texts(self, trace: Mapping[str, Any], x: _Axis, y: _Axis) -> Iterator[str]:
        if "text" not in str(trace.get("mode", "")) or trace.get("text") is None:
            return
        px, py = _xy(trace, x, y)
        texts = trace["text"] if isinstance(trace["text"], list) else [trace["text"]] * len(px)
        font = trace.get("textfont") or {}
        size = _one(font.get("size"), 12.0)
        position = trace.get("textposition")
        up, _, side = (position if isinstance(position, str) else "middle").partition(" ")
        anchor = {"right": "start", "left": "end"}.get(side, "middle")
        low, high = sorted((x.start, x.end))
        for i, (a, b, text) in enumerate(zip(px, py, texts, strict=False)):
            lines = len(_broken(text or ""))
            if not text or not np.isfinite([a, b]).all() or not low - 1 <= a <= high + 1:
                continue
            rise = {"top": -(lines - 1) * size * 1.3 - 5, "bottom": size + 3}.get(up, size * 0.35)
            color = font.get("color")
            color = color[i] if isinstance(color, list) and i < len(color) else color
            aside = a + {"start": 4, "end": -4}.get(anchor, 0)
            words = _text(text, aside, b + rise, size, anchor, "", _color(color))
            yield self._group(trace, words)

    def _annotations(self) -> Iterator[str]:
        for note in self.layout.get("annotations") or []:
            if note.get("visible") is False or not note.get("text"):
                continue
            at = [self._place(note, letter) for letter in "xy"]
            if None in at:
                continue
            size = (note.get("font") or {}).get("size", 12)
            lines = len(_broken(note["text"]))
            anchor = {"left": "start", "right": "end"}.get(note.get("xanchor", "center"), "middle")
            rise = {"bottom": -(lines - 1) * size * 1.3 - 4, "top": size + 2}
            shift = rise.get(note.get("yanchor", "middle"), size * 0.35 - (lines - 1) * size * 0.65)
            yield _text(note["text"], at[0] + note.get("xshift", 0),
                        at[1] + shift - note.get("yshift", 0), size, anchor,
                        "", _color((note.get("font") or {}).get("color")))  # fmt: skip

    def _place(self, note: Mapping[str, Any], letter: str) -> float | None:
        ref, value = note.get(f"{letter}ref", "paper"), note.get(letter, 0)
        if ref == "paper":
            return self.left + value * self.w if letter == "x" else self.top + (1 - value) * self.h
        axis = self.axes.get(ref.removesuffix(" domain"))
        if axis is None:
            return None
        if ref.endswith("domain"):
            return float(axis.start + value * (axis.end - axis.start))
        place = float(axis([value])[0])
        return place if math.isfinite(place) else None

    def _legend(self) -> Iterator[str]:
        named = [t for t in self.data if t.get("showlegend", True) is not False and t.get("name")]
        keys = {(t.get("legendgroup"), _plain(t["name"])): t for t in reversed(named)}
        wanted = self.layout.get("showlegend")
        if wanted is False or (len(keys) < 2 and not wanted):
            return
        legend = self.layout.get("legend") or {}
        flat = legend.get("orientation") == "h"
        left = self.left + self.w * min(legend.get("x", 0 if flat else 1.02), 1.02)
        x, y = left, self.top + ((1 - legend.get("y", 1)) * self.h - 8 if flat else 0)
        for (_, name), trace in reversed(keys.items()):
            if flat and x + 44 + 6.6 * len(name) > self.left + self.w:
                x, y = left, y + 19
            line, marker = trace.get("line") or {}, trace.get("marker") or {}
            color = _color(line.get("color")) or _color(marker.get("color")) or self._own(trace)
            if "markers" in str(trace.get("mode", "")) or trace.get("type") == "bar":
                spot = np.array([x + 14]), np.array([y])
                yield _markers({**marker, "size": 8}, color, *spot)
            else:
                yield _stroke(f"M{x + 2:.1f} {y:.1f}h24", line, color)
            yield _text(name, x + 32, y + 4, 12, "start")
            x, y = (x + 44 + 6.6 * len(name), y) if flat else (x, y + 19)


# ---------------------------------------------------------------- pieces


def _values(value: Any) -> NDArray[Any] | None:
    """Return an array as a figure's JSON has it: a list, or bytes in base 64."""
    if value is None:
        return None
    found = numbers_of(value)
    if found is not None:
        shape = value.get("shape")
        return found.reshape([int(n) for n in str(shape).split(",")]) if shape else found
    found = np.array(value, dtype=object)
    try:
        return found.astype(np.float64)
    except (TypeError, ValueError):
        return found


def _numbers(values: Any) -> Floats:
    found = values if isinstance(values, np.ndarray) else _values(values)
    if found is None:
        return np.empty(0)
    try:
        return np.atleast_1d(found).astype(np.float64)
    except (TypeError, ValueError):
        return np.full(len(found), np.nan)


def _one(value: Any, otherwise: Any) -> float:
    """Return a number, where there may be none, or one for each point."""
    return float(value) if isinstance(value, (int, float)) else float(otherwise)


def _pair(trace: Mapping[str, Any]) -> tuple[str, str]:
    return trace.get("xaxis") or "x", trace.get("yaxis") or "y"


def _xy(trace: Mapping[str, Any], x: _Axis, y: _Axis) -> tuple[Floats, Floats]:
    xs, ys = _values(trace.get("x")), _values(trace.get("y"))
    if ys is None:
        return np.empty(0), np.empty(0)
    xs = np.arange(len(ys)) if xs is None else xs
    n = min(len(xs), len(ys))
    return x(xs[:n]), y(ys[:n])


def _color(value: Any) -> str | None:
    """Return a colour that SVG takes; None for a list of them or for a place on a scale."""
    if isinstance(value, str) and re.fullmatch(r"[#\w(),.% ]+", value):
        return value
    return None


def _runs(px: Floats, py: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield pieces of a line between its gaps."""
    there = np.isfinite(px) & np.isfinite(py)
    for piece in np.split(np.arange(len(px)), np.flatnonzero(np.diff(there)) + 1):
        if len(piece) and there[piece[0]]:
            yield px[piece], py[piece]


def _line(px: Floats, py: Floats, closed: bool = False) -> str:
    return "".join(
        "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(xs, ys, strict=True)) + "Z" * closed
        for xs, ys in _runs(px, py)
    )


def _spline(px: Floats, py: Floats) -> str:
    """Return a curve through the points, closed if it ends where it begins."""
    found = ""
    for xs, ys in _runs(px, py):
        if len(xs) < 3:
            found += _line(xs, ys)
            continue
        p = np.column_stack([xs, ys])
        closed = bool(np.allclose(p[0], p[-1], atol=0.1))
        before = np.vstack([p[-2] if closed else p[0], p, p[1] if closed else p[-1]])
        slope = (before[2:] - before[:-2]) / 6
        found += f"M{p[0, 0]:.1f} {p[0, 1]:.1f}"
        for i in range(len(p) - 1):
            a, b, c = p[i] + slope[i], p[i + 1] - slope[i + 1], p[i + 1]
            found += "C" + " ".join(f"{v:.1f}" for v in (*a, *b, *c))
    return found


def _markers(marker: Mapping[str, Any], color: str, px: Floats, py: Floats, name: str = "") -> str:
    """Return markers; those that look alike are one path. `name` is for no others of the page."""
    n = len(px)

    def each(value: Any, otherwise: Any) -> list[Any]:
        found = _values(value) if not isinstance(value, str) else None
        if found is None or found.ndim == 0:
            return [otherwise if value is None else value] * n
        return (found.tolist() + [otherwise] * n)[:n]

    edge = marker.get("line") or {}
    looks: dict[tuple[Any, ...], list[int]] = {}
    columns = [each(marker.get("symbol"), "circle"), each(marker.get("color"), color),
               each(marker.get("size"), 6), each(edge.get("width"), 0),
               each(edge.get("color"), "currentColor")]  # fmt: skip
    for i, look in enumerate(zip(*columns, strict=True)):
        if np.isfinite(px[i]) and np.isfinite(py[i]):
            looks.setdefault(look, []).append(i)
    found = ""
    for number, ((symbol, paint, size, width, around), rows) in enumerate(looks.items()):
        shape, radius = str(symbol).partition("-open")[0], float(size) / 2
        if shape in _CORNERS:
            corners = [(a * radius, b * radius) for a, b in _CORNERS[shape]]
            sides = (f"l{c - a:.1f} {d - b:.1f}" for (a, b), (c, d) in pairwise(corners))
            (dx, dy), outline = corners[0], "".join(sides) + "z"
        else:
            arc = f"a{radius:.1f} {radius:.1f} 0 1 0 "
            (dx, dy), outline = (-radius, 0.0), f"{arc}{2 * radius:.1f} 0{arc}{-2 * radius:.1f} 0"
        many = bool(name) and len(rows) > _FEW_MARKERS
        places = [(0.0, 0.0)] if many else [(px[i], py[i]) for i in rows]
        path = "".join(f"M{a + dx:.1f} {b + dy:.1f}{outline}" for a, b in places)
        paint = _color(paint) or color
        if "-open" in str(symbol) or shape.startswith("line-"):
            drawn = _stroke(path, {"width": max(float(width or 0), 1)}, paint)
        else:
            edge = _color(around) or "currentColor"
            ring = f' stroke="{edge}" stroke-width="{width:g}"' if width else ""
            drawn = f'<path d="{path}" fill="{paint}"{ring}/>'
        if many:
            spots = " ".join(f"{px[i]:.1f} {py[i]:.1f}" for i in rows)
            drawn = (
                f'<marker id="{name}-{number}" overflow="visible" markerUnits="userSpaceOnUse">'
                f'{drawn}</marker><path d="M{spots}" fill="none" '
                f'style="marker:url(#{name}-{number})"/>'
            )
        found += drawn
    return found


def _errors(
    trace: Mapping[str, Any], letter: str, axis: _Axis, at: tuple[Floats, Floats], color: str
) -> str:
    spec = trace.get(f"error_{letter}") or {}
    above = _values(spec.get("array"))
    if above is None or spec.get("visible") is False:
        return ""
    values, below = _numbers(trace.get(letter)), _values(spec.get("arrayminus"))
    ends = axis(values + above), axis(values - (above if below is None else below))
    path = ""
    for a, b, p, q in zip(*ends, *at, strict=False):
        if np.isfinite([a, b, p, q]).all():
            path += f"M{a:.1f} {q:.1f}H{b:.1f}" if letter == "x" else f"M{p:.1f} {a:.1f}V{b:.1f}"
    return _stroke(path, {"width": spec.get("thickness", 2)}, _color(spec.get("color")) or color)


def _stroke(path: str, line: Mapping[str, Any], color: str) -> str:
    dash = str(line.get("dash") or "solid").replace("px", "").replace(",", " ")
    dash = _DASHES.get(dash, "" if dash == "solid" else dash)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    width = line.get("width", 2)
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width:g}"{dashed}/>'


def _rect(box: tuple[float, float, float, float], color: str, more: str = "") -> str:
    x, y, w, h = box
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{color}"{more}/>'


def _image(trace: Mapping[str, Any], x: _Axis, y: _Axis) -> str:
    source = str(trace.get("source") or "")
    size = _png_size(source)
    if size is None:
        return ""
    ends = []
    for axis, letter, n in ((x, "x", size[0]), (y, "y", size[1])):
        start, step = trace.get(f"{letter}0", 0), trace.get(f"d{letter}", 1)
        ends.append(axis([start - step / 2, start + (n - 0.5) * step]))
    (x0, x1), (y0, y1) = ends
    turned = f"{math.copysign(1, x1 - x0):g} {math.copysign(1, y1 - y0):g}"
    return (
        f'<image href="{escape(source, quote=True)}" preserveAspectRatio="none" '
        f'width="{abs(x1 - x0):.1f}" height="{abs(y1 - y0):.1f}" '
        f'transform="translate({x0:.1f} {y0:.1f}) scale({turned})" '
        'style="image-rendering:pixelated"/>'
    )


def _png_size(source: str) -> tuple[int, int] | None:
    head, _, content = source.partition("base64,")
    if not head.startswith("data:image/png"):
        return None
    raw = base64.b64decode(content[:48])
    return int.from_bytes(raw[16:20]), int.from_bytes(raw[20:24])


def _heatmap(trace: Mapping[str, Any], x: _Axis, y: _Axis) -> str:
    z = _values(trace.get("z"))
    if z is None or z.ndim != 2 or z.size > _MOST_CELLS or z.dtype == object:
        return ""
    scale = trace.get("colorscale")
    scale = scale if isinstance(scale, list) else [[0, "#30123b"], [1, "#f9fb0e"]]
    low, high = _one(trace.get("zmin"), np.nanmin(z)), _one(trace.get("zmax"), np.nanmax(z))
    edges = []
    for letter, axis, n in (("x", x, z.shape[1]), ("y", y, z.shape[0])):
        start, step = float(trace.get(f"{letter}0", 0)), float(trace.get(f"d{letter}", 1))
        given = _values(trace.get(letter))
        at = axis(start + step * np.arange(n) if given is None else given)
        if len(at) == n:
            half = np.diff(at).mean() / 2 if n > 1 else 10.0
            at = np.concatenate([at - half, at[-1:] + half])
        edges.append(at)
    sides = [np.diff(at) for at in edges]
    if z.size > _FEW_CELLS and all(np.ptp(side) < 0.5 for side in sides):
        return _cells(z, scale, (low, high), edges)
    known, found = np.isfinite(z), ""
    colors = _on_scale(scale, (z[known] - low) / ((high - low) or 1))
    for (i, j), color in zip(np.argwhere(known), colors, strict=True):
        (x0, x1), (y0, y1) = sorted(edges[0][j : j + 2]), sorted(edges[1][i : i + 2])
        found += _rect((x0, y0, x1 - x0, y1 - y0), f"#{color.tobytes().hex()}")
    return found


def _cells(
    z: NDArray[Any], scale: Sequence[Any], ends: tuple[float, float], edges: Sequence[Floats]
) -> str:
    """Return cells of one size as a picture, a pixel each; those without a number are clear."""
    from PIL import Image

    low, high = ends
    levels = np.full(z.shape, 255, np.uint8)
    known = np.isfinite(z)
    share = (z[known].astype(np.float64) - low) / ((high - low) or 1)
    levels[known] = (share.clip(0, 1) * 254).round()
    xs, ys = edges
    levels = levels[:: 1 if ys[-1] > ys[0] else -1, :: 1 if xs[-1] > xs[0] else -1]
    picture = Image.fromarray(np.ascontiguousarray(levels), "P")
    picture.putpalette(_on_scale(scale, np.arange(255) / 254).tobytes() + bytes(3))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=255)
    source = base64.b64encode(buffer.getvalue()).decode()
    (x0, x1), (y0, y1) = ((at.min(), at.max()) for at in edges)
    return (
        f'<image href="data:image/png;base64,{source}" preserveAspectRatio="none" x="{x0:.1f}" '
        f'y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" '
        'style="image-rendering:pixelated"/>'
    )


def _on_scale(scale: Sequence[Any], shares: Floats) -> NDArray[np.uint8]:
    """Return the (N, 3) colours at shares of a scale."""
    at = [place for place, _ in scale]
    colors = np.array([_rgb(color) for _, color in scale], np.float64)
    mixed = np.column_stack([np.interp(shares, at, part) for part in colors.T])
    return mixed.round().astype(np.uint8)


def _rgb(color: str) -> Sequence[float]:
    if found := re.match(r"rgba?\(([^)]*)\)", color):
        return [float(v) for v in found[1].split(",")[:3]]
    from PIL import ImageColor

    return ImageColor.getrgb(color)[:3]


def _nice(low: float, high: float, about: float) -> list[float]:
    low, high = sorted((low, high))
    rough = (high - low) / max(about, 2)
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next((m * power for m in (1, 2, 5, 10) if m * power >= rough), 10 * power)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _short(value: float) -> str:
    return f"{value:,.6g}".replace("-", "−")


def _title(axis: Mapping[str, Any]) -> str:
    title = axis.get("title")
    return str((title.get("text") if isinstance(title, Mapping) else title) or "")


def _plain(text: object) -> str:
    return unescape(re.sub(r"<[^>]*>", "", str(text)))


def _broken(text: object) -> list[str]:
    return re.split("<br ?/?>", str(text))


def _text(
    text: object, x: float, y: float, size: float, anchor: str, more: str = "",
    color: str | None = None,
) -> str:  # fmt: skip
    """Return lines of text, the bold ones bold."""
    lines = _broken(text)
    spans = ""
    for i, line in enumerate(lines):
        bold = ' font-weight="700"' if "<b>" in line else ""
        place = f' x="{x:.1f}" dy="{size * 1.3:.1f}"' if i else ""
        words = escape(_plain(line), quote=False)
        spans += f"<tspan{place}{bold}>{words}</tspan>" if place or bold else words
    ink = f' fill="{color}"' if color else ""
    kind = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"{kind}{ink}{more}>{spans}</text>'
