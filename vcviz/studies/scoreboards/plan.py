"""What a scoreboard compares: heads, tasks, measures and claims, read from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vcviz.base.errors import InputError, clip, unknown
from vcviz.base.options import check_path
from vcviz.runs.config import readable
from vcviz.studies.measures import check_measures
from vcviz.studies.sweeps.grid import read_yaml

#: plans that come with vcviz, by name
PLANS = Path(__file__).parent / "plans"

#: how a plan's settings name one of its `data`
DATA = "data:"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Head(_Strict):
    """A head that is compared.

    Attributes
    ----------
    title : in tables
    settings : of `RunConfig`, dotted names reach into options
    tune : settings that are tuned, each with its values, of which there is at least one
    """

    title: str
    settings: dict[str, Any]
    tune: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)


class Task(_Strict):
    """Something that all heads are trained for.

    Attributes
    ----------
    title : in tables
    settings : of `RunConfig`, over those of the plan
    measures : what is measured of each run
    tuned_on : the task whose tuning holds here too; None to tune here
    seeds : of data and weights; None for those of the plan
    """

    title: str
    settings: dict[str, Any]
    measures: dict[str, Any] = Field(default_factory=dict)
    tuned_on: str | None = None
    seeds: Annotated[list[int], Field(min_length=1)] | None = None


class Keep(_Strict):
    """A bound that tuning keeps: accuracy at most `within` below that of head `of`."""

    of: str
    within: float = Field(default=0.0, ge=0, lt=1)


class Tuning(_Strict):
    """How the settings of every head are chosen, on rows held out of the training split.

    Attributes
    ----------
    by : the number that the chosen settings have the lowest mean of
    validation : share of the training rows held out
    seeds : of the trainings for it
    keep : of the settings, only those that keep the accuracy of another head
    """

    by: Literal["nll", "ece", "brier"] = "nll"
    validation: float = Field(default=0.2, gt=0, lt=1)
    seeds: list[int] = [1000]
    keep: Keep | None = None


class Claim(_Strict):
    """Something that is said of a head, and how it is looked for.

    Attributes
    ----------
    text : what is said
    source, paper : who says it, and their own figures
    head, against : names of heads
    measure : name of a number, see `vcviz.records.numbers`
    better : "higher" or "lower"; default as the number has it
    factor, margin : held if `head` beats `factor` times `against` by more than `margin`
    tasks : where
    """

    text: str
    source: str
    paper: str = ""
    head: str
    against: str
    measure: str
    better: Literal["higher", "lower"] | None = None
    factor: float = 1.0
    margin: float = 0.0
    tasks: list[str] = Field(min_length=1)


class Plan(_Strict):
    """A comparison of heads.

    Attributes
    ----------
    title : of its page
    about : a paragraph beneath the title
    settings : of `RunConfig`, for all runs
    seeds : of data and weights, for tasks without seeds of their own
    tuning : how settings are chosen
    data : name -> dataset, which settings and measures write as ``data:<name>``; None if it has to
        be given as a folder
    heads, tasks, claims : name -> what is compared, on what, and what is looked for
    """

    title: str
    about: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    seeds: list[int] = Field(min_length=1)
    tuning: Tuning = Tuning()
    data: dict[str, str | None] = Field(default_factory=dict)
    heads: dict[str, Head] = Field(min_length=1)
    tasks: dict[str, Task] = Field(min_length=1)
    claims: dict[str, Claim] = Field(default_factory=dict)

    def seeds_of(self, task: str) -> list[int]:
        """Return the seeds that a task is run with."""
        return self.tasks[task].seeds or self.seeds

    @property
    def all_seeds(self) -> list[int]:
        """The seeds of all tasks, each once."""
        return list(dict.fromkeys(seed for task in self.tasks for seed in self.seeds_of(task)))

    @property
    def seeds_in_words(self) -> str:
        """How many seeds a task has: "5", or "5 or 10" where tasks differ."""
        return " or ".join(map(str, sorted({len(self.seeds_of(task)) for task in self.tasks})))


def read_scoreboard_plan(
    path: str | Path,
    profile: str | None = None,
    *,
    data: str | Path | None = None,
    tasks: Sequence[str] | None = None,
) -> Plan:
    """Return the plan in a YAML file.

    Parameters
    ----------
    path : "digits", which comes with vcviz, or a file with the keys of `Plan`, and ``profiles``:
        name -> what differs from them there, where null removes something
    profile : name of a profile; default the first, if there are any
    data : folder with a dataset in each subfolder, which those of the plan's ``data`` are taken
        from where it has them
    tasks : only these tasks, those that they are tuned on, and what is claimed of them

    Returns
    -------
    Plan
        What `run_scoreboard` takes.

    Raises
    ------
    InputError
        For what is unknown, missing or of a wrong type.

    Examples
    --------
    >>> plan = vcviz.studies.read_scoreboard_plan("digits")
    >>> list(plan.heads)
    ['softmax', 'gaussian_mixture', 'variational', 'dropmax', 'heteroscedastic', 'pc_softmax']
    """
    path = check_path("a plan", path)
    path = {own.stem: own for own in PLANS.glob("*.yaml")}.get(str(path), path)
    values = read_yaml(path, "plan")
    if not isinstance(values, dict):
        raise InputError(f"{path} should hold a mapping, holds {clip(values)}")
    profiles = values.pop("profiles", None) or {}
    if not isinstance(profiles, dict):
        raise InputError(f"profiles in {path} should be a mapping, is {clip(profiles)}")
    if profile is None:
        profile = next(iter(profiles), None)
    elif profile not in profiles:
        raise unknown(f"profile of {path.name}", profile, profiles)
    if profile is not None:
        over = profiles[profile] or {}
        if not isinstance(over, dict):
            raise InputError(f"profile {profile} in {path} should be a mapping, is {clip(over)}")
        values = merged(values, over)
    plan = as_plan(values, path.name)
    if tasks:
        plan = _only(plan, tasks)
    return plan if data is None else _with_data(plan, check_path("data", data))


def as_plan(values: Mapping[str, Any], where: str) -> Plan:
    """Return the plan of plain values, its names checked against one another."""
    try:
        plan = Plan(**values)
    except (TypeError, ValidationError) as error:
        known = list(Plan.model_fields)
        why = readable(error, known) if isinstance(error, ValidationError) else str(error)
        raise InputError(f"{where}: {why}") from None
    tuned = [name for name, task in plan.tasks.items() if task.tuned_on is None]
    for name, task in plan.tasks.items():
        check_measures(task.measures)
        if task.tuned_on is not None and task.tuned_on not in tuned:
            raise unknown(f"task that {name} is tuned on", task.tuned_on, tuned)
    for name, claim in plan.claims.items():
        for head in (claim.head, claim.against):
            if head not in plan.heads:
                raise unknown(f"head of claim {name}", head, plan.heads)
        for task_name in claim.tasks:
            if task_name not in plan.tasks:
                raise unknown(f"task of claim {name}", task_name, plan.tasks)
    if plan.tuning.keep is not None and plan.tuning.keep.of not in plan.heads:
        raise unknown("head that tuning keeps to", plan.tuning.keep.of, plan.heads)
    return plan


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings with others over them; None removes."""
    found = dict(values)
    for key, value in over.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(found.get(key), Mapping):
            found[key] = merged(found[key], value)
        else:
            found[key] = value
    return found


def sources(plan: Plan, value: Any) -> Any:
    """Return a value with every ``data:<name>`` in it replaced by the dataset.

    Raises
    ------
    InputError
        If the plan has no data of that name, or does not say where they are.
    """
    if isinstance(value, Mapping):
        return {k: sources(plan, v) for k, v in value.items()}
    if isinstance(value, list):
        return [sources(plan, v) for v in value]
    if not isinstance(value, str) or not value.startswith(DATA):
        return value
    name = value.removeprefix(DATA)
    if name not in plan.data:
        raise unknown("data of the plan", name, plan.data)
    if (source := plan.data[name]) is None:
        raise InputError(
            f"the plan does not say where {name} is; give a folder that has it: --data"
        )
    return source


def _only(plan: Plan, tasks: Sequence[str]) -> Plan:
    for name in tasks:
        if name not in plan.tasks:
            raise unknown("task", name, plan.tasks)
    wanted = {*tasks, *(plan.tasks[name].tuned_on for name in tasks)}
    claims = {
        name: claim.model_copy(update={"tasks": found})
        for name, claim in plan.claims.items()
        if (found := [task for task in claim.tasks if task in wanted])
    }
    kept = {name: task for name, task in plan.tasks.items() if name in wanted}
    return plan.model_copy(update={"tasks": kept, "claims": claims})


def _with_data(plan: Plan, folder: Path) -> Plan:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} of datasets")
    here = {name: folder.resolve() / name for name in plan.data}
    found = {n: f"path:{p}" if p.is_dir() else plan.data[n] for n, p in here.items()}
    return plan.model_copy(update={"data": found})
