"""Runs that differ in their seed alone, as one line: means with intervals."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from vcviz.records import Estimate
from vcviz.records.numbers import title
from vcviz.studies.compare.tables import with_labels
from vcviz.studies.reports.collect import Row

SEED = "seed"
#: numbers of a training, in the order of the columns
METRICS = ("accuracy", "balanced_accuracy", "ece", "ece_if_calibrated", "ece_debiased", "nll",
           "brier", "seconds")  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Runs with the same settings but for the seed.

    Attributes
    ----------
    settings : those in which the groups differ
    rows : the runs, by seed
    """

    settings: Mapping[str, Any]
    rows: Sequence[Row]

    @property
    def title(self) -> str:
        """The settings as text; of an option its own name will do."""
        named = ("head", "notebook", "dataset", "run")
        return (
            ", ".join(
                show(value) if name in named else f"{name.rpartition('.')[2]} {show(value)}"
                for name, value in self.settings.items()
            )
            or self.rows[0].name
        )

    @property
    def command(self) -> str:
        """The command that repeats all of its runs."""
        if len(self.rows) == 1 or not self._differs_by_seed():
            return "\n".join(row.command for row in self.rows)
        first = self.rows[0]
        seeds = ",".join(show(row.settings[SEED]) for row in self.rows)
        words = shlex.split(first.command)
        words = words[2 : len(words) - 1 - words[::-1].index("--out")]
        notebook = [] if first.record is None else ["--notebook", words.pop(0)]
        given = [
            value if flag in ("--set", "-p") else f"{flag[2:].replace('-', '_')}={value}"
            for flag, value in zip(words[::2], words[1::2], strict=True)
        ]
        fixed = [("-p", text) for text in given if not text.startswith(f"{SEED}=")]
        parts = ["vcviz", "sweep", *notebook, "-g", f"{SEED}={seeds}", *itertools.chain(*fixed)]
        return shlex.join([*parts, "--out", str(first.out)])

    def _differs_by_seed(self) -> bool:
        seeds = [row.settings.get(SEED) for row in self.rows]
        return None not in seeds and len(set(seeds)) == len(seeds)

    @property
    def label_note(self) -> str:
        """For which label frequencies the numbers of its first run are, see `Run.label_note`."""
        return self.rows[0].label_note

    def values(self, metric: str) -> list[float]:
        """Return one number per run that has it."""
        return [row.metrics[metric] for row in self.rows if metric in row.metrics]


def group(rows: Sequence[Row]) -> list[Group]:
    """Return the groups of runs, in the order of their settings."""
    names = list(dict.fromkeys(name for row in rows for name in row.settings))
    varying = [
        name
        for name in names
        if name != SEED and len({_key(row.settings.get(name)) for row in rows}) > 1
    ]
    shown = varying or [n for n in ("notebook", "dataset", "head", "latent_dim") if n in names]
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        # A run that lies in two folders is one run.
        same = found.setdefault(_key([row.settings.get(n) for n in names if n != SEED]), {})
        same.setdefault(_key([row.name, row.settings.get(SEED)]), row)
    groups = []
    for members in (list(same.values()) for same in found.values()):
        settings = {n: members[0].settings.get(n) for n in shown if n in members[0].settings}
        if len({_key(row.settings.get(SEED)) for row in members}) == len(members):
            ordered = sorted(members, key=lambda row: _order(row.settings.get(SEED)))
            groups.append(Group(settings, ordered))
        else:
            # What tells them apart is not among the settings, as an encoder of one's own.
            groups += [Group({"run": row.name, **settings}, [row]) for row in members]
    return sorted(groups, key=lambda g: [_order(g.settings.get(n)) for n in shown])


def interval(values: Sequence[float]) -> float:
    """Return the half width of the 95 % t-interval of a mean over seeds; NaN for a single one.

    It says how far another training on these data would come out, see `Estimate`.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        return float("nan")
    return Estimate.of(values).reach


def summary_table(groups: Sequence[Group]) -> pd.DataFrame:
    """Return one row per group: settings, number of seeds, and mean and half width of each metric.

    The half width is that of the 95 % t-interval over seeds, empty for a single seed; noise of test
    rows that all seeds share is not in it. Where some numbers are not for the label frequencies of
    the test rows, ``labels`` says for which.
    """
    metrics = metrics_of(groups)
    names = settings_of(groups)
    lines = []
    for member in groups:
        line: dict[str, Any] = {name: plain(member.settings.get(name)) for name in names}
        line["seeds"] = len(member.rows)
        for metric in metrics:
            values = member.values(metric)
            line[metric] = float(np.mean(values)) if values else float("nan")
            line[f"{metric} ±"] = interval(values)
        line["command"] = member.command
        lines.append(line)
    return with_labels(pd.DataFrame(lines), [g.label_note for g in groups])


def run_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Return one row per run: its name, settings, numbers, ``labels`` if needed, and command."""
    table = pd.DataFrame(
        [
            {"name": r.name, **{k: plain(v) for k, v in r.settings.items()}, **r.metrics,
             "command": r.command}
            for r in rows
        ]
    )  # fmt: skip
    return with_labels(table, [row.label_note for row in rows])


def settings_of(groups: Sequence[Group]) -> list[str]:
    """Return the names of the settings in which the groups differ."""
    return list(dict.fromkeys(name for member in groups for name in member.settings))


def metrics_of(groups: Sequence[Group]) -> list[str]:
    """Return the numbers that the groups have, known ones first."""
    had = dict.fromkeys(name for g in groups for row in g.rows for name in row.metrics)
    known = [name for name in METRICS if name in had]
    measured = [name for name in had if name not in known and title(name).text != name]
    return [*known, *measured] or sorted(had)


def plain(value: Any) -> Any:
    """Return a value that a cell of a table can hold."""
    return value if isinstance(value, int | float | str | bool | type(None)) else json.dumps(value)


def show(value: Any) -> str:
    """Return a setting as short text."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _order(value: Any) -> tuple[int, float, str]:
    """Return a key that sorts nothing first, then numbers, then texts."""
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(value), ""
    return 2, 0.0, _key(value)
