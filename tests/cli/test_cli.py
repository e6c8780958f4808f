from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from tiny_notebooks import code, save, text

import vcviz
from vcviz import cli, headless
from vcviz.base.errors import InputError, TrainingError
from vcviz.cli.table import text_table
from vcviz.headless import lab
from vcviz.headless.outcomes import Failure, NotebookError, NotebookResult
from vcviz.runs.config import RunConfig

HEAVY = {"torch", "plotly", "pandas", "numpy", "pydantic", "papermill", "nbformat", "rich"}


def run(*argv: object) -> int:
    """Run the command in this process and return its exit status."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(a) for a in argv])
    return stopped.value.code or 0


def refused(capsys, *argv: object) -> str:
    """Return the one line on stderr of a command that must end with status 2."""
    assert run(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vcviz: ")
    assert err.count("\n") == 1
    return err


def fake(monkeypatch, module: str, **names: object) -> None:
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**names))


def made_run(
    config: RunConfig, path: Path = Path("runs/a-run"), label_note: str = ""
) -> SimpleNamespace:
    metrics = {"accuracy": 0.91234, "ece": 0.03, "ece_if_calibrated": 0.02, "nll": 0.5}
    return SimpleNamespace(
        name=path.name, path=path, config=config, metrics=metrics, label_note=label_note
    )


@pytest.fixture
def trained(monkeypatch) -> list[tuple[RunConfig, dict]]:
    """Record what would be trained instead of training it."""
    calls = []

    def train(config, **options):
        calls.append((config, options))
        return made_run(config)

    fake(monkeypatch, "vcviz.training", train=train)
    fake(monkeypatch, "vcviz.training.distributed", speaks=lambda: True)
    return calls


def test_help_imports_nothing_heavy():
    code = f"import sys, vcviz.cli; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_version_and_help(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"vcviz {vcviz.__version__}\n"
    for argv in ((), ("--help",), ("-h",)):
        assert run(*argv) == 0
        out = capsys.readouterr().out
        commands = [
            "tour",
            "train",
            "sweep",
            "scoreboard",
            "runs",
            "report",
            "notebook",
            "lab",
            "course",
        ]
        assert re.findall(r"^  (\w+)  ", out, re.M) == commands
        assert "..." not in out.partition("Commands:")[2]  # no line is cut


def test_a_mistyped_command_or_option_is_refused(capsys):
    assert run("trian") == 2
    assert "Did you mean 'train'" in capsys.readouterr().err
    assert run("train", "--epoch", 3) == 2
    assert "--epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("no\nsuch thing"), 2, "vcviz: no such thing\n"),
        (PermissionError(13, "Permission denied", "/x"), 2, "vcviz: Permission denied: /x\n"),
        (TrainingError("loss is NaN"), 1, "vcviz: loss is NaN\n"),
        (KeyboardInterrupt(), 130, "vcviz: interrupted\n"),
    ],
)
def test_foreseeable_errors_are_one_line_and_a_status(monkeypatch, capsys, error, status, line):
    def list_runs(folder):
        raise error

    fake(monkeypatch, "vcviz.runs", list_runs=list_runs)
    assert run("runs") == status
    assert capsys.readouterr().err == line


def test_a_bug_keeps_its_traceback(monkeypatch):
    def list_runs(folder):
        raise ZeroDivisionError("a bug")

    fake(monkeypatch, "vcviz.runs", list_runs=list_runs)
    with pytest.raises(ZeroDivisionError):
        cli.main(["runs"])


def test_train_has_an_option_for_every_setting_and_shows_its_default(capsys):
    fields = RunConfig.model_fields
    assert run("train", "--help") == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for name, field in fields.items():
        assert field.description, name
        option, text = f"--{name.replace('_', '-')}", field.description
        if isinstance(field.get_default(call_default_factory=True), dict):
            assert f" {option.removesuffix('s')} NAME=VALUE {text} -" in shown
            continue
        found = rf" {option}( /.*?| <\w+>)? {re.escape(text)}.*? -"
        entry = re.search(found, shown)
        assert entry, name
        if field.default not in (None, False):
            assert f"[{field.default}]" in entry.group(), name


def test_train_passes_only_what_was_given(trained, capsys):
    assert run("train") == 0
    assert trained == [(RunConfig(), {"out": Path("runs"), "name": None, "progress": True})]
    out = capsys.readouterr().out
    assert out.startswith("runs/a-run: accuracy 0.912, ECE 0.030 (0.020 if calibrated), NLL 0.500")


def test_train_turns_options_into_settings(trained):
    argv = ["--head", "variational", "--latent-dim", 16, "--lr", "1e-3", "--compile", "-q"]
    argv += ["--head-option", "covariance=diagonal", "--head-option", "critic-weight=0.5"]
    argv += ["--dataset-option", "columns=[a, b]", "--set", "critic_steps=4", "--momentum", 0]
    argv += ["--rate-weight", 0, "--stochastic", "--schedule-option", "gamma=0.5"]
    argv += ["--out", "elsewhere", "--name", "mine"]
    assert run("train", *argv) == 0
    config = RunConfig(
        head="variational",
        latent_dim=16,
        lr=1e-3,
        compile=True,
        head_options={"covariance": "diagonal", "critic_weight": 0.5},
        dataset_options={"columns": ["a", "b"]},
        critic_steps=4,
        momentum=0,
        rate_weight=0,
        stochastic=True,
        schedule_options={"gamma": 0.5},
    )
    options = {"out": Path("elsewhere"), "name": "mine", "progress": False}
    assert trained == [(config, options)]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--set", "epoch=3"], "unknown setting 'epoch'; did you mean 'epochs'?"),
        (["--epochs", "0"], "epochs should be greater than or equal to 1, got 0"),
        (["--optimizer", "adamm"], "optimizer should be 'adam', 'adamw' or 'sgd', got 'adamm'"),
        (["--epochs", "3", "--set", "epochs=4"], "epochs is given twice"),
        (["--head-option", "margin"], "expected name=value, got 'margin'"),
    ],
)
def test_train_refuses_wrong_settings_before_anything_starts(trained, capsys, argv, message):
    assert message in refused(capsys, "train", *argv)
    assert trained == []


def test_runs_are_listed_as_a_table_or_json(monkeypatch, capsys):
    runs = [made_run(RunConfig(), Path("r/b")), made_run(RunConfig(head="variational"))]
    fake(monkeypatch, "vcviz.runs", list_runs=lambda folder: runs)
    assert run("runs") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:6] == ["b", "digits", "softmax", "vcviz", "point", "2"]
    assert lines[1][6:] == ["30", "0.912", "0.030", "0.020", "0.500"]
    assert lines[2][:3] == ["a-run", "digits", "variational"]

    table = pd.DataFrame({"KL train": [1.5, float("nan")], "KL test": [2.0, 3.0]})
    fake(monkeypatch, "vcviz.studies.compare", summarise=lambda runs, rows: table)
    assert run("runs", "--fit") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[-2:] for line in lines[1:]] == [["1.500", "2.000"], ["-", "3.000"]]

    assert run("runs", "--json") == 0
    first, _ = json.loads(capsys.readouterr().out)
    assert first["path"] == "r/b"
    assert first["config"]["epochs"] == 30
    assert first["metrics"]["accuracy"] == 0.91234

    runs[0].label_note = "for equal classes"
    assert run("runs") == 0
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.endswith("labels")
    assert first.endswith("0.500  for equal classes")
    assert "for equal" not in second

    fake(monkeypatch, "vcviz.runs", list_runs=lambda folder: [])
    assert run("runs", "empty") == 0
    assert capsys.readouterr().out == "no finished runs in empty; train one: vcviz train\n"


def test_columns_that_are_empty_in_every_row_are_left_out():
    rows = [
        {"a": "x", "b": float("nan"), "c": None, "d": ""},
        {"a": "y", "b": None, "c": 2, "d": ""},
    ]
    assert text_table(rows) == "a  c\nx  -\ny  2"
    assert text_table([{"a": None}]) == text_table([]) == ""


def test_a_missing_runs_folder_is_one_line(tmp_path, capsys):
    assert "no folder" in refused(capsys, "runs", tmp_path / "none")


@pytest.fixture
def mine(tmp_path) -> Path:
    return save(
        tmp_path / "mine.ipynb",
        text("# Mine"),
        "from typing import Annotated\nfrom pydantic import Field",
        code(
            'n: Annotated[int, Field(ge=1)] = 1  # how many\nlabels: list[str] = ["a"]',
            "parameters",
        ),
        "n, labels",
    )


def test_notebooks_are_listed_with_their_titles(monkeypatch, mine, capsys):
    monkeypatch.setattr("vcviz.headless.files.list_notebooks", lambda: {"mine": mine})
    assert run("notebook") == 0
    assert [x.split() for x in capsys.readouterr().out.splitlines()] == [
        ["notebook", "title"],
        ["mine", "Mine"],
    ]


def test_help_for_a_notebook_lists_its_parameters(mine, capsys):
    assert run("notebook", mine, "--help") == 0
    out = capsys.readouterr().out
    assert "--timeout" in out
    assert re.search(r"^n +int \(ge=1\) +1 +how many$", out, re.M)
    assert re.search(r"^labels +list\[str\] +\['a'\]$", out, re.M)


def test_notebook_runs_with_parameters_and_writes_a_page(mine, tmp_path, capsys):
    out = tmp_path / "here"
    assert run("notebook", mine, "-p", "n=3", "-p", "labels=b,c", "--out", out, "-q") == 0
    assert capsys.readouterr().out.startswith(f"{out}/mine.html: mine ran in ")
    assert "(3, ['b', 'c'])" in (out / "mine.html").read_text()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-p", "m=1"], "unknown parameter 'm'"),
        (["-p", "n=0"], "n should be greater than or equal to 1, got 0"),
        (["-p", "n=x"], "n should be int (ge=1), got 'x' (str)"),
        (["--timeout", "-1"], "timeout should be a positive number"),
        (["--kernel", "nosuch"], "unknown kernel 'nosuch'"),
    ],
)
def test_notebook_refuses_bad_input(mine, capsys, argv, message):
    assert message in refused(capsys, "notebook", mine, *argv)


def test_an_unknown_notebook_is_refused_with_the_nearest(capsys):
    assert "did you mean 'tour'" in refused(capsys, "notebook", "tuor")


def test_a_notebook_that_fails_has_status_1(monkeypatch, mine, capsys):
    failure = Failure("error", 3, "boom()", "ValueError: no")
    result = NotebookResult("mine", Path("x.failed.ipynb"), None, {}, 1.0, failure)

    def run_notebook(*args, **options):
        raise NotebookError(result)

    monkeypatch.setattr(headless, "run_notebook", run_notebook)
    assert run("notebook", mine) == 1
    assert capsys.readouterr().err == (
        "vcviz: mine failed: cell 3, 'boom()': ValueError: no; kept: x.failed.ipynb\n"
    )


def test_lab_copies_the_notebooks_and_hands_the_rest_to_jupyterlab(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    started = []
    monkeypatch.setattr(lab, "start", lambda command: started.append(command) or 3)
    (tmp_path / "n").mkdir()
    save(tmp_path / "n" / "tour.ipynb", text("# mine"))
    argv = ["--folder", "n", "--port", "9999", "--no-browser", "--", "--ip=0.0.0.0"]
    assert run("lab", *argv) == 3
    (command,) = started
    assert command[-1] == "--ip=0.0.0.0"
    assert {"--port=9999", "--no-browser"} <= set(command)
    assert "tour.new.ipynb" in capsys.readouterr().out


def test_lab_opens_the_first_lesson_of_the_course(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    started = []
    monkeypatch.setattr(lab, "start", lambda command: started.append(command) or 0)
    assert run("lab", "--course", "--folder", "n") == 0
    (command,) = started
    assert "--LabApp.default_url=/lab/tree/n/course/01_bayes.ipynb" in command
    assert (tmp_path / "n" / "course" / "08_bits.ipynb").is_file()
    assert (tmp_path / "n" / "tour.ipynb").is_file()
    assert not list((tmp_path / "n").rglob("solutions*"))


def test_tour_prints_the_table_and_what_to_open(monkeypatch, tmp_path, capsys):
    calls = []
    columns = ["head", "D", "accuracy", "ECE", "KL train", "KL test", "PGD accuracy", "more"]
    table = pd.DataFrame([["softmax", 2, 0.9, 0.05, 7.0, 9.0, 0.25, "hidden"]], columns=columns)
    table.attrs["attack"] = "L-infinity PGD, epsilon 0.1"

    def run_tour(**options):
        calls.append(options)
        return SimpleNamespace(runs=(), page=tmp_path / "tour.html", table=table)

    fake(monkeypatch, "vcviz.cli.tour", run_tour=run_tour)
    assert run("tour", "--epochs", 3, "--reports", tmp_path, "-q") == 0
    assert calls == [
        {
            "out": Path("runs"),
            "reports": tmp_path,
            "epochs": 3,
            "seed": 0,
            "device": "auto",
            "progress": False,
        }
    ]
    out = capsys.readouterr().out
    assert re.search(r"softmax +2 +0.900 +0.050 +7.000 +9.000 +0.250$", out, re.M)
    assert "hidden" not in out
    assert "L-infinity PGD, epsilon 0.1" in out
    assert (tmp_path / "tour.html").as_uri() in out
    assert run("tour") == 0
    assert "epochs" not in calls[1]


@pytest.mark.parametrize(
    ("reason", "status"),
    [("InputError: unknown head 'softmx'", 2), ("ZeroDivisionError: division by zero", 1)],
)
def test_a_value_that_the_library_refuses_in_a_notebook_is_bad_input(
    tmp_path, monkeypatch, capsys, reason, status
):
    failure = Failure("error", 5, "runs = vcviz.train_heads(", reason)
    result = NotebookResult("mine", tmp_path / "mine.failed.ipynb", None, {}, 1.0, failure)

    def fails(*_args, **_options):
        raise NotebookError(result)

    monkeypatch.setattr("vcviz.headless.run_notebook", fails)
    assert run("notebook", "latent_space", "--quiet") == status
    assert capsys.readouterr().err.startswith("vcviz: mine failed: cell 5")


def test_a_damaged_run_is_named_and_hides_no_other(tmp_path, capsys):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    assert run("runs", tmp_path) == 0
    assert "broken/config.json is damaged or not JSON" in capsys.readouterr().err
