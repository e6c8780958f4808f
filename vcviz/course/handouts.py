"""Lessons on paper: for students, for lecturers, and as slides."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from vcviz.base.errors import unknown
from vcviz.base.options import check_path
from vcviz.course.answers import FOR
from vcviz.headless import run_notebook
from vcviz.headless.files import list_notebooks, read_notebook
from vcviz.headless.parameters import notebook_parameters
from vcviz.headless.prints import write_pdf

Kind = Literal["student", "lecturer", "slides"]
KINDS: tuple[Kind, ...] = ("student", "lecturer", "slides")

#: minutes in the room -> the lessons to take; what their own minutes leave is for questions
PATHS = {
    45: ("01_bayes", "03_training"),
    90: ("01_bayes", "03_training", "04_objective", "06_attack"),
}
_MINUTES = re.compile(r"\bSome (\d+) minutes\b")


def lessons() -> dict[str, int]:
    """Return the name of each lesson and the minutes that it says it takes, with its checks."""
    found = {}
    for name, path in list_notebooks().items():
        if name.startswith("course/"):
            said = _MINUTES.search(read_notebook(path).cells[0].source)
            assert said is not None, f"{name} does not say how long it takes"
            found[name.removeprefix("course/")] = int(said[1])
    return found


def chosen(names: Iterable[str] = (), path: int | None = None) -> list[str]:
    """Return the lessons that these names, numbers or this path stand for; all for none.

    Raises
    ------
    InputError
        For a lesson or a path that there is not.
    """
    if path is not None and path not in PATHS:
        raise unknown("path", path, map(str, PATHS))
    every = lessons()
    wanted = [*names, *(PATHS[path] if path is not None else ())]
    numbers = {str(int(name[:2])): name for name in every}
    for name in wanted:
        if name not in every and name not in numbers:
            raise unknown("lesson", name, every)
    return [numbers.get(name, name) for name in wanted] or list(every)


def print_lessons(
    names: Iterable[str],
    kind: Kind,
    *,
    out: str | os.PathLike[str] = "handouts",
    runs: str | os.PathLike[str] = "runs",
    progress: bool = True,
) -> Iterator[Path]:
    """Print lessons and yield the PDF of each.

    Parameters
    ----------
    names : of lessons, see `lessons`
    kind : "student" leaves reveals shut and room to answer, "lecturer" opens them and has answers
        with derivations, "slides" is the student's with a sheet for each section
    out : folder for the files, ``<lesson>.<kind>.pdf``
    runs : folder of the runs that lessons share
    progress : show bars

    Raises
    ------
    InputError
        For another kind, or without Chromium or Chrome.
    """
    if kind not in KINDS:
        raise unknown("kind of print", kind, KINDS)
    folder = check_path("out", out)
    folder.mkdir(parents=True, exist_ok=True)
    shared = {"runs_folder": str(Path(runs).resolve())}
    for name in names:
        source = list_notebooks()[f"course/{name}"]
        declared = {parameter.name for parameter in notebook_parameters(read_notebook(source))}
        with tempfile.TemporaryDirectory() as temporary:
            result = run_notebook(
                source,
                {key: value for key, value in shared.items() if key in declared},
                out=temporary,
                images=False,
                env={FOR: "lecturer" if kind == "lecturer" else "student"},
                progress=progress,
            )
            assert result.page is not None
            yield write_pdf(result.page, folder / f"{name}.{kind}.pdf", slides=kind == "slides")
