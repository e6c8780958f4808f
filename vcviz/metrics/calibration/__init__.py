"""How far a classifier's confidence can be trusted: reliability curves, ECE, scores, temperature.

All calibration errors are fractions, not percentages; likelihoods are in nats.
`vcviz.metrics.calibration.binning` says where the edges of the bins lie.
"""

from __future__ import annotations

from vcviz.metrics.calibration.reliability import (
    classwise_calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    reliability_curve,
)
from vcviz.metrics.calibration.scores import (
    BrierParts,
    brier_decomposition,
    brier_score,
    mean_kl,
    negative_log_likelihood,
)
from vcviz.metrics.calibration.smooth import SmoothError, smooth_calibration_error
from vcviz.metrics.calibration.temperature import (
    TemperatureFit,
    TemperatureSweep,
    apply_temperature,
    fit_temperature,
    temperature_sweep,
)

__all__ = [
    "BrierParts",
    "SmoothError",
    "TemperatureFit",
    "TemperatureSweep",
    "apply_temperature",
    "brier_decomposition",
    "brier_score",
    "classwise_calibration_error",
    "expected_calibration_error",
    "fit_temperature",
    "maximum_calibration_error",
    "mean_kl",
    "negative_log_likelihood",
    "reliability_curve",
    "smooth_calibration_error",
    "temperature_sweep",
]
