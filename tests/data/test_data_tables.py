"""Tables: standardised by the train split, the same for new rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from vcviz.base.errors import InputError
from vcviz.data import apply_preprocessing
from vcviz.data.tables import apply_table, fit_table

FRAME = pd.DataFrame(
    {
        "width": [1.0, 2.5, 4.0, 10.0],
        "count": [3, 3, 4, 5],
        "still": [0.1, 0.1, 0.1, 0.1],
        "wet": [True, False, False, True],
        "colour": ["red", "blue", "red", "green"],
    }
)


def test_numbers_are_standardised_and_strings_one_hot():
    fitted = fit_table(FRAME)
    x = apply_table(fitted, FRAME)
    assert x.dtype == np.float32
    names = ["width", "count", "still", "wet", "colour=blue", "colour=green", "colour=red"]
    assert fitted["features"] == names
    numbers = FRAME[["width", "count", "wet"]].astype(float)
    expected = StandardScaler().fit_transform(numbers)
    assert x[:, [0, 1, 3]] == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(x[:, 2], np.zeros(4))
    assert np.array_equal(x[:, 4:], [[0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_new_rows_in_any_form_survive_json():
    fitted = json.loads(json.dumps(fit_table(FRAME)))
    rows = FRAME.iloc[[2, 0], ::-1]
    expected = apply_table(fitted, FRAME)[[2, 0]]
    for form in (rows, rows.to_dict("list"), rows.to_dict("records")):
        assert np.array_equal(apply_preprocessing(fitted, form), expected)
    numbers = fit_table(FRAME[["width", "count"]])
    array = FRAME[["width", "count"]].to_numpy()
    assert np.array_equal(apply_preprocessing(numbers, array), apply_table(numbers, FRAME))


def test_an_unseen_category_becomes_zeros():
    row = FRAME.iloc[:1].assign(colour="violet")
    assert apply_table(fit_table(FRAME), row)[0, 4:].tolist() == [0, 0, 0]


def test_large_offsets_keep_their_digits():
    x = apply_table(fitted := fit_table(pd.DataFrame({"a": [1e9 + 1, 1e9 + 2]})), {"a": [1e9 + 1]})
    assert fitted["scale"] == [0.5]
    assert x.tolist() == [[-1.0]]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([1.0, None, 3.0, np.nan], "column 'new' of the table has 2 missing values in 4 rows"),
        (["a", None, "b", "c"], "has 1 missing values"),
        ([1.0, np.inf, 3.0, 4.0], "has 1 infinite values"),
        ([1e300, -1e300, 0.0, 1.0], "values too large"),
        ([1, "a", 2, "b"], "must hold numbers or strings, got mixed values"),
        (pd.to_datetime(["2020-01-01"] * 4), r"must hold numbers or strings, got datetime64"),
    ],
)
def test_bad_columns(column, message):
    with pytest.raises(InputError, match=message):
        fit_table(FRAME.assign(new=column))


def test_too_many_categories_are_no_category():
    with pytest.raises(InputError, match="51 different strings, too many"):
        fit_table(pd.DataFrame({"id": [f"row {k}" for k in range(51)]}))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (FRAME.drop(columns="width"), "rows lack the columns width; they have: count, still"),
        (np.zeros((3, 4)), r"rows must have shape \(N, 5\), got \(3, 4\)"),
        (FRAME.assign(width="a"), "column 'width' of new rows must hold numbers"),
        (FRAME.assign(colour=1), "column 'colour' of new rows must hold strings"),
    ],
)
def test_rows_that_do_not_fit(rows, message):
    with pytest.raises(InputError, match=message):
        apply_preprocessing(fit_table(FRAME), rows)
