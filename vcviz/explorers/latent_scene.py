"""What a LatentExplorer draws for the values of its controls: panels, what lies beneath, a bar."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vcviz.base.caching import cached_method
from vcviz.explorers.backdrops import (
    Backdrop,
    Backdrops,
    fields_of,
    filled,
    limits_of,
    stacked,
)
from vcviz.explorers.latent_controls import OPTIONS, LatentValues
from vcviz.explorers.panel_data import Rows
from vcviz.explorers.static_layers import still_backdrops
from vcviz.figures import theme as style
from vcviz.figures.colouring import KEY_PX, Colouring, colouring_of
from vcviz.figures.fields import field_bar
from vcviz.figures.fit_panel import fit_range_of
from vcviz.figures.latent_panel import (
    LatentOptions,
    LatentPanel,
    View,
    Window,
    checked_classes,
)
from vcviz.figures.latent_traces import label_trace, pin_trace
from vcviz.figures.latents import GAP_X, spec_of_views
from vcviz.figures.outlines import Range

Trace = dict[str, Any]
#: views from the left, options, bars of colours
Drawn = tuple[list[View], LatentOptions, list[Trace]]

#: a backdrop that is all of them at once, of which a list in a static figure shows one
EVERY = "every"
#: backdrops that are a number at every point, with a bar of its colours
FIELDS = ("log_ratio", "ood")
_BAR_PX = 96  # beside the panels
_LABELS = 25  # points in view that are labelled, at most
_FIT_PX = 104  # lower than in a page: what a person asked for stands beneath


class LatentScene:
    """Runs side by side, as values of controls ask for them.

    Parameters
    ----------
    backdrops : the runs, and what can lie beneath their points
    mass, max_points, theme : of the explorer
    rule : returns by which rule the classes are chosen, in words
    """

    def __init__(
        self,
        backdrops: Sequence[Backdrops],
        *,
        mass: tuple[float, ...],
        max_points: int,
        theme: style.Theme,
        rule: Callable[[], str],
    ) -> None:
        self._backdrops, self.sources = backdrops, [part.source for part in backdrops]
        self._mass, self._max_points, self.theme = mass, max_points, theme
        self._rule = rule

    def views(self, values: LatentValues) -> list[View]:
        """Return what the panels of the live figure show, from the left; the last are kept."""
        return self._live(values)[0]

    def spec(self, values: LatentValues, options: LatentOptions | None = None) -> dict[str, Any]:
        """Return the figure; with `options` of a static one, else of the live one."""
        views, options, bars = (
            self._live(values) if options is None else self._still(values, options)
        )
        spec = spec_of_views(views, options)
        low, high = spec["layout"]["yaxis"]["domain"]
        for bar in bars:
            bar["marker"]["colorbar"] |= {"y": (low + high) / 2, "len": high - low}
            spec["data"].append(bar | {"xaxis": "x", "yaxis": "y"})
        if bars and values.backdrop != EVERY:
            _make_room(spec["layout"])
        return style.themed(spec, self.theme)

    @cached_method(16)
    def _live(self, values: LatentValues) -> Drawn:
        options = LatentOptions(
            live=True,
            fit_px=_FIT_PX,
            picture_above=max(self._max_points // max(len(values.runs), 1), 1),
            **_room(values.width, len(values.runs), beside=_beside(values)),
            **self._shared(values),
        )
        backdrops, bars = self._beneath(values)
        return self._views(values, options, backdrops), options, bars

    def _still(self, values: LatentValues, options: LatentOptions) -> Drawn:
        options = dataclasses.replace(options, **self._shared(values))
        if values.backdrop != EVERY:
            backdrops, bars = self._beneath(values)
        else:
            shown = [self._backdrops[k] for k in values.runs]
            every, bars = still_backdrops(
                shown, values.plane, values.rows, values.epoch, values.score
            )
            lines, _ = self._beneath(dataclasses.replace(values, backdrop="none"))
            backdrops = [stacked(pair) for pair in zip(lines, every, strict=True)]
        return self._views(values, options, backdrops), options, bars

    def _views(
        self, values: LatentValues, options: LatentOptions, backdrops: Sequence[Backdrop]
    ) -> list[View]:
        classes = checked_classes(values.classes, len(self.sources[0].class_names))
        views = []
        for i, (k, backdrop) in enumerate(zip(values.runs, backdrops, strict=True)):
            panel = self.sources[k].panel(values.plane, values.rows, values.epoch)
            over = [*backdrop.over, *_pinned(panel, values.pinned)]
            if i in options.windows:
                over += _named(panel, options.windows[i], classes)
            if i:  # one legend for all panels
                over = [trace | {"showlegend": False} for trace in over]
            under, remarks = backdrop.under, backdrop.remarks
            views.append(View(panel, classes, options, i, under=under, over=over, remarks=remarks))
        return views

    def _shared(self, values: LatentValues) -> dict[str, Any]:
        """Return the options that live and static figures share."""
        chosen = np.frombuffer(values.chosen, np.int64)
        return {
            **{name: getattr(values, name) for name in OPTIONS},
            "chosen": chosen if len(chosen) else None,
            "windows": dict(values.windows),
            "mass": self._mass,
            "rule": self._rule(),
            "fit_range": self._fit_range(values.rows),
            "colouring": self._colouring(values.color, values.rows, values.runs),
            "key_offset": _BAR_PX if values.backdrop in FIELDS else 0,
        }

    @cached_method(16)
    def _colouring(self, color: str, rows: Rows, runs: tuple[int, ...]) -> Colouring | None:
        """Return one scale for all panels and epochs: that of the trained models."""
        if color == "class" or not runs:
            return None
        return colouring_of([self.sources[k].values(rows, color) for k in runs])

    def _beneath(self, values: LatentValues) -> tuple[list[Backdrop], list[Trace]]:
        """Return the backdrop of each panel, and the bar of the colours that they share."""
        axes, rows = values.plane, values.rows
        kind, against = values.backdrop, values.strangers or None
        found = []
        for part in (self._backdrops[k] for k in values.runs):
            at = part.source.kept(rows, values.epoch)
            layers = [part.boundaries(axes, rows, at)] if values.boundaries else []
            layers.append(part.beneath(kind, axes, rows, at, values.score, against))
            if against and kind != "ood":
                scored = part.scored(axes, rows, at, values.score, against)
                layers.append(scored._replace(field=None))
            found.append(stacked(layers))
        fields = fields_of(found)
        if not fields:
            return found, []
        limits = limits_of(fields)
        return [filled(one, limits) for one in found], [field_bar(fields[0], x=1.01, limits=limits)]

    def _fit_range(self, rows: Rows) -> Range | None:
        """Return the range of fits over all runs and epochs, so that their axis stays put."""
        pairs = [
            (fit, s.fit_bias(rows))
            for s in self.sources
            for e in (s.epochs if rows[1] else [None])
            if (fit := s.fit_varying(rows, e)) is not None
        ]
        return fit_range_of(*zip(*pairs, strict=True)) if pairs else None


def _pinned(panel: LatentPanel, row: int) -> list[dict[str, Any]]:
    """Return a mark around the kept latent, where the panel has it."""
    place = np.flatnonzero(panel.lat.index == row)
    return [pin_trace(panel.points[place])] if row >= 0 and len(place) else []


def _named(panel: LatentPanel, window: Window, classes: Sequence[int]) -> list[dict[str, Any]]:
    """Return row and class of each point in a window, once they are few."""
    (x0, x1), (y0, y1) = (sorted(ends) for ends in window)
    x, y = panel.points.T
    inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1) & np.isin(panel.lat.y, classes)
    few = 0 < inside.sum() <= _LABELS
    return [label_trace(panel.lat, panel.points, np.flatnonzero(inside))] if few else []


def _beside(values: LatentValues) -> int:
    """Return the pixels that bars and keys take beside the panels."""
    return _BAR_PX * (values.backdrop in FIELDS) + KEY_PX * (values.color != "class")


def _room(width: int, panels: int, *, beside: int) -> dict[str, Any]:
    """Return how many panels stand in a row, and how high they are where there is little room."""
    width -= 62 + 12 + beside
    columns = 3 if width > 600 else 2 if width > 380 else 1
    across = min(columns, panels)
    across = -(-panels // -(-panels // across))
    cell = width * (1 - GAP_X / across * (across - 1)) / across
    return {"columns": columns, "panel_px": int(np.clip(cell, 180, 320))}


def _make_room(layout: dict[str, Any]) -> None:
    """Make room for a bar beside the panels."""
    margin = layout["margin"]
    layout["margin"] = margin | {"r": margin["r"] - 12 + _BAR_PX}
    if "width" in layout:
        layout["width"] += _BAR_PX
