"""The static figures in a real browser, with the network cut."""

import numpy as np
import pytest
from browser import open_page
from fake_runs import FakeRun, latents, prior, trajectory

from vcviz.explorers import AdversarialExplorer, LatentExplorer
from vcviz.figures import plot_latents

pytestmark = pytest.mark.browser

SHOWN = """layer => document.querySelector('.js-plotly-plot')._fullData
    .filter(t => t.visible === true && t.opacity > 0 && t.meta && t.meta.layer === layer)
    .map(t => ({x: Array.from(t.x), y: Array.from(t.y), text: t.text, name: t.name}))"""


def written(fig, folder):
    path = folder / "figure.html"
    fig.write_html(path, auto_play=False)
    return path


def drawn(page):
    page.wait_for_selector(".js-plotly-plot .main-svg")
    page.wait_for_timeout(300)


def choose(page, menu: int, option: int | str) -> None:
    page.locator(".updatemenu-header").nth(menu).click()
    options = page.locator(".updatemenu-dropdown-button")
    if isinstance(option, str):
        option = options.locator("text").all_text_contents().index(option)
    options.nth(option).click()
    page.wait_for_timeout(400)


def slide(page, share: float) -> None:
    rail = page.locator(".slider-rail-touch-rect").first.bounding_box()
    page.mouse.click(rail["x"] + share * rail["width"], rail["y"] + rail["height"] / 2)
    page.wait_for_timeout(400)


def switch(page, layer: str) -> None:
    page.locator(".updatemenu-button").filter(has_text=layer).click()
    page.wait_for_timeout(400)


def test_slider_views_switches_and_legend_act_together(tmp_path, chromium):
    runs = [FakeRun("softmax", 4), FakeRun("variational", 4)]
    path = written(LatentExplorer(runs).figure(axes=[("pca",), ("pair", 2, 3)]), tmp_path)
    with open_page(chromium, path, height=1000) as (page, watch):
        drawn(page)
        slide(page, 0.001)  # epoch 0
        choose(page, 0, 1)  # dimensions 3 and 4
        lat = runs[0].latents("test", 0)
        points = page.evaluate(SHOWN, "points")
        assert len(points) == 6
        np.testing.assert_allclose(points[1]["x"], lat.z[lat.y == 1, 2], rtol=1e-5)
        np.testing.assert_allclose(points[1]["y"], lat.z[lat.y == 1, 3], rtol=1e-5)
        assert f"accuracy {lat.accuracy:.3f}" in page.evaluate(SHOWN, "readout")[0]["text"][0]
        switch(page, "☑ anticipated")
        switch(page, "☐ boundaries")
        assert not page.evaluate(SHOWN, "anticipated")
        assert page.evaluate(SHOWN, "boundaries")
        assert len(page.evaluate(SHOWN, "empirical")) == 6
        slide(page, 0.999)  # the last epoch: switches and axes stay as they are
        lat = runs[1].latents("test", 5)
        points = page.evaluate(SHOWN, "points")
        np.testing.assert_allclose(points[5]["x"], lat.z[lat.y == 2, 2], rtol=1e-5)
        assert not page.evaluate(SHOWN, "anticipated")
        assert page.evaluate(SHOWN, "boundaries")
        switch(page, "☐ anticipated")
        assert page.evaluate(SHOWN, "anticipated")
        page.locator(".legendtoggle").first.click()  # class 0 in every panel
        page.wait_for_timeout(600)
        assert len(page.evaluate(SHOWN, "points")) == 4
        assert len(page.evaluate(SHOWN, "empirical")) == 4
        assert not watch.requests
        assert not watch.errors


def test_play_steps_through_an_attack(tmp_path, chromium):
    path = trajectory()
    page_path = written(AdversarialExplorer((path, prior())).figure(), tmp_path)
    with open_page(chromium, page_path, height=1000) as (page, watch):
        drawn(page)
        page.evaluate(f"""() => {{
            const seen = window.seen = new Set();
            const look = () => {{
                seen.add(({SHOWN})('now')[0].x[0].toFixed(3));
                requestAnimationFrame(look);
            }};
            look();
        }}""")
        page.locator(".updatemenu-button").first.click()
        # The page looks at each of its own frames: a busy machine shows them late, and skips none.
        steps = [f"{x:.3f}" for x in path.z[:, 0, 0]]
        page.wait_for_function("steps => steps.every(x => window.seen.has(x))", arg=steps)
        # Pictures are no traces: a slider that redraws nothing would take those away.
        assert page.locator(".js-plotly-plot image").count() == 2
        choose(page, 0, 4)
        slide(page, 0.5)
        (followed,) = page.evaluate(SHOWN, "followed")
        np.testing.assert_allclose(followed["x"], path.z[:, 4, 0], rtol=1e-5)
        (points,) = page.evaluate(SHOWN, "probability")
        np.testing.assert_allclose(points["x"], np.exp(path.log_probs[2, 4]), rtol=1e-5)
        texts = page.locator("text").all_text_contents()
        assert any("Row 104, true <b>bee</b>" in text for text in texts)
        assert not watch.requests
        assert not watch.errors


def test_markup_in_names_and_texts_is_shown_as_text(tmp_path, chromium):
    lat = latents()
    fig = plot_latents(lat, prior(), title="<a href='x'>t</a>", hover=["<b>bold</b>"] * len(lat))
    with open_page(chromium, written(fig, tmp_path)) as (page, watch):
        drawn(page)
        texts = page.evaluate(
            "() => [...document.querySelectorAll('text')].map(t => t.textContent)"
        )
        assert "<b>bee</b>" in texts
        assert "cat $x$" in texts
        assert any("<a href='x'>t</a>" in text for text in texts)
        assert page.locator("svg a[href='x']").count() == 0
        box = page.locator(".scatterlayer .points path").nth(3).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector(".hoverlayer .hovertext")
        assert "<b>bold</b>" in page.locator(".hoverlayer .hovertext").first.text_content()
        assert not watch.errors
