"""Every public name has an example, and the examples print what they say."""

from __future__ import annotations

import ast
import contextlib
import doctest
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from front_doors import public

import vcviz

PACKAGE = Path(vcviz.__file__).parent
REFERENCE = PACKAGE.parent / "docs" / "reference"


def docstrings() -> Iterator[tuple[str, str, Path, int]]:
    """Yield name, text, file and line of what has an example; lessons try theirs themselves."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        room = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if ">>>" not in text or room.startswith("course"):
            continue
        pending = [(room, node) for node in ast.parse(text).body]
        while pending:
            inside, node = pending.pop(0)
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                name = f"{inside}.{node.name}"
                pending += [(name, inner) for inner in node.body]
                if ">>>" in (said := ast.get_docstring(node, clean=False) or ""):
                    yield name, said, path, node.body[0].lineno - 1
    for path in sorted(REFERENCE.glob("*.md")):
        if ">>>" in (text := path.read_text(encoding="utf-8")):
            yield path.name, re.sub(r"^```.*$", "", text, flags=re.M), path, 0


EXAMPLES = {name: rest for name, *rest in docstrings()}


@pytest.fixture(autouse=True, scope="module")
def _working_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Examples write into the current folder; a run that several train is there the next time."""
    with contextlib.chdir(tmp_path_factory.mktemp("examples")):
        yield


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_prints_what_it_says(name: str) -> None:
    text, path, line = EXAMPLES[name]
    given = {"np": np, "vcviz": vcviz}  # as every page of the reference says
    example = doctest.DocTestParser().get_doctest(text, given, name, str(path), line)
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert not said, "".join(said)


def test_every_public_name_has_an_example() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md"))
    tables = dict(re.findall(r"^\.\. py:data:: (\S+)\n(.*?)(?=^\S)", pages, re.M | re.S))
    for name, value in public().items():
        assert ">>>" in tables.get(name, value.__doc__ or ""), name
