"""What lies in a folder of runs: finished trainings and notebooks, and what failed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcviz.base.errors import InputError, MissingError
from vcviz.base.json_files import read_json
from vcviz.headless.files import is_record, read_record
from vcviz.runs import Run, load_run
from vcviz.runs.stored import is_run
from vcviz.studies.measures import scores_of
from vcviz.studies.measures.store import FILE as SCORES
from vcviz.studies.sweeps.journal import FILE as JOURNAL
from vcviz.studies.sweeps.journal import read_journal
from vcviz.studies.sweeps.tasks import notebook_command, train_command

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
    out : folder in which a sweep repeats it and others
    run : the training's run, None for a notebook
    record : the notebook's record, None for a training
    label_note : for which label frequencies the numbers are, "" if for those of the test rows
    """

    name: str
    path: Path
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    command: str
    out: Path
    run: Run | None = None
    record: Mapping[str, Any] | None = None
    label_note: str = ""


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
    problems: Sequence[Problem] = ()


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
    problems: list[Problem] = []
    seen: set[Path] = set()
    paths = sorted(p for p in folder.rglob("*.json") if not p.parent.name.endswith("_files"))
    for path in (p.parent for p in paths if p.name == "config.json" and is_run(p.parent)):
        seen.add(path)
        try:
            rows.append(_training(load_run(path)))
        except InputError as error:
            problems.append(Problem(path.name, str(error)))
    for path in paths:
        if (record := _notebook_record(path)) is not None:
            seen.add(path.parent)
            if record["failure"] is None and read_record(path) is not None:
                rows.append(_notebook(path, record))
            else:
                name, command = _notebook_name(path), _notebook_command(path, record)
                problems.append(Problem(name, _why(record), command))
    for path in (p for p in paths if p.name == JOURNAL):
        try:
            entries = read_journal(path.parent).values()
        except InputError as error:
            problems.append(Problem(path.name, str(error)))
            continue
        problems += [
            Problem(entry["name"], entry["reason"] or "it has not run yet", entry["command"])
            for entry in entries
            if path.parent / entry["name"] not in seen
        ]
    if not rows and not problems:
        raise MissingError(f"there are no runs in {folder}; make some: vcviz sweep --help")
    return Collection(folder, rows, problems)


def _training(run: Run) -> Row:
    settings = {k: v for k, v in run.config.model_dump().items() if k not in _HOW}
    metrics = {
        key: float(value)
        for key, value in run.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    metrics |= scores_of(run.path)
    out = run.path.parent
    command = train_command(run.config, out)
    return Row(
        run.name, run.path, flat(settings), metrics, command, out, run, label_note=run.label_note
    )


def _notebook(path: Path, record: Mapping[str, Any]) -> Row:
    settings = {"notebook": record["notebook"], **flat(record["parameters"])}
    out = path.parent.parent if _in_sweep(path) else path.parent
    command = _notebook_command(path, record)
    metrics = {"seconds": record["seconds"]}
    return Row(_notebook_name(path), path.parent, settings, metrics, command, out, record=record)


def _notebook_command(path: Path, record: Mapping[str, Any]) -> str:
    address = record.get("address", record["notebook"])
    return notebook_command(address, record["parameters"], path.parent)


def _notebook_name(path: Path) -> str:
    return path.parent.name if _in_sweep(path) else path.stem.removesuffix(".failed")


def _in_sweep(path: Path) -> bool:
    stem = re.escape(path.stem.removesuffix(".failed"))
    return re.fullmatch(rf"{stem}-[0-9a-f]{{8}}", path.parent.name) is not None


def _notebook_record(path: Path) -> dict[str, Any] | None:
    if (
        path.name in ("config.json", "metrics.json", SCORES, JOURNAL)
        or path.parent.suffix == ".tmp"
    ):
        return None
    try:
        if path.stat().st_size > 2**20:
            return None
        values = read_json(path)
    except (OSError, ValueError):
        return None
    return values if is_record(values) else None


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
