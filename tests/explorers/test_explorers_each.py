import json

import numpy as np
import plotly.graph_objects as go
import pytest
from fake_runs import FakeRun, latents, prior, trajectory

from vcviz.base.errors import InputError
from vcviz.explorers import AdversarialExplorer, CalibrationExplorer, LatentExplorer
from vcviz.explorers.panel_data import Source, sources
from vcviz.figures import plot_latent_panels
from vcviz.figures.latent_panel import LatentOptions, LatentPanel
from vcviz.metrics.calibration import (
    apply_temperature,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_curve,
)
from vcviz.metrics.fit import moment_kl
from vcviz.records import LatentSet


def of(fig, layer: str, k: int | None = None):
    metas = [(t, t.meta or {}) for t in fig.data]
    return [t for t, m in metas if m.get("layer") == layer and k in (None, m.get("class"))]


def labels(control):
    return [label for label, _ in control.options]


# ---------------------------------------------------------------- LatentExplorer


def test_runs_side_by_side_have_every_control():
    ui = LatentExplorer([FakeRun("softmax", 4), FakeRun("variational", 4)])
    assert set(ui.controls) == {
        "runs", "split", "epoch", "all_rows", "axes", "turn", "classes", "anticipated",
        "empirical", "boundaries", "backdrop", "score", "choose",
        "color", "find", "combine", "only_chosen",
    }  # fmt: skip
    assert labels(ui.controls["axes"]) == [
        "PCA", "LDA", "dimensions 1 and 2", "dimensions 3 and 4", "grand tour",
    ]  # fmt: skip
    assert "softmax" in ui.view.layout.annotations[0].text
    assert "implied" in ui.view.layout.annotations[0].text
    assert "stated" in ui.view.layout.annotations[1].text


@pytest.mark.parametrize("epoch", [0, 2, 5])
@pytest.mark.parametrize("split", ["train", "test"])
def test_points_are_the_runs_latents_of_that_epoch_and_split(split, epoch):
    run = FakeRun()
    ui = LatentExplorer(run)
    ui.controls["split"].value = split
    ui.controls["epoch"].value = epoch
    lat = run.latents(split, epoch)
    for k in range(3):
        (trace,) = of(ui.view, "points", k)
        np.testing.assert_allclose(trace.x, lat.z[lat.y == k, 0], rtol=1e-6)
        np.testing.assert_allclose(trace.y, lat.z[lat.y == k, 1], rtol=1e-6)
    (fit,) = of(ui.view, "fit")
    np.testing.assert_allclose(fit.y, moment_kl(lat, run.prior(epoch)), rtol=1e-5)


def test_axes_stay_put_while_the_epoch_moves():
    ui = LatentExplorer([FakeRun("softmax", 4), FakeRun("variational", 4)])
    seen = set()
    for epoch in (0, 2, 5):
        ui.controls["epoch"].value = epoch
        layout = ui.view.layout
        seen.add(tuple(layout[f"{a}axis{i}"].range for a in "xy" for i in ("", 2, 3, 4)))
    assert len(seen) == 1


def test_axes_show_the_latents_of_every_epoch():
    run = FakeRun()
    late = run.latents
    run.latents = lambda split="test", epoch=None: (
        LatentSet(late().z + 30, late().log_probs, late().y) if epoch == 0 else late(split, epoch)
    )
    run.class_names = ("0", "1", "2")
    ranges = Source(run, "x").ranges(("pair", 0, 1), ("test", True))
    assert ranges[0][1] > 30
    assert Source(run, "x").ranges(("pair", 0, 1), ("test", False))[0][1] < 30


def test_all_rows_of_the_trained_model_switch_the_epoch_off():
    run = FakeRun()
    ui = LatentExplorer(run)
    ui.controls["all_rows"].value = True
    assert ui.controls["epoch"].disabled
    assert sum(len(t.x) for t in of(ui.view, "points")) == len(run.latents("test")) == 46
    ui.controls["all_rows"].value = False
    assert not ui.controls["epoch"].disabled
    assert sum(len(t.x) for t in of(ui.view, "points")) == 31


def test_axes_classes_and_layers_do_what_they_say():
    run = FakeRun("variational", 4)
    ui = LatentExplorer(run)
    ui.controls["axes"].value = ("pair", 2, 3)
    lat = run.latents("test", 5)
    np.testing.assert_allclose(of(ui.view, "points", 1)[0].x, lat.z[lat.y == 1, 2], rtol=1e-6)
    ui.controls["classes"].value = (0, 2)
    assert [t.meta["class"] for t in of(ui.view, "points")] == [0, 2]
    ui.controls["anticipated"].value = False
    assert not of(ui.view, "anticipated")
    ui.controls["empirical"].value = False
    assert not of(ui.view, "empirical")
    ui.reset()
    assert ui.controls["classes"].value == (0, 1, 2)
    assert len(of(ui.view, "anticipated")) == len(of(ui.view, "empirical")) == 3


def test_the_split_shown_first_can_be_chosen():
    run = FakeRun()
    ui = LatentExplorer(run, split="train")
    assert ui.controls["split"].value == "train"
    lat = run.latents("train", 5)
    np.testing.assert_allclose(of(ui.view, "points", 0)[0].x, lat.z[lat.y == 0, 0], rtol=1e-6)
    with pytest.raises(InputError, match="unknown split 'tests'; did you mean 'test'"):
        LatentExplorer(run, split="tests")


def test_a_run_can_be_left_out():
    ui = LatentExplorer([FakeRun("softmax"), FakeRun("variational")])
    ui.controls["runs"].boxes[0].value = False
    assert len(ui.view.layout.annotations) == 1
    assert "variational" in ui.view.layout.annotations[0].text


def test_latents_with_a_law_need_no_run():
    ui = LatentExplorer((latents(), prior()))
    assert set(ui.controls) == {
        "classes", "anticipated", "empirical", "boundaries", "backdrop", "score", "choose",
        "color", "find", "combine", "only_chosen",
    }  # fmt: skip
    assert len(of(ui.view, "anticipated")) == 3
    pair = LatentExplorer([(latents(name="a"), prior()), (latents(seed=1, name="b"), None)])
    assert labels(pair.controls["runs"]) == ["a", "b"]
    assert "no p(z|y)" in pair.view.layout.annotations[1].text
    alone = LatentExplorer(latents(dim=4))
    assert set(alone.controls) == {
        "axes", "turn", "classes", "empirical", "choose", "color", "find", "combine", "only_chosen",
    }  # fmt: skip


def test_runs_with_other_epochs_show_the_last_one_kept():
    ui = LatentExplorer(
        [FakeRun("softmax", epochs=(0, 2, 5)), FakeRun("variational", epochs=(0, 4))]
    )
    assert ui.controls["epoch"].options == (0, 2, 4, 5)
    early = Source(FakeRun("variational", epochs=(0, 4)), "v")
    assert [early.kept(("test", True), e) for e in (0, 2, 4, 5)] == [0, 0, 4, 4]


def test_frames_of_the_static_figure_are_the_live_figure_at_each_epoch():
    run = FakeRun("variational", 4)
    ui = LatentExplorer(run)
    fig = ui.figure()
    assert [f.name for f in fig.frames] == ["at 0", "at 2", "at 5"]
    source = Source(run, "variational")
    for epoch, frame in zip((0, 2, 5), fig.frames, strict=True):
        moved = dict(zip(frame.traces, frame.data, strict=True))
        at = 0
        for axes in (("pca",), ("lda",)):
            panel = source.panel(axes, ("test", True), epoch)
            wanted = plot_latent_panels(
                [panel], LatentOptions(compact=True, mass=(0.9,), fit_range=(1, 2))
            )
            metas = [trace.meta or {} for trace in fig.data]
            drawn = [
                i
                for i, meta in enumerate(metas)
                if meta.get("layer") != "boundaries" and "beneath" not in meta
            ]
            for i, trace in enumerate(wanted.data):
                if (trace.meta or {}).get("layer") in ("points", "fit", "empirical"):
                    np.testing.assert_allclose(moved[drawn[at + i]].y, trace.y, rtol=1e-5)
            at += len(wanted.data)


def test_the_static_figure_has_epochs_views_and_lines():
    ui = LatentExplorer([FakeRun("softmax", 4), FakeRun("variational", 4)])
    fig = ui.figure(axes=[("pca",), ("pair", 0, 1)])
    views, *switches, _ = fig.layout.updatemenus[1:]
    assert [b.label for b in views.buttons] == ["Axes: PCA", "Axes: dimensions 1 and 2"]
    labels = [button.label for switch in switches for button in switch.buttons]
    assert labels == ["☑ anticipated", "☑ empirical", "☐ boundaries"]
    assert [switch.active for switch in switches] == [0, 0, -1]
    assert {t.opacity for t in of(fig, "boundaries")} == {0}
    assert 0 not in {t.opacity for t in of(fig, "empirical")}
    assert fig.layout.sliders[0].active == 2
    shown = [t for t in fig.data if t.visible]
    assert len(shown) == len(fig.data) // 2
    plane = LatentExplorer(FakeRun()).figure()
    assert [b.label for b in plane.layout.updatemenus[1].buttons] == ["Split: test", "Split: train"]


def test_epochs_are_thinned_to_the_number_that_was_asked_for():
    run = FakeRun(epochs=tuple(range(12)))
    assert len(LatentExplorer(run).figure(frames=4).frames) == 4
    assert len(LatentExplorer(run).figure().frames) == 12


def test_the_static_figure_of_three_runs_stays_near_a_megabyte():
    heads = ("softmax", "gaussian_mixture", "variational")

    class Ten(FakeRun):
        def latents(self, split="test", epoch=None):
            rng = np.random.default_rng(epoch or 0)
            y = np.arange(500) % 10
            return type(super().latents())(
                rng.standard_normal((500, 16)), np.log(np.full((500, 10), 0.1)), y
            )

        def prior(self, epoch=None):
            return type(prior())(np.eye(10, 16) * (epoch or 0), scale=np.ones((10, 16)))

    runs = [Ten(head, 16, epochs=tuple(range(31))) for head in heads]
    for run in runs:
        run.class_names = tuple("0123456789")
    ui = LatentExplorer(runs)
    few, more = (ui.figure(frames=n) for n in (3, 6))
    a_frame = (len(more.to_json()) - len(few.to_json())) / 3
    frames = len(ui.figure().frames)
    assert 10 <= frames <= 31
    assert len(few.to_json()) + (frames - 3) * a_frame < 1.1e6
    assert len(few.to_json()) + (31 - 3) * a_frame < 3e6


def test_many_points_are_sampled_alike_in_the_kernel_and_the_page():
    run = FakeRun()
    run.latents = lambda split="test", epoch=None: latents(900)
    fig = LatentExplorer(run, max_points=300).figure(max_points=120)
    assert 110 <= sum(len(t.x) for t in of(fig, "points") if t.visible) <= 120


def test_what_cannot_be_explored_is_refused():
    with pytest.raises(InputError, match="nothing to explore"):
        LatentExplorer([])
    with pytest.raises(
        InputError, match=r"takes runs or \(LatentSet, LatentPrior\) pairs, got int"
    ):
        LatentExplorer(3)
    other = FakeRun("variational")
    other.class_names = ("x", "y", "z")
    with pytest.raises(InputError, match="must have the same classes: 'softmax' and 'variational'"):
        LatentExplorer([FakeRun("softmax"), other])
    with pytest.raises(InputError, match="at least 2 dimensions"):
        LatentExplorer(latents(dim=1))


def test_titles_of_sources_are_distinct():
    assert [s.title for s in sources([FakeRun(), FakeRun(dim=4)])] == [
        "softmax, D = 2", "softmax, D = 4",
    ]  # fmt: skip


# ---------------------------------------------------------------- CalibrationExplorer


@pytest.mark.parametrize(("bins", "binning"), [(2, "width"), (15, "mass"), (50, "width")])
@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_the_diagram_is_the_curve_at_these_bins_and_temperature(bins, binning, temperature):
    run = FakeRun()
    ui = CalibrationExplorer(run, resamples=20)
    ui.bound.set(bins=bins, binning=binning, temperature=temperature)
    lat = run.latents("test")
    at = ui.controls["temperature"].value
    curve = reliability_curve(
        apply_temperature(lat.log_probs, at), lat.y, n_bins=bins, binning=binning, resamples=20
    )
    bars = next(t for t in ui.view.data if t.name == "accuracy")
    np.testing.assert_allclose(bars.y, curve.accuracy[curve.count > 0])
    readout = next(t for t in ui.view.data if t.name == "readout")
    assert readout.text[0].startswith(f"ECE {curve.ece:.3f}")


def test_sweeps_are_nll_and_ece_at_every_temperature():
    run = FakeRun()
    ui = CalibrationExplorer(run, resamples=0)
    lat = run.latents("test")
    nll, ece = of(ui.view, "nll")[0], of(ui.view, "ece")[0]
    for i in (0, 20, 56):
        scaled = apply_temperature(lat.log_probs, float(nll.x[i]))
        assert nll.y[i] == pytest.approx(negative_log_likelihood(scaled, lat.y))
        assert ece.y[i] == pytest.approx(expected_calibration_error(scaled, lat.y))


def test_split_label_and_runs_can_be_chosen():
    runs = [FakeRun("softmax"), FakeRun("variational")]
    ui = CalibrationExplorer(runs, resamples=0)
    assert labels(ui.controls["label"])[:2] == ["top label", "class ant"]
    ui.controls["label"].value = 1
    lat = runs[0].latents("test")
    curve = reliability_curve(lat.log_probs, lat.y, label=1, resamples=0)
    bars = next(t for t in ui.view.data if t.name == "accuracy")
    np.testing.assert_allclose(bars.y, curve.accuracy[curve.count > 0])
    ui.controls["runs"].value = (1,)
    assert "variational" in ui.view.layout.annotations[0].text
    ui.controls["split"].value = "train"
    ui.reset()
    assert ui.controls["label"].value == "top"


def test_the_static_calibration_figure_has_temperatures_and_bins():
    ui = CalibrationExplorer(FakeRun(), resamples=0)
    fig = ui.figure(bins=(5, 15), frames=5)
    assert len(fig.frames) == 5
    assert [b.label for b in fig.layout.updatemenus[1].buttons] == [
        "Number of bins: 5", "Number of bins: 15",
    ]  # fmt: skip
    bars = [t for t in fig.data if t.name == "accuracy"]
    assert [t.visible for t in bars] == [False, True]
    assert fig.layout.sliders[0].steps[fig.layout.sliders[0].active].label == "1"
    assert fig.layout.sliders[0].steps[0].args[1]["frame"]["redraw"] is True


def test_latents_alone_can_be_calibrated():
    ui = CalibrationExplorer(latents(name="<mine>"), resamples=0)
    assert "split" not in ui.controls
    assert "&lt;mine&gt;" in ui.view.layout.annotations[0].text


# ---------------------------------------------------------------- display


@pytest.mark.parametrize(
    "make",
    [
        lambda: LatentExplorer(FakeRun()),
        lambda: CalibrationExplorer(FakeRun(), resamples=0),
        lambda: AdversarialExplorer((trajectory(), prior())),
    ],
)
def test_an_explorer_is_a_widget_in_a_notebook_and_a_figure_in_a_headless_run(make, monkeypatch):
    ui, shown = make(), []
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.delenv("VCVIZ_HEADLESS", raising=False)
    ui._ipython_display_()
    monkeypatch.setenv("VCVIZ_HEADLESS", "1")
    ui._ipython_display_()
    assert shown[0] is ui.widget
    assert type(shown[1]) is go.Figure
    assert len(shown[1].frames) > 1
    assert shown[1].layout.sliders


def test_static_figures_are_plain_plotly_figures():
    for ui in (LatentExplorer(FakeRun()), CalibrationExplorer(FakeRun(), resamples=0)):
        fig = ui.figure()
        assert type(fig) is go.Figure
        assert json.loads(fig.to_json())["layout"]["template"]


def test_a_panel_of_a_source_is_a_panel():
    assert isinstance(Source(FakeRun(), "x").panel(("pair", 0, 1), ("test", True), 2), LatentPanel)


def test_the_split_shown_at_first_can_be_chosen():
    run = FakeRun()
    ui = LatentExplorer(run, split="train")
    assert ui.controls["split"].value == "train"
    by_hand = LatentExplorer(run)
    by_hand.controls["split"].value = "train"
    for chosen, set_later in zip(ui.view.data, by_hand.view.data, strict=True):
        np.testing.assert_array_equal(chosen.x, set_later.x)
    with pytest.raises(InputError, match="unknown split 'tets'; did you mean 'test'"):
        LatentExplorer(run, split="tets")
