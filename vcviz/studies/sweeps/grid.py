"""Grids of settings as a command line or a YAML file has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vcviz.base.errors import InputError, MissingError, clip, shorten, unknown
from vcviz.base.options import check_path
from vcviz.headless.assignments import parse_value, read_as, split_assignments
from vcviz.headless.parameters import Parameter
from vcviz.training.grids import Cell, Grid, cells_of, numbers_of

#: what the file of a sweep may say: arguments of `vcviz.sweep`
_KEYS = ("grid", "fixed", "notebook", "measures", "out", "workers", "threads", "retries",
         "timeout", "scheduler")  # fmt: skip


def read_plan(path: str | Path) -> dict[str, Any]:
    """Return the arguments of `vcviz.sweep` that a YAML file holds, ``grid`` among them.

    A range is written ``0:5`` as on the command line. Relative paths count from the current folder.
    """
    path = check_path("the file of a sweep", path)
    values = read_yaml(path)
    if not isinstance(values, dict) or "grid" not in values:
        raise InputError(f"{path} should hold a mapping with the key grid, holds {clip(values)}")
    for key in values:
        if key not in _KEYS:
            raise unknown(f"key in {path.name}", key, _KEYS)
    plan = {key: value for key, value in values.items() if value is not None}
    if not isinstance(plan.get("fixed", {}), dict):
        raise InputError(f"fixed in {path} should be a mapping, is {clip(plan['fixed'])}")
    return {"grid": values["grid"], **plan}


def read_yaml(path: Path, kind: str = "sweep file") -> Any:
    """Return what a YAML file holds, with numbers as YAML 1.2 has them; `kind` says what it is.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is not YAML.
    """
    if not path.is_file():
        raise MissingError(f"there is no {kind} {path}")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = shorten(" ".join(str(error).split()), 300)
        raise InputError(f"{path} is not YAML: {reason}") from None


def parse_grid(
    assignments: Sequence[str], parameters: Sequence[Parameter] = ()
) -> dict[str, list[Any]]:
    """Return the grid of ``name=a,b,c`` assignments; ``0:5`` is 0, 1, 2, 3, 4.

    Commas within brackets do not separate: ``hidden=[64],[64,64]`` has two values. A value of one
    of a notebook's `parameters` is read as that parameter's type asks.
    """
    known = {p.name: p for p in parameters}
    return {
        name: _values(text, known.get(name))
        for name, text in split_assignments(assignments).items()
    }


def expand(grid: Grid, fixed: Mapping[str, Any] | None = None) -> list[Cell]:
    """Return the cells of a grid, see `cells_of`; a text holds values between commas."""
    if isinstance(grid, Mapping):
        grid = _read(grid)
    elif isinstance(grid, Sequence):
        grid = [_read(part) if isinstance(part, Mapping) else part for part in grid]
    return cells_of(grid, fixed)


def _read(grid: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _values(v) if isinstance(v, str) else v for k, v in grid.items()}


def _values(text: str, parameter: Parameter | None = None) -> list[Any]:
    def value(part: str) -> Any:
        return parse_value(part) if parameter is None else read_as(parameter, part)

    return [v for part in _split(text) for v in (numbers_of(part) or [value(part)])]


def _split(text: str) -> list[str]:
    """Return the parts of `text` between commas that stand outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    found = [part.strip() for part in parts]
    if not all(found):
        raise InputError(f"expected values between commas, got {clip(text)}")
    return found


class _Loader(yaml.SafeLoader):
    """YAML as version 1.2 has it: 1:30 is no number of base 60, and 1e-3 is a number."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in found if not tag.endswith((":int", ":float"))]
    for letter, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?\d+$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)
