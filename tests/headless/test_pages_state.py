"""What the figures of a page are set to stands in its address."""

import pytest
from browser import open_page
from fake_runs import FakeRun
from test_pages import executed, shown
from test_pages_access import SHOWN, drawn, focus, page_of, press
from test_pages_drawn import moving

from vcviz.explorers import LatentExplorer
from vcviz.headless.pages import write_page

SET = """() => { const box = document.querySelector('.js-plotly-plot');
    return {step: box.layout.sliders[0].active, color: document.querySelector('select').value,
            menus: box.layout.updatemenus.slice(1).map(m => m.active),
            labels: box.layout.updatemenus.slice(1).map(m => m.buttons[0].label),
            rows: box._fullData.filter(t => t.visible === true && t.meta?.layer === 'points')
                .map(t => t.selectedpoints && [...t.selectedpoints]),
            told: document.querySelector('output').textContent,
            kept: document.querySelectorAll('.point-kept li').length}; }"""


def is_set(page, wanted):
    same = f"wanted => JSON.stringify(({SET})()) === JSON.stringify(wanted)"
    page.wait_for_function(same, arg=wanted)


@pytest.mark.browser
def test_a_page_is_found_again_as_its_address_says(tmp_path, chromium):
    runs = [FakeRun("softmax", 4), FakeRun("variational", 4)]
    path = page_of(LatentExplorer(runs).figure(axes=[("pca",), ("pair", 2, 3)]), tmp_path)
    with open_page(chromium, path, height=1200) as (page, watch):
        drawn(page)
        assert "#" not in page.url
        first = page.evaluate(SET)
        focus(page, "slider")
        press(page, "ArrowLeft")
        focus(page, "switch")
        press(page, "Enter")
        page.locator("[aria-haspopup=listbox]").first.focus()
        press(page, "Enter", "ArrowDown", "Enter")
        page.get_by_label("Colour of points").select_option("entropy")
        page.get_by_label("Find").fill("wrong")
        page.get_by_label("Find").press("Enter")
        page.wait_for_timeout(600)
        found, address = page.evaluate(SET), page.url
        assert found != first
        assert found["menus"][:2] == [1, -1]
        assert "0.color=entropy" in address
    with open_page(chromium, address, height=1200) as (page, watch):
        drawn(page)
        is_set(page, found)
        lat = runs[1].latents("test", 2)
        points = page.evaluate(SHOWN, "points")
        assert len(points[4]["x"]) == (lat.y == 1).sum()
        assert points[4]["x"][0] == pytest.approx(lat.z[lat.y == 1, 2][0], rel=1e-5)
        assert not page.evaluate(SHOWN, "anticipated")
        page.evaluate("location.hash = '#0.step=2'")  # another address in the same window
        is_set(page, first)
        focus(page, "slider")
        press(page, "Home")
        page.wait_for_url("**#0.step=0")
        press(page, "End")
        page.wait_for_url("**/page.html")  # as the page is without words
        assert not watch.requests
        assert not watch.errors


@pytest.mark.browser
def test_a_figure_that_was_set_does_not_play_and_a_heading_stays_in_the_address(tmp_path, chromium):
    path = write_page(executed(shown(moving())), tmp_path / "it.html")
    value = "String(document.querySelector('[data-figure]').data[0].y)"
    with open_page(chromium, f"{path.as_uri()}#0.step=1") as (page, watch):
        drawn(page)
        page.wait_for_timeout(1500)
        assert page.evaluate(value) == "1,1"
        assert page.locator("[data-played]").count() == 0
        assert not watch.errors
    for nonsense in ("#0.step=99&0.menu7=1&5.step=1", "#What-is-it"):
        with open_page(chromium, path.as_uri() + nonsense) as (page, watch):
            drawn(page)
            assert page.evaluate(value) == "2,2"
            assert page.url.endswith(nonsense)
            assert not watch.errors


@pytest.mark.browser
@pytest.mark.parametrize("allowed", [True, False])
def test_a_button_copies_the_address_of_what_is_set(allowed, tmp_path, chromium):
    path = page_of(LatentExplorer([FakeRun("softmax", 4)]).figure(), tmp_path)
    with open_page(chromium, path, height=1200) as (page, watch):
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        drawn(page)
        if not allowed:  # as in a page that was not asked for over https
            page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        # At once: the address itself follows a little later.
        page.evaluate("""() => { const color = document.querySelector('.point-tools select');
            color.value = 'entropy';
            color.dispatchEvent(new Event('change'));
            document.querySelector('.copy-link').click(); }""")
        wanted = f"{path.as_uri()}#0.color=entropy"
        if allowed:
            page.get_by_role("button", name="link copied").wait_for()
            assert page.evaluate("navigator.clipboard.readText()") == wanted
        else:
            field = page.get_by_label("link to this page")
            assert field.input_value() == wanted
            assert page.evaluate("getSelection().toString()") == wanted
            field.blur()
            page.get_by_role("button", name="copy link").wait_for()
        assert not watch.errors
