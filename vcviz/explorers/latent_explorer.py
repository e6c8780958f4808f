"""LatentExplorer: what heads anticipate of their latents beside what they get, at every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from vcviz.base.errors import InputError, unknown
from vcviz.explorers.backdrops import Backdrops
from vcviz.explorers.bind import Bound
from vcviz.explorers.direction_explorer import DirectionExplorer
from vcviz.explorers.display import Explorer
from vcviz.explorers.events import Picks
from vcviz.explorers.latent_controls import (
    MOVING,
    SPLITS,
    STATE,
    LatentValues,
    Offer,
    latent_controls,
    latent_panel,
    starting_values,
)
from vcviz.explorers.latent_scene import EVERY, LatentScene
from vcviz.explorers.page_rows import of_split, with_rows
from vcviz.explorers.panel_data import Axes, sources
from vcviz.explorers.selection import Selection
from vcviz.figures import theme as style
from vcviz.figures.latent_panel import LatentOptions, View
from vcviz.records import LatentSet, Split

_BUDGET = 0.78e6  # bytes of JSON for the frames of a static figure: two fit into a notebook
_REGION_BYTES = 4500  # of decision regions as a picture, in text
_ENOUGH = 10  # epochs that a figure should have before it brings more
_LAYERS = ("anticipated", "empirical", "boundaries")


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
        ``turn`` (of the grand tour), ``classes``, ``color``, ``anticipated``, ``empirical``,
        ``boundaries``, ``backdrop``, ``strangers``, ``score``, ``choose``, ``find``, ``combine``,
        ``only_chosen`` (those that have something to choose)
    view : the live figure
    widget : controls and figure
    chosen : the chosen rows, which `vcviz.link` shares with other explorers
    sources, theme : what is explored, and how it looks
    directions : a `DirectionExplorer` of the same runs, shown beneath when it is opened

    Notes
    -----
    Projections are fitted once per run on the trained model's latents, and axis ranges are set
    by the latents of all epochs together: a point that moves has moved.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> explorer = vcviz.LatentExplorer(run)
    >>> explorer.controls["color"].value = "confidence"
    >>> explorer.chosen.choose([3, 5, 8])  # as a lasso in the figure does
    >>> list(explorer.selection.columns)[:6]
    ['run', 'row', 'label', 'predicted', 'confidence', 'right']
    """

    # A list and a field that choose rows would choose them again.
    _acting = ("choose", "find")
    words = (
        "anticipated p(z|y)",
        "empirical q(z|y)",
        "outline",
        "KL",
        "strangers",
    )

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
        strangers = strangers or {}
        backdrops = [Backdrops(s, strangers) for s in self.sources]
        self._max_points, self.theme = max_points, theme
        offer = Offer(self.sources, backdrops, strangers, umap, split)
        controls = latent_controls(offer)
        self._start = starting_values(offer, controls)
        self._scene = LatentScene(
            self.sources,
            backdrops,
            mass=tuple(mass),
            max_points=max_points,
            theme=theme,
            rule=lambda: getattr(controls["classes"], "told", ""),
        )
        bound = Bound(
            self._draw,
            controls,
            "epoch" if "epoch" in controls else None,
            latent_panel(controls, self.reset),
            state={name: getattr(self._start, name) for name in STATE},
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
        for name in MOVING:
            if name in controls:
                controls[name].observe(self._moved, names="value")
        if "all_rows" in controls:
            controls["all_rows"].observe(self._all_rows_changed, names="value")

    # ---------------------------------------------------------- for a page without a kernel

    def figure(
        self,
        *,
        slider: str = "epoch",
        axes: Sequence[Axes] | None = None,
        frames: int | None = None,
        max_points: int = 300,
        beneath: bool | None = None,
    ) -> go.Figure:
        """Return one static figure with a slider, and lists of axes, of lines, of what is beneath.

        Parameters
        ----------
        slider : "epoch", or "turn" to go around the latents on a grand tour, at the epoch that is
            set
        axes : the views, e.g. ``[("pca",), ("pair", 0, 1)]``; default the first two on offer
        frames : most positions of the slider; default as many as keep the figure
            below 1 MB, so that a notebook can hold some
        max_points : most points of a panel; more are sampled
        beneath : bring what can lie beneath the points (decision regions at every epoch, and what
            else the runs have) with a list of it; default if that leaves enough epochs, which it
            does with one or two runs

        Raises
        ------
        InputError
            If there is no such slider; a tour takes latents of more than two dimensions.
        """
        if slider not in ("epoch", "turn"):
            raise unknown("slider", slider, ("epoch", "turn"))
        options = LatentOptions(compact=True, max_points=max_points)
        layers = [name for name in _LAYERS if name in self.controls]

        def draw(**values: Any) -> Mapping[str, Any]:
            spec = self._draw(options, **values)
            return of_split(spec, values.get("split", self._start.split))

        if slider == "turn":
            if "turn" not in self.controls:
                raise InputError("there is no grand tour of latents of two dimensions")
            found = self.bound.figure(
                layers=layers,
                slider="turn",
                frames=frames or self._affordable(1, max_points, beneath=False),
                axes=("tour",),
                draw=draw,
            )
            return self.carrying(found)
        menus: dict[str, Sequence[Any] | None] = {}
        if "axes" in self.controls:
            offered = [value for _, value in self.controls["axes"].options]
            now = self.controls["axes"].value
            usual = offered[:2] if now in (*offered[:2], ("tour",)) else [now, offered[0]]
            menus["axes"] = list(axes) if axes is not None else usual
        elif "split" in self.controls:
            menus["split"] = None
        views = 1 if not menus else len(menus.get("axes") or ("test", "train"))
        if beneath is None:
            beneath = self._affordable(views, max_points, beneath=True) >= _ENOUGH
        beneath = beneath and "backdrop" in self.controls
        found = self.bound.figure(
            menus=menus,
            layers=layers,
            one_of="backdrop" if beneath else None,
            frames=frames or self._affordable(views, max_points, beneath=beneath),
            draw=lambda **values: draw(**(values | {"backdrop": EVERY} if beneath else values)),
        )
        return self.carrying(found)

    def carrying(self, figure: go.Figure) -> go.Figure:
        """Let a page colour, find and show the rows behind the points of a static figure."""
        runs = [self.sources[k] for k in self.shown.runs]
        offered: list[str] = []
        if self.shown.color == "class":  # else every frame has colours of its own
            offered = [name for _, name in self.controls["color"].options if name != "class"]
        probe = not self.bound.values.get("all_rows", self._start.all_rows)
        return with_rows(figure, runs, offered, probe=probe)

    def _affordable(self, views: int, rows: int, *, beneath: bool) -> int:
        """Return how many steps fit the budget, by what points, outlines and regions take."""
        classes = len(self.controls["classes"].value)
        panel = 12 * rows + 760 * classes + 600
        if beneath:
            panel += _REGION_BYTES
        panels = len(self.sources)
        return max(6, int(_BUDGET / (views * panels * panel)))

    # ---------------------------------------------------------- what is drawn

    @property
    def shown(self) -> LatentValues:
        """What is shown now: the value of every control and state."""
        return replace(self._start, **self.bound.values)

    @property
    def split(self) -> str:
        """The split that is shown."""
        return self.shown.split

    def shown_runs(self) -> tuple[int, ...]:
        """Return the numbers of the runs that are shown, from the left."""
        return self.shown.runs

    def views(self) -> list[View]:
        """Return what the panels of the live figure show, from the left."""
        return self._scene.views(self.shown)

    def _draw(self, options: LatentOptions | None = None, /, **values: Any) -> dict[str, Any]:
        return self._scene.spec(replace(self._start, **values), options)

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

    def _kept(self) -> dict[str, Any]:
        return {"pinned": self.shown.pinned}

    def _keep(self, kept: Mapping[str, Any]) -> None:
        if kept.get("pinned", -1) >= 0:
            self._picks.pin(0, kept["pinned"])

    @property
    def selection(self) -> Any:
        """The chosen rows as a DataFrame, a row for each in each run shown."""
        return self._picks.table()

    def _zoomed(self, event: dict[str, Any]) -> None:
        number = self.panel_at(event["axes"][0])
        if number is None:
            return
        windows = dict(self.bound.values["windows"])
        (x0, x1), (y0, y1) = event["range"]
        windows[number] = ((float(x0), float(x1)), (float(y0), float(y1)))
        self.bound.set_state(windows=tuple(sorted(windows.items())))

    def _resized(self, event: dict[str, Any]) -> None:
        # In steps: a page that is made narrower by hand is not laid out at every pixel.
        self.bound.fit_page(width=max(int(event["width"]) // 40 * 40, 320))

    def panel_at(self, axis: str) -> int | None:
        """Return the number of the panel with this x axis ("x", "x2", …); None for the fits."""
        panels: list[str] = self.view.layout.meta["panels"]
        return panels.index(axis) if axis in panels else None

    def _moved(self, _change: Any) -> None:
        """Look at whole panels again: other axes have other windows."""
        self.bound.set_state(windows=())

    def _all_rows_changed(self, change: Any) -> None:
        self.controls["epoch"].disabled = change["new"]
