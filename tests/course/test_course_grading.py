"""Handed-in notebooks: answers alone count, and nothing that is handed in stops the rest."""

import csv
import json

import nbformat
import pytest

from vcviz.base.errors import InputError
from vcviz.cli import main
from vcviz.course.grading import grade, show_answer
from vcviz.course.handed_in import answers, hand_ins, plain_value
from vcviz.course.lessons import CHECKS
from vcviz.course.solutions import fill_answers, questions, solutions
from vcviz.headless.files import list_notebooks, read_notebook

GAUGE, NOISE = "course/02_gauge", "course/07_noise"


def lesson(name):
    return read_notebook(list_notebooks()[name])


def filled(name, **changed):
    """Return a lesson with its solutions, but for some: ``q2_1="99"``."""
    other = {key[1:].replace("_", "."): value for key, value in changed.items()}
    return fill_answers(lesson(name), solutions() | other)


def cells(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])


def only(source):
    (found,) = answers(cells(source)).values()
    return found


# ---------------------------------------------------------------- what is taken


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("answer = 3  # nats\ncourse.check('1.1', answer)", "answer = 3"),
        ("course.check('1.1', [1, 2])", "answer = [1, 2]"),
        ("course.check('1.1', answer=2)", "answer = 2"),
        ("course.check('1.1')", "answer = None"),
        ("v = 2\ncourse.check('1.1', v + 1).passed", "v = 2\nanswer = v + 1"),
        ("x = course.check('1.1', 2, runs=runs)", "answer = 2"),
    ],
)
def test_an_answer_is_what_is_checked_with_what_stands_above(source, code):
    found = only(source)
    assert found.error == ""
    assert found.code == code


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "import numpy.lib",
        "from os import system",
        "from . import x",
        "from vcviz.course import lessons",
        "from vcviz.course.lessons import CHECKS",
        "__import__('os')",
        "open('x')",
        "eval('1')",
        "getattr(np, 'x')",
        "().__class__",
        "np.load('x')",
        "np.savetxt('x', [1])",
        "np.array([1]).tofile('x')",
        "np.lib.npyio",
        "f = course.check",
        "course.lessons",
        "course.check = print",
        "get_ipython().system('ls')",
        "raise SystemExit",
        "runs[0].path.unlink()",
    ],
)
def test_an_answer_may_not_reach_files_programs_or_keys(code):
    found = answers(cells(f"{code}\ncourse.check('1.1', 1)"))["1.1"]
    assert found.error.startswith("not allowed: ")


@pytest.mark.parametrize("code", [check.solution for check in CHECKS.values()])
def test_every_solution_is_allowed(code):
    assert only(f"import math\nanswer = {code}\ncourse.check('1.1', answer)").error == ""


def test_what_is_no_python_is_an_error_of_its_questions():
    assert only("answer = [1,\ncourse.check('1.1', answer)").error.startswith("SyntaxError: ")
    assert only("%time\ncourse.check('1.1', 2)").error.startswith("SyntaxError: ")
    assert answers(cells("course.check(question, 3)", "check('1.1', 2)", "1 +")) == {}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("answer = 3", (True, 3)),
        ("import math\nimport numpy as np\nanswer = math.log(np.e)", (True, 1.0)),
        ("answer = 'log-ratios'", (True, "log-ratios")),
        ("answer = [1, 2.5]", (True, [1, 2.5])),
        ("answer = None", (True, None)),
        ("answer = 2 ^ 3", (False, None)),  # 1 for Python
        ("answer = [1] * 2", (False, None)),
        ("answer = (1, 2) * 2", (False, None)),
        ("v = 2\nanswer = v", (False, None)),
        ("answer = runs[0]", (False, None)),
    ],
)
def test_arithmetic_needs_no_kernel(code, found):
    plain, value = plain_value(code)
    assert (plain, value if plain else None) == found


def test_a_value_is_a_number_numbers_or_words(capsys):
    with pytest.raises(ValueError, match="not 40000 letters"):
        show_answer([1.0] * 8000)
    with pytest.raises((TypeError, ValueError)):
        show_answer(object())


def test_a_student_is_a_notebook_or_a_folder(tmp_path):
    with pytest.raises(InputError, match="a student is a notebook there"):
        hand_ins(tmp_path)
    for name in ("bob.ipynb", "ada/1.ipynb", "ada/deep/2.ipynb", ".ipynb_checkpoints/no.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = hand_ins(tmp_path)
    assert {name: len(paths) for name, paths in found.items()} == {"ada": 2, "bob": 1}


# ---------------------------------------------------------------- what comes of it


def write(nb, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)


def replaced(nb, question, source):
    for cell in nb.cells:
        if cell.cell_type == "code" and f'"{question}"' in cell.source:
            cell.source = source
    return nb


@pytest.mark.usefixtures("warm_kernels")
def test_a_class_with_faults_is_graded(tmp_path, capsys):
    first, second, third = questions(lesson(NOISE))[:3]
    folder, out = tmp_path / "class", tmp_path / "grades"
    write(filled(GAUGE), folder / "ada" / "a.ipynb")
    write(filled(NOISE), folder / "ada" / "b.ipynb")
    bob = replaced(filled(NOISE), first, f"import os\ncourse.check('{first}', 1)")
    bob = replaced(bob, second, f"v = [98.0, 1.0]\ncourse.check('{second}', sum(v))")
    write(
        replaced(bob, third, f"answer = 1 +\ncourse.check('{third}', answer)"),
        folder / "=bob.ipynb",
    )
    # It fakes what it can, hangs, and has lost a cell.
    faked = filled(NOISE)
    faked.cells[1].source += "\ncourse.check = lambda *a: None\nprint('right')"
    faked = replaced(faked, first, f"while True: v = 1\ncourse.check('{first}', v)")
    faked = replaced(faked, second, f"v = oops\ncourse.check('{second}', v)")
    faked.cells = [c for c in faked.cells if f'"{third}"' not in c.source]
    write(faked, folder / "eve.ipynb")
    (folder / "mallory.ipynb").write_text("{")

    with pytest.raises(SystemExit) as ended:
        main(["course", "grade", str(folder), "--out", str(out), "--timeout", "5", "-q"])
    assert not ended.value.code
    told = capsys.readouterr().out
    with (out / "grades.csv").open(newline="") as file:
        rows = {(row["student"], row["question"]): row for row in csv.DictReader(file)}
    record = json.loads((out / "grades.json").read_text())["students"]

    points = sum(CHECKS[q].points for n in (GAUGE, NOISE) for q in questions(lesson(n)))
    assert record["ada"]["score"] == record["ada"]["points"] == points
    assert {name: student["points"] for name, student in record.items()} == dict.fromkeys(
        ("ada", "=bob", "eve", "mallory"), points
    )
    assert len(rows) == 4 * len([*questions(lesson(GAUGE)), *questions(lesson(NOISE))])
    # a spreadsheet does not take the name for a formula
    bob = {question: row for (student, question), row in rows.items() if student == "'=bob"}
    assert bob[first]["error"] == "not allowed: import os"
    assert (bob[second]["state"], bob[second]["score"]) == ("wrong", "0")
    assert "99 is not it" in bob[second]["message"]
    assert bob[third]["error"].startswith("SyntaxError: ")
    assert bob[questions(lesson(GAUGE))[0]]["error"] == "not handed in"
    assert rows["eve", first]["error"] == "took longer than 5 s"
    assert rows["eve", second]["error"] == "NameError: name 'oops' is not defined"
    assert rows["eve", third]["error"] == "the notebook has no such check"
    assert rows["mallory", first]["state"] == "error"
    assert "is not a Jupyter notebook" in rows["mallory", first]["error"]
    assert f"=bob, {first}: not allowed: import os" in told
    assert told.count("mallory, ") == 1


@pytest.mark.usefixtures("warm_kernels")
def test_an_answer_that_spoils_the_lesson_stops_nothing(tmp_path):
    nb = lesson("course/06_attack")
    first = questions(nb)[0]
    late = questions(nb)[-1]
    spoiled = replaced(nb, first, f"runs = variational = course = None\ncourse.check('{first}', 3)")
    write(replaced(spoiled, late, f"v = 2\ncourse.check('{late}', v)"), tmp_path / "ada.ipynb")
    scores = grade(
        tmp_path,
        out=tmp_path / "grades",
        runs=tmp_path / "runs",
        parameters={"epochs": 6, **nb.metadata.vcviz.smoke},
        progress=False,
    )
    states = {score.question: score for score in scores}
    assert states[first].state in ("right", "wrong")
    assert states[late].error.startswith("the lesson stopped: cell ")


@pytest.mark.usefixtures("warm_kernels")
def test_lessons_that_train_share_their_runs(tmp_path):
    for student in ("ada", "bob"):
        # What it says of the runs is made in a kernel, which finds them trained.
        nb = filled("course/03_training", q3_1="len(runs) + 96")
        write(nb, tmp_path / "class" / f"{student}.ipynb")
    scores = grade(
        tmp_path / "class",
        out=tmp_path / "grades",
        runs=tmp_path / "runs",
        parameters={"epochs": 6},
        progress=False,
    )
    assert {score.state for score in scores if score.question != "3.1"} == {"right"}
    assert [s.message.split(";")[0] for s in scores if s.question == "3.1"] == 2 * ["99 is not it"]
    trained = [p.name for p in (tmp_path / "runs").iterdir() if (p / "config.json").is_file()]
    assert len(trained) == 3
