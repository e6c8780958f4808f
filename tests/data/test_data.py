"""`load_data`, digits, fingerprints and new rows."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits as sklearn_digits

from vcviz.base.errors import InputError, MissingError
from vcviz.data import (
    DATASETS,
    apply_preprocessing,
    fingerprint,
    load_data,
    subset,
)
from vcviz.data.loading import dataset_options
from vcviz.data.subsets import stratified_split


def test_digits_are_those_of_scikit_learn():
    train, test = load_data("digits")
    assert (train.name, test.name, train.kind) == ("digits train", "digits test", "image")
    assert train.x.shape == (1198, 1, 8, 8)
    assert train.x.dtype == np.uint8
    assert len(test) == round(1797 / 3)
    source = sklearn_digits()
    both = np.concatenate([train.index, test.index])
    assert sorted(both) == list(range(1797))
    assert np.array_equal(train.y, source.target[train.index])
    assert np.array_equal(test.x[:, 0], np.rint(source.images[test.index] * 255 / 16))
    assert train.x.max() == 255


def test_the_first_digits_alone():
    train, test = load_data("digits", n_classes=3)
    assert train.class_names == test.class_names == ("0", "1", "2")
    source = sklearn_digits(n_class=3)
    assert len(train) + len(test) == len(source.target)
    with pytest.raises(InputError, match="n_classes must be at most 10"):
        load_data("digits", n_classes=11)


def test_digits_are_split_in_proportion_and_by_the_seed():
    train, test = load_data("digits", seed=1, test_fraction=0.25)
    assert len(test) == 449
    assert np.abs(test.class_counts - train.class_counts / 3).max() < 1
    again, _ = load_data("digits", seed=1, test_fraction=0.25)
    other, _ = load_data("digits", seed=2, test_fraction=0.25)
    assert np.array_equal(train.index, again.index)
    assert not np.array_equal(train.index, other.index)


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_split_by_the_seed_and_says_how_its_inputs_were_made(name):
    train, test = load_data(name, seed=3)
    assert (train.name, test.name) == (f"{name} train", f"{name} test")
    assert train.class_names == test.class_names
    assert not set(train.index) & set(test.index)
    assert set(train.y) == set(range(train.n_classes))
    assert train.preprocessing == test.preprocessing
    assert train.preprocessing["kind"] == train.kind
    assert fingerprint(load_data(name, seed=3)[1]) == fingerprint(test)
    assert fingerprint(load_data(name, seed=4)[1]) != fingerprint(test)


def test_n_train_is_the_subset_of_the_same_seed():
    whole, _ = load_data("digits", seed=3)
    few, _ = load_data("digits", seed=3, n_train=50)
    assert np.array_equal(few.index, subset(whole, 50, seed=3).index)
    assert few.class_counts.tolist() == [5] * 10


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digit", {}, "unknown dataset 'digit'; did you mean 'digits'"),
        ("some/folder", {}, "did you mean 'hub:some/folder'"),
        ("../folder", {}, r"did you mean 'path:\.\./folder'"),
        ("path:" + "x" * 5000, {}, "there is no folder or file 'xxx"),
        ("y/" * 3000, {}, "unknown dataset 'y/y"),
        ("path:a\0b", {}, "path"),
        (7, {}, "named by a string"),
        ("digits", {"sede": 1}, "unknown option of dataset 'digits' 'sede'"),
        ("mixture", {"seperation": 1}, "did you mean 'separation'"),
        ("path:.", {"lable": "y"}, "did you mean 'label'"),
        ("digits", {"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ("digits", {"seed": 0.5}, "seed must be a whole number"),
        ("digits", {"test_fraction": 1.5}, "test_fraction must lie between 0 and 1, got 1.5"),
        ("digits", {"test_fraction": "0.5"}, "test_fraction must be a number, got '0.5'"),
        ("digits", {"n_train": 5}, "5 rows cannot hold the 10 classes"),
        ("digits", {"n_train": 5000}, "5000 rows were asked of 'digits train', which has 1198"),
        ("hub:", {}, "hub: must be followed by <owner/name>"),
        ("hub:mnist", {}, "like hub:ylecun/mnist, got 'mnist'"),
        ("path:", {}, "path: must be followed by <folder or file>"),
        ("path:.", {"revision": "main"}, "revision= belongs to hub:"),
    ],
)
def test_bad_names_and_options(name, options, message):
    with pytest.raises(InputError, match=message):
        load_data(name, **options)


def test_an_existing_path_without_its_prefix_is_recognised(tmp_path):
    with pytest.raises(InputError, match="did you mean 'path:"):
        load_data(str(tmp_path))


def test_a_missing_path_names_its_neighbour(tmp_path):
    (tmp_path / "fashion.csv").touch()
    with pytest.raises(MissingError, match=r"did you mean 'fashion\.csv'"):
        load_data(f"path:{tmp_path}/fashon.csv")


def test_options_can_be_listed():
    assert dataset_options("digits") == ["n_classes"]
    assert {"means", "label_noise"} <= set(dataset_options("mixture"))
    assert "source" not in dataset_options("path:x")
    assert dataset_options("hub:a/b") == dataset_options("path:x")


def test_fingerprint_depends_on_the_content_alone(table_split, image_split):
    mark = fingerprint(table_split)
    assert len(mark) == 16
    assert mark == fingerprint(dataclasses.replace(table_split, name="another"))
    # the same rows behind other strides
    strided = np.asfortranarray(table_split.x)
    assert mark == fingerprint(dataclasses.replace(table_split, x=strided))
    nudged = table_split.x.copy()
    nudged[3, 1] = np.nextafter(nudged[3, 1], 9)
    changes = [
        {"x": nudged},
        {"y": np.roll(table_split.y, 1)},
        {"class_names": ("ant", "bee", "dog")},
    ]
    marks = {fingerprint(dataclasses.replace(table_split, **change)) for change in changes}
    assert len({mark, *marks}) == 4
    # the same bytes in another shape
    wide = dataclasses.replace(image_split, x=image_split.x.reshape(12, 1, 4, 16))
    assert fingerprint(wide) != fingerprint(image_split)


def test_new_pictures_follow_the_split():
    train, _ = load_data("digits")
    assert np.array_equal(
        apply_preprocessing(train.preprocessing, [row[0] for row in train.x[:3]]), train.x[:3]
    )
    wide = np.full((20, 30, 3), 77, np.uint8)
    assert np.array_equal(
        apply_preprocessing(train.preprocessing, [wide]), np.full((1, 1, 8, 8), 77, np.uint8)
    )
    with pytest.raises(InputError, match="unknown kind of preprocessing None"):
        apply_preprocessing({}, [wide])


def test_importing_the_data_module_loads_no_heavy_library():
    heavy = ("torch", "datasets", "pandas", "plotly", "sklearn")
    code = f"import sys, vcviz.data; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_split_keeps_both_sides_of_every_class(image_split):
    rest, part = stratified_split(image_split, 0.25, seed=4)
    assert rest.class_counts.tolist() == [3, 3, 3]
    assert part.class_counts.tolist() == [1, 1, 1]
    assert np.array_equal(part.x, image_split.x[part.index])
    assert rest.name == image_split.name
