"""Labelled data of any form as batches, and rows collected from batches."""

from __future__ import annotations

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

from vcviz.adapter import Inputs
from vcviz.errors import InputError, MissingError
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
    """Float32 rows collected batch by batch, in memory or, if they are many, in a file."""

    def __init__(self, out: str | os.PathLike[str] | None) -> None:
        self._out = None if out is None else Path(out)
        self._parts: list[NDArray[np.float32]] = []
        self._shape = (0, 0)
        self._file: Any = None

    def __enter__(self) -> Rows:
        if self._out is not None:
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            with suppress(OSError):
                os.unlink(self._file.name)

    def add(self, rows: NDArray[np.float32]) -> None:
        """Append rows (B, D)."""
        n, d = self._shape
        if n and rows.shape[1] != d:
            raise InputError(
                f"latents of {d} and of {rows.shape[1]} dimensions came from one model"
            )
        self._shape = (n + len(rows), rows.shape[1])
        if self._file is None and 4 * self._shape[0] * self._shape[1] > MEMORY_LIMIT:
            self._open()
        if self._file is None:
            self._parts.append(rows)
        else:
            rows.tofile(self._file)

    def finish(self) -> NDArray[np.float32]:
        """Return all rows (N, D), memory-mapped and read-only if they are in a file."""
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

    def _open(self) -> None:
        if self._out is None:
            self._file = tempfile.NamedTemporaryFile(suffix=".npy", delete=False)  # noqa: SIM115
        elif self._out.parent.is_dir():
            self._file = self._out.with_name(f".{self._out.name}.part").open("w+b")
        else:
            raise MissingError(f"out must lie in a folder that exists, got {str(self._out)!r}")
        self._write_header()
        for rows in self._parts:
            rows.tofile(self._file)
        self._parts = []

    def _write_header(self) -> None:
        # NumPy leaves room in the header for the number of rows to grow, so it can be rewritten.
        descr = np.lib.format.dtype_to_descr(np.dtype(np.float32))
        header = {"descr": descr, "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._file, header)
