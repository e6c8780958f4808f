"""What one panel of a latent figure shows, and how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.errors import InputError
from vcviz.figures.outlines import Range, count_outside, latent_ranges
from vcviz.projections import fit_projection
from vcviz.records import LatentPrior, LatentSet, Projection


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
    texts : N strings for hovers, e.g. the text behind each sample
    """

    lat: LatentSet
    prior: LatentPrior | None = None
    projection: Projection | None = None
    title: str | None = None
    subtitle: str | None = None
    ranges: tuple[Range, Range] | None = None
    fit: NDArray[np.float64] | None = None
    texts: Sequence[str] | None = None


@dataclass(frozen=True)
class LatentOptions:
    """What is drawn of each panel.

    Attributes
    ----------
    anticipated, empirical, mass, classes, seed : as for `plot_latents`
    max_points : most points in a panel
    columns : panels in a row
    fit_range : (low, high) in nats of the axis of the fits; default what they need
    compact : for figures that carry many frames: hovers tell class and row alone, outlines have
        few vertices, and what changes with the data is drawn as traces, not as layout
    """

    anticipated: bool = True
    empirical: bool = True
    mass: Sequence[float] = (0.5, 0.9)
    classes: Sequence[int] | None = None
    max_points: int = 5000
    columns: int = 3
    fit_range: Range | None = None
    compact: bool = False
    seed: int = 0


class View:
    """A panel with nothing left open: points in the plane, their axes, the rows to draw."""

    def __init__(self, panel: LatentPanel, shown: Sequence[int], options: LatentOptions) -> None:
        lat, prior = panel.lat, panel.prior
        if panel.texts is not None and len(panel.texts) != len(lat):
            raise InputError(
                f"hover texts must have {len(lat)} entries, one per row, got {len(panel.texts)}"
            )
        if prior is not None and prior.n_classes != lat.n_classes:
            raise InputError(
                f"the prior must have {lat.n_classes} classes like the latents, "
                f"got {prior.n_classes}"
            )
        self.lat, self.prior, self.texts = lat, prior, panel.texts
        self.shown = shown
        self.projection = panel.projection or default_projection(lat, prior)
        self.points = self.projection(lat.z)
        self.ranges = panel.ranges or latent_ranges(self.points, prior, self.projection)
        self.rows = stratified(lat.y, shown, options.max_points, options.seed)
        self.heading = [title_of(panel), *([panel.subtitle] if panel.subtitle else [])]
        self.fit = np.full(lat.n_classes, np.nan) if panel.fit is None else panel.fit

    def notes(self) -> list[str]:
        """Return what the numbers are and what is not shown."""
        notes = [f"accuracy {self.lat.accuracy:.3f}"]
        fit = self.fit[list(self.shown)]
        if (known := ~np.isnan(fit)).any():
            mean = fit[known].mean()
            notes.append(f"mean KL {mean:.3g} nats" if np.isfinite(mean) else "mean KL infinite")
        of_shown = int(np.isin(self.lat.y, self.shown).sum())
        if len(self.rows) < of_shown:
            notes.append(f"{len(self.rows):,} of {of_shown:,} points drawn")
        outside = count_outside(self.points[self.rows], self.ranges)
        if outside:
            notes.append(f"{outside:,} point{'s' if outside > 1 else ''} outside the axes")
        return notes


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
    y: NDArray[np.int64], classes: Sequence[int], limit: int, seed: int
) -> NDArray[np.int64]:
    """Return sorted rows of the `classes`: all, or about `limit` with every class represented."""
    rows = np.flatnonzero(np.isin(y, list(classes)))
    if len(rows) <= limit:
        return rows
    rng = np.random.default_rng(seed)
    share = limit / len(rows)
    kept = []
    for k in classes:
        of_class = np.flatnonzero(y == k)
        n = min(len(of_class), max(1, int(share * len(of_class))))
        kept.append(rng.choice(of_class, n, replace=False))
    return np.sort(np.concatenate(kept))


def shared_names(panels: Sequence[LatentPanel]) -> tuple[str, ...]:
    """Return the class names that all panels have."""
    if not panels:
        raise InputError("nothing to draw: pass at least one set of latents")
    names = panels[0].lat.class_names
    for panel in panels[1:]:
        if panel.lat.class_names != names:
            raise InputError(
                "latents side by side must have the same classes: "
                f"{title_of(panels[0])!r} and {title_of(panel)!r} differ; draw them one by one"
            )
    return names


def checked_classes(classes: Sequence[int] | None, n_classes: int) -> list[int]:
    """Return the class indices to show, in order."""
    if classes is None:
        return list(range(n_classes))
    shown = sorted({int(k) for k in classes})
    if not shown or shown[0] < 0 or shown[-1] >= n_classes:
        raise InputError(
            f"classes must be indices in [0, {n_classes}), at least one; got {list(classes)}"
        )
    return shown
