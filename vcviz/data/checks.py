"""Checks of scalar options, shared by the loaders: numbers arrive from JSON and command lines."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from vcviz.errors import InputError, clip


def check_count(name: str, value: Any, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise InputError(f"{name} must be a whole number of at least {minimum}, got {clip(value)}")
    return int(value)


def check_fraction(name: str, value: Any, *, zero: bool = False) -> float:
    """Return `value` as a float in (0, 1), or in [0, 1) if `zero` is allowed."""
    number = check_number(name, value)
    if not (0 < number < 1 or (zero and number == 0)):
        raise InputError(
            f"{name} must lie {'in [0, 1)' if zero else 'between 0 and 1'}, got {value}"
        )
    return number


def check_number(name: str, value: Any, *, positive: bool = False) -> float:
    """Return `value` as a finite float."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{name} must be a number, got {clip(value)}")
    if positive and value <= 0:
        raise InputError(f"{name} must be positive, got {value}")
    return float(value)
