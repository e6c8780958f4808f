"""Panels in rows and columns with their axes, as the plain layout of a plotly figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vcviz.base.options import check_count


@dataclass(frozen=True)
class Cell:
    """A place for a panel: the numbers of its axes and their domains (shares of the plot)."""

    number: int
    row: int
    column: int
    x_domain: tuple[float, float]
    y_domain: tuple[float, float]

    @property
    def suffix(self) -> str:
        """What plotly appends to ``xaxis``, ``x``, …: nothing for the first."""
        return "" if self.number == 1 else str(self.number)

    def place(self, traces: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the traces, drawn in this cell."""
        return [t | {"xaxis": f"x{self.suffix}", "yaxis": f"y{self.suffix}"} for t in traces]

    def axes(self, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
        """Return the layout of this cell's axes."""
        return {
            f"xaxis{self.suffix}": {"domain": list(self.x_domain), "anchor": f"y{self.suffix}"} | x,
            f"yaxis{self.suffix}": {"domain": list(self.y_domain), "anchor": f"x{self.suffix}"} | y,
        }

    def heading(self, *lines: str) -> dict[str, Any]:
        """Return an annotation above the cell: a bold line and small ones."""
        small = [f"<span style='font-size:12px'>{line}</span>" for line in lines[1:]]
        return {
            "text": "<br>".join([f"<b>{lines[0]}</b>", *small]),
            "x": 0,
            "y": 1,
            "xref": f"x{self.suffix} domain",
            "yref": f"y{self.suffix} domain",
            "xanchor": "left",
            "yanchor": "bottom",
            "align": "left",
            "showarrow": False,
        }


def grid_of(n: int, columns: int) -> tuple[int, int]:
    """Return the rows and columns of `n` panels, side by side up to so many `columns`."""
    columns = min(check_count("columns", columns), n)
    return -(-n // columns), columns


def cells(
    heights: Sequence[float],
    columns: int,
    *,
    gap_x: float,
    gap_y: float | Sequence[float],
    widths: Sequence[float] | None = None,
) -> list[list[Cell]]:
    """Return rows of cells from the top.

    Parameters
    ----------
    heights : one a row, in any unit; with the gaps they fill the plot
    columns : cells in a row
    gap_x : space between columns as a share of the plot's width
    gap_y : space beneath each row but the last, in the unit of `heights`; one for all or one each
    widths : one a column, in any unit; default equal
    """
    gaps = [gap_y] * len(heights) if isinstance(gap_y, (int, float)) else list(gap_y)
    total = sum(heights) + sum(gaps[: len(heights) - 1])
    widths = widths or [1.0] * columns
    free = (1 - gap_x * (columns - 1)) / sum(widths)
    rows, top = [], total
    for r, height in enumerate(heights):
        left, row = 0.0, []
        for c, width in enumerate(widths):
            x = (left, min(left + free * width, 1.0))
            y = (max((top - height) / total, 0.0), top / total)
            row.append(Cell(r * columns + c + 1, r, c, x, y))
            left += free * width + gap_x
        rows.append(row)
        top -= height + (gaps[r] if r < len(heights) - 1 else 0)
    return rows


def beside(
    y_domain: tuple[float, float], n: int, *, gap_x: float, first: int, row: int
) -> list[Cell]:
    """Return `n` cells across the whole width, numbered from `first`, for a row of its own."""
    width = (1 - gap_x * (n - 1)) / n
    lefts = [i * (width + gap_x) for i in range(n)]
    return [
        Cell(first + i, row, i, (left, min(left + width, 1.0)), y_domain)
        for i, left in enumerate(lefts)
    ]


def room_beneath(layout: dict[str, Any], pixels: float) -> float:
    """Make a figure so many pixels higher, empty beneath its panels; return the height of the plot.

    The panels, their legend and all between them keep their size.
    """
    margin, legend = layout["margin"], layout["legend"]
    plot = layout["height"] - margin["t"] - margin["b"]
    share = plot / (plot + pixels)
    for name, axis in layout.items():
        if name.startswith("yaxis"):
            axis["domain"] = [1 - share * (1 - bound) for bound in axis["domain"]]
    legend["y"] = 1 + (legend["y"] - 1) * share
    layout["height"] += pixels
    return float(plot + pixels)


def stacked(cell: Cell, n: int, *, gap: float, first: int) -> list[Cell]:
    """Return `n` cells above one another in the place of one, `gap` a share of a cell's height."""
    low, high = cell.y_domain
    step = (high - low) / n
    tops = [high - i * step for i in range(n)]
    return [
        Cell(
            first + i,
            cell.row,
            cell.column,
            cell.x_domain,
            (max(top - step * (1 - gap * (i < n - 1)), 0.0), top),
        )
        for i, top in enumerate(tops)
    ]


def text_above(lines: Sequence[str], x: float, y: float) -> dict[str, Any]:
    """Return text that stands on the point (x, y), as a trace.

    A trace, not an annotation: frames can change it without redrawing the figure.
    """
    return _text(lines, x, y, "top right")


def text_below(lines: Sequence[str], x: float, y: float) -> dict[str, Any]:
    """Return text that hangs from the point (x, y), as a trace."""
    return _text(lines, x, y, "bottom right")


def _text(lines: Sequence[str], x: float, y: float, position: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": [x],
        "y": [y],
        "mode": "text",
        "text": ["<br>".join(lines)],
        "textposition": position,
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
        "name": "readout",
        "meta": {"layer": "readout"},
    }
