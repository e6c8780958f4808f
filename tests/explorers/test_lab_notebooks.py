"""Every explorer notebook in JupyterLab: what a person does by mouse, and what the page shows."""

from __future__ import annotations

import io
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest
from browser import browsing
from lab_browser import EXPOSED, OPEN, Lab, served, small_copies
from PIL import Image
from tiny_notebooks import save, text

import vcviz

pytestmark = pytest.mark.browser

# Every explorer's controls are tried without a browser too: by default one notebook, with sliders,
# lists and boxes, is tried in JupyterLab, and the others with -m slow.
NOTEBOOKS = ("latent_space",)
OTHERS = (
    "adversarial", "calibration", "dropmax", "heteroscedastic", "pc_softmax", "posthoc",
    "scoreboard", "tour",
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory, request):
    """One JupyterLab, one browser, one page, one kernel and one folder of runs for all."""
    from conftest import _chromium

    folder = tmp_path_factory.mktemp("lab")
    small_copies(folder / "vcviz-notebooks")
    with (
        served(folder, *EXPOSED) as address,
        browsing(_chromium()) as browser,
        closing(Lab(folder, address, browser)) as lab,
    ):
        yield lab


# ---------------------------------------------------------------- what the records say

RECORDS = (
    '[{"z": lat.z.tolist(), "y": lat.y.tolist(), "row": lat.index.tolist(),'
    ' "log_p": lat.log_probs.tolist()}'
    ' for lat in (run.latents("test", run.epochs[-1]) for run in runs)]'
)


def records(sheet):
    """Return what the latents of each run are at the last epoch, as arrays."""
    found = sheet.lab.ask(RECORDS)
    return [{k: np.array(v) for k, v in one.items()} for one in found]


def wound_around(points, corners):
    """Return (N,) whether a polygon's outline goes round each point: by angles, not crossings."""
    angle = np.zeros(len(points))
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        u, v = a - points, b - points
        angle += np.arctan2(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0], (u * v).sum(1))
    return np.abs(angle) > np.pi


def distance_to(points, corners):
    """Return (N,) pixels from each point to a polygon's outline."""
    found = np.full(len(points), np.inf)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        share = np.clip(((points - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
        found = np.minimum(found, np.hypot(*(points - a - share[:, None] * (b - a)).T))
    return found


def outline(panel, pixels, *, square=False):
    """Return corners, in whole pixels, of an outline that no point is on: a star, or a box."""
    rng = np.random.default_rng(0)
    inside = pixels[panel.holds(pixels, 40)]
    for _ in range(5000):
        middle = inside[rng.integers(len(inside))] + rng.uniform(-40, 40, 2)
        if square:
            corners = middle + rng.uniform(15, 90, 2) * [[-1, -1], [1, 1]]
        else:
            turn = np.arange(8) * np.pi / 4 + rng.uniform(0, np.pi)
            arms = np.where(np.arange(8) % 2, 0.45, 1)[:, None] * rng.uniform(20, 100)
            corners = middle + arms * np.column_stack([np.cos(turn), np.sin(turn)])
        corners = corners.round()
        whole = boxed(corners) if square else corners
        n = wound_around(pixels, whole).sum()
        clear = panel.holds(corners, 6).all() and distance_to(pixels, whole).min() > 0.15
        if clear and 5 <= n <= len(pixels) - 5:
            return corners
    raise AssertionError("no outline between the points")


def boxed(corners):
    (x0, y0), (x1, y1) = corners
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def chosen_in(sheet, i):
    """Return by panel where the page marks points as chosen; None where it marks none or all."""
    found = {}
    for trace in sheet.layer(i, "points"):
        marked = found.setdefault(trace["axes"][0], [])
        if trace["chosen"] is None:
            return None
        marked += [(trace["x"][k], trace["y"][k]) for k in trace["chosen"]]
    return [np.array(sorted(marked)).reshape(-1, 2) for marked in found.values()]


def shows_chosen(sheet, i, rows, every):
    """Wait until a page marks these rows in each run's panel, or none at all."""
    if not len(rows):
        sheet.until(lambda: chosen_in(sheet, i) is None)
        return
    wanted = [np.array(sorted(map(tuple, one["z"][np.isin(one["row"], rows)]))) for one in every]

    def there():
        found = chosen_in(sheet, i)
        return found is not None and all(
            len(a) == len(b) and np.allclose(a, b, atol=1e-4)
            for a, b in zip(found, wanted, strict=True)
        )

    sheet.until(there)


def selected(sheet, explorer="explorer"):
    return sheet.lab.ask(f"sorted({explorer}.selection['row'].unique().tolist())")


# ---------------------------------------------------------------- by mouse


@pytest.mark.parametrize(("tool", "square"), [("Lasso Select", False), ("Box Select", True)])
def test_what_is_lassoed_or_boxed_is_chosen_and_marked_in_every_panel(lab, tool, square):
    sheet = lab.notebook("latent_space")
    every = records(sheet)
    first = every[1]
    sheet.agrees(0)
    sheet.tool(0, tool)
    panel = sheet.panel(0, "x2", "y2")
    pixels = panel.pixels(first["z"])
    corners = outline(panel, pixels, square=square)
    inside = wound_around(pixels, boxed(corners) if square else corners)
    rows = first["row"][inside]
    sheet.drag(corners)
    sheet.until(lambda: selected(sheet) == sorted(rows.tolist()))
    shows_chosen(sheet, 0, rows, every)
    right = (first["log_p"][inside].argmax(1) == first["y"][inside]).mean()
    told = sheet.output(0).locator("tr", has_text="of").nth(1).inner_text()
    assert f"{len(rows)} of {len(first['row'])}" in told
    assert f"{right:.3f} [" in told
    if square:
        sheet.reset(0)
    else:
        panel = sheet.panel(0, "x2", "y2")
        sheet.page.mouse.dblclick(panel.left + 8, panel.top + 8)
    sheet.until(lambda: selected(sheet) == [])
    shows_chosen(sheet, 0, [], every)
    assert sheet.watch.errors == []


def test_a_click_keeps_a_sample_with_what_is_known_of_it(lab):
    sheet = lab.notebook("latent_space")
    every = records(sheet)
    one = every[0]
    sheet.agrees(0)
    output, panel = sheet.output(0), sheet.panel(0)
    pixels = panel.pixels(one["z"])
    apart = np.hypot(*(pixels[:, None] - pixels[None]).T) + 1e9 * np.eye(len(pixels))
    k = np.where(panel.holds(pixels, 25), apart.min(1), 0).argmax()
    row = one["row"][k]
    tip = output.get_by_text(f"row {row},")

    def pointed_at():
        sheet.page.mouse.move(*(pixels[k] + [30, 0]))
        sheet.page.mouse.move(*pixels[k], steps=4)
        sheet.page.wait_for_timeout(500)
        return tip.is_visible()

    sheet.until(pointed_at)
    assert tip.locator("img").count() == 1
    sheet.page.mouse.click(*pixels[k])
    kept = output.get_by_text(f"row {row}: ").locator("xpath=../..")
    kept.wait_for()
    near = np.argsort(np.hypot(*(one["z"] - one["z"][k]).T), kind="stable")
    near = [j for j in near if j != k][:6]
    items = kept.locator("li").all_inner_texts()
    rows = [int(text.split("row ")[1].split(",")[0]) for text in items]
    assert rows[:6] == one["row"][near].tolist()
    # Beside them the nearest in input space.
    x = vcviz.load_data("digits")[1].x.reshape(-1, 64).astype(float)
    away = np.linalg.norm(x - x[row], axis=1)
    assert rows[6:] == [j for j in np.argsort(away, kind="stable") if j != row][:6]
    assert kept.locator("img").count() == 13
    bars = sheet.figure(0, 1)
    bars.wait_for()
    shown = bars.evaluate("p => Array.from(p.data.find(t => t.meta.layer === 'probability').x)")
    np.testing.assert_allclose(shown, np.exp(one["log_p"][k]), atol=1e-4)
    texts = bars.locator("text").all_text_contents()
    assert f"{100 * np.exp(one['log_p'][k].max()):.1f} %" in texts
    marks = sheet.until(lambda: sheet.layer(0, "pinned"))
    places = [other["z"][other["row"] == row] for other in every]
    assert len(marks) == len(places)
    for mark, place in zip(marks, places, strict=True):
        np.testing.assert_allclose([mark["x"] + mark["y"]], place, atol=1e-4)
    output.get_by_role("button", name="Close").click()
    sheet.until(lambda: not sheet.layer(0, "pinned"))
    assert sheet.watch.errors == []


# explorer's slider, the layer that follows it, and what a record says of that layer
PLAYED = {
    "latent_space": (
        "epoch",
        "points",
        "[lat.z[lat.y == 0, 0].tolist() for lat in"
        ' (runs[0].latents("test", epoch) for epoch in runs[0].epochs)]',
    ),
    "adversarial": (
        "step",
        "probability",
        "[path.log_probs[step, _explorers[0].follow.value].tolist()"
        " for step in range(path.steps + 1)]",
    ),
}


@pytest.mark.parametrize(
    "name",
    ["latent_space", pytest.param("adversarial", marks=pytest.mark.slow)],
    scope="module",  # all of a notebook one after the other
)
def test_play_goes_through_the_record_and_pause_stops_it(lab, name):
    sheet = lab.notebook(name)
    slider, layer, asked = PLAYED[name]
    sheet.agrees(0)
    record = [np.array(one) for one in sheet.lab.ask(asked)]
    record = [np.exp(one) for one in record] if layer == "probability" else record
    assert len(record) == 4
    assert all(np.abs(a - b).max() > 1e-3 for a, b in pairwise(record))

    def steps():
        """Return which steps of the record the page has shown, in order."""
        found = []
        for numbers in sheet.recorded():
            (at,) = [k for k, one in enumerate(record) if np.allclose(numbers, one, atol=1e-4)]
            found += [at] if found[-1:] != [at] else []
        return found

    handle = sheet.control(0, slider).locator(".noUi-handle")
    handle.focus()
    sheet.page.keyboard.press("Home")
    sheet.record(0, layer)
    sheet.until(lambda: steps()[-1] == 0)
    sheet.record(0, layer)
    play, _, again = (
        sheet.control(0, slider).locator("xpath=..").locator(".widget-play button").all()
    )
    play.click()
    sheet.until(lambda: steps()[-1] == 3)
    assert steps() == sorted(set(steps()))
    assert len(steps()) > 2  # not from the first to the last at once
    sheet.until(lambda: play.locator(".fa-play").count())  # it stopped at the end

    again.click()  # from here it goes round until it is told to stop
    sheet.record(0, layer)
    play.click()
    sheet.until(lambda: len(steps()) > 5)
    play.click()
    play.locator(".fa-play").wait_for(state="attached")
    now = sheet.agrees(0)
    shown = len(sheet.recorded())
    sheet.page.wait_for_timeout(1200)  # three steps, did it not stop
    assert len(sheet.recorded()) == shown
    assert sheet.expected(0)["values"] == now["values"]
    again.click()
    sheet.reset(0)
    assert sheet.watch.errors == []


@pytest.mark.parametrize(
    "name",
    [*NOTEBOOKS, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)],
    scope="module",
)
def test_each_control_moves_what_the_page_shows(lab, name):
    sheet = lab.notebook(name)
    assert sheet.controls
    number = 0
    for i, controls in enumerate(sheet.controls):
        start = now = sheet.agrees(i)
        more = sheet.output(i).get_by_role("button", name="More controls").all()[:1]
        for button in more:
            button.click()
        moved = set()
        for control in controls:
            number += 1  # by mouse and by keyboard in turn
            if (sheet.press, sheet.click)[number % 2](i, control):
                now = sheet.agrees(i, unlike=now)
                moved.add(control)
        assert len(moved) >= len(controls) / 2, moved
        sheet.reset(i)
        for button in more:
            button.click()
        sheet.agrees(i, like=start)
    picture = Image.open(io.BytesIO(sheet.page.screenshot())).convert("RGB")
    assert len(picture.getcolors(maxcolors=picture.width * picture.height)) > 50
    assert sheet.watch.requests == []
    assert sheet.watch.errors == []


def test_bins_and_latents_choose_each_other(lab):
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((150, 2)).round(4), np.arange(150) % 3
    logits = np.exp(rng.uniform(-1, 2, (150, 1))) * np.eye(3)[y] + rng.standard_normal((150, 3))
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    save(
        lab.folder / "vcviz-notebooks" / "linked.ipynb",
        "import numpy as np, vcviz",
        f"z, y = np.array({z.tolist()}), np.arange(150) % 3\n"
        f"ui = vcviz.explore(latents=z, y=y, log_probs=np.array({log_probs.tolist()}))",
        "ui.latents",
        "ui.calibration",
    )
    sheet = lab.notebook("linked")
    every = [{"z": z, "row": np.arange(150)}]
    confidence = np.exp(log_probs).max(1)
    bins = np.digitize(confidence, np.linspace(0, 1, 16)) - 1
    counts = np.bincount(bins, minlength=15)
    sheet.agrees(1)
    (bars,) = sheet.layer(1, "counts")
    assert bars["y"] == counts.tolist()

    k = counts.argmax()
    panel = sheet.panel(1, *bars["axes"])
    x, _ = panel.pixels([[bars["x"][k], panel.y[0]]])[0]
    sheet.page.mouse.click(x, panel.top + panel.height - 3)
    rows = np.flatnonzero(bins == k)
    sheet.until(lambda: selected(sheet, "ui.latents") == rows.tolist())
    assert sheet.lab.ask("sorted(ui.calibration.selection['row'].tolist())") == rows.tolist()
    shows_chosen(sheet, 0, rows, every)

    panel = sheet.panel(1)  # the diagram above the counts
    sheet.drag(panel.pixels([[7.3 / 15, 0.5], [8 / 15, 0.45], [9.8 / 15, 0.4]]))
    rows = np.flatnonzero((bins >= 7) & (bins <= 9))
    sheet.until(lambda: selected(sheet, "ui.latents") == rows.tolist())
    shows_chosen(sheet, 0, rows, every)

    sheet.tool(0, "Lasso Select")
    panel = sheet.panel(0)
    pixels = panel.pixels(z)
    corners = outline(panel, pixels)
    rows = np.flatnonzero(wound_around(pixels, corners))
    sheet.drag(corners)
    wanted = np.bincount(bins[rows], minlength=15).tolist()
    sheet.output(1)
    sheet.until(lambda: [bars["y"] for bars in sheet.layer(1, "chosen")] == [wanted])
    shows_chosen(sheet, 0, rows, every)

    panel = sheet.panel(1)
    sheet.page.mouse.dblclick(panel.left + 8, panel.top + 8)
    sheet.until(lambda: selected(sheet, "ui.latents") == [])
    shows_chosen(sheet, 0, [], every)
    assert sheet.watch.errors == []


def test_a_gaussian_is_dragged_and_bayes_rule_follows(lab):
    sheet = lab.notebook("course/01_bayes")
    start = sheet.agrees(0)
    panel = sheet.panel(0)

    def shown(layer):
        (found,) = sheet.layer(0, layer)
        return np.array([*found["x"], *found["y"]])

    def centres():
        return np.array(sheet.lab.ask("[_explorers[0].controls[c].value for c in CENTRES]"))

    sheet.lab.ask("CENTRES = 'ax', 'ay', 'x', 'y'\n")
    sheet.record(0, "bayes")
    x, y = panel.pixels([[1.5, 0]])[0]
    sheet.page.mouse.move(x, y)
    sheet.page.mouse.down()
    wanted = np.array([[1.8, 1.0], [2.4, 2.0], [3.0, 3.0]])
    for x, y in panel.pixels(wanted):
        sheet.page.mouse.move(x, y)
        sheet.page.wait_for_timeout(100)
    sheet.until(lambda: np.allclose(centres()[2:], wanted[-1], atol=0.051))  # not let go yet
    sheet.until(lambda: len(sheet.recorded()) > 1)
    x, y = panel.pixels([[2.0, -2.5]])[0]
    sheet.page.mouse.move(x, y)
    sheet.page.mouse.up()
    sheet.drag(panel.pixels([[-1.5, 0], [-2, 0.5], [-2.5, 1.0]]))
    wanted = np.array([-2.5, 1.0, 2.0, -2.5])
    sheet.until(lambda: np.allclose(centres(), wanted, atol=0.051))
    sheet.agrees(0, unlike=start)
    a, b = centres().reshape(2, 2)
    np.testing.assert_allclose(shown("centre of A"), a, atol=1e-6)
    np.testing.assert_allclose(shown("centre of B"), b, atol=1e-6)
    # Two classes of covariance I: log odds (b - a)'z - (b'b - a'a) / 2, zero on the line.
    line = shown("bayes").reshape(2, -1).T
    np.testing.assert_allclose(line @ (b - a), (b @ b - a @ a) / 2, atol=1e-3)
    (odds,) = sheet.layer(0, "bayes odds")
    truth = np.outer(odds["x"], b - a)[:, :1] - (b @ b - a @ a) / 2
    np.testing.assert_allclose(odds["y"], truth[:, 0].clip(-24, 24), atol=1e-3)
    middle = np.mean([ring["x"] for ring in sheet.layer(0, "rings B")], axis=1)
    np.testing.assert_allclose(middle, b[0], atol=0.1)
    sheet.reset(0)
    sheet.agrees(0, like=start)
    assert sheet.watch.errors == []


# what stands last of what must be in view: the table of the chosen, the picture of the kept
LAST = {
    "latent_space": ("table:has-text('if calibrated')", "div:has(> img[width='64'])"),
    "calibration": ("text=chosen, accuracy",),
    "adversarial": (".js-plotly-plot .imagelayer >> nth=0",),
    "course/01_bayes": (".js-plotly-plot >> nth=0",),
}


@pytest.mark.parametrize(
    "name",
    [
        "latent_space",
        *(pytest.param(n, marks=pytest.mark.slow) for n in LAST if n != "latent_space"),
    ],
    scope="module",
)
def test_controls_figure_and_results_are_in_view_on_a_screen_of_800_pixels(lab, name):
    sheet = lab.notebook(name)
    sheet.agrees(0)
    rows = "_explorers[0].chosen.choose({})\n_explorers[0]._picks.pin(0, {})\n"
    if name == "latent_space":
        sheet.lab.ask(rows.format([3, 5, 8], 3))
    elif name == "calibration":
        sheet.lab.ask(rows.split("\n")[0].format([3, 5, 8]) + "\n")
    sheet.page.set_viewport_size({"width": 1280, "height": 800})
    try:
        output = sheet.output(0)

        def in_view(last):
            output.evaluate("box => box.scrollIntoView()")  # again: what is above may still grow
            return _below(last) <= 0

        for what in LAST[name]:
            last = output.locator(what)
            last.wait_for(state="attached")
            sheet.until(lambda last=last: in_view(last))
    finally:
        sheet.page.set_viewport_size({"width": 1280, "height": 1000})
        sheet.reset(0)


def _below(found):
    """Return how many pixels of an element lie beneath the notebook's lower edge."""
    return found.evaluate(
        """found => {
      const bottom = (box) => box.getBoundingClientRect().bottom;
      return bottom(found) - bottom(document.querySelector('.jp-WindowedPanel-outer'));
    }"""
    )


# ---------------------------------------------------------------- names, and a page that is late


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
    sheet = lab.notebook("<i>names")
    box = sheet.control(0, "classes")
    sheet.agrees(0)
    labels = [text for text in box.locator("label").all_inner_texts() if text != "\u200b"]
    assert labels == [names[0], names[1].replace("$", "＄"), names[2]]
    texts = sheet.page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot text')].map(t => t.textContent)"
    )
    # In the legend with how many there are, in the picture alone.
    assert {f"{name} · 10" for name in names} <= set(texts)
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


def test_a_phrase_lights_up_and_a_saved_notebook_shows_its_view_after_a_reload(lab):
    path = "vcviz-notebooks/lit.ipynb"
    save(
        lab.folder / path,
        text("The [points](#light:points) of [all](#light:1)."),
        "import numpy as np, vcviz",
        "z, y = np.random.default_rng(0).standard_normal((30, 3)), np.arange(30) % 3\n"
        "scores = np.log(np.full((30, 3), 1 / 3))\n"
        "vcviz.explore(latents=z, log_probs=scores, y=y).latents",
    )
    sheet = lab.notebook("lit")
    start = sheet.agrees(0)
    phrase = sheet.page.get_by_role("link", name="points")

    def opacities():
        plot = "document.querySelector('.js-plotly-plot[data-drawn]')"
        found = sheet.page.evaluate(f"{plot}.data.map((t) => [t.meta.layer, t.opacity ?? 1])")
        return {k: {o for layer, o in found if layer == k} for k, _ in found}

    before = opacities()
    phrase.hover()
    sheet.until(lambda: opacities() != before, timeout=20)
    lit = opacities()
    assert lit["points"] == before["points"]
    assert max(lit["empirical"]) < 0.2
    phrase.click()  # leads nowhere
    sheet.page.mouse.move(5, 500)
    sheet.until(lambda: opacities() == before, timeout=20)

    sheet.lab.ask("_explorers[0].state = {'axes': ('pair', 0, 1), 'classes': [0, 2]}\n")
    now = sheet.agrees(0, unlike=start)
    sheet.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    sheet.page.reload()
    sheet.page.wait_for_function("() => window.jupyterapp?.restored")
    sheet.page.evaluate("() => jupyterapp.restored")
    sheet.page.evaluate(OPEN, path)
    sheet.agrees(0, like=now)
    assert sheet.press(0, "axes")
    sheet.agrees(0, unlike=now)
    assert sheet.watch.errors == []


def test_a_figure_follows_though_anywidget_gave_up_on_it(lab):
    save(
        lab.folder / "vcviz-notebooks" / "late.ipynb",
        "import numpy as np, vcviz",
        "z, y = np.random.default_rng(0).standard_normal((30, 3)), np.arange(30) % 3\n"
        "scores = np.log(np.full((30, 3), 1 / 3))\n"
        "vcviz.explore(latents=z, log_probs=scores, y=y).latents",
    )
    sheet = lab.notebook("late", late=True)
    now = sheet.agrees(0)
    sheet.output(0).get_by_role("button", name="More controls").first.click()
    for control in ("axes", "empirical", "classes"):
        assert sheet.press(0, control)
        now = sheet.agrees(0, unlike=now)
    assert set(sheet.watch.errors) == {"[anywidget] Failed to initialize model."}
