"""Every explorer notebook in JupyterLab: each control moves, and the page shows what it should."""

from __future__ import annotations

import io

import numpy as np
import pytest
from browser import browsing
from lab_browser import Lab, served, small_copies
from PIL import Image

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
            assert sheet.agrees(i, like=start) == start
        picture = Image.open(io.BytesIO(sheet.page.screenshot()))
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50
        assert sheet.watch.requests == []
        assert sheet.watch.errors == []
