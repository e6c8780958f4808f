"""Images or texts that are a file each: labelled by their folders, or by tables beside them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError, clip
from vcviz.base.progress import bar, bars
from vcviz.data.columns import usual_labels
from vcviz.data.dataset_files import File, Places, arrange, class_folders, class_names
from vcviz.data.lazy_rows import Column, Rows, Values, column_of
from vcviz.data.read_options import ReadOptions
from vcviz.data.table_files import read_frame

#: kinds of tables that are looked for beside documents
_BESIDE = ("csv", "json", "parquet")
#: rows of a table of which at least one must name a file
_LOOK = 100


class Documents(Rows):
    """Files of one split, one a row, and `further` columns of the same rows.

    Their pixels or words are the column called "image" or "text", as is their kind.
    """

    def __init__(
        self,
        kind: str,
        files: Sequence[File],
        further: dict[str, Values],
        columns: dict[str, Column],
    ) -> None:
        self._kind, self._files, self._further = kind, files, further
        self.columns = {kind: Column("image" if kind == "image" else "string"), **columns}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._files)

    def read(
        self, names: Sequence[str], rows: NDArray[np.int64] | None = None
    ) -> dict[str, Values]:
        """Return columns: paths of images, and texts, which are read now."""
        found: dict[str, Values] = {}
        for name in names:
            if name == self._kind:
                chosen = self._files if rows is None else [self._files[k] for k in rows]
                found[name] = np.array([f.path for f in chosen], object)
                if self._kind == "text":
                    found[name] = _texts(chosen)
            else:
                found[name] = self._further[name] if rows is None else self._further[name][rows]
        return found


def read_documents(
    kind: str,
    folder: Path,
    files: Sequence[File],
    how: ReadOptions,
) -> dict[str, Rows]:
    """Return the images or texts of each split, with their labels where they have any.

    A class is the innermost folder in which the files differ. Tables beside them, read as asked,
    add their columns to the files that they name, by a path or by a name with or without its
    suffix.
    """
    splits = {
        name: class_folders(group)
        for name, group in arrange([f for f in files if f.kind == kind]).items()
    }
    places = Places(folder)
    for file in (f for group in splits.values() for f in group if f.is_link):
        places.locate(file.path)
    labels = {name: class_names(group) for name, group in splits.items()}
    classes = _in_order({c for found in labels.values() for c in found or ()})
    for name, group in splits.items():
        only = {f.parts[-1] if f.parts else "" for f in group}
        if labels[name] is None and only <= set(classes):
            labels[name] = [f.parts[-1] for f in group]  # of one class
    tables = [f for f in files if f.kind in _BESIDE]
    known = _Known(folder, tables, splits, how) if tables else None
    # Where a split without folders of classes has its labels in a table, so have the others.
    shared = known.shared() if known is not None and None in labels.values() else []
    by_table = bool(usual_labels(shared))
    result: dict[str, Rows] = {}
    for name, group in splits.items():
        further = known.columns(name) if known else {}
        columns = {c: column_of(values) for c, values in further.items()}
        found = labels[name]
        if found is not None and by_table:
            further.setdefault("folder", np.array(found))
            columns.setdefault("folder", Column("string"))
        elif found is not None and "label" not in further:
            code = {c: k for k, c in enumerate(classes)}
            further["label"] = np.array([code[c] for c in found], np.int64)
            columns["label"] = Column("integer", tuple(classes))
        elif found is None and known is not None and (named := known.named[name]).any():
            # Without folders, a file that no table names has no label.
            further = {c: values[named] for c, values in further.items()}
            group = [f for f, is_named in zip(group, named, strict=True) if is_named]
        result[name] = Documents(kind, group, further, columns)
    return result


class _Known:
    """What tables say of files.

    Attributes
    ----------
    named : split to which of its files are named by a table
    """

    def __init__(
        self,
        folder: Path,
        tables: Sequence[File],
        splits: dict[str, list[File]],
        how: ReadOptions,
    ) -> None:
        self._places = [(name, k) for name, group in splits.items() for k in range(len(group))]
        paths = [os.path.relpath(f.path, folder) for group in splits.values() for f in group]
        self._paths = {path.replace(os.sep, "/"): k for k, path in enumerate(paths)}
        self._names = _unique([os.path.basename(path) for path in paths])
        self._stems = _unique([os.path.splitext(os.path.basename(path))[0] for path in paths])
        self.named = {name: np.zeros(len(group), bool) for name, group in splits.items()}
        self._columns: dict[str, dict[str, Values]] = {name: {} for name in splits}
        for table in bar(tables, "reading tables", leave=False):
            try:
                with bars(False):
                    frame = read_frame(table.path, table.kind, how)
            except InputError:
                continue  # what lies beside images may be anything
            start = os.path.relpath(os.path.dirname(table.path), folder).replace(os.sep, "/")
            self._add(frame, "" if start == "." else f"{start}/")

    def columns(self, split: str) -> dict[str, Values]:
        """Return the columns that tables add to the files of a split, of the types they hold."""
        return {name: _typed(values) for name, values in self._columns[split].items()}

    def shared(self) -> list[str]:
        """Return the columns that files of every split have."""
        first, *others = self._columns.values()
        return [name for name in first if all(name in found for found in others)]

    def _add(self, frame: Any, start: str) -> None:
        best, found = None, np.zeros(0, np.int64)
        for column in frame.columns:
            values = frame[column].tolist()
            if not any(self._find(v, start) >= 0 for v in values[:_LOOK]):
                continue
            here = np.array([self._find(v, start) for v in values], np.int64)
            if (here >= 0).sum() > (found >= 0).sum():
                best, found = column, here
        if best is None:
            return
        rows = np.flatnonzero(found >= 0)
        for column in frame.columns.drop(best):
            values = frame[column].tolist()
            for row in rows:
                split, k = self._places[found[row]]
                target = self._columns[split]
                if column not in target:
                    target[column] = np.full(len(self.named[split]), None, object)
                target[column][k] = values[row]
        for row in rows:
            split, k = self._places[found[row]]
            self.named[split][k] = True

    def _find(self, value: object, start: str) -> int:
        """Return the number of the file that a value names, or -1."""
        name = str(value).replace("\\", "/").removeprefix("./")
        base = name.rsplit("/", 1)[-1]
        for known, key in (
            (self._paths, start + name),
            (self._paths, name),
            (self._names, base),
            (self._stems, name),
        ):
            if key in known:
                return known[key]
        return -1


def _typed(values: Values) -> Values:
    kinds = {type(v) for v in values}
    if kinds in ({int}, {float}, {bool}):
        return np.array(values.tolist())
    return values


def _unique(names: Sequence[str]) -> dict[str, int]:
    """Return the number of each name that comes once."""
    times = Counter(names)
    return {name: k for k, name in enumerate(names) if times[name] == 1}


def _in_order(names: set[str]) -> list[str]:
    """Return names sorted; numbers by their value."""
    numbers = all(name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name) if numbers else 0, name))


def _texts(files: Sequence[File]) -> Values:
    out = np.empty(len(files), object)
    for k, file in enumerate(bar(files, "reading texts")):
        try:
            with open(file.path, "rb") as opened:
                data = opened.read()
        except OSError as error:
            raise InputError(f"{clip(file.path, 200)} cannot be read: {error.strerror}") from None
        if b"\0" in data:
            raise InputError(f"{clip(file.path, 200)} holds no text")
        try:
            out[k] = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            # Older collections are in Latin-1, in which every byte is a character.
            out[k] = data.decode("latin-1")
    return out
