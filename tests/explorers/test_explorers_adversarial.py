"""AdversarialExplorer: every control at work, and what is drawn equals the records."""

from __future__ import annotations

import json
import re
from copy import copy

import ipywidgets as ipw
import numpy as np
import pytest
import torch
from fake_runs import FakeRun, latents, prior, robustness, trajectory
from torch import nn

import vcviz
from vcviz.attacks import ATTACKS
from vcviz.base.errors import InputError
from vcviz.explorers import AdversarialExplorer, LatentExplorer
from vcviz.explorers.adversarial_controls import gates_table, numbers_of
from vcviz.explorers.subject import Subject
from vcviz.figures import theme
from vcviz.metrics.robustness import attack_gates
from vcviz.records import Split


def of(fig, layer: str, k: int | None = None):
    metas = [(t, t.meta or {}) for t in fig.data]
    return [t for t, m in metas if m.get("layer") == layer and k in (None, m.get("class"))]


def labels(control):
    return [label for label, _ in control.options]


@pytest.mark.parametrize("step", [0, 2, 4])
def test_the_marks_are_the_latents_at_the_step(step):
    path = trajectory()
    ui = AdversarialExplorer((path, prior()))
    ui.controls["step"].value = step
    (now,) = of(ui.view, "now")
    np.testing.assert_allclose(now.x, path.z[step, :, 0], rtol=1e-6)
    readout = next(t for t in ui.view.data if t.name == "readout")
    assert f"accuracy {path.accuracy[step]:.3f}" in readout.text[0]


def test_a_run_is_attacked_again_when_an_option_changes_and_not_twice():
    run = FakeRun()
    ui = AdversarialExplorer(run, rows=9, steps=4)
    assert set(ui.controls) == {
        "method", "loss", "norm", "epsilon", "steps", "target", "step", "which", "numbers",
        "classes", "color",
    }  # fmt: skip
    assert run.attacks == 1
    assert len(of(ui.view, "median")[0].x) == 5
    ui.controls["epsilon"].value = 0.3
    assert (run.attacks, ui.path.epsilon) == (2, 0.3)
    ui.controls["epsilon"].value = 0.1
    assert run.attacks == 2
    ui.controls["steps"].value = 7
    assert (ui.controls["step"].max, ui.controls["step"].value) == (7, 7)
    ui.controls["steps"].value = 2
    assert (ui.controls["step"].max, ui.controls["step"].value) == (2, 2)
    assert len(of(ui.view, "median")[0].x) == 3


def test_paths_take_the_colour_of_the_step_at_which_they_flip():
    path = trajectory()
    ui = AdversarialExplorer((path, prior()))
    before = [t.line.color for t in of(ui.view, "path")]
    ui.controls["color"].value = "flip"
    after = [t.line.color for t in of(ui.view, "path")]
    assert len(after) == len(np.unique(path.first_flip))
    assert not {*before} & {*after}
    known = ui.figure().layout.meta["rows"]
    assert known["drawn"] == "step of the first flip"
    ui.controls["color"].value = "class"
    assert [t.line.color for t in of(ui.view, "path")] == before
    assert ui.figure().layout.meta["rows"]["drawn"] == "class"


def test_an_attack_that_was_made_is_not_made_again():
    run, path = FakeRun(), trajectory(steps=3, epsilon=0.2)
    ui = AdversarialExplorer(run, path=path)
    assert (run.attacks, ui.path is path) == (0, True)
    assert (ui.controls["epsilon"].value, ui.controls["steps"].value) == (0.2, 3)
    assert len(of(ui.view, "median")[0].x) == 4
    ui.controls["norm"].value = "l2"
    assert run.attacks == 1


def test_classes_and_axes_choose_samples_and_projection():
    path = trajectory(dim=4)
    ui = AdversarialExplorer((path, prior(4)))
    ui.controls["classes"].value = (1,)
    assert len(of(ui.view, "now")[0].x) == (path.y == 1).sum()
    np.testing.assert_array_equal([i for _, i in ui.follow.options], np.flatnonzero(path.y == 1))
    ui.controls["axes"].value = ("pair", 2, 3)
    ui.controls["step"].value = 1
    np.testing.assert_allclose(of(ui.view, "now")[0].x, path.z[1, path.y == 1, 2], rtol=1e-6)
    ui.reset()
    assert ui.controls["classes"].value == (0, 1, 2)


def test_several_attacks_are_chosen_by_name():
    ui = AdversarialExplorer([FakeRun("softmax"), FakeRun("variational")], rows=9, steps=4)
    assert labels(ui.controls["source"]) == ["softmax", "variational"]
    ui.controls["source"].value = 1
    assert len(of(ui.view, "now")) == 1
    assert ui.bound.message.layout.display == "none"


def test_the_static_attack_has_a_frame_per_step():
    path = trajectory()
    fig = AdversarialExplorer((path, prior())).figure()
    assert len(fig.frames) == 5
    now = list(fig.data).index(of(fig, "now")[0])
    moved = dict(zip(fig.frames[1].traces, fig.frames[1].data, strict=True))
    np.testing.assert_allclose(moved[now].x, path.z[1, :, 0], rtol=1e-5)


def test_attacks_on_other_things_are_refused():
    with pytest.raises(InputError, match="takes runs or Trajectory records, got LatentSet"):
        AdversarialExplorer(latents())
    with pytest.raises(InputError, match="nothing to explore"):
        AdversarialExplorer([])


# ---------------------------------------------------------------- the followed input


def followed(ui) -> int:
    """Return the row that the heading of the followed input names."""
    notes = [a.text for a in ui.view.layout.annotations]
    (told,) = (note for note in notes if "Row " in note)
    return int(told.split("Row ")[1].split(",")[0])


def test_the_list_and_a_click_choose_the_input_that_is_followed():
    path = trajectory()
    ui = AdversarialExplorer((path, prior()))
    assert followed(ui) == 100 == path.index[ui.follow.value]
    ui.follow.value = 4
    assert followed(ui) == 104
    np.testing.assert_allclose(of(ui.view, "followed")[0].x, path.z[:, 4, 0], rtol=1e-6)
    ui._clicked({"meta": {"layer": "now"}, "point": 7})
    assert (followed(ui), ui.follow.value) == (107, 7)
    ui._clicked({"meta": {"layer": "path", "group": 1}, "point": 6 + 2})
    assert ui.follow.value == 4  # the second of class 1, five steps and a gap each
    ui._clicked({"meta": {"layer": "anticipated"}, "point": 0})
    assert ui.follow.value == 4
    ui.reset()
    assert followed(ui) == 100


@pytest.mark.parametrize("step", [0, 3])
def test_bars_follow_the_step(step):
    path = trajectory()
    ui = AdversarialExplorer((path, prior()))
    ui.follow.value, ui.controls["step"].value = 5, step
    np.testing.assert_allclose(
        of(ui.view, "probability")[0].x, np.exp(path.log_probs[step, 5]), rtol=1e-5
    )


def test_inputs_are_drawn_by_what_becomes_of_them_or_by_number():
    ui = AdversarialExplorer((trajectory(), prior()))
    assert ui.view.data
    ui.controls["which"].value = "hold"
    assert [i for _, i in ui.follow.options] == [8]
    ui.controls["which"].value = "rows"
    assert ui.controls["numbers"].layout.display is None
    ui.controls["numbers"].value = "101, 103-104"
    assert [i for _, i in ui.follow.options] == [1, 3, 4]
    assert ui.bound.message.layout.display == "none"
    ui.controls["numbers"].value = "three"
    assert "row numbers look like 3, 17, 40-45; got" in ui.bound.message.value
    ui.controls["numbers"].value = "7"
    assert "row 7 was not attacked" in ui.bound.message.value
    ui.reset()
    assert ui.bound.message.layout.display == "none"


def test_rows_chosen_elsewhere_are_drawn():
    run = FakeRun()
    ui, other = AdversarialExplorer(run, rows=9, steps=4), LatentExplorer(run)
    assert ui.view.data
    vcviz.link(other, ui)
    other.chosen.choose([103, 105, 140])
    assert [i for _, i in ui.follow.options] == [3, 5]
    assert ui.controls["numbers"].value == "103, 105"
    other.chosen.choose([141])
    assert "none of the chosen rows was attacked" in ui.bound.message.value
    other.chosen.clear()
    assert ui.controls["which"].value == "evenly"


def test_row_numbers_are_read():
    assert numbers_of(" 3, 17;40-42 ") == (3, 17, 40, 41, 42)
    assert numbers_of("") == ()
    with pytest.raises(InputError, match="names more than a thousand rows"):
        numbers_of("0-99999")


# ---------------------------------------------------------------- a real model


@pytest.fixture(scope="module")
def table() -> Split:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return Split(rng.standard_normal((60, 5)) + 2 * np.eye(3, 5)[y], y, ("a", "b", "c"))


@pytest.fixture(scope="module")
def subject(table) -> Subject:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(5, 2), nn.Linear(2, 3))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, -1, 0, 0, 0], [0, 1.0, -1, 0, 0]]))
        net[1].weight.copy_(torch.tensor([[2.0, 0], [-1, 2], [0, -2]]))
    return vcviz.explore(net, table, attack_rows=30).subject


def test_every_control_goes_to_its_ends_and_back(subject):
    ui = AdversarialExplorer(subject, rows=12, epsilon=0.4, steps=6)
    assert ui.view.data
    for control in ui.controls.values():
        first = control.value
        if isinstance(control, (ipw.IntSlider, ipw.FloatSlider)):
            values = [control.min, (control.min + control.max) // 2, control.max]
        elif hasattr(control, "options") and isinstance(control, ipw.Dropdown):
            values = [value for _, value in control.options]
        else:
            continue
        for value in values:
            control.value = value
            shown = ui.bound.message.layout.display is None
            assert shown or len(of(ui.view, "median")[0].x) == ui.path.steps + 1
            assert not ui.controls["epsilon"].disabled
        control.value = first
    ui.reset()
    assert ui.bound.message.layout.display == "none"


def test_a_bad_combination_is_a_message_and_the_explorer_lives_on(subject):
    ui = AdversarialExplorer(subject, rows=12, epsilon=0.4, steps=4)
    assert ui.view.data
    ui.controls["loss"].value = "dlr"
    assert ui.bound.message.layout.display == "none"
    ui.controls["target"].value = 1
    assert "needs 4 classes or more, got 3" in ui.bound.message.value
    ui.controls["loss"].value = "ce"
    assert ui.bound.message.layout.display == "none"
    assert ui.path.method == "targeted pgd"
    (readout,) = of(ui.view, "readout")
    assert f"at the target {ui.path.reached[-1]:.3f}" in readout.text[0]


def test_fgsm_has_one_step_and_the_norm_its_own_radii(subject):
    ui = AdversarialExplorer(subject, rows=12, epsilon=0.4, steps=4)
    assert [name for _, name in ui.controls["method"].options] == list(ATTACKS)
    ui.controls["method"].value = "fgsm"
    assert ui.controls["steps"].disabled
    assert (ui.path.steps, ui.controls["step"].max) == (1, 1)
    ui.controls["method"].value = "apgd"
    assert not ui.controls["steps"].disabled
    assert (ui.path.method, ui.controls["step"].max) == ("apgd", 4)
    ui.controls["norm"].value = "l2"
    assert ui.controls["epsilon"].max == 5
    ui.controls["epsilon"].value = 4.5
    ui.controls["norm"].value = "linf"
    assert ui.controls["epsilon"].value == ui.path.epsilon == 0.8


def test_what_breaks_in_a_model_is_a_message(subject):
    ui = AdversarialExplorer(subject, rows=6, epsilon=0.4, steps=2)
    assert ui.view.data
    whole = subject.attack

    def broken(*_arguments, **_options):
        raise RuntimeError("out of memory\nat 0x1")

    subject.attack = broken
    try:
        ui.controls["epsilon"].value = 0.2
        assert "the attack failed: out of memory" in ui.bound.message.value
        assert not ui.controls["epsilon"].disabled
    finally:
        subject.attack = whole
    ui.controls["epsilon"].value = 0.4
    assert ui.bound.message.layout.display == "none"


def test_controls_rest_and_a_bar_shows_while_an_attack_goes_on(subject):
    ui = AdversarialExplorer(subject, rows=6, epsilon=0.4, steps=3)
    seen = []
    ui._busy._bar.observe(
        lambda change: seen.append(
            (change["new"], ui.controls["epsilon"].disabled, ui._busy.widget.layout.display)
        ),
        names="value",
    )
    ui.controls["epsilon"].value = 0.35
    assert seen[-1] == (3, True, None)
    assert ui._busy.widget.layout.display == "none"
    assert not ui.controls["epsilon"].disabled


def test_the_gates_of_the_attack_stand_beneath(subject):
    ui = AdversarialExplorer(subject, rows=12, epsilon=0.4, steps=4)
    assert ui.gates.summary == "8 of 8 gates hold; not tried: stays in the input range"
    assert ui.gates.summary in ui._gates.value
    ui.controls["epsilon"].value = 0.0
    assert "a larger ε never helps" in ui._gates.value
    assert ui._gates.value.count("<tr") == 10


def test_gates_as_a_table_are_text():
    path = trajectory()
    told = gates_table(attack_gates(path), "<i>x</i>")
    assert "&lt;i&gt;x&lt;/i&gt;" in told
    assert told.count("✗ fails") == 1
    assert ">0.111</td>" in told
    assert "<details open>" in gates_table(attack_gates(path), "x", folded=True)
    held = gates_table(robustness().gates, "x", folded=True)
    assert "<details>" in held


def test_accuracy_against_the_radius_is_shown_when_asked_for(subject):
    other = copy(subject)
    ui = AdversarialExplorer([subject, other, subject], rows=12, epsilon=0.4, steps=3)
    assert ui._curves.children == ()
    ui._curve_button.click()
    plot, *tables = ui._curves.children
    assert len(tables) == 2
    (one, other) = of(plot, "accuracy")
    assert one.x[-1] == pytest.approx(0.8)
    curve = subject.robustness(12, epsilons=one.x[1:], steps=3, progress=False)
    np.testing.assert_allclose(one.y, curve.accuracy)
    np.testing.assert_allclose(other.y, curve.accuracy)
    assert of(plot, "ece")[0].y[0] == pytest.approx(curve.ece[0], abs=1e-6)
    ui.controls["target"].value = 1
    ui._curve_button.click()
    assert "without a target" in ui.bound.message.value


def test_a_narrow_page_has_one_column(subject):
    ui = AdversarialExplorer(subject, rows=12, epsilon=0.4, steps=3)
    wide = ui.view.layout
    ui._resized({"width": 380})
    narrow = ui.view.layout
    assert narrow.height > wide.height + 300
    assert tuple(narrow.xaxis.domain) == (0, 1)
    assert wide.xaxis.domain[1] < 0.5
    for layout, most in ((narrow, 26), (wide, 80)):  # letters that fit in a line
        (told,) = [a.text for a in layout.annotations if a.text.startswith("<b>Row ")]
        lines = re.sub("</?b>", "", told).split(theme.SOFT_BREAK)
        assert len(lines) > 1
        assert max(map(len, lines)) <= most
    ui.show_curves()
    assert tuple(ui._curves.children[0].layout.xaxis2.domain) == (0, 1)
    assert ui.figure().layout.xaxis.domain[1] < 0.5
    ui.reset()
    assert ui.view.layout.height == narrow.height
    ui._resized({"width": 900})
    assert ui.view.layout.height == wide.height


def test_a_made_attack_has_no_curve_to_ask_for():
    ui = AdversarialExplorer((trajectory(), prior()))
    assert ui._curve_button not in ui._below
    ui.show_curves()
    assert "pass the run itself" in ui.bound.message.value


def test_rows_can_be_named_and_pictures_of_steps_are_kept(tmp_path):
    run = vcviz.train("digits", n_train=60, epochs=1, out=tmp_path, progress=False)
    ui = AdversarialExplorer(run, rows=[5, 9, 11], steps=3)
    np.testing.assert_array_equal(ui.path.index, [5, 9, 11])
    assert ui.path.change.shape == (4, 3, 1, 8, 8)
    assert len(ui.view.layout.images) == 2
    fig = ui.figure()
    assert len(fig.frames) == 4
    assert len(json.dumps(fig.to_plotly_json(), default=str)) < 1_000_000


def test_what_cannot_be_attacked_is_said():
    with pytest.raises(InputError, match="cannot be attacked: text has no gradients"):
        AdversarialExplorer(Subject(latents(), None, None))


def test_a_state_comes_back_with_its_attack_its_step_and_the_input_that_is_followed():
    ui = AdversarialExplorer([FakeRun(), FakeRun("variational")], rows=9, steps=4)
    ui.bound.set(source=1, steps=7, epsilon=0.2)
    ui.bound.set(step=3)
    ui.follow.value = ui.follow.options[2][1]
    other = AdversarialExplorer([FakeRun(), FakeRun("variational")], rows=9, steps=4)
    other.state = json.loads(json.dumps(ui.state))
    assert other.state == ui.state
    assert (other.controls["step"].value, other.controls["step"].max) == (3, 7)
    assert other.follow.value == ui.follow.value
    still, wanted = other.figure(), ui.figure()
    assert still.layout.sliders[0].active == 3
    assert still.to_dict()["data"][0]["name"] == wanted.to_dict()["data"][0]["name"]
