"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def text_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of the same keys as aligned text: numbers to the right, three digits.

    A column that is empty in every row is left out.
    """
    columns = [
        c for c in (rows[0] if rows else ()) if any(_cell(row[c]) not in ("-", "") for row in rows)
    ]
    if not columns:
        return ""
    cells = [[_cell(row[c]) for c in columns] for row in rows]
    widths = [max(len(c), *(len(line[i]) for line in cells)) for i, c in enumerate(columns)]
    right = [any(isinstance(row[c], int | float) for row in rows) for c in columns]
    return "\n".join(
        "  ".join(
            text.rjust(width) if is_number else text.ljust(width)
            for text, width, is_number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [columns, *cells]
    )


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, list):
        return f"[{', '.join(map(_cell, value))}]"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
