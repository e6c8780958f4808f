from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_notebooks import code, notebook, text

from vcviz.base.errors import InputError
from vcviz.headless.assignments import parse_assignments, parse_value
from vcviz.headless.parameters import check_parameters, notebook_parameters

SOURCE = """
# what to train
head: Literal["softmax", "variational"] = "variational"
epochs: Annotated[int, Field(ge=1, le=500)] = 30  # passes over the rows
epsilon: t.Annotated[float, Ge(0)] | None = None
# folders of runs,
# finished ones
runs: "list[str] | None" = None
options: dict[str, float] = {
    "margin": 0.1,
}  # of the head
name: str = "a"
count = 3
flag = False
anything = None
"""


def declared(source: str = SOURCE):
    return notebook_parameters(notebook(text("# T"), "import x", code(source, "parameters")))


def check(**values):
    return check_parameters(declared(), values)


def test_names_types_defaults_and_help_are_read_without_running_the_cell():
    rows = [(p.name, p.type, p.default, p.help) for p in declared()]
    assert rows == [
        ("head", "'softmax' | 'variational'", "variational", "what to train"),
        ("epochs", "int (ge=1, le=500)", 30, "passes over the rows"),
        ("epsilon", "float (ge=0) | None", None, ""),
        ("runs", "list[str] | None", None, "folders of runs, finished ones"),
        ("options", "dict[str, float]", {"margin": 0.1}, "of the head"),
        ("name", "str", "a", ""),
        ("count", "int", 3, ""),
        ("flag", "bool", False, ""),
        ("anything", "any value", None, ""),
    ]


def test_a_parameter_without_literal_is_shown_as_written_and_never_run():
    (p,) = declared("path: str = open('/nowhere').read()")
    assert (p.type, p.default) == ("str", "open('/nowhere').read()")


@pytest.mark.parametrize(
    ("values", "checked"),
    [
        ({"epochs": np.int64(3)}, {"epochs": 3}),
        ({"epsilon": 1}, {"epsilon": 1.0}),
        ({"epsilon": None}, {"epsilon": None}),
        ({"runs": ("a", Path("b"))}, {"runs": ["a", "b"]}),
        ({"options": {"margin": 1}}, {"options": {"margin": 1.0}}),
        ({"name": Path("x/y")}, {"name": "x/y"}),
        ({"anything": [1, "a"]}, {"anything": [1, "a"]}),
    ],
)
def test_values_that_mean_the_type_become_plain(values, checked):
    got = check(**values)
    assert got == checked
    assert [type(v) for v in got.values()] == [type(v) for v in checked.values()]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, r"unknown parameter 'epoch'; did you mean 'epochs'\? choose from: any"),
        ({"epochs": "3"}, r"epochs should be int \(ge=1, le=500\), got '3' \(str\)"),
        ({"epochs": True}, r"epochs should be int .*, got True \(bool\)"),
        ({"epochs": 2.0}, r"got 2.0 \(float\)"),
        ({"epochs": 0}, "epochs should be greater than or equal to 1, got 0"),
        ({"epochs": 501}, "less than or equal to 500"),
        ({"epsilon": -0.5}, "greater than or equal to 0, got -0.5"),
        ({"head": "softmx"}, "'softmax' or 'variational', got 'softmx' .*did you mean 'softmax'"),
        ({"runs": "a"}, r"runs should be list\[str\] \| None, got 'a'"),
        ({"runs": ["a", 3]}, r"runs\[1\] should be a valid string, got 3"),
        ({"options": {"margin": "x"}}, r"options\['margin'\] should be a valid number, got 'x'"),
        ({"name": 3}, "name should be str, got 3"),
        ({"flag": 1}, "flag should be bool, got 1"),
        ({"count": 2.5}, "count should be int, got 2.5"),
        ({"anything": object()}, "anything should be any value as JSON has it"),
    ],
)
def test_a_wrong_name_type_or_range_is_refused_in_one_line(values, message):
    with pytest.raises(InputError, match=message) as caught:
        check(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("n: int = 'a'", "own default is wrong: parameter n should be int, got 'a'"),
        ("n: int = 1\nn = 2", "assigns n twice"),
        ("n: int = (", "cell 3, tagged 'parameters', is not Python: line 1"),
        ("x: np.ndarray = 1", r"x has a type that cannot be checked, np.ndarray"),
        ("x: Annotated[int, Even()] = 1", r"Even\(\) is unknown"),
        ("x: Annotated[int, Field(gee=1)] = 1", r"gee=…\) is no bound"),
    ],
)
def test_a_parameters_cell_that_cannot_be_trusted_is_refused(source, message):
    with pytest.raises(InputError, match=message):
        declared(source)


def test_magics_and_other_statements_are_passed_over():
    names = [p.name for p in declared("%matplotlib inline\nimport os\na, b = 1, 2\nn = 1  # one")]
    assert names == ["n"]


def test_no_parameters_cell_takes_no_parameters():
    none = notebook_parameters(notebook("x = 1"))
    assert none == []
    assert check_parameters(none, {}) == {}
    with pytest.raises(InputError, match=r"takes no parameters, got 'x'.* tag the cell"):
        check_parameters(none, {"x": 1})


def test_one_cell_may_be_tagged_and_it_is_code():
    twice = notebook(code("a = 1", "parameters"), "pass", code("b = 1", "parameters"))
    with pytest.raises(InputError, match=r"expected one cell .* found 2 \(cells 1, 3\)"):
        notebook_parameters(twice)
    prose = text("a = 1")
    prose.metadata["tags"] = ["parameters"]
    with pytest.raises(InputError, match="should be code, is markdown"):
        notebook_parameters(notebook(prose))


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("-2.5", -2.5),
        ("true", True),
        ("None", None),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ("[a, b]", ["a", "b"]),
        ("{margin: 0.1}", {"margin": 0.1}),
        ("no", "no"),
        ("2026-01-01", "2026-01-01"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_text_stands_for_the_value_a_person_means(typed, value):
    assert parse_value(typed) == value
    assert type(parse_value(typed)) is type(value)


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("name=3", {"name": "3"}),
        ("name=true", {"name": "true"}),
        ("name=a,b", {"name": "a,b"}),
        ("name=x=y", {"name": "x=y"}),
        ("epochs = 3", {"epochs": 3}),
        ("epsilon=1e-3", {"epsilon": 0.001}),
        ("epsilon=null", {"epsilon": None}),
        ("runs=a,b", {"runs": ["a", "b"]}),
        ("runs=a, 3", {"runs": ["a", "3"]}),
        ("runs=a", {"runs": ["a"]}),
        ("runs=[a, b]", {"runs": ["a", "b"]}),
        ("options={margin: 1}", {"options": {"margin": 1.0}}),
        ("anything=3", {"anything": 3}),
    ],
)
def test_assignments_are_read_as_the_parameter_asks(typed, values):
    assert parse_assignments(declared(), [typed]) == values


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["epochs"], "expected name=value, got 'epochs'"),
        (["=3"], "expected name=value"),
        (["epochs=1", "epochs=2"], "epochs is given twice"),
        (["epochs=many"], r"epochs should be int .*, got 'many'"),
        (["options=[1"], "neither a JSON nor a YAML value"),
        (["zzz=1"], "unknown parameter 'zzz'; choose from"),
    ],
)
def test_assignments_that_cannot_be_read_say_why(typed, message):
    with pytest.raises(InputError, match=message):
        parse_assignments(declared(), typed)


# ---------------------------------------------------------------- options of another choice

OPTIONS = """
dataset: str = "mixture"
dataset_options: dict = {"n": 900}
encoder: str = "auto"
encoder_options: dict = {"hidden": [100]}
head: str = "dropmax"
head_options: dict = {"draws": 3}
other_options: dict = {"a": 1}
"""


@pytest.mark.parametrize(
    ("values", "freed"),
    [
        ({"dataset": "digits"}, {"dataset_options", "encoder_options"}),
        ({"dataset": "mixture"}, set()),
        ({"dataset": "digits", "encoder": "mlp"}, {"dataset_options", "encoder_options"}),
        ({"dataset": "digits", "dataset_options": {"n": 3}}, {"encoder_options"}),
        ({"dataset": "digits", "encoder": "auto"}, {"dataset_options"}),
        ({"encoder": "cnn"}, {"encoder_options"}),
        ({"head": "softmax"}, {"head_options"}),
        ({"other_options": {}}, set()),
    ],
)
def test_options_of_the_default_reach_nothing_else(values, freed):
    checked = check_parameters(declared(OPTIONS), values)
    assert checked == {**values, **{name: {} for name in freed}}


DIGITS = """
name: str = "a"
either: int | str = 1
count: int = 1
share: float = 1.0
names: list[str] = []
counts: list[int] = []
code: Literal["007", "8"] = "8"
"""


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("name=007", "007"),
        ("name=1e5", "1e5"),
        ("name=-1", "-1"),
        ("name=true", "true"),
        ("name=null", "null"),
        ("count=007", 7),
        ("count=+3", 3),
        ("either=007", 7),
        ("share=007", 7.0),
        ("names=007,08", ["007", "08"]),
        ("counts=007,08", [7, 8]),
        ("code=007", "007"),
    ],
)
def test_digits_are_what_the_parameter_takes(assignment, value):
    (found,) = parse_assignments(declared(DIGITS), [assignment]).values()
    assert (found, type(found)) == (value, type(value))


def test_digits_alone_are_an_int():
    assert (parse_value("007"), type(parse_value("007"))) == (7, int)
    assert (parse_value("007.5"), parse_value(".5")) == (7.5, 0.5)
