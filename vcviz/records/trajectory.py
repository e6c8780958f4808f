"""An attack with every step of the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.records.checks import (
    as_array,
    as_float,
    as_labels,
    as_probs,
    class_names_of,
    freeze,
)
from vcviz.records.label_law import label_note
from vcviz.records.latents import LatentSet


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The path of an attack: latents and predictions after every step.

    Attributes
    ----------
    z : (T+1, N, D) latents along the way; step 0 is the clean input
    log_probs : (T+1, N, C)
    distance : (T+1, N) distance from the clean input in `norm`
    x, x_adv : (N, …) clean and final inputs: images in [0, 1], tables in their columns' units
    y : (N,) labels
    epsilon, norm, method : radius in the units of `x`, "linf" or "l2", name of the attack
    index : (N,) rows in the split
    class_names, name
    loss : what the attack raises, "ce" or "dlr"
    target : (N,) classes that a targeted attack aims at; None if it has no target
    noise : largest change of a probability when the same inputs are read again with other noise;
        0 for a deterministic model, None if it was not tried
    draws : noises over which each gradient was averaged, those of a stochastic encoder's
        prediction included
    change : (T+1, N, …) inputs minus the clean ones at each step in half precision, for pictures;
        None if they were not asked for
    checks : the same attack on some of the first rows at other radii, for
        `vcviz.metrics.attack_gates`
    label_prior : (C,) label frequencies that `log_probs` are for, as of a `LatentSet`

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> path = run.attack(rows=50, epsilon=2.0, steps=10, progress=False)
    >>> path.z.shape  # steps and the clean input, rows, dimensions
    (11, 50, 2)
    >>> bool(path.accuracy[0] > path.accuracy[-1]), bool(path.distance.max() <= path.epsilon)
    (True, True)
    """

    z: NDArray[np.float32]
    log_probs: NDArray[np.float32]
    distance: NDArray[np.float32]
    x: NDArray[np.float32]
    x_adv: NDArray[np.float32]
    y: NDArray[np.int64]
    epsilon: float
    norm: Literal["linf", "l2"]
    method: str
    index: NDArray[np.int64] = None  # type: ignore[assignment]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = "attack"
    loss: str = "ce"
    target: NDArray[np.int64] | None = None
    noise: float | None = None
    draws: int = 1
    change: NDArray[np.float16] | None = None
    checks: tuple[Trajectory, ...] = ()
    label_prior: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        z = as_float("z", self.z, 3)
        log_probs = as_array("log_probs", self.log_probs, 3)
        if log_probs.shape[:2] != z.shape[:2] or z.size == 0 or log_probs.size == 0:
            raise InputError(
                f"log_probs must start with {z.shape[:2]} like z, none of them 0, "
                f"got {log_probs.shape}"
            )
        # Not that they sum to 1, which is a gate of the attack.
        n, c = log_probs.shape[1:]
        if log_probs.dtype.kind not in "fiu" or not (log_probs < np.inf).all():
            raise InputError(
                f"log_probs must be numbers, none of them NaN or +inf, got {log_probs.dtype}"
            )
        with np.errstate(over="ignore"):
            log_probs = log_probs.astype(np.float32, copy=False)
        distance = as_float("distance", self.distance, 2)
        if distance.shape != z.shape[:2]:
            raise InputError(f"distance must have shape {z.shape[:2]}, got {distance.shape}")
        index = np.arange(n) if self.index is None else as_labels("index", self.index, n)
        x, x_adv = as_float("x", self.x), as_float("x_adv", self.x_adv)
        if x.ndim < 2 or len(x) != n or x.size == 0 or x_adv.shape != x.shape:
            raise InputError(
                f"x and x_adv must have one shape ({n}, …), got {x.shape} and {x_adv.shape}"
            )
        change, prior = self.change, self.label_prior
        if change is not None:
            change = as_float("change", change, None, np.float16)
            if change.shape != (len(z), *x.shape):
                raise InputError(f"change must have shape {(len(z), *x.shape)}, got {change.shape}")
        freeze(
            self,
            z=z,
            log_probs=log_probs,
            distance=distance,
            index=index,
            x=x,
            x_adv=x_adv,
            y=as_labels("y", self.y, n, c),
            class_names=class_names_of(self.class_names, c),
            target=None if self.target is None else as_labels("target", self.target, n, c),
            change=change,
            label_prior=None if prior is None else as_probs("label_prior", prior, c),
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return len(self.z) - 1

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(T+1,) accuracy after each step (a fraction)."""
        return (self.log_probs.argmax(2) == self.y).mean(1)

    @property
    def label_note(self) -> str:
        """For which label frequencies `log_probs` are, as `LatentSet.label_note`."""
        return label_note(self.label_prior, self.y)

    @property
    def reached(self) -> NDArray[np.float64]:
        """(T+1,) share of inputs read as their target, of those with another label.

        Without targets: the share that is misread.
        """
        if self.target is None:
            return 1 - self.accuracy
        others = self.target != self.y
        hit = (self.log_probs.argmax(2) == self.target)[:, others]
        return hit.mean(1) if others.any() else np.zeros(len(hit))

    @property
    def first_flip(self) -> NDArray[np.int64]:
        """(N,) first step at which the prediction is not the label; -1 if it never happens."""
        return first_step(self.log_probs.argmax(2) != self.y)

    def at(self, step: int) -> LatentSet:
        """Return the latents after `step` attack steps."""
        return LatentSet(
            self.z[step],
            self.log_probs[step],
            self.y,
            self.index,
            self.class_names,
            name=f"{self.name}, step {step}",
            label_prior=self.label_prior,
        )


def first_step(true: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (N,) first step at which each column of (T+1, N) is true; -1 where it never is."""
    return np.where(true.any(0), true.argmax(0), -1)
