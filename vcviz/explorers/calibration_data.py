"""The numbers behind the CalibrationExplorer, each computed once it is asked for and then kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcviz.base.caching import cached_method
from vcviz.data.corruptions import SEVERITIES
from vcviz.explorers.panel_data import Source
from vcviz.figures.severity import MEASURES, SeveritySweep
from vcviz.metrics.calibration import (
    BrierParts,
    SmoothError,
    TemperatureSweep,
    apply_temperature,
    brier_decomposition,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_curve,
    smooth_calibration_error,
    temperature_sweep,
)
from vcviz.metrics.calibration.binning import Binning, bins_of, confidences
from vcviz.records import LatentSet, ReliabilityCurve
from vcviz.studies.compare.corruptions import corrupted_latents

LOG_T = (-0.7, 1.0)  # temperatures from 1/5 to 10
TEMPERATURES = np.logspace(*LOG_T, 69)
FEWEST, MOST = 2, 50  # bins
_MANY, _FEWER = 100_000, 4  # rows above which only every fourth temperature is tried
_PROBABILITIES = 2**26  # more are not looked at: half a gigabyte, several times over
_WHOLE = 4  # results as long as the rows that are kept
_DRAWS = 100  # of the smooth ECE, which costs more than the bins' do


class Rows(NamedTuple):
    """Which rows: of a split, or the first test rows corrupted."""

    split: str
    corruption: str | None = None
    severity: int = 0


class Bins(NamedTuple):
    """How confidences are binned, and whose: None for the top label, else the class."""

    n: int
    binning: Binning
    label: int | None


class Calibrations:
    """How calibrated one run is, at any temperature, binning and corruption.

    Parameters
    ----------
    source : the run
    resamples : draws for the intervals; 0 for none
    """

    def __init__(self, source: Source, resamples: int) -> None:
        self.source, self._resamples = source, resamples

    def latents(self, rows: Rows) -> LatentSet:
        """Return the latents of these rows."""
        if rows.corruption is None:
            return self._some(rows.split)[0]
        return corrupted_latents(self.source.run, rows.corruption, rows.severity)

    def bin_of(
        self, rows: Rows, bins: Bins, temperature: float, chosen: NDArray[np.bool_] | None = None
    ) -> NDArray[np.intp]:
        """Return the (N,) bins of these rows, or of those that are chosen of them."""
        confidence = self.outcomes(rows, bins.label, temperature)[0]
        confidence = confidence if chosen is None else confidence[chosen]
        return bins_of(confidence, self.curve(rows, bins, temperature).edges)

    def chosen(self, rows: Rows, wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these rows are among row numbers of the split."""
        return np.isin(self.latents(rows).index, wanted)

    def part(
        self, rows: Rows, bins: Bins, temperature: float, chosen: NDArray[np.bool_]
    ) -> ReliabilityCurve:
        """Return the reliability curve of some of these rows."""
        lat = self.latents(rows)
        return reliability_curve(
            self._scaled(rows, temperature)[chosen], lat.y[chosen], n_bins=bins.n,
            binning=bins.binning, label=bins.label, resamples=self._resamples, debiased=False,
        )  # fmt: skip

    # ------------------------------------------------------------ made once

    @cached_method()
    def _some(self, split: str) -> tuple[LatentSet, str]:
        """Return the clean rows of a split and "", or a random sample of them and how many it has.

        Some copies of all probabilities are made.
        """
        lat = self.source.trained(split)[0]
        most = _PROBABILITIES // lat.n_classes
        if len(lat) <= most:
            return lat, ""
        rows = np.sort(np.random.default_rng(0).choice(len(lat), most, replace=False))
        return lat.take(rows), f" ({most:,} of {len(lat):,} rows, drawn at random)"

    def _name(self, rows: Rows) -> str:
        """Return the title, and how large a sample of the rows is, if it is one."""
        return self.source.title + ("" if rows.corruption else self._some(rows.split)[1])

    @cached_method(_WHOLE)
    def _scaled(self, rows: Rows, temperature: float) -> NDArray[np.float64]:
        return apply_temperature(self.latents(rows).log_probs, temperature)

    @cached_method(_WHOLE)
    def outcomes(
        self, rows: Rows, label: int | None, temperature: float
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return (N,) confidences, and whether each came true."""
        return confidences(self._scaled(rows, temperature), self.latents(rows).y, label)

    @cached_method()
    def curve(
        self, rows: Rows, bins: Bins, temperature: float, debiased: bool = False
    ) -> ReliabilityCurve:
        """Return the reliability curve of these rows."""
        lat = self.latents(rows)
        found = reliability_curve(
            self._scaled(rows, temperature), lat.y, n_bins=bins.n,
            binning=bins.binning, label=bins.label, resamples=self._resamples,
            debiased=debiased, name=self._name(rows),
        )  # fmt: skip
        return replace(found, label_note=lat.label_note)

    @cached_method()
    def smooth(self, rows: Rows, label: int | None, temperature: float) -> SmoothError:
        """Return their smooth ECE."""
        draws = min(self._resamples, _DRAWS)
        return smooth_calibration_error(
            self._scaled(rows, temperature), self.latents(rows).y, label=label, resamples=draws
        )

    @cached_method()
    def brier(self, rows: Rows, n: int, binning: Binning, temperature: float) -> BrierParts:
        """Return the parts of their Brier score."""
        return brier_decomposition(
            self._scaled(rows, temperature), self.latents(rows).y, n_bins=n, binning=binning
        )

    @cached_method()
    def fitted(self, rows: Rows) -> float:
        """Return the temperature of least NLL on the clean rows; NaN if a label is impossible."""
        clean = self.latents(rows._replace(severity=0))
        if not np.isfinite(negative_log_likelihood(clean.log_probs, clean.y)):
            return float("nan")
        return fit_temperature(clean.log_probs, clean.y).temperature

    @cached_method()
    def sweep(self, rows: Rows, bins: Bins, step: int | None = None) -> TemperatureSweep:
        """Return NLL and ECE at every temperature, or at every `step`-th."""
        lat = self.latents(rows)
        step = step or (_FEWER if len(lat) > _MANY else 1)
        return temperature_sweep(
            lat.log_probs, lat.y, TEMPERATURES[::step], n_bins=bins.n, binning=bins.binning,
            label=bins.label, best=self.fitted(rows), name=self._name(rows),
        )  # fmt: skip

    def heights(self, rows: Rows, bins: Bins) -> list[TemperatureSweep]:
        """Return sweeps that reach as high and low as any that a slider leads to."""
        every = range(SEVERITIES + 1) if rows.corruption else (0,)
        return [
            self.sweep(rows._replace(severity=s), bins._replace(n=n), _FEWER)
            for s in every
            for n in (FEWEST, MOST)
        ]

    def severity_sweep(self, rows: Rows, bins: Bins, temperature: float) -> SeveritySweep:
        """Return accuracy, ECE and NLL at every severity of the corruption of these rows."""
        before, fitted, tops = self._severities(rows._replace(severity=0), bins)
        now = self._measured(rows, bins, temperature)
        severity = np.arange(SEVERITIES + 1)
        return SeveritySweep(severity, before, fitted, now, tops, self.source.title)

    @cached_method()
    def _severities(
        self, rows: Rows, bins: Bins
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, float]]:
        """Return what is measured at every severity at T = 1 and at the best T, and the largest."""
        best = self.fitted(rows)
        each = [rows._replace(severity=s) for s in range(SEVERITIES + 1)]
        both, tops = [], dict.fromkeys(MEASURES, 0.0)
        for temperature in (1.0, best if np.isfinite(best) else 1.0):
            measured = [self._measured(r, bins, temperature) for r in each]
            both.append({m: np.array([t[m] for t in measured]) for m in MEASURES})
            # More bins find more: the axis holds what they would show.
            found = measured + [self._measured(r, bins._replace(n=MOST), temperature) for r in each]
            for m in MEASURES:
                tops[m] = max(tops[m], *(t[m] for t in found if np.isfinite(t[m])))
        return both[0], both[1], tops

    def _measured(self, rows: Rows, bins: Bins, temperature: float) -> dict[str, float]:
        lat, scaled = self.latents(rows), self._scaled(rows, temperature)
        return {
            "accuracy": lat.accuracy,
            "ece": expected_calibration_error(
                scaled, lat.y, n_bins=bins.n, binning=bins.binning, label=bins.label
            ),
            "nll": negative_log_likelihood(scaled, lat.y),
        }
