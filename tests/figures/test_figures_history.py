import numpy as np
import pytest
from fake_runs import FakeRun

import vcviz
from vcviz.base.errors import InputError
from vcviz.figures import plot_history, theme
from vcviz.records.titles import run_titles

HISTORY = [
    {"epoch": 1, "lr": 0.1, "train/cross_entropy": 2.0, "train/total": 2.5, "critic/loss": 1.4,
     "probe_test/accuracy": 0.5, "probe_train/accuracy": 0.6, "probe_test/nll": 1.1},
    {"epoch": 2, "lr": 0.1, "train/cross_entropy": 1.0, "train/total": 1.5, "critic/loss": 1.38,
     "probe_test/accuracy": 0.7, "probe_train/accuracy": 0.8, "probe_test/nll": 0.9},
]  # fmt: skip


def test_every_number_is_a_line_in_the_panel_of_its_kind():
    fig = plot_history(HISTORY)
    assert {t.meta["key"] for t in fig.data} == set(HISTORY[0]) - {"epoch", "lr"}
    for trace in fig.data:
        np.testing.assert_array_equal(trace.x, [1, 2])
        np.testing.assert_array_equal(trace.y, [row[trace.meta["key"]] for row in HISTORY])
    titles = [a.text.split("</b>")[0].removeprefix("<b>") for a in fig.layout.annotations]
    assert titles == ["training loss", "loss: cross entropy", "critic loss", "accuracy", "NLL"]


def test_axes_carry_units_and_training_rows_are_faint():
    fig = plot_history(HISTORY)
    units = [fig.layout[f"yaxis{i}"].title.text for i in ("", 2, 3, 4, 5)]
    assert units == ["nats", "nats", "nats", "fraction", "nats"]
    of = {t.meta["key"]: t for t in fig.data}
    assert of["probe_train/accuracy"].opacity < of["probe_test/accuracy"].opacity == 1
    assert of["probe_train/accuracy"].yaxis == of["probe_test/accuracy"].yaxis
    assert "faint: training rows" in fig.layout.annotations[3].text
    assert "faint" not in fig.layout.annotations[4].text


def test_runs_keep_their_style_and_have_one_legend_entry_each():
    fig = plot_history([FakeRun("softmax"), FakeRun("variational")])
    assert [t.name for t in fig.data if t.showlegend] == ["softmax", "variational"]
    for i, name in enumerate(("softmax", "variational")):
        color, dash, _ = theme.run_style(i)
        assert {(t.line.color, t.line.dash) for t in fig.data if t.name == name} == {(color, dash)}


def test_a_mapping_names_its_histories_and_names_are_text():
    fig = plot_history({"<i>a</i>": HISTORY, "b": HISTORY[:1]})
    assert [t.name for t in fig.data if t.showlegend] == ["&lt;i&gt;a&lt;/i&gt;", "b"]
    single = next(t for t in fig.data if t.name == "b")
    assert single.mode == "lines+markers"


def test_titles_are_as_long_as_they_must_be():
    assert run_titles([FakeRun("softmax"), FakeRun("variational")]) == ["softmax", "variational"]
    both = run_titles([FakeRun("softmax", 2), FakeRun("softmax", 4)])
    assert both == ["softmax, D = 2", "softmax, D = 4"]
    assert run_titles([FakeRun()] * 2) == ["fake-softmax-d2 (1)", "fake-softmax-d2 (2)"]


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="no run has a history yet"):
        plot_history({"a": []})
    with pytest.raises(InputError, match="takes runs, a history, or a mapping"):
        plot_history([1, 2])
    with pytest.raises(InputError, match="no numbers beside its epochs"):
        plot_history([{"epoch": 1}])
    with pytest.raises(InputError, match="columns must be a whole number of at least 1, got 0"):
        plot_history([{"epoch": 1, "train/total": 1.0}], columns=0)


def test_what_the_critic_says_is_not_in_nats(tmp_path):
    run = vcviz.train(
        head="variational", epochs=2, n_train=60, probe_size=10, out=tmp_path, progress=False
    )
    fig = vcviz.plot_history(run)
    titles = [a.text.split("</b>")[0].removeprefix("<b>") for a in fig.layout.annotations]
    axes = ["yaxis", *(f"yaxis{i}" for i in range(2, len(titles) + 1))]
    units = [fig.layout[axis].title.text for axis in axes]
    named = dict(zip(titles, units, strict=True))
    assert named["critic at the latents"] == "mean T"
    assert named["critic slope"] == "|grad T|²/2"
    assert named["loss: likelihood"] == named["loss: rate"] == named["critic loss"] == "nats"
