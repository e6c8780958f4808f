"""Where an explorer's latents come from: a run, or latents with their law; what is slow is kept."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.caching import cached_method
from vcviz.base.errors import InputError
from vcviz.explorers.samples import Samples
from vcviz.explorers.subject import Subject
from vcviz.figures.classes import (
    MANY,
    Chosen,
    chosen_classes,
    kl_bias,
    most_confused,
    most_frequent,
)
from vcviz.figures.latent_panel import LatentPanel
from vcviz.figures.outlines import Range, latent_ranges
from vcviz.geometry import fit_projection
from vcviz.geometry.grand_tour import grand_tour, tour_ranges
from vcviz.metrics.fit import moment_kl
from vcviz.metrics.row_values import RowValues, row_values
from vcviz.records import LatentPrior, LatentSet, Projection
from vcviz.records.titles import run_titles
from vcviz.runs import Run

#: ("test", True) = the probe rows of the test split that were kept at every epoch,
#: ("test", False) = all its rows, of the trained model
Rows = tuple[str, bool]
#: ("pair", 0, 1), ("pca",), ("lda",), ("umap",) or ("tour", frame, of how many)
Axes = tuple[Any, ...]

_TOURED = 10  # frames of a tour between two that set its axes

_LAW = {
    "stated": "p(z|y) stated by the head",
    "implied": "p(z|y) implied by the weights",
    None: "no p(z|y)",
}


class Source:
    """Panels of one run at any epoch, on axes that stay put.

    The projection is fitted once, on the trained model's latents of the split, so that axes mean
    the same at every epoch; ranges show the latents of all epochs.
    """

    def __init__(self, run: Run | Subject, title: str) -> None:
        self.run, self.title = run, title
        self.class_names: tuple[str, ...] = tuple(run.class_names)
        self.epochs: list[int] = list(run.epochs)

    @cached_property
    def samples(self) -> Samples:
        """What stands behind the rows."""
        return Samples(self.run)

    @property
    def latent_dim(self) -> int:
        """D of the run's latents."""
        return self.trained("test")[0].latent_dim

    @property
    def train(self) -> LatentSet | None:
        """The trained model's latents of training rows; None of what is no run."""
        return self.trained("train")[0] if self.epochs else None

    def trained(self, split: str) -> tuple[LatentSet, LatentPrior | None]:
        """Return latents and law of the trained model, of all rows."""
        return self.latents((split, False), None)

    def last(self, rows: Rows) -> tuple[LatentSet, LatentPrior | None]:
        """Return latents and law of these rows at the last epoch."""
        return self.latents(rows, self.epochs[-1] if self.epochs else None)

    def kept(self, rows: Rows, epoch: int | None) -> int | None:
        """Return the last epoch with kept latents that is not after `epoch`.

        None for the trained model, of which alone there are all rows.
        """
        if epoch is None or not rows[1] or not self.epochs:
            return None
        return max((e for e in self.epochs if e <= epoch), default=self.epochs[0])

    @cached_method()
    def latents(self, rows: Rows, epoch: int | None) -> tuple[LatentSet, LatentPrior | None]:
        """Return latents and law of some rows at an epoch."""
        at = self.kept(rows, epoch)
        return self.run.latents(rows[0], at), self.run.prior(at)

    @cached_method()
    def projection(self, axes: Axes, split: str) -> Projection:
        """Return the map to the plane, the same at every epoch."""
        if axes[0] == "tour":
            return self.tour(split, axes[2])[axes[1]]
        lat, prior = self.trained(split)
        return projected(lat, prior, axes)

    @cached_method()
    def tour(self, split: str, frames: int) -> list[Projection]:
        """Return the planes of a grand tour through the trained model's latents."""
        lat, prior = self.trained(split)
        return grand_tour(lat, frames, prior=prior)

    @cached_method()
    def ranges(self, axes: Axes, rows: Rows) -> tuple[Range, Range]:
        """Return axis ranges that show the latents of every epoch and the final law."""
        split, probe = rows
        if axes[0] == "tour":  # the same axes all the way around
            lat, prior = self.latents(rows, None)
            return tour_ranges(lat, self.tour(split, axes[2])[::_TOURED], prior)
        projection = self.projection(axes, split)
        epochs = self.epochs if probe and projection.linear and self.epochs else [None]
        points = np.concatenate([projection(self.latents(rows, e)[0].z)[:, :2] for e in epochs])
        prior = self.latents(rows, epochs[-1])[1]
        return latent_ranges(points, prior, projection)

    @cached_method()
    def fit(self, rows: Rows, epoch: int | None) -> NDArray[np.float64] | None:
        """Return (C,) moment KL in nats, or None without a law."""
        lat, prior = self.latents(rows, epoch)
        return None if prior is None else moment_kl(lat, prior)

    @cached_method()
    def fit_varying(self, rows: Rows, epoch: int | None) -> NDArray[np.float64] | None:
        """Return the fit of each class in the dimensions in which it varies."""
        fit = self.fit(rows, epoch)
        lat, prior = self.latents(rows, epoch)
        if fit is None or prior is None or not np.isinf(fit).any():
            return fit
        return moment_kl(lat, prior, varying=True)

    @cached_method()
    def fit_bias(self, rows: Rows) -> NDArray[np.float64]:
        """Return (C,) what the fit is on average for as many latents that follow the law."""
        lat, prior = self.latents(rows, None)
        return np.full(lat.n_classes, np.nan) if prior is None else kl_bias(lat, prior)

    @cached_method()
    def rules(self, split: str) -> list[Chosen]:
        """Return the choices of classes on offer, the first of which is the default.

        Of few classes all of them; of many those that some rule picks from the trained model.
        """
        lat, prior = self.trained(split)
        kl = self.fit((split, False), None) if len(lat.class_names) > MANY else None
        first = chosen_classes(lat, prior, kl)
        others = [found for found in (most_confused(lat), most_frequent(lat))
                  if found.rule != first.rule]  # fmt: skip
        return [first, *others]

    @cached_method()
    def panel(self, axes: Axes, rows: Rows, epoch: int | None) -> LatentPanel:
        """Return what one panel shows."""
        lat, prior = self.latents(rows, epoch)
        return LatentPanel(
            lat,
            prior,
            self.projection(axes, rows[0]),
            title=self.title,
            subtitle=_LAW[self.run.anticipates],
            ranges=self.ranges(axes, rows),
            fit=self.fit(rows, epoch),
            fit_varying=self.fit_varying(rows, epoch),
            train=self.train,
        )

    def values(self, rows: Rows, name: str) -> RowValues:
        """Return what the trained model's rows are coloured by, which sets the scale of colours."""
        lat, prior = self.last(rows)
        return row_values(lat, name, prior=prior, train=self.train)


def projected(lat: LatentSet, prior: LatentPrior | None, axes: Axes) -> Projection:
    """Return the map to the plane that `axes` name, fitted to `lat`."""
    method, *dims = axes
    return fit_projection(lat, method=method, dims=tuple(dims) or (0, 1), prior=prior)


def sources(runs: Any) -> list[Source]:
    """Return a source for a run, a (latents, law) pair, or each of a sequence of them."""
    if _is_pair(runs) or not isinstance(runs, (list, tuple)):
        runs = [runs]
    if not runs:
        raise InputError("nothing to explore: pass a run, several runs, or (latents, prior) pairs")
    found = [_as_run(run) for run in runs]
    made = [Source(run, title) for run, title in zip(found, run_titles(found), strict=True)]
    for other in made[1:]:
        if other.class_names != made[0].class_names:
            raise InputError(
                f"runs side by side must have the same classes: {made[0].title!r} and "
                f"{other.title!r} differ; explore them one by one"
            )
    return made


def _is_pair(item: Any) -> bool:
    return (
        isinstance(item, tuple)
        and len(item) == 2
        and isinstance(item[0], LatentSet)
        and (item[1] is None or isinstance(item[1], LatentPrior))
    )


def _as_run(item: Any) -> Run | Subject:
    if isinstance(item, (Run, Subject)):
        return item
    if isinstance(item, LatentSet):
        item = item, None
    if _is_pair(item):
        lat, prior = item
        return Subject(lat, prior, None if prior is None else "stated")
    raise InputError(
        f"an explorer takes runs or (LatentSet, LatentPrior) pairs, got {type(item).__name__}"
    )
