from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from fake_runs import curve, latents

from vcviz.base.errors import InputError
from vcviz.figures import plot_reliability
from vcviz.figures.diagram import Diagram, numbers_text
from vcviz.figures.grid import Panels, beside
from vcviz.figures.reliability import panel_of, reliability_panels
from vcviz.figures.severity import SeveritySweep, severity_panels
from vcviz.figures.temperature import temperature_spec
from vcviz.metrics.calibration import BrierParts, SmoothError, TemperatureSweep, reliability_curve
from vcviz.records import ReliabilityCurve


def named(fig, name: str):
    return next(t for t in fig.data if t.name == name)


def test_bars_are_the_records_accuracy_as_wide_as_their_bins():
    record = curve()
    bars = named(plot_reliability(record), "accuracy")
    np.testing.assert_allclose(bars.y, [0.1, 0.55, 0.8])
    np.testing.assert_allclose(bars.width, [0.2, 0.1, 0.4])
    np.testing.assert_allclose(bars.x, [0.1, 0.55, 0.8])


def test_the_gap_reaches_from_accuracy_to_confidence():
    gap = named(plot_reliability(curve()), "gap to confidence")
    np.testing.assert_allclose(np.asarray(gap.base, float), [0.1, 0.52, 0.8])
    np.testing.assert_allclose(np.asarray(gap.base, float) + gap.y, [0.15, 0.55, 0.9])


def test_band_and_consistency_come_from_the_record():
    fig = plot_reliability(curve())
    boxes = named(fig, "if calibrated, 95%")
    np.testing.assert_allclose(np.asarray(boxes.base, float), [0.0, 0.3, 0.8])
    np.testing.assert_allclose(np.asarray(boxes.base, float) + boxes.y, [0.3, 0.7, 1.0])
    whiskers = named(fig, "interval, 95%")
    np.testing.assert_allclose(whiskers.x, [0.15, 0.52, 0.9])
    np.testing.assert_allclose(whiskers.error_y.array, 0.04)
    np.testing.assert_allclose(whiskers.error_y.arrayminus, 0.05)


def test_counts_show_empty_bins_too():
    counts = named(plot_reliability(curve()), "samples")
    np.testing.assert_array_equal(counts.y, [5, 0, 10, 20])
    np.testing.assert_allclose(counts.width, [0.2, 0.3, 0.1, 0.4])


def test_the_ece_is_the_records_and_stands_beside_its_floor():
    (text,) = named(plot_reliability(curve()), "readout").text
    assert text.split("<br>") == ["ECE 0.031, 0.012 if calibrated", "n = 35, 4 bins"]
    (text,) = named(plot_reliability(curve(), details=True), "readout").text
    assert text.split("<br>") == [
        "ECE 0.031, 0.012 if calibrated",
        "debiased 0.021 [0.004, 0.035]",
        "n = 35, 4 bins",
    ]


@pytest.mark.parametrize("details", [False, True])
def test_a_bar_has_two_marks_and_the_others_on_demand(details):
    fig = plot_reliability(curve(), details=details)
    hidden = {t.name for t in fig.data if t.visible == "legendonly"}
    on_demand = {"gap to confidence", "interval, 95%"}
    assert hidden == (set() if details else on_demand)
    assert on_demand <= {t.name for t in fig.data if t.showlegend}


def test_a_curve_says_of_which_class_it_is_and_for_which_label_frequencies():
    one = replace(curve(), label=2, label_note="for equal classes")
    (text,) = named(plot_reliability(one), "readout").text
    assert text.split("<br>")[-2:] == [
        "of p(y = 2|x), not the top label",
        "p(y|x) for equal classes",
    ]
    lat = latents()
    assert reliability_curve(lat, label=2, resamples=0).label == 2
    assert reliability_curve(lat, resamples=0).label is None


def test_numbers_that_were_not_computed_are_not_printed():
    fields = {name: getattr(curve(), name) for name in curve().__dataclass_fields__}
    fields |= dict.fromkeys(("ece_if_calibrated", "ece_debiased"), np.nan)
    (text,) = named(plot_reliability(ReliabilityCurve(**fields)), "readout").text
    assert text.split("<br>") == ["ECE 0.031", "n = 35, 4 bins"]


def test_axes_are_fractions_from_zero_to_one():
    layout = plot_reliability(curve()).layout
    assert layout.yaxis.title.text == "accuracy, fraction"
    assert layout.xaxis2.title.text == "confidence, fraction"
    assert layout.yaxis2.title.text == "samples"
    assert (layout.xaxis.range, layout.xaxis2.range) == ((0, 1), (0, 1))
    assert layout.barmode == "overlay"


def test_several_curves_stand_side_by_side_with_one_legend():
    fig = plot_reliability([curve("a"), curve("<b>", seed=1)])
    assert [a.text for a in fig.layout.annotations] == ["<b>a</b>", "<b>&lt;b&gt;</b>"]
    bars = [t for t in fig.data if t.name == "accuracy"]
    assert [t.xaxis for t in bars] == ["x", "x2"]
    assert [t.showlegend for t in bars] == [True, False]


def test_a_second_row_leaves_room_for_its_headings():
    layout = plot_reliability([curve(str(i)) for i in range(4)]).layout
    plot = layout.height - layout.margin.t - layout.margin.b
    counts, second = layout.yaxis4.domain, layout.yaxis7.domain
    assert layout.annotations[3].yref == "y7 domain"
    assert (counts[0] - second[1]) * plot > 120


@pytest.mark.parametrize("n", range(1, 8))
def test_every_axis_of_a_diagram_tells_which_it_is_of(n):
    fig = plot_reliability([curve(str(i)) for i in range(n)])
    bars = [t for t in fig.data if (t.meta or {}).get("layer") in ("accuracy", "counts")]
    assert len(bars) == 2 * n
    assert [panel_of(t.xaxis, n) for t in bars] == [t.meta["run"] for t in bars]
    assert panel_of("x80", n) is None


def test_what_stands_beside_a_curve_is_drawn_and_told():
    found = Diagram(
        curve(),
        before=curve("b", seed=1),
        smooth=SmoothError(0.03, 0.03, (0.02, 0.04), 0.01, (0.0, 0.02)),
        brier=BrierParts(0.5, 0.1, 0.2, 0.625, -0.025),
        chosen=np.array([1, 0, 10, 3]),
        at_most=5000,
    )
    fig = go.Figure(**reliability_panels([found, curve()], details=True).spec)
    assert numbers_text(found)[2:] == [
        "smECE 0.030, 0.010 if calibrated",
        "Brier 0.500: reliability 0.100",
        "− resolution 0.200",
        "+ uncertainty 0.625",
        "− 0.025 within bins",
        "n = 35, 4 bins",
    ]
    np.testing.assert_array_equal(named(fig, "chosen samples").y, [1, 0, 10, 3])
    outline = named(fig, "at T = 1")
    np.testing.assert_allclose(outline.x, [0, 0.2, 0.2, 0.5, 0.5, 0.6, 0.6, 1])
    np.testing.assert_allclose(outline.y, np.repeat([0.1, np.nan, 0.55, 0.8], 2))
    assert 10 ** fig.layout.yaxis3.range[1] > 5000
    # Both headings stand above the longer text.
    assert fig.layout.margin.t > fig.layout.annotations[0].yshift > 8 * 16


def test_severities_are_drawn_on_axes_that_hold_them():
    values = {m: np.array([0.9, 0.6, 0.5]) for m in ("accuracy", "ece", "nll")}
    values["nll"] = np.array([0.1, np.inf, 3.2])
    sweep = SeveritySweep(
        np.arange(3), values, values, dict.fromkeys(values, 0.6),
        {"accuracy": 0.9, "ece": 0.62, "nll": 3.2}, "<r>",
    )  # fmt: skip
    places = beside((0.0, 1.0), 3, gap_x=0.1, first=90)
    panels = Panels([100], 1, gap_x=0)
    severity_panels(panels, [sweep], places, 1, "<noise>")
    data, layout = panels.data, panels.layout
    assert [layout[f"yaxis{i}"]["range"][1] for i in (90, 91, 92)] == pytest.approx([1.02, 0.7, 4])
    assert layout["xaxis90"]["title"]["text"] == "severity of &lt;noise&gt;"
    layers = [t["meta"]["layer"] for t in data]
    assert layers == [
        "fitted accuracy", "now accuracy", "fitted ece", "before ece", "now ece",
        "fitted nll", "before nll", "now nll",
    ]  # fmt: skip
    assert all("&lt;r&gt;<br>severity %{x}" in t["hovertemplate"] for t in data)
    assert layout["annotations"][1]["text"] == "<b>ECE: ● now  ○ T = 1  | clean T</b>"
    assert go.Figure(data, layout)


def test_other_things_are_refused():
    with pytest.raises(InputError, match="at least one record"):
        plot_reliability([])
    with pytest.raises(InputError, match="curves must be a ReliabilityCurve or a list"):
        plot_reliability([0.3])
    with pytest.raises(InputError, match="columns must be a whole number of at least 1, got 0"):
        plot_reliability(curve(), columns=0)


def test_a_temperature_is_marked_on_its_sweep():
    t = np.array([0.5, 1.0, 2.0])
    sweep = TemperatureSweep(t, np.array([2.0, 1.0, 0.5]), np.array([0.3, 0.2, 0.1]), 2.0, "<r>")
    spec = temperature_spec([curve()], [sweep], 2.0)
    marks = [d for d in spec["data"] if (d.get("meta") or {}).get("layer") == "marks"]
    np.testing.assert_allclose([m["x"] for m in marks], [[2, 1, 2]] * 2)
    np.testing.assert_allclose(marks[0]["y"], [0.5, 1.0, 0.5])
    np.testing.assert_allclose(marks[1]["y"], [0.1, 0.2, 0.1])
    lines = [d for d in spec["data"] if (d.get("meta") or {}).get("layer") in ("nll", "ece")]
    np.testing.assert_allclose(lines[0]["y"], sweep.nll)
    np.testing.assert_allclose(lines[1]["y"], sweep.ece)
    assert lines[0]["name"] == "&lt;r&gt;, least NLL at T = 2"
    bottoms = [axis["domain"] for name, axis in spec["layout"].items() if name.startswith("yaxis")]
    assert min(b[0] for b in bottoms) == 0
    assert max(b[1] for b in bottoms) == 1


def test_a_best_temperature_beyond_the_axis_is_not_marked():
    t = np.array([0.5, 1.0, 2.0])
    sweep = TemperatureSweep(t, t, t, 9.0, "r")
    spec = temperature_spec([curve()], [sweep], 1.0)
    mark = next(d for d in spec["data"] if (d.get("meta") or {}).get("layer") == "marks")
    assert np.isnan(mark["x"][2])
