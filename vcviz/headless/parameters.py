"""Typed parameters of a notebook, read from its cell tagged ``parameters`` without running it.

The cell holds one annotated literal per parameter, with its help in a comment::

    head: Literal["softmax", "variational"] = "variational"  # head to train
    epochs: Annotated[int, Field(ge=1, le=500)] = 30  # passes over the training rows
    # folders of finished runs; None trains new ones
    runs: list[str] | None = None

Types are those of JSON (int, float, str, bool, list, dict, None) with ``|``, ``Literal``, and
``Annotated`` with pydantic's ``Field`` or the bounds of ``annotated_types``. Without annotation a
parameter has the type of its value.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vcviz.base.errors import InputError, clip, nearest, shorten, unknown
from vcviz.headless.annotations import build_type, describe_type, type_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

TAG = "parameters"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook.

    Attributes
    ----------
    name : the variable's name
    type : its type as text, e.g. ``int (ge=1, le=500)``
    default : its value in the notebook; the source text where that is no literal
    help : the comment beside or above it
    annotation : its type as an object, for checking
    """

    name: str
    type: str
    default: Any
    help: str = ""
    annotation: Any = field(default=Any, repr=False, compare=False)

    def check(self, value: Any) -> Any:
        """Return `value` as a plain value of this parameter's type.

        NumPy values, tuples and paths are taken for numbers, lists and text. An int is a float,
        but a bool is no int and text is no number.

        Raises
        ------
        InputError
            If it has another type or is out of range.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            checked = TypeAdapter(self.annotation).validate_python(_plain(value), strict=True)
            json.dumps(checked)
        except ValidationError as error:
            raise InputError(self._complaint(error.errors())) from None
        except TypeError:
            raise InputError(
                f"parameter {self.name} should be {self.type} as JSON has it, got {clip(value)}"
            ) from None
        return checked

    def _complaint(self, problems: Sequence[Any]) -> str:
        first = problems[0]
        got, kind = first["input"], type(first["input"]).__name__
        inside = "".join(f"[{part!r}]" for part in first["loc"]) if len(problems) == 1 else ""
        if len(problems) > 1 or (first["type"].endswith("_type") and not inside):
            expected = self.type
        else:
            expected = first["msg"].removeprefix("Input should be ")
        choices = re.findall(r"'([^']*)'", expected) if isinstance(got, str) else ()
        close = nearest(got, choices) if choices else ""
        return (
            f"parameter {self.name}{inside} should be {expected}, got {clip(got)} ({kind}){close}"
        )


def notebook_parameters(nb: NotebookNode) -> list[Parameter]:
    """Return the parameters of a notebook, in order; none if it has no cell for them.

    Raises
    ------
    InputError
        If several cells are tagged ``parameters``, the cell is not code or does not parse, a type
        is not one that can be checked, a name is assigned twice, or a default is not of its type.
    """
    tagged = [
        number for number, cell in enumerate(nb.cells, 1) if TAG in cell.metadata.get("tags", [])
    ]
    if not tagged:
        return []
    if len(tagged) > 1:
        raise InputError(
            f"expected one cell tagged {TAG!r}, found {len(tagged)} (cells "
            f"{', '.join(map(str, tagged))}); keep one tag"
        )
    cell = nb.cells[tagged[0] - 1]
    if cell.cell_type != "code":
        raise InputError(
            f"cell {tagged[0]}, tagged {TAG!r}, should be code, is {shorten(cell.cell_type)}"
        )
    # Magics are not Python; blank lines in their place keep line numbers right.
    source = re.sub(r"(?m)^[ \t]*[%!].*$", "", cell.source)
    try:
        statements = ast.parse(source).body
        comments = dict(_comments(source))
    except SyntaxError as error:
        raise InputError(
            f"cell {tagged[0]}, tagged {TAG!r}, is not Python: line {error.lineno}, {error.msg}"
        ) from None
    found = [p for s in statements if (p := _parameter(s, comments)) is not None]
    names = [p.name for p in found]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise InputError(
            f"the parameters cell assigns {shorten(', '.join(twice))} twice; keep one line each"
        )
    return found


def check_parameters(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` checked against a notebook's parameters.

    Options of which only the owner is given, as ``dataset`` without ``dataset_options``, become
    empty: the notebook's own are for its own choice.

    Raises
    ------
    InputError
        For an unknown name, with the nearest one, or a value of the wrong type or out of range.
    """
    known = {p.name: p for p in parameters}
    for name in values:
        if not known:
            raise InputError(
                f"the notebook takes no parameters, got {clip(name)}; to give it some, tag the "
                f"cell that holds their defaults {TAG!r}"
            )
        if name not in known:
            raise unknown("parameter", name, known)
    checked = {name: known[name].check(value) for name, value in values.items()}
    return {**checked, **_freed(known, checked)}


def _freed(known: Mapping[str, Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return empty options where the notebook's own are for something else than was chosen.

    ``dataset_options`` belong to ``dataset``: those of the default dataset must not reach another.
    An encoder of "auto" is another for other data.
    """
    changed = {name for name, value in values.items() if value != known[name].default}
    freed: dict[str, Any] = {}
    for name in known.keys() - values.keys():
        owner = name.removesuffix("_options")
        if owner == name or owner not in known or not isinstance(known[name].default, dict):
            continue
        by_data = known[owner].default == "auto" and owner not in values and "dataset" in changed
        if known[name].default and (owner in changed or by_data):
            freed[name] = {}
    return freed


def _parameter(statement: ast.stmt, comments: Mapping[int, str]) -> Parameter | None:
    """Return the parameter that a statement assigns, if it is one."""
    target: ast.expr
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    else:
        return None
    if not isinstance(target, ast.Name):
        return None
    try:
        default, literal = ast.literal_eval(value), True
    except ValueError:
        default, literal = ast.unparse(value), False
    if isinstance(statement, ast.AnnAssign):
        written = statement.annotation
        try:
            annotation, text = build_type(written), describe_type(written)
        except (ValueError, TypeError, SyntaxError) as error:
            raise InputError(
                f"parameter {shorten(target.id)} has a type that cannot be checked, "
                f"{shorten(ast.unparse(written))} ({shorten(str(error))}); use int, float, str, "
                "bool, list, dict, None, Literal or Annotated"
            ) from None
    else:
        annotation, text = type_of(default if literal else None)
    help_text = _help(comments, statement.lineno, statement.end_lineno or statement.lineno)
    parameter = Parameter(target.id, text, default, help_text, annotation)
    if literal:
        try:
            parameter.check(default)
        except InputError as error:
            raise InputError(f"the notebook's own default is wrong: {error}") from None
    return parameter


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each comment; minus the line if the comment stands there alone."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            alone = not lines[row - 1][:column].strip()
            yield -row if alone else row, token.string.lstrip("#").strip()


def _help(comments: Mapping[int, str], first: int, last: int) -> str:
    """Return the comment beside the last or first line of a statement, else the block above it."""
    if beside := comments.get(last) or comments.get(first):
        return beside
    above: list[str] = []
    while (first := first - 1) and -first in comments:
        above.insert(0, comments[-first])
    return " ".join(above)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return value
