"""What CSV, JSON and text files would take: endless lines, columns without values, deep nesting."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from tqdm.auto import tqdm

from vcviz.data.room import check_disk, check_memory
from vcviz.errors import InputError

#: levels of lists and objects; pyarrow crashes at some tens of thousands
DEEPEST = 64
#: a line takes this many times its bytes while it is read, and a value this many bytes
_PER_BYTE, _PER_VALUE = 8, 24
_BLOCK = 10 * 2**20

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_STRINGS = re.compile(_STRING, re.DOTALL)
_KEYS = re.compile(_STRING + rb"(?:\s*+:)?", re.DOTALL)
_WHOLE = re.compile(rb'(?:[^"]++|' + _STRING + rb")*+", re.DOTALL)
_PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_ARCHIVES = {b"\x28\xb5\x2f\xfd": "Zstandard", b"\x04\x22\x4d\x18": "LZ4", b"7z\xbc\xaf": "7z",
             b"Rar!": "RAR"}  # fmt: skip


def check_text(path: Path, kind: str, separator: str = ",", *, progress: bool = True) -> None:
    """Raise an `InputError` unless there is room for a CSV, JSON or text file, packed or not.

    Parameters
    ----------
    path : the file
    kind : "csv", "json" or "text"
    separator : of the columns of a CSV file
    progress : whether work longer than two seconds shows a bar
    """
    for name, file in _opened(path):
        plain = isinstance(file, BufferedReader)
        bar = {"desc": f"looking through {name}", "delay": 2, "leave": False}
        with file, tqdm.wrapattr(file, "read", disable=not progress, **bar) as watched:
            if kind == "json":
                _check_json(name, watched, plain)
            else:
                _check_lines(name, watched, plain, separator.encode() if kind == "csv" else None)


def _opened(path: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Yield a file, unpacked if it is packed, or the files of an archive."""
    with path.open("rb") as file:
        head = file.read(512)
    for mark, name in _ARCHIVES.items():
        if head.startswith(mark):
            raise InputError(f"{path.name} is packed with {name}; unpack it first")
    if head[257:262] == b"ustar":
        raise InputError(f"{path.name} is a tar archive; unpack it first")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield f"{entry.filename} in {path.name}", cast(BinaryIO, archive.open(entry))
        return
    openers = [unpack for mark, unpack in _PACKED.items() if head.startswith(mark)]
    yield path.name, cast(BinaryIO, openers[0](path) if openers else path.open("rb"))


def _check_lines(name: str, file: BinaryIO, plain: bool, separator: bytes | None) -> None:
    """Look at the length of lines and at what short rows of many columns become."""
    first, header, n_lines, current = True, 0, 0, 0
    n_bytes = 0
    while block := file.read(_BLOCK):
        n_bytes += len(block)
        end = block.find(b"\n")
        if first and separator is not None:
            header += block.count(separator, 0, len(block) if end < 0 else end)
        first = first and end < 0
        current = current + len(block) if end < 0 else len(block) - block.rfind(b"\n") - 1
        n_lines += block.count(b"\n")
        _check_line(name, current, n_bytes, plain)
    columns = header + 1
    at_once = columns * min(n_lines, 10_000)
    what = f"{columns:,} columns of {n_lines:,} lines, which {name} declares,"
    check_memory(what, at_once * _PER_VALUE, "leave out columns without values")
    check_disk(f"{what} come", columns * n_lines * (4 if separator is not None else 0))


def _check_line(name: str, length: int, n_bytes: int, plain: bool) -> None:
    check_memory(
        f"a line of more than {length:,} bytes in {name}",
        length * _PER_BYTE,
        "write one row a line",
    )
    if not plain:
        check_disk(f"{name} unpacks", n_bytes)


def _check_json(name: str, file: BinaryIO, plain: bool) -> None:
    """Look at nesting, at lines, and at keys that few rows have: each becomes a column of all."""
    data, depth, line, n_bytes, many = b"", 0, 0, 0, _BLOCK
    while block := file.read(many):
        n_bytes += len(block)
        line = len(block) - block.rfind(b"\n") - 1 + (line if b"\n" not in block else 0)
        _check_line(name, line, n_bytes, plain)
        data += block
        end = _WHOLE.match(data).end()  # type: ignore[union-attr]
        whole, data = data[:end], data[end:]
        # A string that has not ended is looked at again with twice as much.
        many = max(_BLOCK, len(data))
        bare = np.frombuffer(_STRINGS.sub(b"", whole), np.uint8)
        opens = (bare == ord("[")) | (bare == ord("{"))
        closes = (bare == ord("]")) | (bare == ord("}"))
        levels = depth + np.cumsum(opens.astype(np.int8) - closes.astype(np.int8), dtype=np.int32)
        if levels.max(initial=0) > DEEPEST:
            raise InputError(
                f"{name} nests lists and objects more than {DEEPEST} deep; flatten its rows"
            )
        depth = int(levels[-1]) if len(levels) else depth
        keys = {key for key in _KEYS.findall(whole) if key.endswith(b":")}
        n_rows = int((bare == ord("{")).sum())
        check_memory(
            f"{len(keys):,} keys of {n_rows:,} objects in {name}",
            len(keys) * n_rows * _PER_VALUE,
            "give all rows the same keys",
        )
