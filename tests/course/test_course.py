"""The course: its checks, predictions, figures, and every notebook with and without answers."""

import ast
import inspect
import math
import re
from fractions import Fraction

import nbformat
import numpy as np
import pytest

from vcviz import course
from vcviz.base.errors import InputError
from vcviz.course import gauge, lessons, solutions
from vcviz.course.answer_field import AnswerField
from vcviz.course.answers import STRICT, Key, judge, normal
from vcviz.course.confidence import five_diagrams
from vcviz.course.expressions import _NAMES, Unreadable, evaluate
from vcviz.course.objective import four_objectives
from vcviz.course.predictions import Prediction, Reveal
from vcviz.course.two_classes import LAWS, two_classes
from vcviz.headless import run_notebook
from vcviz.headless.files import list_notebooks, read_notebook
from vcviz.headless.outcomes import NotebookError
from vcviz.headless.parameters import TAG

NOTEBOOKS = {name: path for name, path in list_notebooks().items() if name.startswith("course/")}
each_lesson = pytest.mark.parametrize("name", list(NOTEBOOKS), ids=lambda n: n.split("/")[1])


# ---------------------------------------------------------------- checks


def nats(truth=2.0, **more):
    return lambda: Key(truth, "well done", unit="nats", **more)


@pytest.mark.parametrize(
    ("answer", "state", "message"),
    [
        (None, "open", "not answered yet"),
        (2.01, "right", "well done"),
        (np.float32(2), "right", "well done"),
        (-2, "wrong", "the sign is not"),
        (2 / np.log(2), "wrong", "that is in bits"),
        (2 * np.log(2), "wrong", "the wrong way round"),
        (7.0, "wrong", "you forgot the prior"),
        (3.3, "wrong", "^3.3 is not it; read the figure"),
        (np.float64(10 / 3), "wrong", "^3.333 is not it; read the figure"),
        ("two", "wrong", "expected one number, got 'two'"),
        ("x.real", "wrong", r"expected one number, got 'x.real' \('x.real' cannot be used"),
        (True, "wrong", "expected one number, got True"),
        (1j, "wrong", "expected one number"),
        (Fraction(2), "right", "well done"),
        ([2.0], "right", "well done"),
        (np.array([[2.0]]), "right", "well done"),
        ("4/2", "right", "well done"),
        ("2 nats", "right", "well done"),
        ("200 %", "right", "well done"),
        ("math.log(np.exp(2))", "right", "well done"),
        ("  ", "open", "not answered yet"),
        ([2.0, 1.0], "wrong", r"expected one number, got \[2.0, 1.0\]"),
        (float("nan"), "wrong", "expected one number, got nan"),
    ],
)
def test_an_answer_is_told_what_is_wrong_with_it(answer, state, message):
    key = nats(mistakes={"you forgot the prior": 7.0}, hint="read the figure")
    found = judge("9.1", answer, key)
    assert found.state == state
    assert re.search(message, found.message)
    assert "9.1" in repr(found)
    assert found.passed == (state == "right")


def test_several_numbers_and_words():
    def key():
        return Key((1.0, -3.0), "yes", {"the other way round": (-3.0, 1.0)})

    assert judge("1", [1, -3], key).passed
    assert judge("1", np.array([-3, 1]), key).message == "the other way round"
    assert "expected 2 numbers" in judge("1", 1.0, key).message

    def word():
        return Key("entropy", "yes", {"both have it": "rate"}, hint="choose one")

    assert judge("1", " Entropy ", word).passed
    assert judge("1", "rate", word).message == "both have it"
    assert judge("1", 3, word).message == "3 is not it; choose one"


def test_a_small_mistake_does_not_swallow_what_lies_near_it():
    def key():
        return Key(10.0, "yes", {"tiny": 0.01})

    assert judge("1", 0.1, key).message != "tiny"
    assert judge("1", 0.01, key).message == "tiny"


def test_markup_in_an_answer_is_text():
    shown = judge("1", "<b>x</b>", lambda: Key("y", "yes"))._repr_html_()
    assert "&lt;b&gt;" in shown


def test_an_open_question_costs_nothing():
    def key():
        raise AssertionError

    assert judge("1", None, key).state == "open"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" 0.5 ", 0.5),
        ("−2", -2),
        ("1/3", 1 / 3),
        ("12 %", 0.12),
        ("2^3", 8),
        ("2**0.5 × 3", 3 * 2**0.5),
        ("[3, 2/4]", [3, 0.5]),
        ("3, 2", [3, 2]),
        ("-[1, 2] * 2", [-2, -4]),
        ("sqrt(2) + math.erf(1/2)", 2**0.5 + math.erf(0.5)),
        ("np.linalg.norm(np.array([3, 4]))", 5),
        ("0.5 * np.log(2 * np.pi * np.e)", 0.5 * math.log(2 * math.pi * math.e)),
        ("[[1, 2], [0, 1]] @ [1, 1]", [3, 1]),
    ],
)
def test_arithmetic_is_read(text, value):
    np.testing.assert_allclose(evaluate(text), value, rtol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "two",
        "__import__('os')",
        "().__class__",
        "np.load('x')",
        "np.linalg.__class__",
        "np.array.__self__",
        "math.log.__call__(2)",
        "(lambda: 1)()",
        "[x for x in [1]]",
        "np.array([1], dtype=object)",
        "'a' * 3",
        "math.factorial(9)",
        "np.eye(9)",
        "np",
        "np.log",
        "1 if 2 else 3",
        "x := 3",
        "1 = 2",
        "10**10**10",
        "9.0**9**9",
        "1/0",
        "math.log(-1)",
        "[1, 2] + [1, 2, 3]",
        "(" * 150,
        "1" * 201,
        f"np.transpose([[{'1,' * 40}]]) * [{'1,' * 40}]",  # 1600 numbers
    ],
)
def test_what_is_not_arithmetic_is_refused(text):
    with pytest.raises(Unreadable):
        evaluate(text)


def test_no_name_reaches_more_than_numbers():
    """Whatever may be called takes numbers and gives numbers; none of it makes large ones."""
    wide = [[0.5, 0.25], [0.25, 0.5]]
    for name, what in _NAMES.items():
        if not callable(what):
            assert isinstance(what, float), name
            continue
        for args in ([0.5], [0.5, 0.5], [[0.5, 0.25]], [wide], [wide, wide], [1e300]):
            try:
                with np.errstate(all="ignore"):
                    found = what(*args)
                assert np.size(found) <= 4, name
            except (TypeError, ValueError, OverflowError, np.linalg.LinAlgError):
                continue


@pytest.mark.parametrize("spelled", ["log ratios", "Log-Ratio", " the LOGRATIOS ", "'log_ratio'"])
def test_words_are_known_in_several_spellings(spelled):
    assert judge("1", spelled, lambda: Key("log-ratios", "yes")).passed


def test_other_words_and_mistakes_in_words():
    def key():
        return Key("frequencies", "yes", {"no": ("mean", "centres")}, spellings=("prior", "π"))

    for right in ("frequency", "Priors", "π", "a prior"):
        assert judge("1", right, key).passed, right
    assert [judge("1", w, key).message for w in ("Means", "the centre")] == ["no", "no"]
    assert normal("classes") == normal("class") != normal("clas")


def test_a_question_may_have_many_right_answers():
    def key():
        return Key([1.0, 0.0], "yes", accepts=lambda v: abs(v @ v - 1) < 1e-6)

    assert judge("1", [0.6, 0.8], key).passed
    assert not judge("1", [1, 1], key).passed
    assert "expected 2 numbers" in judge("1", 1.0, key).message


def test_an_app_asks_in_a_field(monkeypatch):
    assert course.check("1.1", None).state == "open"
    monkeypatch.setenv("VCVIZ_APP", "1")
    asked = course.check("1.1", None)
    assert "✗" in asked.answer("1.5, 1")
    assert "half of it" in asked.answer("[1.5, 1]")
    assert "✓" in asked.answer("3, 2")
    assert "&lt;b&gt;" in asked.answer("<b>")
    assert asked.answer("  ") == ""
    assert "✓" in asked.answer("np.array([1.5, 1]) * 2")
    assert "expected 2 numbers" in asked.answer("__import__('os')")
    asked._text.value = "[3, 2]"
    asked._feedback.value = ""
    asked._button.click()
    assert "✓" in asked._feedback.value
    words = AnswerField("9.1", lambda of: judge("9.1", of, lambda: Key("log-ratio", "yes")))
    assert words.answer("Log-ratios").count("✓") == 1
    assert course.check("1.1", [3, 2]).passed  # filled in, as a lecturer may


def test_a_question_that_does_not_exist_is_named():
    with pytest.raises(InputError, match=r"unknown question '1\.11'; did you mean '1\.1'"):
        course.check("1.11", 2.0)
    with pytest.raises(InputError, match="unknown prediction '9'"):
        course.predict("9")


# ---------------------------------------------------------------- predictions


def test_a_prediction_is_made_before_it_is_revealed():
    asked = []

    def reveal():
        asked.append(1)
        return Reveal(1, "because 2 > 1")

    one = Prediction("Which < is it?", ["a", "b"], reveal)
    assert one._button.disabled
    assert one.reveal() == ""
    one.choose("a")
    assert asked == []
    assert one.reveal().startswith("<b>It is another one: b.</b> because 2 &gt; 1")
    one.choose("b")
    assert one._feedback.value == ""
    one._button.click()
    assert "<b>As you said: b.</b>" in one._feedback.value
    page = one.page()
    assert page.count("type='radio'") == 2
    assert "<details class='reveal'>" in page
    assert "Which &lt; is it?" in page


def test_a_prediction_may_be_a_number():
    one = Prediction("How much?", (), lambda: Reveal(0.5, "It is **half**."), unit="nats")
    for text, near in (("0.55", "near"), ("1/2", "near"), ("2", "not near")):
        one.choose(text)
        assert one.reveal() == f"<b>You were {near}: 0.5 nats.</b> It is <b>half</b>."
    one.choose("two")
    assert one._button.disabled
    assert one.reveal() == ""
    assert one.page().count("type='text'") == 1


def _needs(ask):
    """Return whether a prediction is about what its notebook has made."""
    return any(p.default is p.empty for p in inspect.signature(ask).parameters.values())


@pytest.mark.parametrize(
    "question", [k for k, ask in lessons.PREDICTIONS.items() if not _needs(ask)]
)
def test_every_prediction_has_its_answer_among_the_options(question):
    one = course.predict(question)
    if one.options:
        assert one.answer.right in range(len(one.options))
    assert any(c.isdigit() for c in one.answer.reason)


# ---------------------------------------------------------------- figures

EXPLORERS = [
    (course.BayesExplorer, {"x": 2.0}),
    (course.GaugeExplorer, {"scale": 1.5}),
    (course.ObjectiveExplorer, {"entropy": False}),
    (course.ConfidenceExplorer, {"sharpness": 1.0}),
    (course.FlipExplorer, {"rate": 0.3}),
    (course.TemperatureExplorer, {"temperature": 0.05}),
    (course.BitsExplorer, {"sharpness": 2.0}),
]


def texts(view):
    return [t.text[0] for t in view.data if t.type == "scatter" and t.mode == "text"]


def axes(layout):
    found = layout.to_plotly_json()
    return {k: v.get("range") for k, v in found.items() if k[:5] in ("xaxis", "yaxis")}


@pytest.mark.parametrize(("kind", "change"), EXPLORERS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_control_changes_the_words_and_no_axis(kind, change):
    one = kind()
    before, ranges = texts(one.view), axes(one.view.layout)
    assert len(before) >= 1
    one.bound.set(**change)
    assert axes(one.view.layout) == ranges
    if kind is course.GaugeExplorer:  # what it says is what does not change
        _, mine = (t.y for t in one.view.data if t.type == "bar")
        log_weight = gauge.reading(gauge.WEIGHT, gauge.BIAS, 1.5**2 * np.eye(2), (2, 0)).log_weight
        np.testing.assert_allclose(mine, np.exp(log_weight), rtol=1e-5)
    else:
        assert texts(one.view) != before
    one.reset()
    assert texts(one.view) == before


@pytest.mark.parametrize("kind", [course.BayesExplorer, course.GaugeExplorer, course.BitsExplorer])
def test_a_page_has_a_slider_and_lists(kind):
    figure = kind().figure()
    assert len(figure.frames) > 5
    assert len(figure.layout.updatemenus) == 2


def test_the_centres_are_dragged_and_stand_where_their_sliders_say():
    one = course.BayesExplorer("spread", spread=2.6)
    marks = {t.name: i for i, t in enumerate(one.view.data) if (t.meta or {}).get("draggable")}
    assert list(marks) == ["centre of A", "centre of B"]
    one.view.tell("drag", trace=marks["centre of B"], point=0, x=-2.5, y=3.1, done=False)
    one.view.tell("drag", trace=marks["centre of A"], point=0, x=0.7, y=-4.0, done=True)
    places = {name: one.controls[name].value for name in ("ax", "ay", "x", "y")}
    assert places == {"ax": 0.7, "ay": -4.0, "x": -2.5, "y": 3.1}
    a, b = (one.view.data[i] for i in marks.values())
    assert (a.x, a.y, b.x, b.y) == ((0.7,), (-4.0,), (-2.5,), (3.1,))
    law = two_classes(mean_a=(0.7, -4.0), mean_b=(-2.5, 3.1), spread=2.6)
    line = next(t for t in one.view.data if t.name == "Bayes' rule, p = ½")
    on_it = np.column_stack([line.x, line.y])
    odds = law.log_posterior(on_it[np.isfinite(on_it).all(1)])
    assert np.abs(np.diff(odds, axis=1)).max() < 0.15  # the grid's own error
    one.reset()
    assert one.view.data[marks["centre of A"]].x == (-1.5,)
    static = [t.meta for t in one.figure().data if t.name in marks]
    assert static
    assert not any(meta["draggable"] for meta in static)  # a page has sliders alone


@pytest.mark.parametrize("law", LAWS)
def test_centres_on_top_of_each_other_leave_nothing_to_tell_apart(law):
    one = course.BayesExplorer(law=law, ax=1.0, ay=1.0, x=1.0, y=1.0)
    assert "<b>best softmax 0.000 nats more</b>" in "".join(texts(one.view))


def test_static_figures_say_what_they_found():
    said = [t.text[0] for t in four_objectives().data if t.mode == "text"]
    assert len(said) == 4
    assert "at the edge" in said[0]
    assert "inside" in said[3]
    assert len([t for t in five_diagrams(60).data if t.mode == "text"]) == 5


# ---------------------------------------------------------------- notebooks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder of runs for all lessons."""
    return tmp_path_factory.mktemp("course")


def execute(nb, folder):
    """Run the code cells here, in this process, and return their names.

    What a cell ends with is not displayed, so that no figure is drawn.
    """
    names = {}
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        exec(compile(cell.source, "cell", "exec"), names)
        if TAG in cell.metadata.get("tags", []):
            names |= {"runs_folder": str(folder / "runs")} | nb.metadata.vcviz.smoke
    return names


def asked():
    return [q for p in NOTEBOOKS.values() for q in solutions.questions(read_notebook(p))]


def test_every_question_is_asked_once_and_has_a_solution():
    assert len(set(asked())) == len(asked())
    assert set(asked()) == set(lessons.CHECKS) == set(solutions.solutions())
    for name, path in NOTEBOOKS.items():
        mine = solutions.questions(read_notebook(path))
        assert len(mine) in range(2, 6)
        assert {q.split(".")[0] for q in mine} == {str(int(name[7:9]))}


@pytest.fixture
def said(monkeypatch):
    """What the checks of a notebook say while it is executed here, by question."""
    found, check = {}, course.check

    def kept(question, answer, **given):
        found[question] = check(question, answer, **given)
        return found[question]

    monkeypatch.setattr(course, "check", kept)
    return found


@each_lesson
def test_solutions_pass_every_check(name, folder, said):
    nb = solutions.fill_answers(read_notebook(NOTEBOOKS[name]), solutions.solutions())
    execute(nb, folder)
    assert [verdict for verdict in said.values() if not verdict.passed] == []
    assert list(said) == solutions.questions(nb)


@each_lesson
def test_unfilled_every_check_is_open(name, folder, said):
    execute(read_notebook(NOTEBOOKS[name]), folder)
    assert {verdict.state for verdict in said.values()} == {"open"}


@pytest.mark.parametrize("question", list(lessons.CHECKS))
def test_a_wrong_answer_fails_with_a_hint(question, folder, said):
    name = next(n for n in NOTEBOOKS if int(n[7:9]) == int(question.split(".")[0]))
    right = solutions.solutions()
    nb = solutions.fill_answers(
        read_notebook(NOTEBOOKS[name]),
        right | {question: f"0.37 + np.multiply(-1.7, {right[question]})"},
    )
    if right[question].startswith('"'):
        nb = solutions.fill_answers(read_notebook(NOTEBOOKS[name]), right | {question: '"means"'})
    execute(nb, folder)
    wrong = [verdict for verdict in said.values() if not verdict.passed]
    assert [verdict.question for verdict in wrong] == [question]
    assert len(wrong[0].message) > 12


def test_an_answered_notebook_is_not_filled_again():
    nb = read_notebook(NOTEBOOKS["course/02_gauge"])
    filled = solutions.fill_answers(nb, {"2.1": "9"})
    assert "answer = 9" in "".join(c.source for c in filled.cells)
    assert solutions.questions(filled) == solutions.questions(nb)
    with pytest.raises(InputError, match=r"question 2\.1 is answered already"):
        solutions.fill_answers(filled, {"2.1": "9"})


@each_lesson
def test_a_lesson_asks_before_it_shows(name):
    cells = read_notebook(NOTEBOOKS[name]).cells
    code = [c.source for c in cells if c.cell_type == "code"]
    assert sum("course.predict(" in source for source in code) >= 1
    assert "import math\n" in code[0]  # to answer with
    assert "import numpy as np\n" in code[0]
    for cell in cells:
        if cell.cell_type == "code" and "answer" in cell.source:
            assert isinstance(ast.parse(cell.source).body[0], ast.Assign)


@pytest.mark.usefixtures("warm_kernels")
def test_a_strict_run_fails_at_its_end_with_all_that_is_not_right(tmp_path):
    nb = solutions.fill_answers(read_notebook(NOTEBOOKS["course/02_gauge"]), {"2.1": "99"})
    source = tmp_path / "mine.ipynb"
    source.write_text(nbformat.writes(nb))
    with pytest.raises(NotebookError) as failed:
        run_notebook(source, out=tmp_path / "out", env={STRICT: "1"}, images=False, progress=False)
    reason = failed.value.result.failure.reason
    n = len(solutions.questions(nb))
    assert reason.startswith(f"{n} of {n} checks not passed: 2.1 99 is not it; ")
    assert all(f"; {q} not answered yet" in reason for q in solutions.questions(nb)[1:])
