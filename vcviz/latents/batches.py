"""Labelled data of any form as batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    default_collate,
)

from vcviz.base.errors import InputError
from vcviz.latents.modules import ANYTHING, Signature
from vcviz.latents.outputs import Inputs
from vcviz.records import Split, as_array, as_numbers

_LABELS = (
    "labels", "label", "y", "target", "targets", "class", "classes", "category",
    "fine_label", "coarse_label", "label_idx", "label_id",
)  # fmt: skip
#: what the main input is called, the likelier first
_MAIN = (
    "pixel_values", "input_ids", "inputs_embeds", "input_values", "input_features", "x", "image",
    "images", "img", "input", "inputs", "features", "data", "sample", "embedding", "embeddings",
)  # fmt: skip
#: splits of a data set in parts, the likelier to be held out first
_PARTS = ("test", "validation", "valid", "val", "dev")

_LAST = object()


class Batch(NamedTuple):
    """Rows of a batch.

    Attributes
    ----------
    x : inputs of the model
    y : (B,) labels, not yet checked
    more : name -> (B,) what else the batch says of each row, such as ids and texts
    """

    x: Inputs
    y: Any
    more: Mapping[str, NDArray[Any]] = MappingProxyType({})


def resolved(data: Any) -> Any:
    """Return what rows are read from: of a data module or of named splits those held out.

    Raises
    ------
    InputError
        If there are none, or it is not clear which.
    """
    if isinstance(data, Mapping) and data and all(map(_is_hugging_face, data.values())):
        part = next((name for name in _PARTS if name in data), None)
        if part is None and len(data) > 1:
            raise InputError(f"data has the splits {', '.join(data)}; pass one of them")
        return data[part] if part else next(iter(data.values()))
    if callable(getattr(data, "test_dataloader", None)):
        return _of_module(data)
    return data


def length_of(data: Any) -> int | None:
    """Return how many rows `data` will give, None if it does not say."""
    if isinstance(data, DataLoader):
        data = data.sampler
    elif _is_pair(data):
        data = data[1]
    elif not isinstance(data, (Split, Dataset)) and not _is_hugging_face(data):
        return None
    try:
        return len(data)
    except TypeError:
        return None


def keeps_order(data: Any) -> bool:
    """Return whether the rows come in an order of their own, as far as `data` says so."""
    if isinstance(data, DataLoader):
        return isinstance(data.sampler, SequentialSampler)
    return not isinstance(data, IterableDataset)


def batches_of(data: Any, batch_size: int, takes: Signature = ANYTHING) -> Iterator[Batch]:
    """Yield the batches of `resolved` data, whichever of the forms of `extract_latents` it has.

    `takes` says which columns of a batch the model has a use for.
    """
    if isinstance(data, Split):
        data = (data.x, data.y)
    if _is_pair(data):
        yield from _slices(data[0], data[1], batch_size, takes)
        return
    if _is_hugging_face(data):
        batches = data.iter(batch_size=batch_size)
    elif isinstance(data, Dataset):
        batches = _at_home(DataLoader(data, batch_size, collate_fn=_collated))
    elif isinstance(data, Iterable) and not isinstance(
        data, (str, bytes, Mapping, Tensor, np.ndarray)
    ):
        batches = _at_home(data)
    else:
        raise InputError(
            f"data must be a Split, a pair (x, y) or a loader of batches, got {type(data).__name__}"
        )
    for batch in batches:
        yield _parted(batch, takes)


# ---------------------------------------------------------------- forms of data


def _at_home(data: Iterable[Any]) -> Iterator[Any]:
    """Yield the batches of a loader as on the CPU, whatever the session's default device is."""
    if torch.get_default_device().type == "cpu":
        yield from data
        return
    with torch.device("cpu"):
        batches = iter(data)
    while True:
        with torch.device("cpu"):
            batch = next(batches, _LAST)
        if batch is _LAST:
            return
        yield batch


def _slices(x: Any, y: Any, batch_size: int, takes: Signature) -> Iterator[Batch]:
    """Yield the batches of arrays."""
    y = _labels(as_array("y", y))
    if isinstance(x, Mapping):
        columns = {str(name): _tensor(str(name), value) for name, value in x.items()}
        for start in range(0, len(y), batch_size):
            rows = slice(start, start + batch_size)
            yield _parted(({k: v[rows] for k, v in columns.items()}, y[rows]), takes)
        return
    if hasattr(x, "toarray"):
        raise InputError("x is a sparse matrix; pass x.toarray(), or its rows in batches")
    values = x.detach() if isinstance(x, Tensor) else as_numbers("x", x)
    if values.ndim < 2 or y.shape != (len(values),):
        raise InputError(
            f"x must be (N, …) and y (N,) with the same N, got {tuple(values.shape)} and {y.shape}"
        )
    for start in range(0, len(y), batch_size):
        part = values[start : start + batch_size]
        # A copy: a model may work in place on its input.
        x = part.clone() if isinstance(part, Tensor) else _tensor("x", part)
        yield Batch(x, y[start : start + batch_size])


def _collated(rows: list[Any]) -> Any:
    try:
        return default_collate([_plain(row) for row in rows])
    except (TypeError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"rows of the data set cannot be put into one batch: {reason}; pass a loader whose "
            "collate_fn does it"
        ) from None


def _plain(value: Any) -> Any:
    """Return a row as what can be collated: pictures as tensors, records as dicts."""
    if isinstance(value, Image.Image):
        return _pixels(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_plain(part) for part in value)
    return value


def _of_module(data: Any) -> Any:
    """Return the held-out loader of a Lightning data module."""
    tried = []
    for stage, name in (("test", "test_dataloader"), ("validate", "val_dataloader")):
        loader = getattr(data, name, None)
        if not callable(loader):
            continue
        try:
            for prepare, arguments in (("prepare_data", ()), ("setup", (stage,))):
                if callable(step := getattr(data, prepare, None)):
                    step(*arguments)
            found = loader()
        except Exception as error:  # of anybody's code: not every module has every loader
            tried.append(f"{name}: {type(error).__name__} {str(error).strip().split(chr(10))[0]}")
            continue
        if isinstance(found, Mapping):
            found = list(found.values())
        if isinstance(found, (list, tuple)) and found and not _is_pair(found):
            found = found[0]
        if found is not None and found != []:
            return found
    raise InputError(
        "the data module has no test or validation loader"
        + (f" ({'; '.join(tried)})" if tried else "")
        + "; pass a loader"
    )


# ---------------------------------------------------------------- parts of a batch


def _parted(batch: Any, takes: Signature) -> Batch:
    """Return inputs, labels and the rest of what a loader gave."""
    if isinstance(batch, list) and batch and all(map(_is_row, batch)):
        batch = _collated(batch)  # as a loader gives that does not collate
    if (columns := _columns(batch)) is not None:
        return _of_columns(columns, None, takes)
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise InputError(f"a batch must be (x, y) or a dict, got {type(batch).__name__}")
    first = batch[0]
    if (columns := _columns(first)) is not None:
        more = {f"column {k}": part for k, part in enumerate(batch[2:], 2)}
        return _of_columns(columns | more, batch[1], takes)
    if isinstance(first, (tuple, list)) and first and all(_is_array(part) for part in first):
        several_x = tuple(_tensor("x", part) for part in first)
        rest = _other_columns(batch, 2, len(several_x[0]))
        return Batch(several_x if len(several_x) > 1 else several_x[0], _labels(batch[1]), rest)
    if len(batch) == 2:
        return Batch(_tensor("x", first), _labels(batch[1]))
    # (x, y, …) or, with row numbers before them, (index, x, y).
    at = next((k for k, part in enumerate(batch) if not _one_number(part)), 0)
    labels = [k for k in range(at + 1, len(batch)) if _one_number(batch[k])]
    y = labels[0] if labels else min(at + 1, len(batch) - 1)
    several = takes.required if not takes.anything else 1
    if (
        y - at == 2
        and "mask" in "".join(takes.names[1:2])
        and getattr(batch[at + 1], "shape", None) == getattr(batch[at], "shape", 0)
    ):
        several = 2  # which words are padding, or else the model would read those too
    inputs = range(at, y) if 1 < several == y - at else (at,)
    parts = tuple(_tensor("x", batch[k]) for k in inputs)
    rest = _other_columns(batch, 0, len(parts[0]), {*inputs, y})
    return Batch(parts if len(parts) > 1 else parts[0], _labels(batch[y]), rest)


def _of_columns(columns: dict[str, Any], y: Any, takes: Signature) -> Batch:
    """Return the parts of a batch with names: inputs are what the model's forward pass takes."""
    rest = dict(columns)
    if y is None:
        label = next((name for name in _LABELS if name in rest), None)
        if label is None or len(rest) < 2:
            raise InputError(
                f"a batch must have inputs and labels, got a dict of {', '.join(map(str, columns))}"
                + ("; call the column of the labels 'label'" if len(rest) > 1 else "")
            )
        y = rest.pop(label)
    usable = {name: v for name, v in rest.items() if _is_input(v)}
    taken = [name for name in takes.names if name in usable]
    missing = [name for name in takes.names[: takes.required] if name not in usable]
    if takes.anything and any(name in usable for name in _MAIN[:5]):
        wide = [name for name, v in usable.items() if name in takes.names or not _one_number(v)]
        chosen: Any = wide
    elif not (takes.anything or missing or all(_one_number(usable[name]) for name in taken)):
        chosen = taken
    else:
        chosen = _only_input(usable, takes, list(columns))
    if not isinstance(chosen, str) and list(chosen) == list(takes.names[:1]):
        chosen = chosen[0]  # the first argument goes without its name, so it can be attacked
    if isinstance(chosen, str):
        x: Inputs = _tensor(chosen, usable[chosen])
        used = {chosen}
    else:
        first = next((name for name in _MAIN if name in chosen), chosen[0])
        ordered = [first, *(name for name in chosen if name != first)]
        x, used = {name: _tensor(name, usable[name]) for name in ordered}, set(ordered)
    rows = len(y) if hasattr(y, "__len__") else 0
    more = {n: found for n, v in rest.items()
            if n not in used and (found := _as_column(v, rows)) is not None}  # fmt: skip
    return Batch(x, _labels(y), more)


def _only_input(usable: dict[str, Any], takes: Signature, columns: list[str]) -> str:
    """Return the one column that can be the input of a model; row numbers and ids cannot."""
    wide = [name for name, v in usable.items() if not _one_number(v)]
    if len(wide) == 1:
        return wide[0]
    likely = next((name for name in (*takes.names, *_MAIN) if name in wide), None)
    if likely is not None:
        return likely
    names = ", ".join(takes.names) or "no names"
    raise InputError(
        f"which of the columns {', '.join(map(str, columns))} is the input? The model's forward "
        f"pass takes {names}; give a column that name"
    )


def _columns(batch: Any) -> dict[str, Any] | None:
    """Return a batch with names for its parts as a dict, None for any other."""
    if isinstance(batch, Mapping):
        return {str(name): value for name, value in batch.items()}
    if is_dataclass(batch) and not isinstance(batch, type):
        return {f.name: getattr(batch, f.name) for f in fields(batch)}
    names = getattr(batch, "_fields", None)
    if names is None and not isinstance(batch, (tuple, list, Tensor, np.ndarray, str)):
        names = list(getattr(batch, "__dict__", ()))
    if names and any(name in _LABELS for name in names):
        return {name: getattr(batch, name) for name in names}
    return None


def _is_row(value: Any) -> bool:
    """Return whether a part of a list is a row with its label, and not a column of many."""
    if isinstance(value, Mapping):
        return True
    if not isinstance(value, (tuple, list)) or len(value) < 2:
        return False
    if not (_is_array(value[0]) or isinstance(value[0], Image.Image)):
        return False
    return any(isinstance(v, int) or (_is_array(v) and np.ndim(v) == 0) for v in value[1:])


def _other_columns(batch: Any, start: int, rows: int, used: Any = ()) -> dict[str, NDArray[Any]]:
    """Return the parts of a tuple that are neither inputs nor labels, one value a row."""
    found = {}
    for k in range(start, len(batch)):
        column = None if k in used else _as_column(batch[k], rows)
        if column is not None:
            found[f"column {k}"] = column
    return found


def _as_column(value: Any, rows: int) -> NDArray[Any] | None:
    """Return (B,) values to be told of rows, None for anything else."""
    if isinstance(value, Tensor):
        value = as_array("column", value)
    if not isinstance(value, (np.ndarray, list, tuple)) or len(value) != rows:
        return None
    try:
        column = np.asarray(value)
    except ValueError:
        return None
    return column if column.ndim == 1 and column.dtype.kind in "fiubUS" else None


def _is_input(value: Any) -> bool:
    """Return whether a column holds numbers or pictures."""
    if isinstance(value, Tensor):
        return value.ndim > 0
    if _is_array(value):
        return np.ndim(value) > 0 and np.asarray(value).dtype.kind not in "OUS"
    if not isinstance(value, (list, tuple)) or not len(value):
        return False
    first = value[0]
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    return _is_array(first) or isinstance(first, (Image.Image, int, float))


def _one_number(value: Any) -> bool:
    """Return whether a part of a batch holds one whole number, truth or word for each row."""
    if isinstance(value, Tensor):
        return value.ndim == 1 and not value.is_floating_point()
    if isinstance(value, (list, tuple)):
        return not value or isinstance(value[0], (int, str, bytes))
    return not _is_array(value) or (np.ndim(value) == 1 and np.asarray(value).dtype.kind != "f")


def _tensor(name: str, value: Any) -> Tensor:
    """Return inputs as a tensor, on the CPU whatever the default device is, if they are not one."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (list, tuple)) and len(value):
        if isinstance(value[0], (str, bytes)):
            raise InputError(f"{name} is text; turn it into the model's token ids first")
        if any(isinstance(v, Image.Image) for v in value):
            value = [_pixels(v) for v in value]
        if isinstance(value[0], Tensor):
            shapes = {tuple(v.shape) for v in value}
            if len(shapes) > 1:
                raise InputError(
                    f"rows of {name} have different shapes, such as "
                    f"{' and '.join(map(str, sorted(shapes)[:2]))}; pad or crop them"
                )
            return torch.stack(list(value))
    return torch.from_numpy(np.array(as_numbers(name, value)))


def _labels(values: Any) -> Any:
    """Return labels as one number a row, if they are truths, a column, or ones among zeros."""
    if isinstance(values, (Tensor, np.ndarray)) or np.ndim(values) == 0:
        values = as_array("y", values)
        if values.ndim == 0:
            raise InputError("data gives single rows; put them into batches: DataLoader(data, 64)")
        if values.dtype == bool:
            values = values.astype(np.int64)
        if values.ndim == 2 and values.shape[1] == 1:
            return values[:, 0]
        ones = values.ndim == 2 and values.dtype.kind in "iuf"
        if ones and ((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all():
            return values.argmax(1)
    return values


def _is_array(value: Any) -> bool:
    """Return whether a value is an array of NumPy, torch, JAX, pandas or their like."""
    return isinstance(value, (np.ndarray, Tensor)) or (
        hasattr(value, "shape") and (hasattr(value, "__array__") or hasattr(value, "toarray"))
    )


def _is_pair(data: Any) -> bool:
    """Return whether data are arrays (x, y), of which x may be a dict and y a list."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return False
    x, y = data
    listed = isinstance(y, (list, tuple)) and isinstance(data, tuple) and all(
        isinstance(k, int) for k in y)  # fmt: skip
    named = isinstance(x, Mapping) and isinstance(data, tuple) and all(map(_is_array, x.values()))
    return (_is_array(x) or named) and (_is_array(y) or listed)


def _is_hugging_face(data: Any) -> bool:
    return all(hasattr(data, name) for name in ("column_names", "features", "with_format"))


def _pixels(picture: Image.Image) -> Tensor:
    """Return a PIL image as (c, h, w) bytes."""
    array = np.array(picture if picture.mode in ("L", "RGB") else picture.convert("RGB"))
    return torch.from_numpy(array if array.ndim == 3 else array[..., None]).permute(2, 0, 1)
