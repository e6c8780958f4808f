"""No sentence of a notebook that a figure could refute stands there unbound."""

from __future__ import annotations

import pytest
from ledger import Bond, account, main, marks_of, masked, of_notebook, sentences
from story import Given, number, text_of

from vcviz.headless.files import list_notebooks, read_notebook


@pytest.mark.parametrize("name", list_notebooks())
def test_every_sentence_is_bound(name):
    faults = of_notebook(name).faults
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", list_notebooks())
def test_no_word_is_lost(name):
    cells = enumerate(read_notebook(list_notebooks()[name]).cells)
    told = sentences([(i, c.source) for i, c in cells if c.cell_type == "markdown"])
    assert " ".join(s.words for s in told) == text_of(name).strip()
    for sentence in told:
        for mark in sentence.marks:
            begin = mark.start - sentence.start
            assert sentence.words[begin : begin + len(mark.piece)] == mark.piece


# ---------------------------------------------------------------- marks


def pieces(words: str) -> list[str]:
    return [mark.piece for mark in marks_of(words)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Its accuracy falls to 3 %.", ["falls", "3 %"]),
        ("**Expect** bars below the diagonal.", ["Expect", "below"]),
        ("Softmax is nearest, and as good as VC.", ["nearest", "as good as"]),
        ("Four in five lie within; one in ten does not.", ["Four", "five", "one in ten"]),
        ("It grows fourfold or more, from 2,000 rows.", ["grows", "fourfold", "more", "2,000"]),
        ("The mixture is tighter than its law.", ["tighter", "than"]),
        ("It comes back to $2 \\log 2 \\approx 1.386$ nats.", ["1.386"]),
        ("**Look for** the ring: the steeper the wider.", ["Look for", "steeper", "wider"]),
        (
            "A rarer class has 75% of it, half as large as A.",
            ["rarer", "75%", "half", "as large as"],
        ),
    ],
)
def test_what_could_be_refuted_is_marked(words, expected):
    assert pieces(words) == expected


@pytest.mark.parametrize(
    "words",
    [
        "The head states $p(z|y)$.",
        "A law $q(z|x) = N(\\mu_1, \\sigma^2)$ and its sum $\\sum_{k=1}^{10} \\pi_k$.",
        "Run `vcviz notebook tour -p epochs=3` or [lesson 4](04_objective.ipynb).",
        "Temperature: Guo et al. 2017, after Kendall & Gal 2017.",
        "A point rather than a cloud, other than before, no longer a point.",
        "Does it fall below 3 %?",
        "## A law for each input",
    ],
)
def test_what_could_not_is_unmarked(words):
    assert pieces(words) == []


def test_what_is_blotted_out_keeps_its_place():
    words = "1. By $p(z|y)$ and `f(3.)` (Lee et al. 2018), $$x = 1 .$$ [see](a.md)"
    seen = masked(words)
    assert len(seen) == len(words)
    assert "z|y" not in seen
    assert seen.index("see") == words.index("see")
    assert seen[words.index(".$$")] == "."


# ---------------------------------------------------------------- sentences


def words_of(source: str) -> list[str]:
    return [s.words for s in sentences([(0, source)])]


def test_a_formula_belongs_to_the_sentence_around_it():
    source = (
        "Write it as\n\n$$p(y|z) = \\frac{a}{b},$$\n\nso it is\none law. A second. $z$ is third."
    )
    assert words_of(source) == [
        "Write it as $$p(y|z) = \\frac{a}{b},$$ so it is one law.",
        "A second.",
        "$z$ is third.",
    ]
    assert words_of("Bayes:\n\n$$a = b .$$\n\nHere it ends.") == [
        "Bayes: $$a = b .$$",
        "Here it ends.",
    ]


def test_items_rows_and_headings_are_blocks():
    source = "## Three laws\nThey:\n\n1. one (Lee et al. 2018)\n2. two. **More**\n\n|a|b|\n|-|-|"
    assert words_of(source) == [
        "## Three laws", "They:", "1. one (Lee et al. 2018)", "2. two.", "**More**",
        "|a|b|", "|-|-|",
    ]  # fmt: skip


def test_a_check_of_the_course_asks():
    told = sentences([(3, "**Check 1.2.** B is rarer, 0.2. How many nats?")])
    assert [(s.cell, s.marks) for s in told] == [(3, ())] * 3


# ---------------------------------------------------------------- what binds

TOLD = "**Expect** it below 3 %. The mixture falls to 4 %, and rises to 5 %."


def faults(*bonds: Bond, source: str = TOLD) -> list[str]:
    return list(account(sentences([(0, source)]), bonds).faults)


def claim(fragment: str) -> Bond:
    return Bond("tour", fragment, "a test")


def given(fragment: str, why: str, equals=None) -> Bond:
    return Bond("tour", fragment, why, Given("tour", fragment, why, equals))


def test_whole_sentences_bind():
    first, second = claim("**Expect** it below 3 %"), claim("The mixture falls to 4 %, and rises")
    (left,) = faults(first, second)
    assert left.startswith("cell 0: '5 %' (number) of: The mixture")
    assert not faults(first, second, claim("rises to 5 %"))
    assert len(faults()) == 2


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("it falls to 9 %", "in no sentence"),
        ("below 3 %. The mixture falls", "across two sentences"),
        (" to ", "more than one place"),
    ],
)
def test_a_fragment_binds_one_sentence(fragment, expected):
    assert any(expected in fault for fault in faults(claim(fragment)))


def test_what_needs_no_reason_is_not_given():
    assert any("covers no mark" in f for f in faults(given("The mixture", "definition")))
    assert len(faults(claim("The mixture"))) == 2


def test_a_promise_is_not_given():
    assert any("only a claim" in f for f in faults(given("**Expect** it below", "definition")))


def test_what_is_cited_names_a_paper():
    assert any("nobody" in f for f in faults(given("falls to 4 %", "cited")))
    source = "Errors fall (Guo et al. 2017)."
    assert not faults(given("Errors fall", "cited"), source=source)


def test_mathematics_stands_beside_its_formula():
    assert any("no formula" in f for f in faults(given("falls to 4 %", "mathematics")))
    source = "The rate falls to 0 where $q = p$."
    assert not faults(given("falls to 0", "mathematics"), source=source)


def test_a_setting_is_what_it_is():
    source = "Six runs, 90 % of them."
    assert not faults(
        given("Six", "setting", lambda: 6), given("90 %", "setting", lambda: 90), source=source
    )
    assert any("one number 7" in f for f in faults(given("falls to 4 %", "setting", lambda: 7)))
    assert any("one number 3" in f for f in faults(given(TOLD[25:], "setting", lambda: 3)))
    assert any("what it equals" in f for f in faults(given("falls to 4 %", "setting")))
    assert any("is needed" in f for f in faults(given("falls to 4 %", "because")))


@pytest.mark.parametrize(
    ("words", "expected"),
    [("95 %", 95), ("2,000", 2000), ("Six", 6), ("−1", -1), ("0.5", 0.5)],
)
def test_numbers_are_read(words, expected):
    assert number(words) == expected


def test_the_table_is_printed(capsys):
    code = main(["train"])
    out = capsys.readouterr().out
    assert code == (0 if out.rstrip().endswith("\n0 faults") else 1)
    assert "tests/house/test_story.py::test_what_is_said_is_so[train-" in out
