"""One summary of many runs: groups over seeds, failures, commands, formats, the page."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from browser import open_page
from page_checks import unpacked
from scipy.stats import t
from tiny_notebooks import code, save

import vcviz
from vcviz.base.errors import InputError, MissingError
from vcviz.figures.groups import plot_groups
from vcviz.headless import NotebookError, run_notebook
from vcviz.studies.compare import differences
from vcviz.studies.reports.collect import collect, flat
from vcviz.studies.reports.summary import group, summary_table
from vcviz.studies.sweeps import sweep

FIXED = {"epochs": 1, "n_train": 100}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five runs of two settings, one of which failed."""
    out = tmp_path_factory.mktemp("swept") / "runs"
    sweep({"head": ["softmax", "gaussian_mixture"], "seed": "0:2"}, fixed=FIXED, out=out,
          workers=0, progress=False)  # fmt: skip
    sweep({"lr": [1e30]}, fixed={"head": "softmax", **FIXED}, out=out, workers=0, progress=False)
    return out


def test_runs_that_differ_in_the_seed_are_one_line(folder):
    groups = group(collect(folder).rows)
    assert [(g.settings, len(g.rows)) for g in groups] == [
        ({"head": "gaussian_mixture"}, 2),
        ({"head": "softmax"}, 2),
    ]
    table = summary_table(groups)
    scores = [run.metrics["accuracy"] for run in vcviz.list_runs(folder)
              if run.config.head == "softmax"]  # fmt: skip
    line = table[table["head"] == "softmax"].iloc[0]
    assert line["accuracy"] == pytest.approx(np.mean(scores))
    half = t.interval(0.95, 1, scale=np.std(scores, ddof=1) / np.sqrt(2))[1]
    assert line["accuracy ±"] == pytest.approx(half)


def test_a_failure_stands_there_with_its_reason_and_command(folder):
    (problem,) = collect(folder).problems
    assert "lower lr=" in problem.reason
    assert shlex.split(problem.command)[:2] == ["vcviz", "train"]
    assert "lr=1e+30" in problem.command


def test_the_command_of_a_line_repeats_its_runs(folder):
    from vcviz.headless.assignments import parse_value, split_assignments
    from vcviz.studies.sweeps.grid import expand, parse_grid
    from vcviz.studies.sweeps.tasks import tasks_of

    (mixture, _) = group(collect(folder).rows)
    words = shlex.split(mixture.command)
    assert words[:2] == ["vcviz", "sweep"]
    grid = parse_grid([w for flag, w in pairwise(words) if flag == "-g"])
    given = [w for flag, w in pairwise(words) if flag == "-p"]
    fixed = {k: parse_value(v) for k, v in split_assignments(given).items()}
    names = [task.name for task in tasks_of(expand(grid, fixed), folder, None)]
    assert names == [row.name for row in mixture.rows]


def test_tables_of_every_format_say_the_same(folder, tmp_path):
    csv, parquet = (
        vcviz.report(folder, format=f, out=tmp_path / f"t.{f}") for f in ("csv", "parquet")
    )
    pd.testing.assert_frame_equal(pd.read_csv(csv), pd.read_parquet(parquet), check_dtype=False)
    markdown = vcviz.report(folder, format="markdown").read_text()
    assert vcviz.report(folder, format="markdown") == folder / "report.md"
    accuracy = pd.read_csv(csv)["accuracy"][0]
    assert f"| gaussian_mixture | 2 | {accuracy:.4g} ± " in markdown
    per_run = pd.read_csv(vcviz.report(folder, format="csv", per_run=True, out=tmp_path / "r.csv"))
    assert len(per_run) == 4
    assert set(per_run["seed"]) == {0, 1}


def test_the_page_holds_table_figures_and_failures(folder, tmp_path):
    page = vcviz.report(folder, out=tmp_path / "page.html").read_text()
    assert "4 finished runs of 2 settings" in page
    assert page.count('id="figure-') == 3
    assert "lower lr=" in page
    rows = re.findall(r"<tr>\s*<td data-sort=\"(\w+)\"", page)
    assert rows == ["gaussian_mixture", "softmax"]


def test_a_run_in_two_folders_is_one_and_equal_settings_are_told_apart_by_name(folder, tmp_path):
    import dataclasses

    rows = collect(folder).rows
    copied = [dataclasses.replace(row, path=tmp_path / row.name) for row in rows]
    assert [len(g.rows) for g in group([*rows, *copied])] == [2, 2]
    own = [row for row in rows if row.settings["head"] == "softmax"][:1]
    own += [dataclasses.replace(own[0], name="with an encoder of mine")]
    assert [(g.settings["run"], len(g.rows)) for g in group(own)] == [
        (own[0].name, 1),
        ("with an encoder of mine", 1),
    ]


def test_failed_notebooks_in_one_folder_are_each_named(tmp_path):
    for name in ("one", "two"):
        source = save(tmp_path / f"{name}.ipynb", "raise ValueError('no luck')")
        with pytest.raises(NotebookError):
            run_notebook(source, out=tmp_path / "reports", progress=False, html=False)
    problems = {p.name: p for p in collect(tmp_path / "reports").problems}
    assert set(problems) == {"one", "two"}
    assert problems["one"].reason == "cell 1: ValueError: no luck"
    assert shlex.split(problems["one"].command)[2] == str(tmp_path / "one.ipynb")


def test_a_damaged_journal_is_a_problem_and_hides_no_run(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "sweep.json").write_text("{")
    found = collect(tmp_path / "copy")
    assert len(found.rows) == 4
    assert [p.name for p in found.problems] == ["sweep.json"]


def test_columns_of_a_table_are_settings_then_numbers_then_the_command(folder):
    rows = collect(folder).rows
    import dataclasses

    late = dataclasses.replace(
        rows[-1], name="late", settings={**rows[-1].settings, "zeta": 1, "seed": 7}
    )
    names = list(summary_table(group([*rows, late])).columns)
    assert names[:3] == ["head", "zeta", "seeds"]
    assert names[-1] == "command"


@pytest.mark.browser
def test_pressing_a_heading_sorts(folder, tmp_path, chromium):
    page = vcviz.report(folder, out=tmp_path / "page.html")
    with open_page(chromium, page) as (tab, watch):
        cells = "document.querySelectorAll('table.sortable tbody td:first-child')"
        heads = f"[...{cells}].map(cell => cell.textContent)"
        assert tab.evaluate(heads) == ["gaussian_mixture", "softmax"]
        tab.get_by_role("button", name="head", exact=True).click()
        tab.get_by_role("button", name="head", exact=True).click()
        assert tab.evaluate(heads) == ["softmax", "gaussian_mixture"]
        assert watch.requests == watch.errors == []


def test_markup_in_names_stays_text(tmp_path):
    source = save(
        tmp_path / "n.ipynb", code('label: str = ""  # text', "parameters"), "print(label)"
    )
    sweep({"label": ["<img src=x onerror=alert(1)>", "b|c"]}, notebook=str(source),
          out=tmp_path / "s", workers=0, progress=False)  # fmt: skip
    page = vcviz.report(tmp_path / "s").read_text()
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert "b\\|c" in vcviz.report(tmp_path / "s", format="markdown").read_text()


def test_figures_of_notebooks_stand_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr("vcviz.headless.outputs.can_write_images", lambda: False)
    figure = '{"data": [{"y": [n, 2]}], "layout": {}}'
    source = save(
        tmp_path / "n.ipynb",
        code("n: int = 0  # number\nseed: int = 0  # seed", "parameters"),
        "from IPython.display import display\n"
        f"display({{'application/vnd.plotly.v1+json': {figure}, 'text/plain': ''}}, raw=True)",
    )
    sweep({"n": [1, 5], "seed": "0:2"}, notebook=str(source), out=tmp_path / "s", workers=0,
          progress=False)  # fmt: skip
    groups = group(collect(tmp_path / "s").rows)
    assert [(g.settings["n"], len(g.rows)) for g in groups] == [(1, 2), (5, 2)]
    out = str(tmp_path / "s")
    assert shlex.split(groups[0].command) == [
        *("vcviz", "sweep", "--notebook", str(source), "-g", "seed=0,1", "-p", "n=1", "--out", out)
    ]
    assert shlex.split(groups[0].rows[0].command)[:3] == ["vcviz", "notebook", str(source)]
    page = vcviz.report(tmp_path / "s").read_text()
    drawn = [unpacked(page, name) for name in re.findall(r'id="(figure-\d+)"', page)]
    assert [json.loads(d)["data"][0]["y"] for d in drawn] == [[1, 2], [5, 2]]
    assert page.count("n.html") == 4


def test_what_cannot_be_summarised(tmp_path, folder):
    with pytest.raises(MissingError, match="no folder"):
        vcviz.report(tmp_path / "none")
    with pytest.raises(MissingError, match="no runs in"):
        vcviz.report(tmp_path)
    with pytest.raises(InputError, match="unknown format 'pdf'"):
        vcviz.report(folder, format="pdf")
    with pytest.raises(InputError, match="per_run is for tables"):
        vcviz.report(folder, per_run=True)


def test_a_damaged_run_is_a_problem(folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    name = vcviz.list_runs(copy)[0].name
    (copy / name / "metrics.json").write_text("{")
    problems = {p.name: p.reason for p in collect(copy).problems}
    assert "metrics.json is damaged" in problems[name]


def test_what_differs_between_two_runs(folder):
    one, other = [r for r in vcviz.list_runs(folder) if r.config.head == "softmax"]
    table = differences(one, other).set_index("name")
    assert set(table.loc["seed"][[one.name, other.name]]) == {0, 1}
    assert table.loc["seed", "what"] == "setting"
    assert table.loc["train fingerprint", "what"] == "data"
    assert table.loc["accuracy", "what"] == "number"
    assert "torch" not in table.index
    assert differences(one, one).empty
    assert differences(one, one).columns.is_unique


def test_nested_settings_become_flat():
    assert flat({"a": {"b": 1, "c": {"d": 2}}, "e": {}, "f": [1]}) == {
        "a.b": 1,
        "a.c.d": 2,
        "f": [1],
    }


def test_groups_are_drawn_with_their_intervals():
    values = {"<b>x</b>": {"ece": [0.1, 0.3]}, "y": {"ece": [0.2], "nll": [1.0]}}
    fig = plot_groups(values, {"<b>x</b>": {"ece": 0.05}}, titles={"nll": "NLL, nats"})
    means = [trace for trace in fig.data if trace.error_x.array is not None]
    assert [m.x[0] for m in means] == [pytest.approx(0.2), 0.2, 1.0]
    assert [m.error_x.array[0] for m in means] == [0.05, 0, 0]
    assert fig.layout.yaxis.ticktext[0] == "&lt;b&gt;x&lt;/b&gt;"
    assert fig.layout.annotations[1].text == "<b>NLL, nats</b>"
    with pytest.raises(InputError, match="at least one group"):
        plot_groups({})
