"""Panels in rows and columns with their axes, as the plain data and layout of a plotly figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vcviz.base.options import check_count
from vcviz.figures.marks import Trace


@dataclass(frozen=True)
class Cell:
    """A place for a panel: the numbers of its axes and their domains (shares of the plot)."""

    number: int
    x_domain: tuple[float, float]
    y_domain: tuple[float, float]

    @property
    def suffix(self) -> str:
        """What plotly appends to ``xaxis``, ``x``, …: nothing for the first."""
        return "" if self.number == 1 else str(self.number)

    @property
    def leftmost(self) -> bool:
        """Whether nothing stands to the left: the place for the title of an axis."""
        return self.x_domain[0] == 0

    def place(self, traces: Sequence[Trace]) -> list[Trace]:
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


class Panels:
    """A figure of panels, filled one after another.

    Parameters
    ----------
    heights : pixels of each row
    columns : cells in a row
    gap_x : space between columns as a share of the plot's width
    gap_y : pixels beneath each row but the last; one for all or one each
    widths : one a column, in any unit; default equal

    Attributes
    ----------
    rows : the cells, row by row from the top
    height : pixels from the top of the first row to the bottom of the last
    data, layout : the traces and the layout so far
    """

    def __init__(
        self,
        heights: Sequence[float],
        columns: int,
        *,
        gap_x: float,
        gap_y: float | Sequence[float] = 0,
        widths: Sequence[float] | None = None,
    ) -> None:
        gaps = [gap_y] * len(heights) if isinstance(gap_y, (int, float)) else list(gap_y)
        self.height = total = sum(heights) + sum(gaps[: len(heights) - 1])
        self.data: list[Trace] = []
        self.layout: dict[str, Any] = {"annotations": []}
        widths = widths or [1.0] * columns
        free = (1 - gap_x * (columns - 1)) / sum(widths)
        self.rows: list[list[Cell]] = []
        top = total
        for r, height in enumerate(heights):
            left, row = 0.0, []
            for c, width in enumerate(widths):
                x = (left, min(left + free * width, 1.0))
                y = (max((top - height) / total, 0.0), top / total)
                row.append(Cell(r * columns + c + 1, x, y))
                left += free * width + gap_x
            self.rows.append(row)
            top -= height + (gaps[r] if r < len(heights) - 1 else 0)

    def add(
        self,
        cell: Cell,
        traces: Sequence[Trace],
        axes: tuple[dict[str, Any], dict[str, Any]],
        *heading: str,
        shift: float | None = None,
    ) -> None:
        """Draw traces in a cell, with its (x, y) axes and lines above it, `shift` pixels higher."""
        self.draw(cell, traces)
        self.layout |= cell.axes(*axes)
        if heading:
            note = cell.heading(*heading) | ({} if shift is None else {"yshift": shift})
            self.layout["annotations"].append(note)

    def draw(self, cell: Cell, traces: Sequence[Trace]) -> None:
        """Draw further traces in a cell."""
        self.data += cell.place(traces)

    def frame(
        self, top: float, bottom: float, *, legend: float | None = None, **layout: Any
    ) -> None:
        """Set size and margins.

        Parameters
        ----------
        top, bottom : pixels of the margins
        legend : pixels from the panels up to the legend; default plotly's own place
        layout : further properties; `margin` is added to
        """
        margin = {"t": top, "b": bottom} | layout.pop("margin", {})
        self.layout |= {"height": self.height + top + bottom, "margin": margin}
        if legend is not None:
            self.layout["legend"] = legend_above(1 + legend / self.height)
        self.layout |= layout

    def room_beneath(self, pixels: float) -> float:
        """Make a framed figure so many pixels higher, empty beneath; return the plot's height.

        The panels, their legend and all between them keep their size.
        """
        share = self.height / (self.height + pixels)
        for name, axis in self.layout.items():
            if name.startswith("yaxis"):
                axis["domain"] = [1 - share * (1 - bound) for bound in axis["domain"]]
        self.layout["legend"]["y"] = 1 + (self.layout["legend"]["y"] - 1) * share
        self.layout["height"] += pixels
        self.height += pixels
        return self.height

    @property
    def spec(self) -> dict[str, Any]:
        """The figure as plain data and layout."""
        return {"data": self.data, "layout": self.layout}


def side_by_side(
    n: int, columns: int, heights: Sequence[float], gaps: Sequence[float], *, gap_x: float
) -> tuple[Panels, list[list[Cell]]]:
    """Return a figure of `n` panels in rows, and the cells of each panel from the top.

    Parameters
    ----------
    n, columns : panels, and how many stand in a row at most
    heights, gaps : pixels of the cells that a panel is made of, and beneath each of them
    gap_x : space between all columns together, as a share of the plot's width
    """
    columns, k = min(check_count("columns", columns), n), len(heights)
    n_rows = -(-n // columns)
    panels = Panels([*heights] * n_rows, columns, gap_x=gap_x / columns, gap_y=[*gaps] * n_rows)
    rows = [panels.rows[i : i + k] for i in range(0, len(panels.rows), k)]
    return panels, [list(stack) for row in rows for stack in zip(*row, strict=True)][:n]


def legend_above(y: float) -> dict[str, Any]:
    """Return a legend in lines whose lower edge is at `y`, a share of the plot's height."""
    return {"orientation": "h", "y": y, "yanchor": "bottom", "x": 0}


def beside(y_domain: tuple[float, float], n: int, *, gap_x: float, first: int) -> list[Cell]:
    """Return `n` cells across the whole width, numbered from `first`, for a row of its own."""
    width = (1 - gap_x * (n - 1)) / n
    lefts = [i * (width + gap_x) for i in range(n)]
    return [
        Cell(first + i, (left, min(left + width, 1.0)), y_domain) for i, left in enumerate(lefts)
    ]


def stacked(cell: Cell, n: int, *, gap: float, first: int) -> list[Cell]:
    """Return `n` cells above one another in the place of one, `gap` a share of a cell's height."""
    low, high = cell.y_domain
    step = (high - low) / n
    tops = [high - i * step for i in range(n)]
    return [
        Cell(first + i, cell.x_domain, (max(top - step * (1 - gap * (i < n - 1)), 0.0), top))
        for i, top in enumerate(tops)
    ]
