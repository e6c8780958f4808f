"""Lessons as nbgrader's source notebooks: answers to fill in, checks that it scores."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import nbformat

from vcviz.course.lessons import CHECKS
from vcviz.course.solutions import fill_answers, questions, solutions

if TYPE_CHECKING:
    from nbformat import NotebookNode

_CALL = re.compile(r"^(course\.check\(.*\))$", re.M)
_ANSWER = re.compile(r"^answer = .*$", re.M)


def nbgrader_source(nb: NotebookNode) -> NotebookNode:
    """Return a lesson as a notebook for the folder ``source`` of a course of nbgrader.

    Each check becomes two cells: an answer, whose solution ``nbgrader generate_assignment`` takes
    out, and a locked test, which fails unless the answer is right, and is worth its points.
    """
    filled = fill_answers(nb, solutions())
    cells = []
    for cell in filled.cells:
        asked = questions(nbformat.v4.new_notebook(cells=[cell]))
        if not asked:
            cells.append(cell)
            continue
        (question,) = asked
        name = question.replace(".", "-")
        answer = _ANSWER.sub(_stub, cell.source)
        call = _CALL.search(cell.source)
        assert call is not None
        test = f"verdict = {call[1]}\nprint(verdict)\nassert verdict.passed"
        points = CHECKS[question].points
        cells += [
            _cell(_CALL.sub("", answer).strip(), f"answer-{name}", solution=True),
            _cell(test, f"check-{name}", grade=True, locked=True, points=points),
        ]
    filled.cells = cells
    return filled


def _stub(answer: re.Match[str]) -> str:
    # None, so that an answer that is not given is not the one before it.
    return f"answer = None\n### BEGIN SOLUTION\n{answer[0]}\n### END SOLUTION"


def _cell(source: str, name: str, **about: Any) -> NotebookNode:
    """Return a code cell with what nbgrader keeps of one, in version 3 of its schema."""
    plain = {"grade": False, "solution": False, "locked": False, "task": False}
    kept = {**plain, **about, "grade_id": name, "schema_version": 3}
    return nbformat.v4.new_code_cell(source, metadata={"nbgrader": kept})
