"""Every explorer notebook in JupyterLab: each control moves, and the page shows what it should."""

from __future__ import annotations

import io

import numpy as np
import pytest
from browser import browsing
from lab_browser import Lab, served, small_copies
from PIL import Image
from tiny_notebooks import save

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

NOTEBOOKS = (
    "latent_space",
    "calibration",
    "adversarial",
    "dropmax",
    "heteroscedastic",
    "pc_softmax",
    "posthoc",
    "tour",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, request):
    """One JupyterLab, one browser, one kernel and one folder of runs for all."""
    from conftest import _chromium

    folder = tmp_path_factory.mktemp("lab")
    small_copies(folder / "vcviz-notebooks")
    with served(folder) as address, browsing(_chromium()) as browser:
        yield Lab(folder, address, browser)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_control_moves_what_the_page_shows(lab, name):
    with lab.notebook(name) as sheet:
        assert sheet.controls
        for i, controls in enumerate(sheet.controls):
            sheet.control(i, next(iter(controls)))  # scrolls there
            start = now = sheet.agrees(i)
            moved = set()
            for control in controls:
                for move in (sheet.press,) if name == "tour" else (sheet.press, sheet.click):
                    if move(i, control):
                        now = sheet.agrees(i, unlike=now)
                        moved.add(control)
            assert len(moved) >= len(controls) / 2, moved
            sheet.reset(i)
            sheet.agrees(i, like=start)
        picture = Image.open(io.BytesIO(sheet.page.screenshot()))
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50
        assert sheet.watch.requests == []
        assert sheet.watch.errors == []


def test_markup_in_names_is_shown_as_text(lab):
    names = ["<img src=x onerror=alert(1)>", 'a "quoted" & $x$ %{x}', "🐝 <b>bee</b>"]
    save(
        lab.folder / "vcviz-notebooks" / "<i>names.ipynb",
        "import numpy as np, vcviz",
        "z, y = np.random.default_rng(0).standard_normal((30, 2)), np.arange(30) % 3\n"
        "scores = np.log(np.full((30, 3), 1 / 3))\n"
        f"vcviz.explore(latents=z, log_probs=scores, y=y, class_names={names!r},\n"
        "    name='<u>run</u>').latents",
    )
    with lab.notebook("<i>names") as sheet:
        box = sheet.control(0, "classes")
        sheet.agrees(0)
        labels = [text for text in box.locator("label").all_inner_texts() if text != "\u200b"]
        assert labels == [names[0], names[1].replace("$", "＄"), names[2]]
        texts = sheet.page.evaluate(
            "[...document.querySelectorAll('.js-plotly-plot text')].map(t => t.textContent)"
        )
        assert set(names) <= set(texts)
        assert any("<u>run</u>" in text for text in texts)
        plot = sheet.page.locator(".js-plotly-plot[data-drawn]")
        details = sheet.page.locator("details.data-table").first
        details.locator("summary").click()
        details.locator("caption").first.wait_for()
        cells = set(details.locator("td").all_inner_texts())
        assert set(names) <= cells
        assert "<u>run</u>" in plot.first.get_attribute("aria-label")
        outputs = sheet.page.locator(".jp-OutputArea-output")
        assert outputs.locator("img[src=x], u, b").count() == 0
        assert sheet.watch.errors == []


def test_a_figure_follows_though_anywidget_gave_up_on_it(lab):
    save(
        lab.folder / "vcviz-notebooks" / "late.ipynb",
        "import numpy as np, vcviz",
        "z, y = np.random.default_rng(0).standard_normal((30, 3)), np.arange(30) % 3\n"
        "scores = np.log(np.full((30, 3), 1 / 3))\n"
        "vcviz.explore(latents=z, log_probs=scores, y=y).latents",
    )
    with lab.notebook("late", late=True) as sheet:
        now = sheet.agrees(0)
        for control in ("axes", "empirical", "classes"):
            assert sheet.press(0, control)
            now = sheet.agrees(0, unlike=now)
        complaints = set(sheet.watch.errors)
        assert complaints == {"[anywidget] Failed to initialize model."}
