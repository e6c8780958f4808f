"""Figures and tables of a notebook as files, and the record of how it went."""

from __future__ import annotations

import base64
import csv
import json
from xml.etree import ElementTree

import pytest
from fake_runs import FakeRun
from nbformat.v4 import new_output
from tiny_notebooks import code, notebook, save

from vcviz.base.errors import InputError
from vcviz.explorers import AdversarialExplorer, CalibrationExplorer, LatentExplorer
from vcviz.headless import NotebookError, outputs, run_notebook
from vcviz.headless.files import read_record
from vcviz.headless.outputs import FIGURE, write_outputs

FIG = {"data": [{"type": "scatter", "y": [1, 3, 2]}], "layout": {"height": 200}}
TABLE = (
    "<table border='1'><thead><tr><th></th><th>a &amp; b</th></tr></thead><tbody>"
    "<tr><th>0</th><td>1.5<table><tr><td>inner</td></tr></table></td></tr>"
    "<tr><th>1</th><td>x, <b>y</b></td></tr></tbody></table>"
)


def shown(*data):
    found = [new_output("display_data", data=d) for d in data]
    return notebook(code("x", outputs=found, execution_count=1))


def test_figures_and_tables_become_files(tmp_path):
    nb = shown({FIGURE: FIG, "text/html": "<table></table>"}, {"text/html": TABLE})
    folder = tmp_path / "n_files"
    folder.mkdir()
    (folder / "stale.json").touch()
    assert write_outputs(nb, folder, images=False) == ["figure-01.json", "table-01.csv"]
    assert json.loads((folder / "figure-01.json").read_text()) == FIG
    with (folder / "table-01.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["", "a & b"], ["0", "1.5"], ["1", "x,y"]]
    assert [p.name for p in tmp_path.iterdir()] == ["n_files"]


def test_pictures_are_written_as_they_are(tmp_path):
    png = base64.b64encode(b"\x89PNG").decode()
    nb = shown(
        {"image/png": png, "text/plain": "<Figure>"},
        {FIGURE: FIG, "image/png": png},
        {"image/svg+xml": "<svg/>"},
    )
    files = write_outputs(nb, tmp_path / "f", images=False)
    assert files == ["figure-01.json", "picture-01.png", "picture-02.svg"]
    assert (tmp_path / "f" / "picture-01.png").read_bytes() == b"\x89PNG"


def test_a_browser_that_fails_does_not_fail_the_run(tmp_path, monkeypatch):
    def broken(figures, folder, formats):
        raise RuntimeError("the browser\nis gone")

    monkeypatch.setattr(outputs, "can_write_images", lambda: True)
    monkeypatch.setattr(outputs, "_write_images", broken)
    with pytest.warns(UserWarning, match="not written as PNG: the browser is gone"):
        assert write_outputs(shown({FIGURE: FIG}), tmp_path / "f") == ["figure-01.json"]


def test_nothing_shown_leaves_no_folder(tmp_path):
    assert write_outputs(shown({"text/plain": "1"}), tmp_path / "n_files") == []
    assert not any(tmp_path.iterdir())


@pytest.mark.browser
def test_figures_become_pictures(tmp_path):
    pytest.importorskip("kaleido")
    files = write_outputs(shown({FIGURE: FIG}, {FIGURE: FIG}), tmp_path / "f", images=True)
    assert files == ["figure-01.json", "figure-01.png", "figure-02.json", "figure-02.png"]
    one, two = ((tmp_path / "f" / f"figure-0{i}.png").read_bytes() for i in (1, 2))
    assert one[:4] == b"\x89PNG"
    assert one == two


@pytest.mark.browser
def test_figures_of_explorers_become_png_svg_and_pdf(tmp_path):
    pytest.importorskip("kaleido")
    explorers = [LatentExplorer, AdversarialExplorer, CalibrationExplorer]
    drawn = [json.loads(explorer([FakeRun()]).figure().to_json()) for explorer in explorers]
    nb = shown(*({FIGURE: figure} for figure in drawn))
    files = write_outputs(nb, tmp_path / "f", images=["svg", "pdf", "png"])
    kinds = ("json", "pdf", "png", "svg")
    assert files == [f"figure-0{number}.{kind}" for number in (1, 2, 3) for kind in kinds]
    for first, explorer in zip(range(0, 12, 4), explorers, strict=True):
        pdf, png, svg = ((tmp_path / "f" / name).read_bytes() for name in files[first + 1 :][:3])
        assert (pdf[:5], png[:4]) == (b"%PDF-", b"\x89PNG")
        drawing = ElementTree.fromstring(svg)
        texts = {text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")}
        assert "<b>bee</b>" in texts or explorer is CalibrationExplorer
        pictures = [e for e in drawing.iter() if e.tag.endswith("image")]
        assert all(str(e.attrib).count("data:image/") == 1 for e in pictures)


def test_an_unknown_format_is_refused_before_anything_runs(tmp_path):
    source = save(tmp_path / "n.ipynb", "1 / 0")
    with pytest.raises(InputError, match="unknown image format 'gif'; choose"):
        run_notebook(source, out=tmp_path / "out", images=["gif"], progress=False)
    assert not (tmp_path / "out").exists()


def test_pictures_without_a_browser_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "can_write_images", lambda: False)
    with pytest.raises(outputs.MissingError, match="need kaleido and Chromium"):
        write_outputs(shown({FIGURE: FIG}), tmp_path / "f", images=True)
    assert write_outputs(shown({FIGURE: FIG}), tmp_path / "f") == ["figure-01.json"]


def test_the_record_says_how_it_went(tmp_path):
    source = save(
        tmp_path / "n.ipynb",
        code("n: int = 0  # rows", "parameters"),
        "from IPython.display import HTML\nHTML(f'<table><tr><td>{n}</td></tr></table>')",
        "assert n < 2, 'too many'",
    )
    out = tmp_path / "out"
    result = run_notebook(source, {"n": 1}, out=out, progress=False)
    record = read_record(out / "n.json")
    assert record["parameters"] == {"n": 1}
    assert record["files"] == ["n_files/table-01.csv"]
    assert record["sizes"]["n.ipynb"] == result.path.stat().st_size

    with pytest.raises(NotebookError):
        run_notebook(source, {"n": 2}, out=out, progress=False)
    failed = json.loads((out / "n.failed.json").read_text())
    assert failed["failure"]["kind"] == "error"
    assert failed["failure"]["reason"] == "AssertionError: too many"
    assert read_record(out / "n.failed.json") is None
    assert read_record(out / "n.json") == record

    result.path.write_bytes(b"{")
    assert read_record(out / "n.json") is None
    assert read_record(out / "none.json") is None
