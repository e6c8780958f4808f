"""Coordinates that move along a slider, packed as steps from frame to frame."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from browser import open_page
from test_pages import executed, shown

from vcviz.figures.native import Menu
from vcviz.figures.static import lay_out
from vcviz.headless.moving import with_moves
from vcviz.headless.pages import write_page
from vcviz.headless.parts import figure_json
from vcviz.headless.slim import slim_figures

STEPS = (0, 1, 2, 3)


def points(k: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(n) * (k + 1)
    return np.where(np.arange(n) % 50 == 7, np.nan, x), rng.random(n) + k


def figure(n: int, kind: str = "linear") -> go.Figure:
    def draw(k):
        x, y = points(k, n)
        traces = [
            go.Scatter(x=x, y=y, mode="markers"),
            go.Scatter(x=[0.0, k], y=[0.0, 1.0], mode="lines"),
        ]
        return go.Figure(traces, {"xaxis": {"type": kind}})

    return lay_out(draw, {"k": 2}, slider=Menu("k", "k", tuple("0123"), STEPS))


def spec(n: int, kind: str = "linear") -> dict:
    nb = executed(shown(figure(n, kind)))
    slim_figures(nb)
    return json.loads(json.dumps(nb.cells[1].outputs[0].data["application/vnd.plotly.v1+json"]))


def test_a_figure_of_few_points_stays_as_it_is():
    few = spec(200)
    assert with_moves(few) == few


def test_many_points_stand_there_once_and_take_less_than_half():
    before = spec(3000)
    after = with_moves(before)
    assert [(move["trace"], move["key"], move["at"]) for move in after["moves"]] == [
        (0, "x", 2), (0, "y", 2),
    ]  # fmt: skip
    assert "x" not in after["data"][0]
    assert "x" in after["data"][1]
    assert all("y" not in frame["data"][0] for frame in after["frames"])
    assert "x" in before["data"][0]  # what was given stays as it was
    assert len(json.dumps(after)) < 0.5 * len(json.dumps(before))


def test_a_logarithmic_axis_keeps_every_digit():
    assert [move["key"] for move in with_moves(spec(5000, "log"))["moves"]] == ["y"]


@pytest.mark.browser
def test_the_page_puts_every_point_back_to_within_a_fraction_of_a_pixel(tmp_path, chromium):
    n = 3000
    nb = executed(shown(figure(n)))
    slim_figures(nb)
    path = write_page(nb, tmp_path / "it.html")
    assert '"moves"' in figure_json(nb.cells[1].outputs[0].data["application/vnd.plotly.v1+json"])
    box = "document.querySelector('[data-figure]')"
    with open_page(chromium, path) as (page, watch):
        page.wait_for_selector("html[data-figures=drawn]", state="attached")
        for k in (2, 0, 3, 1):
            if k != 2:
                page.evaluate(f"Plotly.animate({box}, ['at {k}'], {{mode: 'immediate'}})")
                page.wait_for_timeout(600)
            drawn = page.evaluate(f"['x', 'y'].map(a => [...{box}.data[0][a]].map(v => v ?? null))")
            for seen, exact, widest in zip(drawn, points(k, n), (points(3, n)[0], [0, 4]),
                                           strict=True):  # fmt: skip
                found = np.array([np.nan if v is None else v for v in seen], float)
                reach = np.nanmax(widest) - np.nanmin(widest)
                np.testing.assert_allclose(found, exact, atol=reach / 16_000)
        assert page.locator(".scatterlayer .point").count() == n - n // 50
        assert not watch.errors
