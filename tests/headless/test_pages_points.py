"""What an exported page does with the points of a figure: colours, finding, lassoing, pictures."""

import base64
import csv
import io
from itertools import pairwise

import numpy as np
import pytest
from browser import browsing, open_page, watched
from fake_runs import NAMES, FakeRun, latents, prior, trajectory
from pages_browser import beyond, overlaps, pale, scrolled
from PIL import Image
from test_pages_access import SHOWN, drawn, focus, page_of, press

from vcviz.explorers import AdversarialExplorer, LatentExplorer
from vcviz.explorers.page_rows import with_rows
from vcviz.figures import theme
from vcviz.metrics.row_values import row_values
from vcviz.records import Split


class Pictured(FakeRun):
    """A run whose rows are pictures, each of one grey of its own."""

    def split(self, name: str) -> Split:
        greys = np.arange(200, dtype=np.uint8).repeat(16).reshape(200, 1, 4, 4)
        return Split(greys, np.arange(200) % 3, NAMES)


class Worded(FakeRun):
    """A run whose rows are texts."""

    def split(self, name: str) -> Split:
        texts = [f"text <b>{i}</b> of many" for i in range(200)]
        ids = np.arange(200)[:, None].astype(np.int32)
        return Split(ids, np.arange(200) % 3, NAMES, kind="text", texts=texts)


def codes(text, dtype="<u2"):
    return np.frombuffer(base64.b64decode(text), dtype)


def known(figure, split="test"):
    return figure.layout.meta["rows"]["splits"][split]


@pytest.fixture(scope="module")
def figure():
    runs = [Pictured("softmax", 4), Pictured("variational", 4)]
    return LatentExplorer(runs).figure(axes=[("pca",), ("pair", 2, 3)])


def test_a_static_figure_carries_what_its_rows_are(figure):
    run = Pictured("softmax", 4)
    lat = run.latents("test", 5)
    table = known(figure)
    np.testing.assert_array_equal(codes(table["row"], "<u4"), lat.index)
    np.testing.assert_array_equal(codes(table["label"]), lat.y)
    np.testing.assert_array_equal(codes(table["predicted"][1]), lat.log_probs.argmax(1))
    offered = [name for _, name in LatentExplorer([run]).controls["color"].options]
    assert ["class", *(value["name"] for value in table["values"])] == offered
    for value in table["values"]:
        exact = row_values(lat, value["name"], prior=run.prior(), train=run.latents("train", None))
        np.testing.assert_allclose(
            value["from"] + codes(value["codes"][0]) * value["step"],
            exact.values,
            atol=value["step"],
        )
        assert value["label"] == exact.label
        assert tuple(value["levels"]) == exact.levels
        assert sum(value["counts"]) == 2 * len(lat)  # of both runs


def test_rows_of_a_split_each(tmp_path):
    figure = LatentExplorer([FakeRun("softmax")]).figure()
    train, test = known(figure, "train"), known(figure)
    assert train["values"][1]["codes"] != test["values"][1]["codes"]
    of_view = {t.meta["split"] for t in figure.data if t.meta["layer"] == "points" and t.visible}
    assert of_view == {"test"}


def test_runs_of_other_rows_carry_nothing():
    class Other(FakeRun):
        def latents(self, split="test", epoch=None):
            lat = super().latents(split, epoch)
            return type(lat)(lat.z, lat.log_probs, (lat.y + 1) % 3, lat.index, NAMES, lat.name)

    figure = LatentExplorer([FakeRun(), Other("variational")]).figure()
    assert "rows" not in figure.layout.meta


def test_latents_of_no_run_have_numbers_and_no_pictures():
    explorer = LatentExplorer((latents(46), None))
    table = known(explorer.figure())
    assert [value["name"] for value in table["values"]][:2] == ["right", "confidence"]
    assert "sprites" not in table
    bare = with_rows(explorer.figure(), explorer.sources, [], probe=False)
    assert known(bare)["values"] == []


def test_a_value_that_is_not_there_has_no_code():
    lat = latents(46)
    own = np.where(np.arange(46) == 3, np.nan, np.arange(46.0))
    given = type(lat)(lat.z, lat.log_probs, lat.y, lat.index, NAMES, table={"own": own})
    (value,) = [v for v in known(LatentExplorer((given, None)).figure())["values"]
                if v["name"] == "own:own"]  # fmt: skip
    assert np.flatnonzero(codes(value["codes"][0]) == 65535).tolist() == [3]


def test_words_have_their_own_numbers():
    lat = latents(46)
    words = np.array(["one", "two", "three", "four", "five", "six", "seven"])[np.arange(46) % 7]
    given = type(lat)(lat.z, lat.log_probs, lat.y, lat.index, NAMES, table={"word": words})
    (value,) = [v for v in known(LatentExplorer((given, None)).figure())["values"]
                if v["name"] == "own:word"]  # fmt: skip
    numbers = value["from"] + codes(value["codes"][0]) * value["step"]
    np.testing.assert_array_equal(np.array(value["levels"])[numbers.astype(int)], words)
    assert set(numbers % 1) == {0}  # a page looks up their colours by them


def tiles(sprite, n):
    sheet = Image.open(io.BytesIO(base64.b64decode(sprite["source"].partition("base64,")[2])))
    pixels = np.asarray(sheet.convert("L"), float)
    w, h, columns = sprite["w"], sprite["h"], sprite["columns"]
    return [pixels[i // columns * h :, i % columns * w :][:h, :w] for i in range(n)]


def test_an_attack_carries_when_it_succeeds_and_both_pictures():
    path = trajectory(9)
    figure = AdversarialExplorer((path, prior())).figure()
    table = known(figure, "attacked")
    np.testing.assert_array_equal(codes(table["row"], "<u4"), path.index)
    np.testing.assert_array_equal(codes(table["predicted"][0]), path.log_probs[-1].argmax(1))
    (flips,) = [value for value in table["values"] if value["name"] == "flip step"]
    told = ["never" if step < 0 else f"step {step}" for step in path.first_flip]
    assert [flips["levels"][code] for code in codes(flips["codes"][0])] == told
    assert flips["levels"] == ["step 1", "step 2", "step 3", "step 4", "never"]
    assert flips["colors"][-1].upper() == theme.NEUTRAL
    for sprite, x, of in zip(
        table["sprites"], (path.x, path.x_adv), ("before", "after"), strict=True
    ):
        assert sprite["of"].startswith(of)
        for tile, image in zip(tiles(sprite, 9), x[:, 0], strict=True):
            np.testing.assert_allclose(tile, 255 * image, atol=20)
    (now,) = [t for t in figure.data if t.meta and t.meta["layer"] == "now"]
    np.testing.assert_array_equal(np.asarray(now.customdata)[:, 0], path.index)


MARKS = """layer => document.querySelector('.js-plotly-plot')._fullData
    .filter(t => t.visible === true && t.meta?.layer === layer)
    .map(t => ({color: [].concat(t.marker?.color),
                chosen: t.selectedpoints && [...t.selectedpoints]}))"""


@pytest.mark.browser
def test_points_are_coloured_by_a_number_and_stay_so_along_the_slider(figure, tmp_path, chromium):
    with open_page(chromium, page_of(figure, tmp_path), height=1200) as (page, watch):
        drawn(page)
        before = page.evaluate(MARKS, "points")
        color = page.get_by_label("Colour of points")
        color.select_option("confidence")
        page.wait_for_timeout(300)
        lat = FakeRun("softmax", 4).latents("test", 5)
        confidence = np.exp(lat.log_probs.max(1))
        painted = page.evaluate(MARKS, "points")
        assert len(painted) == 6  # three classes in two panels
        shade = [sum(map(int, c[4:-1].split(","))) for c in painted[0]["color"]]
        order = np.argsort(confidence[lat.y == 0])
        assert (np.diff(np.array(shade)[order]) >= 0).all()  # lighter all the way
        assert shade[order[0]] < shade[order[-1]]
        key = page.locator(".point-key")
        assert key.locator("i").count() == 24
        assert "after training" in key.inner_text()
        # The symbol alone stands for the class in the legend now.
        assert {m["color"][0] for m in page.evaluate(MARKS, "key")[:3]} == {"#7A7A7A"}
        focus(page, "slider")
        press(page, "Home")
        first = FakeRun("softmax", 4).latents("test", 0)
        points = page.evaluate(SHOWN, "points")
        assert len(points[0]["x"]) == (first.y == 0).sum()
        assert page.evaluate(MARKS, "points") == painted
        color.select_option("right")
        page.wait_for_timeout(300)
        assert key.inner_text().split() == [
            "wrong", "·", "10", "right", "·", "52", "after", "training",
        ]  # fmt: skip
        color.select_option("class")
        page.wait_for_timeout(300)
        assert page.evaluate(MARKS, "points") == before
        assert not watch.requests
        assert not watch.errors


@pytest.mark.browser
def test_rows_are_found_stand_out_in_every_panel_and_are_saved(figure, tmp_path, chromium):
    lat = FakeRun("softmax", 4).latents("test", 5)
    wrong = lat.index[lat.log_probs.argmax(1) != lat.y]
    with open_page(chromium, page_of(figure, tmp_path), height=1200) as (page, watch):
        drawn(page)
        told, find = page.locator(".point-tools output"), page.get_by_label("Find")

        def ask(question):
            find.fill(question)
            find.press("Enter")
            page.wait_for_timeout(300)
            return told.inner_text()

        assert f"{len(wrong)} of 31 rows chosen: softmax 0 % right" in ask("wrong")
        chosen = [m["chosen"] for m in page.evaluate(MARKS, "points")]
        mine = lat.index[lat.y == 1]
        assert mine[chosen[1]].tolist() == [row for row in wrong if row in mine]
        assert chosen[4] == chosen[1]  # the other panel
        assert page.locator(".point-pictures .point-picture").count() == len(wrong)
        focus(page, "slider")
        press(page, "Home")  # a filter stays while epochs move
        assert [m["chosen"] for m in page.evaluate(MARKS, "points")] == chosen
        with page.expect_download() as download:
            page.get_by_role("button", name="save CSV").click()
        saved = download.value.path().read_text(encoding="utf-8-sig")
        table = list(csv.DictReader(io.StringIO(saved)))
        assert [int(line["row"]) for line in table] == [*wrong, *wrong]
        assert [line["run"] for line in table[:: len(wrong)]] == ["softmax", "variational"]
        place = np.flatnonzero(lat.index == wrong[0])[0]
        assert table[0]["label"] == NAMES[lat.y[place]]
        assert table[0]["predicted"] == NAMES[lat.log_probs[place].argmax()]
        assert table[0]["right"] == "wrong"
        sure = np.exp(lat.log_probs[place].max())
        assert float(table[0]["confidence"]) == pytest.approx(sure, abs=1e-4)

        assert f"{(lat.y == 1).sum()} of 31" in ask("<B>bee</b>")
        limit = float(np.median(np.exp(lat.log_probs.max(1))))
        surely = (np.exp(lat.log_probs.max(1)) > limit) & np.isin(lat.index, wrong)
        expected = f"{surely.sum()} of 31" if surely.any() else "No row"
        assert expected in ask(f"confidence > {limit:.5f} and wrong")
        assert "No row is found" in ask("nothing like it")
        row = int(lat.index[2])
        assert "1 of 31" in ask(str(row))  # one that is asked for is kept, with its picture
        kept = page.locator(".point-kept li")
        assert f"row {row}" in kept.inner_text()
        label = f"picture of row {row} · {NAMES[lat.y[2]]}"
        assert kept.locator("[role=img]").get_attribute("aria-label") == label
        kept.get_by_role("button").click()
        assert kept.count() == 0
        page.get_by_role("button", name="choose none").click()
        page.wait_for_timeout(300)
        assert {str(m["chosen"]) for m in page.evaluate(MARKS, "points")} == {"None"}
        assert not watch.errors


GREY = """element => { const { width: w, height: h } = element;
    return element.getContext('2d').getImageData(w / 2, h / 2, 1, 1).data[0]; }"""


@pytest.mark.browser
def test_chosen_rows_have_a_mean_picture(figure, tmp_path, chromium):
    index = FakeRun("softmax", 4).latents("test", 5).index
    with open_page(chromium, page_of(figure, tmp_path), height=1200) as (page, watch):
        drawn(page)
        find, mean = page.get_by_label("Find"), page.locator(".point-pictures canvas")
        for question, rows in (("class <b>bee</b>", index[index % 3 == 2]), ("right", None)):
            find.fill(question)
            find.press("Enter")
            if rows is None:
                lat = FakeRun("softmax", 4).latents("test", 5)
                rows = lat.index[lat.log_probs.argmax(1) == lat.y]
            page.get_by_text(f"mean of {len(rows)}").wait_for()
            assert abs(mean.evaluate(GREY) - rows.mean()) < 3
        find.fill(str(index[0]))
        find.press("Enter")
        mean.wait_for(state="detached")  # one row is its own
        assert page.locator(".point-pictures .point-picture").count() == 1
        assert not watch.errors


class Right(Pictured):
    """A run that is always right."""

    def latents(self, split="test", epoch=None):
        lat = super().latents(split, epoch)
        log_probs = np.log(np.eye(3)[lat.y] * 0.7 + 0.1)
        return type(lat)(lat.z, log_probs, lat.y, lat.index, NAMES, lat.name)


@pytest.mark.browser
def test_a_question_is_of_any_run_or_of_one(tmp_path, chromium):
    runs = [Pictured("softmax", 4), Right("variational", 4)]
    wrong = sum(runs[0].latents("test", 5).log_probs.argmax(1) != runs[0].latents("test", 5).y)
    with open_page(chromium, page_of(LatentExplorer(runs).figure(), tmp_path)) as (page, watch):
        drawn(page)
        told, where = page.locator(".point-tools output"), page.locator(".point-tools form select")
        assert where.locator("option").all_inner_texts() == ["any run", "softmax", "variational"]
        page.get_by_label("Find").fill("wrong")
        page.get_by_label("Find").press("Enter")
        told.filter(has_text=f"{wrong} of 31 rows chosen").wait_for()
        where.select_option("variational")
        told.filter(has_text="No row is found").wait_for()
        where.select_option("softmax")
        told.filter(has_text=f"{wrong} of 31 rows chosen").wait_for()
        assert not watch.errors


PLACE_OF = """layer => {
    const one = [...document.querySelectorAll('.scatterlayer .trace')]
        .find((g) => g.__data__[0].trace.meta?.layer === layer).querySelector('.points path');
    const { x, y, width, height } = one.getBoundingClientRect();
    return [x + width / 2, y + height / 2]; }"""


@pytest.mark.browser
def test_a_sentence_is_broken_once_for_the_width_of_the_page(tmp_path, chromium):
    fig = AdversarialExplorer((trajectory(9), prior())).figure()
    told = next(a.text for a in fig.layout.annotations if "Row" in a.text)
    assert theme.SOFT_BREAK in told
    said = "document.querySelector('[data-figure]').layout.annotations.map(a => a.text)"
    with open_page(chromium, page_of(fig, tmp_path), width=390, height=900) as (page, _):
        drawn(page)
        (now,) = [text for text in page.evaluate(said) if "Row" in text]
    lines = now.removeprefix("<b>").removesuffix("</b>").split("<br>")
    assert len(lines) > 2
    for line, after in pairwise(lines):  # the next word had no room
        assert len(line) + len(after.split()[0]) >= max(map(len, lines)) - 1


@pytest.mark.browser
def test_what_points_are_coloured_by_already_stands_first_and_once(tmp_path, chromium):
    explorer = AdversarialExplorer((trajectory(9), prior()))
    offered = "[...document.querySelector('.point-tools select').options].map(o => o.label)"
    for color, first in (("class", "class"), ("flip", "step of the first flip")):
        explorer.controls["color"].value = color
        with open_page(chromium, page_of(explorer.figure(), tmp_path)) as (page, _):
            drawn(page)
            options = page.evaluate(offered)
        assert options[0] == first
        assert options.count("step of the first flip") == 1


@pytest.mark.browser
def test_an_attacked_input_is_shown_before_and_after(tmp_path, chromium):
    path = trajectory(9)
    fig = AdversarialExplorer((path, prior())).figure()
    with open_page(chromium, page_of(fig, tmp_path), height=1200) as (page, watch):
        drawn(page)
        page.get_by_label("Colour of points").select_option("flip step")
        assert "step 1 · 2 step 2 · 2" in " ".join(page.locator(".point-key").inner_text().split())
        (now,) = page.evaluate(MARKS, "now")
        (flips,) = [v for v in known(fig, "attacked")["values"] if v["name"] == "flip step"]
        steps = [flips["levels"][flips["colors"].index(color)] for color in now["color"]]
        assert steps == ["never" if s < 0 else f"step {s}" for s in path.first_flip]
        spot = page.evaluate(PLACE_OF, "now")
        page.mouse.move(*spot)
        tip = page.locator(".figure-tip")
        tip.filter(has_text=f"row {path.index[0]} ").wait_for()
        labels = tip.get_by_role("img").evaluate_all("all => all.map((one) => one.ariaLabel)")
        assert [label.split(", ")[-1] for label in labels] == ["before the attack", "after it"]
        page.mouse.down()
        page.mouse.up()
        kept = page.locator(".point-kept li")
        assert kept.get_by_role("img").count() == 2
        assert f"read as {NAMES[path.log_probs[-1, 0].argmax()]}" in kept.inner_text()
        assert not watch.errors


@pytest.mark.browser
def test_a_lasso_chooses_adds_and_takes_away(figure, tmp_path, chromium):
    lat = FakeRun("softmax", 4).latents("test", 5)
    with open_page(chromium, page_of(figure, tmp_path), height=1200) as (page, watch):
        drawn(page)
        page.evaluate(
            "Plotly.relayout(document.querySelector('.js-plotly-plot'), {dragmode: 'select'})"
        )
        area = page.locator(".nsewdrag").first.bounding_box()
        ranges = page.evaluate(
            "(({xaxis, yaxis}) => [xaxis.range, yaxis.range])"
            "(document.querySelector('.js-plotly-plot')._fullLayout)"
        )
        points = np.concatenate(
            [np.column_stack([t["x"], t["y"]]) for t in page.evaluate(SHOWN, "points")[:3]]
        )
        share = (points - np.array(ranges)[:, 0]) / np.diff(np.array(ranges), axis=1)[:, 0]

        def box(left, right):
            page.mouse.move(area["x"] + left * area["width"], area["y"] + 2)
            page.mouse.down()
            x = area["x"] + right * area["width"]
            page.mouse.move(x - 5, area["y"] + area["height"] - 20)
            page.mouse.move(x, area["y"] + area["height"] - 3)
            page.mouse.up()
            page.wait_for_timeout(500)
            return page.locator(".point-tools output").inner_text().split(" ")[0]

        within = lambda low, high: ((share[:, 0] > low) & (share[:, 0] < high)).sum()  # noqa: E731
        assert box(0.02, 0.5) == str(within(0.02, 0.5))
        assert all(m["chosen"] is not None for m in page.evaluate(MARKS, "points"))  # both panels
        page.keyboard.down("Shift")
        assert box(0.5, 0.98) == str(within(0.02, 0.98))
        page.keyboard.up("Shift")
        page.keyboard.down("Alt")
        assert box(0.02, 0.5) == str(within(0.5, 0.98))
        page.keyboard.up("Alt")
        assert len(lat) == 31
        assert not watch.errors


@pytest.mark.browser
@pytest.mark.parametrize("kind", [Pictured, Worded])
def test_pointing_shows_what_is_behind_a_point_and_a_click_keeps_it(kind, tmp_path, chromium):
    fig = LatentExplorer([kind("variational", 4)]).figure()
    lat = kind("variational", 4).latents("test", 5)
    with open_page(chromium, page_of(fig, tmp_path), height=1200) as (page, watch):
        drawn(page)
        tip = page.locator(".figure-tip")
        assert not tip.is_visible()
        spot = page.locator(".scatterlayer .trace .points path").first.bounding_box()
        middle = spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2
        page.mouse.move(*middle)
        place = np.flatnonzero(lat.y == 0)[0]
        row = int(lat.index[place])
        tip.filter(has_text=f"row {row} ").wait_for()
        assert f"row {row} · {NAMES[lat.y[place]]}" in tip.inner_text()
        assert f"read as {NAMES[lat.log_probs[place].argmax()]}, p = 0." in tip.inner_text()
        if kind is Worded:
            assert f"text <b>{row}</b> of many" in tip.inner_text()
        else:
            shot = page.screenshot()
            box = tip.locator(".point-picture").bounding_box()
            seen = Image.open(io.BytesIO(shot)).convert("L")
            grey = seen.getpixel((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
            assert abs(grey - row) <= 6  # 16 greys of all, or JPEG
        page.mouse.down()
        page.mouse.up()
        page.mouse.move(5, 5)
        assert f"row {row}" in page.locator(".point-kept li").inner_text()
        tip.wait_for(state="hidden")
        assert not watch.errors


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_switches_and_tools_have_room_at_every_width(scheme, figure, tmp_path, chromium):
    path = page_of(figure, tmp_path)
    with browsing(chromium) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        watch = watched(page)
        page.goto(path.as_uri())
        scrolled(page)
        assert pale(page) == []
        page.get_by_label("Colour of points").select_option("entropy")
        page.get_by_label("Find").fill("wrong")
        page.get_by_label("Find").press("Enter")
        page.get_by_role("button", name="save CSV").wait_for()
        assert watch.errors == []
        for width in (1280, 800, 390, 320):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(700)
            assert overlaps(page) == [], width
            assert beyond(page) <= 0, width
