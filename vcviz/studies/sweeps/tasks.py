"""The runs of a sweep: each with its own folder, and how one is done on a worker."""

from __future__ import annotations

import contextlib
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
from vcviz.studies.sweeps.grid import Cell, nested

#: trainings in one program; more bring little and are lost together
LARGEST_GROUP = 16
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
    from vcviz.models.heads.base import head_options
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
        check_options(
            f"head {config.head!r}", config.head_options, head_options(HEADS[config.head])
        )
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


def run_group(tasks: Sequence[Task], threads: int, timeout: float | None) -> list[dict[str, Any]]:
    """Do tasks that belong together, on a worker, and return what became of each.

    Trainings that differ in the seed alone are begun as one program; a task that this did not
    finish is then done alone, so that each has an outcome of its own.
    """
    start = time.monotonic()
    if len(tasks) > 1:
        import torch

        from vcviz.training import train

        torch.set_num_threads(threads)
        configs = [RunConfig(**nested(task.parameters)) for task in tasks]
        # Whatever goes wrong is found again, run by run.
        with contextlib.suppress(Exception):
            train(
                configs[0],
                seeds=[config.seed for config in configs],
                out=tasks[0].folder,
                progress=False,
            )
    together = (time.monotonic() - start) / len(tasks)
    outcomes = [run_task(task, threads, timeout) for task in tasks]
    return [o | {"seconds": round(together + o["seconds"], 2)} for o in outcomes]


def grouped(tasks: Sequence[Task]) -> list[list[Task]]:
    """Return tasks in groups: small trainings that are faster together, and all others alone.

    Groups that train on the same rows follow each other: a worker keeps what it has read last.
    """
    groups: dict[str, list[Task]] = {}
    rows: dict[str, dict[str, None]] = {}
    for task in tasks:
        key = data = task.name
        if task.notebook is None:
            from vcviz.training.stacked import can_stack

            config = RunConfig(**nested(task.parameters))
            data = config.model_dump_json(include={"dataset", "dataset_options", "n_train", "seed"})
            if can_stack(config):
                key = config.model_copy(update={"seed": 0}).to_json()
        if key not in groups:
            rows.setdefault(data, {})[key] = None
        groups.setdefault(key, []).append(task)
    return [
        groups[key][first : first + LARGEST_GROUP]
        for keys in rows.values()
        for key in keys
        for first in range(0, len(groups[key]), LARGEST_GROUP)
    ]


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
