"""What lies in a folder of runs: finished trainings and notebooks, and what failed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vcviz.errors import InputError, MissingError
from vcviz.headless.files import read_record
from vcviz.runs import Run, load_run
from vcviz.runs.folder import is_run
from vcviz.sweeps.journal import FILE as JOURNAL
from vcviz.sweeps.journal import read_journal
from vcviz.sweeps.tasks import train_command

#: settings that say how a run was computed, not what
_HOW = ("device", "threads", "compile")


@dataclass(frozen=True)
class Row:
    """A finished training or notebook.

    Attributes
    ----------
    name, path : its folder
    settings : flat, options with dotted names
    metrics : its numbers
    command : repeats it
    run : the training's run, None for a notebook
    record : the notebook's record, None for a training
    """

    name: str
    path: Path
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    command: str
    run: Run | None = None
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Problem:
    """A run that has no result: its name, why, and the command that tries again."""

    name: str
    reason: str
    command: str = ""


@dataclass(frozen=True)
class Collection:
    """Everything in a folder."""

    folder: Path
    rows: Sequence[Row] = ()
    problems: Sequence[Problem] = field(default_factory=tuple)


def collect(folder: str | Path) -> Collection:
    """Return what lies in a folder and the folders within it.

    Raises
    ------
    MissingError
        If there is no such folder, or nothing in it is a run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingError(f"there is no folder {folder}")
    rows: list[Row] = []
    problems: dict[str, Problem] = {}
    for path in sorted(p.parent for p in folder.rglob("config.json") if is_run(p.parent)):
        try:
            rows.append(_training(load_run(path)))
        except InputError as error:
            problems[path.name] = Problem(path.name, str(error))
    for path in sorted(folder.rglob("*.json")):
        if (record := _notebook_record(path)) is not None:
            if record["failure"] is None and read_record(path) is not None:
                rows.append(_notebook(path, record))
            else:
                problems[path.parent.name] = Problem(path.parent.name, _why(record))
    there = {row.name for row in rows}
    for journal in sorted(folder.rglob(JOURNAL)):
        for entry in read_journal(journal.parent).values():
            if entry["name"] not in there:
                seen = problems.get(entry["name"])
                reason = entry["reason"] or (seen.reason if seen else "it has not run yet")
                problems[entry["name"]] = Problem(entry["name"], reason, entry["command"])
    if not rows and not problems:
        raise MissingError(f"there are no runs in {folder}; make some: vcviz sweep --help")
    return Collection(folder, rows, [p for p in problems.values() if p.name not in there])


def _training(run: Run) -> Row:
    settings = {k: v for k, v in run.config.model_dump().items() if k not in _HOW}
    metrics = {
        key: float(value)
        for key, value in run.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    command = train_command(run.config, run.path.parent)
    return Row(run.name, run.path, flat(settings), metrics, command, run=run)


def _notebook(path: Path, record: Mapping[str, Any]) -> Row:
    given = [f"-p {shlex.quote(f'{k}={_text(v)}')}" for k, v in record["parameters"].items()]
    out = shlex.quote(str(path.parent))
    command = " ".join(["vcviz notebook", shlex.quote(record["notebook"]), *given, "--out", out])
    settings = {"notebook": record["notebook"], **flat(record["parameters"])}
    name = path.parent.name if path.parent.name.startswith(f"{path.stem}-") else path.stem
    return Row(name, path.parent, settings, {"seconds": record["seconds"]}, command, record=record)


def _notebook_record(path: Path) -> dict[str, Any] | None:
    if path.name in ("config.json", "metrics.json", JOURNAL) or path.parent.suffix == ".tmp":
        return None
    try:
        if path.stat().st_size > 2**20:
            return None
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_record = isinstance(values, dict) and values.get("format") == "vcviz.notebook/1"
    return values if is_record else None


def _why(record: Mapping[str, Any]) -> str:
    failure = record["failure"]
    if failure is None:
        return "its files were changed or cut short after it ran"
    where = f"cell {failure['cell']}: " if failure["cell"] else ""
    return f"{where}{failure['reason']}"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted names; an empty one has no entry."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
