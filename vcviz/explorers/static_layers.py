"""All that can lie beneath the points of a static figure, where a list shows one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcviz.explorers.backdrops import Backdrop, Backdrops, fields_of, kinds_beneath, limits_of
from vcviz.explorers.panel_data import Axes, Rows
from vcviz.figures.fields import field_bar, field_trace

Trace = dict[str, Any]

#: a picture of one clear pixel, where there is nothing to show
_CLEAR = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB"
    "0C8AAAAASUVORK5CYII="
)


def still_backdrops(
    parts: Sequence[Backdrops], axes: Axes, rows: Rows, epoch: int | None, score: str
) -> tuple[list[Backdrop], list[Trace]]:
    """Return the backdrops of each panel, all kinds in one, and the bars of their colours.

    Each trace says in its ``meta["beneath"]`` of which kind it is. There are as many at every
    epoch, as a slider needs: what an epoch does not have is clear, and a line says why.

    Parameters
    ----------
    parts : the backdrops of the panels' runs
    axes, rows, epoch : what the panels show
    score : name of the score "ood" draws
    """
    under: list[list[Trace]] = [[] for _ in parts]
    over: list[list[Trace]] = [[] for _ in parts]
    bars: list[Trace] = []
    for kind in kinds_beneath(parts, rows[0]):
        # The trained models' fields say what the colours mean at every epoch.
        last = (part.source.epochs[-1] if rows[1] else None for part in parts)
        known = fields_of(
            part.beneath(kind, axes, rows, at, score) for part, at in zip(parts, last, strict=True)
        )
        limits = limits_of(known) if known else None
        bars += [_marked(field_bar(known[0], limits=limits), kind)] if known else []
        for i, part in enumerate(parts):
            at = part.source.kept(rows, epoch)
            one = part.beneath(kind, axes, rows, at, score)
            (x0, x1), (y0, y1) = part.source.ranges(axes, rows)
            found = one.under if one.field is None else (field_trace(one.field, limits),)
            clear = {
                "type": "image", "source": _CLEAR, "x0": x0, "dx": x1 - x0, "y0": y0, "dy": y1 - y0,
                "hoverinfo": "skip", "name": kind, "meta": {"layer": kind},
            }  # fmt: skip
            under[i].append(_marked(found[0] if found else clear, kind))
            if kind == "ood":
                line = {"type": "scatter", "mode": "lines", "x": [None], "y": [None],
                        "showlegend": False, "meta": {"layer": "fpr95"}}  # fmt: skip
                over[i].append(_marked(one.over[-1] if one.field is not None else line, kind))
            remarks = {
                "type": "scatter", "mode": "text", "x": [x0], "y": [y0],
                "text": [" · ".join(one.remarks)], "textposition": "top right", "hoverinfo": "skip",
                "textfont": {"size": 11}, "showlegend": False, "meta": {"layer": "remarks"},
            }  # fmt: skip
            over[i].append(_marked(remarks, kind))
    made = [Backdrop(tuple(a), tuple(b)) for a, b in zip(under, over, strict=True)]
    return made, bars


def _marked(trace: Trace, kind: str) -> Trace:
    return trace | {"meta": {**trace["meta"], "beneath": kind}}
