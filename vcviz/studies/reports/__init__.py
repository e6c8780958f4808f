"""One summary of any set of runs: a page, or a table for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_path
from vcviz.base.replacing import replacing
from vcviz.records.numbers import title
from vcviz.studies.reports.collect import collect
from vcviz.studies.reports.rendering import markdown_table
from vcviz.studies.reports.summary import group, run_table, summary_table
from vcviz.studies.scoreboards import is_scoreboard, load_scoreboard, plan_of

Format = Literal["html", "csv", "parquet", "markdown"]
_SUFFIXES = {"html": ".html", "csv": ".csv", "parquet": ".parquet", "markdown": ".md"}

__all__ = ["report"]


def report(
    folder: str | Path,
    *,
    format: Format = "html",
    out: str | Path | None = None,
    per_run: bool = False,
) -> Path:
    """Write a summary of the runs in a folder, and of the folders within it, and return its path.

    Runs that differ in their seed alone are one line: mean, half of the 95 % t-interval over
    seeds, and their number. What failed stands there with its reason.

    Parameters
    ----------
    folder : of runs, of a sweep, of executed notebooks, or of a scoreboard (as "html" or
        "markdown", which then say what became of its claims; the tables for other programs are
        those of its runs)
    format : "html", a page with a sortable table and figures; "csv", "parquet" or "markdown", the
        table alone
    out : file to write; default ``report`` with the format's suffix in `folder`
    per_run : of the tables: one line per run

    Returns
    -------
    Path
        Of the file that was written.

    Raises
    ------
    MissingError
        If there is no such folder, or nothing in it is a run.

    Examples
    --------
    >>> _ = vcviz.train("mixture", epochs=3, progress=False)
    >>> vcviz.report("runs", format="csv").name
    'report.csv'
    """
    check_choice("format", format, _SUFFIXES)
    if per_run and format == "html":
        raise InputError("per_run is for tables; the page lists the runs of each line anyway")
    folder = check_path("the folder of a report", folder)
    path = folder / f"report{_SUFFIXES[format]}" if out is None else check_path("out", out)
    if is_scoreboard(folder) and format in ("html", "markdown") and not per_run:
        from vcviz.studies.reports import scoreboard_page

        render = scoreboard_page.page if format == "html" else scoreboard_page.markdown
        return _written(path, render(load_scoreboard(folder), plan_of(folder)[0]).encode())
    collection = collect(folder)
    groups = group(collection.rows)
    if format == "html":
        from vcviz.studies.reports.page import render_report

        content = render_report(collection, groups, path).encode()
    else:
        table = run_table(collection.rows) if per_run else summary_table(groups)
        if format == "csv":
            content = table.to_csv(index=False).encode()
        elif format == "parquet":
            content = table.to_parquet(index=False)
        else:
            content = _markdown(table).encode()
    return _written(path, content)


def _written(path: Path, content: bytes) -> Path:
    """Write a file at once or not at all, and return its path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another out=") from None
    return path


def _markdown(table) -> str:
    """Return a table as Markdown; mean and interval share a cell, the command is left out."""
    names = [c for c in table.columns if c != "command" and not c.endswith(" ±")]
    rows = (
        [_cell(row[name], row.get(f"{name} ±")) for name in names]
        for row in table.to_dict("records")
    )
    return markdown_table([title(name).text for name in names], rows)


def _cell(value: object, reach: object = None) -> str:
    if isinstance(value, float):
        text = "" if value != value else f"{value:.4g}"
        return f"{text} ± {reach:.2g}" if isinstance(reach, float) and reach == reach else text
    return str("" if value is None else value).replace("|", "\\|")
