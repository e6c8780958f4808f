"""A folder of handed-in notebooks -> a score for each student and check.

Only answers count. They are taken out of the notebook that was handed in and put into the lesson
as it was handed out; that runs in a kernel, and what it answers is judged out here.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
from tqdm import tqdm

from vcviz import __version__
from vcviz.base.errors import InputError, shorten
from vcviz.base.options import check_path
from vcviz.base.progress import bar_interval
from vcviz.base.replacing import replacing
from vcviz.course.answers import Key, judge
from vcviz.course.handed_in import Answer, answers, hand_ins, is_check, plain_value
from vcviz.course.lessons import CHECKS
from vcviz.course.solutions import questions
from vcviz.headless import NotebookError, run_notebook
from vcviz.headless.files import list_notebooks, read_notebook
from vcviz.headless.outcomes import RAISES
from vcviz.headless.parameters import TAG, notebook_parameters

if TYPE_CHECKING:
    from nbformat import NotebookNode

FORMAT = "vcviz.grades/1"
_VALUE = "application/vnd.vcviz.answer+json"
_LARGEST = 10_000  # characters of a value


@dataclass(frozen=True)
class Score:
    """What a student has for a check.

    Attributes
    ----------
    student, lesson, question : whose and for what
    score, points : what the answer counts, and what a right one counts
    state : "right", "wrong", "open" (no answer), "missing" (not handed in) or "error"
    message : what the check says of the answer
    error : why there is nothing to judge, in one line
    """

    student: str
    lesson: str
    question: str
    score: int
    points: int
    state: str
    message: str = ""
    error: str = ""


def grade(
    folder: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] = "grades",
    runs: str | os.PathLike[str] = "runs",
    parameters: Mapping[str, Any] | None = None,
    timeout: float = 120.0,
    progress: bool = True,
) -> list[Score]:
    """Judge the notebooks of a folder and return a score for each student and check.

    Parameters
    ----------
    folder : a notebook, or a subfolder of notebooks, for each student
    out : folder for ``grades.csv`` and ``grades.json``
    runs : folder of the runs that lessons train; all students share it
    parameters : of the lessons, as they were handed out
    timeout : longest time for an answer, seconds
    progress : show a bar

    Returns
    -------
    list of Score
        Of all checks of the lessons that somebody handed in, a row for each student. What cannot
        be read, or does not run, is an error in its row.

    Raises
    ------
    InputError
        If there is no notebook in the folder.
    """
    found: dict[str, dict[str, Answer]] = {}
    broken: dict[str, str] = {}
    for student, paths in hand_ins(check_path("the folder", folder)).items():
        found[student] = {}
        for path in paths:
            try:
                found[student] |= answers(read_notebook(path))
            except (InputError, OSError) as error:
                broken[student] = shorten(str(error), 160)
    out, scores = check_path("out", out), []
    shared = {"runs_folder": str(Path(runs).resolve()), **(parameters or {})}
    every = [Lesson(name, shared) for name in list_notebooks() if name.startswith("course/")]
    asked = {question for given in found.values() for question in given}
    # If nobody's notebook can be read, nobody knows of which lesson they are.
    lessons = [lesson for lesson in every if asked & set(lesson.questions)] or every
    bar = {"mininterval": bar_interval(), "disable": not progress}
    for student, given in tqdm(found.items(), desc="students", **bar):
        for lesson in lessons:
            values = lesson.values(given, timeout)
            absent = "the notebook has no such check" if values else "not handed in"
            missing = Failed(broken[student]) if student in broken else absent
            for question in lesson.questions:
                if question in values:
                    score = lesson.score(student, question, values[question])
                else:
                    score = lesson.score(student, question, missing, there=False)
                scores.append(score)
    _write(scores, out)
    return scores


class Failed(str):
    """Why an answer has no value, in one line."""


class Lesson:
    """A lesson as it was handed out, without what it shows.

    Attributes
    ----------
    name : of its notebook
    questions : what it asks, in order
    """

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        self.name, self._nb = name, read_notebook(list_notebooks()[name])
        self.questions = questions(self._nb)
        declared = {p.name for p in notebook_parameters(self._nb)}
        self._parameters = {k: v for k, v in parameters.items() if k in declared}
        self._keys: dict[str, Key] = {}

    def key(self, question: str) -> Key:
        """Return what is right, worked out from the lesson itself."""
        if question not in self._keys:
            call = self._calls[question]
            code = {k.arg: ast.unparse(k.value) for k in call.keywords if k.arg}
            given = {name: eval(value, self._names) for name, value in code.items()}
            self._keys[question] = CHECKS[question].key(**given)
        return self._keys[question]

    def score(self, student: str, question: str, value: Any, *, there: bool = True) -> Score:
        """Judge the value of an answer; if it is not `there`, the value is the reason."""
        name, points = self.name.partition("/")[2], CHECKS[question].points
        if isinstance(value, Failed):
            return Score(student, name, question, 0, points, "error", error=value)
        if not there:
            return Score(student, name, question, 0, points, "missing", error=value)
        said = judge(question, value, lambda: self.key(question))
        score = points * said.passed
        return Score(student, name, question, score, points, said.state, said.message)

    def values(self, given: Mapping[str, Answer], timeout: float) -> dict[str, Any]:
        """Return question -> the value of its answer, or a `Failed`."""
        found: dict[str, Any] = {}
        waiting: dict[str, str] = {}
        for question in self.questions:
            answer = given.get(question)
            if answer is None:
                continue
            plain, value = plain_value(answer.code)
            if answer.error:
                found[question] = Failed(answer.error)
            elif plain:
                found[question] = value
            else:
                waiting[question] = answer.code
        # An answer that hangs, or ends the kernel, is left out of the next run.
        while waiting:
            ran, failed = self._run(waiting, timeout)
            found |= ran
            found |= failed
            waiting = {q: c for q, c in waiting.items() if q not in found} if failed else {}
        return found

    @cached_property
    def _calls(self) -> dict[str, ast.Call]:
        trees = [ast.parse(c.source) for c in self._nb.cells if c.cell_type == "code"]
        calls = [call for tree in trees for call in ast.walk(tree) if is_check(call)]
        return {ast.literal_eval(call.args[0]): call for call in calls}

    @cached_property
    def _names(self) -> dict[str, Any]:
        """What the lesson makes, made in this process: nothing of a student's is in it."""
        names: dict[str, Any] = {}
        for cell in self._silent({}).cells:
            exec(compile(cell.source, self.name, "exec"), names)
            if TAG in cell.metadata.get("tags", []):
                names |= self._parameters
        return names

    def _silent(self, given: Mapping[str, str], timeout: float = 0) -> NotebookNode:
        """Return the lesson with answers in their places, and without what is only shown."""
        cells = []
        for cell in self._nb.cells:
            if cell.cell_type != "code":
                continue
            asked = questions(nbformat.v4.new_notebook(cells=[cell]))
            if not asked:
                kept = nbformat.v4.new_code_cell(_silent(cell.source), metadata=cell.metadata)
                cells.append(kept)
            for question in set(asked) & set(given):
                code = f"answer = None\n{given[question]}\n{_SHOW}"
                about = {"tags": [RAISES], "vcviz": {"timeout": timeout, "question": question}}
                cells.append(nbformat.v4.new_code_cell(code, metadata=about))
        return nbformat.v4.new_notebook(cells=cells, metadata=self._nb.metadata)

    def _run(
        self, given: Mapping[str, str], timeout: float
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run answers in a kernel; return what they gave, and those with which it ended."""
        if "runs_folder" in self._parameters:
            _ = self._names  # trains what is not there yet
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "lesson.ipynb"
            nb = self._silent(given, timeout)
            # What shows answers is loaded first: on a busy machine that would be an answer's time.
            nb.cells.insert(0, nbformat.v4.new_code_cell(f"import vcviz.base, {__name__}"))
            nbformat.write(nb, source)
            failure = None
            try:
                run_notebook(
                    source,
                    self._parameters,
                    out=(out := Path(folder) / "out.ipynb"),
                    html=False,
                    images=False,
                    cwd=folder,
                    progress=False,
                )
            except NotebookError as error:
                failure, out = error.result.failure, error.result.path
            ran = {q: _value(c) for c in read_notebook(out).cells if (q := _question(c))}
            ran = {question: value for question, value in ran.items() if value is not _NOT_RUN}
        if failure is None:
            return ran, {}
        if failure.cell and (question := _question(nb.cells[failure.cell - 1])):
            return ran, {question: Failed(failure.reason)}
        # An answer can also spoil what the lesson goes on with.
        return ran, {q: Failed(f"the lesson stopped: {failure}") for q in given if q not in ran}


_SHOW = "__import__('vcviz.course.grading').course.grading.show_answer(answer)"
_NOT_RUN = object()


def show_answer(value: Any) -> None:
    """Show a value so that it can be read from the notebook: a number, numbers or words."""
    from IPython.display import display

    if not (value is None or isinstance(value, str | bool)):
        value = np.asarray(value, dtype=float).tolist()
    text = json.dumps(value)
    if len(text) > _LARGEST:
        raise ValueError(f"an answer is a number, a few numbers or words, not {len(text)} letters")
    display({_VALUE: text}, raw=True)


def _question(cell: NotebookNode) -> str | None:
    return cell.metadata.get("vcviz", {}).get("question")


def _value(cell: NotebookNode) -> Any:
    for output in cell.outputs:
        if output.output_type == "error":
            return Failed(shorten(f"{output.ename}: {output.evalue}", 160))
        if _VALUE in output.get("data", {}):
            return json.loads(output.data[_VALUE])
    return _NOT_RUN


def _silent(source: str) -> str:
    """Return code without the statements that only show something."""
    kept = [part for part in ast.parse(source).body if not isinstance(part, ast.Expr)]
    lines = source.splitlines()
    # As it is written: the comments of parameters are their help.
    return "\n".join("\n".join(lines[part.lineno - 1 : part.end_lineno]) for part in kept)


def _write(scores: list[Score], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(score) for score in scores]
    with (
        replacing(folder / "grades.csv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        # A spreadsheet takes what begins like this for a formula.
        table.writerows(
            {k: f"'{v}" if str(v)[:1] in tuple("=+-@") else v for k, v in row.items()}
            for row in rows
        )
    students = {
        student: {
            "score": sum(s.score for s in mine),
            "points": sum(s.points for s in mine),
            "checks": [{k: v for k, v in asdict(s).items() if k != "student"} for s in mine],
        }
        for student in dict.fromkeys(s.student for s in scores)
        if (mine := [s for s in scores if s.student == student])
    }
    record = {"format": FORMAT, "version": __version__, "students": students}
    with replacing(folder / "grades.json") as temporary:
        text = json.dumps(record, indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
