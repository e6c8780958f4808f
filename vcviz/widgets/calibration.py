"""CalibrationExplorer: how far confidence can be trusted, and what a temperature does to it."""

from __future__ import annotations

from functools import cache
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go

from vcviz.calibration import (
    TemperatureSweep,
    apply_temperature,
    reliability_curve,
    temperature_sweep,
)
from vcviz.figures import theme as style
from vcviz.figures.temperature import temperature_spec
from vcviz.records import LatentSet, ReliabilityCurve
from vcviz.widgets.bind import Bound
from vcviz.widgets.controls import PLAIN, Choices, dropdown, reset_button
from vcviz.widgets.display import Explorer
from vcviz.widgets.sources import sources

_LOG_T = 0.7  # temperatures from 1/5 to 5
_TEMPERATURES = np.logspace(-_LOG_T, _LOG_T, 57)


class CalibrationExplorer(Explorer):
    """Reliability diagrams of runs with sliders for bins and temperature.

    Parameters
    ----------
    runs : a `Run`, a LatentSet, a (LatentSet, prior) pair, or a sequence of them; all with the
        same classes. A LatentSet may carry any latents: only its log-probabilities are used.
    resamples : draws for the intervals
    theme : "auto", "light" or "dark"

    Attributes
    ----------
    controls : name -> control, among ``runs``, ``split``, ``label``, ``binning``, ``bins``,
        ``temperature``
    view, widget : the live figure; controls and figure
    """

    def __init__(self, runs: Any, *, resamples: int = 1000, theme: style.Theme = "auto") -> None:
        self._sources = sources(runs)
        self._theme, self._resamples = theme, resamples
        # Slow parts are kept: a temperature moved back and forth bins nothing twice.
        self._curve = cache(self._new_curve)
        self._sweep = cache(self._new_sweep)
        controls: dict[str, ipw.Widget] = {}
        if len(self._sources) > 1:
            controls["runs"] = Choices(
                [(s.title, i) for i, s in enumerate(self._sources)], description="Runs"
            )
        if any(s.epochs for s in self._sources):
            controls["split"] = dropdown("Split", [("test", "test"), ("train", "train")])
        names = self._sources[0].class_names
        labels: list[tuple[str, Any]] = [
            ("top label", "top"),
            *((f"class {n}", k) for k, n in enumerate(names)),
        ]
        controls["label"] = dropdown("Confidence in", labels)
        controls["binning"] = dropdown(
            "Bins of", [("equal width", "width"), ("equal mass", "mass")]
        )
        controls["bins"] = ipw.IntSlider(
            15, 2, 50, description="Number of bins", style=PLAIN, layout=ipw.Layout(width="340px")
        )
        controls["temperature"] = ipw.FloatLogSlider(
            1.0,
            min=-_LOG_T,
            max=_LOG_T,
            step=0.025,
            description="Temperature T",
            style=PLAIN,
            readout_format=".3g",
            layout=ipw.Layout(width="380px"),
        )
        wrap = ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 18px")
        boxes = ipw.Box([*controls.values(), reset_button(self.reset)], layout=wrap)
        super().__init__(Bound(self._draw, controls, "temperature", boxes))

    def figure(self, *, bins: tuple[int, ...] = (10, 15, 30), frames: int = 29) -> go.Figure:
        """Return one static figure with a temperature slider and a list of bin numbers."""
        return self.bound.figure(menus={"bins": bins}, frames=frames)

    def _draw(self, **values: Any) -> dict[str, Any]:
        shown = values.get("runs", tuple(range(len(self._sources))))
        split = values.get("split", "test")
        # ipywidgets takes a value of None for "nothing chosen".
        label = None if values["label"] == "top" else values["label"]
        bins = values["bins"], values["binning"], label
        temperature = float(values["temperature"])
        curves = [self._curve(i, split, bins, temperature) for i in shown]
        sweeps = [self._sweep(i, split, bins) for i in shown]
        return style.themed(temperature_spec(curves, sweeps, temperature), self._theme)

    def _latents(self, i: int, split: str) -> LatentSet:
        return self._sources[i].latents((split, False), None)[0]  # type: ignore[arg-type]

    def _new_curve(
        self, i: int, split: str, bins: tuple[int, Any, int | None], temperature: float
    ) -> ReliabilityCurve:
        lat = self._latents(i, split)
        n_bins, binning, label = bins
        return reliability_curve(
            apply_temperature(lat.log_probs, temperature),
            lat.y,
            n_bins=n_bins,
            binning=binning,
            label=label,
            resamples=self._resamples,
            name=self._sources[i].title,
        )

    def _new_sweep(self, i: int, split: str, bins: tuple[int, Any, int | None]) -> TemperatureSweep:
        lat = self._latents(i, split)
        n_bins, binning, label = bins
        return temperature_sweep(
            lat.log_probs,
            lat.y,
            _TEMPERATURES,
            n_bins=n_bins,
            binning=binning,
            label=label,
            name=self._sources[i].title,
        )
