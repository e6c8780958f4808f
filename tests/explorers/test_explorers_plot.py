"""The live figure: what is sent to a page, what a page sends back, and how a page draws it."""

import base64
import html
import json
import sys
import threading
import types

import numpy as np
import pytest
from browser import open_page

from vcviz.base.errors import InputError
from vcviz.explorers import Selection, link
from vcviz.explorers.plot import Plot

TRACE = {"type": "scatter", "mode": "markers"}


def traces(*values):
    return [TRACE | {"x": np.arange(3, dtype="f4"), "y": np.array(v, "f4")} for v in values]


def recorded(plot):
    """Make the plot keep what it sends; returns the list of (content, arrays)."""
    messages = []
    plot.send = lambda content, buffers=None: messages.append((content, buffers))
    return messages


def test_only_what_differs_is_sent_and_arrays_go_as_bytes():
    plot = Plot(traces([1, 2, 3], [4, 5, 6]), {"height": 300, "xaxis": {"range": [0, 2]}})
    messages = recorded(plot)
    plot.show(traces([1, 2, 3], [4, 5, 7]), {"height": 300, "xaxis": {"range": [0, 3]}})
    ((content, buffers),) = messages
    assert content["layout"] == {"xaxis.range": [0, 3]}
    assert list(content["traces"]) == [1]
    assert content["traces"][1] == {"y": {"dtype": "f4", "shape": [3], "bytes": 0}}
    np.testing.assert_array_equal(np.frombuffer(buffers[0], "<f4"), [4, 5, 7])
    json.dumps(content, allow_nan=False)


def test_nothing_is_sent_when_nothing_differs():
    plot = Plot(traces([1, 2, 3]), {"height": 300})
    messages = recorded(plot)
    plot.show(traces([1, 2, 3]), {"height": 300})
    assert messages == []


def test_other_traces_replace_the_old_ones():
    plot = Plot(traces([1, 2, 3]), {})
    messages = recorded(plot)
    plot.show([*traces([1, 2, 3]), {"type": "bar", "y": [1]}], {})
    assert [t["type"] for t in messages[0][0]["data"]] == ["scatter", "bar"]
    assert [t.type for t in plot.data] == ["scatter", "bar"]


def test_what_a_thread_looks_at_is_sent_as_it_is():
    # JupyterLab handles messages of widgets in a thread beside that of the cells.
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    states = [
        [{"type": "heatmap", "z": np.full((3, 2), k, "f4")}, {"type": "bar", "y": [k]}]
        for k in range(4)
    ]
    plot = Plot(states[0], {})
    messages = recorded(plot)
    done = threading.Event()

    def look():
        while not done.is_set():
            assert plot.data[0].type == "heatmap"

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for i in range(1, 400):
            plot.show(states[i % 4], {})
    finally:
        done.set()
        looking.join()
        sys.setswitchinterval(before)
    assert len(messages) == 399
    for content, _ in messages:
        assert "data" not in content
        assert [set(change) for change in content["traces"].values()] == [{"z"}, {"y"}]


def test_a_page_that_shows_another_version_is_sent_everything():
    plot = Plot(traces([1, 2, 3]), {"height": 1})
    plot.show(traces([4, 5, 6]), {"height": 2})
    messages = recorded(plot)
    plot._resend(plot._channel, {"version": 1}, [])
    assert messages == []
    plot._resend(plot._channel, {"version": 0}, [])
    ((content, buffers),) = messages
    assert content["whole"]["layout"] == {"height": 2}
    assert content["whole"]["version"] == 1
    np.testing.assert_array_equal(np.frombuffer(buffers[1], "<f4"), [4, 5, 6])


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.arange(3), "i4"),
        (np.arange(3, dtype=">f8"), "f8"),
        (np.arange(6, dtype="u1").reshape(2, 3), "u1"),
        (np.arange(8, dtype="f4")[::2], "f4"),
    ],
)
def test_arrays_of_any_order_and_width_arrive(array, dtype):
    plot = Plot([{"type": "heatmap", "z": array}], {})
    packed = plot.get_state("_figure")["_figure"]["data"][0]["z"]
    assert (packed["dtype"], packed["shape"]) == (dtype, list(array.shape))
    found = np.frombuffer(packed["bytes"], f"<{dtype}").reshape(array.shape)
    np.testing.assert_array_equal(found, array)


def test_what_json_cannot_say_is_a_gap():
    plot = Plot(
        [TRACE | {"y": [1.0, float("nan"), np.float32(2)], "ids": np.array(["a", "b"])}], {}
    )
    state = plot.get_state("_figure")["_figure"]["data"][0]
    assert (state["y"], state["ids"]) == ([1.0, None, 2.0], ["a", "b"])


def test_a_page_that_comes_later_gets_what_is_shown_now():
    plot = Plot(traces([1, 2, 3]), {"height": 1})
    plot.show(traces([7, 8, 9]), {"height": 2})
    state = plot.get_state("_figure")["_figure"]
    assert state["layout"] == {"height": 2}
    np.testing.assert_array_equal(np.frombuffer(state["data"][0]["y"]["bytes"], "<f4"), [7, 8, 9])


def test_figures_share_one_plotly_js_and_hold_little_themselves():
    first, second = Plot(traces([1, 2, 3]), {}), Plot(traces([1, 2, 3]), {})
    assert first._library is second._library
    assert first.get_state("_library")["_library"].startswith("IPY_MODEL_")
    assert len(str(first.get_state("_esm"))) < 20_000
    assert len(first._library.code) < 2_000_000


def test_listeners_are_told_what_a_person_did():
    plot = Plot(
        [t | {"meta": {"class": k}} for k, t in enumerate(traces([1, 2, 3], [4, 5, 6]))], {}
    )
    seen = []
    for kind in ("click", "select", "viewport"):
        plot.on(kind, lambda event, kind=kind: seen.append((kind, event)))
    assert plot._listened == ["click", "select", "viewport"]
    plot._received(plot, {"kind": "click", "trace": 1, "point": 2, "x": 2, "y": 6}, [])
    plot._received(plot, {"kind": "click", "trace": 9, "point": 2, "x": 2, "y": 6}, [])  # is gone
    corners = [[0, 0], [1, 0], [1, 1]]
    plot._received(plot, {"kind": "select", "axes": ["x", "y"], "polygon": corners}, [])
    plot._received(plot, {"kind": "select", "axes": None, "polygon": None}, [])
    assert [kind for kind, _ in seen] == ["click", "select", "select"]
    assert seen[0][1]["meta"] == {"class": 1}
    assert seen[1][1]["polygon"].shape == (3, 2)
    assert seen[2][1]["polygon"] is None
    with pytest.raises(InputError, match="unknown event 'clik'; did you mean 'click'"):
        plot.on("clik", print)


def test_a_drag_is_answered_whatever_comes_of_it():
    marked = {"meta": {"draggable": True}, "xaxis": "x2", "yaxis": "y2"}
    plot = Plot([*traces([1, 2, 3]), *[t | marked for t in traces([4, 5, 6])]], {})
    said, seen = [], []
    plot.send = lambda content, buffers=None: said.append(content)
    plot.on("drag", seen.append)
    plot.on("drag", lambda event: plot.show(traces([7, 8, 9]), {}) if event["done"] else None)

    def drag(trace, ticket, *, done):
        place = {"trace": trace, "point": 1, "x": 0.5, "y": 0.25, "done": done}
        plot._received(plot, {"kind": "drag", "ticket": ticket} | place, [])

    drag(1, "a", done=False)
    assert seen == [
        {"trace": 1, "point": 1, "x": 0.5, "y": 0.25, "done": False}
        | {"meta": {"draggable": True}, "axes": ("x2", "y2")}
    ]
    drag(0, "b", done=True)  # is not to be dragged
    drag(1, "c", done=True)
    drag(1, "d", done=True)  # is gone
    assert len(seen) == 2
    assert [m.get("ticket", "figure") for m in said] == ["a", "b", "figure", "c", "d"]
    plot.on("click", print)
    plot._callbacks["drag"] = [lambda event: 1 / 0]
    plot.show([t | marked for t in traces([4, 5, 6])], {})
    with pytest.raises(ZeroDivisionError):
        drag(0, "e", done=True)
    assert said[-1] == {"kind": "dragged", "ticket": "e"}


# ---------------------------------------------------------------- selections


def test_a_selection_tells_its_observers_once_and_keeps_rows_in_order():
    chosen, seen = Selection(), []
    chosen.observe(lambda change: seen.append((change["new"].tolist(), chosen.split)), names="rows")
    chosen.choose([5, 2, 5], split="train", source="softmax")
    chosen.choose([2, 5], split="train")
    chosen.clear()
    assert seen == [([2, 5], "train"), ([], "train")]
    with pytest.raises(InputError, match="rows must be whole numbers from 0"):
        chosen.choose([0.5])


def test_only_explorers_with_rows_to_choose_can_be_linked():
    with pytest.raises(InputError, match="at least two"):
        link(object())
    with pytest.raises(InputError, match="object has no rows to choose"):
        link(object(), object())


# ---------------------------------------------------------------- a page

PAGE = """<!doctype html><meta charset="utf-8">HEAD<style>STYLE</style>
<body><div id="a"></div><div id="b"></div>
<script type="module">
const url = URL.createObjectURL(new Blob([SOURCE], {type: "text/javascript"}));
const {default: define} = await import(url);
const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const revive = (value) => Array.isArray(value) ? value.map(revive)
  : value && typeof value === "object" ? ("base64" in value ? bytes(value.base64)
  : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revive(v)]))) : value;
const library = {get: () => bytes(LIBRARY)};
function model(state, others) {
  const listeners = [];
  return {
    sent: [],
    get: (name) => state[name],
    on: (kind, f) => kind === "msg:custom" && listeners.push(f),
    send(message) { this.sent.push(message); },
    receive: (message, buffers = []) => listeners.forEach((f) => f(message, buffers.map(bytes))),
    widget_manager: {get_model: async (id) => others[id]},
  };
}
window.start = (id, state) => {
  const name = (key) => state[key].replace("IPY_MODEL_", "");
  const channel = model({}), widget = define();
  const made = model(revive(state), {[name("_library")]: library, [name("_channel")]: channel});
  widget.initialize({model: made});
  window[id + "_off"] = widget.render({model: made, el: document.getElementById(id)});
  Object.assign(window, {[id + "_model"]: made, [id + "_channel"]: channel});
};
window.ready = true;
</script>"""


def packed(value):
    """Return widget state with bytes as JSON can say them."""
    if isinstance(value, (bytes, memoryview)):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, dict):
        return {k: packed(v) for k, v in value.items()}
    return [packed(v) for v in value] if isinstance(value, list) else value


def state_of(plot):
    return packed(plot.get_state(["_figure", "_listened", "label", "_library", "_channel"]))


def page_html(head=""):
    plot = Plot([], {})
    source = json.dumps(plot._esm).replace("</", "<\\/")
    library = json.dumps(base64.b64encode(plot._library.code).decode())
    text = PAGE.replace("HEAD", head, 1).replace("STYLE", plot._css, 1)
    return text.replace("SOURCE", source, 1).replace("LIBRARY", library, 1)


@pytest.fixture
def page(tmp_path, chromium):
    path = tmp_path / "page.html"
    path.write_text(page_html(), encoding="utf-8")
    with open_page(chromium, path) as (opened, watch):
        opened.wait_for_function("() => window.ready")
        yield opened
        assert not watch.requests
        assert not watch.errors


def forward(plot, page, name="a"):
    """Send the plot's messages to the page."""

    def send(content, buffers=None):
        texts = [base64.b64encode(b).decode() for b in buffers or []]
        page.evaluate(f"([c, b]) => {name}_channel.receive(c, b)", [content, texts])

    plot.send = send


def drawn(page, times, name="a"):
    page.wait_for_function(
        f"() => document.querySelector('#{name} > div').dataset.drawn >= {times}"
    )


@pytest.mark.browser
def test_a_page_draws_what_the_kernel_sends(page):
    layout = {"height": 320, "xaxis": {"range": [0, 3]}, "title": {"text": "<b>first</b>"}}
    plot = Plot(traces([1, 2, 3]), layout)
    page.evaluate("s => start('a', s)", state_of(plot))
    drawn(page, 1)
    forward(plot, page)
    plot.show(traces([4, 5, 6]), layout | {"title": {"text": "second"}})
    drawn(page, 2)
    shown = "() => { const g = document.querySelector('#a > div');"
    found = page.evaluate(shown + " return [[...g.data[0].y], g.layout.title.text]; }")
    assert found == [[4, 5, 6], "second"]
    assert page.evaluate("() => document.querySelector('#a > div').ariaLabel") == "second"
    plot.show([*traces([1, 1, 1]), {"type": "bar", "y": [2.0]}], layout)
    drawn(page, 3)
    assert page.evaluate(shown + " return g.data.map(t => t.type); }") == ["scatter", "bar"]


@pytest.mark.browser
def test_a_page_that_missed_a_message_asks_for_all_of_the_figure(page):
    plot = Plot(traces([1, 2, 3]), {"height": 320, "title": {"text": "first"}})
    page.evaluate("s => start('a', s)", state_of(plot))
    drawn(page, 1)
    assert page.evaluate("() => a_channel.sent") == [{"version": 0}]
    plot.show(traces([4, 5, 6]), {"height": 320, "title": {"text": "second"}})  # gets lost
    forward(plot, page)
    plot.show(traces([4, 5, 7]), {"height": 320, "title": {"text": "second"}})
    assert page.evaluate("() => a_channel.sent.length") == 2
    plot._resend(plot._channel, page.evaluate("() => a_channel.sent[1]"), [])
    drawn(page, 2)
    shown = (
        "() => { const g = document.querySelector('#a > div');"
        " return [[...g.data[0].y], g.layout.title.text]; }"
    )
    assert page.evaluate(shown) == [[4, 5, 7], "second"]
    plot.show(
        traces([7, 8, 9]), {"height": 320, "title": {"text": "second"}}
    )  # and follows from there
    drawn(page, 3)
    assert page.evaluate(shown)[0] == [7, 8, 9]


@pytest.mark.browser
def test_zoom_and_legend_stay_while_data_change_until_restored(page):
    layout = {"height": 320, "xaxis": {"range": [0, 3]}, "showlegend": True}
    plot = Plot([t | {"name": "points"} for t in traces([1, 2, 3])], layout)
    plot.on("viewport", print)
    page.evaluate("s => start('a', s)", state_of(plot))
    drawn(page, 1)
    forward(plot, page)
    box = page.locator("#a .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 2 / 3, box["y"] + 62, steps=5)  # along x alone
    page.mouse.up()
    page.wait_for_function("() => a_model.sent.length")
    (told,) = page.evaluate("() => a_model.sent")
    assert (told["kind"], told["axes"]) == ("viewport", ["x", "y"])
    assert told["range"][0] == pytest.approx([1, 2], abs=0.02)
    plot.show([t | {"name": "points"} for t in traces([3, 2, 1])], layout)
    drawn(page, 2)
    look = (
        "() => { const g = document.querySelector('#a > div'); return g._fullLayout.xaxis.range }"
    )
    assert page.evaluate(look) == told["range"][0]
    plot.restore()
    drawn(page, 3)
    assert page.evaluate(look) == [0, 3]


@pytest.mark.browser
def test_lasso_click_and_hover_reach_the_kernel(page):
    layout = {"height": 400, "dragmode": "lasso", "xaxis": {"range": [-1, 3]}}
    layout["yaxis"] = {"range": [0, 4]}
    plot = Plot([t | {"marker": {"size": 20}} for t in traces([1, 2, 3])], layout)
    for kind in ("click", "hover", "select"):
        plot.on(kind, print)
    page.evaluate("s => start('a', s)", state_of(plot))
    drawn(page, 1)
    forward(plot, page)
    box = page.locator("#a .points path").nth(1).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y, steps=3)
    page.wait_for_function("() => a_model.sent.some(m => m.kind === 'hover')")
    plot.tip(image="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=", text="<i>row</i> 7")
    assert page.locator("#a img").is_visible()
    assert "<i>row</i> 7" in page.locator("#a").inner_text()
    page.mouse.click(x, y)
    page.mouse.move(x - 60, y - 60)
    page.mouse.down()
    for dx, dy in ((60, -60), (60, 60), (-60, 60)):
        page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()
    page.wait_for_function("() => a_model.sent.some(m => m.kind === 'select')")
    told = {m["kind"]: m for m in page.evaluate("() => a_model.sent")}
    assert (told["click"]["trace"], told["click"]["point"]) == (0, 1)
    polygon = np.array(told["select"]["polygon"])
    assert told["select"]["axes"] == ["x", "y"]
    assert polygon[:, 0].min() < 1 < polygon[:, 0].max()
    assert polygon[:, 1].min() < 2 < polygon[:, 1].max()


@pytest.mark.browser
@pytest.mark.parametrize("mode", ["lasso", "select"])
def test_shift_and_alt_say_what_a_lasso_does_to_the_last_one(page, mode):
    layout = {"height": 400, "dragmode": mode, "xaxis": {"range": [-1, 3]}}
    layout["yaxis"] = {"range": [0, 4]}
    plot = Plot(traces([1, 2, 3]), layout)
    plot.on("select", print)
    page.evaluate("s => start('a', s)", state_of(plot))
    drawn(page, 1)
    forward(plot, page)
    box = page.locator("#a .nsewdrag").bounding_box()

    def around(x, y):
        """Trace around a point, and return what the kernel hears."""
        x = box["x"] + (x + 1) / 4 * box["width"]
        y = box["y"] + (1 - y / 4) * box["height"]
        said = page.evaluate("() => a_model.sent.length")
        page.mouse.move(x - 30, y - 30)
        page.mouse.down()
        corners = ((30, -30), (30, 30), (-30, 30)) if mode == "lasso" else ((30, 30),)
        for dx, dy in corners:
            page.mouse.move(x + dx, y + dy, steps=4)
        page.mouse.up()
        page.wait_for_function(f"() => a_model.sent.length > {said}")
        told = page.evaluate("() => a_model.sent.at(-1)")
        plot.show(traces([1, 2, 3 + 0.001 * said]), layout)  # as the kernel's answer does
        polygon = np.array(told["polygon"])
        return told.get("combine"), polygon.min(0), polygon.max(0)

    for key, combine, place in (
        (None, None, (0, 1)),
        ("Shift", "add", (2, 3)),
        ("Alt", "remove", (0, 1)),
        (None, None, (1, 2)),
    ):
        if key:
            page.keyboard.down(key)
        how, low, high = around(*place)
        if key:
            page.keyboard.up(key)
        assert how == combine
        assert (low < place).all()
        assert (place < high).all()
        assert (high - low < 1.3).all()  # this outline alone, not joined with those before


@pytest.mark.browser
def test_a_point_follows_the_hand_and_the_kernel_hears_the_latest(page):
    rules = {"x": [0, 3], "y": [0, 3.5], "step": 0.25}
    marked = {"meta": {"draggable": rules}, "marker": {"size": 20}, "name": "a &amp; b"}
    layout = {"height": 400, "xaxis": {"range": [-1, 4]}, "yaxis": {"range": [0, 4]}}
    plot = Plot([*traces([3, 3, 3]), *[t | marked for t in traces([1, 2, 3])]], layout)
    for kind in ("drag", "viewport", "click"):
        plot.on(kind, print)
    page.evaluate("s => start('a', s)", state_of(plot))
    drawn(page, 1)
    handles = page.get_by_role("button", name="a & b")
    assert handles.count() == 3
    box = page.locator("#a .nsewdrag").bounding_box()

    def at(x, y):
        return box["x"] + (x + 1) / 5 * box["width"], box["y"] + (1 - y / 4) * box["height"]

    def mark(point=1):
        found = page.locator("#a .trace").nth(1).locator(".points path").nth(point).bounding_box()
        return found["x"] + found["width"] / 2, found["y"] + found["height"] / 2

    def stands(x, y):
        assert mark() == pytest.approx(at(x, y), abs=1)

    def told():
        return [(m["x"], m["y"], m["done"]) for m in page.evaluate("() => a_model.sent")]

    def answer():
        page.evaluate(
            "() => a_channel.receive({kind: 'dragged', ticket: a_model.sent.at(-1).ticket})"
        )

    stands(1, 2)
    x, y = at(1, 2)
    page.mouse.move(x + 6, y - 4)  # off its middle
    assert handles.nth(1).evaluate("h => getComputedStyle(h).cursor") == "grab"
    page.mouse.down()
    assert handles.nth(1).evaluate("h => getComputedStyle(h).cursor") == "grabbing"
    for place in ((1.25, 2), (1.5, 1.5), (2, 1)):
        x, y = at(*place)
        page.mouse.move(x + 6, y - 4)
        stands(*place)
    assert told() == [(1.25, 2, False)]
    answer()
    assert told()[1:] == [(2, 1, False)]
    page.mouse.move(*at(3.9, 3.9))  # beyond its limits
    stands(3, 3.5)
    plot_shown = [*traces([2, 2, 2]), *[t | marked for t in traces([1, 2, 3])]]
    forward(plot, page)
    plot.show(plot_shown, layout)  # and is drawn there, whatever is drawn around it
    drawn(page, 2)
    stands(3, 3.5)
    page.mouse.up()
    assert len(told()) == 2
    answer()
    assert told()[2:] == [(3, 3.5, True)]
    stands(3, 3.5)
    answer()  # the kernel has left it where it was
    drawn(page, 3)
    stands(1, 2)

    page.mouse.move(*at(1, 2))
    page.mouse.down()
    page.mouse.move(*at(2, 3), steps=3)
    page.keyboard.press("Escape")
    stands(1, 2)
    page.mouse.move(*at(0.5, 0.5))
    page.mouse.up()
    answer()
    assert told()[-1] == (1, 2, True)
    answer()
    handles.nth(2).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    answer()
    assert told()[-2:] == [(1.75, 3, True), (1.75, 1.75, True)]
    kinds = page.evaluate("() => [...new Set(a_model.sent.map(m => m.kind))]")
    assert kinds == ["drag"]  # and plotly has not zoomed
    ranges = "() => document.querySelector('#a > div')._fullLayout.xaxis.range"
    assert page.evaluate(ranges) == [-1, 4]


@pytest.mark.browser
def test_a_point_without_rules_stays_in_its_panel_whatever_its_axes(page):
    marked = {"meta": {"draggable": True}, "x": [1, 10], "y": [0.5, 0.25], "mode": "markers"}
    layout = {"height": 400, "xaxis": {"type": "log", "range": [-1, 3]}}
    layout["yaxis"] = {"range": [1, 0]}
    plot = Plot([marked, {"type": "bar", "x": [1], "y": [1], "meta": {"draggable": True}}], layout)
    plot.on("drag", print)
    page.evaluate("s => start('a', s)", state_of(plot))
    drawn(page, 1)
    handles = page.locator(".vcviz-handle")
    assert handles.count() == 2
    box = page.locator("#a .nsewdrag").bounding_box()
    answer = "() => a_channel.receive({kind: 'dragged', ticket: a_model.sent.at(-1).ticket})"
    turns = ((0.75, 0.25), (100, 0.25)), ((2, 2), (1000, 1))
    for turn, (to, wanted) in enumerate(turns):
        handle = handles.nth(0).bounding_box()
        page.mouse.move(handle["x"] + 18, handle["y"] + 18)
        page.mouse.down()
        page.mouse.move(box["x"] + to[0] * box["width"], box["y"] + to[1] * box["height"])
        page.mouse.up()
        page.evaluate(answer)
        told = page.evaluate("() => a_model.sent.at(-1)")
        assert (told["x"], told["y"]) == pytest.approx(wanted, rel=0.02)
        assert told["done"]
        page.evaluate(answer)
        drawn(page, turn + 2)  # back where the kernel has it


@pytest.mark.browser
def test_no_more_than_four_figures_take_webgl(page):
    plot = Plot([t | {"type": "scattergl"} for t in traces([1, 2, 3])], {"height": 120})
    page.evaluate(
        "() => { for (const id of 'cdef') { const e = document.createElement('div');"
        " e.id = id; document.body.append(e); } }"
    )
    types = {}
    for name in "abcdef":
        page.evaluate("([n, s]) => start(n, s)", [name, state_of(plot)])
        drawn(page, 1, name)
        types[name] = page.evaluate(f"() => document.querySelector('#{name} > div').data[0].type")
    assert list(types.values()) == ["scattergl"] * 4 + ["scatter"] * 2
    page.evaluate("() => a_off()")
    forward(plot, page, "f")
    plot.show([t | {"type": "scattergl"} for t in traces([3, 2, 1])], {"height": 120})
    drawn(page, 2, "f")
    assert page.evaluate("() => document.querySelector('#f > div').data[0].type") == "scattergl"


# ---------------------------------------------------------------- front ends that were not opened

# A loader of modules that takes whatever asks for one, as VS Code and Colab have.
LOADER = """<script>
window.define = Object.assign(() => { throw new Error("taken by the page's loader"); }, {amd: {}});
window.require = Object.assign(() => { throw new Error("no module here"); }, {config() {}});
</script>"""
# VS Code's policy for notebooks under `notebook.experimental.enableCsp` (by default it has none),
# with blob: for scripts, without which anywidget itself starts nothing, and without any host: a
# figure that draws here needs no CDN.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'unsafe-inline'; img-src data:"
)


@pytest.mark.browser
def test_a_figure_draws_under_the_policy_of_vs_code_without_a_host(tmp_path, chromium):
    path = tmp_path / "page.html"
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">{LOADER}'
    path.write_text(page_html(head), encoding="utf-8")
    with open_page(chromium, path) as (page, watch):
        page.wait_for_function("() => window.ready")
        moves_with_the_kernel(page)
        assert (watch.requests, watch.errors) == ([], [])


@pytest.mark.browser
def test_a_figure_draws_in_a_frame_of_its_own_as_in_colab(tmp_path, chromium):
    # Each output of Colab is a frame with an origin of its own: no storage, nothing shared.
    path = tmp_path / "page.html"
    frame = f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(page_html(LOADER))}"></iframe>'
    path.write_text(2 * frame, encoding="utf-8")
    with open_page(chromium, path) as (page, watch):
        for frame in page.frames[1:]:
            frame.wait_for_function("() => window.ready")
            moves_with_the_kernel(frame)
        assert (watch.requests, watch.errors) == ([], [])


def moves_with_the_kernel(page):
    plot = Plot(traces([1, 2, 3]), {"height": 300})
    page.evaluate("s => start('a', s)", state_of(plot))
    drawn(page, 1)
    forward(plot, page)
    plot.show([{"type": "scattergl", "y": np.array([4.0, 5.0])}], {"height": 300})
    drawn(page, 2)
    assert page.evaluate("() => [...document.querySelector('#a > div').data[0].y]") == [4, 5]


def test_colab_is_asked_for_its_manager_of_custom_widgets(monkeypatch):
    from anywidget import _util

    asked = []
    module = types.SimpleNamespace(enable_custom_widget_manager=lambda: asked.append(True))
    monkeypatch.setitem(sys.modules, "google.colab.output", module)
    _util.enable_custom_widget_manager_once.cache_clear()
    Plot(traces([1, 2, 3]), {})
    _util.enable_custom_widget_manager_once.cache_clear()
    assert asked == [True]
