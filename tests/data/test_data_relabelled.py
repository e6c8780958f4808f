"""Training labels that are wrong by chance, or that people gave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vcviz import InputError, RunConfig, Split, load_data
from vcviz.data import labelled_by, noisy_labels
from vcviz.runs.settings import load_splits


@pytest.fixture
def rows(rng):
    y = np.arange(6000) % 3
    return Split(rng.standard_normal((6000, 2)).astype(np.float32), y, ("ant", "bee", "cat"))


def test_no_noise_changes_nothing(rows):
    same = noisy_labels(rows, 0.0)
    assert np.array_equal(same.y, rows.y)
    assert np.array_equal(same.labels["clean_label"], rows.y)


def test_noise_replaces_its_share_by_each_other_class_equally(rows):
    noisy = noisy_labels(rows, 0.3, seed=1)
    wrong = noisy.y != rows.y
    assert abs(wrong.mean() - 0.3) < 0.02
    step = (noisy.y - rows.y)[wrong] % 3
    assert abs((step == 1).mean() - 0.5) < 0.04
    assert np.array_equal(noisy.x, rows.x)
    assert np.array_equal(noisy.labels["clean_label"], rows.y)


def test_less_noise_is_part_of_more(rows):
    little, much = noisy_labels(rows, 0.1, seed=4), noisy_labels(rows, 0.4, seed=4)
    wrong = little.y != rows.y
    assert np.array_equal(little.y[wrong], much.y[wrong])
    assert (noisy_labels(rows, 0.1, seed=5).y != little.y).any()


def test_another_column_takes_the_place_of_the_labels(rows):
    said = (rows.y + (np.arange(6000) % 7 == 0)) % 3
    split = labelled_by(replace(rows, labels={"people": said}), "people")
    assert np.array_equal(split.y, said)
    assert np.array_equal(split.labels["clean_label"], rows.y)


def test_only_the_training_rows_are_relabelled():
    plain, _ = load_data("digits", seed=2, n_train=100)
    train, test = load_data("digits", seed=2, n_train=100, train_noise=0.5)
    assert np.array_equal(train.labels["clean_label"], plain.y)
    assert 0.3 < (train.y != plain.y).mean() < 0.7
    assert "clean_label" not in test.labels
    config = RunConfig(dataset="digits", n_train=100, seed=2, dataset_options={"train_noise": 0.5})
    assert np.array_equal(load_splits(config)[0].y, train.y)


def test_what_cannot_be_is_said(rows):
    with pytest.raises(InputError, match=r"share must lie in \[0, 1\), got 1"):
        noisy_labels(rows, 1.0)
    with pytest.raises(InputError, match="unknown label column of 'data' 'peple'"):
        labelled_by(replace(rows, labels={"people": rows.y}), "peple")
    with pytest.raises(InputError, match="'fine' of 'data' has other values than its 3 classes"):
        labelled_by(replace(rows, labels={"fine": rows.y + 1}), "fine")
    with pytest.raises(InputError, match="train_noise must lie in"):
        load_data("digits", train_noise=-0.1)
