"""Values that a person types: ``name=text`` on a command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from vcviz.base.errors import InputError, clip
from vcviz.headless.parameters import Parameter, check_parameters

_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


def split_assignments(assignments: Sequence[str]) -> dict[str, str]:
    """Return ``name=text`` assignments as a mapping of names to text."""
    values: dict[str, str] = {}
    for assignment in assignments:
        name, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals or not name:
            raise InputError(f"expected name=value, got {clip(assignment)}")
        if name in values:
            raise InputError(f"{name} is given twice; for a list write {name}=a,b")
        values[name] = text
    return values


def parse_value(text: str) -> Any:
    """Return the value that text stands for.

    A JSON value, ``true``, ``false`` and ``null`` in Python's spelling too, or an inline YAML list
    or mapping such as ``[a, b]`` and ``{margin: 0.1}``; anything else is text.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] in ("[", "{"):
        import yaml

        try:
            return yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise InputError(f"{clip(text)} is neither a JSON nor a YAML value") from None
    try:
        return json.loads(text)
    except ValueError:
        # JSON has no .5, no +1 and no 007.
        if re.fullmatch(r"[+-]?\d{1,4000}", text):
            return int(text)
        return float(text) if re.fullmatch(r"[+-]?\d*\.?\d+([eE][+-]?\d+)?", text) else text


def parse_assignments(
    parameters: Sequence[Parameter], assignments: Sequence[str]
) -> dict[str, Any]:
    """Return the checked values of ``name=text`` assignments to a notebook's parameters."""
    return check_parameters(parameters, read_assignments(parameters, assignments))


def read_assignments(parameters: Sequence[Parameter], assignments: Sequence[str]) -> dict[str, Any]:
    """Return the values of ``name=text`` assignments, not yet checked.

    Each is read as its parameter's type asks: text stays text for a str, ``a,b`` is a list for a
    list; otherwise, and for any other name, it is read by `parse_value`.
    """
    known = {p.name: p for p in parameters}
    return {
        name: read_as(known[name], text) if name in known else parse_value(text)
        for name, text in split_assignments(assignments).items()
    }


def read_as(parameter: Parameter, text: str) -> Any:
    """Return the first reading of `text` that fits the parameter; the plain one if none does."""
    readings: tuple[Callable[[], Any], ...] = (
        lambda: parse_value(text),
        lambda: text,
        lambda: [parse_value(part.strip()) for part in text.split(",")],
        lambda: [part.strip() for part in text.split(",")],
    )
    for read in readings:
        try:
            return parameter.check(read())
        except InputError:
            continue
    return parse_value(text)
