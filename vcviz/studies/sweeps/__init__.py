"""Grids of trainings or notebooks on Dask, which can be interrupted at any point and go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from vcviz.base.errors import InputError, SweepError
from vcviz.base.options import check_path
from vcviz.base.progress import bar_interval
from vcviz.studies.sweeps.cluster import Pool, Workers, open_pool
from vcviz.studies.sweeps.grid import expand
from vcviz.studies.sweeps.journal import Journal, locked
from vcviz.studies.sweeps.tasks import Task, in_order, tasks_of
from vcviz.training.grids import Grid


@dataclass(frozen=True)
class SweepResult:
    """What became of a sweep.

    Attributes
    ----------
    folder : the sweep's
    runs : one mapping per run: name, parameters, command, state ("done", "failed"), attempts,
        reason, seconds
    repeated : how many of them were done now; the others were there already

    Examples
    --------
    >>> grid, fixed = {"seed": "0:2"}, {"dataset": "mixture", "epochs": 2}
    >>> result = vcviz.sweep(grid, fixed=fixed, out="two_seeds", workers=0, progress=False)
    >>> result.ok, [run["state"] for run in result.runs]
    (True, ['done', 'done'])
    """

    folder: Path
    runs: tuple[Mapping[str, Any], ...]
    repeated: int

    @property
    def failures(self) -> tuple[Mapping[str, Any], ...]:
        """The runs that failed."""
        return tuple(run for run in self.runs if run["state"] != "done")

    @property
    def ok(self) -> bool:
        """Whether every run is done."""
        return not self.failures


def sweep(
    grid: Grid,
    *,
    fixed: Mapping[str, Any] | None = None,
    notebook: str | None = None,
    measures: Any = (),
    out: str | Path = "sweeps",
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    retries: int = 0,
    timeout: float | None = None,
    progress: bool = True,
) -> SweepResult:
    """Return what became of a grid of runs: those not done yet are done now, side by side.

    Parameters
    ----------
    grid : setting -> values, or a list of such mappings whose cells are put together; dotted
        names reach into options, as in ``{"head_options.margin": [0, 0.1]}``. A value "0:5" stands
        for 0, 1, 2, 3, 4.
    fixed : settings that all runs share
    notebook : name or path of a notebook, whose parameters the settings then are; None trains,
        and the settings are those of `RunConfig`
    measures : what is measured of each training beside its test metrics and kept in its folder, as
        in ``{"attack": {"epsilons": [0.1]}}``; see `vcviz.studies.measures.MEASURES`
    out : folder of the sweep; each run has its own within
    workers : processes of a cluster of our own; default as many as the cores hold; 0 does one
        run at a time within this process
    threads : CPU threads of each worker, which libraries within them do not exceed
    scheduler : address of a Dask scheduler that is there, instead. Its workers need vcviz and must
        see `out` under the same path.
    retries : how often a run that failed, or whose worker died, is tried again. Bad input is not.
    timeout : longest time for a cell of a notebook, seconds
    progress : show a bar, and where the cluster's dashboard is

    Returns
    -------
    SweepResult
        A run that failed is reported there while the others go on.

    Raises
    ------
    InputError
        If any cell of the grid is wrong, before anything starts; or another sweep has the folder.
    SweepError
        If the scheduler is lost.

    Examples
    --------
    >>> grid = {"head": ["softmax", "gaussian_mixture"], "seed": "0:2"}
    >>> fixed = {"dataset": "mixture", "epochs": 2}
    >>> result = vcviz.sweep(grid, fixed=fixed, out="two_heads", workers=0, progress=False)
    >>> result.ok, len(result.runs)
    (True, 4)
    """
    return run_tasks(
        lambda folder: tasks_of(expand(grid, fixed), folder, notebook, measures),
        Workers(workers, threads, scheduler, retries, timeout),
        out=out,
        progress=progress,
    )


def run_tasks(
    planned: Callable[[Path], list[Task]],
    workers: Workers,
    *,
    out: str | Path,
    progress: bool = True,
) -> SweepResult:
    """Return what became of tasks: those not done yet are done now, side by side.

    Parameters
    ----------
    planned : takes the sweep's folder, absolute, and gives the tasks
    workers : who does them
    out, progress : as for `sweep`
    """
    folder = check_path("out", out).resolve()
    tasks = planned(folder)
    with locked(folder):
        journal = Journal(folder)
        journal.plan(tasks)
        open_tasks = _open_tasks(tasks, journal)
        with tqdm(
            total=len(tasks), initial=len(tasks) - len(open_tasks), unit="run", desc=folder.name,
            disable=not progress, mininterval=bar_interval(),
        ) as bar:  # fmt: skip
            try:
                if open_tasks:
                    with open_pool(workers) as pool:
                        if progress:
                            for line in pool.notes:
                                bar.write(line, file=sys.stderr)
                        _drive(pool, open_tasks, journal, bar, workers.retries)
            except (KeyboardInterrupt, SweepError) as error:
                done = sum(journal.entries[task.name]["state"] == "done" for task in tasks)
                kept = f"{done} of {len(tasks)} runs are done, the same command goes on"
                raise type(error)("; ".join([*map(str, error.args), kept])) from None
        names = [task.name for task in tasks]
        return SweepResult(
            folder, tuple(journal.entries[name] for name in names), repeated=len(open_tasks)
        )


def _open_tasks(tasks: list[Task], journal: Journal) -> list[Task]:
    """Return the tasks that are left to do; a damaged run is reported and left alone."""
    left = []
    for task in tasks:
        try:
            if task.finished():
                journal.entries[task.name]["state"] = "done"
            else:
                left.append(task)
        except InputError as error:
            journal.entries[task.name].update(state="failed", reason=str(error))
    journal.write()
    return left


def _drive(pool: Pool, tasks: list[Task], journal: Journal, bar: tqdm, retries: int) -> None:
    """Give tasks to the pool, note what comes back, and try again as asked."""

    def submit(task: Task) -> None:
        journal.entries[task.name]["attempts"] += 1
        pool.submit(task, journal.entries[task.name]["attempts"])

    for task in in_order(tasks):
        submit(task)
    for task, outcome in pool:
        failed = outcome["state"] == "failed"
        if failed and not outcome["final"] and journal.entries[task.name]["attempts"] <= retries:
            submit(task)
            continue
        journal.note(task.name, **{k: outcome[k] for k in ("state", "reason", "seconds")})
        if failed and not bar.disable:
            bar.write(f"{task.name} failed: {outcome['reason']}", file=sys.stderr)
        bar.update()
