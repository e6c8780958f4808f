"""Controls of the CalibrationExplorer, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets as ipw

from vcviz.data.corruptions import SEVERITIES
from vcviz.explorers.calibration_data import FEWEST, LOG_T, MOST, Bins, Rows
from vcviz.explorers.controls import PLAIN, Control, Row, checkbox, choice, dropdown
from vcviz.explorers.latent_controls import runs_control, split_control
from vcviz.explorers.panel_data import Source
from vcviz.studies.compare.corruptions import corruptions_for


def calibration_controls(of: Sequence[Source], *, details: bool) -> tuple[list[Row], list[Row]]:
    """Return the rows of controls that are in view, and those that are folded away."""
    classes = [(f"class {name}", k) for k, name in enumerate(of[0].class_names)]
    bins = ipw.IntSlider(
        15, FEWEST, MOST, description="Number of bins", style=PLAIN,
        layout=ipw.Layout(width="280px"),
    )  # fmt: skip
    temperature = ipw.FloatLogSlider(
        1.0, min=LOG_T[0], max=LOG_T[1], step=0.025, description="Temperature T", style=PLAIN,
        readout_format=".3g", layout=ipw.Layout(width="300px"),
    )  # fmt: skip
    severity = ipw.IntSlider(
        3, 0, SEVERITIES, description="Severity", style=PLAIN, layout=ipw.Layout(width="300px")
    )
    kinds = [
        ("none", "none"),
        *((name.replace("_", " "), name) for name in offered_corruptions(of)),
    ]
    corrupted = len(kinds) > 1
    in_view: list[Row] = [
        [
            Control("temperature", temperature),
            Control("bins", bins),
            # ipywidgets takes a value of None for "nothing chosen".
            Control("label", dropdown("Confidence in", [("top label", "top"), *classes])),
        ],
        [
            Control("details", checkbox("details: gaps, intervals, all numbers", details)),
            replace(split_control(of, "test"), enabled=lambda now: now["corruption"] == "none"),
        ],
    ]
    folded: list[Row] = [
        [
            runs_control(of),
            Control(
                "binning", dropdown("Bins of", [("equal width", "width"), ("equal mass", "mass")])
            ),
        ],
        [
            choice("corruption", "Corruption", kinds),
            Control(
                "severity",
                severity if corrupted else None,
                0,
                enabled=lambda now: now["corruption"] != "none",
            ),
        ],
    ]
    return in_view, folded


def offered_corruptions(of: Sequence[Source]) -> list[str]:
    """Return the corruptions that the inputs of all sources can be put through."""
    each = [corruptions_for(source.run) for source in of]
    return [name for name in each[0] if all(name in other for other in each)]


def values_now(values: Mapping[str, Any]) -> tuple[Rows, Bins, float]:
    """Return what the values of the controls say: rows, bins and temperature."""
    rows = Rows(values["split"])
    if values["corruption"] != "none":
        rows = Rows("test", values["corruption"], values["severity"])
    label = None if values["label"] == "top" else values["label"]
    return rows, Bins(values["bins"], values["binning"], label), float(values["temperature"])
