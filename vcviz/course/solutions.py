"""Solutions, and how they get into notebooks."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vcviz.base.errors import InputError
from vcviz.course.lessons import CHECKS

if TYPE_CHECKING:
    from nbformat import NotebookNode

_ASKED = re.compile(r"""^course\.check\(["']([\d.]+)["']""", re.M)
_OPEN = re.compile(r"^answer = None\b.*$", re.M)


def solutions() -> dict[str, str]:
    """Return question -> a solution, as the Python expression that a student would write."""
    return {question: check.solution for question, check in CHECKS.items()}


def questions(nb: NotebookNode) -> list[str]:
    """Return the numbers of the questions that a notebook asks, in order."""
    return [m[1] for c in nb.cells if c.cell_type == "code" for m in _ASKED.finditer(c.source)]


def fill_answers(nb: NotebookNode, answers: Mapping[str, str]) -> NotebookNode:
    """Return a copy of a notebook with expressions in place of ``answer = None``.

    Parameters
    ----------
    nb : a notebook of the course
    answers : question -> Python expression, which may use ``np`` and ``math``; questions that the
        notebook does not ask are left out

    Raises
    ------
    InputError
        If a question of the notebook is answered already.
    """
    filled = copy.deepcopy(nb)
    for cell in filled.cells:
        asked = _ASKED.search(cell.source) if cell.cell_type == "code" else None
        if asked is None or asked[1] not in answers:
            continue
        if not (place := _OPEN.search(cell.source)):
            raise InputError(f"question {asked[1]} is answered already; take the unfilled notebook")
        line = f"answer = {answers[asked[1]]}"
        cell.source = cell.source[: place.start()] + line + cell.source[place.end() :]
    return filled
