"""Grids, the tasks made of them, and what an undisturbed sweep leaves."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import textwrap

import pytest
from tiny_notebooks import code, save
from typer.testing import CliRunner

import vcviz
from vcviz.base.errors import InputError, MissingError
from vcviz.cli import app
from vcviz.studies.sweeps import sweep
from vcviz.studies.sweeps.cluster import default_workers
from vcviz.studies.sweeps.grid import expand, parse_grid, read_plan
from vcviz.studies.sweeps.journal import read_journal
from vcviz.studies.sweeps.tasks import in_order, tasks_of, train_command
from vcviz.training.grids import nested

# ---------------------------------------------------------------- grids


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("softmax,variational", ["softmax", "variational"]),
        ("0:5", [0, 1, 2, 3, 4]),
        ("5:0:-2", [5, 3, 1]),
        ("0:2,7", [0, 1, 7]),
        ("1e-3, .5,2", [1e-3, 0.5, 2]),
        ("true,None,x", [True, None, "x"]),
        ("[64],[64,64]", [[64], [64, 64]]),
        ("{a: 1},{b: [2, 3]}", [{"a": 1}, {"b": [2, 3]}]),
    ],
)
def test_values_of_a_command_line(text, values):
    assert parse_grid([f"x={text}"]) == {"x": values}


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "values between commas"), ("a,,b", "values between"), ("3:3", "holds no number")],
)
def test_empty_values_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_grid([f"x={text}"])


def test_cells_are_the_product_and_a_list_of_grids_the_union():
    cells = expand([{"head": ["a", "b"], "seed": "0:2"}, {"head": "b", "seed": [1, 2]}], {"n": 5})
    assert cells == [
        {"n": 5, "head": "a", "seed": 0},
        {"n": 5, "head": "a", "seed": 1},
        {"n": 5, "head": "b", "seed": 0},
        {"n": 5, "head": "b", "seed": 1},
        {"n": 5, "head": "b", "seed": 2},
    ]


@pytest.mark.parametrize(
    ("grid", "fixed", "message"),
    [
        ({}, {}, None),
        ([], {}, "the grid is empty"),
        ({"seed": []}, {}, "seed has no values"),
        ({"seed": [1]}, {"seed": 2}, "seed is both fixed and in the grid"),
        ("seed", {}, "a grid is a mapping"),
        ({"a": range(1000), "b": range(1000)}, {}, "more than 100,000 cells"),
    ],
)
def test_grids_that_cannot_be_meant(grid, fixed, message):
    if message is None:
        assert expand(grid, {"epochs": 3}) == [{"epochs": 3}]
        return
    with pytest.raises(InputError, match=message):
        expand(grid, fixed)


def test_dotted_names_reach_into_options():
    cell = {"head_options": {"margin": 0.1}, "head_options.separation": 4, "encoder_options.x": 1}
    assert nested(cell) == {
        "head_options": {"margin": 0.1, "separation": 4},
        "encoder_options": {"x": 1},
    }
    with pytest.raises(InputError, match=r"seed\.x needs seed to be a mapping"):
        nested({"seed": 1, "seed.x": 2})


def test_a_plan_is_read_as_yaml_1_2(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(
        "notebook: tour\nworkers: 2\nfixed: {lr: 1e-3}\n"
        "grid:\n  - {seed: 1:4, dataset: 1:30x}\n  - seed: [7, 0o7]\n"
    )
    plan = read_plan(path)
    grid = plan.pop("grid")
    assert plan == {"fixed": {"lr": 1e-3}, "notebook": "tour", "workers": 2}
    assert [c["seed"] for c in expand(grid)] == [1, 2, 3, 7, "0o7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid: [", "is not YAML"),
        ("- 1", "should hold a mapping with the key grid"),
        ("grid: {}\nworker: 2", "unknown key in plan.yaml 'worker'; did you mean 'workers'"),
        ("grid: {}\nfixed: 3", "fixed in .* should be a mapping"),
    ],
)
def test_a_plan_that_is_wrong(tmp_path, text, message):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_plan(path)
    with pytest.raises(MissingError, match="no sweep file"):
        read_plan(tmp_path / "none.yaml")


# ---------------------------------------------------------------- tasks


def test_tasks_of_a_training_have_the_names_of_their_runs(tmp_path):
    cells = expand({"head": ["softmax", "variational"], "seed": "0:2"}, {"epochs": 3})
    tasks = tasks_of([*cells, cells[0]], tmp_path, None)
    assert len(tasks) == 4
    assert tasks[0].name == vcviz.RunConfig(head="softmax", epochs=3).default_name
    assert not any(task.finished() for task in tasks)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"head": "sofmax"}, "unknown head 'sofmax'; did you mean 'softmax'"),
        ({"head_options.margn": 1, "head": "gaussian_mixture"}, "did you mean 'margin'"),
        ({"epochs": 0}, "epochs"),
        ({"dataset": "digitss"}, "unknown dataset 'digitss'; did you mean 'digits'"),
        ({"encoder": "mpl"}, "unknown encoder 'mpl'; did you mean 'mlp'"),
    ],
)
def test_every_cell_is_checked_before_anything_starts(tmp_path, cell, message):
    with pytest.raises(InputError, match=message):
        sweep({"seed": [0]}, fixed=cell, out=tmp_path / "s", progress=False)
    assert not (tmp_path / "s").exists()


def test_the_command_repeats_the_run(tmp_path, monkeypatch):
    config = vcviz.RunConfig(
        head="gaussian_mixture", seed=3, head_options={"margin": 0.1, "law": "a b"}, lr=0.01
    )
    command = train_command(config, "my runs")
    assert command.startswith("vcviz train --head gaussian_mixture --")
    assert command.endswith("--out 'my runs'")
    asked = []

    def stop(config, **options):
        asked.append((config, options))
        raise InputError("enough")

    monkeypatch.setattr("vcviz.training.train", stop)
    CliRunner().invoke(app, shlex.split(command)[1:])
    assert asked[0][0].key == config.key
    assert str(asked[0][1]["out"]) == "my runs"


# ---------------------------------------------------------------- sweeps


def test_runs_are_done_once_and_are_those_of_train(tmp_path):
    grid = {"head": ["softmax", "gaussian_mixture"], "seed": [0]}
    fixed = {"epochs": 1, "n_train": 100}
    first = sweep(grid, fixed=fixed, out=tmp_path / "s", workers=0, progress=False)
    assert first.ok
    assert first.repeated == 2
    assert [run["attempts"] for run in first.runs] == [1, 1]
    alone = vcviz.train(head="softmax", **fixed, out=tmp_path / "alone", progress=False)
    swept = vcviz.load_run(tmp_path / "s" / alone.name)
    assert swept.history == alone.history
    assert swept.metrics == alone.metrics

    stamp = (swept.path / "weights.safetensors").stat().st_mtime_ns
    second = sweep(grid, fixed=fixed, out=tmp_path / "s", progress=False)
    assert second.ok
    assert second.repeated == 0
    assert (swept.path / "weights.safetensors").stat().st_mtime_ns == stamp
    assert {e["state"] for e in read_journal(tmp_path / "s").values()} == {"done"}


def test_a_notebook_that_fails_is_reported_while_others_go_on(tmp_path):
    source = save(
        tmp_path / "maybe.ipynb",
        code("n: int = 0  # rows", "parameters"),
        "if n == 0:\n    raise ValueError('zero is too few')\nn",
    )
    options = {"notebook": str(source), "out": tmp_path / "s", "workers": 0, "progress": False}
    result = sweep({"n": "0:2"}, retries=1, **options)
    assert [run["state"] for run in result.runs] == ["failed", "done"]
    (failure,) = result.failures
    assert failure["attempts"] == 2
    assert "ValueError: zero is too few" in failure["reason"]
    record = json.loads((tmp_path / "s" / result.runs[1]["name"] / "maybe.json").read_text())
    assert record["parameters"] == {"n": 1}
    assert record["failure"] is None

    # A changed notebook makes its results stale; what failed is tried again.
    save(source, code("n: int = 0  # rows", "parameters"), "n")
    again = sweep({"n": [0]}, **options)
    assert again.ok
    assert again.repeated == 1
    with pytest.raises(InputError, match="n should be int"):
        sweep({"n": ["x"]}, **options)


def test_a_failure_is_said_once_and_fixed_values_are_read_as_the_notebook_asks(tmp_path):
    source = save(
        tmp_path / "n.ipynb",
        code('n: int = 0\nlabel: str = ""\nnames: list[str] = []', "parameters"),
        "assert not label, [label, names]",
    )
    words = ["sweep", "-g", "n=0", "-p", "label=3", "-p", "names=a,b", "--notebook", str(source)]
    words += ["--out", str(tmp_path / "s"), "--workers", "0"]
    for quiet in ([], ["-q"]):
        done = CliRunner().invoke(app, words + quiet)
        assert done.exit_code == 1
        assert done.stderr.count("AssertionError: ['3', ['a', 'b']]") == 1
        assert "0 of 1 runs are done" in done.stdout
        assert ("run/s" in done.stderr) is not bool(quiet)


def test_values_of_a_grid_are_read_as_the_notebook_asks(tmp_path, capsys):
    source = save(tmp_path / "n.ipynb", code('label: str = ""\ncount: int = 0', "parameters"), "1")
    words = ["sweep", "--list", "-g", "label=007,a", "-g", "count=008", "--notebook", str(source)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    commands = [shlex.split(line) for line in done.stdout.splitlines()]
    assert [(line[4], line[6]) for line in commands] == [
        ("label=007", "count=8"),
        ("label=a", "count=8"),
    ]


SCRIPT = """import vcviz
print("once")
vcviz.sweep({"seed": [0]}, fixed={"dataset": "mixture", "head": "softmax", "epochs": 1,
            "n_train": 100}, out="out", workers=1, progress=False)
print("finished", __file__)
"""


@pytest.mark.parametrize("guarded", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_script_may_call_a_sweep_without_a_main_guard(tmp_path, guarded):
    body = textwrap.indent(SCRIPT, "    ")
    text = f'if __name__ == "__main__":\n{body}' if guarded else SCRIPT
    (tmp_path / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["once", "finished", str(tmp_path / "script.py")]
    assert "Traceback" not in done.stderr
    assert [entry["state"] for entry in read_journal(tmp_path / "out").values()] == ["done"]


def test_workers_fit_the_cores(monkeypatch):
    monkeypatch.setattr("dask.system.CPU_COUNT", 7)
    assert [default_workers(threads) for threads in (1, 3, 9)] == [7, 2, 1]


def test_a_journal_that_is_not_one_is_named(tmp_path):
    (tmp_path / "sweep.json").write_text('{"format": "other"}')
    with pytest.raises(InputError, match=r"sweep\.json: format should be 'vcviz\.sweep/1'"):
        read_journal(tmp_path)


def test_trainings_on_the_same_rows_follow_each_other(tmp_path):
    heads = ["softmax", "variational", "dropmax"]
    cells = expand({"head": heads, "seed": [0, 1]}, {"dataset": "digits"})
    found = in_order(tasks_of(cells, tmp_path))
    order = [(t.parameters["seed"], t.parameters["head"]) for t in found]
    assert order == [(seed, head) for seed in (0, 1) for head in heads]
