"""Finished runs: load one, or list them; see `Run`."""

from __future__ import annotations

import warnings
from pathlib import Path

from vcviz.base.errors import InputError, MissingError, RunWarning
from vcviz.base.options import check_path
from vcviz.runs.config import RunConfig
from vcviz.runs.folder import refuse_if_changed, refuse_if_different
from vcviz.runs.run import Run as Run
from vcviz.runs.settings import unstated
from vcviz.runs.stored import is_run, read_history, read_metrics, read_shapes, stored_settings


def load_run(path: str | Path) -> Run:
    """Return the run in a folder.

    Parameters
    ----------
    path : the run's folder

    Returns
    -------
    Run
        Model, data and latents are read when they are asked for.

    Raises
    ------
    MissingError
        If there is no such run; the runs beside it are listed.
    InputError
        If the folder is not a vcviz run or a file of it is damaged; the file is named.

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> again = vcviz.load_run(run.path)
    >>> again.config.head, again.config.epochs, again.metrics == run.metrics
    ('softmax', 3, True)
    """
    path = check_path("a run's folder", path)
    if not path.is_dir():
        beside = (
            [r.name for r in path.parent.iterdir() if is_run(r)] if path.parent.is_dir() else []
        )
        found = f"found: {', '.join(sorted(beside)[:8])}" if beside else "it holds no runs yet"
        raise MissingError(
            f"no run {path.name!r} in {path.parent}/; {found}. Train one: vcviz train"
        )
    config, record = stored_settings(path)
    read_shapes(path / "weights.safetensors")
    return Run(
        path=path,
        config=config,
        data=record["data"],
        history=tuple(read_history(path / "history.jsonl")),
        metrics=read_metrics(path / "metrics.json"),
        record=record,
    )


def list_runs(folder: str | Path = "runs") -> list[Run]:
    """Return the finished runs in a folder, by name; unfinished ones are not listed.

    A damaged run hides no other: it is passed over with a `RunWarning` that says what is wrong.

    Parameters
    ----------
    folder : folder of runs

    Returns
    -------
    list of Run

    Raises
    ------
    InputError
        If there is no such folder.

    Examples
    --------
    >>> run = vcviz.train("mixture", epochs=3, progress=False)
    >>> run.name in [found.name for found in vcviz.list_runs()]
    True
    """
    folder = check_path("the folder of runs", folder)
    if not folder.is_dir():
        raise MissingError(f"no folder {str(folder)!r}; train a run first: vcviz train")
    found = []
    for path in sorted(folder.iterdir()):
        if is_run(path):
            try:
                found.append(load_run(path))
            except InputError as error:
                warnings.warn(str(error), RunWarning, stacklevel=2)
    return found


def finished_run(out: str | Path, name: str, config: RunConfig) -> Run | None:
    """Return the run of that name if it is finished and has these settings.

    Raises
    ------
    InputError
        If it has other settings, or defaults have changed since; what differs is named.
    """
    path = Path(out) / name
    if not path.exists():
        return None
    if not is_run(path):
        raise InputError(f"{path} exists and is not a run; choose another name")
    run = load_run(path)
    refuse_if_different(path, run.config, config)
    if before := run.record.get("defaults"):
        refuse_if_changed(path, before, unstated(config, run.data))
    return run
