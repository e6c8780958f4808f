"""The card's benchmark in its small form on the CPU: it must run when there is a card at last."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import vcviz
from benchmarks import gpu


def test_every_part_runs_and_is_kept(tmp_path, capsys):
    (tmp_path / "RESULTS.md").write_text("# Results\n\nbefore\n")
    gpu.main(["--device", "cpu", "--small", "--out", str(tmp_path)])
    (found,) = json.loads((tmp_path / "gpu.json").read_text())
    rows = found["rows"]
    assert [row for row in rows if row["value"] is None] == rows[:1]  # the tests of a card
    assert {row["part"] for row in rows} == {
        "tests", "step", "epoch", "resnet", "together", "extraction"}  # fmt: skip
    heads = {(row["work"].split(", ")[0]) for row in rows if row["part"] == "epoch"}
    assert heads == set(vcviz.HEADS)
    assert all(row["value"] > 0 for row in rows[1:])
    assert all(row["ratio"] > 0 for row in rows if row["against"])
    assert len(capsys.readouterr().out.splitlines()) == len(rows)
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.startswith("# Results\n\nbefore\n\n" + gpu.BEGIN)
    assert page.count("\n| ") == len(rows) + 1

    # Once more: in place of the first, and another card beside it.
    gpu.kept(found | {"rows": rows[:2]}, tmp_path)
    gpu.kept(found | {"card": "Card", "rows": rows[:1]}, tmp_path)
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.count(gpu.BEGIN) == page.count("## On a card") == page.count("### Card") == 1
    assert page.count("\n| ") == 5


def test_what_time_does_not_allow_is_said(monkeypatch):
    found = gpu.measured(torch.device("cpu"), gpu.SMALL, limit=-1.0)
    assert {row["unit"] for row in found["rows"]} == {"left out after -1.0 s"}
    assert len(found["rows"]) == len(gpu.PARTS)


def test_small_results_do_not_stand_beside_those_of_cards():
    with pytest.raises(SystemExit):
        gpu.main(["--device", "cpu", "--small"])


def test_the_pictures_can_be_told_apart():
    train, test = gpu.pictures(2000, 8, 1), gpu.pictures(500, 8, 1, seed=1)
    means = [train.x[train.y == k].mean(0) for k in range(10)]
    away = [((test.x - m) ** 2.0).sum((1, 2, 3)) for m in means]
    # Shifts blur the means: a tenth would be chance, four standard deviations more is not.
    assert 0.154 < (np.argmin(away, axis=0) == test.y).mean() < gpu.BEST
