"""Figures in notebooks: fewer bytes, the same picture."""

import base64
import json

import numpy as np
import plotly.graph_objects as go
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_output
from tiny_notebooks import code, notebook, text

from vcviz.headless.outputs import FIGURE
from vcviz.headless.slim import notebook_text, slim_figures


def holding(figure):
    shown = new_output("display_data", data={FIGURE: json.loads(figure.to_json())})
    return notebook(text("# “It”"), code("it", execution_count=1, outputs=[shown]))


def slimmed(figure):
    nb = holding(figure)
    slim_figures(nb)
    return nb.cells[1].outputs[0].data[FIGURE]


def numbers(value):
    """Return what plotly.js makes of an array."""
    if isinstance(value, dict):
        return np.frombuffer(base64.b64decode(value["bdata"]), np.dtype(value["dtype"]))
    return np.array(value)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=7))
def test_whole_numbers_stay_what_they_are_in_the_smallest_type(values):
    found = slimmed(go.Figure(go.Scatter(x=np.array(values, np.float64))))["data"][0]["x"]
    assert numbers(found).tolist() == values
    fits = [k for k in ("u1", "i1", "u2", "i2", "i4")
            if np.iinfo(k).min <= min(values) and max(values) <= np.iinfo(k).max]  # fmt: skip
    assert np.dtype(found["dtype"]).itemsize == np.dtype(fits[0]).itemsize


@given(st.lists(st.floats(-1e20, 1e20), min_size=1, max_size=7))
def test_floats_keep_their_first_digits(values):
    trace = slimmed(go.Figure(go.Bar(x=np.array(values), base=values)))["data"][0]
    for kept in (trace["x"], trace["base"]):
        np.testing.assert_allclose(numbers(kept).astype(float), values, rtol=1e-6, atol=1e-37)


def test_gaps_shapes_and_types_stay():
    x = np.array([1.5, np.nan, np.inf, 3.0])
    z = np.arange(6.0).reshape(2, 3)
    found = slimmed(go.Figure([go.Scatter(x=x), go.Heatmap(z=z), go.Scatter(text=["a", "1"])]))
    np.testing.assert_array_equal(numbers(found["data"][0]["x"]), x.astype("f4"))
    assert (found["data"][1]["z"]["dtype"], found["data"][1]["z"]["shape"]) == ("u1", "2, 3")
    assert found["data"][2]["text"] == ["a", "1"]


def test_frames_leave_out_what_plotly_assumes():
    frames = [go.Frame(data=[go.Scatter(y=[1, 2, 3]), go.Bar(y=[4, 5, 6])], traces=[0, 1])]
    found = slimmed(go.Figure([go.Scatter(y=[0]), go.Bar(y=[0])], frames=frames))
    assert [t.get("type") for t in found["data"]] == ["scatter", "bar"]
    assert [t.get("type") for t in found["frames"][0]["data"]] == [None, "bar"]
    assert go.Figure(found).frames[0].data[0].y == (1, 2, 3)


def test_a_notebook_has_a_figure_on_one_line_and_reads_as_before():
    nb = holding(go.Figure(go.Scatter(y=np.random.default_rng(0).random(50), name="“1”")))
    written = notebook_text(nb)
    assert json.loads(written)["cells"][1]["outputs"][0]["data"] == nb.cells[1].outputs[0].data
    assert len(written.splitlines()) < 60
    assert "# “It”" in written
    assert isinstance(nb.cells[1].outputs[0].data[FIGURE], dict)  # nb itself is left alone
