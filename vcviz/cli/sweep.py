"""``vcviz sweep``: a grid of trainings or notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vcviz.base.errors import InputError


def sweep(
    file: Annotated[
        Path | None, typer.Argument(help="YAML file with grid, fixed, notebook and options.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", "-g", metavar="NAME=A,B", help="Values to try; 0:5 is a range."),
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="One value for all runs."),
    ] = None,
    notebook: Annotated[
        str | None, typer.Option(help="Notebook to run; default is to train.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the sweep [sweeps].")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; default by cores.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of each [1].")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, e.g. tcp://host:8786.")
    ] = None,
    retries: Annotated[
        int | None, typer.Option(min=0, help="How often a failed run is tried again [0].")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Longest time for a notebook's cell, in s.")
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Print the command of each run and do none.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bar.")] = False,
) -> None:
    """Run a grid of trainings or notebooks; go on where it stopped.

    Without FILE, give at least one -g. Interrupted, the same command goes on.
    """
    from vcviz.headless.assignments import read_assignments
    from vcviz.headless.files import find_notebook, read_notebook
    from vcviz.headless.parameters import notebook_parameters
    from vcviz.studies.sweeps.grid import expand, parse_grid, read_plan
    from vcviz.studies.sweeps.tasks import tasks_of

    if file is None and not grid:
        raise InputError("give a sweep file or a grid, for example -g head=softmax,variational")
    plan: dict[str, Any] = {} if file is None else read_plan(file)
    if file is not None and grid:
        raise InputError("give a sweep file or -g, not both; -p adds to either")
    given = {
        "notebook": notebook,
        "out": out,
        "workers": workers,
        "threads": threads,
        "scheduler": scheduler,
        "retries": retries,
        "timeout": timeout,
    }
    plan = {"out": "sweeps", **plan, **{k: v for k, v in given.items() if v is not None}}
    which = plan.get("notebook")
    declared = [] if which is None else notebook_parameters(read_notebook(find_notebook(which)))
    if grid:
        plan["grid"] = parse_grid(grid, declared)
    plan["fixed"] = {**plan.get("fixed", {}), **read_assignments(declared, fixed or [])}
    if list_:
        cells = expand(plan["grid"], plan["fixed"])
        for task in tasks_of(cells, Path(plan["out"]), which, plan.get("measures", ())):
            typer.echo(task.command)
        return
    from vcviz.studies.sweeps import sweep as run_sweep

    result = run_sweep(**plan, progress=not quiet)
    done = len(result.runs) - len(result.failures)
    typer.echo(
        f"{result.folder}: {done} of {len(result.runs)} runs are done, "
        f"{len(result.runs) - result.repeated} were there before\n"
        f"next: vcviz report {plan['out']}"
    )
    for failure in result.failures:
        # While the bar was shown, so were the reasons of what ran.
        why = "" if failure["attempts"] and not quiet else f": {failure['reason']}"
        typer.echo(f"failed: {failure['name']}{why}\n  {failure['command']}", err=True)
    if result.failures:
        raise typer.Exit(1)
