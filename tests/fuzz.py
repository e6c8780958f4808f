"""A small coverage-guided search for input that makes a reader fail in a way that is not ours."""

from __future__ import annotations

import copy
import json
import random
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import vcviz
from vcviz.base.errors import InputError, RunWarning

_PACKAGE = str(Path(vcviz.__file__).parent)
#: values that readers tend to trust
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), "", "x", "../../etc/passwd", "/etc/passwd", "a/b", "..", ".", "\0", "\ud800",
    "é🦉", "<script>", "'\"\\", "x" * 10_000, [], {}, [[]], [1, 2], {"": 0}, {"a": {"a": {}}},
)  # fmt: skip
_TOKENS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"null",
    b"\xff\xfe", b"\x00", b"\x80\x04", b"../", b"&a [*a]", b"!!python/object:os.system", b"- ",
    b"2024-99-99", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"[" * 3000, b'{"a":' * 3000,
)  # fmt: skip


class Failure(AssertionError):
    """A reader raised what is not ours, for this input."""


def explore(
    use: Callable[[bytes], object], seeds: Sequence[bytes], *, tries: int, seed: int = 0
) -> int:
    """Change `seeds` and what reached new lines of vcviz, `tries` times, and try each with `use`.

    Returns
    -------
    int
        How many lines were reached.

    Raises
    ------
    Failure
        For anything raised but an `InputError` of one line; it holds the input.
    """
    rng = random.Random(seed)
    pool, reached = list(seeds), set[tuple[str, int]]()
    for data in seeds:
        reached |= _lines(use, data)
    for _ in range(tries):
        # What was found last leads on most often.
        data = pool[max(rng.randrange(len(pool)), rng.randrange(len(pool)))]
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            data = changed(data, rng)
        found = _lines(use, data)
        if found - reached:
            reached |= found
            pool.append(data)
    return len(reached)


def _lines(use: Callable[[bytes], object], data: bytes) -> set[tuple[str, int]]:
    """Return the lines of vcviz that reading `data` reaches."""
    seen: set[tuple[str, int]] = set()

    def line(frame: FrameType, event: str, argument: object) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: FrameType, event: str, argument: object) -> Any:
        return line if frame.f_code.co_filename.startswith(_PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", RunWarning)
            refused(use, data)
    finally:
        sys.settrace(before)
    return seen


def refused(use: Callable[[bytes], object], data: bytes) -> None:
    """Try `data`; a `Failure` unless it is taken or refused by an `InputError` of one line."""
    try:
        use(data)
    except InputError as error:
        if "\n" in str(error) or len(str(error)) > 2000:
            raise Failure(f"{data[:300]!r} gives a message of more than a line: {error}") from error
    except Exception as error:
        raise Failure(f"{type(error).__name__}: {error}, of {data[:2000]!r}") from error


def changed(data: bytes, rng: random.Random) -> bytes:
    """Return data with one thing changed: a value of its JSON, or some of its bytes."""
    if rng.random() < 0.7:
        start, end = _json_part(data)
        try:
            values = json.loads(data[start:end])
        except (ValueError, RecursionError):
            return _bytes_changed(data, rng)
        text = json.dumps(_value_changed(values, rng)).encode()
        if start == 8:  # a safetensors file says how long its header is
            return len(text).to_bytes(8, "little") + text + data[end:]
        return text
    return _bytes_changed(data, rng)


def _json_part(data: bytes) -> tuple[int, int]:
    if data[8:9] == b"{" and data[:1] != b"{":
        return 8, 8 + int.from_bytes(data[:8], "little")
    return 0, len(data)


def _value_changed(values: Any, rng: random.Random) -> Any:
    values = copy.deepcopy(values)
    places = list(_places(values))
    if not places:
        return rng.choice(_ODD)
    holder, key = rng.choice(places)
    change = rng.random()
    if change < 0.15:
        del holder[key]
    elif change < 0.3 and isinstance(holder, dict):
        holder[f"{key}{rng.choice(('', 's', '.x', ' '))}x"] = copy.deepcopy(holder[key])
    elif change < 0.4:
        other, place = rng.choice(places)
        holder[key] = copy.deepcopy(other[place])
    else:
        holder[key] = rng.choice(_ODD)
    return values


def _places(values: Any) -> Any:
    if isinstance(values, dict | list):
        for key in values if isinstance(values, dict) else range(len(values)):
            yield values, key
            yield from _places(values[key])


def _bytes_changed(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    to = min(len(data), at + rng.choice((1, 2, 8, 100)))
    change = rng.randrange(4)
    if change == 0:
        return data[:at]
    if change == 1:
        return data[:at] + data[to:]
    if change == 2:
        return data[:at] + rng.choice(_TOKENS) + data[at:]
    return data[:at] + rng.randbytes(to - at) + data[to:]
