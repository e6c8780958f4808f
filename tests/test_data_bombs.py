"""Small files that say they hold more than there is room for are refused before it is taken."""

from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from vcviz.data import load_data
from vcviz.data.text_files import DEEPEST
from vcviz.errors import InputError

MB = 2**20


@pytest.fixture(autouse=True)
def _apart(tmp_path_factory, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def small_machine(monkeypatch):
    """64 MB of memory and 64 MB of disk are free."""
    for module in ("room", "frames", "parquet_files"):
        monkeypatch.setattr(f"vcviz.data.{module}.free_memory", lambda: 64 * MB)
    for module in ("room", "conversion"):
        monkeypatch.setattr(f"vcviz.data.{module}.free_disk", lambda: (64 * MB, Path("/cache")))


def load(path: Path, **options: Any):
    return load_data(f"path:{path}", progress=False, **options)


def labels(n: int) -> np.ndarray:
    return np.arange(n) % 2


def repeated(n: int, text: str, index: Any = None) -> pa.DictionaryArray:
    zeros = pa.array(np.zeros(n, np.int8))
    return pa.DictionaryArray.from_arrays(zeros, pa.array([text], pa.string()))


def _parquet(folder: Path, **options: Any) -> Callable[[dict[str, Any]], None]:
    def write(columns: dict[str, Any]) -> None:
        table = pa.table(columns)
        parquet.write_table(
            table, folder / "t.parquet", compression="zstd", store_schema=False, **options
        )

    return write


def many_rows(folder: Path) -> None:
    _parquet(folder)({"x": np.zeros(10_000_000), "label": np.zeros(10_000_000, bool)})


def many_rows_in_groups(folder: Path) -> None:
    _parquet(folder, row_group_size=10**6)({"x": np.zeros(10**7), "label": np.zeros(10**7, bool)})


def one_string_again_and_again(folder: Path) -> None:
    n = 10_000
    _parquet(folder)({"text": repeated(n, "w " * 50_000), "label": labels(n)})


def strings_of_deltas(folder: Path) -> None:
    texts = ["w " * 50_000] * 1000
    _parquet(folder, use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"})(
        {"text": texts, "label": pa.array(labels(1000), pa.int8())}
    )


def one_image_again_and_again(folder: Path) -> None:
    images = pa.array([{"bytes": bytes(200_000), "path": None}] * 1000)
    _parquet(folder)({"image": images, "label": labels(1000)})


def long_lists(folder: Path) -> None:
    n = 10**6
    offsets = pa.array(np.arange(11) * n, pa.int32())
    lists = pa.ListArray.from_arrays(offsets, pa.array(np.zeros(10 * n)))
    _parquet(folder)({"x": np.arange(10.0), "label": labels(10), "votes": lists})


def packed_arrow(folder: Path) -> None:
    table = pa.table({"x": np.zeros(10**7), "label": np.zeros(10**7, bool)})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(folder / "t.arrow", table.schema, options=options) as writer:
        writer.write_table(table)


def packed_arrow_file(folder: Path) -> None:
    table = pa.table({"x": np.zeros(10**7), "label": np.zeros(10**7, bool)})
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(folder / "t.arrow", table.schema, options=options) as writer:
        writer.write_table(table)


def _arrow(folder: Path, columns: dict[str, Any]) -> None:
    table = pa.table(columns)
    with pa.ipc.new_stream(folder / "t.arrow", table.schema) as writer:
        writer.write_table(table)


def arrow_nulls(folder: Path) -> None:
    _arrow(folder, {"x": pa.nulls(2 * 10**9), "label": pa.nulls(2 * 10**9)})


def arrow_dictionary(folder: Path) -> None:
    n = 10_000
    _arrow(folder, {"text": repeated(n, "w " * 50_000), "label": labels(n)})


def a_long_line_in_gzip(folder: Path) -> None:
    with gzip.open(folder / "t.csv.gz", "wb") as file:
        file.write(b"x,label\n" + b"1" * 20 * MB)


def gzip_in_disguise(folder: Path) -> None:
    rows = b"x,label\n" + b"1,0\n2,1\n" * 15_000_000
    (folder / "t.csv").write_bytes(gzip.compress(rows, 1))


def a_long_line_in_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "train.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", b"x,label\n" + b"1" * 20 * MB)


def an_endless_file_without_a_byte(folder: Path) -> None:
    with (folder / "t.csv").open("wb") as file:
        file.truncate(2**40)


def columns_without_values(folder: Path) -> None:
    names = ",".join(f"c{k}" for k in range(1000))
    (folder / "t.csv").write_text(f"{names},label\n" + "1\n" * 20_000)


def keys_that_no_other_row_has(folder: Path) -> None:
    rows = "".join(f'{{"k{k}":1}}\n' for k in range(3000))
    (folder / "t.jsonl").write_text(rows)


def deep_json(folder: Path) -> None:
    (folder / "t.jsonl").write_text('{"x":' + "[" * 100_000 + "]" * 100_000 + ',"label":0}\n')


def deep_json_objects(folder: Path) -> None:
    (folder / "t.json").write_text(
        '[{"x":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + ',"label":0}]'
    )


def large_images(folder: Path) -> None:
    data = io.BytesIO()
    Image.new("1", (4000, 4000)).save(data, "PNG")
    images = pa.array([{"bytes": data.getvalue(), "path": None}] * 20)
    _parquet(folder)({"image": images, "label": labels(20)})


def a_long_text(folder: Path) -> None:
    _parquet(folder)({"text": ["a " * 1_500_000, "b"] * 3, "label": labels(6)})


BOMBS = {
    many_rows: r"a row group of 1,048,576 rows|t.parquet declares 10,000,000 rows, which come to",
    many_rows_in_groups: r"t.parquet declares 10,000,000 rows, which come to 81.2 MB, more than",
    one_string_again_and_again: r"a row group of 10,000 rows, which t.parquet declares, would take",
    strings_of_deltas: r"a row group of 1,000 rows, which t.parquet declares, would take",
    one_image_again_and_again: r"a row group of 1,000 rows, which t.parquet declares, would take",
    long_lists: r"a row group of 10 rows, which t.parquet declares, would take 160.0 MB of memory",
    packed_arrow: r"10,000,000 rows at once, which t.arrow declares, would take 81.2 MB of memory",
    packed_arrow_file: r"10,000,000 rows at once, which t.arrow declares, would take 81.2 MB",
    arrow_nulls: r"2,000,000,000 rows at once, which t.arrow declares, would take 32.0 GB",
    arrow_dictionary: r"10,000 strings of up to 100,000 bytes in column 'text' of t.arrow would",
    a_long_line_in_gzip: r"a line of more than [\d,]+ bytes in t.csv.gz would take",
    gzip_in_disguise: r"t.csv unpacks to [\d.]+ MB, more than the 67.1 MB that are free where /cac",
    a_long_line_in_zip: r"a line of more than [\d,]+ bytes in t.csv in train.zip would take",
    an_endless_file_without_a_byte: r"a line of more than [\d,]+ bytes in t.csv would take",
    columns_without_values: r"1,001 columns of 20,001 lines, which t.csv declares, would take 240",
    keys_that_no_other_row_has: r"3,000 keys of 3,000 objects in t.jsonl would take 216.0 MB",
    deep_json: rf"t.jsonl nests lists and objects more than {DEEPEST} deep; flatten its rows",
    deep_json_objects: rf"t.json nests lists and objects more than {DEEPEST} deep; flatten its",
    large_images: r"20 images of 4000 x 4000 pixels would take 320.0 MB of memory, more than the",
    a_long_text: r"the words of text \d would take 120.0 MB of memory, more than the 67.1 MB",
}  # fmt: skip


@pytest.mark.usefixtures("small_machine")
@pytest.mark.parametrize("make", BOMBS, ids=lambda make: make.__name__)
def test_what_there_is_no_room_for_is_refused_in_one_line(tmp_path, make):
    make(tmp_path)
    on_disk = sum(f.stat().st_blocks * 512 for f in tmp_path.iterdir())
    assert on_disk < 2 * MB
    with pytest.raises(InputError, match=BOMBS[make]) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


# ---------------------------------------------------------------- what fits is read


@pytest.mark.usefixtures("small_machine")
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "json", "parquet", "arrow", "zip"])
def test_what_there_is_room_for_is_read(tmp_path, suffix):
    n = 2000
    frame = pd.DataFrame(
        {"x": np.arange(n) / 7, "kind": ["a", "b]{"] * (n // 2), "label": labels(n)}
    )
    path = tmp_path / f"train.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("train.csv", frame.to_csv(index=False))
    elif suffix == "arrow":
        frame.to_parquet(tmp_path / "t.parquet")
        table = parquet.read_table(tmp_path / "t.parquet")
        (tmp_path / "t.parquet").unlink()
        with pa.ipc.new_file(
            path, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
        ) as writer:
            writer.write_table(table)
    else:
        write = {"csv": frame.to_csv, "csv.gz": frame.to_csv, "parquet": frame.to_parquet}
        if "json" in suffix:
            frame.to_json(path, orient="records", lines=suffix == "jsonl")
        else:
            write[suffix](path, index=False)
    train, test = load(tmp_path)
    assert len(train) + len(test) == n
    assert train.x.shape[1] == 3


@pytest.mark.usefixtures("small_machine")
def test_what_is_in_the_cache_is_read_however_full_the_disk_is(tmp_path, monkeypatch):
    pd.DataFrame({"x": np.arange(9.0), "label": labels(9)}).to_parquet(tmp_path / "t.parquet")
    first = load(tmp_path)[0]
    for module in ("room", "conversion"):
        monkeypatch.setattr(f"vcviz.data.{module}.free_disk", lambda: (0, Path("/cache")))
    assert np.array_equal(load(tmp_path)[0].x, first.x)


def test_few_rows_of_a_column_larger_than_memory_are_read(tmp_path, monkeypatch):
    n = 10_000
    texts = [f"{k} " * 100 for k in range(n)]
    pd.DataFrame({"text": texts, "label": labels(n)}).to_parquet(tmp_path / "t.parquet")
    whole = load(tmp_path, max_rows=20)[0]
    for module in ("room", "frames"):
        monkeypatch.setattr(f"vcviz.data.{module}.free_memory", lambda: 10**6)
    assert load(tmp_path, max_rows=20)[0].texts == whole.texts
    with pytest.raises(InputError, match=r"[\d,]+ rows of 'text' would take [\d.]+ MB of memory"):
        load(tmp_path)


def test_rows_that_grow_are_stopped_while_they_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr("vcviz.data.conversion.free_disk", lambda: (100_000, Path("/cache")))
    _parquet(tmp_path)({"x": np.arange(20_000.0), "label": labels(20_000)})
    # What the file declares is looked at first, by another number.
    monkeypatch.setattr("vcviz.data.room.free_disk", lambda: (10**9, Path("/cache")))
    with pytest.raises(InputError, match=r"^path:.*: the rows come to 0.3 MB, more than the 0.1"):
        load(tmp_path)


@pytest.mark.parametrize("seed", range(20))
def test_an_arrow_file_that_lies_about_its_strings_is_refused(tmp_path, seed):
    rng = np.random.default_rng(seed)
    _arrow(tmp_path, {"text": pa.array(["a", "bee"] * 6).dictionary_encode(), "label": labels(12)})
    path = tmp_path / "t.arrow"
    data = path.read_bytes()
    # The offsets of the two strings.
    at = data.index(struct.pack("<3i", 0, 1, 4))
    offsets = rng.integers(-(2**31), 2**31, 3, dtype=np.int32).tobytes()
    path.write_bytes(data[:at] + offsets + data[at + 12 :])
    with pytest.raises(InputError, match=r"cannot be read as a dataset: .*(offset|Offset|length)"):
        load(path)


# ---------------------------------------------------------------- a saved dataset


def saved(folder: Path) -> Path:
    import datasets

    for part in ("train", "test"):
        rows = datasets.Dataset.from_dict({"x": [1.0, 2, 3, 4], "label": [0, 1, 0, 1]})
        rows.save_to_disk(str(folder / part))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return folder


def test_a_saved_dataset_is_read(tmp_path):
    assert [len(split) for split in load(saved(tmp_path))] == [4, 4]


@pytest.mark.parametrize("file", ["train/state.json", "dataset_dict.json"])
def test_a_saved_dataset_that_leads_out_of_its_folder_is_refused(tmp_path, file):
    saved(tmp_path / "other")
    path = saved(tmp_path / "mine") / file
    stored = json.loads(path.read_text())
    if file == "dataset_dict.json":
        stored["splits"][0] = "../other/train"
    else:
        stored["_data_files"][0]["filename"] = "../../other/train/data-00000-of-00001.arrow"
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"lies outside of it"):
        load(tmp_path / "mine")


# ---------------------------------------------------------------- memory as the system counts it

LIMITED = """
import resource, sys
import torch, datasets, pandas, pyarrow.parquet, vcviz.data
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 2**32,) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    vcviz.data.load_data("path:" + sys.argv[1], progress=False)
except vcviz.InputError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits as Linux has them")
def test_a_terabyte_in_a_few_kilobytes_takes_no_memory(tmp_path):
    n = 10**6
    text = {"text": repeated(n, "w " * 500_000), "label": labels(n)}
    _parquet(tmp_path)(text)
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    code = textwrap.dedent(LIMITED)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    said, grown = done.stdout.splitlines()
    assert said.startswith("a row group of 1,000,000 rows, which t.parquet declares, would take")
    assert int(grown) < 2000
