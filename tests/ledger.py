"""Every sentence of the notebooks that a figure could refute, and the test that binds it.

    python tests/ledger.py [NOTEBOOK ...]

prints them by notebook and cell, what is left over last, and exits with 1 if anything is. A
sentence is listed for its marks: a number, an order ("nearest", "falls", "as good as") or a promise
("expect", "look for"). Every mark must lie in the fragment of a `Claim` that a test computes, or
of a `Given`, which says why there is nothing to compute. So a claim about the first half of a
sentence does not bind the second; and no fragment reaches beyond its sentence.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import isfunction
from pathlib import Path
from types import ModuleType

from story import ROOT, Claim, Given

from vcviz.headless.files import list_notebooks, read_notebook

# ---------------------------------------------------------------- marks

#: adjectives as they stand before -er and -est
_ADJECTIVES = (
    "bigg|bright|broad|calm|cheap|clean|clear|clos|coars|cold|dark|deep|dens|earli|easi|farth|fast"
    "|fin|flatt|furth|great|hard|heavi|high|larg|lat|light|likeli|loos|low|narrow|near|nois"
    "|noisi|poor|pur|quick|rar|rich|rough|saf|sharp|short|simpl|slow|small|smooth|soft|spars|steep"
    "|strong|sur|thick|thinn|tidi|tight|warm|weak|wid"
)
_CHANGES = (
    "fall|fell|rise|rose|rising|grow|grew|shrink|shrank|shrunk|increas|decreas|improv|worsen|exceed"
    "|halv|doubl|recover|collaps|vanish|diverg|stay|gain|los[et]|losing"
)
_ORDER = (
    rf"\b(?:{_ADJECTIVES})e(?:r|st)\b|(?<!no )\blong(?:er|est)\b"
    r"|\b(?:more|most|mostly|less|least|fewer|better|best|worse|worst|equal(?:ly)?|alike|exact(?:ly)?"
    r"|hardly|nearly|almost|always|never|above|below|beyond|outside|inside|minimum|maximum)\b"
    r"|\b(?:outperform|surpass|beat|declin|sink|(?:drop|climb|sink)s? to)\w*"
    r"|\b\w+er than\b(?<!rather than)(?<!other than)"
    r"|(?<!rather )(?<!other )\bthan\b|\bchanges\b|\bnot change\b"
    r"|\btoo (?:bold|careful|far|few|flat|high|large|late|low|many|sharp|small|sure|tight|wide)\b"
    r"|\bas (?!well|if|though|long|soon|such)\w+ as\b"
    rf"|\b(?:{_CHANGES})(?:e|e?s|e?d|en|ing)?\b"
)
_NUMBER = (
    r"(?<![\w.])[-−±]?\d+(?:,\d{3})*(?:\.\d+)?(?: ?%)?|[½⅓¼⅛]"
    r"|\b(?:zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|sixteen|twenty"
    r"|thirty|forty|fifty|hundred|thousand|half|thirds?|quarters?|fifths?|tenths?|twice|dozen"
    r"|several times|\w+fold)\b(?!-)|\bone (?:in|out of|point) \w+"
)
_PROMISE = r"(?i:\b(?:expect|look for|should|you will (?:see|find))\b)|\bLook (?:at|beneath)\b"
MARKS = {
    "promise": re.compile(_PROMISE),
    "number": re.compile(_NUMBER, re.IGNORECASE),
    "order": re.compile(_ORDER, re.IGNORECASE),
}
#: of a formula: its results, not its indices and exponents
_RESULT = re.compile(
    r"(?:(?<=[=<>])|(?<=\\approx)|(?<=\\le)|(?<=\\ge))\s*([-+]?\d+(?:\.\d+)?)|(\d+\.\d+)"
)
_SCRIPTS = re.compile(r"[_^](?:\{[^{}]*\}|\\?\w)")

#: where no mark is sought and no sentence ends, in this order
_OPAQUE = (
    re.compile(r"`[^`]+`"),
    re.compile(r"\$\$.*?\$\$"),
    re.compile(r"(?<!\\)\$[^$]+\$"),
    re.compile(r"(?<=\])\([^)\s]*\)"),  # where a link leads
    re.compile(r"^(?:#+ |[-*] )*(?:\d+\. )?"),  # what makes a heading or an item
    re.compile(r"\b(?:et al\.|[A-Z][a-z]+) \(?(?:19|20)\d\d\b(?:, (?:19|20)\d\d)*"),  # a paper
    re.compile(r"\b(?:lesson|check)s? \d+(?:\.\d+)?|\(\d\)", re.IGNORECASE),
)
CITATION = _OPAQUE[5]
_END = re.compile(r"[.!?][)*\"”□]*\s+(?=[A-Z0-9\[(*“\"□-])")
_OPENS = re.compile(r"\s*(?:#+ |[-*] |\d+\. |\|)")
_CHECK = re.compile(r"\*\*Check \d")
_ABBREVIATED = re.compile(r"\b(?:et al|e\.g|i\.e|cf|vs)$")


def masked(words: str) -> str:
    """Return a block with formulas, code and links blotted out, character for character.

    The full stop at the end of a formula is left: it may end a sentence.
    """
    for pattern in _OPAQUE:
        words = pattern.sub(lambda m: _blot(m[0]), words)
    return words


def _blot(piece: str) -> str:
    stop = len(piece.rstrip("$ ")) - 1
    ends = piece.startswith("$") and piece[stop] == "."
    return "".join("." if ends and i == stop else "□" for i in range(len(piece)))


def blocks(source: str) -> list[str]:
    """Return the paragraphs, items, rows and headings of a cell, each on one line.

    A formula on lines of its own belongs to the paragraph around it.
    """
    source = re.sub(
        r"\s*(\$\$.*?\$\$)(\s*(?=[a-z]))?",
        lambda m: " " + re.sub(r"\s+", " ", m[1]) + (" " if m[2] else ""),
        source,
        flags=re.DOTALL,
    )
    found: list[list[str]] = [[]]
    for line in source.splitlines():
        if not line.strip() or _OPENS.match(line) or (found[-1] and found[-1][0][:1] == "#"):
            found.append([])
        found[-1].append(line.strip())
    return [words for words in (re.sub(r"\s+", " ", " ".join(f)).strip() for f in found) if words]


@dataclass(frozen=True)
class Mark:
    """What makes a sentence refutable: a piece of it, and where that stands in the notebook."""

    kind: str
    piece: str
    start: int


@dataclass(frozen=True)
class Sentence:
    """A sentence with its marks; `start` counts characters of the notebook's words."""

    cell: int
    words: str
    start: int
    marks: tuple[Mark, ...]


def marks_of(words: str, start: int = 0) -> tuple[Mark, ...]:
    """Return the marks of one sentence, by place; `start` is that of its first character.

    A question has none.
    """
    seen = masked(words)
    if seen.rstrip("*)□ ").endswith("?"):
        return ()
    found = [
        Mark(kind, m[0], start + m.start())
        for kind, pattern in MARKS.items()
        for m in pattern.finditer(seen)
    ]
    for formula in re.finditer(r"\${1,2}[^$]+\${1,2}", words):
        plain = _SCRIPTS.sub(lambda m: " " * len(m[0]), formula[0])
        found += [
            Mark("number", m[m.lastindex], start + formula.start() + m.start(m.lastindex))
            for m in _RESULT.finditer(plain)
        ]
    return tuple(sorted(found, key=lambda mark: mark.start))


def sentences(cells: Sequence[tuple[int, str]]) -> list[Sentence]:
    """Return the sentences of Markdown cells, given with their numbers.

    What a check of the course asks has no marks: the tests of the course compute its key.
    """
    found, start = [], 0
    for cell, source in cells:
        for block in blocks(source):
            seen, begin, asks = masked(block), 0, _CHECK.match(block)
            ends = [
                m.end() for m in _END.finditer(seen) if not _ABBREVIATED.search(seen, 0, m.start())
            ]
            for end in [*ends, len(block)]:
                words = block[begin:end].rstrip()
                marks = () if asks else marks_of(words, start + begin)
                found.append(Sentence(cell, words, start + begin, marks))
                begin = end
            start += len(block) + 1
    return found


# ---------------------------------------------------------------- what binds


@dataclass(frozen=True)
class Bond:
    """A fragment of a notebook, and the test that binds it (or why none need)."""

    where: str
    fragment: str
    by: str
    given: Given | None = None


@cache
def bonds() -> tuple[Bond, ...]:
    """Return what the modules `test_story*.py` bind: claims that a test computes, and the given."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_story*.py")):
        module = _imported(path)
        name = path.relative_to(ROOT).as_posix()
        for test, claim in _computed(module):
            found.append(Bond(claim.where, claim.fragment, f"{name}::{test}[{claim}]"))
        for given in getattr(module, "GIVEN", ()):
            found.append(Bond(given.where, given.fragment, given.why, given))
    return tuple(found)


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ledger_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _computed(module: ModuleType) -> Iterator[tuple[str, Claim]]:
    """Yield the claims that a test of the module not only looks up, but computes."""
    for name, test in vars(module).items():
        if name.startswith("test_") and isfunction(test) and "holds" in test.__code__.co_names:
            for mark in getattr(test, "pytestmark", ()):
                if mark.name == "parametrize" and mark.args[0] == "claim":
                    yield from ((name, claim) for claim in mark.args[1])


@dataclass(frozen=True)
class Account:
    """The marked sentences of one notebook with what binds them, and what is wrong."""

    bound: tuple[tuple[Sentence, tuple[str, ...]], ...]
    faults: tuple[str, ...]


def account(told: Sequence[Sentence], bonds: Sequence[Bond]) -> Account:
    """Hold the sentences of a notebook against what binds them.

    A fault is a mark that no fragment covers, and a fragment that is not there, stands there
    twice or reaches beyond its sentence; and what is given but has no mark, or cannot be given.
    """
    binds: dict[Sentence, list[str]] = {sentence: [] for sentence in told}
    covered: set[Mark] = set()
    faults = []
    for bond in bonds:
        name = f"{bond.by}: {bond.fragment!r}"
        holders = [s for s in told for _ in range(s.words.count(bond.fragment))]
        if len(holders) != 1:
            across = bond.fragment in " ".join(s.words for s in told)
            few = "across two sentences" if across else "in no sentence"
            faults.append(f"{name} lies {'in more than one place' if holders else few}")
            continue
        (sentence,) = holders
        begin = sentence.start + sentence.words.index(bond.fragment)
        end = begin + len(bond.fragment)
        under = [m for m in sentence.marks if begin <= m.start and m.start + len(m.piece) <= end]
        cell = " ".join(s.words for s in told if s.cell == sentence.cell)
        if wrong := _cannot(bond, sentence.words, cell, under):
            faults.append(f"{name} {wrong}")
            continue
        binds[sentence].append(bond.by)
        covered.update(under)
    for sentence in told:
        if left := [mark for mark in sentence.marks if mark not in covered]:
            pieces = ", ".join(f"{mark.piece!r} ({mark.kind})" for mark in left)
            faults.append(f"cell {sentence.cell}: {pieces} of: {sentence.words}")
    bound = tuple((s, tuple(by)) for s, by in binds.items() if s.marks)
    return Account(bound, tuple(faults))


def _cannot(bond: Bond, words: str, cell: str, under: Sequence[Mark]) -> str:
    """Return why a fragment of these words in a cell cannot be given as it is, or nothing."""
    if bond.given is None:
        return ""
    if not under:
        return "covers no mark"
    if any(mark.kind == "promise" for mark in under):
        return "is a promise, which only a claim binds"
    if bond.given.why == "cited" and not CITATION.search(words):
        return "is cited from nobody"
    if bond.given.why == "mathematics" and "$" not in cell:
        return "has no formula beside it"
    return bond.given.mistake([mark.piece for mark in under if mark.kind == "number"])


def of_notebook(name: str) -> Account:
    """Return the account of one of our notebooks."""
    cells = enumerate(read_notebook(list_notebooks()[name]).cells)
    told = sentences([(i, c.source) for i, c in cells if c.cell_type == "markdown"])
    return account(told, [bond for bond in bonds() if bond.where == name])


def main(names: Sequence[str]) -> int:
    """Print the accounts of these notebooks, or of all."""
    faults = []
    for name in names or list_notebooks():
        found = of_notebook(name)
        print(f"\n{name}: {len(found.bound)} sentences, {len(found.faults)} faults")
        for sentence, by in found.bound:
            pieces = ", ".join(mark.piece for mark in sentence.marks)
            print(f"  [{sentence.cell}] {sentence.words}\n      {pieces}")
            for line in by or ["LEFT OVER"]:
                print(f"      <- {line}")
        faults += [f"{name}, {fault}" for fault in found.faults]
    print("", *faults, f"{len(faults)} faults", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
