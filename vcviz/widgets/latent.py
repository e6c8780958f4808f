"""LatentExplorer: what heads anticipate of their latents beside what they get, at every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as ipw
import plotly.graph_objects as go

from vcviz.errors import InputError, unknown
from vcviz.figures import theme as style
from vcviz.figures.latent_panel import LatentOptions
from vcviz.figures.latent_spec import latent_spec, padded_fit_range
from vcviz.figures.outlines import Range
from vcviz.widgets.bind import Bound
from vcviz.widgets.controls import (
    Choices,
    checkbox,
    dropdown,
    epoch_slider,
    player,
    reset_button,
)
from vcviz.widgets.display import Explorer
from vcviz.widgets.sources import Axes, Rows, Source, sources

SPLITS = ("test", "train")
_PAIRS = 8  # axis pairs on offer
_BUDGET = 0.85e6  # bytes of JSON for the frames of a static figure: two fit into a notebook


class LatentExplorer(Explorer):
    """Runs side by side: latents, p(z|y) and q(z|y) per class, at every epoch that was kept.

    Parameters
    ----------
    runs : a `Run`, a (LatentSet, LatentPrior or None) pair, or a sequence of either; all with
        the same classes
    split : "test" or "train", the rows shown at first
    mass : share of each class that an outline encloses, one outline each
    max_points : most points drawn in a panel; more are sampled, and the panel says so
    umap : also offer UMAP, fitted on the trained latents; slow, and laws become outlines of draws
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control, among ``runs``, ``split``, ``epoch``, ``all_rows``, ``axes``,
        ``classes``, ``anticipated``, ``empirical`` (those that have something to choose)
    view : the live figure
    widget : controls and figure

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
        max_points: int = 5000,
        umap: bool = False,
        theme: style.Theme = "auto",
    ) -> None:
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        self._sources = sources(runs)
        self._mass, self._max_points, self._theme = tuple(mass), max_points, theme
        controls = _controls(self._sources, umap, split)
        self._defaults = {
            "runs": tuple(range(len(self._sources))),
            "epoch": None,
            "split": split,
            "all_rows": "epoch" not in controls,
            "axes": ("pair", 0, 1),
            "classes": tuple(range(len(self._sources[0].class_names))),
        }
        slider = "epoch" if "epoch" in controls else None
        super().__init__(Bound(self._draw, controls, slider, _panel(controls, self.reset)))
        if "all_rows" in controls:
            controls["all_rows"].observe(self._all_rows_changed, names="value")

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
        layers = [name for name in ("anticipated", "empirical") if name in self.controls]
        views = 1 if not menus else len(menus.get("axes") or ("test", "train"))
        return self.bound.figure(
            menus=menus,
            layers=layers,
            frames=frames or self._affordable(views, max_points),
            draw=lambda **values: self._spec(values, compact=True, max_points=max_points),
        )

    def _affordable(self, views: int, rows: int) -> int:
        """Return how many epochs fit the budget, by what a point and an outline take in JSON."""
        classes = len(self.controls["classes"].value)
        panel = 12 * rows + 690 * classes + 400
        panels = len(self._sources)
        return max(6, int(_BUDGET / (views * panels * panel)))

    def _draw(self, **values: Any) -> dict[str, Any]:
        return self._spec(values)

    def _spec(
        self, values: Mapping[str, Any], *, compact: bool = False, max_points: int | None = None
    ) -> dict[str, Any]:
        values = {**self._defaults, **values}
        rows: Rows = values["split"], not values["all_rows"]
        options = LatentOptions(
            anticipated=values.get("anticipated", False),
            empirical=values["empirical"],
            mass=self._mass,
            classes=values["classes"],
            max_points=max_points or self._max_points,
            fit_range=self._fit_range(rows),
            compact=compact,
        )
        shown = [self._sources[i] for i in values["runs"]]
        panels = [s.panel(values["axes"], rows, values["epoch"]) for s in shown]
        return style.themed(latent_spec(panels, options), self._theme)

    def _fit_range(self, rows: Rows) -> Range | None:
        """Return the range of fits over all runs and epochs, so that their axis stays put."""
        found = [
            fit[fit > 0]
            for s in self._sources
            for e in (s.epochs if rows[1] else [None])
            if (fit := s.fit(rows, e)) is not None and (fit > 0).any()
        ]
        if not found:
            return None
        return padded_fit_range(min(f.min() for f in found), max(f.max() for f in found))

    def _all_rows_changed(self, change: Any) -> None:
        self.controls["epoch"].disabled = change["new"]


def _controls(made: Sequence[Source], umap: bool, split: str) -> dict[str, ipw.Widget]:
    controls: dict[str, ipw.Widget] = {}
    if len(made) > 1:
        controls["runs"] = Choices([(s.title, i) for i, s in enumerate(made)], description="Runs")
    epochs = sorted(set().union(*(s.epochs for s in made)))
    if epochs:
        controls["split"] = dropdown("Split", [(s, s) for s in SPLITS], value=split)
    if len(epochs) > 1:
        controls["epoch"] = epoch_slider(epochs)
        controls["all_rows"] = checkbox("all rows of the trained model", False)
    axes = _axes(min(s.latent_dim for s in made), umap)
    if len(axes) > 1:
        controls["axes"] = dropdown("Axes", axes)
    names = made[0].class_names
    controls["classes"] = Choices([(n, k) for k, n in enumerate(names)], description="Classes")
    if any(getattr(s.run, "anticipates", None) for s in made):
        controls["anticipated"] = checkbox("anticipated p(z|y), solid")
    controls["empirical"] = checkbox("empirical q(z|y), dashed")
    return controls


def _axes(latent_dim: int, umap: bool) -> list[tuple[str, Axes]]:
    """Return the views on offer; every one is a fixed map of the latents to a plane."""
    if latent_dim < 2:
        raise InputError("the explorer draws a plane: it needs latents of at least 2 dimensions")
    pairs = [
        (f"dimensions {i + 1} and {i + 2}", ("pair", i, i + 1))
        for i in range(0, min(latent_dim - 1, 2 * _PAIRS), 2)
    ]
    if latent_dim == 2 and not umap:
        return pairs
    found = pairs if latent_dim == 2 else [("PCA", ("pca",)), ("LDA", ("lda",)), *pairs]
    return [*found, ("UMAP", ("umap",))] if umap else found


def _panel(controls: Mapping[str, ipw.Widget], reset: Any) -> ipw.Widget:
    """Return the controls in rows: what is shown, when and along which axes, which parts."""
    shown = dict(controls)
    if "epoch" in shown:
        shown["epoch"] = player(shown["epoch"])
    wrap = ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 18px")
    rows = [
        ("runs",),
        ("epoch", "all_rows"),
        ("split", "axes", "anticipated", "empirical"),
        ("classes",),
    ]
    boxes = [[shown[name] for name in row if name in shown] for row in rows]
    boxes[-1].append(reset_button(reset))
    return ipw.VBox([ipw.Box(box, layout=wrap) for box in boxes if box])
