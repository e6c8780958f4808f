"""The gates of an attack as lines beneath a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vcviz.figures import theme as style
from vcviz.records import Gates

LINE_PX = 17


def gate_lines(names: Sequence[str], gates: Sequence[Gates]) -> list[str]:
    """Return a line for each attack: how many gates hold, and the number of each that does not."""
    return [
        f"{style.escape(name, 40)}: {_summary(found)}"
        for name, found in zip(names, gates, strict=True)
    ]


def gates_beneath(names: Sequence[str], gates: Sequence[Gates], top: float) -> dict[str, Any]:
    """Return an annotation with these lines, `top` pixels beneath the plot."""
    lines = ["<b>Sanity gates</b>", *gate_lines(names, gates)]
    return {
        "text": "<br>".join(lines),
        "x": 0,
        "y": 0,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "top",
        "yshift": -top,
        "align": "left",
        "showarrow": False,
        "font": {"size": 11},
    }


def norm_name(norm: str) -> str:
    """Return a norm as people write it."""
    return {"linf": "L∞", "l2": "L2"}.get(norm, style.escape(norm))


def _summary(gates: Gates) -> str:
    tried = [gate for gate in gates if gate.passed is not None]
    parts = [f"{len(tried) - len(gates.failed)} of {len(tried)} hold"]
    parts += [
        f"✗ {style.escape(gate.name)}" + (f" ({gate.value:.2g})" if np.isfinite(gate.value) else "")
        for gate in gates.failed
    ]
    skipped = [style.escape(gate.name) for gate in gates if gate.passed is None]
    if skipped:
        parts.append("not tried: " + ", ".join(skipped))
    return "; ".join(parts)
