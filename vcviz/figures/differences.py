"""What differs between two plotly objects, so that only that is sent or kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return dotted path -> new value for what differs; None for what is gone."""
    found: dict[str, Any] = {}
    for key in {**old, **new}:  # in order, so that the same figure is the same text
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= differences(before, after, f"{prefix}{key}.")
        elif not equal(before, after):
            found[prefix + key] = after
    return found


def equal(a: Any, b: Any) -> bool:
    """Return whether two properties of a figure are the same."""
    if a is b:
        return True
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    return type(a) is type(b) and a == b
