"""The runs of a sweep: each with its own folder, and how one is done on a worker."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vcviz.base.errors import InputError, TrainingError, unknown
from vcviz.headless.files import (
    find_notebook,
    notebook_address,
    read_notebook,
    read_record,
    source_fingerprint,
)
from vcviz.headless.outcomes import NotebookError
from vcviz.headless.parameters import check_parameters, notebook_parameters
from vcviz.runs.config import RunConfig
from vcviz.training.grids import Cell, nested

#: settings that the commands below spell as options of their own
_FLAGS = ("dataset", "head", "latent_dim", "epochs", "seed")


@dataclass(frozen=True)
class Task:
    """One run of a sweep.

    Attributes
    ----------
    name : of its folder within the sweep's
    folder : the sweep's, absolute
    parameters : its settings, flat
    notebook : path of the notebook to run; None to train
    source : fingerprint of the notebook
    measures : what is measured of a training, see `vcviz.studies.measures.measure`
    """

    name: str
    folder: str
    parameters: Mapping[str, Any]
    notebook: str | None = None
    source: str | None = None
    measures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The task's own folder."""
        return Path(self.folder) / self.name

    @property
    def command(self) -> str:
        """The command that repeats it alone."""
        if self.notebook is not None:
            address = notebook_address(Path(self.notebook))
            return notebook_command(address, self.parameters, self.path)
        return train_command(RunConfig(**nested(self.parameters)), self.folder)

    def finished(self) -> bool:
        """Return whether its result is there, complete, and of these settings."""
        if self.notebook is None:
            from vcviz.runs.finding import finished_run
            from vcviz.studies.measures import measured

            run = finished_run(self.folder, self.name, RunConfig(**nested(self.parameters)))
            return run is not None and measured(run, self.measures)
        record = read_record(self.path / f"{Path(self.notebook).stem}.json")
        return record is not None and record["source"] == self.source


def tasks_of(
    cells: Sequence[Cell], folder: Path, notebook: str | None = None, measures: Any = ()
) -> list[Task]:
    """Return the tasks of a grid's cells, each checked before any of them starts.

    Parameters
    ----------
    cells, folder : see `expand`; the sweep's folder
    notebook : name or path of the notebook to run; None to train
    measures : what is measured of each training, see `vcviz.studies.measures.check_measures`

    Raises
    ------
    InputError
        For an unknown setting or parameter, with the nearest name, or a wrong value.
    """
    if notebook is None:
        return _training_tasks(cells, folder, measures)
    if measures:
        raise InputError("measures are taken of trainings; a notebook measures for itself")
    # Whole, because a worker elsewhere may have been started in another folder.
    source = find_notebook(notebook).resolve()
    declared = notebook_parameters(read_notebook(source))
    digest = source_fingerprint(source)
    found: dict[str, Task] = {}
    for cell in cells:
        values = check_parameters(declared, nested(cell))
        key = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
        name = f"{source.stem}-{key}"
        found.setdefault(name, Task(name, str(folder), values, str(source), digest))
    return list(found.values())


def _training_tasks(cells: Sequence[Cell], folder: Path, measures: Any) -> list[Task]:
    from vcviz.base.options import check_options
    from vcviz.data.loading import dataset_options
    from vcviz.models.encoders import ENCODERS
    from vcviz.models.heads import HEADS
    from vcviz.models.options import options_of
    from vcviz.studies.measures import check_measures

    wanted = check_measures(measures)
    found: dict[str, Task] = {}
    for cell in cells:
        config = RunConfig(**nested(cell))
        if config.head not in HEADS:
            raise unknown("head", config.head, HEADS)
        # What is wrong of these is said by them; nothing is read.
        dataset_options(config.dataset)
        if config.encoder not in ("auto", *ENCODERS):
            raise unknown("encoder", config.encoder, ("auto", *ENCODERS))
        check_options(f"head {config.head!r}", config.head_options, options_of(HEADS[config.head]))
        name = config.default_name
        found.setdefault(name, Task(name, str(folder), dict(cell), measures=wanted))
    return list(found.values())


def train_command(config: RunConfig, out: str | Path) -> str:
    """Return the command that trains a run of these settings."""
    values = config.differences()
    words = ["vcviz train"]
    for name, value in values.items():
        if name in _FLAGS:
            words.append(f"--{name.replace('_', '-')} {shlex.quote(_text(value))}")
        else:
            words.append(f"--set {shlex.quote(f'{name}={_text(value)}')}")
    return " ".join([*words, "--out", shlex.quote(str(out))])


def notebook_command(address: str, parameters: Mapping[str, Any], out: str | Path) -> str:
    """Return the command that runs a notebook with these parameters."""
    given = [f"-p {shlex.quote(f'{k}={_text(v)}')}" for k, v in parameters.items()]
    words = ["vcviz notebook", shlex.quote(address), *given]
    return " ".join([*words, "--out", shlex.quote(str(out))])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def run_task(task: Task, threads: int, timeout: float | None) -> dict[str, Any]:
    """Do a task, on a worker, and return what became of it; nothing is raised.

    Returns
    -------
    dict
        ``state`` ("done" or "failed"), ``reason``, ``final`` (whether trying again is pointless),
        ``seconds``.
    """
    start = time.monotonic()
    outcome: dict[str, Any] = {"state": "done", "reason": None, "final": False}
    try:
        _do(task, threads, timeout)
    except InputError as error:
        outcome = failed(str(error), final=True)
    except (TrainingError, NotebookError) as error:
        outcome = failed(str(error))
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        outcome = failed(f"{error.strerror or error}{where}")
    except Exception as error:
        # Whatever it is, the other runs go on and this one is reported.
        outcome = failed(f"{type(error).__name__}: {error}")
    return outcome | {"seconds": round(time.monotonic() - start, 2)}


def in_order(tasks: Sequence[Task]) -> list[Task]:
    """Return tasks with those that train on the same rows one after another.

    A worker keeps the rows that it has read last.
    """
    same: dict[str, list[Task]] = {}
    for task in tasks:
        rows = task.name
        if task.notebook is None:
            config = RunConfig(**nested(task.parameters))
            rows = config.model_dump_json(include={"dataset", "dataset_options", "n_train", "seed"})
        same.setdefault(rows, []).append(task)
    return [task for group in same.values() for task in group]


def failed(reason: str, *, final: bool = False) -> dict[str, Any]:
    """Return the outcome of a task that failed; `final` if trying again is pointless."""
    return {"state": "failed", "reason": " ".join(reason.split()), "final": final, "seconds": None}


def _do(task: Task, threads: int, timeout: float | None) -> None:
    if task.notebook is not None:
        from vcviz.headless import run_notebook

        run_notebook(task.notebook, task.parameters, out=task.path, timeout=timeout, progress=False)
        return
    import torch

    from vcviz.training import train

    torch.set_num_threads(threads)
    config = RunConfig(**nested(task.parameters))
    run = train(config, out=task.folder, name=task.name, progress=False)
    if task.measures:
        from vcviz.studies.measures import measure

        measure(run, task.measures)
