"""An explorer in Notebook 7, as a person opens and moves it."""

from __future__ import annotations

import pytest
from browser import open_page
from lab_browser import served
from tiny_notebooks import save

SHOWN = """() => String(document.querySelector('.js-plotly-plot[data-drawn]')
  ?.data.find(t => t.meta.layer === 'accuracy').y)"""


@pytest.mark.browser
def test_a_slider_moves_the_figure(tmp_path, chromium):
    pytest.importorskip("notebook", minversion="7", reason="Notebook 7: pip install notebook")
    save(
        tmp_path / "one.ipynb",
        "import numpy as np, vcviz",
        "z, y = np.random.default_rng(0).standard_normal((300, 3)), np.arange(300) % 3\n"
        "log_p = z - np.log(np.exp(z).sum(1, keepdims=True))\n"
        "vcviz.explore(latents=z, log_probs=log_p, y=y).calibration",
    )
    with (
        served(tmp_path, "--port=0", "--allow-root", command=("notebook",)) as address,
        open_page(chromium, address.replace("/tree?", "/notebooks/one.ipynb?")) as (page, watch),
    ):
        page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
        page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
        page.locator('.lm-Menu-itemLabel:text-is("Run All Cells")').click()
        page.locator(".js-plotly-plot[data-drawn]").first.wait_for()
        before = page.evaluate(SHOWN)
        page.locator(".widget-slider .noUi-handle").first.focus()
        page.keyboard.press("End")
        page.wait_for_function(f"({SHOWN})() !== {before!r}")
        assert watch.requests == []
