"""Checks of options: numbers, flags and names as they arrive from JSON and command lines."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from vcviz.base.errors import InputError, clip, unknown


def check_options(kind: str, options: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse an option that `known` does not list, with the nearest name."""
    known = list(known)
    for name in options:
        if name not in known:
            raise unknown(f"option of {kind}", name, known)


def check_count(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` if it is an integer of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise InputError(f"{name} must be a whole number of at least {minimum}, got {clip(value)}")
    return int(value)


def check_number(
    name: str, value: Any, *, least: float | None = None, above: float | None = None
) -> float:
    """Return `value` as a float if it is finite, and at least `least` or larger than `above`."""
    bound = f" above {above:g}" if above is not None else ""
    bound = f" of at least {least:g}" if least is not None else bound
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if (
        not number
        or (above is not None and value <= above)
        or (least is not None and value < least)
    ):
        raise InputError(f"{name} must be a number{bound}, got {clip(value)}")
    return float(value)


def check_fraction(name: str, value: Any, *, zero: bool = False) -> float:
    """Return `value` as a float in (0, 1), or in [0, 1) if `zero` is allowed."""
    number = check_number(name, value)
    if not (0 < number < 1 or (zero and number == 0)):
        raise InputError(
            f"{name} must lie {'in [0, 1)' if zero else 'between 0 and 1'}, got {value}"
        )
    return number


def check_flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False (a string such as "false" would count as true)."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, got {clip(value)}")
    return value


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise unknown(name, value, choices)
    return value


def check_path(name: str, value: Any) -> Path:
    """Return `value` as a path if a file could have it, be it there or not."""
    try:
        path = Path(value)
        # The operating system would refuse too, but only after creating half of the folders.
        fits = all(len(os.fsencode(part)) <= 255 for part in path.parts)
        fits = fits and len(os.fsencode(path)) < 4000
    except (TypeError, ValueError):
        fits = False
    if not fits or any(character in str(path) for character in "\0\r\n"):
        raise InputError(
            f"{name} must be a path (of names of 255 bytes at most, on one line), got {clip(value)}"
        )
    return path
