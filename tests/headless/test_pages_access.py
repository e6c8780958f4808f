"""Exported pages by keyboard alone, and the data behind their figures."""

import csv
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from browser import open_page
from fake_runs import FakeRun, latents, prior
from nbformat.v4 import new_output
from tiny_notebooks import code, notebook, text

from vcviz.explorers import LatentExplorer
from vcviz.figures import plot_latents
from vcviz.figures.theme import escape
from vcviz.headless.access import access_script, access_style
from vcviz.headless.pages import FIGURE, write_page

SHOWN = """layer => document.querySelector('.js-plotly-plot')._fullData
    .filter(t => t.visible === true && t.opacity > 0 && t.meta && t.meta.layer === layer)
    .map(t => ({x: Array.from(t.x), y: Array.from(t.y), name: t.name}))"""
FOCUS = """() => { const at = document.activeElement;
    return {role: at.getAttribute('role'), name: at.getAttribute('aria-label'),
            now: at.getAttribute('aria-valuenow'), text: at.getAttribute('aria-valuetext'),
            open: at.getAttribute('aria-expanded'), on: at.getAttribute('aria-checked'),
            ring: getComputedStyle(at).outlineStyle}; }"""


def page_of(figure, folder):
    shown = new_output("display_data", data={FIGURE: json.loads(figure.to_json())})
    cell = code("it", execution_count=1, outputs=[shown])
    nb = notebook(text("# Latents"), text("## By <b>epoch</b>"), cell)
    return write_page(nb, folder / "page.html", name="page")


def drawn(page):
    page.wait_for_selector("html[data-figures=drawn]", state="attached")
    return page


def focus(page, role, number=0):
    page.locator(f".js-plotly-plot [role={role}]").nth(number).focus()


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_timeout(400)
    return page.evaluate(FOCUS)


def test_script_and_style_define_what_they_say():
    assert "var makeAccessible =" in access_script()
    assert "var dataTable =" in access_script()
    assert "focus-visible" in access_style()
    assert "</" not in access_script()  # it stands in a page's script


@pytest.mark.browser
def test_every_control_of_a_page_is_reached_and_moved_by_keyboard(tmp_path, chromium):
    runs = [FakeRun("softmax", 4), FakeRun("variational", 4)]
    figure = LatentExplorer(runs).figure(axes=[("pca",), ("pair", 2, 3)])
    with open_page(chromium, page_of(figure, tmp_path), height=1200) as (page, watch):
        drawn(page)
        assert page.locator(".js-plotly-plot").get_attribute("role") == "figure"
        assert page.locator(".js-plotly-plot").get_attribute("aria-label") == "By epoch"

        roles = []
        page.locator(".js-plotly-plot").evaluate("box => { box.tabIndex = -1; box.focus(); }")
        for _ in range(30):
            page.keyboard.press("Tab")
            at = page.evaluate(FOCUS)
            roles.append(at["role"])
            if at["role"] == "slider":
                assert at["ring"] == "solid"
        assert {"slider", "button", "checkbox"} <= set(roles)

        focus(page, "slider")
        at = press(page, "End")
        assert (at["role"], at["name"], at["now"], at["text"]) == ("slider", "Epoch", "2", "5")
        at = press(page, "Home")
        assert (at["now"], at["text"]) == ("0", "0")
        lat = runs[0].latents("test", 0)
        at = press(page, "ArrowRight", "ArrowRight", "ArrowLeft")
        assert at["now"] == "1"

        press(page, "Home")
        lists = page.locator("[aria-haspopup=listbox]")
        lists.first.focus()
        before = page.evaluate(FOCUS)["name"]
        at = press(page, "Enter")
        assert (at["role"], at["name"]) == ("option", before)
        press(page, "Escape")
        assert page.evaluate(FOCUS)["open"] == "false"
        press(page, "Enter", "ArrowDown")
        at = press(page, "Enter")  # the second view: dimensions 3 and 4
        assert at["name"] != before
        points = page.evaluate(SHOWN, "points")
        np.testing.assert_allclose(points[1]["x"], lat.z[lat.y == 1, 2], rtol=1e-5)
        np.testing.assert_allclose(points[1]["y"], lat.z[lat.y == 1, 3], rtol=1e-5)

        focus(page, "switch")
        at = page.evaluate(FOCUS)
        assert (at["name"], at["on"]) == ("anticipated", "true")
        at = press(page, "Enter")
        assert (at["name"], at["on"]) == ("anticipated", "false")
        assert not page.evaluate(SHOWN, "anticipated")
        at = press(page, "Space")
        assert (at["name"], at["on"]) == ("anticipated", "true")

        focus(page, "checkbox")
        press(page, "Space")
        page.wait_for_timeout(400)
        at = page.evaluate(FOCUS)
        assert (at["role"], at["on"]) == ("checkbox", "false")
        assert len(page.evaluate(SHOWN, "points")) == 4
        at = press(page, "ArrowRight")
        assert at["on"] == "true"

        page.locator("[aria-label=Play]").focus()
        press(page, "Enter")
        page.wait_for_timeout(1800)
        assert page.locator("[role=slider]").get_attribute("aria-valuenow") == "2"
        assert not watch.requests
        assert not watch.errors


@pytest.mark.browser
def test_the_data_table_shows_what_the_figure_shows(tmp_path, chromium):
    lat = latents(60)
    texts = [f"<img src=x onerror=alert(1)> {i} “quoted”, 🐝 & =1+1" for i in range(60)]
    figure = plot_latents(lat, prior(), hover=texts)
    figure.update_layout(title_text=escape("<b>all</b>"))
    with open_page(chromium, page_of(figure, tmp_path), height=1200) as (page, watch):
        drawn(page)
        assert page.locator(".js-plotly-plot").get_attribute("aria-label") == "<b>all</b>"
        details = page.locator("details.data-table")
        assert details.locator("table").count() == 0  # built only when it is asked for
        details.locator("summary").focus()
        page.keyboard.press("Enter")
        details.locator("caption").first.wait_for()
        captions = details.locator("caption").all_inner_texts()
        assert any("points (60 rows)" in caption for caption in captions)
        (n,) = [i for i, c in enumerate(captions) if "points" in c]
        cells = (
            details.locator("table")
            .nth(n)
            .evaluate("t => [...t.rows].map(r => [...r.cells].map(c => c.textContent))")
        )
        assert cells[0][0] == "name"
        assert {"ant", "<b>bee</b>", "cat $x$"} == {row[0] for row in cells[1:]}
        first = lat.z[lat.y == 0][0]
        np.testing.assert_allclose([float(v) for v in cells[1][1:3]], first, rtol=1e-4)
        assert cells[0][3:] == ["predicted", "hovertext", "row", "p"]
        (row,) = np.flatnonzero(lat.index == int(cells[1][5]))
        assert cells[1][4] == texts[row]
        assert page.locator("img").count() == 0
        page.keyboard.press("Tab")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == "b-all-b.csv"
        saved = download.value.path().read_text(encoding="utf-8-sig")
        lines = list(csv.reader(io.StringIO(saved)))
        assert ["latents · points", "<b>bee</b>"] in [line[:2] for line in lines]
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "data-table-box"
        assert not watch.requests
        assert not watch.errors


@pytest.mark.browser
def test_a_long_table_is_cut_and_follows_the_slider(tmp_path, chromium):
    frames = [
        go.Frame(name=f"at {k}", data=[go.Scatter(x=np.arange(2500), y=np.full(2500, k))])
        for k in (1, 2)
    ]
    steps = [
        {"method": "animate", "label": f.name[3:], "args": [[f.name], {"mode": "immediate"}]}
        for f in frames
    ]
    figure = go.Figure(frames[0].data, {"sliders": [{"steps": steps}]}, frames)
    with open_page(chromium, page_of(figure, tmp_path)) as (page, watch):
        drawn(page)
        page.locator("details.data-table summary").click()
        assert "the first 2000 of 2500 rows" in page.locator("caption").inner_text()
        assert page.locator("tbody tr").count() == 2000
        focus(page, "slider")
        press(page, "ArrowRight")
        page.wait_for_function("document.querySelector('tbody td:last-child').textContent === '2'")
        assert not watch.errors


@pytest.mark.browser
def test_a_narrow_page_has_no_empty_strip_and_a_wide_one_its_room_again(tmp_path, chromium):
    runs = [FakeRun(head, 4) for head in ("softmax", "variational", "gaussian_mixture")]
    figure = LatentExplorer(runs).figure()
    sizes = """() => { const at = document.querySelector('.js-plotly-plot')._fullLayout;
        const y = Object.entries(at).filter(([name]) => /^yaxis/.test(name)).map(([, a]) => a);
        const edges = (a) => a.domain.map((share) => (1 - share) * at._size.h);
        const [bottom] = edges(y.find((a) => a.scaleanchor));
        const [, top] = edges(y.find((a) => !a.scaleanchor));
        return {height: at.height, gap: top - bottom}; }"""
    path = page_of(figure, tmp_path)
    with open_page(chromium, path, width=1280) as (page, watch):
        drawn(page)
        wide = page.evaluate(sizes)
        page.set_viewport_size({"width": 760, "height": 900})
        page.wait_for_function(f"({sizes})().height < {wide['height']} - 40")
        page.wait_for_timeout(300)
        narrow = page.evaluate(sizes)
        assert abs(narrow["gap"] - wide["gap"]) < 30
        focus(page, "slider")
        press(page, "Home")
        lat = runs[0].latents("test", 0)
        assert len(page.evaluate(SHOWN, "points")[0]["x"]) == (lat.y == 0).sum()
        assert page.evaluate(sizes) == narrow
        page.set_viewport_size({"width": 1280, "height": 900})
        page.wait_for_function(f"Math.abs(({sizes})().height - {wide['height']}) < 2")
        assert not watch.errors
