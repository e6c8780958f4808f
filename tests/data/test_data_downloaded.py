"""Data as people download them: small copies of the layouts of well-known datasets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vcviz.base.errors import InputError
from vcviz.data import dataset_files, load_data


def load(path: Path, **options: Any):
    return load_data(f"path:{path}", progress=False, **options)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(data)
    return path


def picture(path: Path, value: int, size: tuple[int, int] = (4, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def pixels(split: Any) -> list[int]:
    return split.x[:, 0, 0, 0].tolist()


# ---------------------------------------------------------------- images


def gtsrb(folder: Path) -> Path:
    """As unpacked: PPM in a folder a class, with a CSV of ``;`` in each, and one for the test."""
    head = "Filename;Width;Height;Roi.X1;ClassId\n"
    for c in range(3):
        place = folder / "GTSRB" / "Final_Training" / "Images" / f"{c:05d}"
        rows = ""
        for k in range(4):
            picture(place / f"{k:05d}.ppm", 10 * c + k)
            rows += f"{k:05d}.ppm;4;3;{k};{c}\n"
        write(place / f"GT-{c:05d}.csv", head + rows)
    place = folder / "GTSRB" / "Final_Test" / "Images"
    for k in range(3):
        picture(place / f"{k:05d}.ppm", 10 * k)
    write(place / "GT-final_test.csv", head + "".join(f"{k:05d}.ppm;4;3;0;{k}\n" for k in range(3)))
    write(folder / "GTSRB" / "Readme-Images.txt", "about")
    return folder


def test_gtsrb_as_unpacked(tmp_path):
    root = gtsrb(tmp_path)
    train, test = load(root)
    # The test images lie in no folders of their own, so that the tables say the class.
    assert train.class_names == ("0", "1", "2")
    assert (len(train), len(test)) == (12, 3)
    assert sorted(pixels(train)) == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert train.y.tolist() == [p // 10 for p in pixels(train)]
    assert test.y.tolist() == [0, 1, 2]
    train, test = load(root / "GTSRB" / "Final_Training" / "Images")
    assert train.class_names == ("00000", "00001", "00002")
    assert len(train) + len(test) == 12
    again, _ = load(root / "GTSRB" / "Final_Training" / "Images", label="ClassId")
    assert again.class_names == ("0", "1", "2")
    table = root / "GTSRB" / "Final_Test" / "Images" / "GT-final_test.csv"
    write(table, re.sub(r"(?m);[^;]*$", "", table.read_text()))
    with pytest.raises(InputError, match=r"test split has no column 'label'.*test_fraction="):
        load(root)
    assert load(root, test_fraction=0.3)[0].class_names == ("00000", "00001", "00002")


def test_images_with_several_tables_beside_them(tmp_path):
    for c, name in enumerate(("0", "1", "10")):
        for k in range(3):
            picture(tmp_path / "Train" / name / f"{name}_{k}.png", 10 * c + k)
        picture(tmp_path / "Test" / f"{c}.png", 10 * c)
        picture(tmp_path / "Meta" / f"{name}.png", 99)
    paths = sorted(tmp_path.glob("Train/*/*.png"))
    rows = [f"4,3,{p.parent.name},{p.relative_to(tmp_path)}\n" for p in paths]
    write(tmp_path / "Train.csv", "Width,Height,ClassId,Path\n" + "".join(rows))
    write(
        tmp_path / "Test.csv", "Width,ClassId,Path\n4,0,Test/0.png\n4,1,Test/1.png\n4,10,Test/2.png"
    )
    alone, _ = load(tmp_path / "Train.csv")
    assert (alone.kind, alone.class_names) == ("image", ("0", "1", "10"))
    assert alone.y.tolist() == [p // 10 for p in pixels(alone)]
    write(tmp_path / "Meta.csv", "Path,ClassId,ShapeId\nMeta/0.png,0,1\n")
    write(tmp_path / "broken.csv", 'a,b\n1,2,3,4\n"')
    train, test = load(tmp_path)
    assert train.class_names == ("0", "1", "10")
    assert (len(train), len(test)) == (9, 3)
    assert train.y.tolist() == [p // 10 for p in pixels(train)]
    assert test.y.tolist() == [0, 1, 2]


def test_a_table_names_images_by_what_is_left_of_their_names(tmp_path):
    rows = "id,breed\n"
    for k in range(8):
        picture(tmp_path / "train" / f"{k:03d}ab.jpg", 10 * k)
        rows += f"{k:03d}ab,{'boxer' if k % 2 else 'akita'}\n"
    picture(tmp_path / "test" / "9.jpg", 0)
    write(tmp_path / "labels.csv", rows)
    write(tmp_path / "sample_submission.csv", "id,akita,boxer\n9,0.5,0.5\n")
    with pytest.raises(InputError, match=r"'breed' \(2 values\)"):
        load(tmp_path, test_fraction=0.25)
    with pytest.raises(InputError, match=r"the test split has no column 'breed'.*test_fraction="):
        load(tmp_path, label="breed")
    train, test = load(tmp_path, label="breed", test_fraction=0.25)
    for part in (train, test):
        assert part.class_names == ("akita", "boxer")
        assert part.y.tolist() == [round(p / 10) % 2 for p in pixels(part)]


def test_folders_are_labels_though_the_test_images_have_none(tmp_path):
    for name in ("cat", "dog"):
        for k in range(4):
            picture(tmp_path / "train" / name / f"{k}.png", k)
    picture(tmp_path / "test" / "1.png", 0)
    write(tmp_path / "sample_submission.csv", "id,label\n1,0.5\n")
    with pytest.raises(InputError, match=r"test split has .*label.*test_fraction="):
        load(tmp_path)
    train, test = load(tmp_path, test_fraction=0.25)
    assert (train.class_names, len(train), len(test)) == (("cat", "dog"), 6, 2)


def test_a_test_split_may_hold_one_of_the_classes(tmp_path):
    for name in ("cat", "dog"):
        for k in range(4):
            picture(tmp_path / "train" / "images" / name / f"{k}.png", k)
    for k in range(2):
        picture(tmp_path / "test" / "images" / "dog" / f"{k}.png", k)
    train, test = load(tmp_path)
    assert (train.class_names, test.y.tolist()) == (("cat", "dog"), [1, 1])


def test_classes_are_the_innermost_folders_that_differ(tmp_path):
    for name in ("n01", "n02"):
        for k in range(3):
            picture(tmp_path / "tiny" / name / "images" / f"{k}.png", k)
        write(tmp_path / "tiny" / name / f"{name}_boxes.txt", "0 1 2")
    assert load(tmp_path)[0].class_names == ("n01", "n02")


def test_a_class_may_be_called_as_a_split(tmp_path):
    for name in ("bus", "train", "crash_test"):
        for k in range(3):
            picture(tmp_path / name / f"{k}.png", k)
    assert load(tmp_path)[0].class_names == ("bus", "crash_test", "train")


def test_folders_of_numbers_are_sorted_by_value(tmp_path):
    for name in ("2", "10", "1"):
        for k in range(3):
            picture(tmp_path / name / f"{k}.png", k)
    assert load(tmp_path)[0].class_names == ("1", "2", "10")


def test_pictures_among_tables_and_hidden_files_are_left_alone(tmp_path):
    for name in ("train", "test"):
        write(tmp_path / f"{name}.csv", "a,label\n" + "1,x\n2,y\n" * 3)
    picture(tmp_path / "logo.png", 1)
    write(tmp_path / ".DS_Store", b"\0")
    write(tmp_path / "__MACOSX" / "._train.csv", b"\0")
    assert [len(part) for part in load(tmp_path)] == [6, 6]


def test_the_tree_is_listed_once_and_no_file_is_asked_about(tmp_path, monkeypatch):
    import os

    for name in ("ant", "bee"):
        for k in range(20):
            picture(tmp_path / name / f"{k}.png", k)
    listed, asked = [], []
    scan, stat = os.scandir, Path.stat

    def scandir(path: str) -> Any:
        listed.append(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Path, "stat", lambda *a, **k: asked.append(a) or stat(*a, **k))
    load(tmp_path)
    assert len(listed) == 3
    assert len(asked) < 20


# ---------------------------------------------------------------- texts


def texts(folder: Path, names: dict[str, int], suffix: str = "") -> Path:
    for name, n in names.items():
        for k in range(n):
            body = f"From: {name}\nthis is message {k} about {name} caf".encode() + b"\xe9"
            write(folder / name / f"{49960 + k}{suffix}", body)
    return folder


def test_20_newsgroups_as_unpacked(tmp_path):
    texts(tmp_path / "20news-bydate-train", {"alt.atheism": 4, "rec.autos": 4})
    texts(tmp_path / "20news-bydate-test", {"alt.atheism": 2, "rec.autos": 2})
    train, test = load(tmp_path)
    assert (train.kind, train.class_names) == ("text", ("alt.atheism", "rec.autos"))
    assert (len(train), len(test)) == (8, 4)
    assert train.texts[0] == "From: alt.atheism\nthis is message 0 about alt.atheism café"
    assert test.y.tolist() == [0, 0, 1, 1]
    assert "49963" not in train.texts[0]


@pytest.mark.parametrize("suffix", ["", ".txt", ".TXT", ".7c53336b37003a92"])
def test_a_folder_of_texts_a_class(tmp_path, suffix):
    texts(tmp_path / "bbc", {"business": 5, "tech": 4}, suffix)
    write(tmp_path / "README.TXT", "about")
    train, test = load(tmp_path)
    assert train.class_names == ("business", "tech")
    assert len(train) + len(test) == 9
    few, _ = load(tmp_path, max_rows=6)
    assert all(f"about {few.class_names[y]}" in t for t, y in zip(few.texts, few.y, strict=True))


def test_the_reviews_of_imdb_as_unpacked(tmp_path):
    root = tmp_path / "aclImdb"
    for part in ("train", "test"):
        texts(root / part, {"pos": 3, "neg": 3}, ".txt")
        write(root / part / "urls_pos.txt", "http://…")
        write(root / part / "labeledBow.feat", "9 0:9 1:1")
    texts(root / "train", {"unsup": 9}, ".txt")
    write(root / "README", "about")
    write(root / "imdb.vocab", "the")
    write(root / "imdbEr.txt", "0.5")
    train, test = load(tmp_path)
    assert train.class_names == ("neg", "pos")
    assert (len(train), len(test)) == (6, 6)


def test_a_linked_folder_is_named_and_not_left_out(tmp_path):
    texts(tmp_path / "here", {"a": 3, "b": 3})
    texts(tmp_path / "elsewhere", {"c": 3})
    (tmp_path / "here" / "c").symlink_to(tmp_path / "elsewhere" / "c")
    with pytest.raises(InputError, match=r"here/c' is a link, which is not followed"):
        load(tmp_path / "here")


def test_lines_of_json_may_hold_separators_of_lines(tmp_path):
    rows = [
        json.dumps({"text": f"a\u2028b {k}", "label": k % 2}, ensure_ascii=False) for k in range(8)
    ]
    train, test = load(write(tmp_path / "t.jsonl", "\n".join(rows)))
    assert len(train) + len(test) == 8


def test_what_is_no_text_is_named(tmp_path):
    texts(tmp_path, {"a": 3, "b": 3})
    write(tmp_path / "b" / "49960", b"\x7fELF\0\0")
    with pytest.raises(InputError, match="b/49960' holds no text"):
        load(tmp_path)


# ---------------------------------------------------------------- CSV


ROWS = [(f"w{k} text {k}, it is", ("yes", "no", "maybe")[k % 3], k) for k in range(12)]


def rows_as(separator: str) -> str:
    return "".join(f'"{text}"{separator}{label}{separator}{n}\n' for text, label, n in ROWS)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("given", [True, False])
def test_separators_are_seen_or_said(tmp_path, separator, given):
    head = separator.join(("text", "label", "n")) + "\n"
    path = write(tmp_path / "t.csv", head + rows_as(separator))
    train, test = load(path, **({"separator": separator} if given else {}))
    assert (train.kind, train.class_names) == ("text", ("maybe", "no", "yes"))
    assert len(train) + len(test) == 12
    assert train.texts[0] in [text for text, _, _ in ROWS]


def test_a_csv_without_a_header(tmp_path):
    path = write(tmp_path / "ag.csv", rows_as(";"))
    train, test = load(path, header=False, text="0")
    assert len(train) + len(test) == 12
    assert train.class_names == ("maybe", "no", "yes")
    named, _ = load(path, header=["sentence", "answer", "n"], label="answer")
    assert named.texts == train.texts
    with pytest.raises(InputError, match="header= names 2 columns, its first row has 3"):
        load(path, header=["a", "b"])
    with pytest.raises(InputError, match="header must be true, false or the names"):
        load(path, header="a,b")


def test_the_iris_of_uci(tmp_path):
    values = "".join(f"{k}.1,{k % 4}.5,Iris-{'ab'[k % 2]}\n" for k in range(10))
    path = write(tmp_path / "iris.data", values + "\n")
    with pytest.raises(InputError, match="if they are its first row, pass header=False"):
        load(path)
    train, test = load(path, header=False)
    assert train.class_names == ("Iris-a", "Iris-b")
    assert len(train) + len(test) == 10
    for name in ("seeds.data", "seeds_dataset.txt"):
        path = write(tmp_path / name, values.replace(",", "  "))
        again, _ = load(path, header=False)
        assert np.array_equal(again.x, train.x)


def test_messages_and_tabs_without_a_suffix(tmp_path):
    rows = "".join(f"{('ham', 'spam')[k % 2]}\tGo, until {k}; crazy\n" for k in range(8))
    train, _ = load(write(tmp_path / "SMSSpamCollection", rows), header=False)
    assert train.class_names == ("ham", "spam")
    assert all(text.startswith("Go, until") for text in train.texts)


def test_a_csv_of_r_and_of_a_spreadsheet(tmp_path):
    path = write(
        tmp_path / "r.csv", 'a,label\n"1",2,x\n"2",3,y\n"3",4,x\n"4",5,y\n"5",2,x\n"6",4,y\n'
    )
    train, _ = load(path)
    assert train.preprocessing["columns"] == ["a"]
    assert set(train.x.round(2).ravel()) != {0}
    path = write(tmp_path / "e.csv", "a,label\n" + "1.5,x,\n2.5,y,\n" * 3)
    train, _ = load(path)
    assert (train.preprocessing["columns"], train.preprocessing["mean"]) == (["a"], [2.0])
    path = write(tmp_path / "s.csv", "\ufefflabel;text\nja;schön\nnein;übel\n".encode() * 1)
    write(tmp_path / "s.csv", path.read_bytes() + "ja;gut\nnein;böse\n".encode() * 2)
    train, _ = load(path)
    assert train.class_names == ("ja", "nein")
    path = write(tmp_path / "d.csv", "label;a\n" + "ja;1,5\nnein;-2,25\n" * 3)
    assert load(path)[0].preprocessing["columns"] == ["a"]
    assert load(path)[0].preprocessing["mean"] == [-0.375]
    latin = write(
        tmp_path / "l.csv", ("label,text\n" + "oui,été\nnon,forêt\n" * 3).encode("latin-1")
    )
    assert "été" in load(latin)[0].texts


def test_train_and_test_need_not_have_the_same_columns(tmp_path):
    write(tmp_path / "train.csv", "a,b,label\n" + "1,2,x\n2,3,y\n" * 4)
    write(tmp_path / "test.csv", "a,b,note,label\n" + "1.5,2,,x\n2,3,,y\n")
    write(tmp_path / "sample_submission.csv", "id,label\n1,x\n")
    train, test = load(tmp_path)
    assert train.preprocessing["columns"] == ["a", "b"]
    assert test.x.shape == (2, 2)
    write(tmp_path / "test.csv", "a,b\n1.5,2\n")
    with pytest.raises(InputError, match=r"the test split has no column 'label'.*test_fraction="):
        load(tmp_path)


def test_tables_that_do_not_belong_together_are_named(tmp_path):
    write(tmp_path / "people.csv", "a,label\n1,x\n")
    write(tmp_path / "places.csv", "b,label\n1,x\n")
    with pytest.raises(
        InputError,
        match=r"people.csv has the columns a, label, places.csv has b, label; give the one",
    ):
        load(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "jsonl"])
def test_parts_of_a_table_and_what_describes_it(tmp_path, suffix):
    import pyarrow as pa

    for part in range(3):
        frame = pd.DataFrame({"a": np.arange(4) + 4.5 * part, "label": ["x", "y"] * 2})
        path = tmp_path / f"train-0000{part}-of-00003.{suffix}"
        if suffix == "csv":
            frame.to_csv(path, index=False)
        elif suffix == "parquet":
            frame.to_parquet(path)
        elif suffix == "jsonl":
            frame.to_json(path, orient="records", lines=True)
        else:
            table = pa.Table.from_pandas(frame)
            with pa.ipc.new_stream(path, table.schema) as writer:
                writer.write_table(table)
    if suffix != "jsonl":
        for name in ("package.json", "a.json", "b.json", "c.json"):
            write(tmp_path / name, "{}")
    train, test = load(tmp_path)
    assert len(train) + len(test) == 12
    assert train.y.tolist() == (train.index % 2).tolist()


def test_options_of_csv_files_are_for_csv_files(tmp_path):
    path = write(tmp_path / "t.json", '[{"a": 1, "label": 0}]')
    with pytest.raises(InputError, match="are for CSV files, not for json"):
        load(path, separator=";")
    with pytest.raises(InputError, match="are for CSV files of path:"):
        load_data("hub:owner/name", header=False)


def test_likely_labels_are_offered(tmp_path):
    frame = pd.DataFrame(
        {
            "age": np.arange(12) / 7,
            "outcome": ["in", "out"] * 6,
            "ward": [1, 2, 3] * 4,
            "note": [f"n{k}" for k in range(12)],
            "id": range(12),
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(
        InputError, match=r"label=, likely 'outcome' \(2 values\), 'ward' \(3 values\), its columns"
    ):
        load(tmp_path)
    frame.rename(columns={"outcome": "Class_ID"}).to_csv(tmp_path / "t.csv", index=False)
    assert load(tmp_path, columns=["age"])[0].class_names == ("in", "out")


# ---------------------------------------------------------------- JSON


def clinc(folder: Path) -> Path:
    def rows(n: int, labels: tuple[str, ...]) -> list[list[str]]:
        return [
            [f"please {labels[k % len(labels)]} now {k}", labels[k % len(labels)]] for k in range(n)
        ]

    intents = ("book", "pay", "call")
    content = {
        "oos_val": rows(2, ("oos",)),
        "val": rows(3, intents),
        "train": rows(9, intents),
        "oos_test": rows(4, ("oos",)),
        "test": rows(6, intents),
        "oos_train": rows(3, ("oos",)),
    }
    return write(folder / "data_full.json", json.dumps(content))


def test_clinc150_as_downloaded(tmp_path):
    path = clinc(tmp_path)
    train, test = load(path)
    assert (train.kind, train.class_names) == ("text", ("book", "call", "pay"))
    assert (len(train), len(test)) == (9, 6)
    assert all(train.class_names[y] in t for t, y in zip(train.texts, train.y, strict=True))
    train, test = load(path, test_split="val")
    assert len(test) == 3
    assert load(tmp_path)[0].texts == train.texts


@pytest.mark.parametrize(
    "value",
    [
        [{"text": f"t {k}", "label": "ab"[k % 2]} for k in range(8)],
        {"data": [{"text": f"t {k}", "label": "ab"[k % 2]} for k in range(8)]},
        {"version": {}, "rasa": {"examples": [[f"t {k}", "ab"[k % 2]] for k in range(8)]}},
        {"text": [f"t {k}" for k in range(8)], "label": ["a", "b"] * 4},
        {
            "a": [f"t {k}" for k in range(0, 8, 2)] + ["t 8"],
            "b": [f"t {k}" for k in range(1, 8, 2)],
        },
        {"train": {"text": [f"t {k}" for k in range(8)], "label": ["a", "b"] * 4}},
    ],
)
def test_forms_of_json(tmp_path, value):
    train, test = load(write(tmp_path / "t.json", json.dumps(value)))
    assert train.class_names == ("a", "b")
    for part in (train, test):
        for text, y in zip(part.texts, part.y, strict=True):
            assert int(text.split()[1]) % 2 == y


def test_a_column_may_be_called_as_a_split(tmp_path):
    value = {"test": [1.5, 2.5] * 4, "label": ["a", "b"] * 4}
    train, _ = load(write(tmp_path / "t.json", json.dumps(value)))
    assert train.preprocessing["columns"] == ["test"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 1, "b": 2}, "it holds an object of .*, not rows"),
        ([[1, 2], [1]], "its rows have 1 to 2 values"),
        ({"text": ["a"], "n": [1, 2]}, "have different lengths"),
        (3, "it holds 3, not rows"),
    ],
)
def test_json_that_holds_no_rows(tmp_path, value, message):
    with pytest.raises(InputError, match=rf"t\.json: .*{message}") as caught:
        load(write(tmp_path / "t.json", json.dumps(value)))
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- NumPy


def digits(n: int, *shape: int) -> np.ndarray:
    return (np.arange(n).reshape((n,) + (1,) * len(shape)) * np.ones(shape)).astype(np.uint8)


@pytest.mark.parametrize(
    "names",
    [("x_train", "y_train", "x_test", "y_test"),
     ("train_images", "train_labels", "test_images", "test_labels")],
)  # fmt: skip
@pytest.mark.parametrize("form", ["grey", "colour", "first", "float", "column"])
def test_arrays_of_pictures(tmp_path, names, form):
    shapes = {"grey": (4, 5), "colour": (4, 5, 3), "first": (3, 4, 5), "float": (4, 5, 1)}
    x = digits(12, *shapes.get(form, (4, 5)))
    y = np.arange(12) % 3
    y = y[:, None] if form == "column" else y
    x = x / 255 if form == "float" else x
    arrays = {**dict(zip(names, (x, y, x[:6], y[:6]), strict=True)), "mean": np.arange(3)}
    np.savez(tmp_path / "t.npz", **arrays)
    train, test = load(tmp_path / "t.npz")
    channels = 3 if form in ("colour", "first") else 1
    assert train.x.shape == (12, channels, 4, 5)
    assert pixels(train) == list(range(12))
    assert test.y.tolist() == [0, 1, 2, 0, 1, 2]
    assert load(tmp_path)[0].x.shape == train.x.shape


def test_arrays_of_numbers(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "t.npz", X=rng.random((12, 4)), y=np.arange(12) % 2)
    train, _ = load(tmp_path / "t.npz")
    assert train.preprocessing["columns"] == ["X0", "X1", "X2", "X3"]
    np.savez(tmp_path / "t.npz", X=rng.random((12, 4)), y=np.array([b"no", b"yes"] * 6))
    assert load(tmp_path / "t.npz")[0].class_names == ("no", "yes")
    np.savez(tmp_path / "t.npz", arr_0=rng.random((12, 2)), target=np.eye(3)[np.arange(12) % 3])
    train, _ = load(tmp_path / "t.npz")
    assert train.preprocessing["columns"] == ["arr_0_0", "arr_0_1"]
    assert train.y.tolist() == (train.index % 3).tolist()
    np.savez(tmp_path / "t.npz", X=rng.random((12, 4)), y=np.arange(11) % 2)
    with pytest.raises(InputError, match=r"different lengths: X \(12, 4\), y \(11,\)"):
        load(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", x=np.array([{}, None], object))
    with pytest.raises(InputError, match=r"t\.npz cannot be read: .*allow_pickle"):
        load(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", x=rng.normal(size=(4, 3, 3)), y=np.arange(4) % 2)
    with pytest.raises(InputError, match="pictures 'x' must be integers from 0 to 255"):
        load(tmp_path / "t.npz")


# ---------------------------------------------------------------- refused, and how soon


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("t.mat", "numpy.savez"),
        ("t.pkl", "a pickle can run any program"),
        ("sheet.xlsx", "save the sheet as CSV"),
        ("cifar-10-python.tar.gz", "unpack it first"),
        ("train-images-idx3-ubyte.gz", "unpack it first"),
        ("model.onnx", "use .csv"),
    ],
)
def test_what_is_not_read_is_refused_with_what_to_do(tmp_path, name, advice):
    write(tmp_path / "d" / name, b"\0\1")
    with pytest.raises(InputError, match=f"is no kind of file that can be read.*{advice}"):
        load(tmp_path / "d" / name)
    if not name.endswith(("gz", "onnx")):
        with pytest.raises(InputError, match=rf"no files of data .*but \.\w+ \(1\); .*{advice}"):
            load(tmp_path / "d")


def test_refusing_asks_no_library(tmp_path):
    for k in range(300):
        for j in range(10):
            write(tmp_path / "tree" / str(k) / f"{j}.dcm", b"")
    code = (
        "import sys, vcviz.data\n"
        "try: vcviz.data.load_data('path:' + sys.argv[1])\n"
        "except vcviz.InputError as error: print(error)\n"
        "print('datasets' in sys.modules, 'pandas' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "tree")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said, last = done.stdout.splitlines()
    assert "no texts, but .dcm (3000)" in said
    assert last == "False False"


def test_an_endless_tree_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_files, "_ENOUGH", 50)
    for k in range(60):
        write(tmp_path / f"{k:02d}.dcm", b"")
    texts(tmp_path, {"a": 3, "b": 3})
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"\.dcm \(51\)"):
        load(tmp_path)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("make", [gtsrb, clinc], ids=lambda make: make.__name__)
def test_nothing_is_left_behind(tmp_path, monkeypatch, make: Callable[[Path], Path]):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    load(make(tmp_path / "data"))
    assert not list((tmp_path / "temporary").iterdir())
