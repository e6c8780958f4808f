"""The project's own notebooks: stripped, logic-free, and they run from top to bottom."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import nbformat
import numpy as np
import pytest
from page_checks import check_drawing, check_page, check_sizes, code_cells
from pages_browser import WIDTHS

from vcviz.headless import run_notebook
from vcviz.headless.files import list_notebooks, read_notebook
from vcviz.headless.parameters import TAG, check_parameters, notebook_parameters

pytestmark = pytest.mark.usefixtures("warm_kernels")

ROOT = Path(__file__).resolve().parents[2]
COURSE = sorted((ROOT / "notebooks" / "course").glob("*.ipynb"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb")) + COURSE
LOGIC = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.comprehension,
    ast.With,
    ast.Try,
)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def test_the_notebooks_are_where_the_package_looks_for_them():
    assert list(list_notebooks().values()) == NOTEBOOKS
    assert {
        "tour",
        "train",
        "latent_space",
        "calibration",
        "adversarial",
    } <= list_notebooks().keys()


@each_notebook
def test_it_is_valid_stripped_and_starts_with_its_title(path):
    nb = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(nb)
    assert (nb.nbformat, nb.nbformat_minor) >= (4, 5)
    assert nb.metadata.kernelspec.name == "python3"
    assert nb.cells[0].cell_type == "markdown"
    assert nb.cells[0].source.startswith("# ")
    assert "widgets" not in nb.metadata
    ids = [c.id for c in nb.cells]
    assert len(set(ids)) == len(ids)
    for cell in code_cells(nb):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert cell.source.strip()
        assert set(cell.metadata) <= {"tags"}


@each_notebook
def test_its_parameters_are_annotated_literals_with_help(path):
    nb = read_notebook(path)
    (cell,) = [c for c in code_cells(nb) if TAG in c.metadata.get("tags", [])]
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.AnnAssign), ast.unparse(statement)
        ast.literal_eval(statement.value)
    parameters = notebook_parameters(nb)
    assert all(p.help for p in parameters)
    smoke = nb.metadata.vcviz.smoke
    assert check_parameters(parameters, smoke) == smoke


@each_notebook
def test_it_holds_no_logic(path):
    for cell in code_cells(read_notebook(path)):
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            assert not isinstance(node, LOGIC), ast.unparse(node)
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("open", "exec", "eval"), cell.source


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """One folder for all, so that a run that two notebooks need is trained once."""
    return tmp_path_factory.mktemp("notebooks")


each_but_the_tour = pytest.mark.parametrize(  # which test_main_job.py runs
    "path", [p for p in NOTEBOOKS if p.stem != "tour"], ids=lambda p: p.stem
)


# A page of each kind; -m slow has all of them.
_OF_EACH_KIND = ("latent_space", "calibration", "adversarial", "scoreboard", "05_confidence")
FITTED = [p for p in NOTEBOOKS if p.stem in _OF_EACH_KIND]


@each_but_the_tour
def test_it_runs_to_a_page_that_needs_nothing_else(path, workplace):
    nb = read_notebook(path)
    result = run_notebook(
        path,
        nb.metadata.vcviz.smoke,
        out=workplace / "reports",
        timeout=600,
        cwd=workplace,
        images=False,  # see test_outputs.py
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        progress=False,
    )
    check_page(nb, result.path, result.page)


def drawn_at(widths, path, workplace, chromium):
    page = workplace / "reports" / f"{path.stem}.html"
    if not page.exists():  # this test was chosen alone
        test_it_runs_to_a_page_that_needs_nothing_else(path, workplace)
    check_drawing(page, chromium, widths=widths)


@pytest.mark.browser
@pytest.mark.parametrize("path", FITTED, ids=lambda p: p.stem)
def test_its_figures_fit_a_phone_and_a_large_screen(path, workplace, chromium):
    drawn_at((WIDTHS[0], WIDTHS[-1]), path, workplace, chromium)


@pytest.mark.slow
@pytest.mark.browser
@each_but_the_tour
def test_its_figures_fit_every_width(path, workplace, chromium):
    drawn_at(WIDTHS, path, workplace, chromium)


@pytest.mark.parametrize("name", ["pc_softmax", "posthoc"])
def test_what_fits_its_own_data_does_not_reach_other_data(name, workplace):
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal(k % 3):.3f},{rng.normal():.3f},{'xyz'[k % 3]}\n" for k in range(240)]
    (workplace / "t.csv").write_text("a,b,label\n" + "".join(rows))
    smoke = read_notebook(ROOT / "notebooks" / f"{name}.ipynb").metadata.vcviz.smoke
    few = {k: v for k, v in smoke.items() if not k.endswith("_options") and k != "n_train"}
    result = run_notebook(
        ROOT / "notebooks" / f"{name}.ipynb",
        {**few, "dataset": "path:t.csv"},
        out=workplace / "other",
        timeout=600,
        cwd=workplace,
        images=False,
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        progress=False,
    )
    assert result.page is not None


@pytest.mark.slow
@each_notebook
def test_it_stays_small_with_its_own_parameters(path, workplace):
    result = run_notebook(
        path,
        out=workplace / "full",
        timeout=600,
        cwd=workplace,
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        images=False,
        progress=False,
    )
    check_sizes(result.path, result.page)
