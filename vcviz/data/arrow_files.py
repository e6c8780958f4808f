"""What an Arrow file says it holds, by the headers of its messages.

A file that is not compressed holds what it declares, and is read where it lies; compressed buffers
say how long they will be, and columns of nulls or with a dictionary take rows for nothing.
The headers are flatbuffers: https://arrow.apache.org/docs/format/Columnar.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vcviz.data.room import check_disk, check_memory

_ADVICE = "write it anew with smaller record batches"
_DICTIONARY, _RECORDS = 2, 3


def check_arrow(path: Path) -> None:
    """Raise an `InputError` unless there is room for what an Arrow file declares."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        whole = source.read_buffer()
        # A file of random access is a stream between two marks.
        data = whole.slice(8) if whole[:6].to_pybytes() == b"ARROW1" else whole
        _check_messages(path, data)
        _check_dictionaries(path, data)


def _check_messages(path: Path, data: Any) -> None:
    import pyarrow as pa

    total = 0
    # A row of such a column takes nothing in the file, and a pointer in memory.
    n_nulls = sum(pa.types.is_null(field.type) for field in pa.ipc.open_stream(data).schema)
    for message in pa.ipc.MessageReader.open_stream(data):
        header = message.metadata.to_pybytes()
        found = _records(header)
        if found is None:
            continue
        n_rows, n_bytes = _declared(header, found, memoryview(message.body or b""))
        total += n_bytes
        what = f"{n_rows:,} rows at once, which {path.name} declares,"
        check_memory(what, n_bytes + 8 * n_rows * n_nulls, _ADVICE)
    check_disk(f"what {path.name} declares comes", total)


def _check_dictionaries(path: Path, data: Any) -> None:
    """Refuse strings that are repeated by number until they fill the memory."""
    import pyarrow as pa
    from pyarrow import compute, types

    reader = pa.ipc.open_stream(data)
    odd = [
        k
        for k, field in enumerate(reader.schema)
        if types.is_dictionary(field.type) or str(field.type).endswith("_view")
    ]
    for batch in reader if odd else ():
        for k in odd:
            column = batch.column(k)
            # Arrow follows offsets that lead out of the file, and crashes.
            column.validate(full=True)
            values = getattr(column, "dictionary", column)
            if not len(values) or str(values.type).removesuffix("_view") not in _STRINGS:
                continue
            longest = compute.max(compute.binary_length(values)).as_py() or 0
            check_memory(
                f"{len(column):,} strings of up to {longest:,} bytes in column "
                f"{batch.schema.names[k]!r} of {path.name}",
                len(column) * longest,
                _ADVICE,
            )


_STRINGS = ("string", "large_string", "binary", "large_binary")


def _declared(header: bytes, records: int, body: memoryview) -> tuple[int, int]:
    """Return the rows of a record batch and the bytes of its buffers when unpacked."""
    packed = _field(header, records, 3) is not None
    at = _field(header, records, 0)
    n_rows = struct.unpack_from("<q", header, at)[0] if at else 0
    n_bytes = 0
    for offset, length in _buffers(header, records):
        if packed and length >= 8:
            unpacked = struct.unpack_from("<q", body, offset)[0]
            n_bytes += length if unpacked < 0 else unpacked
        else:
            n_bytes += length
    return n_rows, n_bytes


def _records(header: bytes) -> int | None:
    """Return where the record batch of a message starts, or None for a message without one."""
    message = struct.unpack_from("<I", header, 0)[0]
    kind, place = _field(header, message, 1), _field(header, message, 2)
    if kind is None or place is None or header[kind] not in (_DICTIONARY, _RECORDS):
        return None
    start = place + struct.unpack_from("<I", header, place)[0]
    if header[kind] == _RECORDS:
        return start
    inner = _field(header, start, 1)
    return None if inner is None else inner + struct.unpack_from("<I", header, inner)[0]


def _buffers(header: bytes, records: int) -> Iterator[tuple[int, int]]:
    place = _field(header, records, 2)
    if place is not None:
        start = place + struct.unpack_from("<I", header, place)[0]
        for k in range(struct.unpack_from("<I", header, start)[0]):
            yield struct.unpack_from("<qq", header, start + 4 + 16 * k)


def _field(header: bytes, table: int, number: int) -> int | None:
    """Return where a field of a flatbuffer's table lies, or None if it is not there."""
    fields = table - struct.unpack_from("<i", header, table)[0]
    at = 4 + 2 * number
    if fields < 0 or at >= struct.unpack_from("<H", header, fields)[0]:
        return None
    offset = struct.unpack_from("<H", header, fields + at)[0]
    return table + offset if offset else None
