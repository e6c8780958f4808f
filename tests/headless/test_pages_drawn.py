"""When a page draws its figures and how: stills, phrases, narrow and dark pages, paper."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import plotly.graph_objects as go
import pytest
from browser import browsing, open_page, watched
from pages_browser import overlaps, pale, scrolled, undrawn
from PIL import Image
from test_pages import executed, html_output, shown

import vcviz
from vcviz.figures import theme
from vcviz.headless.pages import render_page, write_page
from vcviz.headless.slim import slim_figures
from vcviz.headless.stills import still

POINTS = {"type": "scatter", "mode": "markers", "x": [0.0, 1.0], "y": [0.0, 2.0],
          "marker": {"color": "#D55E00", "symbol": "square", "size": 8},
          "meta": {"layer": "points"}, "name": "<a> & b"}  # fmt: skip
LINE = {"type": "scatter", "mode": "lines", "x": [0.0, 0.5, 1.0], "y": [0.0, 1.0, 0.0],
        "line": {"color": "#0072B2", "dash": "dot"}, "meta": {"layer": "anticipated"},
        "name": "line"}  # fmt: skip
AXES = {"xaxis": {"range": [0, 1]}, "yaxis": {"range": [0, 2]}, "height": 300,
        "margin": {"l": 80, "r": 0, "t": 50, "b": 50}, "meta": {"panels": ["x"]}}  # fmt: skip


def figure(*traces, **layout):
    return {"data": list(traces), "layout": {**AXES, **layout}}


def layers(svg: str) -> list[str]:
    return [g.get("data-layer") for g in ET.fromstring(svg).iter() if g.get("data-layer")]


# ---------------------------------------------------------------- stills


def test_a_still_shows_points_and_lines_where_the_axes_put_them():
    svg = still(figure(POINTS, LINE))
    assert layers(svg) == ["points", "anticipated"]
    marks, line = (re.search(rf'data-layer="{name}".*?d="([^"]*)"', svg)[1]
                   for name in ("points", "anticipated"))  # fmt: skip
    # Of 1080 × 300 pixels 1000 × 200 are the plot, from (80, 50) at its upper left.
    assert [tuple(map(float, at)) for at in re.findall(r"[ML]([\d.]+) ([\d.]+)", line)] == [
        (80, 250), (580, 150), (1080, 250),
    ]  # fmt: skip
    corners = re.findall(r"M([\d.]+) ([\d.]+)", marks)
    assert np.allclose(np.array(corners, float), [(76.4, 246.4), (1076.4, 46.4)], atol=0.1)
    assert "&lt;a&gt;" not in svg.split("<text")[0]
    assert "<a>" not in svg


def test_many_points_are_the_corners_of_one_path():
    x = np.linspace(0, 1, 101)
    many = {**POINTS, "x": x.tolist(), "y": (2 * x).tolist()}
    svg = still(figure(many))
    path = re.search(r'd="M([^"]*)" fill="none" style="marker:url\(#([\w-]+)\)"', svg)
    at = np.array(path[1].split(), float).reshape(-1, 2)
    np.testing.assert_allclose(at, np.column_stack([80 + 1000 * x, 250 - 200 * x]), atol=0.05)
    shape = re.search(rf'<marker id="{path[2]}".*?d="M([-\d.]+) ([-\d.]+)', svg)
    assert np.allclose([float(shape[1]), float(shape[2])], -3.6)  # of a square about a corner
    assert len(svg) < 101 * 16 + 3000


def test_a_heat_map_of_many_cells_is_a_picture():
    z = np.arange(600.0).reshape(20, 30)
    z[0, 0] = np.nan
    cells = {"type": "heatmap", "z": z.tolist(), "x0": 0, "dx": 1, "y0": 0, "dy": 1, "zmin": 0,
             "zmax": 599, "colorscale": [[0, "#000000"], [1, "#ffffff"]]}  # fmt: skip
    svg = still(figure(cells, xaxis={"range": [-0.5, 29.5]}, yaxis={"range": [-0.5, 19.5]}))
    (source,) = re.findall(r'href="data:image/png;base64,([^"]*)"', svg)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("RGBA"))
    assert pixels.shape == (20, 30, 4)
    assert pixels[-1, 0, 3] == 0  # the first row stands at the bottom, and has a gap
    grey = pixels[::-1, :, 0].astype(float)
    np.testing.assert_allclose(grey[1:], z[1:] / 599 * 255, atol=1)
    box = re.search(r'x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" style', svg)
    assert [float(v) for v in box.groups()] == [80, 50, 1000, 200]


def test_a_heat_map_without_ranges_fills_its_panel():
    cells = {"type": "heatmap", "z": [[0, 1, 0], [1, 0, 1]], "zmin": 0, "zmax": 1}
    svg = still(figure(cells, xaxis={}, yaxis={}))
    corners = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"[^>]*fill="#', svg)
    # Three columns of the 1000 pixels from 80 on, two rows of the 200 from 50 on.
    assert {x for x, _, _ in corners} == {"80.0", "413.3", "746.7"}
    assert {y for _, y, _ in corners} == {"50.0", "150.0"}
    assert {width for _, _, width in corners} == {"333.3"}


def test_a_still_takes_the_pages_ink_and_is_the_same_twice():
    svg = still(figure(POINTS), 3)
    assert svg == still(figure(POINTS), 3)
    assert "currentColor" in svg or 'fill="#D55E00"' in svg
    assert not re.search(r"<text[^>]*fill=", svg)  # words have none of their own


@pytest.mark.parametrize("kind", ["scatter3d", "contour", "mesh3d"])
def test_of_what_a_still_cannot_show_there_is_none(kind):
    assert still(figure(POINTS, {"type": kind})) is None
    page = render_page(executed(shown(go.Figure(go.Scatter3d(x=[1], y=[1], z=[1])))))
    assert 'class="still"' not in page


def test_what_is_hidden_is_not_in_the_still():
    assert layers(still(figure(POINTS, LINE | {"visible": False}))) == ["points"]
    assert layers(still(figure(POINTS | {"opacity": 0.0}, LINE))) == ["anticipated"]


def test_the_layout_is_rounded_like_the_data():
    """What stands on the edge of an axis stays on it: beyond it plotly draws nothing."""
    edge = 11.123456789
    fig = go.Figure(go.Scatter(x=[edge], y=[1], mode="text", text="here"))
    fig.update_xaxes(range=[0, edge])
    nb = executed(shown(fig))
    slim_figures(nb)
    spec = nb.cells[1].outputs[0].data["application/vnd.plotly.v1+json"]
    assert spec["data"][0]["x"][0] == spec["layout"]["xaxis"]["range"][1]


def test_results_come_before_their_code_and_that_of_what_led_to_them():
    nb = executed(html_output("<p>the result</p>"))
    first = dict(nb.cells[1], source="import this_module", outputs=[], id="first")
    nb.cells.insert(1, type(nb.cells[1])(first))
    page = render_page(nb)
    assert page.index("the result") < page.index("this_module")
    assert page.count("<summary>code</summary>") == 1
    folded = page[page.index("<summary>code</summary>") : page.index("</details>")]
    assert "this_module" in folded
    assert ">show<" in folded


# ---------------------------------------------------------------- in a browser


def placed(*cells, **layout):
    """Panels of noise at (x domain, y domain, whether square), each with a heading."""
    fig = go.Figure(layout={"template": theme.template("auto"), "height": 700, **layout})
    for i, (x, y, square) in enumerate(cells, 1):
        n = "" if i == 1 else str(i)
        fig.add_scatter(x=[0, 1], y=[0, 1], xaxis=f"x{n}", yaxis=f"y{n}", name=f"t{i}")
        equal = {"scaleanchor": f"x{n}", "constrain": "domain", "constraintoward": "top"}
        fig.layout[f"xaxis{n}"] = {"domain": x, "anchor": f"y{n}", "range": [0, 1],
                                   "constrain": "domain"}  # fmt: skip
        fig.layout[f"yaxis{n}"] = {"domain": y, "anchor": f"x{n}", "range": [0, 1],
                                   **(equal if square else {})}  # fmt: skip
        fig.add_annotation(text=f"panel {i}", xref=f"x{n} domain", yref=f"y{n} domain", x=0, y=1,
                           yanchor="bottom", xanchor="left", showarrow=False)  # fmt: skip
    return fig


#: a high square beside a stack, above a wide row; three squares above three others; one alone
GRIDS = {
    "beside a stack": placed(
        ([0, 0.45], [0.4, 1], True), ([0.6, 1], [0.82, 1], False), ([0.6, 1], [0.61, 0.76], False),
        ([0.6, 1], [0.4, 0.55], False), ([0, 1], [0, 0.25], False),
    ),
    "three above three": placed(
        *[([0.36 * i, 0.36 * i + 0.28], [0.45, 1], True) for i in range(3)],
        *[([0.36 * i, 0.36 * i + 0.28], [0, 0.25], False) for i in range(3)],
    ),
    "alone": placed(([0, 1], [0, 1], True)),
}  # fmt: skip

AREAS = """() => [...document.querySelectorAll(".nsewdrag")].map((r) => r.getBoundingClientRect())
  .map(({ x, y, width, height }) => [x, y, width, height])"""


def coloured() -> go.Figure:
    """Return latents coloured by confidence: a key and a legend stand beside the panel."""
    rng = np.random.default_rng(0)
    log_probs = np.log(rng.dirichlet([1, 1, 1], 60))
    lat = vcviz.LatentSet(rng.standard_normal((60, 2)), log_probs, np.arange(60) % 3)
    return vcviz.plot_latents(lat, color="confidence")


@pytest.mark.browser
def test_a_legend_in_its_own_margin_leaves_it_on_a_phone(tmp_path, chromium):
    path = write_page(executed(shown(coloured())), tmp_path / "it.html")
    with browsing(chromium) as browser:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.goto(path.as_uri())
        scrolled(page)
        ((x, _, width, height),) = page.evaluate(AREAS)
        assert min(width, height) > 110
        assert page.evaluate("document.querySelector('.legend').getBoundingClientRect().x") < x + 20


@pytest.mark.browser
@pytest.mark.parametrize("name", GRIDS)
def test_no_panel_lies_over_another_at_any_width(name, tmp_path, chromium):
    path = write_page(executed(shown(GRIDS[name])), tmp_path / "it.html")
    with browsing(chromium) as browser:
        page = browser.new_page(viewport={"width": 2560, "height": 900})
        page.goto(path.as_uri())
        scrolled(page)
        for width in (2560, 1280, 900, 800, 640, 480, 390, 320, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(450)
            assert overlaps(page) == [], width
            areas = np.array(page.evaluate(AREAS))
            if width < 400:  # a phone has one column
                assert len(set(areas[:, 0].round())) == 1 or np.ptp(areas[:, 0]) < 40
                assert (areas[:, 0] + areas[:, 2]).max() <= width


@pytest.mark.browser
def test_figures_are_drawn_when_they_come_near_and_stills_stand_in_for_them(tmp_path, chromium):
    far = html_output("<div style='height: 4000px'></div>")
    both = executed(shown(GRIDS["alone"]), far, shown(GRIDS["three above three"]))
    path = write_page(both, tmp_path / "it.html")
    with open_page(chromium, path) as (page, watch):
        page.wait_for_selector("html[data-figures=drawn]", state="attached")
        assert page.locator("[data-figure='0'] .main-svg").count() > 0
        last = page.locator("[data-figure='1']")
        assert last.locator(".main-svg").count() == 0
        assert last.locator("svg.still").is_visible()
        last.scroll_into_view_if_needed()
        last.locator(".main-svg").first.wait_for()
        assert last.locator("svg.still").count() == 0
        assert watch.errors == []
    with browsing(chromium) as browser:
        page = browser.new_page(java_script_enabled=False)
        page.goto(path.as_uri())
        assert page.locator("svg.still").count() == 2
        assert page.locator("svg.still path").first.is_visible()
        page.emulate_media(media="print")
        assert page.locator("svg.still").first.is_visible()


def moving():
    """A figure of two layers that plays."""
    frames = [
        {"name": f"at {k}", "data": [{"y": [k, k]}], "traces": [0], "layout": {}} for k in range(3)
    ]
    steps = [
        {"label": str(k), "method": "animate",
         "args": [[f"at {k}"], {"mode": "immediate", "frame": {"duration": 0, "redraw": False}}]}
        for k in range(3)
    ]  # fmt: skip
    layout = {"sliders": [{"steps": steps, "active": 2}], "height": 300,
              "meta": {"panels": ["x"], "plays": True}, "template": theme.template("auto"),
              "yaxis": {"range": [-1, 3]}}  # fmt: skip
    return go.Figure([{**POINTS, "y": [2.0, 2.0]}, LINE], layout, frames)


@pytest.mark.browser
@pytest.mark.parametrize("still_wanted", [False, True])
def test_it_plays_once_but_not_where_motion_is_unwanted(still_wanted, tmp_path, chromium):
    path = write_page(executed(shown(moving())), tmp_path / "it.html")
    with browsing(chromium) as browser:
        page = browser.new_page(reduced_motion="reduce" if still_wanted else "no-preference")
        page.add_init_script(
            "addEventListener('DOMContentLoaded', () => {"
            " window.seen = new Set(); setInterval(() => {"
            " const box = document.querySelector('[data-figure]');"
            " if (box?.data) seen.add(String(box.data[0].y)); }, 10); });"
        )
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-figures=drawn]", state="attached")
        if still_wanted:
            page.wait_for_timeout(1500)
            assert page.evaluate("[...seen]") == ["2,2"]
        else:
            page.wait_for_selector("[data-played=yes]", state="attached")
            assert page.evaluate("[...seen]") == ["2,2", "0,0", "1,1"]
            assert (
                page.evaluate("String(document.querySelector('[data-figure]').data[0].y)") == "2,2"
            )


@pytest.mark.browser
def test_a_phrase_lights_up_what_it_speaks_of(tmp_path, chromium):
    nb = executed(shown(moving()))
    nb.cells[0].source = "# It\n\nSee the [points](#light:points) and [the panel](#light:1)."
    path = write_page(nb, tmp_path / "it.html")
    opacity = """(layer) => {
        const traces = [...document.querySelectorAll(".cartesianlayer .trace")];
        const found = traces.find((g) => g.__data__[0].trace.meta.layer === layer);
        return getComputedStyle(found).opacity; }"""
    with open_page(chromium, path) as (page, watch):
        page.wait_for_selector("[data-played=yes]", state="attached")
        phrase, panel = (
            page.get_by_role("button", name="points"),
            page.get_by_role("button", name="the panel"),
        )
        assert page.evaluate(opacity, "anticipated") == "1"
        phrase.hover()
        assert float(page.evaluate(opacity, "anticipated")) < 0.2
        assert page.evaluate(opacity, "points") == "1"
        page.mouse.move(5, 700)
        assert page.evaluate(opacity, "anticipated") == "1"
        phrase.focus()  # and for those who have no mouse
        assert float(page.evaluate(opacity, "anticipated")) < 0.2
        assert phrase.get_attribute("aria-pressed") == "true"
        panel.focus()
        assert page.evaluate(opacity, "anticipated") == "1"
        assert phrase.get_attribute("aria-pressed") == "false"
        assert watch.errors == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_controls_go_with_the_page(scheme, tmp_path, chromium):
    pale_names = {
        **LINE,
        "mode": "lines+text",
        "text": ["yellow"],
        "textfont": {"color": "#E0DC00"},
    }
    told = {"type": "scatter", "mode": "text", "x": [0.5], "y": [1.0], "text": ["told"],
            "meta": {"layer": "readout"}}  # fmt: skip
    fig = go.Figure([POINTS, pale_names, told], moving().layout)
    choices = [{"label": label, "method": "skip"} for label in ("one", "two")]
    look = {"y": -0.3, "font": {"color": "#2B2B2B"}, "bgcolor": "#EDEDED"}
    fig.update_layout(updatemenus=[{"buttons": choices, **look}])
    path = write_page(executed(shown(fig)), tmp_path / "it.html")
    with browsing(chromium) as browser:
        page = browser.new_page(color_scheme=scheme)
        watched(page)
        page.goto(path.as_uri())
        scrolled(page)
        assert pale(page) == []
        assert undrawn(page) == []
        assert page.locator(".updatemenu-item-text").count() > 0
        # Nothing offers to upload a chart.
        titles = page.locator(".modebar-btn").evaluate_all(
            "(all) => all.map((b) => b.dataset.title)"
        )
        assert titles
        assert not [t for t in titles if re.search("share|cloud|edit", t, re.I)]


def test_the_grey_of_figures_is_legible_on_white_and_on_black():
    channel = np.array([int(theme.ink("auto")[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    light = ((channel + 0.055) / 1.055) ** 2.4 @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (light + 0.05) > 4.5
    assert (light + 0.05) / 0.05 > 4.5
