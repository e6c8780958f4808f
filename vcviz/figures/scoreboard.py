"""A comparison of heads: which claims held, the numbers of a task, and how they change."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, unknown
from vcviz.figures import theme as style
from vcviz.figures.grid import Panels, side_by_side
from vcviz.figures.groups import group_dots, groups_axis
from vcviz.figures.marks import Trace, band, scatter
from vcviz.records import Scoreboard, Verdict
from vcviz.records.numbers import ATTACKED, attack_title, title

#: what became of a claim -> colour and marker
OUTCOMES = {
    "held": ("#3F8F5B", "circle"),
    "undecided": (style.NEUTRAL, "circle-open"),
    "not held": ("#C4622D", "x"),
}
#: half-widths of its interval beyond which a gain is drawn at the edge
_EDGE = 6.0
_ROW_PX, _PANEL_PX, _GAP_PX = 24, 260, 96
#: the numbers that curves are made of: pattern of their first part -> heading, title of the x axis
_CURVES = {
    r"corrupted_accuracy": ("accuracy, corrupted", "severity of corruption"),
    r"corrupted_ece": ("ECE, corrupted", "severity of corruption"),
    ATTACKED: ("accuracy under {attack}", "radius ε (L∞)"),
}
#: where a curve begins: the number on clean inputs
_CLEAN = {"corrupted_ece": "ece"}
#: (x, name of a number) of a curve
Points = list[tuple[float, str]]


@takes_records
def plot_claims(board: Scoreboard, *, theme: style.Theme = "auto") -> go.Figure:
    """Return every claim on every task, by how many half-widths of its interval it held.

    Parameters
    ----------
    board : a scoreboard with verdicts
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If the board has no verdicts.

    Notes
    -----
    What is drawn is (gain - margin) / half-width of the 95 % interval of the gain: above 1 the
    claim held, below -1 it did not, between them it is undecided. Units thus do not matter.

    Examples
    --------
    >>> from vcviz.records import Estimate, Verdict
    >>> gain = Estimate(value=0.02, reach=0.005, n=5)
    >>> verdict = Verdict(
    ...     claim="better", text="VC is more accurate", source="a paper", paper="+1 %",
    ...     task="digits", measure="accuracy", head="VC", against="softmax", factor=1.0, margin=0.0,
    ...     values=(Estimate(0.95, 0.01, 5), Estimate(0.93, 0.01, 5)), gain=gain,
    ...     outcome=gain.above(0.0),
    ... )
    >>> board = vcviz.records.Scoreboard(
    ...     "two heads", {"digits": "Digits"}, {"a": "softmax", "b": "VC"}, {"digits": {}},
    ...     seeds=(0, 1), chosen={}, tried={}, verdicts=(verdict,),
    ... )
    >>> figure = vcviz.figures.plot_claims(board)
    >>> figure.data[0].x
    (4.0,)
    """
    if not board.verdicts:
        raise InputError("this scoreboard has no claims that could be looked for")
    rows: list[Verdict | str] = []
    for verdict in board.verdicts:
        if verdict.text not in rows:
            rows.append(verdict.text)
        rows.append(verdict)
    n = len(rows)
    data = [_outcome(board, rows, name) for name in OUTCOMES]
    lines = [
        {"type": "line", "x0": x, "x1": x, "y0": -0.5, "y1": n - 0.5,
         "line": {"color": style.NEUTRAL, "width": 1, "dash": dash}}
        for x, dash in ((-1, "dot"), (0, "solid"), (1, "dot"))
    ]  # fmt: skip
    texts = [
        {"text": f"<b>{style.escape(row, 90)}</b>", "x": -_EDGE - 0.4, "y": i, "xanchor": "left",
         "font": {"size": 12}}
        for i, row in enumerate(rows)
        if isinstance(row, str)
    ]  # fmt: skip
    places = [i for i, row in enumerate(rows) if not isinstance(row, str)]
    labels = [board.tasks[row.task] for row in rows if not isinstance(row, str)]
    layout = {
        "height": n * _ROW_PX + 140,
        "margin": {"l": 20, "t": 52, "b": 62},
        "xaxis": {
            "title": {"text": "(gain - margin) / half-width of its 95 % interval"},
            "range": [-_EDGE - 0.5, _EDGE + 0.5],
            "tickvals": [-5, -3, -1, 0, 1, 3, 5],
        },
        "yaxis": {
            "tickvals": places,
            "ticktext": [style.escape(label, 44) for label in labels],
            "range": [n - 0.5, -0.5],
            "ticks": "",
            "showgrid": False,
        },
        "legend": {"orientation": "h", "yref": "container", "y": 0.995, "yanchor": "top", "x": 0},
        "shapes": lines,
        "annotations": texts,
    }
    return style.apply(go.Figure(data, layout), theme)


@takes_records
def plot_scores(
    board: Scoreboard, task: str, numbers: Sequence[str], *, theme: style.Theme = "auto"
) -> go.Figure:
    """Return numbers of all heads on a task: one dot per seed, and the mean with its interval.

    Parameters
    ----------
    board, task : a scoreboard and one of its tasks
    numbers : names of numbers that were measured there
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If the board has no such task or number.

    Examples
    --------
    >>> values = {"digits": {"a": {"accuracy": [0.91, 0.93]}, "b": {"accuracy": [0.95, 0.94]}}}
    >>> board = vcviz.records.Scoreboard(
    ...     "two heads", {"digits": "Digits"}, {"a": "softmax", "b": "VC"}, values,
    ...     seeds=(0, 1), chosen={}, tried={}, verdicts=(),
    ... )
    >>> figure = vcviz.figures.plot_scores(board, "digits", ["accuracy"])
    >>> sorted({trace.meta["layer"] for trace in figure.data})
    ['mean', 'seeds']
    """
    return style.apply(go.Figure(**scores_spec(board, task, numbers)), theme)


def scores_spec(board: Scoreboard, task: str, numbers: Sequence[str]) -> dict[str, Any]:
    """Return `plot_scores` as plain data and layout, without a theme."""
    _check_task(board, task)
    known = board.numbers(task)
    for number in numbers:
        if number not in known:
            raise unknown(f"number of task {task!r}", number, known)
    if not numbers:
        raise InputError(f"name at least one number: {', '.join(known)}")
    heads = list(board.heads)
    names = [style.escape(board.heads[head], 24) for head in heads]
    panels = Panels([32 * len(heads) + 16], len(numbers), gap_x=0.14 / len(numbers))
    for cell, number in zip(panels.rows[0], numbers, strict=True):
        dots = [t for i, head in enumerate(heads) for t in _dots(board, task, head, number, i)]
        axes = {"nticks": 4, "tickformat": "~r"}, groups_axis(names, named=cell.leftmost)
        said = title(number)
        arrow = {"higher": "\u00a0↑", "lower": "\u00a0↓", None: ""}[said.better]
        panels.add(cell, dots, axes, *_broken(style.escape(said.text) + arrow))
    height, margin = panels.height + 144, {"l": 20}
    panels.frame(80, 58, height=height, margin=margin, showlegend=False)
    return panels.spec


@takes_records
def plot_score_curves(board: Scoreboard, task: str, *, theme: style.Theme = "auto") -> go.Figure:
    """Return accuracy and ECE against the severity of corruption, and accuracy against the radius.

    Parameters
    ----------
    board, task : a scoreboard, and a task that corruptions or attacks were measured on
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If the board has no such task, or nothing was corrupted or attacked there.

    Notes
    -----
    Bands are 95 % t-intervals over seeds, given the test rows; a curve begins at the clean ones.

    Examples
    --------
    >>> numbers = {"accuracy": [0.95, 0.94], "corrupted_accuracy_1": [0.9, 0.9]}
    >>> numbers |= {"corrupted_accuracy_3": [0.8, 0.7], "corrupted_accuracy_5": [0.5, 0.4]}
    >>> board = vcviz.records.Scoreboard(
    ...     "one head", {"digits": "Digits"}, {"b": "VC"}, {"digits": {"b": numbers}},
    ...     seeds=(0, 1), chosen={}, tried={}, verdicts=(),
    ... )
    >>> figure = vcviz.figures.plot_score_curves(board, "digits")
    >>> [note.text for note in figure.layout.annotations]
    ['<b>accuracy, corrupted</b>']
    """
    _check_task(board, task)
    found = _curves(board.numbers(task))
    if not found:
        raise InputError(f"neither corruptions nor attacks were measured on task {task!r}")
    panels, places = side_by_side(len(found), 2, [_PANEL_PX], [_GAP_PX], gap_x=0.2)
    for (cell,), (heading, x_title, points) in zip(places, found, strict=True):
        last = points[-1][0]
        x = {"title": {"text": x_title}, "range": [-0.03 * last, 1.03 * last]}
        y = {"title": {"text": "fraction"}, "rangemode": "tozero"}
        lines: list[Trace] = []
        for i, head in enumerate(board.heads):
            lines += _curve(board, task, head, points, i, legend=cell.number == 1)
        panels.add(cell, lines, (x, y), heading)
    panels.frame(92, 58, legend=30)
    return style.apply(go.Figure(**panels.spec), theme)


# ---------------------------------------------------------------- parts


def _curves(numbers: Sequence[str]) -> list[tuple[str, str, Points]]:
    """Return what curves there are: heading, title of the x axis, points from the clean ones on."""
    found: dict[str, tuple[str, str, Points]] = {}
    for pattern, (heading, x_title) in _CURVES.items():
        for number in numbers:
            if m := re.fullmatch(rf"({pattern})_(?P<at>[\d.e-]+)", number):
                clean = [(0.0, _CLEAN.get(m[1], "accuracy"))]
                named = {name: attack_title(group) for name, group in m.groupdict().items()}
                found.setdefault(m[1], (heading.format(**named), x_title, clean))
                found[m[1]][2].append((float(m["at"]), number))
    return [(heading, x_title, sorted(points)) for heading, x_title, points in found.values()]


def _check_task(board: Scoreboard, task: str) -> None:
    if task not in board.tasks:
        raise unknown("task", task, board.tasks)


def _outcome(board: Scoreboard, rows: Sequence[Verdict | str], outcome: str) -> Trace:
    """Return the claims that came out so; the trace is there even if there are none."""
    color, symbol = OUTCOMES[outcome]
    chosen = [(i, r) for i, r in enumerate(rows) if not isinstance(r, str) and r.outcome == outcome]
    marks = [_standing(verdict) for _, verdict in chosen]
    x, y = [float(np.clip(m, -_EDGE, _EDGE)) for m in marks], [i for i, _ in chosen]
    marker = {"color": color, "symbol": symbol, "size": 10, "line": {"width": 1.6}}
    looks: Trace = {"mode": "markers", "marker": marker, "hovertemplate": "%{text}<extra></extra>"}
    hovers = [_hover(board, verdict) for _, verdict in chosen]
    return scatter(x, y, f"{outcome} ({len(chosen)})", outcome, text=hovers, **looks)


def _standing(verdict: Verdict) -> float:
    away = verdict.gain.value - verdict.margin
    if verdict.gain.reach == 0:
        return float(np.sign(away)) * _EDGE
    return away / verdict.gain.reach


def _hover(board: Scoreboard, v: Verdict) -> str:
    mine, other = v.values
    times = "" if v.factor == 1 else f"{v.factor:g} × "
    return "<br>".join(
        [
            f"{style.escape(board.tasks[v.task])}: {style.escape(title(v.measure).text)}",
            f"{style.escape(v.head)} {mine:.4f}",
            f"{times}{style.escape(v.against)} {other:.4f}",
            f"gain {v.gain:+.4f}" + (f", margin {v.margin:+g}" if v.margin else ""),
            f"<b>{v.outcome}</b>",
        ]
    )


#: numbers that judge predictions at the label frequencies of the rows
_JUDGED = re.compile(
    r"(\w+_)?accuracy(_[\d.e-]+)?|brier|"
    r"(corrupted_|smooth_)?(ece|nll)(_\d|_scaled)?"
)


def _dots(board: Scoreboard, task: str, head: str, number: str, i: int) -> list[Trace]:
    mean = board.estimate(task, head, number)
    if mean is None:
        return []
    runs = board.values[task][head][number]
    name = style.escape(board.heads[head], 40)
    if _JUDGED.fullmatch(number) and (note := board.label_notes.get(task, {}).get(head)):
        name += f", {note}"
    hovers = f"{name}<br>one seed", f"{name}<br>mean {mean:.4f} (95 %, {mean.n} seeds)"
    reach = mean.reach if np.isfinite(mean.reach) else 0.0
    dots = group_dots(i, runs, mean.value, reach, hovers, spread=0.16)
    return [dot | {"meta": {"layer": it}} for dot, it in zip(dots, ("seeds", "mean"), strict=True)]


def _curve(
    board: Scoreboard, task: str, head: str, points: Points, i: int, *, legend: bool
) -> list[Trace]:
    """Return the line of a head over the band of its intervals."""
    found = [(x, e) for x, name in points if (e := board.estimate(task, head, name)) is not None]
    if not found:
        return []
    color, dash, symbol = style.run_style(i)
    x = np.array([at for at, _ in found])
    y = np.array([e.value for _, e in found])
    reach = np.array([e.reach if np.isfinite(e.reach) else 0.0 for _, e in found])
    name = style.escape(board.heads[head], 40)
    looks: Trace = {
        "mode": "lines+markers",
        "line": {"color": color, "dash": dash, "width": 2},
        "marker": {"color": color, "symbol": symbol, "size": 6},
        "showlegend": legend,
        "hovertemplate": f"{name}<br>at %{{x:g}}: %{{y:.4f}}<extra></extra>",
    }
    around = band(x, y - reach, y + reach, color, name=name, opacity=0.12)
    pair = [around, scatter(x, y, name, "mean", **looks)]
    return [trace | {"legendgroup": head} for trace in pair]


def _broken(text: str) -> list[str]:
    """Return a heading in lines that are no wider than a panel on a narrow page."""
    first, _, rest = text.partition(", ")
    return [line for part in (first, rest) if part for line in textwrap.wrap(part, 20)]
