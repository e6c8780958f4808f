"""The table of symbols and terms that all lessons share."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from vcviz.base.errors import InputError, clip
from vcviz.headless.mathml import to_mathml

_FORMULA = re.compile(r"\$([^$]+)\$")
_STYLE = "text-align:left;vertical-align:baseline;padding:2px 14px 2px 0"


@lru_cache(maxsize=1)
def rows() -> tuple[tuple[str, ...], ...]:
    """Return the rows of docs/notation.md as Markdown: a name, what it means, …, its lessons."""
    here = Path(__file__).resolve()
    places = here.with_name("notation.md"), here.parents[2] / "docs" / "notation.md"
    text = next(path for path in places if path.is_file()).read_text(encoding="utf-8")
    lines = [line[1:-1].split("|") for line in text.splitlines() if line.startswith("| ")]
    table = (tuple(cell.strip() for cell in line) for line in lines)
    return tuple(row for row in table if row[-1] != "lessons")


def rows_of(lesson: str) -> tuple[tuple[str, ...], ...]:
    """Return the rows that a lesson uses."""
    return tuple(row for row in rows() if row[-1] == "all" or int(lesson) in _numbers(row[-1]))


def notation(lesson: str) -> Any:
    """Return the symbols and terms that a lesson uses, as a table to unfold.

    Raises
    ------
    InputError
        If `lesson` is no number.

    Examples
    --------
    >>> "the anticipated law" in vcviz.course.notation("3").data
    True
    """
    from IPython.display import HTML

    if not (isinstance(lesson, str) and lesson.isdecimal()):
        raise InputError(f'lesson must be a number such as "3", got {clip(lesson)}')
    lines = "".join(
        f"<tr><td style='{_STYLE}'>{_html(row[0])}</td>"
        f"<td style='{_STYLE}'>{_html(row[1])}</td></tr>"
        for row in rows_of(lesson)
    )
    return HTML(
        "<details><summary>Symbols and terms of this lesson</summary>"
        f"<table style='border-collapse:collapse;margin:.5em 0'>{lines}</table></details>"
    )


def _numbers(lessons: str) -> set[int]:
    """Return the numbers in "1–3, 6"."""
    ends = [[int(end) for end in part.split("–")] for part in lessons.split(",")]
    return {n for part in ends for n in range(part[0], part[-1] + 1)}


def _html(text: str) -> str:
    parts: Sequence[str] = _FORMULA.split(text)
    return "".join(to_mathml(p) if i % 2 else html.escape(p) for i, p in enumerate(parts))
