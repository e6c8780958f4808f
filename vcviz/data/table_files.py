"""Tables in files of any kind that is read, as rows of each split."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from vcviz.base.errors import InputError, clip, shorten
from vcviz.base.progress import bars_shown
from vcviz.data.columns import usual_labels
from vcviz.data.dataset_files import File, arrange, exact_split, split_of
from vcviz.data.lazy_rows import Column, InMemory, OnDisk, Rows, explained
from vcviz.data.memory import check_memory
from vcviz.data.read_options import PLAIN, ReadOptions

if TYPE_CHECKING:
    import pandas as pd

#: bytes of memory that a byte of a file of text takes while it is read
_PER_BYTE = {"csv": 4, "json": 8}
_SEPARATORS = "\t;|,"
#: lines that show which of them is meant
_LOOK = 20


def read_tables(files: Sequence[File], how: ReadOptions = PLAIN) -> dict[str, Rows]:
    """Return the rows of each split that files of tables hold.

    Files of one kind are read, of that which takes the most room.

    Raises
    ------
    InputError
        If files cannot be read, or those of one split have different columns.
    """
    room: Counter[str] = Counter()
    for file in files:
        room[file.kind] += 1 + os.path.getsize(file.path)
    kind = "csv" if how.of_csv and "csv" in room else room.most_common(1)[0][0]
    if how.of_csv and kind != "csv":
        raise InputError(f"header= and separator= are for CSV files, not for {kind}")
    groups = arrange([f for f in files if f.kind == kind], by_stem=True)
    found: dict[str, Rows] = {}
    for split, group in groups.items():
        for inner, rows in _read_group(kind, group, how).items():
            # A file without splits of its own belongs to that of its name.
            name = split if inner == "" else inner
            if name in found:
                raise InputError(f"several files hold the split {name!r}; give one of them")
            found[name] = rows
    return found


def read_frame(path: str, kind: str, how: ReadOptions) -> pd.DataFrame:
    """Return a table of one split as a frame."""
    file = File(path, (), os.path.basename(path), kind)
    splits = _read_group(kind, [file], how)
    if len(splits) != 1:
        raise InputError(f"{file.name} holds several splits")
    rows = next(iter(splits.values()))
    return rows.frame(list(rows.columns))


def _read_group(kind: str, files: Sequence[File], how: ReadOptions) -> dict[str, Rows]:
    """Return the rows of files of one kind by split; that of files which name none is ""."""
    if kind in ("parquet", "arrow"):
        return {"": _columnar(kind, files)}
    parts: dict[str, list[Any]] = {}
    for file in files:
        with explained(file.name):
            for split, one in _READERS[kind](file, how).items():
                parts.setdefault(split, []).append(one)
    return {split: _stacked(several, files) for split, several in parts.items()}


def _stacked(parts: Sequence[Any], files: Sequence[File]) -> Rows:
    import pandas as pd

    if isinstance(parts[0], Rows):
        if len(parts) > 1:
            raise InputError(_several(files))
        return parts[0]
    _check_columns([list(map(str, frame.columns)) for frame in parts], files)
    whole = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    return InMemory.of_frame(whole)


def _check_columns(columns: Sequence[list[str]], files: Sequence[File]) -> None:
    for one, file in zip(columns, files, strict=False):
        if set(one) != set(columns[0]):
            raise InputError(
                f"{files[0].name} has the columns {shorten(', '.join(columns[0]), 120)}, "
                f"{file.name} has {shorten(', '.join(one), 120)}; {_several(files)}"
            )


def _several(files: Sequence[File]) -> str:
    return f"give the one to read as path:{shorten(files[0].path, 200)}, or put them in folders"


# ---------------------------------------------------------------- CSV


def _csv(file: File, how: ReadOptions) -> dict[str, pd.DataFrame]:
    import pandas as pd

    def read(encoding: str) -> pd.DataFrame:
        with _bytes(file) as stream:
            lines = [stream.readline(2**20).decode(encoding, "replace") for _ in range(_LOOK)]
        lines = [line for line in lines if line.strip()]
        if not lines:
            raise InputError("it is empty")
        separator = how.separator or _separator(lines, file.name)
        comma = separator == ";" and re.search(r"(^|;)-?\d+,\d+\s*(;|$)", lines[-1])
        names = None if how.header is True else _names(lines[0], separator, how.header)
        with _bytes(file) as stream:
            frame = pd.read_csv(
                stream,
                sep=separator,
                header=0 if names is None else None,
                names=names,
                encoding=encoding,
                decimal="," if comma else ".",
                skipinitialspace=True,
                **({"low_memory": False} if len(separator) == 1 else {"engine": "python"}),
            )
        if isinstance(frame.index, pd.RangeIndex):
            return frame
        if names is not None or frame.index.nlevels > 1:
            raise InputError(f"its rows have more values than the {frame.shape[1]} columns")
        if frame.iloc[:, -1].isna().all():
            # Rows, but not the header, end in a separator.
            return frame.reset_index().iloc[:, :-1].set_axis(frame.columns, axis=1)
        # R writes the numbers of rows without a name for their column.
        return frame.reset_index(names="index")

    try:
        frame = read("utf-8-sig")
    except UnicodeDecodeError:
        frame = read("latin-1")
    # What is read without a header ends in empty lines at times.
    frame = frame.dropna(how="all", ignore_index=True) if how.header is not True else frame
    return {"": frame.rename(columns=str)}


def _names(first: str, separator: str, header: bool | Sequence[str]) -> list[str]:
    """Return the names of the columns of a file whose first row does not hold them."""
    one = len(separator) == 1
    row = next(csv.reader([first], delimiter=separator), []) if one else first.split()
    if isinstance(header, bool):
        return [str(k) for k in range(len(row))]
    if len(header) != len(row):
        raise InputError(f"header= names {len(header)} columns, its first row has {len(row)}")
    return list(header)


def _separator(lines: Sequence[str], name: str) -> str:
    """Return the separator that lines have most of outside of quotes, as often in each."""
    if ".tsv" in name.lower():
        return "\t"
    bare = [re.sub(r'"[^"]*"', "", line) for line in lines]
    counts = {mark: [line.count(mark) for line in bare] for mark in _SEPARATORS}
    even = [mark for mark in _SEPARATORS if min(counts[mark]) == max(counts[mark])]
    best = max(even or _SEPARATORS, key=lambda mark: counts[mark][0])
    best = best if counts[best][0] else max(_SEPARATORS, key=lambda mark: counts[mark][0])
    words = bare[0].split()
    numbers = sum(re.fullmatch(r"[-+]?[\d.]+([eE][-+]?\d+)?", word) is not None for word in words)
    if counts[best][0] == 0 and len(words) > 1 and 2 * numbers >= len(words):
        return r"\s+"
    return best if counts[best][0] else ","


# ---------------------------------------------------------------- JSON


def _json(file: File, how: ReadOptions) -> dict[str, pd.DataFrame]:
    with _bytes(file) as stream:
        text = stream.read().decode("utf-8-sig")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if "Extra data" not in error.msg:
            raise
        value = [json.loads(line) for line in text.split("\n") if line.strip()]
    splits = [k for k in value if split_of(k)] if isinstance(value, dict) else []
    if splits and (len(splits) == len(value) or sum(map(bool, map(exact_split, splits))) > 1):
        return {split: _json_frame(value[split]) for split in splits if _holds(value[split])}
    return {"": _json_frame(value)}


def _holds(value: Any) -> bool:
    return isinstance(value, (list, dict)) and len(value) > 0


def _json_frame(value: Any) -> pd.DataFrame:
    """Return rows from a list of objects or lists, from columns, or from rows under class names."""
    import pandas as pd

    if isinstance(value, list) and value:
        if all(isinstance(row, dict) for row in value):
            return pd.DataFrame(value)
        if all(isinstance(row, list) for row in value):
            widths = {len(row) for row in value}
            if len(widths) > 1:
                raise InputError(f"its rows have {min(widths)} to {max(widths)} values")
            return pd.DataFrame(value, columns=[str(k) for k in range(widths.pop())])
        return pd.DataFrame({"0": value})
    if not isinstance(value, dict):
        raise InputError(f"it holds {clip(value, 40)}, not rows")
    inner = {key: v for key, v in value.items() if _holds(v)}
    if len(inner) == 1:
        return _json_frame(next(iter(inner.values())))
    if not inner or len(inner) < len(value):
        raise InputError(f"it holds an object of {clip(list(value))}, not rows")
    lists = all(isinstance(v, list) for v in inner.values())
    lengths = {len(v) for v in inner.values()}
    if lists and len(lengths) > 1 and all(isinstance(x, str) for v in inner.values() for x in v):
        rows = [(text, name) for name, texts in inner.items() for text in texts]
        return pd.DataFrame(rows, columns=["text", "label"])
    if len(lengths) > 1:
        raise InputError(f"its columns {clip(list(inner))} have different lengths")
    return pd.DataFrame(inner).reset_index(drop=True)


# ---------------------------------------------------------------- NumPy


def _npz(file: File, how: ReadOptions) -> dict[str, Rows]:
    """Return the arrays of each split; ``x_train`` and ``train_images`` name theirs."""
    with zipfile.ZipFile(file.path) as archive:
        need = sum(entry.file_size for entry in archive.infolist())
    check_memory(f"reading {file.name}", need, "make a smaller copy")
    with np.load(file.path, allow_pickle=False) as opened:
        arrays = {name: opened[name] for name in opened.files}
    splits: dict[str, dict[str, Any]] = {}
    for name, values in arrays.items():
        split = split_of(name) or ""
        rest = "_".join(w for w in re.split(r"[^A-Za-z0-9]+", name) if not split_of(w)) or name
        if values.ndim:
            splits.setdefault(split, {})[rest] = values
    if not splits:
        raise InputError("it holds no arrays")
    # What names no split is no row beside what does.
    return {s: _arrays(columns) for s, columns in splits.items() if s or len(splits) == 1}


def _arrays(arrays: Mapping[str, np.ndarray]) -> Rows:
    """Return arrays of one length as columns: pictures as such, each column of a matrix by name."""
    lengths = Counter(len(values) for values in arrays.values())
    n = lengths.most_common(1)[0][0]
    if len(lengths) > 1:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
        raise InputError(f"its arrays have different lengths: {shapes}")
    columns: dict[str, Any] = {}
    kinds: dict[str, Column] = {}
    for name, values in arrays.items():
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8")
        if values.ndim == 1 or values.shape == (n, 1):
            columns[name] = values.reshape(n)
        elif values.ndim == 2 and usual_labels([name]) and _is_one_hot(values):
            columns[name] = values.argmax(1)
        elif values.ndim == 2:
            stem = f"{name}_" if name[-1:].isdigit() else name
            columns |= {f"{stem}{k}": values[:, k] for k in range(values.shape[1])}
        else:
            columns[name] = _pictures(name, values)
            kinds[name] = Column("image")
    return InMemory(columns, kinds)


def _is_one_hot(values: np.ndarray) -> bool:
    return bool(np.isin(values, (0, 1)).all() and (values.sum(1) == 1).all())


def _pictures(name: str, values: np.ndarray) -> np.ndarray:
    """Return pictures (N, h, w) or (N, h, w, c), or with the channels first, as an array each."""
    channels_first = (
        values.ndim == 4 and values.shape[-1] not in (1, 3) and values.shape[1] in (1, 3)
    )
    if channels_first:
        values = values.transpose(0, 2, 3, 1)
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if not (values.ndim == 3 or (values.ndim == 4 and values.shape[-1] == 3)):
        raise InputError(f"array {name!r} of shape {values.shape} is neither pictures nor columns")
    if values.dtype != np.uint8:
        low, high = float(values.min(initial=0)), float(values.max(initial=0))
        if not 0 <= low <= high <= 255:
            raise InputError(
                f"pictures {name!r} must be integers from 0 to 255 or floats from 0 to 1, got "
                f"{low:g} to {high:g}"
            )
        scale = 255 if values.dtype.kind == "f" and high <= 1 else 1
        values = np.rint(values * scale).astype(np.uint8)
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out


# ---------------------------------------------------------------- Parquet and Arrow


def _columnar(kind: str, files: Sequence[File]) -> Rows:
    from pyarrow import dataset

    sources: list[Any] = []
    sizes: Counter[str] = Counter()
    for file in files:
        with explained(file.name):
            if kind == "arrow":
                table = _arrow(file.path)
                sources.append(dataset.dataset(table))
                sizes.update({name: table.column(name).nbytes for name in table.column_names})
            else:
                sources.append(dataset.dataset(file.path, format="parquet"))
                sizes.update(_sizes(next(sources[-1].get_fragments()).metadata))
    _check_columns([source.schema.names for source in sources], files)
    with explained(files[0].name):
        return OnDisk(dataset.dataset(sources) if len(sources) > 1 else sources[0], sizes)


def _sizes(meta: Any) -> dict[str, int]:
    """Return the bytes of each column of a Parquet file, unpacked."""
    sizes: Counter[str] = Counter()
    for g in range(meta.num_row_groups):
        for k in range(meta.num_columns):
            chunk = meta.row_group(g).column(k)
            sizes[chunk.path_in_schema.split(".")[0]] += chunk.total_uncompressed_size
    return sizes


def _arrow(path: str) -> Any:
    import pyarrow as pa

    source = pa.memory_map(path)
    try:
        return pa.ipc.open_file(source).read_all()
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source).read_all()


# ---------------------------------------------------------------- files


_READERS: dict[str, Any] = {"csv": _csv, "json": _json, "npz": _npz}
_UNPACK: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@contextmanager
def _bytes(file: File) -> Iterator[Any]:
    """Open a file, unpacked, with a bar if reading it takes long."""
    need = os.stat(file.path).st_size
    check_memory(f"reading {file.name}", need * _PER_BYTE[file.kind], "make a smaller copy")
    bar = {"desc": f"reading {file.name}", "delay": 2, "leave": False, "disable": not bars_shown()}
    with open(file.path, "rb") as opened, tqdm.wrapattr(opened, "read", total=need, **bar) as s:
        unpack = _UNPACK.get(os.path.splitext(file.name.lower())[1])
        yield unpack(s) if unpack else s
