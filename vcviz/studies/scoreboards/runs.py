"""The trainings of a scoreboard: for tuning, and to be compared; and what tuning chose."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vcviz.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
)
from vcviz.records import LatentSet
from vcviz.runs import load_run
from vcviz.runs.config import RunConfig
from vcviz.studies.scoreboards.plan import Plan, merged, sources
from vcviz.studies.sweeps.tasks import Task, tasks_of
from vcviz.training.grids import nested

#: folders within a scoreboard's
TUNING, RUNS = "tuning", "runs"

_SCORES = {
    "nll": negative_log_likelihood,
    "ece": expected_calibration_error,
    "brier": brier_score,
}
Chosen = dict[str, dict[str, dict[str, Any]]]


def candidates(plan: Plan, head: str) -> list[dict[str, Any]]:
    """Return the settings that tuning chooses from, for a head."""
    tune = plan.heads[head].tune
    return [dict(zip(tune, c, strict=True)) for c in itertools.product(*tune.values())]


def tuned_tasks(plan: Plan) -> list[str]:
    """Return the tasks that settings are tuned on."""
    return [name for name, task in plan.tasks.items() if task.tuned_on is None]


def tuning_runs(plan: Plan, folder: Path) -> list[Task]:
    """Return all trainings for tuning; a head without a choice needs none."""
    cells = [
        config(plan, task, head, settings, seed, tuning=True)
        for task in tuned_tasks(plan)
        for head in plan.heads
        if len(options := candidates(plan, head)) > 1 or plan.tuning.keep is not None
        for settings in options
        for seed in plan.tuning.seeds
    ]
    return tasks_of([c.differences() for c in cells], folder)


def compared_runs(plan: Plan, chosen: Chosen, folder: Path) -> list[Task]:
    """Return all trainings that are compared, with what is measured of them."""
    found = []
    for name, task in plan.tasks.items():
        cells = [
            config(plan, name, head, chosen[name][head], seed).differences()
            for head in plan.heads
            for seed in plan.seeds_of(name)
        ]
        found += tasks_of(cells, folder, measures=sources(plan, task.measures))
    return found


def config(
    plan: Plan,
    task: str,
    head: str,
    settings: Mapping[str, Any],
    seed: int,
    *,
    tuning: bool = False,
) -> RunConfig:
    """Return the settings of one training."""
    values: dict[str, Any] = {}
    for part in (plan.settings, plan.tasks[task].settings, plan.heads[head].settings, settings):
        values = merged(values, nested(sources(plan, dict(part))))
    values |= {"seed": seed}
    if tuning:
        values |= {"validation": plan.tuning.validation}
    return RunConfig(**values)


def choose(plan: Plan, folder: Path) -> Chosen:
    """Return task -> head -> the settings of the best mean validation score over seeds.

    With ``keep``, only settings count whose validation accuracy is at most so far below that of
    the other head at its own best settings; if none does, the most accurate ones.
    """
    chosen: Chosen = {}
    keep = plan.tuning.keep
    order = sorted(plan.heads, key=lambda head: keep is not None and head != keep.of)
    for task in tuned_tasks(plan):
        chosen[task] = {}
        least = -np.inf  # until the head is tuned that others keep to, the first
        for head in order:
            options = candidates(plan, head)
            if len(options) == 1 and keep is None:
                chosen[task][head] = options[0]
                continue
            scores = np.array([_validated(plan, task, head, s, folder) for s in options])
            best = _best(scores, least)
            chosen[task][head] = options[best]
            if keep is not None and head == keep.of:
                least = scores[best, 1] - keep.within
    for name, other in plan.tasks.items():
        if other.tuned_on is not None:
            chosen[name] = chosen[other.tuned_on]
    return {name: {head: chosen[name][head] for head in plan.heads} for name in plan.tasks}


def _best(scores: np.ndarray, least: float) -> int:
    """Return the row of lowest score among those accurate enough, or the most accurate one."""
    enough = scores[:, 1] >= least
    if not enough.any():
        return int(scores[:, 1].argmax())
    return int(np.where(enough, scores[:, 0], np.inf).argmin())


def _validated(
    plan: Plan, task: str, head: str, settings: Mapping[str, Any], folder: Path
) -> tuple[float, float]:
    """Return score and accuracy on the validation rows, means over the seeds of tuning."""
    score = _SCORES[plan.tuning.by]
    kept: list[LatentSet] = []
    for seed in plan.tuning.seeds:
        name = config(plan, task, head, settings, seed, tuning=True).default_name
        kept.append(load_run(folder / name).latents("validation"))
    scores = [score(lat.log_probs, lat.y) for lat in kept]
    return float(np.mean(scores)), float(np.mean([lat.accuracy for lat in kept]))
