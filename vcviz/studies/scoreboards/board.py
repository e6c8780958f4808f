"""From run folders to a `Scoreboard`: numbers by task, head and seed, and verdicts on claims."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError, MissingError
from vcviz.records import Estimate, Scoreboard, Verdict
from vcviz.records.numbers import title
from vcviz.runs import load_run
from vcviz.studies.measures import scores_of
from vcviz.studies.scoreboards.plan import Claim, Plan
from vcviz.studies.scoreboards.runs import Chosen, candidates, config

Numbers = Mapping[str, NDArray[np.float64]]


def build(plan: Plan, chosen: Chosen, folder: Path) -> Scoreboard:
    """Return the scoreboard of the runs in a folder; what is not there is named."""
    values: dict[str, dict[str, Numbers]] = {}
    missing = []
    notes: dict[str, dict[str, str]] = {}
    for task in plan.tasks:
        values[task] = {}
        for head in plan.heads:
            rows: list[dict[str, float]] = []
            for seed in plan.all_seeds:
                if seed not in plan.seeds_of(task):
                    rows.append({})
                    continue
                name = config(plan, task, head, chosen[task][head], seed).default_name
                try:
                    run = load_run(folder / name)
                    rows.append({**run.metrics, **scores_of(run.path)})
                    if run.label_note:
                        notes.setdefault(task, {})[head] = run.label_note
                except MissingError:
                    missing.append(f"{task}, {head}, seed {seed}: it has not run")
                    rows.append({})
                except InputError as error:
                    missing.append(f"{task}, {head}, seed {seed}: {error}")
                    rows.append({})
            values[task][head] = _columns(rows)
    return Scoreboard(
        title=plan.title,
        tasks={name: task.title for name, task in plan.tasks.items()},
        heads={name: head.title for name, head in plan.heads.items()},
        values=values,
        seeds=tuple(plan.all_seeds),
        chosen=chosen,
        tried={head: len(candidates(plan, head)) for head in plan.heads},
        verdicts=tuple(
            judged(name, claim, task, values[task], plan.heads[claim.head].title,
                   plan.heads[claim.against].title)
            for name, claim in plan.claims.items()
            for task in claim.tasks
            if _compared(claim, values[task])
        ),
        missing=tuple(missing),
        label_notes=notes,
    )  # fmt: skip


def judged(
    name: str, claim: Claim, task: str, values: Mapping[str, Numbers], head: str, against: str
) -> Verdict:
    """Return the verdict on a claim, by the rule that `Verdict` states, over the common seeds."""
    better = claim.better or title(claim.measure).better
    if better is None:
        raise InputError(f"claim {name} must say whether higher or lower {claim.measure} is better")
    sign = 1.0 if better == "higher" else -1.0
    mine, other = values[claim.head][claim.measure], values[claim.against][claim.measure]
    both = np.isfinite(mine) & np.isfinite(other)
    gain = Estimate.of(sign * (mine - claim.factor * other)[both])
    return Verdict(
        claim=name,
        text=claim.text,
        source=claim.source,
        paper=claim.paper,
        task=task,
        measure=claim.measure,
        head=head,
        against=against,
        factor=claim.factor,
        margin=claim.margin,
        values=(Estimate.of(mine[both]), Estimate.of(other[both])),
        gain=gain,
        outcome=gain.above(claim.margin),
    )


def _compared(claim: Claim, values: Mapping[str, Numbers]) -> bool:
    """Return whether both heads have the number, for a seed in common."""
    found = [values.get(head, {}).get(claim.measure) for head in (claim.head, claim.against)]
    return all(f is not None for f in found) and bool(
        np.isfinite(np.sum(np.array(found, float), axis=0)).any()
    )


def _columns(rows: list[dict[str, float]]) -> Numbers:
    names = dict.fromkeys(name for row in rows for name in row)
    return {
        name: np.array([_number(row.get(name)) for row in rows])
        for name in names
        if any(isinstance(row.get(name), int | float) for row in rows)
    }


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
