"""Rows collected from batches, in memory or in a file."""

from __future__ import annotations

import math
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError, MissingError

#: rows that take more bytes than this go to a file instead of memory
MEMORY_LIMIT = 2**30


class Rows:
    """Rows collected batch by batch, in memory or, if they are many, in a file.

    Parameters
    ----------
    out : ``.npy`` file for the rows; default a file without a name, and only above `MEMORY_LIMIT`
    """

    def __init__(self, out: str | os.PathLike[str] | None = None) -> None:
        self._out = None if out is None else Path(out)
        self._parts: list[NDArray[Any]] = []  # those that are not in the file
        self._like: NDArray[Any] = np.empty(0)
        self._count = 0
        self._file: Any = None

    def __enter__(self) -> Rows:
        if self._out is not None and not self._out.parent.is_dir():
            raise MissingError(f"out must lie in a folder that exists, got {str(self._out)!r}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            with suppress(OSError):
                os.unlink(self._file.name)

    def __len__(self) -> int:
        return self._count

    def add(self, rows: NDArray[Any]) -> None:
        """Append rows (B, …), all of one shape and dtype."""
        if self._count == 0:
            self._like = rows[:0]
        if rows.shape[1:] != self._like.shape[1:]:
            raise InputError(
                f"batches gave rows of shape {self._like.shape[1:]} and of {rows.shape[1:]}"
            )
        self._parts.append(rows.copy())  # what it is a view of may be filled anew
        self._count += len(rows)
        size = self._count * self._like.itemsize * math.prod(self._like.shape[1:])
        if self._out is not None or size > MEMORY_LIMIT:
            self._spill()

    def finish(self) -> NDArray[Any]:
        """Return all rows (N, …), memory-mapped and read-only if they are in a file."""
        if self._file is None:
            return np.concatenate(self._parts)
        self._file.seek(0)
        self._write_header()
        self._file.close()
        path = Path(self._file.name)
        if self._out is not None:
            path = path.replace(self._out)
        # A file without a name of its own is unlinked on leaving; the mapping keeps it alive.
        return np.load(path, mmap_mode="r")

    def _spill(self) -> None:
        """Put the rows that are in memory into the file."""
        if self._file is None:
            if self._out is None:
                self._file = tempfile.NamedTemporaryFile(suffix=".npy", delete=False)  # noqa: SIM115
            else:
                self._file = self._out.with_name(f".{self._out.name}.part").open("w+b")
            self._write_header()
        for part in self._parts:
            part.tofile(self._file)
        self._parts = []

    def _write_header(self) -> None:
        # NumPy leaves room in the header for the number of rows to grow, so it can be rewritten.
        header = {
            "descr": np.lib.format.dtype_to_descr(self._like.dtype),
            "fortran_order": False,
            "shape": (self._count, *self._like.shape[1:]),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
