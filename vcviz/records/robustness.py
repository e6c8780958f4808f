"""What attacks leave of a classifier, and the gates that say whether the attacks can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError, unknown
from vcviz.records.checks import as_float, as_known, freeze


@dataclass(frozen=True)
class Gate:
    """One check of an attack.

    Attributes
    ----------
    name : what is checked, in a few words
    passed : whether it holds; None if it could not be checked
    value : the number that was looked at, NaN if there is none
    text : one line: what the number is, and what it means

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> gates = vcviz.metrics.attack_gates(run.attack(rows=20, steps=5, progress=False))
    >>> first = next(iter(gates))
    >>> first.name, first.passed, first.value, first.text
    ('ε = 0 is the identity', None, nan, 'not tried; largest change of a probability')
    """

    name: str
    passed: bool | None
    value: float
    text: str

    def __str__(self) -> str:
        mark = {True: "✓", False: "✗", None: "–"}[self.passed]
        number = "" if np.isnan(self.value) else f" ({self.value:.3g})"
        return f"{mark} {self.name}{number}: {self.text}"


@dataclass(frozen=True)
class Gates:
    """The checks that belong beside a number about robustness; `print` shows one line for each.

    Iterate over them, or look one up: ``gates[name]``.

    Attributes
    ----------
    gates : tuple of `Gate`

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> gates = vcviz.metrics.attack_gates(run.attack(rows=20, steps=5, progress=False))
    >>> gates.passed, gates.failed
    (True, ())
    """

    gates: tuple[Gate, ...]

    def __iter__(self) -> Iterator[Gate]:
        return iter(self.gates)

    def __len__(self) -> int:
        return len(self.gates)

    def __getitem__(self, name: str) -> Gate:
        for gate in self.gates:
            if gate.name == name:
                return gate
        raise unknown("gate", name, [gate.name for gate in self.gates])

    def __str__(self) -> str:
        return "\n".join(map(str, self.gates))

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Gate, ...]:
        """The gates that failed."""
        return tuple(gate for gate in self.gates if gate.passed is False)

    @property
    def short(self) -> str:
        """How many gates hold, then which do not, for a table: "9 of 9"."""
        tried = [gate for gate in self.gates if gate.passed is not None]
        failed = ", ".join(gate.name for gate in self.failed)
        return f"{len(tried) - len(self.failed)} of {len(tried)}" + (
            f": {failed}" if failed else ""
        )

    @property
    def summary(self) -> str:
        """How many gates hold, and which do not, in one line."""
        tried = [gate for gate in self.gates if gate.passed is not None]
        held = f"{len(tried) - len(self.failed)} of {len(tried)} gates hold"
        skipped = [gate.name for gate in self.gates if gate.passed is None]
        parts = [held] + ([f"not tried: {', '.join(skipped)}"] if skipped else [])
        if self.failed:
            parts.insert(1, f"failed: {', '.join(gate.name for gate in self.failed)}")
        return "; ".join(parts)


@dataclass(frozen=True, eq=False)
class RobustnessCurve:
    """Accuracy and calibration of a classifier against the radius of an attack.

    All arrays but `fell_at` have one entry for each radius. A ball holds every smaller one, so
    what was found at a smaller radius counts at a larger: accuracy never rises with epsilon.

    Attributes
    ----------
    epsilon : (K,) radii, ascending, the first 0: the clean inputs; of images in [0, 1], of tables
        in their columns' units
    accuracy, accuracy_interval : share of inputs that no attack up to this radius got misread,
        with its Wilson interval (K, 2); an upper bound of the true robust accuracy
    ece, ece_interval, ece_if_calibrated : top-label calibration error of the worst points found,
        the bootstrap interval (K, 2) of its mean over samples of this size, and what a calibrated
        model with these confidences would show; NaN where it was not asked for
    alone : accuracy under the attack at this radius by itself, without those at smaller radii;
        NaN where only the inputs that still held were attacked
    fell_at : (N,) smallest of the radii at which an input was misread; infinite if it never was
    gates : what says whether the numbers can be trusted
    n, norm, method, loss, steps, name, level : inputs; the attack; title; mass of intervals
    n_bins : bins of equal width that `ece` is of
    label_note : for which label frequencies the probabilities are, "" if for those of the inputs

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> curve = run.robustness(rows=100, epsilons=[0.5, 1.0], steps=10, progress=False)
    >>> for radius, accuracy in zip(curve.epsilon, curve.accuracy):
    ...     print(f"radius {radius}: accuracy {accuracy:.1f}")
    ...
    radius 0.0: accuracy 1.0
    radius 0.5: accuracy 0.9
    radius 1.0: accuracy 0.7
    >>> curve.gates.short
    '8 of 8'
    """

    epsilon: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    accuracy_interval: NDArray[np.float64]
    ece: NDArray[np.float64]
    ece_interval: NDArray[np.float64]
    ece_if_calibrated: NDArray[np.float64]
    alone: NDArray[np.float64]
    fell_at: NDArray[np.float64]
    gates: Gates
    norm: str
    method: str
    loss: str = "ce"
    steps: int = 1
    name: str = "robustness"
    level: float = 0.95
    n_bins: int = 15
    label_note: str = ""

    def __post_init__(self) -> None:
        epsilon = as_float("epsilon", self.epsilon, 1, np.float64)
        k = len(epsilon)
        if k == 0 or epsilon[0] != 0 or (np.diff(epsilon) <= 0).any():
            raise InputError(f"epsilon must ascend from 0, got {epsilon.tolist()}")
        arrays = {"epsilon": epsilon}
        for name in ("accuracy", "ece", "ece_if_calibrated", "alone"):
            arrays[name] = as_known(name, getattr(self, name), (k,))
        for name in ("accuracy_interval", "ece_interval"):
            arrays[name] = as_known(name, getattr(self, name), (k, 2))
        freeze(self, **arrays, fell_at=as_known("fell_at", self.fell_at, (-1,)))

    @property
    def n(self) -> int:
        """N, the number of inputs that were attacked."""
        return len(self.fell_at)
