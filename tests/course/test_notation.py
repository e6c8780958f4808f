"""The table of symbols and terms: one row a symbol, and all that a lesson's formulas use."""

import re

import pytest

from vcviz import course
from vcviz.base.errors import InputError
from vcviz.course import lessons
from vcviz.course.notation import rows, rows_of
from vcviz.headless.files import list_notebooks, read_notebook

LESSONS = {
    str(int(name[7:9])): path
    for name, path in list_notebooks().items()
    if name.startswith("course/")
}
#: what every reader of formulas knows, and names of points and classes in an example
KNOWN = {"e", "d", "i", "j", "A", "B"}
GREEK = re.findall(
    r"\w+",
    "alpha beta gamma delta epsilon varepsilon eta theta lambda mu nu xi pi rho sigma tau phi psi "
    "omega Sigma Pi Gamma Delta Theta Lambda Phi Psi Omega ell",
)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$", re.S)
_MARKED = re.compile(r"\\(?:hat|tilde|bar|mathcal)\s*\{?\s*(?:\\[A-Za-z]+|[A-Za-z])")
_WORDS = re.compile(
    r"\\(?:textbf|text|mathrm|mathbf|operatorname|begin|end|mathbb)\s*(?:\{[^}]*\}|\w)"
)


def symbols(tex):
    """Return the letters of a formula, Greek ones by their names and those under a hat with it."""
    tex = _WORDS.sub(" ", tex)
    marked = set(_MARKED.findall(tex))
    tex = _MARKED.sub(" ", tex)
    named = {name for name in re.findall(r"\\([A-Za-z]+)", tex) if name in GREEK}
    plain = set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", tex)))
    return {re.sub(r"[\s{]", "", mark) for mark in marked} | named | plain


def in_text(text):
    return {s for pair in _FORMULA.findall(text) for tex in pair if tex for s in symbols(tex)}


def test_no_symbol_or_term_stands_twice_in_one_lesson():
    for lesson in LESSONS:
        names = [row[0] for row in rows_of(lesson)]
        assert len(set(names)) == len(names)
    single = [re.findall(r"\$([^$]+)\$", row[0]) for row in rows()]
    alone = [tex for formulas in single for tex in formulas if len(tex) == 1 or tex[1:] in GREEK]
    assert len(set(alone)) == len(alone)


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_table_has_every_symbol_of_a_lesson(lesson):
    cells = read_notebook(LESSONS[lesson]).cells
    used = {s for c in cells if c.cell_type == "markdown" for s in in_text(c.source)}
    known = {s for row in rows_of(lesson) for s in in_text(row[0])} | KNOWN
    assert used <= known, used - known


@pytest.mark.parametrize("question", lessons.CHECKS)
def test_a_derivation_gives_no_symbol_a_second_meaning(question):
    used = in_text(lessons.CHECKS[question].derivation)
    own = {s for row in rows_of(question.split(".")[0]) for s in in_text(row[0])}
    elsewhere = {s for row in rows() for s in in_text(row[0])} - own
    assert not used & elsewhere - KNOWN - {"pi"}, used & elsewhere  # 3.14 as well


def test_a_lesson_shows_its_own_rows_with_formulas_drawn():
    shown = course.notation("6").data
    assert "attack radius" in shown
    assert "label noise" not in shown
    assert "<math" in shown
    for lesson in LESSONS:
        assert "<code>" not in course.notation(lesson).data  # TeX that could not be drawn
    with pytest.raises(InputError, match="lesson must be a number"):
        course.notation("six")
