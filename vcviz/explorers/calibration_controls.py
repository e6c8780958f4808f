"""Controls of the CalibrationExplorer, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as ipw

from vcviz.data.corruptions import SEVERITIES
from vcviz.explorers.calibration_data import FEWEST, LOG_T, MOST, Bins, Rows
from vcviz.explorers.controls import PLAIN, Choices, checkbox, dropdown, folded_panel
from vcviz.explorers.panel_data import Source
from vcviz.studies.compare.corruptions import corruptions_for


def calibration_controls(of: Sequence[Source], *, details: bool) -> dict[str, ipw.Widget]:
    """Return the controls of a `CalibrationExplorer` by name, those that do something."""
    controls: dict[str, ipw.Widget] = {}
    if len(of) > 1:
        controls["runs"] = Choices([(s.title, i) for i, s in enumerate(of)], description="Runs")
    if any(s.epochs for s in of):
        controls["split"] = dropdown("Split", [("test", "test"), ("train", "train")])
    names = of[0].class_names
    labels: list[tuple[str, Any]] = [
        ("top label", "top"),
        *((f"class {n}", k) for k, n in enumerate(names)),
    ]
    controls["label"] = dropdown("Confidence in", labels)
    controls["binning"] = dropdown("Bins of", [("equal width", "width"), ("equal mass", "mass")])
    controls["bins"] = ipw.IntSlider(
        15, FEWEST, MOST, description="Number of bins", style=PLAIN,
        layout=ipw.Layout(width="280px"),
    )  # fmt: skip
    controls["temperature"] = ipw.FloatLogSlider(
        1.0, min=LOG_T[0], max=LOG_T[1], step=0.025, description="Temperature T", style=PLAIN,
        readout_format=".3g", layout=ipw.Layout(width="300px"),
    )  # fmt: skip
    controls["details"] = checkbox("details: gaps, intervals, all numbers", details)
    if offered := offered_corruptions(of):
        kinds = [(name.replace("_", " "), name) for name in offered]
        controls["corruption"] = dropdown("Corruption", [("none", "none"), *kinds])
        controls["severity"] = ipw.IntSlider(
            3, 0, SEVERITIES, description="Severity", style=PLAIN,
            layout=ipw.Layout(width="300px"),
        )  # fmt: skip
    return controls


def calibration_panel(controls: Mapping[str, ipw.Widget], reset: Callable[[], None]) -> ipw.Widget:
    """Return the controls in rows, those that are used most in view."""
    rows = [
        ("temperature", "bins", "label"), ("details", "split"), ("runs", "binning"),
        ("corruption", "severity"),
    ]  # fmt: skip
    boxes = [[controls[name] for name in row if name in controls] for row in rows]
    return folded_panel(boxes[:2], boxes[2:], reset)


def offered_corruptions(of: Sequence[Source]) -> list[str]:
    """Return the corruptions that the inputs of all sources can be put through."""
    each = [corruptions_for(source.run) for source in of]
    return [name for name in each[0] if all(name in other for other in each)]


def values_now(values: Mapping[str, Any]) -> tuple[Rows, Bins, float]:
    """Return what the values of the controls say: rows, bins and temperature."""
    corruption = values.get("corruption", "none")
    rows = Rows(values.get("split", "test"))
    if corruption != "none":
        rows = Rows("test", corruption, values["severity"])
    # ipywidgets takes a value of None for "nothing chosen".
    label = None if values["label"] == "top" else values["label"]
    return rows, Bins(values["bins"], values["binning"], label), float(values["temperature"])
