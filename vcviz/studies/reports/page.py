"""A collection of runs as one HTML page that needs no kernel, no network and no other file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vcviz.figures import plot_latent_panels, plot_reliability
from vcviz.figures.groups import plot_groups
from vcviz.figures.latent_panel import LatentPanel
from vcviz.metrics.calibration import reliability_curve
from vcviz.records.numbers import title
from vcviz.studies.reports.collect import Collection
from vcviz.studies.reports.rendering import Figures, rendered
from vcviz.studies.reports.summary import Group, interval, metrics_of, settings_of, show

#: groups whose latents and reliability are drawn, and notebooks whose figures are
MOST_DRAWN = 6
#: groups whose numbers are drawn
MOST_LISTED = 40
#: bytes of figures of notebooks that a page takes in; beyond it links to the notebooks' own pages
LARGEST_FIGURES = 12_000_000


def render_report(collection: Collection, groups: Sequence[Group], page: Path) -> str:
    """Return the page of a collection.

    Parameters
    ----------
    collection, groups : what is there
    page : where the page will lie, so that it can link to what lies beside it
    """
    figures = Figures()
    sections = [
        {"title": title, "text": text, "figures": [figures.place(f, c) for c, f in drawn]}
        for title, text, drawn in _sections(groups, page)
    ]
    metrics = metrics_of(groups)
    lines = [_line(g, metrics, groups, page) for g in groups]
    return rendered(
        "report.html.j2",
        figures,
        "sort.js",
        title=f"Runs in {collection.folder.resolve().name}",
        folder=str(collection.folder),
        names=settings_of(groups),
        # Of every column of settings, whether it holds nothing but numbers.
        numbers=[
            all(cell["number"] or not cell["text"] for cell in column)
            for column in zip(*(line["cells"] for line in lines), strict=True)
        ],
        metrics=[title(m).text for m in metrics],
        lines=lines,
        n_runs=sum(len(g.rows) for g in groups),
        problems=collection.problems,
        sections=sections,
    )


def _line(
    group: Group, metrics: Sequence[str], groups: Sequence[Group], page: Path
) -> dict[str, Any]:
    cells = []
    for name in settings_of(groups):
        value = group.settings.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        text = "" if value is None else show(value)
        cells.append({"text": text, "sort": value if number else text, "number": number})
    numbers = []
    for metric in metrics:
        values = group.values(metric)
        mean = float(np.mean(values)) if values else math.nan
        numbers.append({"text": _number(mean, interval(values)), "sort": mean})
    return {
        "cells": cells,
        "seeds": len(group.rows),
        "numbers": numbers,
        "command": group.command,
        "runs": [{"name": r.name, "link": _link(r.path, r.record, page)} for r in group.rows],
    }


def _number(mean: float, reach: float) -> str:
    if math.isnan(mean):
        return "–"
    digits = 3 if abs(mean) < 100 else 0
    return f"{mean:.{digits}f}" + ("" if math.isnan(reach) else f" ± {reach:.{digits}f}")


def _link(path: Path, record: Mapping[str, Any] | None, page: Path) -> str | None:
    """Return the relative address of a notebook's own page, if there is one near this page."""
    if record is None or not record["page"]:
        return None
    try:
        return (path / record["page"]).resolve().relative_to(page.resolve().parent).as_posix()
    except ValueError:
        return None


def _sections(
    groups: Sequence[Group], page: Path
) -> Iterator[tuple[str, str, list[tuple[str, Mapping[str, Any]]]]]:
    """Yield title, text and captioned figures of each part of the page."""
    trained = [g for g in groups if g.rows[0].run is not None]
    metrics = [
        m for m in metrics_of(trained) if m not in ("seconds", "ece_if_calibrated", "ece_debiased")
    ][:4]
    if trained and metrics:
        listed = trained[:MOST_LISTED]
        values = {g.title: {m: g.values(m) for m in metrics} for g in listed}
        reach = {g.title: {m: interval(g.values(m)) for m in metrics} for g in listed}
        figure = plot_groups(values, reach, titles={m: title(m).text for m in metrics})
        text = (
            "Every run is a small dot; the mean over seeds has its 95 % t-interval, in which the "
            "noise of test rows that all seeds share is not."
        )
        text += _first_of(len(listed), len(trained)) + _predicting(listed)
        yield "Numbers", text, [("", figure)]
    drawn = [(g, run) for g in trained[:MOST_DRAWN] if (run := g.rows[0].run) is not None]
    more = _first_of(len(drawn), len(trained))
    if drawn:
        latents = [(g, run, run.latents()) for g, run in drawn]
        curves = [reliability_curve(lat, resamples=200, name=g.title) for g, _, lat in latents]
        yield (
            "Reliability",
            f"Test split, first seed of each.{more}",
            [("", plot_reliability(curves))],
        )
        classes = latents[0][2].class_names
        panels = [
            LatentPanel(lat, run.prior(), title=g.title)
            for g, run, lat in latents
            if lat.class_names == classes and lat.latent_dim > 1
        ]
        if panels:
            yield (
                "Latents",
                f"Test split, first seed of each: anticipated solid, empirical dashed.{more}",
                [("", plot_latent_panels(panels))],
            )
    yield from _notebook_figures([g for g in groups if g.rows[0].record is not None])


def _notebook_figures(
    groups: Sequence[Group],
) -> Iterator[tuple[str, str, list[tuple[str, Mapping[str, Any]]]]]:
    """Yield the figures of notebooks, those of the same number side by side."""
    room = LARGEST_FIGURES
    by_number: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for group in groups[:MOST_DRAWN]:
        first = group.rows[0]
        for name in (first.record or {}).get("files", ()):
            path = first.path / name
            if path.suffix != ".json" or not path.is_file():
                continue
            room -= path.stat().st_size
            if room >= 0:
                figure = json.loads(path.read_text(encoding="utf-8"))
                by_number.setdefault(path.stem, []).append((group.title, figure))
    note = (
        "" if room >= 0 else " Some were left out for their size; the notebooks' pages have them."
    )
    for name, drawn in by_number.items():
        yield name.replace("-", " ").capitalize(), f"Of the first run of each setting.{note}", drawn


def _first_of(shown: int, there: int) -> str:
    return f" The first {shown} of {there} settings are drawn." if shown < there else ""


def _predicting(groups: Sequence[Group]) -> str:
    """Return which groups predict for other label frequencies than those of the test rows."""
    notes = [f"{g.title} ({g.label_note})" for g in groups if g.label_note]
    return f" Not for the label frequencies of the test rows: {'; '.join(notes)}." if notes else ""
