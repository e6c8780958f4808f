import os
import subprocess
import sys

import numpy as np
import plotly.graph_objects as go
import pytest

from vcviz.base.errors import InputError
from vcviz.figures.differences import differences, equal
from vcviz.figures.native import Menu
from vcviz.figures.static import lay_out


def draw(k: int, view: str = "a") -> go.Figure:
    """A moving line, a fixed line on a layer, and axes that depend on the view."""
    sign = 1.0 if view == "a" else -1.0
    traces = [
        go.Scatter(x=[0.0, 1.0], y=np.array([sign * k, 2.0]), name=f"moving {view}"),
        go.Scatter(y=np.array([7.0, 8.0]), name="fixed", meta={"layer": "lines"}),
    ]
    return go.Figure(traces, {"xaxis": {"title": {"text": view}}, "height": 300})


SLIDER = Menu("k", "Epoch", ("0", "1", "5"), (0, 1, 5))
VIEWS = Menu("view", "Axes", ("first", "<second>"), ("a", "b"))


def test_frames_hold_what_moves_at_every_step_and_nothing_else():
    fig = lay_out(draw, {"k": 5}, slider=SLIDER)
    assert [f.name for f in fig.frames] == ["at 0", "at 1", "at 5"]
    for frame, k in zip(fig.frames, SLIDER.values, strict=True):
        assert frame.traces == (0,)
        np.testing.assert_array_equal(frame.data[0].y, draw(k).data[0].y)
        assert frame.data[0].x is None
    assert fig.layout.sliders[0].active == 2
    np.testing.assert_array_equal(fig.data[0].y, [5, 2])


def test_slider_steps_and_play_animate_the_frames_without_a_redraw():
    fig = lay_out(draw, {"k": 0}, slider=SLIDER)
    steps = fig.layout.sliders[0].steps
    assert [s.args[0] for s in steps] == [("at 0",), ("at 1",), ("at 5",)]
    assert [s.label for s in steps] == ["0", "1", "5"]
    assert steps[0].args[1]["frame"]["redraw"] is False
    play, pause = fig.layout.updatemenus[0].buttons
    assert (play.args[0], play.args[1]["fromcurrent"]) == (None, True)
    assert pause.args[0] == (None,)
    assert fig.layout.sliders[0].currentvalue.prefix == "Epoch: "


def test_views_own_visibility_and_axes_and_share_the_slider():
    fig = lay_out(draw, {"k": 1, "view": "b"}, slider=SLIDER, menus=[VIEWS])
    assert [t.visible for t in fig.data] == [False, False, True, True]
    assert fig.layout.xaxis.title.text == "b"
    menu = fig.layout.updatemenus[1]
    assert [b.label for b in menu.buttons] == ["Axes: first", "Axes: &lt;second&gt;"]
    assert menu.active == 1
    data, layout = menu.buttons[0].args
    assert data == {"visible": [True, True, False, False]}
    assert layout == {"xaxis.title.text": "a"}
    for frame, k in zip(fig.frames, SLIDER.values, strict=True):
        assert frame.traces == (0, 2)
        np.testing.assert_array_equal(frame.data[0].y, draw(k, "a").data[0].y)
        np.testing.assert_array_equal(frame.data[1].y, draw(k, "b").data[0].y)


MANY_PATHS = """
from vcviz.figures.native import Menu
from vcviz.figures.static import lay_out

def draw(k, view):
    trace = {"type": "scatter", "y": [k], "opacity": k / 9, "name": view * k, "hovertext": str(k)}
    axes = {f"xaxis{n}": {"title": {"text": f"{view}{n}"}, "range": [0, len(view)]} for n in "234"}
    return {"data": [trace], "layout": {**axes, "height": 300 + len(view)}}

lists = [Menu("view", "View", ("a", "bb"), ("a", "bb"))]
slider = Menu("k", "k", ("1", "2"), (1, 2))
print(lay_out(draw, {"k": 1, "view": "a"}, slider=slider, menus=lists).to_json())
"""


def test_the_same_figure_is_the_same_text_in_every_process():
    texts = {
        subprocess.run(
            [sys.executable, "-c", MANY_PATHS],
            check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(texts) == 1


def test_what_is_shown_by_the_legend_alone_stays_so_in_its_view():
    def quiet(k: int, view: str = "a") -> go.Figure:
        return draw(k, view).update_traces(visible="legendonly", selector={"name": "fixed"})

    fig = lay_out(quiet, {"k": 1, "view": "a"}, slider=SLIDER, menus=[VIEWS])
    assert [t.visible for t in fig.data] == [True, "legendonly", False, False]
    data, _ = fig.layout.updatemenus[1].buttons[1].args
    assert data == {"visible": [False, False, True, "legendonly"]}


def test_what_is_the_same_in_every_view_can_stand_there_once():
    def some(k, view):
        own = [go.Scatter(y=[k, ord(view)], name="own"), go.Scatter(y=[7], name="fixed")]
        return go.Figure([go.Scatter(y=[k, 2.0], name="moving"), *own])

    fig = lay_out(some, {"k": 1, "view": "b"}, slider=SLIDER, menus=[VIEWS], share=True)
    assert [t.name for t in fig.data] == ["moving", "own", "own", "fixed"]
    assert [t.visible for t in fig.data] == [True, False, True, True]
    data, _, rows = fig.layout.updatemenus[1].buttons[0].args
    assert (data["visible"], rows) == ([True, False], (1, 2))
    for frame, k in zip(fig.frames, SLIDER.values, strict=True):
        assert frame.traces == (0, 1, 2)
        assert [tuple(t.y) for t in frame.data] == [(k, 2), (k, 97), (k, 98)]
    apart = lay_out(some, {"k": 1, "view": "b"}, slider=SLIDER, menus=[VIEWS])
    assert len(apart.data) == 6


def test_each_layer_has_a_switch_that_owns_its_opacity_in_every_view():
    fig = lay_out(draw, {"k": 1, "view": "a"}, menus=[VIEWS], layers={"lines": True, "none": False})
    switch, other = fig.layout.updatemenus[1:]
    (button,) = switch.buttons
    assert (button.label, switch.active) == ("☑ lines", 0)
    place = "updatemenus[1].buttons[0].label"
    assert button.args2 == ({"opacity": 0.0}, {place: "☐ lines"}, (1, 3))
    assert button.args == ({"opacity": 1.0}, {place: "☑ lines"}, (1, 3))
    assert (other.buttons[0].label, other.active) == ("☐ none", -1)
    hidden = lay_out(draw, {"k": 1}, layers={"lines": False})
    assert [t.opacity for t in hidden.data] == [None, 0.0]


def test_several_menus_become_one_list_of_their_combinations():
    size = Menu("size", "Size", ("1", "2"), (1, 2))
    fig = lay_out(
        lambda size, view: go.Figure(go.Scatter(y=[size, ord(view)])),
        {"size": 2, "view": "a"},
        menus=[size, VIEWS],
    )
    assert [b.label.split(" · ")[0] for b in fig.layout.updatemenus[0].buttons] == [
        "Size: 1", "Size: 1", "Size: 2", "Size: 2",
    ]  # fmt: skip
    assert [t.visible for t in fig.data] == [False, False, True, False]
    assert [tuple(t.y) for t in fig.data] == [(1, 97), (1, 98), (2, 97), (2, 98)]


def test_a_moving_layout_is_drawn_anew():
    def titled(k):
        return go.Figure(go.Scatter(y=[k]), {"title": {"text": f"k = {k}"}})

    fig = lay_out(titled, {"k": 1}, slider=SLIDER)
    assert [f.layout.title.text for f in fig.frames] == ["k = 0", "k = 1", "k = 5"]
    assert fig.layout.sliders[0].steps[0].args[1]["frame"]["redraw"] is True
    bars = lay_out(lambda k: go.Figure(go.Bar(y=[k])), {"k": 1}, slider=SLIDER)
    assert bars.layout.sliders[0].steps[0].args[1]["frame"]["redraw"] is True
    # Plotly takes away what is not a scatter trace, even if it does not move.
    beside = lay_out(lambda k: go.Figure([go.Scatter(y=[k]), go.Bar(y=[1])]), {"k": 1},
                     slider=SLIDER)  # fmt: skip
    assert beside.layout.sliders[0].steps[0].args[1]["frame"]["redraw"] is True


def test_room_is_made_beneath():
    plain = lay_out(draw, {"k": 1})
    full = lay_out(draw, {"k": 1, "view": "a"}, slider=SLIDER, menus=[VIEWS])
    assert not plain.layout.updatemenus
    assert full.layout.height - plain.layout.height == full.layout.margin.b - plain.layout.margin.b
    assert full.layout.height > plain.layout.height + 80


def test_arrays_are_stored_in_32_bits():
    fig = lay_out(draw, {"k": 1}, slider=SLIDER)
    assert fig.data[0].y.dtype == np.float32
    assert fig.frames[0].data[0].y.dtype == np.float32


def test_plain_data_and_layout_do_as_well_as_a_figure():
    fig = lay_out(
        lambda k: {"data": [{"type": "scatter", "y": [k]}], "layout": {}}, {"k": 1}, slider=SLIDER
    )
    assert [f.data[0].y for f in fig.frames] == [(0,), (1,), (5,)]


def test_thinning_keeps_the_ends_and_the_start():
    menu = Menu("e", "Epoch", tuple(map(str, range(31))), tuple(range(31)))
    few = menu.thinned(5, keep=13)
    assert len(few.values) == 5
    assert {0, 13, 30} <= set(few.values)
    assert few.labels == tuple(map(str, few.values))
    assert menu.thinned(31, keep=3) is menu
    assert menu.thinned(2, keep=30).values == (0, 30)


def test_a_number_finds_its_nearest_option():
    menu = Menu("t", "T", ("a", "b"), (0.1, 0.2))
    assert menu.index(0.1 + 1e-12) == 0
    with pytest.raises(InputError, match="T has no option 'x'"):
        menu.index("x")


def test_what_a_static_figure_cannot_show_is_refused():
    with pytest.raises(InputError, match="other traces at another k"):
        lay_out(lambda k: go.Figure([go.Scatter(y=[1])] * (k + 1)), {"k": 1}, slider=SLIDER)
    wide = Menu("w", "W", tuple(map(str, range(13))), tuple(range(13)))
    with pytest.raises(InputError, match="13 combinations of w are too many"):
        lay_out(lambda w: go.Figure(), {"w": 1}, menus=[wide])
    with pytest.raises(InputError, match="unknown Axes 'c'"):
        VIEWS.only(["c"])

    def moving_title(k, view):
        return go.Figure(go.Scatter(y=[k]), {"title": {"text": f"{view} {k}"}})

    with pytest.raises(InputError, match="draw what changes as a trace"):
        lay_out(moving_title, {"k": 1, "view": "a"}, slider=SLIDER, menus=[VIEWS])


def test_differences_name_the_leaf_and_what_is_gone():
    old = {"a": 1, "b": {"c": np.array([1.0, np.nan]), "d": 2}, "e": 3}
    new = {"a": 1, "b": {"c": np.array([1.0, np.nan]), "d": 5}, "f": {"g": 4}}
    assert differences(old, new) == {"b.d": 5, "e": None, "f": {"g": 4}}


def test_equal_tells_types_and_arrays_apart():
    assert equal(np.array([1, 2]), np.array([1, 2]))
    assert not equal(np.array([1, 2]), np.array([1.0, 2.0]))
    assert not equal(np.array([1, 2]), [1, 2])
    assert not equal(1, True)
    assert equal((1, "a"), (1, "a"))
