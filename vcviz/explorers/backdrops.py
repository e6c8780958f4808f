"""What lies beneath and above the points of a panel: regions, a critic's T, strangers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vcviz.base.caching import cached_method
from vcviz.base.errors import InputError
from vcviz.explorers.panel_data import Axes, Rows, Source
from vcviz.explorers.subject import Subject
from vcviz.figures.boundaries import boundary_trace
from vcviz.figures.fields import field_trace, stranger_trace, threshold_line, threshold_note
from vcviz.figures.regions import region_trace
from vcviz.geometry.projections import plane_latents
from vcviz.metrics.ood import METHODS, OF_OUTPUT, available
from vcviz.records import LatentPlane, LatentPrior, LatentSet, PlaneField, Projection, Split

#: value -> label of what can lie beneath the points
BACKDROPS = {
    "none": "nothing",
    "regions": "decision regions",
    "log_ratio": "critic: too many, too few",
    "ood": "out-of-distribution score",
}
_SIZE = 96  # grid points along each axis
_STRANGERS, _KNOWN = 2000, 20_000  # rows that are encoded, that set a threshold; at most


class Backdrop(NamedTuple):
    """Traces beneath and above the points, with lines that say what they are."""

    under: tuple[dict[str, Any], ...] = ()
    over: tuple[dict[str, Any], ...] = ()
    remarks: tuple[str, ...] = ()
    field: PlaneField | None = None


class Backdrops:
    """The backdrops of one source; what is slow is kept.

    Parameters
    ----------
    source : whose latents
    strangers : name -> `Split` of inputs of the same shape, or LatentSet by the same model
    """

    def __init__(self, source: Source, strangers: Mapping[str, Split | LatentSet]) -> None:
        self.source = source
        self._strangers = dict(strangers)

    @cached_method()
    def model(self) -> Any:
        """Return the run's model."""
        return self.source.run.model()

    @property
    def can_ask(self) -> bool:
        """Whether the model says p(y|z) of any z; not if z is what a layer in its middle takes."""
        run = self.source.run
        if not run.has_model:
            return False
        if run.anticipates is not None:
            return True
        from vcviz.latents.modules import is_ours, unwrapped

        return is_ours(unwrapped(self.model()))

    @property
    def has_critic(self) -> bool:
        """Whether the model has a critic to ask."""
        if not self.source.run.has_model:
            return False
        from vcviz.latents.fields import has_critic

        return has_critic(self.model())

    @property
    def has_regions(self) -> bool:
        """Whether a law or the model says to which class any z belongs."""
        return self.source.run.anticipates is not None or self.can_ask

    def methods(self, split: str) -> tuple[str, ...]:
        """Return the scores that this source can give."""
        lat, prior = self.source.trained(split)
        usable = available(lat, prior=prior, train=self.source.train)
        return tuple(m for m in usable if m not in OF_OUTPUT or self.can_ask)

    def _model(self) -> Any:
        """Return what says p(y|z): the map that was found in somebody's model, or the model."""
        run = self.source.run
        head = run.head if isinstance(run, Subject) else None
        return head or self.model()

    def _frame(self, axes: Axes, rows: Rows) -> dict[str, Any]:
        return {
            "projection": self.source.projection(axes, rows[0]),
            "ranges": self.source.ranges(axes, rows),
            "size": _SIZE,
        }

    # ---------------------------------------------------------- what is drawn

    @cached_method()
    def boundaries(self, axes: Axes, rows: Rows, epoch: int | None) -> Backdrop:
        """Return the lines between decision regions, where a law says them at every epoch."""
        lat, prior = self.source.latents(rows, epoch)
        frame = self._frame(axes, rows)
        if prior is None or not frame["projection"].linear:
            return Backdrop(remarks=("no decision boundaries here",))
        return Backdrop(over=(boundary_trace(_by_bayes(lat, prior, **frame)),))

    @cached_method()
    def regions(self, axes: Axes, rows: Rows, epoch: int | None) -> Backdrop:
        """Return the decision regions at an epoch, by Bayes' rule from the law if there is one."""
        lat, prior = self.source.latents(rows, epoch)
        frame = self._frame(axes, rows)
        if not frame["projection"].linear:
            return Backdrop(remarks=("no regions: the axes are not linear",))
        if prior is not None:
            return Backdrop((region_trace(_by_bayes(lat, prior, **frame)),))
        if not self.can_ask:
            return Backdrop(remarks=("no regions: p(y|z) is not known",))
        if not self._is_last(rows, epoch):
            return Backdrop(remarks=("regions: of the trained model only",))
        from vcviz.latents.planes import plane_log_probs

        return Backdrop((region_trace(plane_log_probs(self._model(), lat, **frame)),))

    @cached_method()
    def ratio(self, axes: Axes, rows: Rows, epoch: int | None) -> Backdrop:
        """Return the critic's T under the latents."""
        if not self.has_critic:
            return Backdrop(remarks=("no critic",))
        if not self._is_last(rows, epoch) or not self._frame(axes, rows)["projection"].linear:
            return Backdrop(remarks=("critic: of the trained model, on linear axes",))
        from vcviz.latents.fields import plane_log_ratio

        lat, _ = self.source.latents(rows, epoch)
        return Backdrop(field=plane_log_ratio(self.model(), lat, **self._frame(axes, rows)))

    @cached_method()
    def scored(
        self, axes: Axes, rows: Rows, epoch: int | None, method: str, against: str | None
    ) -> Backdrop:
        """Return the score's threshold, strangers and what it lets pass, and the score as field."""
        if not self._is_last(rows, epoch):
            return Backdrop(remarks=("strangers: of the trained model only",))
        if method not in self.methods(rows[0]):
            return Backdrop(remarks=(f"no score {METHODS[method]}",))
        from vcviz.latents.fields import score_plane

        frame = self._frame(axes, rows)
        lat, prior = self.source.trained(rows[0])
        strangers = None if against is None else self._encoded(against)
        over: list[dict[str, Any]] = []
        if strangers is not None:
            points = frame["projection"](strangers.z)[:, :2]
            over.append(stranger_trace(points, strangers.name, rows=strangers.index))
        if not frame["projection"].linear:
            return Backdrop(over=tuple(over), remarks=("no threshold: the axes are not linear",))
        field = score_plane(
            self._model() if self.can_ask else None,
            _thinned(lat, _KNOWN),
            method,
            prior=prior,
            train=self.source.train,
            strangers=strangers,
            **frame,
        )
        over.append(threshold_line(field) | {"showlegend": False})
        return Backdrop(over=tuple(over), remarks=(threshold_note(field),), field=field)

    def beneath(
        self,
        kind: str,
        axes: Axes,
        rows: Rows,
        epoch: int | None,
        score: str,
        against: str | None = None,
    ) -> Backdrop:
        """Return the backdrop of a kind of `BACKDROPS`, of a score with strangers `against` it."""
        if kind == "regions":
            return self.regions(axes, rows, epoch)
        if kind == "log_ratio":
            return self.ratio(axes, rows, epoch)
        if kind == "ood":
            return self.scored(axes, rows, epoch, score, against)
        return Backdrop()

    def _is_last(self, rows: Rows, epoch: int | None) -> bool:
        at = self.source.kept(rows, epoch)
        return at is None or at == self.source.epochs[-1]

    @cached_method()
    def _encoded(self, name: str) -> LatentSet:
        """Return the latents of strangers by this run's model."""
        found = self._strangers.get(name)
        if isinstance(found, LatentSet):
            return found
        if not self.source.run.has_model:
            raise InputError(f"{self.source.title} has no model to encode strangers with")
        from vcviz.data import make_strangers
        from vcviz.latents import extract_latents

        if found is None:
            known = self.source.run.split("test")
            found = make_strangers(_thinned(known, _STRANGERS), name)
        else:
            found = _thinned(found, _STRANGERS)
        return extract_latents(self.model(), found, name=name)


def strangers_of(source: Source, given: Mapping[str, Any]) -> list[str]:
    """Return the names of strangers that a source's model can be asked about."""
    if not source.run.has_model:
        return list(given)
    from vcviz.data.strangers import STRANGERS

    try:
        known = source.run.split("test")
    except (InputError, OSError):
        return list(given)
    square = known.kind == "image" and known.x.shape[-1] == known.x.shape[-2]
    fits = {"noise": True, "inverted": known.kind == "image", "rotated": square}
    return [*given, *(name for name in STRANGERS if fits.get(name, False))]


def stacked(layers: Sequence[Backdrop]) -> Backdrop:
    """Return backdrops as one; at most one of them has a field."""
    return Backdrop(
        tuple(trace for layer in layers for trace in layer.under),
        tuple(trace for layer in layers for trace in layer.over),
        tuple(line for layer in layers for line in layer.remarks),
        next(iter(fields_of(layers)), None),
    )


def filled(backdrop: Backdrop, limits: tuple[float, float] | None) -> Backdrop:
    """Return the backdrop with its field as a picture beneath the points."""
    if backdrop.field is None:
        return backdrop
    picture = field_trace(backdrop.field, limits)
    return backdrop._replace(under=(*backdrop.under, picture))


def _by_bayes(
    lat: LatentSet, prior: LatentPrior, *, projection: Projection, ranges: Any, size: int
) -> LatentPlane:
    """Return p(y|z) on a plane through the latents, from the law: p(y|z) ∝ π_y p(z|y)."""
    x, y = (np.linspace(low, high, size) for low, high in ranges)
    z = plane_latents(projection, x, y, through=lat.z.mean(0))
    log_probs: Any = prior.log_posterior(z)
    grid = log_probs.reshape(size, size, -1)
    return LatentPlane(grid, x, y, lat, projection, label_prior=lat.label_prior)


def _thinned(data: Any, most: int) -> Any:
    """Return at most so many rows of a split or of latents, evenly spread."""
    n = len(data)
    return data if n <= most else data.take(np.linspace(0, n - 1, most).round().astype(int))


def kinds_beneath(backdrops: Sequence[Backdrops], split: str) -> list[str]:
    """Return what can lie beneath the points of some run, keys of `BACKDROPS`."""
    there = {
        "regions": any(b.has_regions for b in backdrops),
        "log_ratio": any(b.has_critic for b in backdrops),
        "ood": bool(backdrops[0].methods(split)),
    }
    return [kind for kind, offered in there.items() if offered]


def fields_of(backdrops: Iterable[Backdrop]) -> list[PlaneField]:
    """Return the fields of those that have one."""
    return [one.field for one in backdrops if one.field is not None]


def limits_of(fields: Sequence[PlaneField]) -> tuple[float, float]:
    """Return the limits of colours that all fields share."""
    return min(f.limits[0] for f in fields), max(f.limits[1] for f in fields)
