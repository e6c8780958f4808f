"""One number, or one word, for every row: what points are coloured by and rows are found by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, unknown
from vcviz.metrics.inspection import log_densities
from vcviz.metrics.ood import METHODS, UNITS, available, score
from vcviz.records import LatentPrior, LatentSet

#: name -> (what it is, its unit) of what is known of any row
KNOWN: dict[str, tuple[str, str]] = {
    "right": ("right or wrong", ""),
    "confidence": ("largest p(y|x)", ""),
    "label_probability": ("p(y|x) of the label", ""),
    "entropy": (METHODS["entropy"], UNITS["entropy"]),
    "log_density": ("log p(z|y) of the label", "nats"),
    "log_marginal": ("log p(z)", "nats"),
    "law_distance": ("distance from the label's p(z|y)", "σ"),
}
#: names of the user's own columns begin with this
OWN = "own:"
_MOST_LEVELS = 12


@dataclass(frozen=True, eq=False)
class RowValues:
    """A number or a level of each row.

    Attributes
    ----------
    title, unit : what it is
    values : (N,) float64, NaN where there is none; of levels their number
    levels : the words that the numbers stand for, in order; empty for a continuous scale

    Examples
    --------
    >>> lat = vcviz.LatentSet([[0.0], [1.0]], np.log([[0.9, 0.1], [0.5, 0.5]]), y=[0, 1])
    >>> found = vcviz.metrics.row_values(lat, "entropy")
    >>> found.label, found.values.round(2)
    ('entropy of p(y|x), nats', array([0.33, 0.69]))
    """

    title: str
    unit: str
    values: NDArray[np.float64]
    levels: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Title with unit, as on an axis."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


@takes_records
def available_values(
    lat: LatentSet, *, prior: LatentPrior | None = None, train: LatentSet | None = None
) -> dict[str, str]:
    """Return what `row_values` can say of these latents: name -> title.

    Parameters
    ----------
    lat : the latents
    prior : p(z|y), for what is said of densities
    train : latents of training rows, for the out-of-distribution scores that need them

    Returns
    -------
    dict

    Examples
    --------
    >>> lat = vcviz.LatentSet([[0.0], [1.0]], np.log([[0.9, 0.1], [0.8, 0.2]]), y=[0, 1])
    >>> list(vcviz.metrics.available_values(lat))
    ['right', 'confidence', 'label_probability', 'entropy']
    """
    of_law = () if prior is not None else ("log_density", "log_marginal", "law_distance")
    found = {name: title for name, (title, _) in KNOWN.items() if name not in of_law}
    # Those that are above already, as densities and probabilities.
    scores = [m for m in available(lat, prior=prior, train=train)
              if m not in ("entropy", "max_prob", "log_marginal")]  # fmt: skip
    found |= {name: METHODS[name] for name in scores}
    return found | {OWN + name: name for name in lat.table or {}}


@takes_records
def row_values(
    lat: LatentSet,
    name: str,
    *,
    prior: LatentPrior | None = None,
    train: LatentSet | None = None,
) -> RowValues:
    """Return one number, or one level of a few, for each row.

    Parameters
    ----------
    lat : N latents
    name : "right", "confidence" (the largest p(y|x)), "label_probability", "entropy",
        "log_density" (log p(z|y) of the label), "log_marginal" (log p(z)), "law_distance" (the
        Mahalanobis distance from the mean of the label's law, how much leverage a row has on it),
        an out-of-distribution score of `vcviz.metrics.ood.score`, or "own:" and the name of a
        column of `LatentSet.table`: numbers are a continuous scale; words, truth values and
        whole numbers of up to 12 kinds are levels
    prior : p(z|y), for the densities
    train : latents of training rows, for the scores that need them

    Returns
    -------
    RowValues

    Raises
    ------
    InputError
        If the name is unknown, or it lacks what it needs.

    Examples
    --------
    >>> log_probs = np.log([[0.9, 0.1], [0.8, 0.2]])
    >>> lat = vcviz.LatentSet([[0.0], [1.0]], log_probs, y=[0, 1])
    >>> found = vcviz.metrics.row_values(lat, "right")
    >>> found.levels, found.values
    (('wrong', 'right'), array([1., 0.]))
    """
    if name.startswith(OWN) and name[len(OWN) :] in (lat.table or {}):
        column = name[len(OWN) :]
        return _own(column, (lat.table or {})[column])
    offered = [*KNOWN, *METHODS, *(OWN + column for column in lat.table or {})]
    if name not in offered:
        raise unknown("value of a row", name, offered)
    title, unit = KNOWN.get(name) or (METHODS[name], UNITS[name])
    if name == "right":
        right = lat.log_probs.argmax(1) == lat.y
        return RowValues(title, unit, right.astype(np.float64), ("wrong", "right"))
    if name == "confidence":
        return RowValues(title, unit, np.exp(lat.log_probs.max(1).astype(np.float64)))
    if name == "label_probability":
        own = lat.log_probs[np.arange(len(lat)), lat.y]
        return RowValues(title, unit, np.exp(own.astype(np.float64)))
    if name in ("log_density", "log_marginal", "law_distance"):
        if prior is None:
            raise InputError(f"{name} needs the law p(z|y), and there is none")
        if name == "law_distance":
            away = np.linalg.norm(prior.whiten(lat.z, lat.y), axis=1)
            return RowValues(title, unit, away)
        return RowValues(title, unit, log_densities(lat, prior)[name == "log_marginal"])
    return RowValues(title, unit, score(lat, name, prior=prior, train=train))  # type: ignore[arg-type]


def _own(name: str, column: NDArray[Any]) -> RowValues:
    kind = column.dtype.kind
    if kind in "Mm":
        return RowValues(name, "days", column.astype(f"{kind}8[s]").astype(np.float64) / 86_400)
    if kind == "f" or (kind in "iu" and len(np.unique(column)) > _MOST_LEVELS):
        return RowValues(name, "", column.astype(np.float64))
    words, numbers = np.unique(column.astype(str), return_inverse=True)
    if kind in "iub":
        words, numbers = np.unique(column, return_inverse=True)
    if len(words) > _MOST_LEVELS:  # the most frequent, and the rest as one
        often = np.argsort(-np.bincount(numbers), kind="stable")[: _MOST_LEVELS - 1]
        place = np.full(len(words), _MOST_LEVELS - 1)
        place[often] = np.arange(len(often))
        numbers, words = place[numbers], np.array([*words[often], "others"])
    return RowValues(name, "", numbers.astype(np.float64), tuple(map(str, words)))
