"""What there is no room for is said in one line before it is taken."""

from __future__ import annotations

import io
import json
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

from vcviz.base.errors import InputError
from vcviz.data import load_data

MB = 2**20


@pytest.fixture(autouse=True)
def _apart(tmp_path_factory, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def small_machine(monkeypatch):
    """64 MB of memory are free."""
    monkeypatch.setattr("vcviz.data.memory.free_memory", lambda: 64 * MB)


def load(path: Path, **options: Any):
    return load_data(f"path:{path}", progress=False, **options)


def labels(n: int) -> np.ndarray:
    return np.arange(n) % 2


def many_rows(folder: Path) -> None:
    table = pa.table({"x": np.random.default_rng(0).random(5 * 10**6), "label": labels(5 * 10**6)})
    parquet.write_table(table, folder / "t.parquet")


def many_rows_of_arrow(folder: Path) -> None:
    table = pa.table({"x": np.zeros(5 * 10**6), "label": labels(5 * 10**6)})
    with pa.ipc.new_stream(folder / "t.arrow", table.schema) as writer:
        writer.write_table(table)


def a_long_csv(folder: Path) -> None:
    (folder / "t.csv").write_bytes(b"x,label\n" + b"1,0\n2,1\n" * 2_500_000)


def a_long_json(folder: Path) -> None:
    rows = b'{"x":1,"label":0}\n{"x":2,"label":1}\n'
    (folder / "t.jsonl").write_bytes(rows * 300_000)


def deep_json(folder: Path) -> None:
    (folder / "t.json").write_text('{"x":' + "[" * 100_000 + "]" * 100_000 + ',"label":0}')


def large_images(folder: Path) -> None:
    data = io.BytesIO()
    Image.new("1", (4000, 4000)).save(data, "PNG")
    images = pa.array([{"bytes": data.getvalue(), "path": None}] * 20)
    parquet.write_table(pa.table({"image": images, "label": labels(20)}), folder / "t.parquet")


def a_long_text(folder: Path) -> None:
    texts = ["a " * 1_500_000, "b"] * 3
    parquet.write_table(pa.table({"text": texts, "label": labels(6)}), folder / "t.parquet")


TOO_MUCH: dict[Callable[[Path], None], str] = {
    many_rows: r"5,000,000 rows of '\w+' would take [\d.]+ MB of memory, more than the 67.1 MB",
    many_rows_of_arrow: r"5,000,000 rows of '\w+' would take 160.0 MB of memory",
    a_long_csv: r"reading t.csv would take 80.0 MB of memory, more than the 67.1 MB that are free",
    a_long_json: r"reading t.jsonl would take 86.4 MB of memory",
    deep_json: r"t.json nests lists and objects too deeply; flatten its rows",
    large_images: r"20 images of 4000 x 4000 pixels would take 320.0 MB of memory, more than the",
    a_long_text: r"the words of text \d would take 120.0 MB of memory, more than the 67.1 MB",
}


@pytest.mark.usefixtures("small_machine")
@pytest.mark.parametrize("make", TOO_MUCH, ids=lambda make: make.__name__)
def test_what_there_is_no_room_for_is_refused_in_one_line(tmp_path, make):
    make(tmp_path)
    with pytest.raises(InputError, match=TOO_MUCH[make]) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_memory_that_runs_out_while_reading_is_said_in_one_line(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    (tmp_path / "t.csv").write_text("x,label\n1,0\n2,1\n")
    monkeypatch.setattr(pd, "read_csv", full)
    with pytest.raises(InputError, match=r"t\.csv does not fit into memory; make a smaller copy"):
        load(tmp_path)


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


def test_few_rows_of_a_column_larger_than_memory_are_read(tmp_path, monkeypatch):
    n = 10_000
    texts = [f"{k} " * 100 for k in range(n)]
    pd.DataFrame({"text": texts, "label": labels(n)}).to_parquet(tmp_path / "t.parquet")
    whole = load(tmp_path, max_rows=20)[0]
    monkeypatch.setattr("vcviz.data.memory.free_memory", lambda: 10**6)
    assert load(tmp_path, max_rows=20)[0].texts == whole.texts
    with pytest.raises(InputError, match=r"[\d,]+ rows of 'text' would take [\d.]+ MB of memory"):
        load(tmp_path)


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
