"""The file of a run's folder that holds what was measured of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from vcviz.runs.folder import write_json
from vcviz.runs.stored import read_record

FILE = "scores.json"
_ADVICE = "; remove it, and it is measured again"


class _Measure(BaseModel):
    model_config = ConfigDict(strict=True)
    options: dict[str, Any]
    values: dict[str, float | None]


class _Scores(BaseModel):
    format: Literal["vcviz.scores/1"]
    measures: dict[str, _Measure]


def read_scores(folder: Path) -> dict[str, dict[str, Any]]:
    """Return measure -> its ``options``, ``values`` and ``seconds``; nothing if none was taken.

    Raises
    ------
    InputError
        If the file is damaged or not ours.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    measures: dict[str, dict[str, Any]] = read_record(path, _Scores, _ADVICE)["measures"]
    return measures


def write_scores(folder: Path, measures: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what was measured, at once or not at all; a number that is none becomes null."""

    def plain(values: Mapping[str, float | None]) -> dict[str, float | None]:
        return {k: v if v is not None and math.isfinite(v) else None for k, v in values.items()}

    stored = {name: {**part, "values": plain(part["values"])} for name, part in measures.items()}
    write_json(folder / FILE, {"format": "vcviz.scores/1", "measures": stored})


def scores_of(folder: Path) -> dict[str, float]:
    """Return all numbers that were measured of the run in a folder, by name."""
    values = (measure["values"] for measure in read_scores(folder).values())
    return {k: math.nan if v is None else float(v) for part in values for k, v in part.items()}
