"""Numbers that somebody types: arithmetic with ``np`` and ``math``, and nothing else of Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from vcviz.base.errors import clip

_LONGEST, _LARGEST = 200, 1000  # characters of a text, numbers of a result
_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.BitXor: operator.pow,  # as people write a power by hand
    ast.MatMult: operator.matmul,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
# Each takes numbers and returns numbers, in a time and a size that go with those of its arguments.
_OF_MATH = (
    "acos asin atan atan2 cos cosh dist e erf erfc exp expm1 fabs fsum gamma hypot inf "
    "lgamma log log10 log1p log2 pi pow prod sin sinh sqrt tan tanh"
)
_OF_NP = (
    "abs arccos arcsin arctan arctan2 argmax argmin array cos cosh cumsum dot e exp exp2 expm1 "
    "hypot inf log log10 log1p log2 max maximum mean median min minimum multiply pi power prod "
    "sin sinh sqrt square std sum tan tanh transpose var"
)
_OF_LINALG = "det inv norm solve"
_NAMES: dict[str, Any] = {
    **{f"np.{name}": getattr(np, name) for name in _OF_NP.split()},
    **{f"np.linalg.{name}": getattr(np.linalg, name) for name in _OF_LINALG.split()},
    **{f"math.{name}": getattr(math, name) for name in _OF_MATH.split()},
}
_NAMES |= {k.replace("np", "numpy", 1): v for k, v in _NAMES.items() if k.startswith("np.")}
_NAMES |= {name: _NAMES[f"math.{name}"] for name in ("e", "exp", "log", "log2", "pi", "sqrt")}
_NAMES |= {"abs": abs, "max": max, "min": min, "sum": sum}


class Unreadable(ValueError):
    """A text is not arithmetic; the message says what in it is not."""


def evaluate(text: str) -> Any:
    """Return the number, list or array that a text stands for.

    Parameters
    ----------
    text : such as ``1/3``, ``12 %``, ``2 * math.log(10)``, ``np.sqrt(2)``, ``[1, -0.5]``, ``2^3``;
        at most 200 characters, and no result of more than 1000 numbers

    Raises
    ------
    Unreadable
        For anything else: other names, attributes, keywords, texts within it.

    Examples
    --------
    >>> evaluate("12 %"), evaluate("-0.5 * math.log(4)")
    (0.12, -0.6931471805599453)
    """
    said = text.strip().replace("−", "-").replace("·", "*").replace("×", "*")
    if len(said) > _LONGEST:
        raise Unreadable(f"it is longer than {_LONGEST} characters")
    percent = said.endswith("%")
    try:
        tree = ast.parse(said.removesuffix("%").strip(), mode="eval")
        with np.errstate(all="ignore"):
            value = _value(tree.body)
    except Unreadable:
        raise
    except (SyntaxError, RecursionError, MemoryError):
        raise Unreadable("it is no expression") from None
    except Exception as error:  # of NumPy's and math's functions, each their own
        raise Unreadable(" ".join(str(error).split()) or type(error).__name__) from None
    return value / 100 if percent else value


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)  # an int could be made to grow without end
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part) for part in parts]
        case ast.UnaryOp(op=op, operand=one) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_array(one)))
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_array(left), _array(right)))
        case ast.Call(func=function, args=args, keywords=[]):
            return _bounded(_named(function, called=True)(*map(_value, args)))
        case ast.Name() | ast.Attribute():
            return _named(node, called=False)
    raise Unreadable(f"{clip(ast.unparse(node))} cannot be used")


def _array(node: ast.expr) -> Any:
    """Return a value that operators take number by number."""
    value = _value(node)
    return np.array(value) if isinstance(value, list) else value


def _named(node: ast.expr, *, called: bool) -> Any:
    name = ast.unparse(node)
    found = _NAMES.get(name)
    if found is None or callable(found) != called:
        raise Unreadable(f"{clip(name)} cannot be used; np.… and math.… can")
    return found


def _bounded(value: Any) -> Any:
    if np.size(value) > _LARGEST:
        raise Unreadable(f"it has more than {_LARGEST} numbers")
    return value
