"""What a student handed in: the code of each answer, taken out of whatever stands around it."""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from vcviz.base.errors import MissingError, shorten
from vcviz.course.expressions import Unreadable, evaluate
from vcviz.headless.files import notebooks_in

if TYPE_CHECKING:
    from nbformat import NotebookNode

_ASKED = re.compile(r"""course\.check\(\s*["']([\w.]+)["']""")
_MODULES = ("math", "numpy", "scipy", "vcviz", "fractions", "statistics", "itertools")
_IMPORTS = ("import math", "import numpy as np")
_BUILTINS = (
    "abs all any bool complex dict divmod enumerate float int isinstance len list map max min pow "
    "print range reversed round set sorted str sum tuple zip True False None"
)
# Of what an answer may use, that which reads or writes files, starts programs, or has the keys.
_FORBIDDEN = re.compile(
    r"_.*|(load|save|open|read|write)(txt|z|_\w+)?|(gen)?from(file|txt|regex)|to(file|_\w+)"
    r"|memmap|lib|ctypeslib|f2py|testing|io|unlink|rmdir|mkdir|rename|replace|touch|chmod|path"
    r"|check|predict|lessons|answers|solutions|grading|handed_in|cli|headless|base"
)


@dataclass(frozen=True)
class Answer:
    """The code of an answer, which ends in a value called ``answer``; or why there is none."""

    code: str = ""
    error: str = ""


def hand_ins(folder: Path) -> dict[str, list[Path]]:
    """Return student -> notebooks: a file or a subfolder of `folder` for each.

    Raises
    ------
    MissingError
        If there is no notebook.
    """
    found: dict[str, list[Path]] = {}
    for name, path in notebooks_in(folder).items() if folder.is_dir() else ():
        found.setdefault(name.split("/")[0], []).append(path)
    if not found:
        raise MissingError(
            f"no notebooks in {folder}; a student is a notebook there, or a folder of notebooks"
        )
    return dict(sorted(found.items()))


def answers(nb: NotebookNode) -> dict[str, Answer]:
    """Return question -> its answer, for every question that a notebook still asks.

    An answer is the second argument of ``course.check``, with the statements above it in its cell.
    Of a question that is asked twice the last answer counts.
    """
    found: dict[str, Answer] = {}
    for cell in nb.cells:
        if cell.cell_type == "code":
            try:
                found |= _in_cell(cell.source)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                said = getattr(error, "msg", error)
                reason = shorten(f"{type(error).__name__}: {said}", 160)
                found |= {
                    question: Answer(error=reason) for question in _ASKED.findall(cell.source)
                }
    return found


def _in_cell(source: str) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    above: list[ast.stmt] = []
    for statement in ast.parse(source).body:
        asked = [call for call in ast.walk(statement) if is_check(call)]
        if not asked:
            above.append(statement)
        for call in asked:
            question = ast.literal_eval(call.args[0])
            given = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "answer")]
            value = given[0] if given else ast.Constant(None)
            parts = [*above]
            if ast.unparse(value) != "answer":
                parts.append(ast.Assign([ast.Name("answer", ast.Store())], value))
            module = ast.fix_missing_locations(ast.Module(parts, []))
            refused = _refused(module)
            found[question] = Answer(ast.unparse(module), f"not allowed: {refused}" * bool(refused))
    return found


def is_check(node: ast.AST) -> TypeGuard[ast.Call]:
    """Return whether this calls ``course.check`` with the number of a question."""
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) == "course.check"
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )


def _refused(module: ast.Module) -> str:
    """Return what an answer may not use, as it is written there; empty if there is none."""
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                bad = any(name.name.split(".")[0] not in _MODULES for name in names)
                bad = bad or any(_FORBIDDEN.fullmatch(p) for n in names for p in n.name.split("."))
            case ast.ImportFrom(module=name, names=names):
                parts = [*(name or "_").split("."), *(n.name for n in names)]
                bad = parts[0] not in _MODULES or any(map(_FORBIDDEN.fullmatch, parts))
            case ast.Attribute(attr=name):
                bad = bool(_FORBIDDEN.fullmatch(name))
            case ast.Name(id=name):
                bad = name.startswith("_") or name == "get_ipython"
                bad = bad or (hasattr(builtins, name) and name not in _BUILTINS.split())
            case _:
                bad = False
        if bad:
            return shorten(ast.unparse(node), 60)
    return ""


def plain_value(code: str) -> tuple[bool, object]:
    """Return whether an answer is arithmetic, which needs no kernel, and its value."""
    lines = [line for line in code.splitlines() if line not in _IMPORTS]
    text = "\n".join(lines).removeprefix("answer = ")
    try:
        return True, ast.literal_eval(text)
    except (ValueError, SyntaxError):
        pass
    # With lists, and with ^, Python has other rules than what people type into a field.
    if not re.search(r"[\[^'\"]|\n", text):
        try:
            value = evaluate(text)
            return np.ndim(value) == 0, value
        except Unreadable:
            pass
    return False, None
