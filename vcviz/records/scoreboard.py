"""What a comparison of heads came to: numbers with intervals, and which claims held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from vcviz.base.errors import InputError
from vcviz.records.checks import as_float, as_known, freeze

Outcome = Literal["held", "not held", "undecided"]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval.

    Attributes
    ----------
    value : the mean
    reach : half the width of its t-interval; infinite for a single seed
    n : seeds

    Notes
    -----
    The interval holds what varies from seed to seed. Where every seed is tested on the same rows it
    is the mean over trainings *on those rows*; what other rows would say lies farther away, for an
    accuracy a by about sqrt(a (1 - a) / rows) more.

    Examples
    --------
    >>> accuracy = vcviz.records.Estimate.of([0.91, 0.93, 0.92])
    >>> print(f"{accuracy.value:.3f} ± {accuracy.reach:.3f} over {accuracy.n} seeds")
    0.920 ± 0.025 over 3 seeds
    >>> accuracy.above(0.9), accuracy.above(0.95), accuracy.above(0.92)
    ('undecided', 'not held', 'undecided')
    """

    value: float
    reach: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float] | NDArray[np.floating]) -> Estimate:
        """Return the mean of one number per seed, with its 95 % interval."""
        x = as_float("values", values, None, np.float64)
        if x.ndim != 1 or not len(x):
            raise InputError(f"an estimate needs one number per seed, got shape {x.shape}")
        reach = np.inf
        if len(x) > 1:
            reach = t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
        return cls(float(x.mean()), float(reach), len(x))

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        if not np.isfinite(self.reach):
            return f"{self.value:{spec}}"
        return f"{self.value:{spec}} ± {self.reach:{spec.lstrip('+')}}"

    def above(self, bound: float) -> Outcome:
        """Return "held" if the interval lies above `bound`, "not held" below, else "undecided"."""
        if not abs(self.value - bound) > self.reach:
            return "undecided"
        return "held" if self.value > bound else "not held"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim on one task.

    Attributes
    ----------
    claim, text, source, paper : the claim's name, what it says, who says it, and their own figures
    task, measure : where it was looked for, and by which number
    head, against : titles of the two heads
    factor, margin : the claim is that `head` beats `factor` times `against` by more than `margin`
    values : the numbers of both
    gain : by how much `head` is better, paired by seed, in the measure's units
    outcome : "held" if the interval of the gain lies above the margin, "not held" if below

    Examples
    --------
    >>> from vcviz.records import Estimate, Verdict
    >>> gain = Estimate(value=0.02, reach=0.005, n=5)
    >>> verdict = Verdict(
    ...     claim="better", text="VC is more accurate", source="a paper", paper="+1 %",
    ...     task="digits", measure="accuracy", head="VC", against="softmax", factor=1.0, margin=0.0,
    ...     values=(Estimate(0.95, 0.01, 5), Estimate(0.93, 0.01, 5)), gain=gain,
    ...     outcome=gain.above(0.0),
    ... )
    >>> verdict.outcome
    'held'
    """

    claim: str
    text: str
    source: str
    paper: str
    task: str
    measure: str
    head: str
    against: str
    factor: float
    margin: float
    values: tuple[Estimate, Estimate]
    gain: Estimate
    outcome: Outcome


@dataclass(frozen=True, eq=False)
class Scoreboard:
    """Heads on tasks, by seed.

    Attributes
    ----------
    title : of the comparison
    tasks, heads : name -> title
    values : task -> head -> name of a number -> (S,) one per seed, NaN where a run has none
    seeds : (S,) the seeds
    chosen : task -> head -> the settings that tuning chose there
    tried : head -> how many settings were tried
    verdicts : of all claims, in the order of the plan
    missing : runs that are not there, one line each
    label_notes : task -> head -> for which label frequencies its numbers are, where those are not
        the frequencies of the test rows

    Examples
    --------
    >>> values = {"digits": {"a": {"accuracy": [0.91, 0.93]}, "b": {"accuracy": [0.95, 0.94]}}}
    >>> board = vcviz.records.Scoreboard(
    ...     "two heads", {"digits": "Digits"}, {"a": "softmax", "b": "VC"}, values,
    ...     seeds=(0, 1), chosen={}, tried={}, verdicts=(),
    ... )
    >>> print(f"{board.estimate('digits', 'b', 'accuracy'):.3f}")
    0.945 ± 0.064
    """

    title: str
    tasks: Mapping[str, str]
    heads: Mapping[str, str]
    values: Mapping[str, Mapping[str, Mapping[str, NDArray[np.float64]]]]
    seeds: tuple[int, ...]
    chosen: Mapping[str, Mapping[str, Mapping[str, Any]]]
    tried: Mapping[str, int]
    verdicts: tuple[Verdict, ...]
    missing: tuple[str, ...] = ()
    label_notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.seeds),)
        values = {
            task: {
                head: {name: as_known(name, found, shape) for name, found in numbers.items()}
                for head, numbers in heads.items()
            }
            for task, heads in self.values.items()
        }
        freeze(self, values=values)

    def estimate(self, task: str, head: str, number: str) -> Estimate | None:
        """Return a number of a head on a task, over the seeds that have it; None if none has."""
        found = self.values.get(task, {}).get(head, {}).get(number)
        if found is None or not np.isfinite(found).any():
            return None
        return Estimate.of(found[np.isfinite(found)])

    def numbers(self, task: str) -> list[str]:
        """Return the names of the numbers that any head has on a task, in the order measured."""
        return list(dict.fromkeys(n for head in self.values.get(task, {}).values() for n in head))
