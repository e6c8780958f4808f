"""The course as pages that check answers, on paper, as slides and for nbgrader."""

import base64
import json
import re
from html import unescape
from inspect import signature
from pathlib import Path

import nbformat
import numpy as np
import pytest
from browser import browsing, open_page, watched

from vcviz import course
from vcviz.base.errors import InputError, MissingError
from vcviz.cli import main
from vcviz.course import handouts, pages
from vcviz.course.answers import FOR, STRICT, Check, Key, judge
from vcviz.course.handouts import PATHS, chosen
from vcviz.course.lessons import CHECKS
from vcviz.course.nbgrader import nbgrader_source
from vcviz.course.pages import check_form, for_lecturers, sealed
from vcviz.course.predictions import Prediction, Reveal
from vcviz.course.solutions import solutions
from vcviz.headless import prints
from vcviz.headless.files import list_notebooks, read_notebook
from vcviz.headless.pages import render_page
from vcviz.headless.prints import write_pdf

ROOT = Path(__file__).resolve().parents[2]
LESSONS = [name.partition("/")[2] for name in list_notebooks() if name.startswith("course/")]
#: nothing is trained for these
FREE = [q for q, check in CHECKS.items() if not signature(check.key).parameters]


def page_of(*shown):
    """Return the page of a notebook whose cells show this HTML, each under its heading."""
    cells = []
    for number, html in enumerate(shown):
        output = nbformat.v4.new_output("display_data", data={"text/html": html})
        cells += [
            nbformat.v4.new_markdown_cell(f"## Part {number}"),
            nbformat.v4.new_code_cell("1", outputs=[output], execution_count=1),
        ]
    return render_page(nbformat.v4.new_notebook(cells=cells), name="it")


# ---------------------------------------------------------------- checks on pages

KEYS = {
    "number": Key(2.0, "well done", {"no prior": 7.0}, unit="nats", hint="read the figure"),
    "numbers": Key([1.0, -0.5], "both are right", {"swapped": [-0.5, 1.0]}),
    "percent": Key(0.12, "so few", unit="fraction", tolerance=0.01),
    "words": Key("log-ratios", "yes", {"no": ("mean", "centres")}, spellings=("odds",)),
    "zero": Key(0.0, "nothing is left", {"far off": 3.0}),
}
TYPED = {
    "number": [
        "2",
        "2.03",
        "1.97",
        "2.05",
        "−2",
        "4/2",
        "2 nats",
        "2/log(2)",
        "2*math.log(2)",
        "7",
        "two",
        "[2, 1]",
        "1e0 + 1",
        "2^1",
        "np.sqrt(4)",
        "200 %",
        "(1 + 1",
        "alert(1)",
    ],
    "numbers": [
        "1, -0.5",
        "[1, -1/2]",
        "(1, -.5)",
        "[-0.5, 1]",
        "[1, 0]",
        "1",
        "-[-1, 0.5]",
        "np.array([2, -1])/2",
    ],
    "percent": ["12 %", "0.12", "12", "0.1205", "-0.12", "3/25", "12.5 %"],
    "words": ["Log ratios", "the log-ratio", "ODDS", "'odds'", "means", "a centre", "bias", "3"],
    "zero": ["0", "1e-12", "0.1", "3"],
}


@pytest.mark.browser
def test_a_page_judges_as_the_notebook_does(tmp_path, chromium):
    path = tmp_path / "it.html"
    path.write_text(page_of(*(check_form(name, key) for name, key in KEYS.items())))
    with open_page(chromium, path) as (page, watch):
        for number, (name, key) in enumerate(KEYS.items()):
            form = page.locator("form.check").nth(number)
            for text in TYPED[name]:
                form.get_by_label(f"Answer to {name}").fill(text)
                form.get_by_role("button").press("Enter")
                wanted = judge(name, text, lambda key=key: key)
                start = "expected" if wanted.message.startswith("expected") else wanted.message
                said = form.locator("output")
                said.get_by_text(re.compile("[✓✗]")).wait_for()
                page.wait_for_function(
                    "([box, start]) => box.innerText.includes(start)",
                    arg=[said.element_handle(), start.replace(repr(text), text)],
                )
                assert said.get_attribute("data-state") == wanted.state, text
                page.evaluate("box => box.replaceChildren()", said.element_handle())
        form.get_by_label("Answer to zero").fill(" ")
        form.get_by_label("Answer to zero").press("Enter")
        assert watch.errors == watch.requests == []


def opened(data, *texts):
    """Return what a page would say to these numbers of the grid; None if they open nothing."""
    for target in data["targets"]:
        secret = bytes(32)
        for share, text in zip(target["shares"], texts, strict=True):
            hashed = pages._hash(text, target["grid"], bytes.fromhex(data["salt"]))
            if hashed[:4].hex() not in share:
                break
            part = bytes.fromhex(share[hashed[:4].hex()])
            secret = pages._xor(secret, pages._digest(hashed), part)
        else:
            hidden = base64.b64decode(target["said"])
            return pages._xor(hidden, pages._stream(secret, len(hidden))).decode()
    return None


def test_only_an_answer_opens_what_is_said_of_it():
    data = sealed("1", Key([3.0, 1.0], "yes, both", {"swapped": [1.0, 3.0]}, tolerance=0.05))
    grid = 2.0 ** data["targets"][0]["grid"]
    assert opened(data, f"0:{round(3 / grid)}", f"1:{round(1 / grid)}") == "✓yes, both"
    assert opened(data, f"0:{round(1 / grid)}", f"1:{round(3 / grid)}") == "✗swapped"
    assert opened(data, f"0:{round(3 / grid)}", f"1:{round(3 / grid)}") is None
    assert opened(sealed("1", Key("entropy", "yes")), "rate") is None


@pytest.mark.parametrize("question", FREE)
def test_no_answer_stands_in_a_page(question, monkeypatch):
    monkeypatch.setenv("VCVIZ_HEADLESS", "1")
    key = CHECKS[question].key()
    shown = course.check(question, None)._repr_html_()
    assert key.why not in shown
    assert not [hint for hint in key.mistakes if hint in shown]
    if key.accepts:
        assert "<form" not in shown
    elif not key.words:
        truth = np.ravel(key.truth)
        data = json.loads(unescape(re.search(r'data-check="([^"]*)"', shown)[1]))
        shares = data["targets"][0]["shares"]
        assert len(shares) == truth.size
        assert all(4 <= len(share) <= 13 for share in shares)


def test_in_a_strict_run_a_page_says_what_is_open(monkeypatch):
    monkeypatch.setenv("VCVIZ_HEADLESS", "1")
    assert "<form" in course.check(FREE[0], None)._repr_html_()
    monkeypatch.setenv(STRICT, "1")
    assert "not answered yet" in course.check(FREE[0], None)._repr_html_()


# ---------------------------------------------------------------- predictions, slides, paper


def predictions():
    return (
        Prediction("Which?", ["a", "b"], lambda: Reveal(1, "since 2 > 1")).page(),
        Prediction("How much?", (), lambda: Reveal(0.5, "It is **half**."), unit="nats").page(),
    )


@pytest.mark.browser
def test_a_page_reveals_after_an_answer_and_paper_does_not(tmp_path, chromium):
    path = tmp_path / "it.html"
    path.write_text(page_of(*predictions(), check_form("1.1", KEYS["number"])))
    with open_page(chromium, path) as (page, watch):
        which, much = (page.locator(".predict").nth(i) for i in (0, 1))
        for box, reason in ((which, "since 2 > 1"), (much, "It is half.")):
            box.locator("summary").click()
            assert not box.get_by_text(reason).is_visible()
            if box is which:
                box.get_by_label("b").check()
            else:
                box.get_by_role("textbox").fill("1/2")
            box.locator("summary").focus()
            page.keyboard.press("Enter")
            assert box.get_by_text(reason).is_visible()
        much.locator("summary").click()  # shut again
        page.emulate_media(media="print")
        assert which.get_by_text("since 2 > 1").is_visible()
        assert not much.locator("summary").is_visible()
        assert page.get_by_text("Answer to 1.1").nth(1).is_visible()
        assert not page.get_by_role("button", name="Check").is_visible()
        assert watch.errors == watch.requests == []


@pytest.mark.browser
def test_slides_show_one_section_a_screen_by_keyboard(tmp_path, chromium):
    path = tmp_path / "it.html"
    path.write_text(page_of(*predictions(), check_form("1.1", KEYS["number"])))
    with open_page(chromium, path) as (page, watch):
        title = page.get_by_role("heading")
        assert title.count() == 3
        page.get_by_role("button", name="show as slides").press("Enter")
        seen = []
        for key in ("ArrowRight", "PageDown", "ArrowRight", "ArrowLeft"):
            seen.append(title.all_inner_texts())
            page.keyboard.press(key)
        parts = [[t for t in texts if t.strip("#¶ ")] for texts in seen]
        assert [len(p) for p in parts] == [1, 1, 1, 1]
        assert [p[0][:6] for p in parts] == ["Part 0", "Part 1", "Part 2", "Part 2"]
        page.get_by_role("textbox").first.press("ArrowRight")  # moves in the text alone
        assert page.get_by_text("2 / 3").is_visible()
        page.get_by_role("button", name="leave").press("Escape")
        assert title.count() == 3
        page.goto(path.as_uri() + "#slides")
        page.reload()
        assert page.get_by_text("1 / 3").is_visible()
        assert watch.errors == watch.requests == []


@pytest.mark.browser
def test_a_page_of_the_course_can_be_read_dark(tmp_path, chromium):
    path = tmp_path / "it.html"
    path.write_text(page_of(check_form("1.1", KEYS["number"])))
    colors = """() => [...document.querySelectorAll('form.check :is(label, input, button)')].map(
        (e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor])"""
    with browsing(chromium) as browser:
        seen = []
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme)
            watched(page)
            page.goto(path.as_uri())
            seen.append(page.evaluate(colors))
    assert all(light != dark for light, dark in zip(*seen, strict=True))


def test_a_lecturer_sees_answers_with_derivations_and_mistakes(monkeypatch):
    key = Key([1.0, -4.0], "it *is*", {"swapped": [-4.0, 1.0]}, unit="nats")
    said = for_lecturers("1.1", Check(lambda: key, "[1, -4]", "From $x^2$.", 2), key).data
    assert "**Answer to 1.1** (2 points): **\\[1, -4\\]** nats" in said
    assert "`[1, -4]`" in said
    assert "it \\*is\\*" in said
    assert "From $x^2$." in said
    assert "* \\[-4, 1\\]: swapped" in said
    words = Key("odds", "yes", {"no": ("mean", "centre")})
    assert (
        "* mean or centre: no" in for_lecturers("1.2", Check(lambda: words, "'odds'"), words).data
    )
    monkeypatch.setenv(FOR, "lecturer")
    assert "Answer to" in course.check(FREE[0], None).data
    assert course.check(FREE[0], solutions()[FREE[0]]).question == FREE[0]
    assert " open>" in Prediction("?", ["a", "b"], lambda: Reveal(0, "1")).page(is_open=True)


def table_under(heading):
    """Return the rows of the first table of docs/course.md under a heading, without its own."""
    text = (ROOT / "docs" / "course.md").read_text().partition(f"\n## {heading}\n")[2]
    lines = text.partition("\n## ")[0].splitlines()
    rows = [re.split(r"\s*(?<!\\)\|\s*", x)[1:-1] for x in lines if x.startswith("|")]
    return rows[2:]


def test_paths_add_up_in_code_notebooks_and_docs():
    minutes = handouts.lessons()
    for total, path in PATHS.items():
        assert 0 <= total - sum(minutes[name] for name in path) <= 5
    told = table_under("Lessons")
    assert [(int(row[0].split()[0]), int(row[1])) for row in told] == [
        (int(name[:2]), minutes[name]) for name in minutes
    ]
    for (total, path), row in zip(PATHS.items(), table_under("In 45 or 90 minutes"), strict=True):
        assert int(row[0]) == total
        parts = re.findall(r"lesson (\d+) \((\d+)\)", row[1])
        assert [(int(n), int(m)) for n, m in parts] == [(int(p[:2]), minutes[p]) for p in path]
        rest = re.search(r"questions \((\d+)\)", row[1])
        assert sum(int(m) for _, m in parts) + int(rest[1]) == total


def test_lessons_are_chosen_by_name_number_or_path():
    assert chosen() == LESSONS
    assert chosen(["2", "01_bayes"]) == ["02_gauge", "01_bayes"]
    assert chosen(path=45) == list(PATHS[45])
    for wrong, message in ((["9x"], "unknown lesson '9x'"), (["course"], "unknown lesson")):
        with pytest.raises(InputError, match=message):
            chosen(wrong)
    with pytest.raises(InputError, match="unknown path 60"):
        chosen(path=60)


def pages_in(pdf):
    return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))


@pytest.mark.browser
def test_a_page_is_printed_whole_and_as_slides(tmp_path):
    path = tmp_path / "it.html"
    path.write_text(page_of(*predictions(), check_form("1.1", KEYS["number"])))
    assert pages_in(write_pdf(path, tmp_path / "it.pdf")) == 1
    assert pages_in(write_pdf(path, tmp_path / "slides.pdf", slides=True)) == 3


def test_without_a_browser_there_is_no_pdf(tmp_path, monkeypatch):
    monkeypatch.setattr(prints.shutil, "which", lambda name: None)
    with pytest.raises(MissingError, match="a PDF needs Chromium or Chrome"):
        write_pdf(tmp_path / "it.html", tmp_path / "it.pdf")
    monkeypatch.setattr(prints.shutil, "which", lambda name: "/bin/false")
    with pytest.raises(RuntimeError, match="/bin/false printed nothing: no reason"):
        write_pdf(tmp_path / "it.html", tmp_path / "it.pdf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("warm_kernels")
@pytest.mark.parametrize("kind", ["student", "lecturer"])
def test_what_is_printed_is_for_students_or_lecturers(kind, tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(
        handouts, "write_pdf", lambda page, pdf, slides: seen.append(page.read_text()) or pdf
    )
    with pytest.raises(SystemExit) as ended:
        main(["course", "print", "2", "--for", kind, "--out", str(tmp_path), "-q"])
    assert not ended.value.code
    assert capsys.readouterr().out.strip() == str(tmp_path / f"02_gauge.{kind}.pdf")
    lecturer = kind == "lecturer"
    assert ("Answer to 2.1" in seen[0]) is True
    assert ("Likely mistakes" in seen[0]) is lecturer
    assert ('class="check"' in seen[0]) is not lecturer
    assert (re.search(r'<details class="reveal" open', seen[0]) is not None) is lecturer


# ---------------------------------------------------------------- nbgrader


def test_nbgrader_gets_answers_and_locked_checks(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["course", "nbgrader", "2", "--out", str(tmp_path)])
    assert not ended.value.code
    nb = nbformat.read(tmp_path / "02_gauge.ipynb", as_version=4)
    nbformat.validate(nb)
    graded = [c for c in nb.cells if "nbgrader" in c.metadata]
    answers, tests = graded[::2], graded[1::2]
    asked = [q for q in CHECKS if q.startswith("2.")]
    assert [c.metadata.nbgrader.grade_id for c in tests] == [
        f"check-{q.replace('.', '-')}" for q in asked
    ]
    assert [c.metadata.nbgrader.points for c in tests] == [CHECKS[q].points for q in asked]
    assert all(c.metadata.nbgrader.solution and not c.metadata.nbgrader.grade for c in answers)
    assert all(c.metadata.nbgrader.locked and c.metadata.nbgrader.grade for c in tests)
    names = {}
    exec(next(c.source for c in nb.cells if c.cell_type == "code"), names)
    for answer, test in zip(answers, tests, strict=True):
        exec(answer.source, names)
        exec(test.source, names)
        # As a student gets it: what is not answered fails.
        released = re.sub(r"### BEGIN.*### END SOLUTION", "", answer.source, flags=re.S)
        exec(released, names)
        with pytest.raises(AssertionError):
            exec(test.source, names)
    assert len(nbgrader_source(read_notebook(list_notebooks()["course/02_gauge"])).cells) == len(
        nb.cells
    )
