"""Measures of calibration on the test split."""

from __future__ import annotations

from vcviz.base.errors import InputError
from vcviz.metrics.calibration import (
    expected_calibration_error,
    mean_kl,
    negative_log_likelihood,
    smooth_calibration_error,
)
from vcviz.metrics.posthoc import cross_recalibrate
from vcviz.runs import Run


def calibration(run: Run) -> dict[str, float]:
    """Return ``smooth_ece`` (fraction), and ``ece_scaled`` and ``nll_scaled`` (nats).

    The last two are after temperature scaling, each test row by a temperature fitted to other
    folds of the test split: what any head can have for the price of one number.
    """
    lat = run.latents("test")
    scaled = cross_recalibrate(lat.log_probs, lat.y, "temperature", seed=run.config.seed)
    return {
        "smooth_ece": smooth_calibration_error(lat.log_probs, lat.y, resamples=0).ece,
        "ece_scaled": expected_calibration_error(scaled, lat.y),
        "nll_scaled": negative_log_likelihood(scaled, lat.y),
    }


def human(run: Run) -> dict[str, float]:
    """Return ``human_kl``, the mean KL of the model from what people said of each row, in nats.

    Raises
    ------
    InputError
        If the test split has no label distributions.
    """
    test, lat = run.split("test"), run.latents("test")
    if test.label_probs is None:
        raise InputError(
            f"the test split of {run.name!r} has no label distributions; say where they are with "
            "the dataset option label_probs"
        )
    return {"human_kl": mean_kl(test.label_probs[lat.index], lat.log_probs)}
