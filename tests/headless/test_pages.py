from __future__ import annotations

import json
import re

import plotly.graph_objects as go
import pytest
from browser import open_page
from nbformat.v4 import new_output
from page_checks import Fetches, unpacked
from tiny_notebooks import code, notebook, text

from vcviz.headless.mathml import to_mathml
from vcviz.headless.pages import FIGURE, WIDGET, render_page, write_page

PLOTLY_VERSION = re.compile(r"plotly\.js v\d+\.\d+\.\d+\s")


def slider_figure(title: str = "moves") -> go.Figure:
    frames = [go.Frame(name=str(k), data=[go.Scatter(y=[k, 2 * k])]) for k in (1, 2, 3)]
    steps = [
        {"method": "animate", "label": f.name, "args": [[f.name], {"mode": "immediate"}]}
        for f in frames
    ]
    layout = {"title": {"text": title}, "height": 380, "sliders": [{"steps": steps}]}
    return go.Figure(frames[0].data, layout, frames)


def shown(figure: go.Figure):
    spec = {**json.loads(figure.to_json()), "config": {"plotlyServerURL": "https://plot.ly"}}
    return new_output("display_data", data={FIGURE: spec})


def executed(*outputs, **metadata):
    return notebook(
        text("intro\n\n# What is *it*?\nSee [this](https://example.org) and $\\mu_y$."),
        code("show = 1 < 2", execution_count=1, outputs=list(outputs)),
        **metadata,
    )


def html_output(html: str):
    return new_output("display_data", data={"text/html": html, "text/plain": "plain"})


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("02_next.ipynb", "02_next.html"),
        ("a/b.ipynb#here", "a/b.html#here"),
        ("https://example.org/x.ipynb", "https://example.org/x.ipynb"),
        ("data.csv", "data.csv"),
    ],
)
def test_a_link_to_a_notebook_beside_it_leads_to_the_page_beside_it(address, wanted):
    page = render_page(notebook(text(f"# One\nSee [that]({address}).")))
    assert f'href="{wanted}"' in page


def test_an_item_with_a_formula_keeps_its_bullet():
    page = render_page(notebook(text("# One\n\n1. a $x$\n2. b")))
    assert "<li><div>a <math" in page
    (scrolls,) = re.findall(r"([^{}\n]+):has\(> math\) ", page)
    assert "li" not in scrolls  # a box that scrolls cuts off what stands outside of it


def test_the_page_holds_everything_and_plotly_once():
    page = render_page(executed(shown(slider_figure()), shown(slider_figure("two"))), name="it")
    found = Fetches(page)
    assert found.addresses == []
    assert page.count('id="plotly"') == 1
    assert len(PLOTLY_VERSION.findall(unpacked(page, "plotly"))) == 1
    assert json.loads(unpacked(page, "figure-0"))["layout"]["title"]["text"] == "moves"
    spec = json.loads(unpacked(page, "figure-1"))
    assert [f["name"] for f in spec["frames"]] == ["1", "2", "3"]
    # Neither an address that a chart could be sent to nor a button for it.
    assert spec["config"] == {"responsive": True, "displaylogo": False, "showSendToCloud": False}
    assert page.count('data-figure="') == 2
    assert len(page) < 2.2e6
    own = re.sub(r'<script type="text/plain".*?</script>', "", page)
    assert set(re.findall(r"https?://[\w.]+", own)) == {"http://www.w3.org", "https://example.org"}
    assert not re.search(r"url\((?!#)|@import", own)


def test_a_page_without_figures_is_small_and_reads_like_a_report():
    page = render_page(executed(new_output("stream", text="printed\n")), name="it")
    assert len(page) < 60_000
    assert Fetches(page).data["title"] == "What is *it*?"
    assert '<html lang="en">' in page
    assert 'name="viewport"' in page
    assert re.search(r"<details class=\"code\">\s*<summary>code</summary>", page)
    assert "<details open" not in page
    assert "printed" in page
    assert "In [" not in page
    assert "default-src 'none'" in page


def test_what_a_loud_cell_printed_is_shortened():
    lines = [f"line {i}\n" for i in range(40_000)]
    parts = [
        new_output("stream", text="".join(lines[i : i + 1000])) for i in range(0, 40_000, 1000)
    ]
    page = render_page(executed(*parts), name="it")
    assert len(page) < 200_000
    assert "line 0\n" in page
    assert "line 39999\n" in page
    assert "line 20000\n" not in page
    assert "characters are left out here" in page


def test_text_cannot_break_out_of_the_page():
    figure = slider_figure("</script><script>alert(1)</script>")
    page = render_page(executed(shown(figure)), failure="<b>boom</b>", name="<i>")
    assert "alert(1)</script>" not in page
    assert "&lt;b&gt;boom&lt;/b&gt;" in page
    assert "&lt;i&gt; · made with" in page
    title = json.loads(unpacked(page, "figure-0"))["layout"]["title"]["text"]
    assert title == "</script><script>alert(1)</script>"


def test_what_needs_a_kernel_is_left_out_or_said():
    model = {"model_id": "1", "version_major": 2, "version_minor": 0}
    widget = new_output("display_data", data={WIDGET: model, "text/plain": "VBox()"})
    bar = new_output(
        "display_data", data={WIDGET: model, "text/plain": "0%| | 0/3 [00:00, ?epoch/s]"}
    )
    pictured = new_output("display_data", data={WIDGET: model, "text/html": "<b>kept</b>"})
    script = new_output("display_data", data={"application/javascript": "alert(2)"})
    nb = executed(widget, bar, pictured, script, widgets={"state": {"big": "state"}})
    page = render_page(nb)
    assert page.count("An interactive widget was here") == 1
    assert "<b>kept</b>" in page
    assert "model_id" not in page
    assert "alert(2)" not in page
    assert "big" not in page.split("</style>")[1]
    assert nb.cells[1].outputs[0].data[WIDGET] == model  # the notebook itself is left alone


def test_what_has_no_form_of_its_own_is_shown_as_text_or_left_out():
    told = new_output("display_data", data={"application/json": {"<accuracy>": [0.5, 1]}})
    foreign = new_output("display_data", data={"application/vnd.foreign.v2": "model_of_theirs"})
    page = render_page(executed(told, foreign))
    assert "&lt;accuracy&gt;" in page
    assert "model_of_theirs" not in page


def test_latex_outputs_and_errors_are_shown():
    latex = new_output("display_data", data={"text/latex": r"$\sigma_z$", "text/plain": "sigma"})
    error = new_output(
        "error", ename="E", evalue="bad", traceback=["\x1b[31mE\x1b[0m: <bad>", "line 2"]
    )
    page = render_page(executed(latex, error))
    assert "<mi>σ</mi>" in page
    assert '<span class="ansi-red-fg">E</span>: &lt;bad&gt;' in page


def test_write_page_replaces_at_once_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "it.html"
    path.write_text("old")
    assert write_page(executed(), path, name="it") == path
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("tex", "parts"),
    [
        (r"p(z\mid y)=\mathcal{N}(z;\mu_y,\Sigma_y)", ["<mo>&#x02223;</mo>", "&#x1D4A9;"]),
        (r"\frac{a}{b}", ["<mfrac>", "<mi>a</mi>"]),
        (r"\arg\max_y p", ["max"]),
        (r"a \log p", ['<mspace width="0.167em" /><mi>log</mi><mspace width="0.167em" />']),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", ["<mtable", "<mtr>"]),
        (r"\begin{align*}a&=b\end{align*}", ["<mtable"]),
    ],
)
def test_formulas_become_mathml(tex, parts):
    mathml = to_mathml(tex, block=True)
    assert mathml.startswith("<math")
    assert 'display="block"' in mathml
    assert "\\" not in mathml
    for part in parts:
        assert part in mathml


@pytest.mark.parametrize("tex", [r"\nosuch{x} < 1", r"\frac{", r"a & b"])
def test_formulas_that_cannot_be_converted_stay_readable(tex):
    inline = to_mathml(tex)
    assert inline.startswith("<code>")
    assert inline == f"<code>{tex.replace('&', '&amp;').replace('<', '&lt;')}</code>"
    assert to_mathml(tex, block=True) == f"<p>{inline}</p>"


@pytest.mark.browser
def test_a_browser_without_network_draws_the_figure_and_its_slider_moves(tmp_path, chromium):
    outside = html_output('<img src="https://example.org/x.png"><script>window.ran = 1</script>')
    nb = executed(shown(slider_figure()), outside)
    path = write_page(nb, tmp_path / "it.html", name="it")
    with open_page(chromium, path) as (page, watch):
        page.wait_for_selector("html[data-figures=drawn]", state="attached")
        values = "Array.from(document.querySelector('[data-figure]').data[0].y)"
        assert page.evaluate(values) == [1, 2]
        rail = page.locator(".slider-rail-touch-rect").bounding_box()
        page.mouse.click(rail["x"] + rail["width"] - 2, rail["y"] + rail["height"] / 2)
        page.wait_for_function(f"{values}[0] === 3")
        assert page.evaluate("document.querySelector('details.code').open") is False
        page.click(".all-code")
        assert page.evaluate("document.querySelector('details.code').open") is True
        assert page.locator("math").count() == 1
        assert page.locator(".main-svg").first.bounding_box()["width"] > 600
        assert watch.requests == []  # the picture from outside is not even asked for
        # and that refusal is the only complaint
        assert [e for e in watch.errors if "Content Security Policy" not in e] == []
        page.set_viewport_size({"width": 420, "height": 800})
        page.wait_for_function("document.querySelector('.main-svg').clientWidth < 420")


@pytest.mark.browser
def test_paper_shows_whole_figures_and_reveals_nothing(tmp_path, chromium):
    hidden = html_output("<details class='reveal'><summary>Reveal</summary>because</details>")
    path = write_page(executed(shown(slider_figure()), hidden), tmp_path / "it.html", name="it")
    with open_page(chromium, path) as (page, watch):
        page.wait_for_selector("html[data-figures=drawn]", state="attached")
        drawing, rail = page.locator(".main-svg").first, page.locator(".slider-rail-rect")
        screen = drawing.bounding_box()
        answer = "document.querySelector('details.reveal').open"
        assert page.evaluate(answer) is False
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 690, "height": 900})
        paper = drawing.bounding_box()
        assert 600 < paper["width"] <= 690
        right, bottom = page.evaluate(
            "(() => { const b = document.querySelector('.figure').getBoundingClientRect();"
            " return [b.right, b.bottom]; })()"
        )
        assert paper["x"] + paper["width"] <= right + 1
        assert paper["y"] + paper["height"] <= bottom + 1
        # All of the drawing is there, only smaller.
        assert paper["height"] / screen["height"] == pytest.approx(690 / 860, abs=0.02)
        assert not rail.is_visible()
        assert page.locator(".slider-label").first.is_visible()
        assert page.evaluate(answer) is False
        assert not page.locator("details.reveal").is_visible()
        assert page.evaluate("document.querySelector('details.code').open") is False
        page.set_viewport_size({"width": 1200, "height": 900})
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.wait_for_function(
            f"document.querySelector('.main-svg').getBoundingClientRect().width"
            f" === {screen['width']}"
        )
        assert rail.is_visible()
        assert watch.errors == []
