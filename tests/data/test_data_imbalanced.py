"""Imbalanced training rows: how many of each class, which, and through `load_data` and a run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcviz.base.errors import InputError
from vcviz.data import imbalanced, load_data
from vcviz.data.subsets import imbalanced_rows
from vcviz.records import Split
from vcviz.runs.config import RunConfig
from vcviz.runs.settings import load_splits


def split_of(*counts: int) -> Split:
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return Split(np.arange(len(y), dtype=np.float32)[:, None], y, name="rows")


def test_step_makes_every_other_class_rare_and_exponential_a_tail():
    split = split_of(*[100] * 5)
    assert imbalanced(split, 20).class_counts.tolist() == [5, 100, 5, 100, 5]
    tail = imbalanced(split, 16, kind="exponential").class_counts.tolist()
    assert tail == [100, 50, 25, 12, 6]
    digits = imbalanced(split, 20, largest=40).class_counts.tolist()
    assert digits == [2, 40, 2, 40, 2]


@given(
    counts=st.lists(st.integers(30, 90), min_size=2, max_size=6),
    ratio=st.floats(1, 25),
    kind=st.sampled_from(["step", "exponential"]),
)
def test_the_largest_over_the_smallest_is_as_asked_with_as_many_rows_as_there_are(
    counts, ratio, kind
):
    counts = np.array(counts)
    rows = imbalanced_rows(counts, ratio, kind, None)
    assert (rows <= counts).all()
    assert rows.min() >= 1
    most = rows.max()
    ends = (0, -1) if kind == "exponential" else (1, 0)
    assert rows[ends[0]] == most
    assert abs(rows[ends[1]] - most / ratio) <= 0.5 + 1e-9 or rows[ends[1]] == 1
    place = np.arange(len(counts))
    rarity = place / place[-1] if kind == "exponential" else place % 2 == 0
    # One more row of the largest class would ask more of some class than it has.
    assert ((most + 1) / ratio**rarity > counts - 1e-9).any()


def test_fewer_rows_of_a_class_are_among_more_of_them_in_source_order():
    split = split_of(60, 60, 60, 60)
    few, many = (imbalanced(split, ratio, seed=3) for ratio in (30, 6))
    assert set(few.index) <= set(many.index)
    assert np.array_equal(many.index, np.sort(many.index))
    other = imbalanced(split, 6, seed=4)
    assert not np.array_equal(many.index, other.index)


def test_a_ratio_of_one_balances():
    assert imbalanced(split_of(30, 50, 90), 1).class_counts.tolist() == [30, 30, 30]


def test_only_the_training_rows_are_made_rarer():
    plain_train, plain_test = load_data("digits", seed=2)
    options = {"ratio": 20, "largest": 100}
    train, test = load_data("digits", seed=2, train_imbalance=options)
    assert train.class_counts.tolist() == [5, 100] * 5
    assert np.array_equal(test.index, plain_test.index)
    assert set(train.index) <= set(plain_train.index)
    fewer, _ = load_data("digits", seed=2, train_imbalance=options, n_train=105)
    assert fewer.class_counts.tolist() == [1, 20] * 5


def test_a_run_s_settings_can_ask_for_it():
    config = RunConfig(dataset="digits", dataset_options={"train_imbalance": 10.0})
    train, _ = load_splits(config)
    assert train.class_counts.tolist() == [12, 119] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 0.5}, "ratio must be a number of at least 1, got 0.5"),
        ({"ratio": 10, "kind": "steps"}, "unknown kind 'steps'; did you mean 'step'"),
        ({"ratio": 500}, "at 500:1 the rarest .* would have no rows, the largest having 100"),
        ({"ratio": 10, "largest": 200}, "take 200 of class 1 of 'rows', which has 100"),
        ({"ratio": 10, "largest": 0}, "largest must be a whole number of at least 1"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InputError, match=message):
        imbalanced(split_of(100, 100, 100), **options)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"kind": "step"}, "must say its ratio"),
        ({"ratios": 3}, "unknown option of train_imbalance 'ratios'; did you mean 'ratio'"),
        ("many", "ratio must be a number of at least 1, got 'many'"),
    ],
)
def test_load_data_refuses(wanted, message):
    with pytest.raises(InputError, match=message):
        load_data("digits", train_imbalance=wanted)
