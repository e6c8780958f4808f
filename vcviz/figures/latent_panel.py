"""What one panel of a latent figure shows, and how it is drawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.caching import cached_method
from vcviz.base.errors import InputError, expect
from vcviz.base.options import check_count
from vcviz.figures import theme as style
from vcviz.figures.classes import (
    MANY,
    Chosen,
    chosen_classes,
    kl_bias,
    rows_for_kl,
    shown_note,
)
from vcviz.figures.colouring import Colouring
from vcviz.figures.outlines import (
    Centres,
    Outlines,
    Range,
    count_outside,
    empirical_outlines,
    latent_ranges,
)
from vcviz.figures.raster import RasterPicture, raster_picture
from vcviz.geometry import fit_projection
from vcviz.geometry.binned import Cloud, Window
from vcviz.geometry.moments import class_moments
from vcviz.metrics.row_values import RowValues, row_values
from vcviz.records import LatentPrior, LatentSet, Projection, as_indices


@dataclass(frozen=True, eq=False)
class LatentPanel:
    """What one panel of a latent figure shows.

    Attributes
    ----------
    lat : the latents
    prior : p(z|y), or None to draw none
    projection : map to the plane; default `default_projection`
    title : shown above; default the name of `lat`
    subtitle : a second line in small print
    ranges : fixed (x, y) axis ranges; default `latent_ranges` of what is drawn
    fit : (C,) moment KL of each class from p(z|y) in nats, drawn beneath the latents
    fit_varying : the same in the dimensions in which each class varies, drawn hollow where `fit` is
        infinite
    texts : N strings for hovers, e.g. the text behind each sample
    train : latents of training rows, for what points can be coloured by

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> panel = vcviz.figures.LatentPanel(run.latents(), run.prior(), title="after 3 epochs")
    >>> panel.points.shape, panel.plane.labels
    ((1000, 2), ('z₁', 'z₂'))
    """

    lat: LatentSet
    prior: LatentPrior | None = None
    projection: Projection | None = None
    title: str | None = None
    subtitle: str | None = None
    ranges: tuple[Range, Range] | None = None
    fit: NDArray[np.float64] | None = None
    fit_varying: NDArray[np.float64] | None = None
    texts: Sequence[str] | None = None
    train: LatentSet | None = None

    @cached_method()
    def values(self, name: str) -> RowValues:
        """Return what the points are coloured by, see `vcviz.metrics.row_values`."""
        return row_values(self.lat, name, prior=self.prior, train=self.train)

    @cached_property
    def plane(self) -> Projection:
        """The map to the plane."""
        return self.projection or default_projection(self.lat, self.prior)

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(N, 2) latents in the plane."""
        return self.plane(self.lat.z)[:, :2]

    @cached_property
    def chosen(self) -> Chosen:
        """The classes to draw where nobody says which: all, or of many those that matter."""
        return chosen_classes(self.lat, self.prior, self.fit)

    @cached_method(4)
    def outlines(
        self, mass: tuple[float, ...], vertices: int | None, classes: tuple[int, ...] | None
    ) -> tuple[Outlines, Centres]:
        """Return the outlines of q(z|y)."""
        return empirical_outlines(self.points, self.lat, mass, vertices=vertices, classes=classes)

    @cached_property
    def cloud(self) -> Cloud:
        """The points, to be seen through windows of the plane."""
        return Cloud(self.points, self.lat.y, self.lat.n_classes)


@dataclass(frozen=True)
class LatentOptions:
    """What is drawn of each panel.

    Attributes
    ----------
    anticipated, empirical, mass, classes, seed : as for `plot_latents`
    rule : by which the classes were chosen, in words
    max_points : most points in a panel
    columns : panels in a row, at most
    panel_px, fit_px : height of a panel, and of the fit beneath it, in pixels
    fit_range : (low, high) in nats of the axis of the fits; default what they need
    compact : for figures that carry many frames: hovers tell class and row alone, outlines have
        few vertices, and what changes with the data is drawn as traces, not as layout
    live : for figures with a kernel behind them, which says what is pointed at: points are drawn
        by WebGL, and as a picture while more than `picture_above` are in view
    picture_above : points
    windows : number of a panel -> the part of its plane that is in view; default its ranges
    chosen : (M,) row numbers (`LatentSet.index`) that stand out, None to draw all alike
    only_chosen : draw no others
    color : name of what points are coloured by, see `vcviz.metrics.row_values`; "class"
    colouring : what these colours mean; default a scale of the rows that are drawn
    key_offset : pixels between the panels and the key of the colours

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> options = vcviz.figures.LatentOptions(mass=(0.9,), classes=[0, 1], empirical=False)
    >>> panel = vcviz.figures.LatentPanel(run.latents(), run.prior())
    >>> figure = vcviz.figures.plot_latent_panels([panel], options)
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['anticipated', 'key', 'points']
    """

    anticipated: bool = True
    empirical: bool = True
    mass: Sequence[float] = (0.5, 0.9)
    classes: Sequence[int] | None = None
    rule: str = ""
    max_points: int = 5000
    columns: int = 3
    panel_px: int = 320
    fit_px: int = 150
    fit_range: Range | None = None
    compact: bool = False
    live: bool = False
    picture_above: int = 20_000
    windows: Mapping[int, Window] = field(default_factory=dict)
    chosen: NDArray[np.int64] | None = None
    only_chosen: bool = False
    color: str = "class"
    colouring: Colouring | None = None
    key_offset: int = 0
    seed: int = 0


#: pixels of the points as a picture
_PICTURE = (420, 420)
_OTHERS = 2000  # points of the classes that are not named, at most


class View:
    """A panel with nothing left open: points in the plane, their axes, the rows to draw.

    Attributes
    ----------
    rows : sorted rows of the latents that are drawn as points
    others : sorted rows that are drawn grey: some of the other classes, where there are many
    picture : the points, where they are drawn as a picture; `rows` are then the chosen ones

    Parameters
    ----------
    panel, options : what is drawn, and how
    shown : class indices
    number : of the panel, from the left
    under, over : traces beneath and above the points: decision regions, strangers, …
    remarks : lines that say what these are
    """

    def __init__(
        self,
        panel: LatentPanel,
        shown: Sequence[int],
        options: LatentOptions,
        number: int = 0,
        *,
        under: Sequence[dict[str, Any]] = (),
        over: Sequence[dict[str, Any]] = (),
        remarks: Sequence[str] = (),
    ) -> None:
        lat, prior = panel.lat, panel.prior
        if panel.texts is not None and len(panel.texts) != len(lat):
            raise InputError(
                f"hover texts must have {len(lat)} entries, one per row, got {len(panel.texts)}"
            )
        if prior is not None:
            expect("prior", prior, LatentPrior, "of a run it is run.prior()")
        if panel.projection is not None:
            expect("projection", panel.projection, Projection, "see vcviz.fit_projection")
        if prior is not None and prior.n_classes != lat.n_classes:
            raise InputError(
                f"the prior must have {lat.n_classes} classes like the latents, "
                f"got {prior.n_classes}"
            )
        self.panel, self.lat, self.prior = panel, lat, prior
        self.shown, self.under, self.over, self.remarks = shown, under, over, remarks
        self.projection, self.points = panel.plane, panel.points
        self.ranges = panel.ranges or latent_ranges(self.points, prior, self.projection)
        self.picture: RasterPicture | None = None
        self.values = None if options.color == "class" else panel.values(options.color)
        if options.live:
            self._look(options, options.windows.get(number, self.ranges))
        else:
            self.rows = stratified(lat.y, shown, options.max_points, options.seed)
            if options.chosen is not None:
                mine = self.marked(options.chosen)
                mine = mine[stratified(lat.y[mine], shown, options.max_points, options.seed)]
                self.rows = np.union1d(self.rows, mine)
        if options.only_chosen and options.chosen is not None and self.picture is None:
            self.rows = self.rows[np.isin(lat.index[self.rows], options.chosen)]
        self.heading = [title_of(panel), *([panel.subtitle] if panel.subtitle else [])]
        self.fit = np.full(lat.n_classes, np.nan) if panel.fit is None else panel.fit
        varying = panel.fit if panel.fit_varying is None else panel.fit_varying
        self.fit_varying = self.fit if varying is None else varying
        few = len(shown) < lat.n_classes > MANY
        rest = np.setdiff1d(np.arange(lat.n_classes), shown) if few else ()
        most = min(options.max_points, _OTHERS)
        self.others = stratified(lat.y, rest, most, options.seed)
        self.rule = options.rule

    @cached_property
    def bias(self) -> NDArray[np.float64]:
        """(C,) what the fit is on average for as many latents that follow the law."""
        if self.panel.fit is None or self.prior is None:
            return np.full(self.lat.n_classes, np.nan)
        return kl_bias(self.lat, self.prior)

    def _look(self, options: LatentOptions, window: Window) -> None:
        """Draw every point, or those in the window, or a picture of them if they are too many."""
        limit = options.picture_above
        rows = np.flatnonzero(np.isin(self.lat.y, self.shown)) if len(self.lat) <= limit else None
        if rows is None:
            rows = self.panel.cloud.in_view(window, limit, self.shown)
        if rows is None:
            values = None if self.values is None else self.values.values
            self.picture = raster_picture(
                self.panel.cloud, self.shown, window, _PICTURE, values, options.colouring
            )
            rows = self.marked(options.chosen)
            rows = rows[stratified(self.lat.y[rows], self.shown, limit, options.seed)]
        if options.only_chosen and options.chosen is not None:
            self.picture = None
        self.rows = rows

    def marked(self, chosen: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return the sorted rows that are chosen; none if nothing is."""
        if chosen is None:
            return np.empty(0, np.int64)
        return np.flatnonzero(np.isin(self.lat.index, chosen))

    def of_class(self, k: int) -> NDArray[np.int64]:
        """Return the drawn rows of a class, in the order of its points."""
        return self.rows[self.lat.y[self.rows] == k]

    def notes(self) -> list[str]:
        """Return what the numbers are and what is not shown."""
        notes = [style.accuracy_text(self.lat)]
        notes += shown_note(len(self.shown), self.lat.n_classes, self.rule)
        notes += self._fit_notes()
        of_shown = int(np.isin(self.lat.y, self.shown).sum())
        if self.picture is not None:
            notes.append(self.picture.note)
        elif len(self.rows) < of_shown:
            notes.append(f"{len(self.rows):,} of {of_shown:,} points drawn")
        outside = 0 if self.picture else count_outside(self.points[self.rows], self.ranges)
        if outside:
            notes.append(f"{outside:,} point{'s' if outside > 1 else ''} outside the axes")
        return [*notes, *self.remarks]

    def _fit_notes(self) -> list[str]:
        """Return what the fits of the drawn classes are, where they are not numbers, and why."""
        if self.panel.fit is None:
            return []
        fit = self.fit[list(self.shown)]
        finite, endless, few = np.isfinite(fit), int(np.isinf(fit).sum()), int(np.isnan(fit).sum())
        # N, as all of these rows would not fit beneath a narrow panel.
        found = []
        if finite.any():
            found.append(f"mean KL {fit[finite].mean():.3g} nats, N = {len(self.lat):,}")
        if endless:
            text = f"KL ∞ in {endless} classes" if endless > 1 else "KL ∞ in a class"
            found.append(f"{text} (constant in a dimension; hollow: in the others)")
        if few:
            text = f"no KL in {few} classes" if few > 1 else "no KL in a class"
            least = "" if self.prior is None else f" ({rows_for_kl(self.lat, self.prior)} needed)"
            found.append(f"{text}: too few rows{least}")
        part = None if self.prior is None else class_moments(self.lat).varying.part(self.prior)
        if part is not None:
            left = f"{part.left_out} of {part.dim} dimensions never"
            found.append(f"{left} var{'ies' if part.left_out == 1 else 'y'}: left out")
        return found


def title_of(panel: LatentPanel) -> str:
    """Return a panel's title."""
    return panel.lat.name if panel.title is None else panel.title


def default_projection(lat: LatentSet, prior: LatentPrior | None = None) -> Projection:
    """Return the two axes themselves if D = 2, else principal components of latents and law.

    Lengths stay lengths in both: an isotropic law is drawn as circles of its scale.
    """
    if lat.latent_dim < 2:
        raise InputError("a figure of latents is a plane: it needs latents of 2 or more dimensions")
    return fit_projection(lat, method="pair" if lat.latent_dim == 2 else "pca", prior=prior)


def stratified(
    y: NDArray[np.int64], classes: Collection[int], limit: int, seed: int
) -> NDArray[np.int64]:
    """Return sorted rows of the `classes`: all, or about `limit` with every class represented."""
    rows = np.flatnonzero(np.isin(y, list(classes)))
    if len(rows) <= check_count("max_points", limit, minimum=0):
        return rows
    rng = np.random.default_rng(seed)
    share = limit / len(rows)
    rows = rows[np.argsort(y[rows], kind="stable")]
    kept = []
    for of_class in np.split(rows, np.flatnonzero(np.diff(y[rows])) + 1):
        n = min(len(of_class), max(1, int(share * len(of_class))))
        kept.append(rng.choice(of_class, n, replace=False))
    return np.sort(np.concatenate(kept))


def checked_classes(classes: Collection[int] | None, n_classes: int) -> list[int]:
    """Return the class indices to show, in order; None for all."""
    if classes is None:
        return list(range(n_classes))
    given: Any = list(classes) if isinstance(classes, Set) else classes
    return sorted(set(as_indices("classes", given, n_classes).tolist()))
