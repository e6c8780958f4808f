"""Labelled data of any form as batches, and rows collected from batches."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vcviz.errors import InputError, MissingError
from vcviz.latents.outputs import Inputs
from vcviz.records import Split, as_array

#: rows that take more bytes than this go to a file instead of memory
MEMORY_LIMIT = 2**30

_LABEL_KEYS = ("labels", "label", "y", "target", "targets")
_KEYWORD_KEYS = ("pixel_values", "input_ids", "inputs_embeds", "input_values")


def length_of(data: Any) -> int | None:
    """Return how many rows `data` will give, None if it does not say."""
    if _is_pair(data):
        return len(data[0])
    if isinstance(data, DataLoader):
        data = data.sampler
    elif not isinstance(data, (Split, Dataset)):
        return None
    try:
        return len(data)
    except TypeError:
        return None


def batches_of(data: Any, batch_size: int) -> Iterator[tuple[Inputs, Any]]:
    """Yield (inputs, labels) of `data`, whichever of the forms of `extract_latents` it has."""
    if isinstance(data, Split):
        data = (data.x, data.y)
    if _is_pair(data):
        x, y = (as_array(n, _bare(v)) for n, v in zip("xy", data, strict=True))
        if x.ndim < 2 or y.shape != (len(x),):
            raise InputError(
                f"x must be (N, …) and y (N,) with the same N, got {x.shape} and {y.shape}"
            )
        if x.dtype.kind not in "fiub":
            raise InputError(f"x must be numeric, got dtype {x.dtype}")
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            yield torch.tensor(x[rows]), y[rows]
        return
    if isinstance(data, Dataset):
        data = DataLoader(data, batch_size=batch_size)
    if not isinstance(data, Iterable) or isinstance(
        data, (str, bytes, Mapping, Tensor, np.ndarray)
    ):
        raise InputError(
            f"data must be a Split, a pair (x, y) or a loader of batches, got {type(data).__name__}"
        )
    for batch in data:
        yield _parted(batch)


def _parted(batch: Any) -> tuple[Inputs, Any]:
    """Return (inputs, labels) of a loader's batch."""
    if isinstance(batch, Mapping):
        tensors = {name: v for name, v in batch.items() if isinstance(v, (Tensor, np.ndarray))}
        label = next((name for name in _LABEL_KEYS if name in tensors), None)
        if label is None or len(tensors) < 2:
            raise InputError(
                f"a batch must have inputs and labels, got a dict of {', '.join(map(str, batch))}"
            )
        y = tensors.pop(label)
        main = next((name for name in _KEYWORD_KEYS if name in tensors), None)
        if main is None:
            return torch.as_tensor(next(iter(tensors.values()))), _bare(y)
        ordered = {main: tensors.pop(main), **tensors}
        return {name: torch.as_tensor(v) for name, v in ordered.items()}, _bare(y)
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise InputError(f"a batch must be (x, y) or a dict, got {type(batch).__name__}")
    return torch.as_tensor(batch[0]), _bare(batch[1])


def _is_pair(data: Any) -> bool:
    return (
        isinstance(data, (tuple, list))
        and len(data) == 2
        and all(isinstance(part, (np.ndarray, Tensor)) for part in data)
    )


def _bare(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


class Rows:
    """Rows collected batch by batch, in memory or, if they are many, in a file.

    Parameters
    ----------
    out : ``.npy`` file for the rows; default a file without a name, and only above `MEMORY_LIMIT`
    expected : number of rows, if it is known
    """

    def __init__(
        self, out: str | os.PathLike[str] | None = None, expected: int | None = None
    ) -> None:
        self._out = None if out is None else Path(out)
        self._expected = expected
        self._buffer: NDArray[Any] = np.empty(0)
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
        stop = self._count + len(rows)
        if self._count == 0:
            self._buffer = rows[:0]
            self._reserve(max(stop, self._expected or 0))
        if rows.shape[1:] != self._buffer.shape[1:]:
            raise InputError(
                f"batches gave rows of shape {self._buffer.shape[1:]} and of {rows.shape[1:]}"
            )
        if self._file is None and stop > len(self._buffer):
            self._reserve(2 * stop)
        if self._file is None:
            self._buffer[self._count : stop] = rows
        else:
            rows.tofile(self._file)
        self._count = stop

    def finish(self) -> NDArray[Any]:
        """Return all rows (N, …), memory-mapped and read-only if they are in a file."""
        if self._file is None:
            return self._buffer[: self._count]
        self._file.seek(0)
        self._write_header()
        self._file.close()
        path = Path(self._file.name)
        if self._out is not None:
            path = path.replace(self._out)
        # A file without a name of its own is unlinked on leaving; the mapping keeps it alive.
        return np.load(path, mmap_mode="r")

    def _reserve(self, n: int) -> None:
        """Make room for `n` rows in memory, or go over to a file."""
        row = self._buffer.dtype.itemsize * math.prod(self._buffer.shape[1:])
        if self._out is None and n * row <= MEMORY_LIMIT:
            grown = np.empty((n, *self._buffer.shape[1:]), self._buffer.dtype)
            grown[: self._count] = self._buffer[: self._count]
            self._buffer = grown
            return
        if self._out is None:
            self._file = tempfile.NamedTemporaryFile(suffix=".npy", delete=False)  # noqa: SIM115
        else:
            self._file = self._out.with_name(f".{self._out.name}.part").open("w+b")
        self._write_header()
        self._buffer[: self._count].tofile(self._file)
        self._buffer = self._buffer[:0].copy()

    def _write_header(self) -> None:
        # NumPy leaves room in the header for the number of rows to grow, so it can be rewritten.
        header = {
            "descr": np.lib.format.dtype_to_descr(self._buffer.dtype),
            "fortran_order": False,
            "shape": (self._count, *self._buffer.shape[1:]),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
