"""Points coloured by a number or a level of each row; a histogram is the key of the colours."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.metrics.row_values import RowValues

#: The middle of Cividis (Nuñez, Anderton and Renslow, PLOS ONE 2018): the same to people with and
#: without a deficiency of colour vision, brighter all the way; its ends are lost on a page
SCALE = (
    "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55"
)  # fmt: skip
_TRUTH = ("#D55E00", "#56B4E9")  # wrong, right
_BINS = 24
_EDGES = 1.0, 99.0  # percentiles that the scale ends at
KEY_PX = 104  # beside the panels
_BAR_PX = 44


@dataclass(frozen=True)
class Colouring:
    """What colours mean, the same in all panels and at every step of a slider.

    Attributes
    ----------
    label : what the rows are coloured by, with its unit
    low, high : ends of the scale; what lies beyond has the colour of the end
    levels : words in place of a scale
    counts : rows in each of equal parts of the scale, or of each level
    """

    label: str
    low: float
    high: float
    levels: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def colors(self) -> list[str]:
        """The colour of each part of the key."""
        if self.levels == ("wrong", "right"):
            return list(_TRUTH)
        if self.levels:
            return [style.class_color(k) for k in range(len(self.levels))]
        return _hex(_mixed((np.arange(_BINS) + 0.5) / _BINS))

    def marker(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Return the properties of markers with these values; grey where there is none."""
        if not np.isfinite(values).all():
            return {"color": _hex(self.rgb(values)), "opacity": 0.85}
        return {
            "color": values.astype(np.float32),
            "cmin": -0.5 if self.levels else self.low,
            "cmax": len(self.levels) - 0.5 if self.levels else self.high,
            "colorscale": self.colorscale,
            "opacity": 0.85,
        }

    @property
    def colorscale(self) -> list[list[Any]]:
        """The scale as plotly has it; of levels in steps."""
        if not self.levels:
            return [[i / (len(SCALE) - 1), color] for i, color in enumerate(SCALE)]
        n, found = len(self.levels), []
        for k, color in enumerate(self.colors):
            found += [[k / n, color], [(k + 1) / n, color]]
        return found

    def rgb(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 3) colours of values, 0 to 255; grey where there is none."""
        known_colors = _rgb(self.colors) if self.levels else _mixed(np.arange(256) / 255)
        colors = np.vstack([known_colors, _rgb([style.NEUTRAL])])
        place = np.full(len(values), len(colors) - 1)
        known = np.isfinite(values)
        share = values[known] if self.levels else (values[known] - self.low) / self._length
        place[known] = share if self.levels else np.clip(share * 255, 0, 255)
        return colors[place]

    def _number(self, value: float) -> str:
        """Return a place on the scale; what is nothing beside its length is 0."""
        return "0" if abs(value) < 1e-3 * self._length else f"{value:.3g}"

    @property
    def _length(self) -> float:
        return self.high - self.low

    def key(self, domain: tuple[float, float], offset: int = 0) -> dict[str, Any]:
        """Return shapes and annotations of a layout: how many rows have which colour.

        Parameters
        ----------
        domain : lower and upper end of the key, as shares of the plot's height
        offset : pixels between the panels and the key
        """
        low, high = domain
        share = np.array(self.counts) / max(max(self.counts, default=0), 1)
        step = (high - low) / max(len(share), 1)
        left = 12 + offset
        shapes = [
            {
                "type": "rect", "xref": "paper", "yref": "paper", "xsizemode": "pixel",
                "xanchor": 1, "x0": left, "x1": left + 6 + round(_BAR_PX * float(length)),
                "y0": low + i * step, "y1": low + (i + 1) * step,
                "fillcolor": color, "line": {"width": 0},
            }
            for i, (length, color) in enumerate(zip(share, self.colors, strict=True))
        ]  # fmt: skip
        text: list[tuple[str, float, str]] = [(_lines(self.label), high, "bottom")]
        if self.levels:
            counted = zip(self.levels, self.counts, strict=True)
            text += [
                (f"{style.escape(level, 14)} · {n:,}", low + (i + 0.5) * step, "middle")
                for i, (level, n) in enumerate(counted)
            ]
        else:
            ends = (
                (self.low, low),
                ((self.low + self.high) / 2, (low + high) / 2),
                (self.high, high),
            )
            places = ("bottom", "middle", "top")
            text += [(self._number(v), y, side) for (v, y), side in zip(ends, places, strict=True)]
        annotations = [
            {
                "xref": "paper", "yref": "paper", "x": 1, "y": y, "xanchor": "left",
                "yanchor": anchor, "showarrow": False, "font": {"size": 11}, "text": words,
                "xshift": left + (8 + _BAR_PX if i else 0),
                "align": "left",
            }
            for i, (words, y, anchor) in enumerate(text)
        ]  # fmt: skip
        return {"shapes": shapes, "annotations": annotations}


def colouring_of(values: Sequence[RowValues]) -> Colouring:
    """Return one scale for the rows of several panels.

    A continuous scale goes from the 1st to the 99th percentile of all of them: one row far away
    would otherwise take all the colours.
    """
    first = values[0]
    pooled = np.concatenate([v.values for v in values])
    pooled = pooled[np.isfinite(pooled)]
    if first.levels:
        words = max((v.levels for v in values), key=len)
        counts = np.bincount(pooled.astype(np.int64), minlength=len(words))
        return Colouring(first.label, 0.0, 1.0, words, tuple(counts.tolist()))
    low, high = np.percentile(pooled, _EDGES) if len(pooled) else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = np.histogram(np.clip(pooled, low, high), _BINS, (low, high))[0]
    return Colouring(first.label, float(low), float(high), (), tuple(counts.tolist()))


def _lines(label: str) -> str:
    """Return a label in lines that the key has room for."""
    return "<br>".join(style.escape(line, 20) for line in textwrap.wrap(label, 14)[:3])


def _mixed(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, 3) colours at shares of the scale, 0 to 255."""
    at = shares * (len(SCALE) - 1)
    parts = [np.interp(at, range(len(SCALE)), part) for part in _rgb(SCALE).T]
    return np.stack(parts, axis=1).round()


def _rgb(colors: Sequence[str]) -> NDArray[np.float64]:
    return np.array([style.rgb(color) for color in colors], np.float64)


def _hex(colors: NDArray[np.float64]) -> list[str]:
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colors.astype(int).tolist()]
