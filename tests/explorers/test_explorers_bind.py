import threading

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
import pytest

from vcviz.base.errors import InputError
from vcviz.explorers import bind
from vcviz.explorers.controls import Choices, dropdown, epoch_slider, player


class Drawing:
    """A figure function that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, k, n=1, title="t"):
        self.calls += 1
        traces = [go.Scatter(x=[0, 1], y=np.array([float(k), i]), name=f"{i}") for i in range(n)]
        return go.Figure(traces, {"title": {"text": title}, "xaxis": {"range": [0, 9]}})


def sent(view, action):
    """Return the messages that a page would get while `action` runs."""
    messages = []
    view.send = lambda content, buffers=None: messages.append(content)
    action()
    del view.send
    return messages


def test_a_redraw_is_one_message_with_only_what_changed():
    ui = bind(Drawing(), k=ipw.IntSlider(1, 0, 5), n=ipw.fixed(2))
    (message,) = sent(ui.view, lambda: setattr(ui.controls["k"], "value", 3))
    assert [list(change) for change in message["traces"].values()] == [["y"], ["y"]]
    assert not message["layout"]
    assert [t.y[0] for t in ui.view.data] == [3, 3]


def test_nothing_is_sent_when_nothing_changes():
    ui = bind(lambda k: go.Figure(go.Scatter(y=[1])), k=ipw.IntSlider(1, 0, 5))
    assert sent(ui.view, lambda: setattr(ui.controls["k"], "value", 2)) == []


@pytest.mark.parametrize("k", [0, 2, 5])
def test_the_view_is_the_figure_at_every_value(k):
    draw = Drawing()
    ui = bind(draw, k=ipw.IntSlider(1, 0, 5), title=ipw.Text("a"))
    ui.controls["k"].value = k
    ui.controls["title"].value = f"k is {k}"
    wanted = draw(k, title=f"k is {k}")
    np.testing.assert_array_equal(ui.view.data[0].y, wanted.data[0].y)
    assert ui.view.layout.title.text == f"k is {k}"


def test_traces_grow_shrink_and_relabel():
    ui = bind(Drawing(), k=ipw.IntSlider(1, 0, 5), n=ipw.IntSlider(1, 1, 4))
    for n in (4, 1, 3):
        ui.controls["n"].value = n
        assert [t.name for t in ui.view.data] == [str(i) for i in range(n)]
        ui.controls["k"].value = n + 1
        assert {t.y[0] for t in ui.view.data} == {n + 1}


def test_layout_that_is_gone_goes():
    def draw(on):
        note = [{"text": "note", "x": 0, "y": 0}]
        return go.Figure(go.Scatter(y=[1]), {"annotations": note, "width": 300} if on else {})

    ui = bind(draw, on=ipw.Checkbox(True))
    ui.controls["on"].value = False
    assert (len(ui.view.layout.annotations), ui.view.layout.width) == (0, None)
    ui.controls["on"].value = True
    assert (ui.view.layout.annotations[0].text, ui.view.layout.width) == ("note", 300)


def test_reset_puts_the_controls_back_and_undoes_zoom_and_legend():
    ui = bind(Drawing(), k=ipw.IntSlider(1, 0, 5))
    assert ui.view.data[0].y[0] == 1
    ui.controls["k"].value = 4
    messages = sent(ui.view, ui.reset)
    assert messages[-1] == {"kind": "restore"}
    assert (ui.controls["k"].value, ui.view.data[0].y[0]) == (1, 1)


def test_a_value_once_drawn_is_kept():
    draw = Drawing()
    ui = bind(draw, k=ipw.IntSlider(1, 0, 5))
    assert ui.view.data[0].y[0] == 1
    for k in (2, 3, 2, 1, 3):
        ui.controls["k"].value = k
    assert draw.calls == 3


def test_what_is_drawn_last_is_what_was_set_last():
    # JupyterLab can hand messages of two controls to two threads.
    begun, go_on = threading.Event(), threading.Event()

    def draw(k):
        if k == 3:
            begun.set()
            assert go_on.wait(60)
        return go.Figure(go.Scatter(y=[k]))

    ui = bind(draw, k=ipw.IntSlider(1, 0, 5))
    assert ui.view.data[0].y == (1,)
    slow = threading.Thread(target=setattr, args=(ui.controls["k"], "value", 3))
    slow.start()
    assert begun.wait(60)
    reset = threading.Thread(target=ui.reset)
    reset.start()
    reset.join(0.3)  # has drawn by now, if it does not wait for the other
    go_on.set()
    slow.join(60)
    reset.join(60)
    assert (ui.controls["k"].value, ui.view.data[0].y) == (1, (1,))


def test_several_changes_held_are_one_redraw():
    draw = Drawing()
    ui = bind(draw, k=ipw.IntSlider(1, 0, 5), title=ipw.Text("a"))
    messages = sent(ui.view, lambda: ui.set(k=4, title="b"))
    assert (len(messages), draw.calls) == (1, 2)
    with pytest.raises(InputError, match="unknown control 'kk'; did you mean 'k'"):
        ui.set(kk=1)


def test_what_cannot_be_drawn_is_said_and_the_old_figure_stays():
    def draw(k):
        if k == 2:
            raise InputError("k must not be <2>")
        return go.Figure(go.Scatter(y=[k]))

    ui = bind(draw, k=ipw.IntSlider(1, 0, 5))
    assert ui.view.data[0].y == (1,)
    ui.controls["k"].value = 2
    assert "k must not be &lt;2&gt;" in ui.message.value
    assert ui.message.layout.display is None
    assert ui.view.data[0].y == (1,)
    ui.controls["k"].value = 3
    assert ui.message.layout.display == "none"
    assert ui.view.data[0].y == (3,)


def test_the_static_figure_has_the_sliders_frames_and_the_menus_views():
    draw = Drawing()
    ui = bind(
        draw,
        k=ipw.IntSlider(1, 0, 4, description="Number"),
        title=ipw.Dropdown(options=[("one", "a"), ("two", "b")], description="Title"),
    )
    fig = ui.figure(menus=["title"])
    assert [f.name for f in fig.frames] == [f"at {k}" for k in range(5)]
    for k, frame in enumerate(fig.frames):
        np.testing.assert_array_equal([t.y[0] for t in frame.data], [k, k])
    labels = [b.label for b in fig.layout.updatemenus[1].buttons]
    assert labels == ["Title: one", "Title: two"]
    assert len(ui.figure(frames=3).frames) == 3
    assert [t.visible for t in fig.data] == [True, False]


def test_a_static_figure_takes_fixed_values_and_refuses_unknown_ones():
    ui = bind(Drawing(), k=ipw.IntSlider(1, 0, 2), title=ipw.Text("a"))
    assert ui.figure(title="z").layout.title.text == "z"
    with pytest.raises(InputError, match="unknown control 'axes'"):
        ui.figure(menus=["axes"])
    with pytest.raises(InputError, match=r"control 'title' .* has no options to list"):
        ui.figure(menus=["title"])
    with pytest.raises(InputError, match="unknown control 'epoch'"):
        bind(Drawing(), slider="epoch", k=ipw.IntSlider())


@pytest.mark.parametrize(
    ("control", "values"),
    [
        (ipw.IntSlider(2, 0, 4, 2), (0, 2, 4)),
        (ipw.FloatSlider(0.1, min=0, max=0.3, step=0.1), (0.0, 0.1, 0.2, 0.3)),
        (ipw.FloatLogSlider(1, min=-1, max=1, step=1), (0.1, 1.0, 10.0)),
        (ipw.SelectionSlider(options=[("x", 3), ("y", 4)]), (3, 4)),
    ],
)
def test_every_kind_of_slider_lists_its_values(control, values):
    seen = []

    def draw(k):
        seen.append(k)
        return go.Figure(go.Scatter(y=[k]))

    ui = bind(draw, k=control)
    assert ui.slider == "k"
    seen.clear()
    fig = ui.figure()
    np.testing.assert_allclose(seen, values)
    assert len(fig.frames) == len(values)


# ---------------------------------------------------------------- controls


def test_choices_have_one_value_in_the_order_of_the_options():
    choices = Choices([("ant", 0), ("<bee>", 1), ("cat", 2)], description="Classes")
    seen = []
    choices.observe(lambda change: seen.append(change["new"]), names="value")
    choices.boxes[0].value = False
    choices.boxes[2].value = False
    choices.boxes[0].value = True
    assert seen == [(1, 2), (1,), (0, 1)]


def test_the_last_choice_stays():
    choices = Choices([("ant", 0), ("bee", 1)], description="Classes")
    choices.boxes[0].value = False
    choices.boxes[1].value = False
    assert choices.value == (1,)
    assert choices.boxes[1].value


def test_choices_follow_their_value():
    choices = Choices([("ant", 0), ("bee", 1)], description="Classes")
    choices.value = (0,)
    assert [box.value for box in choices.boxes] == [True, False]


def test_play_moves_the_slider_and_follows_it():
    slider = epoch_slider([0, 5, 20])
    box = player(slider, interval=400)
    assert box.play.value == 2
    box.play.value = 0
    assert slider.value == 0
    slider.value = 5
    assert box.play.value == 1


def test_every_control_says_what_it_is():
    assert dropdown("Axes", [("a", 1)]).description == "Axes"
    assert epoch_slider([1]).description == "Epoch"
    assert "play Epoch" in player(epoch_slider([0, 1]), interval=400).play.tooltip


def test_the_live_figure_is_made_when_it_is_asked_for():
    draw = Drawing()
    ui = bind(draw, k=ipw.IntSlider(1, 0, 5))
    ui.controls["k"].value = 3
    ui.figure()
    assert "view" not in ui.__dict__
    assert ui.view.data[0].y[0] == 3
    assert ui.view in ui.widget.children
