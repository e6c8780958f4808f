"""Heads compared on several tasks by one rule, and what became of the claims about them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from vcviz.base.errors import InputError, MissingError, SweepError
from vcviz.base.options import check_path
from vcviz.records import Scoreboard
from vcviz.runs.folder import write_json
from vcviz.runs.stored import read_record
from vcviz.studies.scoreboards.board import build
from vcviz.studies.scoreboards.plan import Plan, as_plan, read_scoreboard_plan
from vcviz.studies.scoreboards.runs import RUNS, TUNING, Chosen, choose, compared_runs, tuning_runs
from vcviz.studies.sweeps import SweepResult, run_tasks
from vcviz.studies.sweeps.cluster import Workers

__all__ = [
    "Plan",
    "count_runs",
    "is_scoreboard",
    "load_scoreboard",
    "plan_of",
    "read_scoreboard_plan",
    "run_scoreboard",
]

FILE = "scoreboard.json"
_ADVICE = "; run the scoreboard again, runs are kept"


class _Stored(BaseModel):
    """What `FILE` holds; its plan is judged by `as_plan`."""

    format: Literal["vcviz.scoreboard/1"]
    plan: dict[str, Any]
    chosen: Chosen


def run_scoreboard(
    plan: Plan | str | Path,
    *,
    profile: str | None = None,
    data: str | Path | None = None,
    out: str | Path = "scoreboards",
    workers: int | None = None,
    threads: int = 1,
    progress: bool = True,
) -> Scoreboard:
    """Return the scoreboard of a plan: what is not there yet is trained and measured now.

    First every head is tuned, then what was chosen is trained with each seed and measured.
    Interrupted, the same call goes on.

    Parameters
    ----------
    plan : a plan, or a YAML file with one (see `vcviz.studies.scoreboards.plan.Plan`)
    profile, data : of a file: which of its profiles, and the folder of its datasets
    out : folder of the scoreboard
    workers, threads : as for `vcviz.sweep`
    progress : show bars

    Returns
    -------
    Scoreboard
        Numbers by task, head and seed, and a verdict for each claim.

    Raises
    ------
    InputError
        If anything in the plan is wrong, before anything starts.
    SweepError
        If runs failed; the others are kept.

    Examples
    --------
    >>> from vcviz.studies.scoreboards.plan import Plan
    >>> plan = Plan(
    ...     title="one head", seeds=[0, 1], settings={"dataset": "mixture", "epochs": 2},
    ...     heads={"softmax": {"title": "softmax", "settings": {"head": "softmax"}}},
    ...     tasks={"clean": {"title": "clean rows", "settings": {}}},
    ... )
    >>> board = vcviz.run_scoreboard(plan, out="board", workers=0, progress=False)
    >>> board.seeds, board.numbers("clean")[:3]
    ((0, 1), ['n_test', 'accuracy', 'balanced_accuracy'])
    """
    if isinstance(plan, Plan):
        if profile is not None or data is not None:
            raise InputError(
                "profile and data are of a file; read_scoreboard_plan takes them and gives the plan"
            )
    else:
        plan = read_scoreboard_plan(plan, profile, data=data)
    folder = check_path("out", out)
    trained = partial(run_tasks, workers=Workers(workers, threads), progress=progress)
    # Whatever is wrong with the runs of the second part is said before the first begins.
    count_runs(plan)
    _all_done(trained(lambda f: tuning_runs(plan, f), out=folder / TUNING))
    chosen = choose(plan, folder / TUNING)
    values = {"plan": json.loads(plan.model_dump_json()), "chosen": chosen}
    write_json(folder / FILE, {"format": "vcviz.scoreboard/1", **values})
    _all_done(trained(lambda f: compared_runs(plan, chosen, f), out=folder / RUNS))
    return load_scoreboard(folder)


def count_runs(plan: Plan) -> tuple[int, int]:
    """Return how many trainings a plan has for tuning, and how many that are compared.

    Raises
    ------
    InputError
        If any of them is wrong.
    """
    nowhere = Path()
    return len(tuning_runs(plan, nowhere)), len(compared_runs(plan, _first(plan), nowhere))


def is_scoreboard(folder: str | Path) -> bool:
    """Return whether a folder is that of a scoreboard."""
    return (check_path("the folder of a scoreboard", folder) / FILE).is_file()


def load_scoreboard(folder: str | Path) -> Scoreboard:
    """Return the scoreboard in a folder, built again from its runs.

    Parameters
    ----------
    folder : of the scoreboard, the ``out`` of `run_scoreboard`

    Returns
    -------
    Scoreboard

    Raises
    ------
    MissingError
        If there is none.
    InputError
        If what it keeps of its plan is damaged.

    Examples
    --------
    >>> from vcviz.studies.scoreboards.plan import Plan
    >>> plan = Plan(
    ...     title="one head", seeds=[0, 1], settings={"dataset": "mixture", "epochs": 2},
    ...     heads={"softmax": {"title": "softmax", "settings": {"head": "softmax"}}},
    ...     tasks={"clean": {"title": "clean rows", "settings": {}}},
    ... )
    >>> _ = vcviz.run_scoreboard(plan, out="board", workers=0, progress=False)
    >>> vcviz.studies.load_scoreboard("board").title
    'one head'
    """
    plan, chosen = plan_of(folder)
    return build(plan, chosen, Path(folder) / RUNS)


def plan_of(folder: str | Path) -> tuple[Plan, Chosen]:
    """Return the plan of the scoreboard in a folder, and the settings that tuning chose."""
    path = check_path("the folder of a scoreboard", folder) / FILE
    if not path.is_file():
        raise MissingError(f"there is no scoreboard in {folder}; make one: vcviz scoreboard --help")
    found = read_record(path, _Stored, _ADVICE)
    plan, chosen = as_plan(found["plan"], str(path)), found["chosen"]
    for task in plan.tasks:
        if missing := plan.heads.keys() - chosen.get(task, {}).keys():
            raise InputError(f"{path}: nothing is chosen for {min(missing)} on {task}{_ADVICE}")
    return plan, chosen


def _first(plan: Plan) -> Chosen:
    """Return the first values of all that is tuned."""
    first = {h: {k: v[0] for k, v in head.tune.items()} for h, head in plan.heads.items()}
    return dict.fromkeys(plan.tasks, first)


def _all_done(result: SweepResult) -> None:
    if result.failures:
        first = result.failures[0]
        raise SweepError(
            f"{len(result.failures)} of {len(result.runs)} runs failed, the others are kept; the "
            f"first was {first['name']}: {first['reason']}"
        )
