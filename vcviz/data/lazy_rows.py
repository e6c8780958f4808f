"""The rows of one split as columns, in memory or in files that are read when asked for.

Label columns may come from a dataset of their own, beside the rows that they belong to.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError, shorten
from vcviz.data.memory import check_memory

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset

#: one column as an array, an item a row
Values = NDArray[Any]
_KEY = "index"


class Column(NamedTuple):
    """What a column holds.

    Attributes
    ----------
    kind : "image", "string", "integer", "float", "bool", or the name of another type
    names : class names, where the source states them for its integers
    """

    kind: str
    names: tuple[str, ...] | None = None

    @property
    def is_number(self) -> bool:
        """Whether a row has one number or truth value."""
        return self.kind in ("integer", "float", "bool")


class Rows(ABC):
    """Rows of one split.

    Attributes
    ----------
    columns : name to what it holds
    """

    columns: dict[str, Column]

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def read(
        self, names: Sequence[str], rows: NDArray[np.int64] | None = None
    ) -> dict[str, Values]:
        """Return columns, of all rows or of those given.

        Raises
        ------
        InputError
            If they would not fit into the memory that is free.
        """

    def values(self, name: str, rows: NDArray[np.int64] | None = None) -> Values:
        """Return one column."""
        return self.read([name], rows)[name]

    def frame(self, names: Sequence[str], rows: NDArray[np.int64] | None = None) -> pd.DataFrame:
        """Return columns as a frame."""
        import pandas as pd

        return pd.DataFrame(self.read(names, rows), columns=list(names))


class InMemory(Rows):
    """Columns that are arrays already."""

    def __init__(self, arrays: Mapping[str, Values], columns: Mapping[str, Column] | None = None):
        self._arrays = {str(name): values for name, values in arrays.items()}
        given = columns or {}
        self.columns = {
            name: given[name] if name in given else column_of(values)
            for name, values in self._arrays.items()
        }

    @classmethod
    def of_frame(cls, frame: pd.DataFrame) -> InMemory:
        """Return the rows of a frame."""
        return cls({str(name): frame[name].to_numpy() for name in frame.columns})

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self._arrays.values()), ()))

    def read(
        self, names: Sequence[str], rows: NDArray[np.int64] | None = None
    ) -> dict[str, Values]:
        """Return columns, of all rows or of those given."""
        found = {name: self._arrays[name] for name in names}
        return found if rows is None else {name: v[rows] for name, v in found.items()}


class OnDisk(Rows):
    """Columns of Arrow or Parquet files: read when asked for.

    Parameters
    ----------
    source : of them; if `datasets` wrote them, it says more of the columns in their schema
    sizes : bytes of each column, as far as they are known
    """

    def __init__(self, source: pa.dataset.Dataset, sizes: Mapping[str, int]) -> None:
        self._source, self._sizes, self._n = source, sizes, source.count_rows()
        self.columns = {field.name: _column(field.type) for field in source.schema}
        if b"huggingface" in (source.schema.metadata or {}):
            from datasets import ClassLabel, Features, Image

            for name, feature in Features.from_arrow_schema(source.schema).items():
                if isinstance(feature, ClassLabel):
                    self.columns[name] = Column("integer", tuple(feature.names))
                elif isinstance(feature, Image):
                    self.columns[name] = Column("image")

    @classmethod
    def of_table(cls, table: pa.Table) -> OnDisk:
        """Return the rows of a table, which may be mapped from a file."""
        from pyarrow import dataset

        sizes = {name: table.column(name).nbytes for name in table.column_names}
        return cls(dataset.dataset(table), sizes)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._n

    def read(
        self, names: Sequence[str], rows: NDArray[np.int64] | None = None
    ) -> dict[str, Values]:
        """Return columns, of all rows or of those given."""
        names = list(dict.fromkeys(names))
        n = len(self) if rows is None else len(rows)
        # A value is copied once on its way, or an object points to it.
        size = sum(self._sizes.get(name, 0) for name in names) / max(1, len(self)) + 8 * len(names)
        check_memory(
            f"{n:,} rows of {', '.join(map(repr, names[:3]))}",
            2.0 * n * size,
            "name fewer columns, pass max_rows, or make a smaller copy",
        )
        with explained(f"column {', '.join(map(repr, names[:3]))}"):
            table = (
                self._source.to_table(columns=names)
                if rows is None
                else self._source.take(rows, columns=names)
            )
            return {name: table.column(name).to_pandas().to_numpy() for name in names}


class Beside(Rows):
    """Rows with the further columns of others.

    Parameters
    ----------
    left, right : the rows, and those whose columns are added where `left` has none of the name
    order : row of `right` for each row of `left`
    """

    def __init__(self, left: Rows, right: Rows, order: NDArray[np.int64]) -> None:
        self._left, self._right, self._order = left, right, order
        further = {k: v for k, v in right.columns.items() if k not in left.columns}
        self.columns = {**left.columns, **further}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._left)

    def read(
        self, names: Sequence[str], rows: NDArray[np.int64] | None = None
    ) -> dict[str, Values]:
        """Return columns, of all rows or of those given."""
        mine = [name for name in names if name in self._left.columns]
        others = [name for name in names if name not in self._left.columns]
        order = self._order if rows is None else self._order[rows]
        found = self._left.read(mine, rows) if mine else {}
        return {**found, **(self._right.read(others, order) if others else {})}


def column_of(values: Values) -> Column:
    """Return what an array holds, a row each."""
    kinds = {"i": "integer", "u": "integer", "f": "float", "b": "bool", "U": "string"}
    if values.dtype.kind in kinds and values.ndim == 1:
        return Column(kinds[values.dtype.kind])
    if values.dtype.kind != "O":
        return Column(str(values.dtype))
    types = {type(v) for v in values if not _missing(v)}
    if len(types) == 1:
        only = types.pop()
        return Column({str: "string", bytes: "image", bool: "bool"}.get(only, only.__name__))
    return Column("mixed values" if types else "null")


def missing(values: Values) -> NDArray[np.bool_]:
    """Return which values of a column are missing."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind != "O":
        return np.zeros(len(values), bool)
    return np.fromiter((_missing(v) for v in values), bool, len(values))


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _column(kind: Any) -> Column:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _column(kind.value_type)
    if types.is_struct(kind) and {f.name for f in kind} == {"bytes", "path"}:
        return Column("image")
    tests: Iterable[tuple[str, Any]] = (
        ("integer", types.is_integer),
        ("float", lambda t: types.is_floating(t) or types.is_decimal(t)),
        ("bool", types.is_boolean),
        ("image", lambda t: re.match(r"(large_|fixed_size_)?binary", str(t))),
        ("string", lambda t: re.match(r"(large_)?string", str(t))),
    )
    return Column(next((name for name, fits in tests if fits(kind)), str(kind)))


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn whatever a library raises while it reads into one line that says what of."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except MemoryError:
        raise InputError(f"{name} does not fit into memory; make a smaller copy") from None
    except RecursionError:
        raise InputError(f"{name} nests lists and objects too deeply; flatten its rows") from None
    except Exception as error:  # five libraries meet here
        raise InputError(f"{name} cannot be read: {in_a_line(error)}") from None


def in_a_line(error: BaseException) -> str:
    """Return what a library says, for a message."""
    return shorten(" ".join(str(error).split()) or type(error).__name__, 300)


def join_labels(
    splits: dict[str, Rows], others: dict[str, Rows], name: str, other_name: str
) -> dict[str, Rows]:
    """Return `splits` with the columns of `others` added where both have a split of one name.

    Rows are matched by the column ``index`` if both sides have it, else one by one. A column that
    both sides have must agree; it is what shows that the rows correspond.

    Raises
    ------
    InputError
        If no split is shared, rows are missing, or a shared column disagrees.
    """
    shared = [part for part in splits if part in others]
    if not shared:
        raise InputError(
            f"{other_name} has the splits {', '.join(others)}, {name!r} has {', '.join(splits)}: "
            "there is none to join"
        )
    joined = {part: _join(splits[part], others[part], part, other_name) for part in shared}
    return {**splits, **joined}


def _join(left: Rows, right: Rows, part: str, other_name: str) -> Rows:
    order = np.arange(len(right))
    if _KEY in left.columns and _KEY in right.columns:
        order = _aligned(left, right, part, other_name)
    elif len(left) != len(right):
        raise InputError(
            f"{other_name} has {len(right)} rows in {part!r}, not {len(left)}; without an "
            f"{_KEY!r} column on both sides the rows must be the same"
        )
    for column in set(left.columns) & set(right.columns) - {_KEY}:
        apart = _disagreements(left, right, column, order)
        if apart:
            raise InputError(
                f"column {column!r} of {other_name} differs in {apart} of {len(left)} rows of "
                f"{part!r}: the rows do not correspond"
            )
    return Beside(left, right, order)


def _aligned(left: Rows, right: Rows, part: str, other_name: str) -> NDArray[np.int64]:
    """Return for each row of `left` the row of `right` whose index is the same."""
    wanted, given = left.values(_KEY), right.values(_KEY)
    distinct, first = np.unique(given, return_index=True)
    place = np.searchsorted(distinct, wanted).clip(max=len(distinct) - 1)
    absent = int((distinct[place] != wanted).sum())
    if absent or len(distinct) < len(given):
        problem = f"lacks {absent} of {len(wanted)}" if absent else "repeats some"
        raise InputError(f"the column {_KEY!r} of {other_name} {problem} rows of {part!r}")
    return first[place]


def _disagreements(left: Rows, right: Rows, column: str, order: NDArray[np.int64]) -> int:
    """Return how many rows differ in a column of integers or strings; 0 for any other column."""
    kinds = {split.columns[column].kind for split in (left, right)}
    if len(kinds) != 1 or kinds.pop() not in ("integer", "string"):
        return 0
    ours, theirs = left.values(column), right.values(column, order)
    return int(((ours != theirs) & ~(missing(ours) & missing(theirs))).sum())
