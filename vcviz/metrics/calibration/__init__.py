"""How far a classifier's confidence can be trusted: reliability curves, ECE, scores, temperature.

All calibration errors are fractions, not percentages; likelihoods are in nats.
`vcviz.metrics.calibration.binning` says where the edges of the bins lie.
"""

from vcviz.metrics.calibration.reliability import (
    classwise_calibration_error as classwise_calibration_error,
)
from vcviz.metrics.calibration.reliability import (
    expected_calibration_error as expected_calibration_error,
)
from vcviz.metrics.calibration.reliability import (
    maximum_calibration_error as maximum_calibration_error,
)
from vcviz.metrics.calibration.reliability import reliability_curve as reliability_curve
from vcviz.metrics.calibration.scores import BrierParts as BrierParts
from vcviz.metrics.calibration.scores import brier_decomposition as brier_decomposition
from vcviz.metrics.calibration.scores import brier_score as brier_score
from vcviz.metrics.calibration.scores import mean_kl as mean_kl
from vcviz.metrics.calibration.scores import negative_log_likelihood as negative_log_likelihood
from vcviz.metrics.calibration.smooth import SmoothError as SmoothError
from vcviz.metrics.calibration.smooth import smooth_calibration_error as smooth_calibration_error
from vcviz.metrics.calibration.temperature import TemperatureSweep as TemperatureSweep
from vcviz.metrics.calibration.temperature import apply_temperature as apply_temperature
from vcviz.metrics.calibration.temperature import fit_temperature as fit_temperature
from vcviz.metrics.calibration.temperature import temperature_sweep as temperature_sweep
