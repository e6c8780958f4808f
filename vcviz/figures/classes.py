"""Which classes a figure shows where there are too many to tell apart, and what they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcviz.figures import theme as style
from vcviz.geometry.moments import class_moments
from vcviz.metrics.fit import moment_kl, moment_kl_bias
from vcviz.records import LatentPrior, LatentSet

#: more classes than this are not drawn all: colours repeat, and nobody reads so long a legend
MANY = 24
#: classes that are drawn of so many
FEW = 12
_STRIP = 4  # places that the rest takes on an axis of classes


class Chosen(NamedTuple):
    """Classes with the rule they were chosen by, in words; without one they are all."""

    classes: tuple[int, ...]
    rule: str = ""


def rows_for_kl(lat: LatentSet, prior: LatentPrior) -> int:
    """Return how many latents a class needs for a moment KL: two more than dimensions that vary."""
    part = class_moments(lat).varying.part(prior)
    return (prior.latent_dim if part is None else part.rank) + 2


def kl_bias(lat: LatentSet, prior: LatentPrior) -> NDArray[np.float64]:
    """Return (C,) what the moment KL is on average for as many latents that follow the law."""
    counts, dim = np.bincount(lat.y, minlength=lat.n_classes), rows_for_kl(lat, prior) - 2
    each, place = np.unique(counts, return_inverse=True)
    found: NDArray[np.float64] = np.array([moment_kl_bias(int(n), dim) for n in each])[place]
    return found


def confusion_counts(lat: LatentSet) -> NDArray[np.int64]:
    """Return (C,) rows of a class that are taken for another, and of others that are taken for it.

    Of some 100,000 rows where there are more.
    """
    rows = slice(None, None, max(len(lat) // 100_000, 1))
    y, predicted = lat.y[rows], lat.log_probs[rows].argmax(1)
    wrong = predicted != y
    found: NDArray[np.int64] = np.bincount(y[wrong], minlength=lat.n_classes)
    return found + np.bincount(predicted[wrong], minlength=lat.n_classes)


def worst_by_kl(
    lat: LatentSet, prior: LatentPrior, kl: NDArray[np.float64] | None = None
) -> Chosen | None:
    """Return the classes with the largest moment KL less its bias; None if too few have one."""
    if kl is None:
        if np.bincount(lat.y).max() < rows_for_kl(lat, prior):
            return None
        kl = moment_kl(lat, prior)
    if np.isfinite(kl).sum() < FEW:
        return None
    excess = np.where(np.isnan(kl), -np.inf, kl - np.nan_to_num(kl_bias(lat, prior)))
    # Of those that are infinite the ones that are confused most come first.
    return Chosen(_largest(excess, confusion_counts(lat)), "the worst by KL")


def most_confused(lat: LatentSet) -> Chosen:
    """Return the classes that are mistaken most often, or for which others are."""
    return Chosen(_largest(confusion_counts(lat)), "the most confused")


def most_frequent(lat: LatentSet) -> Chosen:
    """Return the classes with the most latents."""
    return Chosen(_largest(np.bincount(lat.y, minlength=lat.n_classes)), "the most frequent")


def chosen_classes(
    lat: LatentSet, prior: LatentPrior | None = None, kl: NDArray[np.float64] | None = None
) -> Chosen:
    """Return the classes to draw: all, or of many those that matter most."""
    if lat.n_classes <= MANY:
        return Chosen(tuple(range(lat.n_classes)))
    worst = None if prior is None else worst_by_kl(lat, prior, kl)
    return most_confused(lat) if worst is None else worst


def shown_note(n_shown: int, n_classes: int, rule: str = "") -> list[str]:
    """Return the line that says which classes are drawn in colour, if not all are."""
    if n_shown == n_classes or n_classes <= MANY:
        return []
    return [f"{n_shown:,} of {n_classes:,} classes" + (f", {rule}" if rule else "")]


def _largest(values: NDArray, then: NDArray | None = None) -> tuple[int, ...]:
    second = np.zeros(len(values)) if then is None else -then
    order = np.lexsort((second, -values.astype(np.float64)))[:FEW]
    return tuple(sorted(int(k) for k in order))


class Places(NamedTuple):
    """Where classes stand on an axis: side by side, or of many the worst and the rest as a strip.

    Attributes
    ----------
    x : (C,) places
    named : (C,) whether a class has a place and a name of its own
    axis : layout of the axis
    """

    x: NDArray[np.float64]
    named: NDArray[np.bool_]
    axis: dict[str, Any]


def class_places(names: Sequence[str], badness: NDArray[np.float64]) -> Places:
    """Return the places of classes on an axis; of many the worst come first, unknown ones last."""
    c, short = len(names), labels(names, 14)
    axis: dict[str, Any] = {"title": {"text": "class"}, "showgrid": False}
    if c <= MANY:
        ticks = {"tickvals": list(range(c)), "ticktext": list(short), "range": [-0.6, c - 0.4]}
        return Places(np.arange(c, dtype=np.float64), np.ones(c, bool), axis | ticks)
    order = np.argsort(np.where(np.isnan(badness), np.inf, -badness), kind="stable")
    x, first = np.empty(c), FEW + 0.5
    x[order[:FEW]] = np.arange(FEW)
    x[order[FEW:]] = np.linspace(first, first + _STRIP, c - FEW)
    named = np.zeros(c, bool)
    named[order[:FEW]] = True
    ticks = {
        "tickvals": [*range(FEW), first + _STRIP / 2],
        "ticktext": [*(short[k] for k in order[:FEW]), f"the other {c - FEW:,} classes"],
        "range": [-0.6, first + _STRIP + 0.4],
    }
    axis["title"] = {"text": f"class: the worst {FEW} of {c:,} first"}
    return Places(x, named, axis | ticks)


# ---------------------------------------------------------------- names


def labels(names: Sequence[str], limit: int) -> tuple[str, ...]:
    """Return class names of `limit` letters at most, as plotly shows text; cut ones stay distinct.

    Of names that begin alike the ends are kept too; the last resort is the number of the class.
    """
    return _labels(tuple(names), limit)


@lru_cache(maxsize=64)
def _labels(names: tuple[str, ...], limit: int) -> tuple[str, ...]:
    plain = [" ".join(name.split()) for name in names]
    cut: list[str] = [name if len(name) <= limit else _head(name, limit) for name in plain]
    ways: tuple[Callable[[int], str], ...] = (
        lambda k: _both(plain[k], limit, limit // 3),
        lambda k: _both(plain[k], limit, 2 * limit // 3),
        lambda k: _head(plain[k], limit - len(f" {k}")) + f" {k}",
    )
    for way in ways:
        twice = _repeated(cut, names)
        if not twice:
            break
        for k in twice:
            if len(plain[k]) > limit:
                cut[k] = way(k)
    return tuple(style.escape(name) for name in cut)


def _head(name: str, limit: int) -> str:
    return name[: max(limit - 1, 1)].rstrip() + "…"


def _both(name: str, limit: int, tail: int) -> str:
    return name[: max(limit - tail - 1, 1)].rstrip() + "…" + name[-tail:].lstrip()


def _repeated(cut: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the places of labels that stand for more than one name."""
    of: dict[str, set[str]] = {}
    for label, name in zip(cut, names, strict=True):
        of.setdefault(label, set()).add(name)
    return [k for k, label in enumerate(cut) if len(of[label]) > 1]
