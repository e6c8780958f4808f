from __future__ import annotations

import json
import pickle
import sys
import threading
import time
from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient.exceptions import CellTimeoutError
from nbformat.v4 import new_output
from tiny_notebooks import code, notebook, save, text

from vcviz.base.errors import InputError, MissingError
from vcviz.base.locks import held
from vcviz.headless import NotebookError, run_notebook
from vcviz.headless import notebooks as headless
from vcviz.headless.files import (
    find_notebook,
    notebook_address,
    notebook_title,
    read_notebook,
)
from vcviz.headless.outcomes import find_failure

REPORT = """
import json, os, sys
names = ("VCVIZ_HEADLESS", "PLOTLY_RENDERER", "TQDM_DISABLE", "MINE")
print(json.dumps({
    "python": sys.executable, "cwd": os.getcwd(), "n": n, "label": label,
    **{name: os.environ.get(name) for name in names},
}))
"""


def run(path: Path, parameters=None, **options):
    return run_notebook(path, parameters, out=path.parent / "out", progress=False, **options)


@pytest.fixture
def no_kernel(monkeypatch):
    """Fail if anything would be executed."""

    def never(*args, **options):
        raise AssertionError("a kernel was started")

    monkeypatch.setattr(headless, "_execute", never)


def test_parameters_environment_and_interpreter_reach_the_cells(tmp_path, monkeypatch):
    # another environment's kernel of the same name, which must not be used
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "other", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    folder = tmp_path / "a {brace} folder"
    folder.mkdir()
    source = save(
        folder / "tiny.ipynb",
        text("# Tiny"),
        code('n: int = 1  # rows\nlabel: str = "a"', "parameters"),
        REPORT,
        kernel="venv-of-somebody",
    )
    before = source.read_bytes()
    (folder / "out").mkdir()
    (folder / "out" / "tiny.failed.ipynb").touch()

    result = run(source, {"n": 7}, env={"MINE": "1"}, cwd=tmp_path)

    assert result.ok
    assert result.parameters == {"n": 7, "label": "a"}
    assert sorted(p.name for p in (folder / "out").iterdir()) == [
        "tiny.html",
        "tiny.ipynb",
        "tiny.json",
    ]
    assert (result.path, result.page) == (folder / "out/tiny.ipynb", folder / "out/tiny.html")
    assert source.read_bytes() == before
    nb = read_notebook(result.path)
    assert json.loads(nb.cells[-1].outputs[0].text) == {
        "python": sys.executable,
        "cwd": str(tmp_path),
        "n": 7,
        "label": "a",
        "VCVIZ_HEADLESS": "1",
        "PLOTLY_RENDERER": "plotly_mimetype",
        "TQDM_DISABLE": "1",
        "MINE": "1",
    }
    assert nb.metadata.vcviz.parameters == {"n": 7, "label": "a"}
    assert nb.metadata.vcviz.failure is None
    assert "<title>Tiny</title>" in result.page.read_text()


def test_an_error_in_a_cell_is_named_and_what_ran_is_kept(tmp_path):
    source = save(
        tmp_path / "bad.ipynb",
        text("# Bad"),
        code("n = 1", "parameters"),
        "print('loading')\nprint('half way')\nraise ValueError('no such\\nluck')",
        "print('never')",
    )
    with pytest.raises(NotebookError) as caught:
        run(source, {"n": 2})
    failure = caught.value.result.failure
    assert (failure.kind, failure.cell, failure.source) == ("error", 3, "print('loading')")
    assert (failure.reason, failure.last_output) == ("ValueError: no such luck", "half way")
    assert "\n" not in str(caught.value)
    kept = caught.value.result
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "bad.failed.html",
        "bad.failed.ipynb",
        "bad.failed.json",
    ]
    cells = read_notebook(kept.path).cells
    assert cells[-2].outputs[-1].ename == "ValueError"
    assert cells[-1].execution_count is None
    assert 'role="alert">bad stopped: cell 3' in kept.page.read_text()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.result) == (str(caught.value), kept)


@pytest.mark.parametrize(
    ("cell", "kind", "reason", "said"),
    [
        (
            "import os, time\nprint('so far')\ntime.sleep(0.5)\nos.kill(os.getpid(), 9)",
            "died",
            r"killed by SIGKILL \(out of memory\?\)",
            "so far",
        ),
        ("import os\nos._exit(3)", "died", "exited with status 3", ""),
        ("import time\nprint('so far')\ntime.sleep(60)", "timeout", "longer than 2 s", "so far"),
        ("import sys\nsys.exit(0)", "error", "SystemExit: 0", None),
    ],
)
def test_a_killed_kernel_an_exit_and_a_timeout_are_told_apart(tmp_path, cell, kind, reason, said):
    source = save(tmp_path / "end.ipynb", "1", cell, "2")
    with pytest.raises(NotebookError, match=reason) as caught:
        run(source, timeout=2 if kind == "timeout" else None, html=False)
    failure = caught.value.result.failure
    assert (failure.kind, failure.cell) == (kind, 2)
    assert said is None or failure.last_output == said
    assert caught.value.result.page is None
    assert read_notebook(caught.value.result.path).cells[0].execution_count == 1


def test_a_kernel_that_does_not_answer_is_told_without_a_limit_of_ours(tmp_path, monkeypatch):
    ran = papermill.execute_notebook

    def silent(*args, **options):
        ran(*args, **options)
        raise CellTimeoutError("no answer")

    monkeypatch.setattr(papermill, "execute_notebook", silent)
    with pytest.raises(NotebookError, match="did not answer") as caught:
        run(save(tmp_path / "n.ipynb", "1"), html=False)
    assert caught.value.result.failure.kind == "timeout"


def test_a_kernel_that_does_not_start_says_why(tmp_path, monkeypatch):
    folder = tmp_path / "kernels" / "broken"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-c", "raise SystemExit('no such luck')", "{connection_file}"]
    spec = {"argv": argv, "display_name": "broken", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    with pytest.raises(NotebookError, match="failed: the kernel did not start: no such luck;"):
        run(save(tmp_path / "n.ipynb", "1"), kernel="broken", html=False)


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(headless, "_execute", full)
    with pytest.raises(OSError, match=r"No space left on device; free some space or .*out'"):
        run(save(tmp_path / "n.ipynb", "1"))


def test_success_is_judged_by_the_cells_whatever_the_metadata_say():
    done = {"papermill": {"status": "completed", "exception": False}}
    skipped = code("x", "skip-execution")
    ran = [code("1", execution_count=1), text("#"), code("", metadata=done), skipped]
    assert find_failure(notebook(*ran)) is None

    unfinished = find_failure(notebook(*ran, code("y = 2", metadata=done)))
    assert (unfinished.kind, unfinished.cell, unfinished.source) == ("unfinished", 5, "y = 2")

    error = new_output("error", ename="E", evalue="bad", traceback=[])
    failed = find_failure(notebook(*ran, code("z", execution_count=2, outputs=[error])))
    assert (failed.kind, failed.cell, failed.reason) == ("error", 5, "E: bad")


def test_a_cell_that_is_meant_to_raise_is_no_failure():
    error = new_output("error", ename="E", evalue="bad", traceback=[])
    assert find_failure(notebook(code("z", "raises-exception", execution_count=1,
                                      outputs=[error]))) is None  # fmt: skip


def test_a_cell_that_the_kernel_refuses_without_an_error_output_is_a_failure(tmp_path):
    source = save(tmp_path / "magic.ipynb", "1", "print('so far')\n%%capture")
    with pytest.raises(NotebookError, match=r"cell 2, .*: UsageError: Line magic .*; kept"):
        run(source, html=False)


def test_a_second_run_into_the_same_file_waits(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vcviz.base.locks._PATIENCE", 0.05)
    source = save(tmp_path / "n.ipynb", code("n = 0", "parameters"), "n")
    (tmp_path / "out").mkdir()
    execute, started, ended = headless._execute, threading.Event(), threading.Event()

    def other():
        with held(tmp_path / "out" / ".n.ipynb.lock"):
            started.set()
            time.sleep(0.5)
            ended.set()

    def alone(*args, **options):
        assert ended.is_set()
        return execute(*args, **options)

    monkeypatch.setattr(headless, "_execute", alone)
    thread = threading.Thread(target=other)
    thread.start()
    assert started.wait(10)
    run(source, {"n": 2}, html=False)
    thread.join()
    assert "n.ipynb is being written by another run; waiting for it" in capsys.readouterr().err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["n.ipynb", "n.json"]


def test_cells_are_numbered_as_in_the_source():
    nb = notebook(
        code("mark", "papermill-error-cell-tag"),
        code("n = 1", "parameters", execution_count=1),
        code("n = 2", "injected-parameters", execution_count=2),
        code("boom"),
    )
    nb.cells[0].cell_type = "markdown"
    assert find_failure(nb).cell == 2


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {"m": 1}}, "unknown parameter 'm'; choose from: n"),
        ({"parameters": {"n": "1"}}, "n should be int, got '1'"),
        ({"timeout": 0}, "timeout should be a positive number"),
        ({"kernel": "pyhton3"}, "unknown kernel 'pyhton3'; did you mean 'python3'"),
        ({"out": "{source}"}, "is the notebook itself"),
        ({"out": "{source}/x"}, "cannot write in .*: Not a directory; choose another out="),
    ],
)
def test_bad_input_is_refused_before_a_kernel_starts(tmp_path, options, message):
    source = save(tmp_path / "n.ipynb", code("n = 1", "parameters"))
    before = source.read_bytes()
    options = {"out": str(tmp_path), **options}
    if "{source}" in options["out"]:
        options["out"] = options["out"].format(source=source)
    elif options["out"] == str(tmp_path):
        options["out"] = str(tmp_path / "out")
    with pytest.raises(InputError, match=message):
        run_notebook(source, progress=False, **options)
    assert source.read_bytes() == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a Jupyter notebook"),
        ("\xff", "is not a Jupyter notebook"),
        ("[1]", "not a Jupyter notebook"),
        ('{"nbformat": 4, "nbformat_minor": 5}', "not a Jupyter notebook"),
    ],
)
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content, message):
    path = tmp_path / "x.ipynb"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=message):
        read_notebook(path)


def test_ours_are_found_by_name_and_any_by_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = find_notebook("tour")
    assert ours.name == "tour.ipynb"
    assert find_notebook("tour.ipynb") == ours
    mine = save(tmp_path / "tour.ipynb", text("text\n## My *own*"))
    assert find_notebook("tour.ipynb") == Path("tour.ipynb")
    assert find_notebook("tour") == ours
    assert notebook_address(ours) == "tour"
    assert notebook_address(Path("tour.ipynb")) == str(mine)
    assert notebook_title(read_notebook(mine)) == "My *own*"
    lesson = find_notebook("course/01_bayes")
    assert find_notebook("course/01_bayes.ipynb") == lesson
    assert notebook_address(lesson) == "course/01_bayes"
    with pytest.raises(InputError, match="did you mean 'course/01_bayes'"):
        find_notebook("course/01_bay")
    with pytest.raises(InputError, match="unknown notebook 'tuor'; did you mean 'tour'"):
        find_notebook("tuor")
    with pytest.raises(MissingError, match=r"no notebook 'a/tour.ipynb'; ours are adversarial"):
        find_notebook("a/tour.ipynb")


def test_a_notebook_of_an_older_format_is_read(tmp_path):
    path = tmp_path / "old.ipynb"
    nb = notebook("x = 1")
    nb.nbformat_minor = 2
    del nb.cells[0]["id"]
    nbformat.write(nb, path)
    assert read_notebook(path).cells[0].source == "x = 1"
