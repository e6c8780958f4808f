"""What may arrive in place of an array, and what a function may answer to it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray

from vcviz.base.errors import InputError

Arrays = dict[str, Any]
Change = Callable[[NDArray[Any], np.random.Generator], Any]


def _strided(a: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def _backwards(a: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    return np.ascontiguousarray(a[::-1])[::-1]


def _read_only(a: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    copy = a.copy()
    copy.flags.writeable = False
    return copy


def _with(value: Any) -> Change:
    """Return a change of one place, drawn at random, to a value."""

    def change(a: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        copy = a.astype(np.float64)
        if copy.size:
            copy.flat[rng.integers(copy.size)] = value
        return copy

    return change


def _as(dtype: Any) -> Change:
    return lambda a, rng: a.astype(dtype)


def _full(value: float) -> Change:
    return lambda a, rng: np.full(a.shape, value)


def _object(a: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    copy = a.astype(object)
    copy.flat[0] = {"not": "a number"}
    return copy


#: the same numbers in another form: the answer is the same
SAME: dict[str, Change] = {
    "Fortran order": lambda a, rng: np.asfortranarray(a),
    "strided": _strided,
    "backwards": _backwards,
    "read-only": _read_only,
    "other byte order": lambda a, rng: a.astype(a.dtype.newbyteorder()),
    "nested lists": lambda a, rng: a.tolist(),
    "torch": lambda a, rng: torch.from_numpy(a.copy()),
    "smaller": lambda a, rng: a.astype(np.float32 if a.dtype.kind == "f" else np.int16),
    "half": lambda a, rng: a.astype(np.float16 if a.dtype.kind == "f" else np.int8),
    "unsigned": lambda a, rng: a.astype(np.uint64) if a.dtype.kind == "i" else a,
    "long": lambda a, rng: a.astype(np.longdouble) if a.dtype.kind == "f" else a,
}

#: of no number at all, or of more than one: always refused
WORSE: dict[str, Change] = {
    "objects": _object,
    "text": lambda a, rng: a.astype(str),
    "bytes": lambda a, rng: a.astype("S"),
    "complex": _as(np.complex128),
    "dates": lambda a, rng: np.zeros(a.shape, "datetime64[s]"),
    "fields": lambda a, rng: np.zeros(a.shape, [("a", float), ("b", int)]),
    "ragged": lambda a, rng: [[1.0], [1.0, 2.0]],
    "a word": lambda a, rng: "array",
    "a mapping": lambda a, rng: {"a": 1},
}

#: numbers, but not those that were meant: refused, or answered without making up NaN
BAD: dict[str, Change] = {
    "NaN": _with(np.nan),
    "all NaN": _full(np.nan),
    "infinite": _with(np.inf),
    "minus infinite": _with(-np.inf),
    "huge": _with(1e300),
    "huge and negative": _with(-1e300),
    "large": _with(1e30),
    "all huge": _full(1e300),
    "all large": _full(1e30),
    "all tiny": _full(1e-300),
    "negative": lambda a, rng: -a.astype(np.float64),
    "zeros": lambda a, rng: np.zeros_like(a),
    "ones": lambda a, rng: np.ones_like(a),
    "true and false": _as(bool),
    "halves": lambda a, rng: a + 0.5,
    "no axis": lambda a, rng: a.flat[0] if a.size else 0.0,
    "flat": lambda a, rng: a.ravel(),
    "an axis more": lambda a, rng: a[None],
    "an axis at the end": lambda a, rng: a[..., None],
    "transposed": lambda a, rng: a.T,
    "one row less": lambda a, rng: a[1:],
    "one row more": lambda a, rng: np.concatenate([a, a[:1]]),
    "one column less": lambda a, rng: a[..., 1:],
    "one column more": lambda a, rng: np.concatenate([a, a[..., :1]], axis=-1),
    "no rows": lambda a, rng: a[:0],
    "no columns": lambda a, rng: a[..., :0],
    "whole numbers": lambda a, rng: np.sign(a).astype(np.int64),
    "large whole numbers": lambda a, rng: np.full(a.shape, 2**62),
    "too large for int64": lambda a, rng: np.full(a.shape, 2**64 - 1, np.uint64),
    "masked": lambda a, rng: np.ma.masked_array(a, np.arange(a.size).reshape(a.shape) % 2 == 0),
}


def answer(call: Callable[..., Any], arrays: Mapping[str, Any]) -> Any:
    """Return what a call gives, or the `InputError` of one line that it ends in.

    Whatever else it raises, warnings included, goes through.
    """
    refused: InputError
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return call(**arrays)
        except InputError as error:
            refused = error
    assert "\n" not in str(refused), refused
    assert len(str(refused)) < 600, refused
    return refused


def numbers(result: Any) -> Iterator[NDArray[np.float64]]:
    """Yield the numbers of whatever a function returns, as arrays."""
    if isinstance(result, np.ndarray | float | int | np.number) or hasattr(result, "detach"):
        array = np.asarray(result.detach() if hasattr(result, "detach") else result)
        if array.dtype.kind in "fiub":
            yield array.astype(np.float64)
    elif isinstance(result, go.Figure):
        yield from ()
    elif dataclasses.is_dataclass(result):
        for field in dataclasses.fields(result):
            yield from numbers(getattr(result, field.name))
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from numbers(value)
    elif isinstance(result, list | tuple):
        for value in result:
            yield from numbers(value)
    elif hasattr(result, "select_dtypes"):
        yield result.select_dtypes("number").to_numpy(np.float64)


def nan_places(result: Any) -> int:
    """Return how many numbers of a result are NaN."""
    return sum(int(np.isnan(array).sum()) for array in numbers(result))


def assert_same(found: Any, expected: Any, tolerance: float, what: str) -> None:
    """Fail unless two answers hold the same numbers, or both are refusals."""
    if isinstance(expected, InputError) or isinstance(found, InputError):
        assert type(found) is type(expected), f"{what}: {found!r}, but plain: {expected!r}"
        return
    for one, other in zip(numbers(found), numbers(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=what)
