"""The CalibrationExplorer in the kernel: what is drawn equals the records, whatever is moved."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from browser import open_page
from fake_runs import FakeRun, latents
from torch import nn

import vcviz
from vcviz.base.errors import InputError
from vcviz.explorers import CalibrationExplorer, LatentExplorer
from vcviz.explorers.controls import prose
from vcviz.metrics.calibration import (
    apply_temperature,
    brier_decomposition,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    reliability_curve,
    smooth_calibration_error,
)
from vcviz.records import Split

N, F, C, D = 90, 5, 3, 2
NAMES = ("ant", "<b>bee</b>", "cat $x$")


class TableRun(FakeRun):
    """A fake run whose model and test rows can be had, and put through corruptions."""

    has_model = True

    def __init__(self, head: str = "softmax"):
        super().__init__(head)
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(F, D), nn.Tanh(), nn.Linear(D, C))
        with torch.no_grad():
            self.net[2].weight *= 8
        # Labels of its own law at T = 2: clean rows want that temperature, corrupted ones another.
        rng = np.random.default_rng(0)
        x = rng.standard_normal((N, F)).astype(np.float32)
        said = vcviz.extract_latents(self.net, (x, np.zeros(N, int)))
        law = np.exp(apply_temperature(said.log_probs, 2.0))
        self.rows = Split(x, (law.cumsum(1) > rng.random((N, 1))).argmax(1), NAMES)
        self._data = self.rows

    def model(self):
        return self.net

    def split(self, name="test"):
        return self.rows

    def latents(self, split="test", epoch=None):
        return vcviz.extract_latents(self.net, self.rows)


def layer(ui, name: str):
    return [t for t in ui.view.data if (t.meta or {}).get("layer") == name]


def readouts(ui):
    return [t.text[0].split("<br>") for t in ui.view.data if t.name == "readout"]


def ranges(ui):
    layout = ui.view.layout.to_plotly_json()
    return {k: tuple(v["range"]) for k, v in layout.items() if "axis" in k}


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("label", ["top", 2])
@pytest.mark.parametrize(("bins", "binning"), [(2, "width"), (26, "mass"), (50, "width")])
@pytest.mark.parametrize("temperature", [0.2, 1.0, 10.0])
def test_numbers_above_the_diagram_are_the_records(bins, binning, temperature, label):
    run = FakeRun()
    ui = CalibrationExplorer(run, resamples=20)
    ui.bound.set(bins=bins, binning=binning, temperature=temperature, label=label, details=True)
    at, k = ui.controls["temperature"].value, None if label == "top" else label
    lat = run.latents("test")
    log_probs = apply_temperature(lat.log_probs, at)
    curve = reliability_curve(log_probs, lat.y, n_bins=bins, binning=binning, label=k, resamples=20)
    smooth = smooth_calibration_error(log_probs, lat.y, label=k, resamples=20)
    parts = brier_decomposition(log_probs, lat.y, n_bins=bins, binning=binning)
    (text,) = readouts(ui)
    low, high = curve.ece_debiased_interval
    assert text[:3] == [
        f"ECE {curve.ece:.3f}, {curve.ece_if_calibrated:.3f} if calibrated",
        f"debiased {curve.ece_debiased:.3f} [{low:.3f}, {high:.3f}]",
        f"smECE {smooth.ece:.3f}, {smooth.if_calibrated:.3f} if calibrated",
    ]
    sign = "−" if parts.remainder < 0 else "+"
    assert text[3:7] == [
        f"Brier {parts.score:.3f}: reliability {parts.reliability:.3f}",
        f"− resolution {parts.resolution:.3f}",
        f"+ uncertainty {parts.uncertainty:.3f}",
        f"{sign} {abs(parts.remainder):.3f} within bins",
    ]
    (counts,) = layer(ui, "counts")
    np.testing.assert_array_equal(counts.y, curve.count)
    ui.bound.set(details=False)
    (brief,) = readouts(ui)
    assert brief == [text[0], *text[7:]]


def test_the_debiased_error_is_estimated_only_where_it_is_shown(monkeypatch):
    estimated = []
    real = reliability.debiased_error
    monkeypatch.setattr(
        reliability, "debiased_error", lambda *given: estimated.append(1) or real(*given)
    )
    ui = CalibrationExplorer(FakeRun(), resamples=20)
    ui.figure(bins=(5, 15), frames=3)
    ui.controls["temperature"].value = 2.0
    assert readouts(ui)
    assert estimated == []
    ui.controls["details"].value = True
    assert len(estimated) == 1


def test_the_outline_is_the_diagram_at_temperature_one():
    run = FakeRun()
    ui = CalibrationExplorer(run, resamples=0)
    lat = run.latents("test")
    curve = reliability_curve(lat.log_probs, lat.y, n_bins=15, resamples=0)
    for temperature in (1.0, 3.0):
        ui.controls["temperature"].value = temperature
        (outline,) = layer(ui, "before")
        np.testing.assert_allclose(outline.y, np.repeat(curve.accuracy, 2))
        np.testing.assert_allclose(outline.x[::2], curve.edges[:-1])


def test_axes_stay_put_while_every_slider_moves():
    ui = CalibrationExplorer([TableRun("softmax"), TableRun("variational")], resamples=0)
    ui.controls["corruption"].value = "missing_features"
    seen = []
    for name, values in (
        ("temperature", (0.2, 1, 10)), ("bins", (2, 26, 50)), ("severity", (0, 3, 5)),
    ):  # fmt: skip
        for value in values:
            ui.controls[name].value = value
            seen.append(ranges(ui))
    assert all(found == seen[0] for found in seen)
    assert len(seen[0]) == 2 * (4 + 2 + 3)


# ---------------------------------------------------------------- corruption


@pytest.mark.parametrize("severity", [0, 1, 5])
@pytest.mark.parametrize("kind", ["feature_noise", "missing_features"])
def test_corrupted_rows_are_drawn_and_the_temperature_stays_that_of_clean_ones(kind, severity):
    run = TableRun()
    ui = CalibrationExplorer(run, resamples=0)
    ui.bound.set(corruption=kind, severity=severity, temperature=2.0)
    at = ui.controls["temperature"].value
    sets = [vcviz.extract_latents(run.net, vcviz.data.corrupt(run.rows, kind, s)) for s in range(6)]
    lat = sets[severity]
    curve = reliability_curve(apply_temperature(lat.log_probs, at), lat.y, resamples=0)
    bars = next(t for t in ui.view.data if t.name == "accuracy")
    np.testing.assert_allclose(bars.y, curve.accuracy[curve.count > 0])

    fitted = fit_temperature(sets[0].log_probs, sets[0].y).temperature
    (nll,) = layer(ui, "nll")
    assert nll.name == f"softmax, least NLL of clean rows at T = {fitted:.3g}"
    for name, temperature in (("before", 1.0), ("fitted", fitted)):
        scaled = [apply_temperature(s.log_probs, temperature) for s in sets]
        wanted = [negative_log_likelihood(p, s.y) for p, s in zip(scaled, sets, strict=True)]
        np.testing.assert_allclose(layer(ui, f"{name} nll")[0].y, wanted, rtol=1e-6)
        wanted = [expected_calibration_error(p, s.y) for p, s in zip(scaled, sets, strict=True)]
        np.testing.assert_allclose(layer(ui, f"{name} ece")[0].y, wanted, rtol=1e-6)
    np.testing.assert_allclose(layer(ui, "fitted accuracy")[0].y, [s.accuracy for s in sets])
    (now,) = layer(ui, "now ece")
    assert now.x[0] == severity
    assert now.y[0] == pytest.approx(curve.ece)
    same = np.array_equal(layer(ui, "clean ece")[0].y, layer(ui, "ece")[0].y)
    assert same == (severity == 0)


def test_severity_and_split_are_free_only_when_they_mean_something():
    ui = CalibrationExplorer(TableRun(), resamples=0)
    assert (ui.controls["severity"].disabled, ui.controls["split"].disabled) == (True, False)
    assert not layer(ui, "now nll")
    ui.controls["corruption"].value = "feature_noise"
    assert (ui.controls["severity"].disabled, ui.controls["split"].disabled) == (False, True)
    assert len(layer(ui, "now nll")) == 1
    ui.reset()
    assert ui.controls["corruption"].value == "none"
    assert not layer(ui, "now nll")


def test_latents_alone_have_no_corruption():
    for ui in (CalibrationExplorer(latents()), CalibrationExplorer([TableRun(), latents()])):
        assert "corruption" not in ui.controls
        with pytest.raises(InputError, match="these inputs cannot be corrupted: pass a run"):
            ui.figure(slider="severity")


def test_what_is_explored_can_be_corrupted_where_its_inputs_are_known():
    run = TableRun()
    ui = vcviz.explore(run.net, run.rows).calibration
    assert [v for _, v in ui.controls["corruption"].options] == [
        "none", "feature_noise", "missing_features",
    ]  # fmt: skip
    ui.bound.set(corruption="missing_features", severity=4)
    worse = vcviz.extract_latents(run.net, vcviz.data.corrupt(run.rows, "missing_features", 4))
    assert layer(ui, "now accuracy")[0].y[0] == pytest.approx(worse.accuracy)
    pair = vcviz.explore(run.net, (run.rows.x, run.rows.y)).calibration
    assert "corruption" in pair.controls
    arrays = vcviz.explore(latents=worse.z, log_probs=worse.log_probs, y=worse.y).calibration
    assert "corruption" not in arrays.controls
    words = Split(np.random.default_rng(0).integers(1, 9, (N, 4)).astype("i4"), np.arange(N) % C)
    net = nn.Sequential(nn.EmbeddingBag(9, D), nn.Linear(D, C))
    text = vcviz.explore(net, words).calibration
    assert ("token swap", "token_swap") in text.controls["corruption"].options


# ---------------------------------------------------------------- chosen rows


def in_bin(lat, low, high, temperature=1.0):
    confidence = np.exp(apply_temperature(lat.log_probs, temperature)).max(1)
    return np.sort(lat.index[(confidence > low) & (confidence <= high)])


def test_a_click_on_a_bar_chooses_its_rows_and_a_second_one_none():
    run = FakeRun()
    ui = CalibrationExplorer(run, resamples=0)
    ui.bound.set(bins=10, temperature=2.0)
    lat, t = run.latents("test"), ui.controls["temperature"].value
    (counts,) = layer(ui, "counts")
    fullest = int(np.argmax(counts.y))
    at = {"trace": list(ui.view.data).index(counts), "point": fullest, "y": 1}
    ui.view.tell("click", **at, x=counts.x[fullest])
    wanted = in_bin(lat, fullest / 10, (fullest + 1) / 10, t)
    np.testing.assert_array_equal(ui.chosen.rows, wanted)
    assert (ui.chosen.split, ui.chosen.source) == ("test", "softmax")
    (chosen,) = layer(ui, "chosen")
    assert chosen.y[fullest] == counts.y[fullest] == len(wanted)
    ui.view.tell("click", **at, x=counts.x[fullest])
    assert len(ui.chosen) == 0


def test_a_box_chooses_the_bins_whose_middle_it_holds_in_the_run_it_is_drawn_in():
    runs = [FakeRun("softmax"), TableRun("variational")]
    ui = CalibrationExplorer(runs, resamples=0)
    ui.controls["bins"].value = 10
    box = np.array([[0.42, 0], [0.66, 0], [0.66, 1], [0.42, 1]])
    ui.view.tell("select", axes=("x2", "y2"), polygon=box)
    np.testing.assert_array_equal(ui.chosen.rows, in_bin(runs[1].latents(), 0.4, 0.7))
    assert ui.chosen.source == "variational"
    ui.view.tell("select", axes=("x3", "y3"), polygon=np.array([[0.91, 0], [0.93, 1]]))
    np.testing.assert_array_equal(ui.chosen.rows, in_bin(runs[0].latents("test"), 0.9, 1))
    ui.view.tell("select", axes=("x80", "y80"), polygon=box)  # among the sweeps
    assert len(ui.chosen)
    ui.view.tell("select", axes=None, polygon=None)
    assert len(ui.chosen) == 0


def test_a_narrow_page_has_one_column():
    runs = [TableRun("softmax"), TableRun("variational")]
    ui = CalibrationExplorer(runs, resamples=0)
    ui.controls["corruption"].value = "feature_noise"
    wide = ui.view.layout
    ui._resized({"width": 380})
    narrow = ui.view.layout
    axes = [a for name, a in narrow.to_plotly_json().items() if name.startswith("xaxis")]
    assert {tuple(axis["domain"]) for axis in axes} == {(0, 1)}
    heights = sorted(
        tuple(a["domain"]) for name, a in narrow.to_plotly_json().items() if name[:5] == "yaxis"
    )
    assert len(heights) == 4 + 2 + 3
    assert all(one[1] < other[0] for one, other in pairwise(heights))
    for run in (0, 1):  # where a diagram stands now is known
        (bars,) = [t for t in layer(ui, "accuracy") if t.meta["run"] == run]
        polygon = np.array([[0.0, 0.0], [1.0, 1.0]])
        ui._boxed({"polygon": polygon, "axes": [bars.xaxis, bars.yaxis]})
        assert ui.chosen.source == ui._sources[run].title
    assert ui.figure(frames=2, bins=[5]).layout.xaxis.domain[1] < 0.6
    ui._resized({"width": 900})
    assert ui.view.layout == wide


def test_rows_chosen_elsewhere_are_counted_and_told():
    run = FakeRun()
    ui, other = (CalibrationExplorer(run, resamples=50) for _ in range(2))
    vcviz.link(other, ui)
    assert ui.view
    lat = run.latents("test")
    picked = np.array([107, 100, 120, 999])
    other.chosen.choose(picked)
    mask = np.isin(lat.index, picked)
    (counts,), (chosen,) = layer(ui, "counts"), layer(ui, "chosen")
    assert chosen.y.sum() == 3
    assert (chosen.y <= counts.y).all()
    part = reliability_curve(lat.log_probs[mask], lat.y[mask], resamples=50)
    confidence = np.exp(lat.log_probs[mask].astype(float)).max(1)
    assert ui._line.value == prose(
        f"softmax: n = 3 chosen, accuracy {lat.take(mask).accuracy:.3f}, mean confidence "
        f"{confidence.mean():.3f}, ECE {part.ece:.3f} "
        f"({part.ece_if_calibrated:.3f} expected if calibrated)"
    )
    ui.controls["split"].value = "train"
    assert layer(ui, "chosen")[0].y.sum() == 0
    assert "none of the chosen rows is among those shown" in ui._line.value
    ui.reset()
    assert len(other.chosen) == 0
    assert "Click a bar" in ui._line.value


def test_the_selection_is_a_table_of_the_chosen_rows():
    run = FakeRun()
    ui = CalibrationExplorer(run, resamples=0)
    ui.bound.set(temperature=2.0, bins=7)
    lat, t = run.latents("test"), ui.controls["temperature"].value
    assert len(ui.selection) == 0
    ui.chosen.choose([103, 114])
    table = ui.selection
    assert list(table) == ["row", "label", "predicted", "confidence", "right", "bin"]
    assert table.row.tolist() == [103, 114]
    assert table.label.tolist() == [NAMES[lat.y[3]], NAMES[lat.y[14]]]
    log_probs = apply_temperature(lat.log_probs, t)[[3, 14]]
    assert table.predicted.tolist() == [NAMES[k] for k in log_probs.argmax(1)]
    np.testing.assert_allclose(table.confidence, np.exp(log_probs.max(1)), rtol=1e-6)
    assert table.right.tolist() == [True, False]
    assert table.bin.tolist() == np.floor(7 * table.confidence).astype(int).tolist()
    ui.controls["label"].value = 2
    np.testing.assert_allclose(ui.selection.confidence, np.exp(log_probs[:, 2]), rtol=1e-6)


def test_names_with_markup_are_text_beneath_the_figure():
    ui = CalibrationExplorer(latents(name="<i>mine</i>"), resamples=0)
    ui.chosen.choose([100])
    assert ">&lt;i&gt;mine&lt;/i&gt;: n = 1 chosen" in ui._line.value


# ---------------------------------------------------------------- static forms


def test_every_control_is_in_some_static_figure():
    ui = CalibrationExplorer(TableRun(), resamples=0)
    ui.chosen.choose([1, 2])
    by = ui.figure(slider="bins", frames=4)
    assert [f.name for f in by.frames] == ["at 2", "at 15", "at 34", "at 50"]
    assert [b.label for b in by.layout.updatemenus[1].buttons] == [
        "Bins of: equal width", "Bins of: equal mass",
    ]  # fmt: skip
    worse = ui.figure(slider="severity")
    assert [f.name for f in worse.frames] == [f"at {s}" for s in range(6)]
    assert [b.label for b in worse.layout.updatemenus[1].buttons] == [
        "Corruption: feature noise", "Corruption: missing features",
    ]  # fmt: skip
    assert worse.layout.sliders[0].active == 3
    whose = ui.figure(frames=2, menus={"split": None, "label": ["top", 1]})
    bee = "Confidence in: class &lt;b&gt;bee&lt;/b&gt;"
    assert [b.label for b in whose.layout.updatemenus[1].buttons] == [
        f"Split: {split} · {label}"
        for split in ("test", "train")
        for label in ("Confidence in: top label", bee)
    ]
    for fig in (ui.figure(frames=3), by, worse, whose):
        assert fig.layout.dragmode is None
        assert not [t for t in fig.data if (t.meta or {}).get("layer") == "chosen"]
    with pytest.raises(InputError, match="unknown slider 'severety'; did you mean 'severity'"):
        ui.figure(slider="severety")


def test_static_figures_of_three_runs_stay_below_a_megabyte():
    runs = [TableRun(head) for head in ("softmax", "gaussian_mixture", "variational")]
    ui = CalibrationExplorer(runs, resamples=2)
    few, more = (ui.figure(frames=n) for n in (3, 6))
    a_frame = (len(more.to_json()) - len(few.to_json())) / 3
    assert len(few.to_json()) + 26 * a_frame < 1e6
    few, more = (ui.figure(slider="bins", frames=n) for n in (3, 6))
    a_frame = (len(more.to_json()) - len(few.to_json())) / 3
    assert len(few.to_json()) + 14 * a_frame < 1e6
    assert len(ui.figure(slider="severity").to_json()) < 0.5e6  # of two corruptions


# ---------------------------------------------------------------- with others, and in a browser


def test_a_bin_shows_its_rows_among_the_latents_and_back():
    run = FakeRun()
    calibration, cloud = CalibrationExplorer(run, resamples=0), LatentExplorer(run)
    cloud.controls["all_rows"].value = True
    vcviz.link(calibration, cloud)
    (counts,) = layer(calibration, "counts")
    fullest = int(np.argmax(counts.y))
    at = {"trace": list(calibration.view.data).index(counts), "point": fullest, "y": 1}
    calibration.view.tell("click", **at, x=counts.x[fullest])
    assert cloud.chosen is calibration.chosen
    assert set(cloud.selection.row) == set(calibration.selection.row)
    assert len(cloud.selection) == counts.y[fullest]
    cloud.chosen.choose([101, 102], source="softmax")
    assert layer(calibration, "chosen")[0].y.sum() == 2


@pytest.mark.browser
def test_an_exported_page_goes_through_severities_and_corruptions(tmp_path, chromium):
    run = TableRun()
    path = tmp_path / "figure.html"
    CalibrationExplorer(run, resamples=5).figure(slider="severity").write_html(
        path, auto_play=False
    )
    shown = """name => document.querySelector('.js-plotly-plot')._fullData
        .filter(t => t.visible === true && t.meta && t.meta.layer === name)
        .map(t => Array.from(t.y))"""
    with open_page(chromium, path, height=1500) as (page, watch):
        page.wait_for_selector(".js-plotly-plot .main-svg")
        page.wait_for_timeout(300)
        for option, kind in enumerate(("feature_noise", "missing_features")):
            page.locator(".updatemenu-header").first.click()
            page.locator(".updatemenu-dropdown-button").nth(option).click()
            page.wait_for_timeout(400)
            rail = page.locator(".slider-rail-touch-rect").first.bounding_box()
            for share, severity in ((0.999, 5), (0.001, 0)):
                page.mouse.click(rail["x"] + share * rail["width"], rail["y"] + rail["height"] / 2)
                page.wait_for_timeout(500)
                worse = vcviz.extract_latents(run.net, vcviz.data.corrupt(run.rows, kind, severity))
                curve = reliability_curve(worse.log_probs, worse.y, resamples=0)
                (counts,) = page.evaluate(shown, "counts")
                assert counts == curve.count.tolist()
                ((accuracy,),) = page.evaluate(shown, "now accuracy")
                assert accuracy == pytest.approx(worse.accuracy)
        assert not watch.requests
        assert not watch.errors


def test_a_state_comes_back_and_starts_a_page():
    ui = CalibrationExplorer([FakeRun("softmax"), FakeRun("variational")], resamples=20)
    ui.bound.set(temperature=2.0, bins=10, label=1, runs=(1,), binning="mass")
    ui.chosen.choose([1, 4, 7])
    other = CalibrationExplorer([FakeRun("softmax"), FakeRun("variational")], resamples=20)
    other.state = json.dumps(ui.state)
    assert other.state == ui.state
    assert other._line.value == ui._line.value
    still = other.figure(slider="bins", frames=3)
    assert next(a.text for a in still.layout.annotations).startswith("<b>variational")
