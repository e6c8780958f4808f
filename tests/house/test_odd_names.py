"""Names that others chose stay in their folder, are never markup, and are refused in a line."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vcviz
from vcviz.base.errors import InputError

SETTINGS = {
    "dataset": "mixture", "dataset_options": {"n": 60}, "epochs": 1, "progress": False
}  # fmt: skip
ROWS_IN_PAGES = (Path(vcviz.headless.__path__[0]) / "assets" / "page_points.js").read_text("utf-8")
SCRIPT = "<script>alert(1)</script>"
ODD = {
    "slashes": "a/b/../c",
    "up": "../up",
    "dots": "..",
    "hidden": ".hidden",
    "markup": f"<b>bold</b>{SCRIPT}",
    "quotes": "'\"`$(x)\\",
    "emoji": "🦉é",
    "long": "x" * 10_000,
    "many bytes": "é" * 200,
    "lines": "a\r\nb",
    "nothing": "a\0b",
    "half a character": "\ud800",
    "spaces": "  ",
    "formula": "$x^2$ %{y} {x}",
}

ASKS: dict[str, Callable[[str], object]] = {
    "run": vcviz.load_run,
    "runs": vcviz.list_runs,
    "run's name": lambda name: vcviz.train(name=name, **SETTINGS),
    "run's folder": lambda name: vcviz.train(out=f"inner/{name}", **SETTINGS),
    "runs of a report": lambda name: vcviz.report(f"inner/{name}"),
    "notebook": vcviz.run_notebook,
    "notebook's page": lambda name: vcviz.run_notebook(
        "train", {"not a parameter": 1}, out=f"inner/{name}"
    ),
    "scoreboard": vcviz.studies.load_scoreboard,
    "plan of a scoreboard": lambda name: vcviz.run_scoreboard(f"inner/{name}"),
    "folder of a scoreboard": lambda name: vcviz.studies.load_scoreboard(f"inner/{name}"),
    "file of a sweep": lambda name: vcviz.studies.sweeps.grid.read_plan(f"inner/{name}"),
    "dataset": vcviz.load_data,
    "dataset in a folder": lambda name: vcviz.load_data(f"path:inner/{name}"),
    "dataset of the Hub": lambda name: vcviz.load_data(f"hub:{name}"),
    "head": lambda name: vcviz.build_head(name, latent_dim=2, n_classes=3),
    "setting": lambda name: vcviz.train(**{name: 1}),
    "split": lambda name: vcviz.load_data("mixture", n=60)[0].take([0], name).name,
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_name_is_taken_or_refused_in_one_line(
    ask: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "around" / "place"
    (place / "inner").mkdir(parents=True)
    monkeypatch.chdir(place)
    said = ""
    try:
        ASKS[ask](ODD[kind])
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 2000
    assert [p.name for p in tmp_path.iterdir()] == ["around"]
    assert [p.name for p in (tmp_path / "around").iterdir()] == ["place"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> vcviz.Run:
    """A run on a file and with classes of odd names."""
    folder = tmp_path_factory.mktemp("odd")
    names = [name for name in ODD.values() if "\0" not in name and "\ud800" not in name]
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.random(12 * len(names)), "b": rng.random(12 * len(names))})
    file = folder / f"'{SCRIPT.replace('/', '')}$x$.parquet"
    rows.assign(label=names * 12).to_parquet(file)
    settings = {**SETTINGS, "dataset": f"path:{file}", "dataset_options": {}}
    return vcviz.train(out=folder / "runs", **settings)


def test_a_run_with_odd_names_lies_in_its_folder(run: vcviz.Run) -> None:
    assert re.fullmatch(r"[\w-]+", run.name)
    assert vcviz.load_run(run.path).class_names == run.class_names
    assert {p.name for p in run.path.parent.iterdir()} == {run.name}


def test_odd_names_are_no_markup_in_a_report(run: vcviz.Run) -> None:
    page = vcviz.report(run.path.parent).read_text(encoding="utf-8")
    assert SCRIPT not in page
    assert SCRIPT.replace("/", "") not in page


@pytest.mark.parametrize("draw", ["latents", "reliability", "classes", "fit"])
def test_odd_names_are_text_in_figures(run: vcviz.Run, draw: str) -> None:
    fig = {
        "latents": lambda: vcviz.LatentExplorer(run).figure(),
        "reliability": lambda: vcviz.plot_reliability(vcviz.studies.reliability_curves([run])),
        "classes": lambda: vcviz.figures.plot_class_accuracy(
            vcviz.metrics.class_accuracy(run.latents())
        ),
        "fit": lambda: vcviz.plot_latent_fit(vcviz.studies.latent_fits([run])),
    }[draw]()
    # The rows behind a page's points are written as text alone, never as markup.
    rows = (fig.layout.meta or {}).pop("rows", None)
    assert (rows is not None) == (draw == "latents")
    assert not re.search("innerHTML|insertAdjacentHTML|document.write", ROWS_IN_PAGES)
    text = fig.to_json()
    assert SCRIPT not in text.encode().decode("unicode_escape", "replace")
    assert "x" * 1000 not in text
    assert html.escape("<b>bold") in text or draw in ("reliability",)


@pytest.mark.parametrize("kind", ODD)
def test_data_of_an_odd_name_are_said_to_be_missing(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        vcviz.train(dataset=f"path:{tmp_path / 'none'}/{ODD[kind]}", out=tmp_path, progress=False)
    assert "\n" not in str(raised.value)
