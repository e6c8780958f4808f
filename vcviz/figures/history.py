"""What happened during training: loss terms and scores by epoch, one small panel each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vcviz.base.errors import InputError, clip
from vcviz.figures import theme as style
from vcviz.figures.grid import side_by_side
from vcviz.records import Trained
from vcviz.records.titles import run_titles

History = Sequence[Mapping[str, Any]]

#: the critic's T and its slope are no nats: they grow and shrink with the slope penalty
_UNITS = {"accuracy": "fraction", "ece": "fraction", "critic": "mean T", "slope": "|grad T|²/2"}
_SHORT = {"accuracy": "accuracy", "ece": "ECE", "nll": "NLL"}
_TOTALS = {
    "train/total": "training loss",
    "train/critic": "critic at the latents",
    "critic/loss": "critic loss",
    "critic/slope": "critic slope",
}
_SKIPPED = {"epoch", "lr"}
#: where a score was measured -> how strongly its line is drawn
_OPACITY = {"train": 1.0, "critic": 1.0, "validation": 0.75, "probe_train": 0.45}
_PANEL_PX, _GAP_PX = 170, 88


def plot_history(
    runs: Any,
    *,
    columns: int = 3,
    theme: style.Theme = "auto",
) -> go.Figure:
    """Return loss terms, accuracy, NLL and ECE by epoch in small panels, a line per run.

    Parameters
    ----------
    runs : a run, a sequence of runs, one history (a list of mappings with the key ``epoch``), or a
        mapping of name to history
    columns : panels in a row
    theme : "auto" reads on light and dark pages; "light" and "dark" bring a background

    Raises
    ------
    InputError
        If there is no history, or a `theme` is unknown.

    Notes
    -----
    Full lines are losses and scores on test rows; faint ones scores on training rows.

    Examples
    --------
    >>> heads = ["softmax", "gaussian_mixture"]
    >>> runs = vcviz.train_heads(heads, dataset="mixture", epochs=3, progress=False)
    >>> figure = vcviz.plot_history(runs)
    >>> len(figure.data), figure.layout.xaxis.title.text
    (17, 'epoch')
    """
    histories = _named(runs)
    terms = _terms(histories)
    panels, places = side_by_side(len(terms), columns, [_PANEL_PX], [_GAP_PX], gap_x=0.2)
    labelled: set[int] = set()
    for (cell,), (title, keys) in zip(places, terms.items(), strict=True):
        lines = []
        for i, (name, history) in enumerate(histories.items()):
            for key in keys:
                line = _line(history, key, name, i)
                if line is not None:
                    line["showlegend"] = i not in labelled and line["opacity"] == 1.0
                    labelled |= {i} if line["showlegend"] else set()
                    lines.append(line)
        unit = _UNITS.get(keys[0].rsplit("/", 1)[-1], "nats")
        axes = {"title": {"text": "epoch"}}, {"title": {"text": unit}}
        small = ["faint: training rows"] if any(k.startswith("probe_train/") for k in keys) else []
        panels.add(cell, lines, axes, style.escape(title), *small)
    panels.frame(90, 56, legend=46, margin={"r": 12})
    return style.apply(go.Figure(**panels.spec), theme)


def _named(runs: Any) -> dict[str, History]:
    found: dict[str, History]
    if isinstance(runs, Mapping):
        found = {str(name): list(history) for name, history in runs.items()}
    else:
        several = list(runs) if isinstance(runs, Sequence) else [runs]
        if several and all(isinstance(row, Mapping) for row in several):
            found = {"run": several}
        elif all(isinstance(run, Trained) for run in several):
            titles = run_titles(several)
            found = {t: run.history for t, run in zip(titles, several, strict=True)}
        else:
            raise InputError("plot_history takes runs, a history, or a mapping name -> history")
    found = {name: history for name, history in found.items() if len(history)}
    if not found:
        raise InputError("no run has a history yet: train for at least one epoch")
    return found


def _terms(histories: Mapping[str, History]) -> dict[str, list[str]]:
    """Return panel title -> keys: one panel a loss term, one a score whatever its rows."""
    keys: dict[str, None] = {}
    for history in histories.values():
        for row in history:
            keys |= dict.fromkeys(k for k in row if k not in _SKIPPED)
    panels: dict[str, list[str]] = {}
    for key in sorted(keys, key=lambda k: k != "train/total"):
        where, _, what = key.rpartition("/")
        if where in ("train", "critic"):
            title = _TOTALS.get(key, f"loss: {what}")
        else:
            title = _SHORT.get(what, what)
        panels.setdefault(title.replace("_", " "), []).append(key)
    if not panels:
        raise InputError("the history has no numbers beside its epochs")
    return panels


def _line(history: History, key: str, name: str, i: int) -> dict[str, Any] | None:
    rows = [(row["epoch"], row[key]) for row in history if key in row]
    if not rows:
        return None
    try:
        epochs = np.array([r[0] for r in rows], np.int64)
        values = np.array([r[1] for r in rows], np.float64)
        plain = epochs.ndim == values.ndim == 1
    except (OverflowError, TypeError, ValueError):
        plain = False
    if not plain:
        raise InputError(
            f"the history of {clip(name)} must hold numbers in {clip(key)}, got {clip(rows[-1][1])}"
        )
    color, dash, _ = style.run_style(i)
    where = key.rpartition("/")[0].replace("_", " ")
    return {
        "type": "scatter",
        "x": epochs,
        "y": values,
        "mode": "lines+markers" if len(rows) < 3 else "lines",
        "line": {"color": color, "dash": dash, "width": 1.8},
        "opacity": _OPACITY.get(key.rpartition("/")[0], 1.0),
        "name": style.escape(name, 50),
        "legendgroup": f"run {i}",
        "meta": {"key": key},
        "hovertemplate": (
            f"%{{fullData.name}}<br>{style.escape(where)}, epoch %{{x}}: %{{y:.4g}}<extra></extra>"
        ),
    }
