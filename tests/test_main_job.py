"""The main job as a person meets it: the tour's page, and an explorer alive in JupyterLab."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import open_page
from test_lab import served
from tiny_notebooks import save, text

import vcviz
from vcviz.compare import COLUMNS
from vcviz.tour import HEADS, Tour, run_tour


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    folder = tmp_path_factory.mktemp("tour")
    return run_tour(out=folder / "runs", reports=folder / "reports", epochs=4, progress=False)


def test_tour_trains_each_head_twice_and_reports_what_the_runs_hold(tour: Tour) -> None:
    assert list(tour.table.columns) == list(COLUMNS)
    assert list(tour.table["head"]) == 2 * list(HEADS)
    assert list(tour.table["D"]) == [2, 2, 2, 16, 16, 16]
    for run in tour.runs:
        row = tour.table.loc[run.name]
        latents, prior = run.latents("test"), run.prior()
        assert row["accuracy"] == (latents.log_probs.argmax(1) == latents.y).mean()
        assert row["ECE"] == vcviz.expected_calibration_error(latents.log_probs, latents.y)
        assert row["KL test"] == vcviz.latent_fit(latents, prior, resamples=0).mean("kl")
        assert 0 <= row["PGD accuracy"] <= row["accuracy"] + 0.1
    assert not tour.table.isna().any(axis=None)


def test_runs_that_are_there_are_not_trained_again(tour: Tour) -> None:
    runs = Path(tour.runs[0].path).parent
    before = {p: p.stat().st_mtime_ns for p in runs.rglob("*.safetensors")}
    run_tour(out=runs, reports=runs.parent / "again", epochs=4, progress=False)
    assert {p: p.stat().st_mtime_ns for p in runs.rglob("*.safetensors")} == before


# What a figure shows, as text, so that the page can compare it with what it showed before.
SHOWN = """g => JSON.stringify(g._fullData.map(t => [t.x, t.y].map(v => v && Array.from(v))))"""
SLIDING = "Array.from(document.querySelectorAll('[data-figure]')).filter(g => g.layout.sliders)"


@pytest.mark.browser
def test_the_tours_sliders_move_with_no_kernel_and_no_network(tour: Tour, chromium: str) -> None:
    assert tour.page.stat().st_size < 12e6
    with open_page(chromium, tour.page) as (page, watch):
        page.wait_for_selector("html[data-figures=drawn]", state="attached", timeout=60_000)
        rails = page.locator(".slider-rail-touch-rect")
        assert rails.count() == 4
        for which in range(rails.count()):
            page.evaluate(f"window.before = ({SHOWN})({SLIDING}[{which}])")
            rails.nth(which).scroll_into_view_if_needed()
            rail = rails.nth(which).bounding_box()
            page.mouse.click(rail["x"] + 3, rail["y"] + rail["height"] / 2)
            page.wait_for_function(f"({SHOWN})({SLIDING}[{which}]) !== window.before")
        assert watch.requests == []
        assert watch.errors == []


@pytest.mark.browser
def test_epoch_slider_is_alive_in_jupyterlab(tmp_path: Path, chromium: str) -> None:
    run = vcviz.train(
        head="variational", epochs=3, n_train=100, probe_size=40, out=tmp_path / "runs",
        progress=False,
    )  # fmt: skip
    copies = tmp_path / "vcviz-notebooks"
    copies.mkdir()
    cell = f"import vcviz\nvcviz.LatentExplorer(vcviz.load_run('runs/{run.name}'))"
    save(copies / "tour.ipynb", text("# Mine"), cell)
    with served(tmp_path) as address, open_page(chromium, address) as (page, watch):
        page.get_by_text("(ipykernel) | Idle").wait_for(timeout=60_000)
        page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
        page.locator('.lm-Menu-itemLabel:text-is("Run All Cells")').click()
        page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=90_000)
        figure = "document.querySelector('.js-plotly-plot')"
        page.evaluate(f"window.before = ({SHOWN})({figure})")
        page.locator(".widget-slider .noUi-handle").first.focus()
        page.keyboard.press("ArrowLeft")
        page.wait_for_function(f"({SHOWN})({figure}) !== window.before", timeout=20_000)
        assert watch.requests == []
        assert [e for e in watch.errors if "plotly" in e.lower()] == []
