"""Stratified choices of rows: proportions, nesting, both sides, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcviz.base.errors import InputError
from vcviz.data.subsets import split_rows, subset_rows

labels = st.lists(st.integers(1, 30), min_size=2, max_size=6).map(
    lambda counts: np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
)


@given(y=labels, data=st.data(), seed=st.integers(0, 5))
def test_subsets_hold_every_class_in_proportion_and_are_nested(y, data, seed):
    counts = np.bincount(y)
    n = data.draw(st.integers(len(counts), len(y)))
    rows = subset_rows(y, n, seed=seed)
    assert len(rows) == len(set(rows.tolist())) == n
    assert np.array_equal(rows, np.sort(rows))
    taken = np.bincount(y[rows], minlength=len(counts))
    assert taken.min() >= 1
    # Webster's rule: moving one row from any class to another brings no share nearer its quota.
    more, less = (taken + 0.5) / counts, (taken - 0.5) / counts
    movable = taken > 1
    assert not movable.any() or less[movable].max() <= more[taken < counts].min(initial=np.inf)
    smaller = data.draw(st.integers(len(counts), n))
    assert set(subset_rows(y, smaller, seed=seed)) <= set(rows)


def test_subsets_of_other_seeds_differ():
    y = np.arange(60) % 3
    assert not np.array_equal(subset_rows(y, 9, seed=0), subset_rows(y, 9, seed=1))


@given(y=labels, fraction=st.floats(0.2, 0.8), seed=st.integers(0, 5))
def test_splits_are_a_partition_with_every_class_on_both_sides(y, fraction, seed):
    counts = np.bincount(y)
    n = round(fraction * len(y))
    if not np.minimum(counts // 2, 1).sum() <= n <= (counts - 1).sum() or n == 0:
        with pytest.raises(InputError, match="without a row"):
            split_rows(y, fraction, seed=seed)
        return
    rest, part = split_rows(y, fraction, seed=seed)
    assert sorted([*rest, *part]) == list(range(len(y)))
    assert len(part) == n
    assert np.bincount(y[rest], minlength=len(counts)).min() >= 1
    assert (np.bincount(y[part], minlength=len(counts)) >= (counts > 1)).all()


def test_a_class_of_one_row_stays_in_the_rest():
    y = np.array([0] * 10 + [1])
    rest, part = split_rows(y, 0.3, seed=0)
    assert 10 in rest
    assert y[part].tolist() == [0, 0, 0]


def test_classes_without_rows_are_no_obstacle():
    y = np.array([0, 0, 3, 3, 3, 3])
    assert np.bincount(y[subset_rows(y, 3, seed=0)]).tolist() == [1, 0, 0, 2]
    rest, part = split_rows(y, 0.5, seed=0)
    assert y[part].tolist() == [0, 3, 3]
    assert y[rest].tolist() == [0, 3, 3]


@pytest.mark.parametrize("n", [0, -3, 2.5, True, "7"])
def test_the_number_of_rows_is_checked(n):
    with pytest.raises(InputError, match="n must be a whole number of at least 1"):
        subset_rows(np.arange(8) % 2, n, seed=0)
