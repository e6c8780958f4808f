"""LatentExplorer: what heads anticipate of their latents beside what they get, at every epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vcviz.errors import unknown
from vcviz.figures import theme as style
from vcviz.figures.fields import field_bar
from vcviz.figures.latent_panel import LatentOptions, LatentPanel, View, checked_classes
from vcviz.figures.latent_spec import GAP_X, padded_fit_range, spec_of_views
from vcviz.figures.latent_traces import pin_trace
from vcviz.figures.outlines import Range
from vcviz.records import LatentSet, Split
from vcviz.widgets.backdrops import Backdrop, Backdrops, filled, stacked
from vcviz.widgets.bind import Bound
from vcviz.widgets.directions import DirectionExplorer
from vcviz.widgets.display import Explorer
from vcviz.widgets.latent_controls import SPLITS, TOUR, latent_controls, latent_panel
from vcviz.widgets.picks import Picks
from vcviz.widgets.selection import Selection
from vcviz.widgets.sources import Axes, Rows, sources

_BUDGET = 0.78e6  # bytes of JSON for the frames of a static figure: two fit into a notebook
_BAR_PX = 96  # beside the panels
_USUAL_PX = 1200  # width of a page, until it says its own
_LAYERS = ("anticipated", "empirical", "boundaries")
_STATE = ("windows", "chosen", "pinned", "width")


class LatentExplorer(Explorer):
    """Runs side by side: latents, p(z|y) and q(z|y) per class, at every epoch that was kept.

    Point at a latent to see what it is of, click it to keep it with its neighbours, lasso some to
    get them back as `selection`.

    Parameters
    ----------
    runs : a `Run`, a (LatentSet, LatentPrior or None) pair, or a sequence of either; all with
        the same classes
    split : "test" or "train", the rows shown at first
    mass : share of each class that an outline encloses, one outline each
    max_points : most points in view that are drawn as points, of all panels together; more are
        drawn as a picture, until zooming leaves few enough
    umap : also offer UMAP, fitted on the trained latents; slow, and laws become outlines of draws
    strangers : out-of-distribution inputs: name -> `Split` of the same shape as the runs' data
        (or a LatentSet by the same model); noise and, for images, inverted and rotated ones are
        offered besides
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control, among ``runs``, ``split``, ``epoch``, ``all_rows``, ``axes``,
        ``turn`` (of the grand tour), ``classes``, ``anticipated``, ``empirical``, ``boundaries``,
        ``backdrop``, ``strangers``, ``score``, ``choose`` (those that have something to choose)
    view : the live figure
    widget : controls and figure
    chosen : the chosen rows, which `vcviz.link` shares with other explorers
    sources, theme : what is explored, and how it looks
    directions : a `DirectionExplorer` of the same runs, shown beneath when it is opened

    Notes
    -----
    Projections are fitted once per run on the trained model's latents, and axis ranges are set
    by the latents of all epochs together: a point that moves has moved.
    """

    def __init__(
        self,
        runs: Any,
        *,
        split: str = "test",
        mass: Sequence[float] = (0.9,),
        max_points: int = 12_000,
        umap: bool = False,
        strangers: Mapping[str, Split | LatentSet] | None = None,
        theme: style.Theme = "auto",
    ) -> None:
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        self.sources = sources(runs)
        self._backdrops = [Backdrops(s, strangers or {}) for s in self.sources]
        self._mass, self._max_points, self.theme = tuple(mass), max_points, theme
        controls = latent_controls(
            self.sources, self._backdrops, strangers or {}, umap=umap, split=split
        )
        names = self.sources[0].class_names
        self._defaults = {
            "runs": tuple(range(len(self.sources))),
            "epoch": None,
            "split": split,
            "all_rows": "epoch" not in controls,
            "axes": ("pair", 0, 1),
            "turn": 0,
            "classes": tuple(range(len(names))),
            "anticipated": False,
            "boundaries": False,
            "backdrop": "none",
            "strangers": "",
            "score": "",
            "windows": (),
            "chosen": b"",
            "pinned": -1,
            "width": _USUAL_PX,
        }
        self._views = lru_cache(maxsize=16)(self._new_views)
        slider = "epoch" if "epoch" in controls else None
        bound = Bound(
            self._draw,
            controls,
            slider,
            latent_panel(controls, self.reset),
            state={name: self._defaults[name] for name in _STATE},
        )
        self.directions = DirectionExplorer(runs, split=split, theme=theme, follows=controls)
        self._picks = Picks(self)
        super().__init__(
            bound,
            below=[self._picks.widget, self.directions.drawer],
            chosen=Selection(),
        )
        self._picks.attach()
        bound.on("viewport", self._zoomed)
        bound.on("resize", self._resized)
        for name in ("axes", "turn", "split", "all_rows", "runs"):
            if name in controls:
                controls[name].observe(self._moved, names="value")
        if "all_rows" in controls:
            controls["all_rows"].observe(self._all_rows_changed, names="value")

    # ---------------------------------------------------------- for a page without a kernel

    def figure(
        self,
        *,
        axes: Sequence[Axes] | None = None,
        frames: int | None = None,
        max_points: int = 300,
    ) -> go.Figure:
        """Return one static figure with an epoch slider, a list of axes and a list of lines.

        Parameters
        ----------
        axes : the views, e.g. ``[("pca",), ("pair", 0, 1)]``; default the first two on offer
        frames : most epochs along the slider; default as many as keep the figure
            below 1 MB, so that a notebook can hold some
        max_points : most points of a panel; more are sampled
        """
        menus: dict[str, Sequence[Any] | None] = {}
        if "axes" in self.controls:
            offered = [value for _, value in self.controls["axes"].options]
            menus["axes"] = list(axes) if axes is not None else offered[:2]
        elif "split" in self.controls:
            menus["split"] = None
        layers = [name for name in _LAYERS if name in self.controls]
        views = 1 if not menus else len(menus.get("axes") or ("test", "train"))
        return self.bound.figure(
            menus=menus,
            layers=layers,
            frames=frames or self._affordable(views, max_points),
            draw=lambda **values: self._spec(
                values, LatentOptions(compact=True, max_points=max_points)
            ),
        )

    def _affordable(self, views: int, rows: int) -> int:
        """Return how many epochs fit the budget, by what a point and an outline take in JSON."""
        classes = len(self.controls["classes"].value)
        panel = 12 * rows + 760 * classes + 600
        panels = len(self.sources)
        return max(6, int(_BUDGET / (views * panels * panel)))

    # ---------------------------------------------------------- what is drawn

    @property
    def split(self) -> str:
        """The split that is shown."""
        return str(self.bound.values.get("split", self._defaults["split"]))

    def shown_runs(self) -> tuple[int, ...]:
        """Return the numbers of the runs that are shown, from the left."""
        return self._shown(self.bound.values)

    def views(self) -> list[View]:
        """Return what the panels of the live figure show, from the left."""
        return self._views(tuple(self.bound.values.items()))

    def _draw(self, **values: Any) -> dict[str, Any]:
        return self._spec(values)

    def _spec(
        self, values: Mapping[str, Any], options: LatentOptions | None = None
    ) -> dict[str, Any]:
        """Return the figure; with `options` of a static one, else of the live one."""
        if options is None:
            views = self._views(tuple(values.items()))
            options = self._options(values, len(views))
        else:
            options = dataclasses.replace(options, **self._shared(values))
            views = self._laid_open(values, options)
        spec = spec_of_views(views, options)
        values = {**self._defaults, **values}
        fields = [b.field for b in self._backdrops_of(values) if b.field is not None]
        if fields and values["backdrop"] in ("log_ratio", "ood"):
            limits = _limits(fields)
            low, high = spec["layout"]["yaxis"]["domain"]
            place = {"x": 1.01, "y": (low + high) / 2, "length": high - low}
            bar = field_bar(fields[0], limits=limits, **place) | {"xaxis": "x", "yaxis": "y"}
            spec["data"].append(bar)
            margin = spec["layout"]["margin"]
            spec["layout"] |= {"margin": margin | {"r": _BAR_PX}}
            if "width" in spec["layout"]:
                spec["layout"]["width"] += _BAR_PX
        return style.themed(spec, self.theme)

    def _new_views(self, values: tuple[tuple[str, Any], ...]) -> list[View]:
        found = dict(values)
        return self._laid_open(found, self._options(found, len(self._shown(found))))

    def _laid_open(self, values: Mapping[str, Any], options: LatentOptions) -> list[View]:
        values = {**self._defaults, **values}
        backdrops = self._backdrops_of(values)
        fields = [b.field for b in backdrops if b.field is not None]
        beneath = values["backdrop"] in ("log_ratio", "ood")
        limits = _limits(fields) if fields else None
        classes = checked_classes(values["classes"], len(self.sources[0].class_names))
        views = []
        for i, (k, backdrop) in enumerate(zip(self._shown(values), backdrops, strict=True)):
            panel = self.sources[k].panel(_axes(values), _rows(values), values["epoch"])
            if beneath:
                backdrop = filled(backdrop, limits)
            over = [*backdrop.over, *_pinned(panel, values["pinned"])]
            if i:  # one legend for all panels
                over = [trace | {"showlegend": False} for trace in over]
            under, told = backdrop.under, backdrop.told
            views.append(View(panel, classes, options, i, under=under, over=over, told=told))
        return views

    def _shown(self, values: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the numbers of the runs that are shown."""
        return tuple(values.get("runs", self._defaults["runs"]))

    def _shared(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that live and static figures share."""
        values = {**self._defaults, **values}
        return {
            "anticipated": values["anticipated"],
            "empirical": values["empirical"],
            "mass": self._mass,
            "classes": values["classes"],
            "fit_range": self._fit_range(_rows(values)),
        }

    def _options(self, values: Mapping[str, Any], panels: int) -> LatentOptions:
        values = {**self._defaults, **values}
        chosen = np.frombuffer(values["chosen"], np.int64)
        return LatentOptions(
            live=True,
            picture_above=max(self._max_points // panels, 1),
            **_room(values["width"], panels, bar=values["backdrop"] in ("log_ratio", "ood")),
            windows=dict(values["windows"]),
            chosen=chosen if len(chosen) else None,
            **self._shared(values),
        )

    def _backdrops_of(self, values: Mapping[str, Any]) -> list[Backdrop]:
        axes, rows, epoch = _axes(values), _rows(values), values["epoch"]
        kind, against = values["backdrop"], values["strangers"] or None
        found = []
        for k in self._shown(values):
            source, parts = self.sources[k], self._backdrops[k]
            at = source.kept(epoch) if rows[1] else None
            layers = [parts.boundaries(axes, rows, at)] if values["boundaries"] else []
            if kind == "regions":
                layers.append(parts.regions(axes, rows, at))
            if kind == "log_ratio":
                layers.append(parts.ratio(axes, rows, at))
            if kind == "ood" or against:
                scored = parts.scored(axes, rows, at, values["score"], against)
                layers.append(scored if kind == "ood" else scored._replace(field=None))
            found.append(stacked(layers))
        return found

    def _fit_range(self, rows: Rows) -> Range | None:
        """Return the range of fits over all runs and epochs, so that their axis stays put."""
        found = [
            fit[fit > 0]
            for s in self.sources
            for e in (s.epochs if rows[1] else [None])
            if (fit := s.fit(rows, e)) is not None and (fit > 0).any()
        ]
        if not found:
            return None
        return padded_fit_range(min(f.min() for f in found), max(f.max() for f in found))

    # ---------------------------------------------------------- what a person does

    def show_chosen(self) -> None:
        """Let the chosen rows stand out, if they are of the split that is shown."""
        here = self.chosen.split == self.split
        self.bound.set_state(chosen=self.chosen.rows.tobytes() if here else b"")
        self._picks.show_chosen()

    def reset(self) -> None:
        """Put every control back to where it was; choose nothing, keep nothing."""
        self._picks.unpin()
        super().reset()

    @property
    def selection(self) -> Any:
        """The chosen rows as a DataFrame, a row for each in each run shown."""
        return self._picks.table()

    def _zoomed(self, event: dict[str, Any]) -> None:
        number = self.panel_at(event["axes"][0])
        views = self.views()
        if number is None or len(views[number].lat) <= self._max_points // len(views):
            return
        windows = dict(self.bound.values["windows"])
        (x0, x1), (y0, y1) = event["range"]
        windows[number] = ((float(x0), float(x1)), (float(y0), float(y1)))
        self.bound.set_state(windows=tuple(sorted(windows.items())))

    def _resized(self, event: dict[str, Any]) -> None:
        # In steps: a page that is made narrower by hand is not laid out at every pixel.
        self.bound.set_state(width=max(int(event["width"]) // 40 * 40, 320))

    def panel_at(self, axis: str) -> int | None:
        """Return the number of the panel with this x axis ("x", "x2", …); None for the fits."""
        panels: list[str] = self.view.layout.meta["panels"]
        return panels.index(axis) if axis in panels else None

    def _moved(self, _change: Any) -> None:
        """Look at whole panels again: other axes have other windows."""
        self.bound.set_state(windows=())

    def _all_rows_changed(self, change: Any) -> None:
        self.controls["epoch"].disabled = change["new"]


def _pinned(panel: LatentPanel, row: int) -> list[dict[str, Any]]:
    """Return a mark around the kept latent, where the panel has it."""
    place = np.flatnonzero(panel.lat.index == row)
    return [pin_trace(panel.points[place])] if row >= 0 and len(place) else []


def _room(width: int, panels: int, *, bar: bool) -> dict[str, Any]:
    """Return how many panels stand in a row, and how high they are where there is little room."""
    width -= 62 + 12 + (_BAR_PX if bar else 0)
    columns = 3 if width > 600 else 2 if width > 380 else 1
    across = min(columns, panels)
    across = -(-panels // -(-panels // across))
    cell = width * (1 - GAP_X / across * (across - 1)) / across
    return {"columns": columns, "panel_px": int(np.clip(cell, 180, 320))}


def _axes(values: Mapping[str, Any]) -> Axes:
    axes: Axes = values["axes"]
    return ("tour", values["turn"], TOUR) if axes == ("tour",) else axes


def _rows(values: Mapping[str, Any]) -> Rows:
    return values["split"], not values["all_rows"]


def _limits(fields: Sequence[Any]) -> tuple[float, float]:
    """Return the limits of colours that all fields share."""
    return min(f.limits[0] for f in fields), max(f.limits[1] for f in fields)
