"""What moves along a figure's slider, packed for a page: differences from step to step."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.headless.slim import numbers_of

#: places along an axis that coordinates are told apart at: fifty for a pixel
_PLACES = 2**14
_SHORT = 8  # coordinates of a trace, fewer of which are left as they are
_WORTH = 50_000  # bytes of all of them


def with_moves(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Plotly.newPlot takes with coordinates taken out of its frames into ``moves``.

    Page_draw.js puts them back. They are rounded to 1/16,000 of the range that they have over all
    steps, far below what a screen shows; so are those of the data, which are those of a step.
    Figures with few of them, and logarithmic axes, stay as they are.
    """
    frames = spec.get("frames") or []
    found: dict[tuple[int, str], NDArray[np.float64]] = {}
    for number in frames[0].get("traces") or () if frames else ():
        trace = spec["data"][number]
        for letter in "xy":
            axis = (trace.get(f"{letter}axis") or letter).replace(letter, f"{letter}axis")
            if (spec["layout"].get(axis) or {}).get("type") in (None, "linear", "-"):
                values = [_at(frame, number, letter) for frame in frames]
                known = [v for v in values if v is not None and v.ndim == 1 and len(v) >= _SHORT]
                if len(known) == len(frames) and len({len(v) for v in known}) == 1:
                    found[number, letter] = np.array(known, np.float64)
    if sum(4 * steps.size for steps in found.values()) < _WORTH:
        return dict(spec)
    frames = [{**frame, "data": [dict(trace) for trace in frame["data"]]} for frame in frames]
    data, moves = list(spec["data"]), []
    for (number, letter), steps in found.items():
        for frame in frames:
            del frame["data"][frame["traces"].index(number)][letter]
        own = numbers_of(data[number].get(letter))
        same = [
            step for step, row in enumerate(steps)
            if own is not None and np.array_equal(row, np.asarray(own), equal_nan=True)
        ]  # fmt: skip
        if same:
            data[number] = {k: v for k, v in data[number].items() if k != letter}
        moves.append(
            {"trace": number, "key": letter, "at": same[0] if same else -1, **_packed(steps)}
        )
    return {**spec, "data": data, "frames": frames, "moves": moves}


def _at(frame: Mapping[str, Any], number: int, letter: str) -> NDArray[Any] | None:
    if number not in (frame.get("traces") or ()):
        return None
    return numbers_of(frame["data"][frame["traces"].index(number)].get(letter))


def _packed(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return (steps, n) coordinates as whole numbers: 0 for a gap, else places from 1."""
    known = np.isfinite(values)
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    step = float(high - low) / (_PLACES - 2) or 1.0
    places = np.zeros(values.shape, np.int32)
    places[known] = np.round((values[known] - low) / step) + 1
    away = np.diff(places, axis=0, prepend=0)
    signed = (np.abs(away) * 2 - (away < 0)).astype("<u2")  # 0, -1, 1, -2, 2, …
    halves = np.concatenate([signed & 255, signed >> 8]).astype(np.uint8)
    codes = base64.b64encode(halves.tobytes()).decode()
    return {"n": values.shape[1], "low": float(low), "step": step, "codes": codes}
