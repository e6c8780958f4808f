"""Options of an attack, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_choice, check_count
from vcviz.records import Split, as_array, as_labels
from vcviz.records.checks import LARGEST

METHODS = ("fgsm", "pgd", "apgd")
NORMS = ("linf", "l2")
LOSSES = ("ce", "dlr")
#: the name of the target that differs from row to row
LEAST_LIKELY = "least_likely"


@dataclass(frozen=True)
class Plan:
    """Checked options of an attack; `step_size` is what APGD begins with."""

    norm: str
    epsilon: float
    steps: int
    step_size: float
    draws: int
    seed: int
    image: bool
    method: str = "pgd"
    loss: str = "ce"
    targeted: bool = False


def planned(
    split: Split,
    *,
    method: str,
    norm: str,
    loss: str,
    epsilon: float,
    steps: int,
    step_size: float | None,
    targeted: bool,
    draws: int,
    seed: int,
) -> Plan:
    """Return the options after checking them.

    Raises
    ------
    InputError
        For text, and options that are unknown, out of range or do not go together.
    """
    if not isinstance(split, Split):
        raise InputError(f"an attack needs a Split, got {type(split).__name__}: Split(x, y)")
    if split.kind == "text":
        raise InputError("text cannot be attacked by gradients: token ids have none")
    check_choice("method", method, METHODS)
    check_choice("norm", norm, NORMS)
    check_choice("loss", loss, LOSSES)
    radius = check_radius(epsilon, split, norm)
    check_count("steps", steps)
    check_count("draws", draws)
    check_count("seed", seed, minimum=0)
    size = 2 * radius if method == "apgd" else radius if method == "fgsm" else radius / 4
    if step_size is not None:
        if method != "pgd":
            own = "takes one step of size epsilon" if method == "fgsm" else "adapts its own"
            raise InputError(f"{method} {own}; step_size is for pgd")
        size = _number("step_size", step_size)
        if not (math.isfinite(size) and size > 0):
            raise InputError(f"step_size must be positive, got {step_size}")
    return Plan(
        norm=norm,
        epsilon=radius,
        steps=1 if method == "fgsm" else int(steps),
        step_size=float(size),
        draws=int(draws),
        seed=seed,
        image=split.kind == "image",
        method=method,
        loss=loss,
        targeted=targeted,
    )


def check_radius(epsilon: Any, split: Split, norm: str) -> float:
    """Return a radius that makes sense for inputs of this kind."""
    radius = _number("epsilon", epsilon)
    if not 0 <= radius <= LARGEST:
        raise InputError(f"epsilon must be a radius of 0 or more, got {epsilon}")
    if split.kind == "image" and norm == "linf" and radius > 1:
        raise InputError(
            f"epsilon {radius:g} is more than the whole range of images in [0, 1]; "
            f"did you mean {radius:g}/255?"
        )
    return radius


def goals(targeted: ArrayLike | str | None, split: Split) -> NDArray[np.int64] | None:
    """Return (N,) classes that the loss is about; None for the least likely class of each row."""
    if targeted is None:
        return split.y
    if isinstance(targeted, str):
        check_choice("targeted", targeted, [LEAST_LIKELY])
        return None
    n, found = len(split), as_array("targeted", targeted)
    return as_labels("targeted", np.full(n, found) if found.ndim == 0 else found, n)


def check_loss(plan: Plan, n_classes: int) -> None:
    """Refuse a loss that needs more classes than there are."""
    least = (4 if plan.targeted else 3) if plan.loss == "dlr" else 2
    if n_classes < least:
        kind = "the targeted loss" if plan.targeted else "the loss"
        raise InputError(f"{kind} 'dlr' needs {least} classes or more, got {n_classes}; use 'ce'")


def _number(name: str, value: Any) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputError(f"{name} must be a number, got {clip(value)}")
    return float(value)
