"""Local folders and files: recognised, read, split, and refused with one line."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vcviz.base.errors import InputError
from vcviz.data import apply_preprocessing, encode_texts, load_data, subset


@pytest.fixture(autouse=True)
def _apart(tmp_path_factory, monkeypatch):
    """Keep the library's cache out of the home directory, and the network out of reach."""
    import socket

    import datasets

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a local path must never touch the network")

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def load(path: Path, **options: Any):
    return load_data(f"path:{path}", progress=False, **options)


def table(n: int = 12, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a": np.arange(n) * 0.5,
            "b": np.arange(n) ** 2,
            "label": np.array(["cat", "ant", "bee"])[np.arange(n) % 3],
            **columns,
        }
    )


def pictures(folder: Path, classes: dict[str, int], size: tuple[int, int] = (5, 3)) -> None:
    for number, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            Image.new("L", size, 10 * number + k).save(folder / name / f"{k}.png")


def typed(folder: Path, splits: dict[str, dict[str, list]], features: dict[str, Any]) -> Path:
    """Write Parquet files whose columns have stated features, as on the Hub."""
    import datasets

    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in splits.items():
        chosen = datasets.Features({c: features[c] for c in columns})
        datasets.Dataset.from_dict(columns, features=chosen).to_parquet(
            str(folder / f"{name}.parquet")
        )
    return folder


def class_label(*names: str):
    import datasets

    return datasets.ClassLabel(names=list(names))


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        ("csv", lambda f, p: f.to_csv(p, index=False)),
        ("tsv", lambda f, p: f.to_csv(p, index=False, sep="\t")),
        ("parquet", lambda f, p: f.to_parquet(p, index=False)),
        ("jsonl", lambda f, p: f.to_json(p, orient="records", lines=True)),
        ("json", lambda f, p: f.to_json(p, orient="records")),
    ],
)
def test_a_table_in_one_file(tmp_path, suffix, write: Callable):
    # a name that would be a pattern, were it not escaped
    path = tmp_path / f"my [1] table*.{suffix}"
    write(table(), path)
    train, test = load(path, seed=3)
    assert (train.kind, train.class_names) == ("table", ("ant", "bee", "cat"))
    assert (train.name, test.name) == ("my [1] table* train", "my [1] table* test")
    assert sorted([*train.index, *test.index]) == list(range(12))
    assert test.class_counts.tolist() == [1, 1, 1] or len(test) == 4
    assert np.array_equal(train.y, np.array([2, 0, 1])[train.index % 3])
    assert train.x.mean(0) == pytest.approx(0, abs=1e-6)
    assert train.x.std(0) == pytest.approx(1, abs=1e-6)
    raw = table()[["a", "b"]].iloc[test.index]
    assert np.array_equal(apply_preprocessing(test.preprocessing, raw), test.x)
    json.dumps(dict(train.preprocessing))


def test_splits_that_are_there_are_used(tmp_path):
    table(9).to_csv(tmp_path / "train.csv", index=False)
    table(6).to_csv(tmp_path / "validation.csv", index=False)
    train, test = load(tmp_path)
    assert (len(train), len(test)) == (9, 6)
    assert test.x == pytest.approx(
        (table(6)[["a", "b"]] - table(9)[["a", "b"]].mean()) / table(9)[["a", "b"]].std(ddof=0)
    )
    train, test = load(tmp_path, test_fraction=1 / 3)
    assert (len(train), len(test)) == (6, 3)
    train, test = load(tmp_path, train_split="validation", test_split="train")
    assert (len(train), len(test)) == (6, 9)


def test_categories_and_booleans_of_a_table(tmp_path):
    frame = table(12, wet=[True, False] * 6, colour=["red", "blue", "red"] * 4)
    frame.to_csv(tmp_path / "t.csv", index=False)
    train, _ = load(tmp_path / "t.csv")
    assert train.preprocessing["features"] == ["a", "b", "wet", "colour=blue", "colour=red"]
    train, _ = load(tmp_path / "t.csv", columns=["b"], label="colour")
    assert train.x.shape[1] == 1
    assert train.class_names == ("blue", "red")


def test_row_numbers_are_no_feature(tmp_path):
    table(12, id=range(12)).to_csv(tmp_path / "t.csv")
    train, _ = load(tmp_path / "t.csv")
    assert train.preprocessing["features"] == ["a", "b"]


def test_a_folder_of_images_a_class(tmp_path):
    pictures(tmp_path / "train", {"ant": 4, "bee": 2})
    pictures(tmp_path / "test", {"ant": 1, "bee": 1})
    train, test = load(tmp_path)
    assert (train.kind, train.class_names, train.x.shape) == ("image", ("ant", "bee"), (6, 1, 3, 5))
    assert train.x.dtype == np.uint8
    assert sorted(train.x[train.y == 1, 0, 0, 0]) == [10, 11]
    assert test.x[:, 0, 0, 0].tolist() == [0, 10]
    assert train.preprocessing == {"kind": "image", "channels": 1, "size": [3, 5]}
    train, _ = load(tmp_path, image_size=4)
    assert train.x.shape == (6, 1, 4, 4)


def test_images_in_parquet_and_beside_a_table(tmp_path):
    pictures(tmp_path, {"ant": 3, "bee": 3})
    files = sorted(tmp_path.glob("*/*.png"))
    names = [str(f.relative_to(tmp_path)) for f in files]
    kinds = [f.parent.name for f in files]
    pd.DataFrame({"file": names, "label": kinds}).to_csv(tmp_path / "list.csv", index=False)
    pairs = [{"bytes": f.read_bytes(), "path": f.name} for f in files]
    pd.DataFrame({"picture": pairs, "label": kinds}).to_parquet(tmp_path / "pairs.parquet")
    blobs = [f.read_bytes() for f in files]
    pd.DataFrame({"picture": blobs, "label": kinds}).to_parquet(tmp_path / "blobs.parquet")
    expected = np.array([0, 1, 2, 10, 11, 12])
    for source, options in (
        ("list.csv", {"image": "file"}),
        ("pairs.parquet", {}),
        ("blobs.parquet", {}),
    ):
        train, test = load(tmp_path / source, **options)
        assert train.kind == "image"
        assert np.array_equal(train.x[:, 0, 0, 0], expected[train.index])
        assert np.array_equal(test.x[:, 0, 0, 0], expected[test.index])


def test_text_with_several_labels(tmp_path):
    import datasets

    words = [f"word{k} is number {k}" for k in range(9)]
    splits = {
        "train": {
            "text": words,
            "label": [0, 1, 2] * 3,
            "noisy_label": [2, 1, 2] * 3,
            "fine_label": ["x", "y", "z"] * 3,
            "length": list(range(9)),
        },
        "test": {
            "text": words[:3],
            "label": [0, 1, 2],
            "noisy_label": [None] * 3,
            "fine_label": ["x", "w", "y"],
            "length": [1, 2, 3],
        },
    }
    features = {
        "text": datasets.Value("string"),
        "label": class_label("ant", "bee", "cat"),
        "noisy_label": datasets.Value("int64"),
        "fine_label": datasets.Value("string"),
        "length": datasets.Value("int64"),
    }
    train, test = load(typed(tmp_path, splits, features), ngrams=[1, 1], n_tokens=500)
    assert (train.kind, train.class_names) == ("text", ("ant", "bee", "cat"))
    assert train.texts == tuple(words)
    assert np.array_equal(train.x, encode_texts(words, ngrams=(1, 1), n_tokens=500))
    assert np.array_equal(test.x, train.x[:3])
    assert np.array_equal(apply_preprocessing(train.preprocessing, words[:1]), train.x[:1])
    assert train.labels["noisy_label"].tolist() == [2, 1, 2] * 3
    assert train.labels["fine_label"].tolist() == [1, 2, 3] * 3
    assert test.labels["fine_label"].tolist() == [1, 0, 2]
    assert "noisy_label" not in test.labels
    assert train.preprocessing["label_names"] == {"fine_label": ["w", "x", "y", "z"]}
    train, _ = load(tmp_path, label="noisy_label", test_fraction=0.3, labels=["label"])
    assert train.class_names == ("1", "2")
    assert list(train.labels) == ["label"]
    assert train.preprocessing["label_names"] == {"label": ["ant", "bee", "cat"]}


def test_several_text_columns_are_joined(tmp_path):
    frame = pd.DataFrame({"title": list("abcdef"), "body": list("uvwxyz"), "y": [0, 1] * 3})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(
        InputError, match=r"several columns that could be the input \(title, body\)"
    ):
        load(tmp_path / "t.csv")
    train, _ = load(tmp_path / "t.csv", text=["title", "body"])
    assert train.texts[0].split("\n") == [*frame.loc[train.index[0], ["title", "body"]]]


@pytest.mark.parametrize(
    ("values", "names", "codes"),
    [
        ([3, 7, 3, 12, 7, 12] * 2, ("3", "7", "12"), [0, 1, 0, 2, 1, 2] * 2),
        ([-1, 1] * 6, ("-1", "1"), [0, 1] * 6),
        ([1.0, 2.0] * 6, ("1", "2"), [0, 1] * 6),
        ([True, False] * 6, ("False", "True"), [1, 0] * 6),
        (["10", "9", "a"] * 4, ("10", "9", "a"), [0, 1, 2] * 4),
    ],
)
def test_labels_become_numbers_in_sorted_order(tmp_path, values, names, codes):
    table(12, label=values).to_parquet(tmp_path / "t.parquet")
    train, test = load(tmp_path / "t.parquet")
    assert train.class_names == test.class_names == names
    assert train.y.tolist() == [codes[i] for i in train.index]
    assert test.y.tolist() == [codes[i] for i in test.index]


def test_stated_class_names_fix_the_classes(tmp_path):
    import datasets

    number = datasets.Value("float64")
    splits = {
        "train": {"a": [1.0, 2, 3, 4], "kind": [0, 2, 0, 2]},
        "test": {"a": [1.0], "kind": [1]},
    }
    features = {"a": number, "kind": class_label("ant", "bee", "cat")}
    train, test = load(typed(tmp_path, splits, features))
    assert train.class_names == ("ant", "bee", "cat")
    assert train.class_counts.tolist() == [2, 0, 2]
    assert test.y.tolist() == [1]


def test_configurations_of_a_readme_are_chosen_by_name(tmp_path):
    table(9).to_csv(tmp_path / "one.csv", index=False)
    table(12).to_csv(tmp_path / "two.csv", index=False)
    readme = "---\nconfigs:\n" + "".join(
        f"- config_name: {c}\n  data_files:\n  - split: train\n    path: {c}.csv\n"
        for c in ("one", "two")
    )
    (tmp_path / "README.md").write_text(f"{readme}---\n# A title\n")
    assert sum(map(len, load(tmp_path, config="two"))) == 12
    with pytest.raises(InputError, match=r"Config name is missing.*'one', 'two'"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"'three' not found.*'one', 'two'"):
        load(tmp_path, config="three")


def test_what_datasets_saved_itself(tmp_path):
    import datasets

    one = datasets.Dataset.from_pandas(table(9), preserve_index=False)
    one.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict(train=one, test=one.select([0, 1, 2])).save_to_disk(str(tmp_path / "two"))
    assert sum(map(len, load(tmp_path / "one"))) == 9
    assert [len(s) for s in load(tmp_path / "two")] == [9, 3]


def test_max_rows_is_stratified_and_keeps_the_row_numbers(tmp_path):
    table(30).to_csv(tmp_path / "train.csv", index=False)
    table(12).to_csv(tmp_path / "test.csv", index=False)
    train, test = load(tmp_path, max_rows=6, seed=5)
    assert (train.class_counts.tolist(), test.class_counts.tolist()) == ([2, 2, 2], [2, 2, 2])
    whole, _ = load(tmp_path, seed=5)
    assert np.array_equal(train.index, subset(whole, 6, seed=5).index)
    assert np.array_equal(whole.y[train.index], train.y)
    parts = load(tmp_path / "train.csv", max_rows=9, seed=5)
    kept = subset(whole, 9, seed=5).index
    assert np.array_equal(np.sort(np.concatenate([p.index for p in parts])), kept)
    for part in parts:
        raw = table(30)[["a", "b"]].iloc[part.index]
        assert np.array_equal(apply_preprocessing(part.preprocessing, raw), part.x)
        assert part.class_counts.tolist() == [len(part) / 3] * 3


# ---------------------------------------------------------------- labels of another dataset


def joined(tmp_path: Path, order: list[int], **columns: Any) -> tuple[Path, Path]:
    table(9, index=range(9)).to_parquet(tmp_path / "train.parquet")
    table(3, index=range(3)).to_parquet(tmp_path / "test.parquet")
    other = tmp_path / "other"
    other.mkdir()
    frame = table(9, index=range(9), worse_label=[0, 1, 2] * 3, **columns)[
        ["label", "index", "worse_label", *columns]
    ]
    frame.iloc[order].to_parquet(other / "train.parquet", index=False)
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - split: train\n    path: train.parquet\n  - split: test\n    path: test.parquet\n---\n"
    )
    return tmp_path, other


@pytest.mark.parametrize("order", [range(9), [4, 8, 0, 1, 2, 3, 7, 6, 5]])
def test_label_columns_are_joined_by_their_index(tmp_path, order):
    votes = [[k, 1, 9 - k] for k in range(9)]
    folder, other = joined(tmp_path, list(order), votes=votes)
    train, test = load(folder, extra_labels=f"path:{other}", label_probs="votes")
    assert train.labels["worse_label"].tolist() == [0, 1, 2] * 3
    assert train.label_probs == pytest.approx(np.array(votes) / 10)
    assert train.x.shape == (9, 2)
    assert not test.labels
    assert test.label_probs is None
    few, _ = load(folder, extra_labels=[f"path:{other}"], label_probs="votes", max_rows=5)
    assert few.label_probs == pytest.approx(train.label_probs[few.index])
    assert np.array_equal(few.labels["worse_label"], train.labels["worse_label"][few.index])


def test_joins_that_do_not_fit(tmp_path):
    folder, other = joined(tmp_path, list(range(9)))
    source = f"path:{other}"
    frame = pd.read_parquet(other / "train.parquet")
    frame.iloc[:7].to_parquet(other / "train.parquet")
    with pytest.raises(InputError, match=r"'index' of path:.* lacks 2 of 9 rows of 'train'"):
        load(folder, extra_labels=source)
    frame.iloc[[*range(9), 3]].to_parquet(other / "train.parquet")
    with pytest.raises(InputError, match="repeats some rows"):
        load(folder, extra_labels=source)
    frame.assign(label=list("abcdefghi")).to_parquet(other / "train.parquet")
    with pytest.raises(InputError, match=r"column 'label' of path:.* differs in 9 of 9 rows"):
        load(folder, extra_labels=source)
    frame.drop(columns="index").iloc[:4].to_parquet(other / "train.parquet")
    with pytest.raises(InputError, match="has 4 rows in 'train', not 9; without an 'index'"):
        load(folder, extra_labels=source)
    (other / "train.parquet").rename(other / "validation.parquet")
    with pytest.raises(InputError, match=r"has the splits validation, .* none to join"):
        load(folder, extra_labels=source)


def test_columns_that_are_no_labels_need_not_agree(tmp_path):
    folder, other = joined(tmp_path, list(range(9)), a=np.zeros(9), b=[[1, 2]] * 9)
    train, _ = load(folder, extra_labels=f"path:{other}")
    assert np.ptp(train.x[:, 0]) > 1


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("b", "must hold lists of 3 numbers"),
        ("pair", "must hold lists of 3 numbers"),
        ("negative", "must hold distributions"),
        ("absent", "label_probs='absent' is no column; the columns are: a, b, label"),
    ],
)
def test_label_distributions_are_checked(tmp_path, column, message):
    lists = {"pair": [[0.5, 0.5]] * 12, "negative": [[2.0, -1.0, 0.0]] * 12}
    table(12, **lists).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=message):
        load(tmp_path / "t.parquet", label_probs=column)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (table(12).iloc[:0], {}, "the split 'train' of 't' is empty: it has no rows"),
        (table(12, label="ant"), {}, r"'label' of the train split holds one class \(ant\)"),
        (table(12, a=[None, 1.0, np.nan] * 4), {}, "column 'a' of the train split has"),
        (table(12, label=["ant", "bee", None] * 4), {}, "'label' of the train split has 4 missing"),
        (table(12, label=[0, 1, -1] * 4), {}, "is -1, which means unlabelled, in 4 of 12 rows"),
        (table(12, label=np.arange(12) / 7), {}, "must hold classes .* got values like"),
        (table(12, label=[[1, 2]] * 12), {}, "must hold classes"),
        (table(12).drop(columns="label"), {}, "'t' has no label column; .* columns are: a, b"),
        (table(12).rename(columns={"label": "sort"}), {"label": "sorte"}, "did you mean 'sort'"),
        (
            table(12),
            {"label": "hue"},
            "label='hue' is no column of 't', whose columns are a, b, label",
        ),
        (table(12), {"columns": ["a", "c"]}, "columns='c' is no column"),
        (table(12), {"columns": ["label"], "label": "label"}, "both the label and an input"),
        (table(12), {"columns": ["a"], "text": "label"}, "one of image=, text= and columns="),
        (table(12), {"text": "a"}, "column 'a' must hold strings, got float"),
        (table(12), {"image": "b"}, "column 'b' must hold images"),
        (table(12)[["label"]], {}, "'t' has no column of images, text or numbers"),
        (table(12, label=list(range(12))), {}, "leaves some of its 12 classes without a row"),
        (table(12, y=1), {}, r"several labels \(label, y\)"),
        (table(12), {"label": 3}, "label=3 is no column of 't'"),
        (table(12), {"extra_labels": "elsewhere"}, "a source of data is hub:.* got 'elsewhere'"),
        (table(12), {"extra_labels": [3]}, "a source of data is hub:.* got 3"),
        (table(12), {"train_split": "tran"}, "unknown split of 't' 'tran'; did you mean 'train'"),
        (table(12), {"max_rows": 2}, "2 rows cannot hold the 3 classes"),
        (table(12), {"max_rows": "9"}, "max_rows must be a whole number"),
        (
            pd.DataFrame({"text": [None, "a b"] * 6, "label": [0, 0, 1] * 4}),
            {},
            "4 missing values in 8",
        ),
        (pd.DataFrame({"text": ["..", "!"] * 6, "label": [0, 0, 1] * 4}), {}, "holds no words"),
    ],
)
def test_data_that_cannot_be_learned(tmp_path, frame, options, message):
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path / "t.parquet", **options)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_test_labels_must_be_those_of_the_train_split(tmp_path):
    table(9).to_csv(tmp_path / "train.csv", index=False)
    table(3, label=["ant", "wasp", "asp"]).to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(
        InputError, match=r"labels that the train split does not: \['asp', 'wasp'\]"
    ):
        load(tmp_path)


def test_unlabelled_splits_are_named(tmp_path):
    import datasets

    splits = {"train": {"a": [1.0, 2], "label": [0, 1]}, "test": {"a": [1.0], "label": [-1]}}
    features = {"a": datasets.Value("float64"), "label": class_label("ant", "bee")}
    with pytest.raises(InputError, match=r"of the test split is -1.*test_split="):
        load(typed(tmp_path, splits, features))


def test_splits_without_a_train_split(tmp_path):
    for name in ("spring", "autumn"):
        table(9).to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - split: spring\n    path: spring.csv\n  - split: autumn\n    path: autumn.csv\n---\n"
    )
    with pytest.raises(InputError, match="no split called 'train' but spring, autumn"):
        load(tmp_path)
    train, test = load(tmp_path, train_split="spring", test_split="autumn")
    assert (len(train), len(test)) == (9, 9)
    with pytest.raises(InputError, match="test_split or test_fraction, not both"):
        load(tmp_path, train_split="spring", test_split="autumn", test_fraction=0.5)


def _junk(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(b"\x00\x01 certainly not what it says \xff")
        return folder / name

    return write


def _empty_file(folder: Path) -> Path:
    (folder / "t.csv").touch()
    return folder / "t.csv"


def _empty_split(folder: Path) -> Path:
    table().to_csv(folder / "train.csv", index=False)
    table().iloc[:0].to_csv(folder / "test.csv", index=False)
    return folder


def _only_notes(folder: Path) -> Path:
    (folder / "notes.md").write_text("nothing here")
    return folder


def _loose_images(folder: Path) -> Path:
    pictures(folder, {"all": 3})
    for image in (folder / "all").iterdir():
        image.rename(folder / image.name)
    (folder / "all").rmdir()
    return folder


def _one_folder_of_images(folder: Path) -> Path:
    pictures(folder, {"all": 3})
    return folder


def _damaged_pages(folder: Path) -> Path:
    table().to_parquet(folder / "t.parquet", compression="gzip")
    data = bytearray((folder / "t.parquet").read_bytes())
    data[4:400] = bytes(396)
    (folder / "t.parquet").write_bytes(data)
    return folder


def _a_bad_image(folder: Path) -> Path:
    pictures(folder, {"ant": 3, "bee": 3})
    (folder / "bee" / "1.png").write_bytes(b"no image at all")
    return folder


def _two_sizes(folder: Path) -> Path:
    pictures(folder, {"ant": 3})
    pictures(folder, {"bee": 3}, size=(4, 4))
    return folder


def _a_pattern(folder: Path) -> Path:
    (folder / "data[1]").mkdir()
    table().to_csv(folder / "data[1]" / "t.csv", index=False)
    assert sum(map(len, load(folder / "data[1]"))) == 12
    (folder / "data[1]" / "README.md").write_text("---\nconfigs:\n- config_name: a\n---\n")
    return folder / "data[1]"


def _bad_readme(folder: Path) -> Path:
    table().to_csv(folder / "t.csv", index=False)
    (folder / "README.md").write_text("---\nconfigs: [\n---\n")
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_junk("t.parquet"), "cannot be read as a dataset: .*Parquet"),
        (_junk("t.json"), "cannot be read as a dataset"),
        (_junk("t.arrow"), "cannot be read as a dataset"),
        (_junk("t.png"), "'t.png' is no kind of file that can be read: use .csv"),
        (_empty_split, "the split 'test' of .* is empty: it has no rows"),
        (_empty_file, "cannot be read as a dataset: t.csv: it is empty"),
        (lambda folder: folder, "it has no files of data"),
        (_only_notes, "it has no files of data"),
        (_loose_images, "has no label column; .*one folder a class"),
        (_one_folder_of_images, "has no label column"),
        (_damaged_pages, "column 'label' cannot be read: "),
        (_a_bad_image, r"row 4 of the (train|test) split: not an image that can be read"),
        (_two_sizes, r"got 2: 3x5 \(3\), 4x4 \(3\); pass image_size"),
        (_a_pattern, "which are read as a pattern; rename the folder"),
        (_bad_readme, "cannot be read as a dataset"),
    ],
)
def test_files_that_are_not_what_they_say(tmp_path, make, message):
    with pytest.raises(InputError, match=message) as caught:
        load(make(tmp_path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.fixture
def foreign(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of images for a dataset, and an image beside that folder."""
    pictures(tmp_path / "set", {"ant": 3, "bee": 3})
    Image.new("L", (5, 3), 99).save(tmp_path / "private.png")
    return tmp_path / "set", tmp_path / "private.png"


@pytest.mark.parametrize("form", ["string", "pair", "link", "up", "folder"])
def test_a_row_that_names_a_file_elsewhere_is_refused(foreign, form, monkeypatch):
    folder, private = foreign
    monkeypatch.chdir(private.parent)
    names = [str(f.relative_to(folder)) for f in sorted(folder.glob("*/*.png"))]
    kinds = [name.split("/")[0] for name in names]
    if form == "link":
        (folder / "ant" / "0.png").unlink()
        (folder / "ant" / "0.png").symlink_to(private)
    elif form == "folder":
        (folder / "out").symlink_to(private.parent)
        names[0] = "out/private.png"
    else:
        names[0] = "../private.png" if form == "up" else str(private)
    column = [{"bytes": None, "path": name} for name in names] if form == "pair" else names
    pd.DataFrame({"picture": column, "label": kinds}).to_parquet(folder / "rows.parquet")
    with pytest.raises(InputError, match=r"^row 0 of the \w+ split: the file .* lies outside of"):
        load(folder / "rows.parquet", image="picture")


def test_a_row_names_files_from_its_own_folder_wherever_one_works(foreign, monkeypatch):
    folder, private = foreign
    monkeypatch.chdir(private.parent)
    names = [str(f.relative_to(folder)) for f in sorted(folder.glob("*/*.png"))]
    pairs = [{"bytes": None, "path": name} for name in names]
    kinds = [name.split("/")[0] for name in names]
    pd.DataFrame({"picture": pairs, "label": kinds}).to_parquet(folder / "rows.parquet")
    train, _ = load(folder / "rows.parquet")
    assert np.array_equal(train.x[:, 0, 0, 0], np.array([0, 1, 2, 10, 11, 12])[train.index])


@pytest.mark.parametrize(
    "name", ["a\0b", "x" * 5000, "y/" * 3000 + "z.png", "", ".", "https://x.org/y.png"]
)
def test_a_name_that_no_file_can_have_is_refused(foreign, name):
    folder, _ = foreign
    frame = pd.DataFrame({"picture": ["ant/0.png"] * 5 + [name], "label": list("ababab")})
    frame.to_parquet(folder / "rows.parquet")
    with pytest.raises(InputError, match=r"^row 5 of the \w+ split: ") as raised:
        load(folder / "rows.parquet", image="picture")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_images_in_an_archive_are_read_with_the_table_beside_them(foreign, tmp_path):
    folder, _ = foreign
    names = [f.relative_to(folder) for f in sorted(folder.glob("*/*.png"))]
    rows = "".join(f"{name},{'xy'[k % 2]}\n" for k, name in enumerate(names))
    (folder / "metadata.csv").write_text("file_name,label\n" + rows)
    shutil.make_archive(str(tmp_path / "packed" / "train"), "zip", folder)
    for source in (tmp_path / "packed", tmp_path / "packed" / "train.zip"):
        train, test = load(source)
        assert train.class_names == ("x", "y")
        for part in (train, test):
            expected = np.array([0, 1, 2, 10, 11, 12])[part.index]
            assert part.x[:, 0, 0, 0].tolist() == expected.tolist()
            assert part.y.tolist() == (part.index % 2).tolist()


def test_an_archive_that_leads_out_of_itself_stays_within(tmp_path):
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        archive.writestr("../../out.csv", "a,label\n" + "1,x\n2,y\n" * 20)
    assert sum(map(len, load(tmp_path / "train.zip"))) == 40
    assert not (tmp_path.parent / "out.csv").exists()


def test_an_archive_that_would_fill_the_disk_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "train.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", "a,label\n" + "1,x\n2,y\n" * 20)
    data = bytearray((tmp_path / "train.zip").read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    (tmp_path / "train.zip").write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**9))
        with pytest.raises(InputError, match=r"train.zip unpacks to 4.3 GB, more than the 1.0 GB"):
            load(tmp_path)
