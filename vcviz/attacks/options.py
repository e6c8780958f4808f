"""Options of an attack, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from vcviz.attacks.ball import NORMS, Ball
from vcviz.attacks.methods import ATTACKS, Attack
from vcviz.attacks.objectives import LOSSES, Objective
from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_choice, check_count, check_flag, check_number, check_options
from vcviz.records import Split, as_array, as_labels
from vcviz.records.checks import LARGEST, freeze

#: the name of the target that differs from row to row
LEAST_LIKELY = "least_likely"


@dataclass(frozen=True, kw_only=True)
class AttackOptions:
    """What every attack takes besides, as keyword arguments.

    Attributes
    ----------
    random_start : begin uniformly in the ball; step 0 of the record stays the clean input
    draws : for a stochastic model, the gradients of so many readings are averaged at every step
        (expectation over transformation), fresh noise each time. One reading of a stochastic
        encoder is a mean over draws already, `Classifier.predict_draws` of them, so that 1 will
        do; a stochastic head wants 10 or more. What is recorded has one fixed noise at all steps,
        so that it changes along the way only because the input does: the probabilities of a
        reading, and one latent drawn from q(z|x).
    seed : of the random start and of the noise of a stochastic model
    batch_size : rows at a time
    layer : as in `extract_latents`
    device : where to compute; default the model's own
    progress : show a bar if it takes more than 2 s
    report : called with the steps done and all steps of all batches, after each
    """

    random_start: bool = False
    draws: int = 1
    seed: int = 0
    batch_size: int = 256
    layer: str | None = None
    device: torch.device | str | None = None
    progress: bool = True
    report: Callable[[int, int], None] | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Return checked options.

        Raises
        ------
        InputError
            For one that is unknown, with the nearest name, or out of range.
        """
        check_options("an attack", given, [field.name for field in fields(cls)])
        options = cls(**given)
        check_flag("random_start", options.random_start)
        check_count("draws", options.draws)
        check_count("seed", options.seed, minimum=0)
        check_count("batch_size", options.batch_size)
        return options


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An attack on inputs of a kind, checked; `step` is the step size that was asked for, if any.

    Raises
    ------
    InputError
        For text, and options that are unknown, out of range or do not go together.
    """

    kind: str
    method: str = "pgd"
    norm: str = "linf"
    loss: str = "ce"
    epsilon: float = 0.1
    steps: int = 1
    step: float | None = None
    targeted: bool = False
    options: AttackOptions = AttackOptions()

    def __post_init__(self) -> None:
        if self.kind == "text":
            raise InputError("text cannot be attacked by gradients: token ids have none")
        check_choice("method", self.method, ATTACKS)
        check_choice("norm", self.norm, NORMS)
        check_choice("loss", self.loss, LOSSES)
        self._check_radius()
        check_count("steps", self.steps)
        if self.step is not None:
            if own := ATTACKS[self.method].own_step:
                free = ", ".join(name for name, kind in ATTACKS.items() if not kind.own_step)
                raise InputError(f"{self.method} {own}; step_size is for {free}")
            check_number("step_size", self.step, above=0)
        steps = 1 if ATTACKS[self.method].one_step else int(self.steps)
        step = None if self.step is None else float(self.step)
        freeze(self, epsilon=float(self.epsilon), steps=steps, step=step)

    def _check_radius(self) -> None:
        if not isinstance(self.epsilon, Real) or isinstance(self.epsilon, bool):
            raise InputError(f"epsilon must be a number, got {clip(self.epsilon)}")
        if not 0 <= self.epsilon <= LARGEST:
            raise InputError(f"epsilon must be a radius of 0 or more, got {self.epsilon}")
        if self.epsilon > self._widest:
            raise InputError(
                f"epsilon {self.epsilon:g} is more than the whole range of images in [0, 1]; "
                f"did you mean {self.epsilon:g}/255?"
            )

    @property
    def _widest(self) -> float:
        return NORMS[self.norm].widest if self.kind == "image" else math.inf

    @property
    def step_size(self) -> float:
        """The size of the first step."""
        own = ATTACKS[self.method].default_step(self.epsilon, self.steps)
        return own if self.step is None else self.step

    @property
    def objective(self) -> Objective:
        """What the attack raises."""
        return LOSSES[self.loss](self.targeted, self.options.draws > 1)

    def attack(self) -> Attack:
        """Return the attack on a batch, at its start."""
        return ATTACKS[self.method](self.steps, self.step_size)

    def ball(self, clean: Tensor) -> Ball:
        """Return the balls around clean inputs."""
        return NORMS[self.norm](clean, self.epsilon, self.kind == "image")

    def at(self, epsilon: float) -> Plan:
        """Return the same attack at another radius; at 0 one step tells all."""
        step = None if self.step is None else max(epsilon, 1e-9) / self.epsilon * self.step
        return replace(self, epsilon=epsilon, step=step, steps=self.steps if epsilon else 1)

    def others(self) -> list[Plan]:
        """Return attacks whose outcome is known: 0 changes nothing, twice as much never helps."""
        radii = (0.0, min(2 * self.epsilon, self._widest)) if self.epsilon else ()
        quiet = replace(self, options=replace(self.options, report=None))
        return [quiet.at(radius) for radius in radii if radius != self.epsilon]

    def check_classes(self, n_classes: int) -> None:
        """Refuse a loss that needs more classes than there are."""
        loss = LOSSES[self.loss]
        least = loss.targeted_classes if self.targeted else loss.classes
        if n_classes < least:
            raise InputError(
                f"the {'targeted ' * self.targeted}loss {self.loss!r} needs {least} classes or "
                f"more, got {n_classes}; use 'ce'"
            )


def goals(targeted: ArrayLike | str | None, split: Split) -> NDArray[np.int64] | None:
    """Return (N,) classes that the loss is about; None for the least likely class of each row."""
    if targeted is None:
        return split.y
    if isinstance(targeted, str):
        check_choice("targeted", targeted, [LEAST_LIKELY])
        return None
    n, found = len(split), as_array("targeted", targeted)
    return as_labels("targeted", np.full(n, found) if found.ndim == 0 else found, n)
