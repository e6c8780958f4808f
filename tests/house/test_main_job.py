"""The main job as a person meets it: six runs, and the tour's page."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import open_page
from page_checks import check_drawing, check_page
from pages_browser import WIDTHS, scrolled
from warm_kernels import warm

import vcviz
from vcviz.cli.tour import EPOCHS, HEADS, Tour, run_tour, tour_runs
from vcviz.headless.files import list_notebooks, read_notebook
from vcviz.headless.parts import packed_plotly
from vcviz.studies.compare import COLUMNS


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    folder = tmp_path_factory.mktemp("tour")
    with warm():
        return run_tour(out=folder / "runs", reports=folder / "reports", epochs=4, progress=False)


def test_tour_trains_each_head_twice_and_reports_what_the_runs_hold(tour: Tour) -> None:
    assert list(tour.table.columns) == [c for c in COLUMNS if not c.startswith("rate")]
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


def test_its_notebook_ran_to_a_page_that_needs_nothing_else(tour: Tour) -> None:
    check_page(read_notebook(list_notebooks()["tour"]), tour.page.with_suffix(".ipynb"), tour.page)


def test_runs_that_are_there_are_not_trained_again(tour: Tour) -> None:
    folder = Path(tour.runs[0].path).parent
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.safetensors")}
    again = [run for d in EPOCHS for run in tour_runs(d, out=folder, epochs=4, progress=False)]
    assert [run.name for run in again] == [run.name for run in tour.runs]
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*.safetensors")} == before


# What a figure shows, as text, so that the page can compare it with what it showed before.
SHOWN = """g => JSON.stringify(g._fullData.map(t => [t.x, t.y].map(v => v && Array.from(v))))"""
SLIDING = "Array.from(document.querySelectorAll('[data-figure]')).filter(g => g.layout.sliders)"


@pytest.mark.browser
def test_the_tours_sliders_move_with_no_kernel_and_no_network(tour: Tour, chromium: str) -> None:
    with open_page(chromium, tour.page) as (page, watch):
        scrolled(page)
        page.wait_for_selector("[data-played=yes]", state="attached")
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
@pytest.mark.parametrize(
    "widths", [(320, 2560), pytest.param(WIDTHS, marks=pytest.mark.slow)], ids=len
)
def test_its_figures_fit_every_screen(tour: Tour, chromium: str, widths: tuple[int, ...]) -> None:
    check_drawing(tour.page, chromium, widths=widths)


@pytest.mark.browser
def test_its_dark_page_is_dark_to_the_last_control(tour: Tour, chromium: str) -> None:
    check_drawing(tour.page, chromium, dark=True)


@pytest.mark.browser
def test_it_opens_with_the_rings_which_play_once(tour: Tour, chromium: str) -> None:
    size = tour.page.stat().st_size
    assert size < 5e6
    assert size - len(packed_plotly()) < 1.9e6
    with open_page(chromium, tour.page, width=1280, height=800) as (page, watch):
        # Title, one sentence, the picture, its slider: all of it without scrolling.
        slider = page.locator(".slider-rail-rect").first
        slider.wait_for()
        assert slider.bounding_box()["y"] < 760
        assert page.locator("h1 ~ p").count() == 1
        rings = page.locator("[data-figure='0']")
        assert rings.locator(".nsewdrag").count() == 3
        assert rings.locator(".cartesianlayer .trace").count() < 130
        # Nobody has come near the last one: a still stands there.
        assert page.locator("[data-figure='5'] > .still").count() == 1
        label = rings.locator(".slider-label").first
        # Seen from the start: on a busy machine the first epochs pass before they are looked for.
        page.add_init_script(WATCH)
        page.reload()
        page.wait_for_selector("[data-played=yes]", state="attached")
        assert label.text_content() == "Epoch: 4"
        assert set(page.evaluate("[...window.seen]")) >= {"Epoch: 0", "Epoch: 2", "Epoch: 4"}
        assert watch.errors == []


WATCH = """
window.seen = new Set();
new MutationObserver(() => {
  const label = document.querySelector('[data-figure="0"] .slider-label');
  if (label) window.seen.add(label.textContent);
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
