"""What a LatentExplorer draws for the values of its controls: panels, what lies beneath, a bar."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from vcviz.explorers.backdrops import Backdrop, Backdrops, filled, limits_of, stacked
from vcviz.explorers.latent_controls import TOUR, LatentValues
from vcviz.explorers.panel_data import Axes, Rows, Source
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
    sources, backdrops : the runs, and what can lie beneath the points of each
    mass, max_points, theme : of the explorer
    rule : returns by which rule the classes are chosen, in words
    """

    def __init__(
        self,
        sources: Sequence[Source],
        backdrops: Sequence[Backdrops],
        *,
        mass: tuple[float, ...],
        max_points: int,
        theme: style.Theme,
        rule: Callable[[], str] = str,
    ) -> None:
        self.sources, self._backdrops = sources, backdrops
        self._mass, self._max_points, self._theme = mass, max_points, theme
        self._rule = rule
        self._live = lru_cache(maxsize=16)(self._new_views)
        self._colouring = lru_cache(maxsize=16)(self._new_colouring)

    def views(self, values: LatentValues) -> list[View]:
        """Return what the panels of the live figure show, from the left; the last are kept."""
        return self._live(values)

    def spec(self, values: LatentValues, options: LatentOptions | None = None) -> dict[str, Any]:
        """Return the figure; with `options` of a static one, else of the live one."""
        bars: list[dict[str, Any]] = []
        if options is None:
            views, options = self.views(values), self._options(values)
        else:
            options = dataclasses.replace(options, **self._shared(values))
            every = None
            if values.backdrop == EVERY:
                every, bars = self._still(values)
            views = self._laid_open(values, options, every)
        spec = spec_of_views(views, options)
        low, high = spec["layout"]["yaxis"]["domain"]
        place = {"x": 1.01, "y": (low + high) / 2, "length": high - low}
        if values.backdrop == EVERY:
            spec["data"] += [bar | {"xaxis": "x", "yaxis": "y"} for bar in bars]
            for bar in bars:
                bar["marker"]["colorbar"] |= {"y": place["y"], "len": place["length"]}
            return style.themed(spec, self._theme)
        fields = [b.field for b in self._backdrops_of(values) if b.field is not None]
        if fields and values.backdrop in FIELDS:
            limits = limits_of(fields)
            bar = field_bar(fields[0], limits=limits, **place) | {"xaxis": "x", "yaxis": "y"}
            spec["data"].append(bar)
            _make_room(spec["layout"])
        return style.themed(spec, self._theme)

    def _new_views(self, values: LatentValues) -> list[View]:
        return self._laid_open(values, self._options(values))

    def _laid_open(
        self,
        values: LatentValues,
        options: LatentOptions,
        backdrops: Sequence[Backdrop] | None = None,
    ) -> list[View]:
        backdrops = self._backdrops_of(values) if backdrops is None else backdrops
        fields = [b.field for b in backdrops if b.field is not None]
        limits = limits_of(fields) if fields else None
        classes = checked_classes(values.classes, len(self.sources[0].class_names))
        views = []
        windows = dict(values.windows)
        for i, (k, backdrop) in enumerate(zip(values.runs, backdrops, strict=True)):
            panel = self.sources[k].panel(_axes(values), _rows(values), values.epoch)
            if values.backdrop in FIELDS:
                backdrop = filled(backdrop, limits)
            over = [*backdrop.over, *_pinned(panel, values.pinned)]
            if i in windows:
                over += _named(panel, windows[i], classes)
            if i:  # one legend for all panels
                over = [trace | {"showlegend": False} for trace in over]
            under, told = backdrop.under, backdrop.told
            views.append(View(panel, classes, options, i, under=under, over=over, told=told))
        return views

    def _shared(self, values: LatentValues) -> dict[str, Any]:
        """Return the options that live and static figures share."""
        chosen = np.frombuffer(values.chosen, np.int64)
        return {
            **values.options,
            "chosen": chosen if len(chosen) else None,
            "mass": self._mass,
            "rule": self._rule(),
            "fit_range": self._fit_range(_rows(values)),
            "colouring": self._colouring(values.color, _rows(values), values.runs),
            "key_offset": _BAR_PX if values.backdrop in FIELDS else 0,
        }

    def _new_colouring(self, color: str, rows: Rows, runs: tuple[int, ...]) -> Colouring | None:
        """Return one scale for all panels and epochs: that of the trained models."""
        if color == "class" or not runs:
            return None
        return colouring_of([self.sources[k].values(rows, color) for k in runs])

    def _options(self, values: LatentValues) -> LatentOptions:
        return LatentOptions(
            live=True,
            fit_px=_FIT_PX,
            picture_above=max(self._max_points // max(len(values.runs), 1), 1),
            **_room(values.width, len(values.runs), beside=_beside(values)),
            windows=dict(values.windows),
            **self._shared(values),
        )

    def _backdrops_of(self, values: LatentValues) -> list[Backdrop]:
        axes, rows, epoch = _axes(values), _rows(values), values.epoch
        kind, against = values.backdrop, values.strangers or None
        found = []
        for k in values.runs:
            source, parts = self.sources[k], self._backdrops[k]
            at = source.kept(epoch) if rows[1] else None
            layers = [parts.boundaries(axes, rows, at)] if values.boundaries else []
            if kind == "regions":
                layers.append(parts.regions(axes, rows, at))
            if kind == "log_ratio":
                layers.append(parts.ratio(axes, rows, at))
            if kind == "ood" or against:
                scored = parts.scored(axes, rows, at, values.score, against)
                layers.append(scored if kind == "ood" else scored._replace(field=None))
            found.append(stacked(layers))
        return found

    def _still(self, values: LatentValues) -> tuple[list[Backdrop], list[dict[str, Any]]]:
        """Return every backdrop of each panel of a static figure, and the bars of their colours."""
        shown = [(self.sources[k], self._backdrops[k]) for k in values.runs]
        axes, rows = _axes(values), _rows(values)
        found, bars = still_backdrops(shown, axes, rows, values.epoch, values.score)
        lines = self._backdrops_of(dataclasses.replace(values, backdrop="none"))
        return [stacked(pair) for pair in zip(lines, found, strict=True)], bars

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


def _axes(values: LatentValues) -> Axes:
    axes: Axes = values.axes
    return ("tour", values.turn, TOUR) if axes == ("tour",) else axes


def _rows(values: LatentValues) -> Rows:
    return values.split, not values.all_rows  # type: ignore[return-value]
