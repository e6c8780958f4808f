"""Types of notebook parameters, built from the text of an annotation without running it."""

from __future__ import annotations

import ast
from typing import Annotated, Any, Literal, Optional, Union

_PLAIN: dict[str, Any] = {kind.__name__: kind for kind in (int, float, str, bool, list, dict)}
_PLAIN |= {"List": list, "Dict": dict, "Any": Any}
_FIELD = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
_BOUNDS = ("Ge", "Gt", "Le", "Lt", "Interval", "MinLen", "MaxLen", "Len", "MultipleOf")


def build_type(node: ast.expr) -> Any:
    """Return the type that an annotation's syntax tree stands for.

    Raises
    ------
    ValueError
        If a part of it is not one of JSON's types, ``|``, ``Optional``, ``Union``, ``Literal``, or
        ``Annotated`` with pydantic's ``Field`` or the bounds of ``annotated_types``.
    """
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return build_type(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[build_type(node.left), build_type(node.right)]  # noqa: UP007
    if isinstance(node, ast.Subscript):
        name, items = _name(node.value), _items(node.slice)
        if name == "Literal":
            return Literal[tuple(ast.literal_eval(item) for item in items)]
        if name == "Annotated":
            return Annotated[(build_type(items[0]), *map(_bound, items[1:]))]
        inner = tuple(build_type(item) for item in items)
        if name in ("list", "List", "dict", "Dict"):
            return _PLAIN[name][inner if len(inner) > 1 else inner[0]]
        if name == "Optional":
            return Optional[inner[0]]  # noqa: UP045
        if name == "Union":
            return Union[inner]  # noqa: UP007
    elif (name := _name(node)) in _PLAIN:
        return _PLAIN[name]
    raise ValueError(f"{ast.unparse(node)} is unknown")


def describe_type(node: ast.expr) -> str:
    """Return an annotation as a person would write it: ``int (ge=1)`` for Annotated[int, …]."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return describe_type(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.BinOp):
        return f"{describe_type(node.left)} | {describe_type(node.right)}"
    if isinstance(node, ast.Subscript) and _name(node.value) == "Literal":
        return " | ".join(ast.unparse(item) for item in _items(node.slice))
    if isinstance(node, ast.Subscript) and _name(node.value) == "Annotated":
        base, *bounds = _items(node.slice)
        return f"{describe_type(base)} ({', '.join(map(_describe_bound, bounds))})"
    return ast.unparse(node)


def type_of(value: object) -> tuple[Any, str]:
    """Return the type, and its text, of a parameter that has a value but no annotation."""
    kind = type(value)
    return (kind, kind.__name__) if kind in _PLAIN.values() else (Any, "any value")


def _bound(node: ast.expr) -> Any:
    """Return the constraint of a call such as ``Field(ge=1)``."""
    import annotated_types
    import pydantic

    name = _name(node.func) if isinstance(node, ast.Call) else ""
    if name != "Field" and name not in _BOUNDS:
        raise ValueError(f"{ast.unparse(node)} is unknown")
    assert isinstance(node, ast.Call)
    make: Any = pydantic.Field if name == "Field" else getattr(annotated_types, name)
    keywords = {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg}
    if name == "Field" and (stray := keywords.keys() - set(_FIELD)):
        # pydantic would only warn, and check nothing
        raise ValueError(f"Field({', '.join(stray)}=…) is no bound")
    return make(*map(ast.literal_eval, node.args), **keywords)


def _describe_bound(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and _name(node.func) in ("Field", "Interval"):
        return ", ".join(ast.unparse(k) for k in node.keywords)
    if isinstance(node, ast.Call):
        return f"{_name(node.func).lower()}={', '.join(map(ast.unparse, node.args))}"
    return ast.unparse(node)


def _items(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _name(node: ast.expr) -> str:
    """Return ``Literal`` for both ``Literal`` and ``typing.Literal``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
