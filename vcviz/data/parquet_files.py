"""What a Parquet file says it holds, by its footer: rows, lists and repeated strings.

Encoded, a constant column takes no room, and a string of a dictionary comes as often as its row
numbers say: the bytes on disk bound nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

from vcviz.data.room import check_disk, check_memory, free_memory

#: bits of a value, by its physical type
_BITS = {"BOOLEAN": 1, "INT32": 32, "FLOAT": 32, "INT64": 64, "DOUBLE": 64, "INT96": 64}
#: bytes of strings that are decoded at once to see how long they are
_LOOK = 2**27
_ADVICE = "write it anew with smaller row groups"
#: a row group is decoded whole, and copied once
_COPIES = 2


def check_parquet(path: Path) -> int:
    """Return how many rows a Parquet file declares, if there is room for them.

    Raises
    ------
    InputError
        If they would not fit on the disk, or a row group, which is read whole, not into memory.
    """
    from pyarrow import parquet

    with path.open("rb") as file, parquet.ParquetFile(file) as opened:
        meta = opened.metadata
        schema = [meta.schema.column(k) for k in range(meta.num_columns)]
        bits = [_bits(column) for column in schema]
        free = free_memory()
        total = 0.0
        for g in range(meta.num_row_groups):
            group = meta.row_group(g)
            what = f"a row group of {group.num_rows:,} rows, which {path.name} declares,"
            here = 0.0
            for k, column in enumerate(schema):
                chunk = group.column(k)
                n_values = max(chunk.num_values, group.num_rows)
                here += n_values * bits[k] / 8
                if column.physical_type == "BYTE_ARRAY":
                    longest = _longest(file, chunk)
                    here += max(0, chunk.total_uncompressed_size)
                    if _COPIES * n_values * longest > free:
                        for strings in opened.iter_batches(
                            max(1, int(_LOOK / longest)), row_groups=[g], columns=[column.path]
                        ):
                            here += strings.nbytes
                            check_memory(what, _COPIES * here, _ADVICE)
            check_memory(what, _COPIES * here, _ADVICE)
            total += here
        check_disk(f"{path.name} declares {meta.num_rows:,} rows, which come", total)
        return meta.num_rows


def _bits(column: Any) -> int:
    logical = json.loads(column.logical_type.to_json())
    if logical.get("Type") == "Int":
        return int(logical["bitWidth"])
    if column.physical_type == "FIXED_LEN_BYTE_ARRAY":
        return 8 * column.length
    return _BITS.get(column.physical_type, 32)


def _longest(file: BinaryIO, chunk: Any) -> int:
    """Return the bytes that a string of a chunk may take again and again; 0 if each is written."""
    whole = max(0, chunk.total_uncompressed_size)
    if any("DELTA" in encoding for encoding in chunk.encodings):
        return whole
    if chunk.has_dictionary_page:
        return _page_size(file, chunk.dictionary_page_offset) or whole
    return 0


def _page_size(file: BinaryIO, start: int) -> int | None:
    """Return the bytes of the unpacked page at a place, which its header in Thrift says.

    The header starts with two integers, the kind of page and that size: each a byte 0x15 and a
    zigzag number of variable length (parquet-format, PageHeader).
    """
    file.seek(max(0, start))
    head = iter(file.read(16))
    number = 0
    for _ in range(2):
        if next(head, 0) != 0x15:
            return None
        number, shift = 0, 0
        for byte in head:
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
    return number >> 1
