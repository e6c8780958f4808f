"""LatentExplorer: what heads anticipate of their latents beside what they get, at every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from vcviz.base.errors import InputError, unknown
from vcviz.explorers.backdrops import Backdrops
from vcviz.explorers.direction_explorer import DirectionExplorer
from vcviz.explorers.display import Explorer
from vcviz.explorers.events import Picks
from vcviz.explorers.latent_controls import MOVING, SPLITS, STATE, LatentValues, latent_controls
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
    _kept = ("pinned",)
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
        self.sources, self.theme = sources(runs), theme
        strangers = strangers or {}
        backdrops = [Backdrops(source, strangers) for source in self.sources]
        in_view, folded = latent_controls(
            self.sources, backdrops, split=split, umap=umap, strangers=strangers
        )
        self._scene = LatentScene(
            backdrops,
            mass=tuple(mass),
            max_points=max_points,
            theme=theme,
            rule=lambda: self.controls["classes"].rule_text,
        )
        super().__init__(
            self._draw, *in_view, more=folded, slider="epoch", state=STATE, chosen=Selection()
        )
        self._place = self._now_at()
        self.directions = DirectionExplorer(runs, split=split, theme=theme, follows=self)
        self._picks = Picks(self.bound, self._scene, lambda: self.chosen)
        self._below = (self._picks.widget, self.directions.drawer)

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

        def draw(**values: Any) -> Mapping[str, Any]:
            return of_split(self._draw(options, **values), values["split"])

        layers = [name for name in _LAYERS if name in self.controls]
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
        menus: dict[str, Sequence[Any]] = {}
        if "axes" in self.controls:
            offered = [value for _, value in self.controls["axes"].options]
            now = self.controls["axes"].value
            usual = offered[:2] if now in (*offered[:2], ("tour",)) else [now, offered[0]]
            menus["axes"] = usual if axes is None else list(axes)
        elif "split" in self.controls:
            menus["split"] = SPLITS
        views = len(next(iter(menus.values()), [None]))
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
        shown = self.shown
        offered: list[str] = []
        if shown.color == "class":  # else every frame has colours of its own
            offered = [name for _, name in self.controls["color"].options if name != "class"]
        runs = [self.sources[k] for k in shown.runs]
        return with_rows(figure, runs, offered, probe=not shown.all_rows)

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
        return LatentValues(**self.bound.values)

    def views(self) -> list[View]:
        """Return what the panels of the live figure show, from the left."""
        return self._scene.views(self.shown)

    def _draw(self, options: LatentOptions | None = None, /, **values: Any) -> dict[str, Any]:
        return self._scene.spec(LatentValues(**values), options)

    def _before_drawing(self) -> None:
        super()._before_drawing()
        now = self._now_at()
        if now != self._place:  # whole panels again: other axes have other windows
            self._place = now
            self.bound.set_state(windows=())

    def _now_at(self) -> tuple[Any, ...]:
        return tuple(self.bound.values[name] for name in MOVING)

    # ---------------------------------------------------------- chosen and kept rows

    @property
    def selection(self) -> Any:
        """The chosen rows as a DataFrame, a row for each in each run shown."""
        return self._picks.table()

    def show_chosen(self, _change: object = None) -> None:
        """Let the chosen rows stand out, if they are of the split that is shown."""
        here = self.chosen.split == self.shown.split
        self.bound.set_state(chosen=self.chosen.rows.tobytes() if here else b"")
        self._picks.show_chosen()

    def reset(self) -> None:
        """Put every control back to where it was; choose nothing, keep nothing."""
        self._picks.unpin()
        super().reset()

    def _keep(self, **kept: Any) -> None:
        if kept.get("pinned", -1) >= 0:
            self._picks.pin(0, kept["pinned"])
