"""What a run writes while it is under way, and how its kernel shows plotly's figures."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tiny_notebooks import save

from vcviz.headless import run_notebook
from vcviz.headless.files import read_notebook
from vcviz.headless.outputs import FIGURE
from vcviz.headless.saving import SHARE, patient


class Clock:
    """Seconds that pass only when something takes them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("seconds", [0.0, 0.01, 2.0])
def test_saving_takes_no_more_than_its_share(seconds, monkeypatch):
    clock, saved = Clock(), []
    monkeypatch.setattr("time.monotonic", clock)

    def write(**options) -> None:
        clock.now += seconds
        saved.append(options)

    save_if_due = patient(write)
    save_if_due(nb="first")
    assert saved == [{"nb": "first"}]
    while clock.now < 100:
        save_if_due()
        clock.now += 0.25
    spent = seconds * (len(saved) - 1)  # the first is written whatever it takes
    assert spent <= SHARE * clock.now
    # not a moment later than it may: what is lost if the machine stops stays as little as that
    wanted = min(100 / 0.25, SHARE * 100 / max(seconds, 1e-9))
    assert len(saved) > 0.8 * wanted


def test_what_was_left_out_is_written_when_the_notebook_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("vcviz.headless.saving.SHARE", 1e-9)
    source = save(tmp_path / "tiny.ipynb", "print(1)", "print(2)", "1 / 0", "print(4)")
    with pytest.raises(Exception, match="ZeroDivisionError") as caught:
        run_notebook(source, out=tmp_path / "out", progress=False)
    cells = [c for c in read_notebook(caught.value.result.path).cells if c.cell_type == "code"]
    said = ["".join(o.get("text", o.get("ename", "")) for o in c.outputs).strip() for c in cells]
    assert said == ["1", "2", "ZeroDivisionError", ""]


def test_figures_are_saved_without_loading_what_checks_notebooks(tmp_path):
    source = save(
        tmp_path / "figures.ipynb",
        "import sys\nimport plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 2, 4]))",
        "from IPython.display import display\n"
        "display(go.Figure(go.Bar(y=[3])))\nprint('nbformat' in sys.modules)",
        "go.FigureWidget(go.Scatter(y=[5, 7]))",
        "import plotly.io as pio\npio.renderers.default = 'json'\ngo.Figure(go.Scatter(y=[8]))",
    )
    result = run_notebook(source, out=tmp_path / "out", images=False, progress=False)
    cells = [c for c in read_notebook(result.path).cells if c.cell_type == "code"]
    shown = [[o.data for o in c.outputs if "data" in o] for c in cells]
    drawn = [d[FIGURE]["data"][0]["y"] for data in shown[:3] for d in data]
    assert drawn == [[1, 2, 4], [3], [5, 7]]
    (printed,) = [o.text for o in cells[1].outputs if o.output_type == "stream"]
    assert printed.strip() == "False"
    # a notebook that chooses another of plotly's renderers gets it
    ((chosen,),) = shown[3:]
    assert FIGURE not in chosen
    assert "application/json" in chosen


def test_reading_a_notebook_compiles_no_grammar(tmp_path):
    source = save(tmp_path / "tiny.ipynb", "1")
    code = f"""
import pathlib, sys
from vcviz.headless.files import read_notebook
read_notebook(pathlib.Path({str(source)!r}))
assert "jsonschema" in sys.modules and "lark" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
