"""Measures of what a classifier says of other inputs, or for other label frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.data.corruptions import SEVERITIES
from vcviz.metrics.accuracy import balanced_accuracy
from vcviz.metrics.calibration import expected_calibration_error, negative_log_likelihood
from vcviz.metrics.information import mutual_information, shift_prior
from vcviz.runs import Run
from vcviz.studies.compare.corruptions import corrupted_latents


def corruption(run: Run, *, kinds: Sequence[str], rows: int = 1000) -> dict[str, float]:
    """Return accuracy, ECE and NLL on corrupted test rows, means over the kinds of corruption.

    ``corrupted_accuracy_3`` is that of severity 3, ``corrupted_accuracy`` the mean over all five;
    likewise ``corrupted_ece`` (fractions) and ``corrupted_nll`` (nats).

    Parameters
    ----------
    run : a run that can load its data again
    kinds : names of `vcviz.data.CORRUPTIONS`
    rows : test rows, the first
    """
    check_count("rows", rows)
    if isinstance(kinds, str) or not kinds:
        raise InputError("kinds must list corruptions, see vcviz.data.CORRUPTIONS")
    found: dict[str, list[float]] = {}
    for severity in range(1, SEVERITIES + 1):
        for kind in kinds:
            lat = corrupted_latents(run, kind, severity, rows=rows, progress=False)
            for name, value in (
                ("accuracy", lat.accuracy),
                ("ece", expected_calibration_error(lat.log_probs, lat.y)),
                ("nll", negative_log_likelihood(lat.log_probs, lat.y)),
            ):
                found.setdefault(f"corrupted_{name}_{severity}", []).append(value)
                found.setdefault(f"corrupted_{name}", []).append(value)
    return {name: fmean(values) for name, values in found.items()}


def attack(
    run: Run,
    *,
    epsilons: Sequence[float],
    methods: Sequence[str] = ("pgd", "apgd"),
    rows: int = 200,
    steps: int = 20,
    draws: int = 1,
) -> dict[str, float]:
    """Return accuracy under L-infinity attacks, and how many of their sanity gates failed.

    ``pgd_accuracy_0.1`` is the share of rows that hold at every radius up to 0.1 (fraction),
    ``pgd_accuracy`` the mean over the radii;
    ``apgd_gates_failed`` counts the gates of that attack that do not hold.

    Parameters
    ----------
    run : a run on images or tables that can load its data again
    epsilons : radii, in [0, 1] for images and standardised units for tables
    methods : of `vcviz.attack`
    rows : test rows, the first
    steps, draws : of each attack; draws of the gradient average over the model's own noise
    """
    if isinstance(methods, str) or not methods:
        raise InputError("methods must list attacks, see vcviz.attack")
    found = {}
    for method in methods:
        curve = run.robustness(
            rows, epsilons=epsilons, method=method, steps=steps, draws=draws, resamples=0,
            seed=run.config.seed, progress=False,
        )  # fmt: skip
        for radius, accuracy in zip(curve.epsilon[1:], curve.accuracy[1:], strict=True):
            found[f"{method}_accuracy_{radius:g}"] = float(accuracy)
        found[f"{method}_accuracy"] = float(curve.accuracy[1:].mean())
        found[f"{method}_gates_failed"] = float(len(curve.gates.failed))
    return found


def label_shift(run: Run) -> dict[str, float]:
    """Return numbers of predictions for other label frequencies, and ``information`` (nats).

    ``balanced_accuracy_shifted`` (fraction) is of predictions for equally likely classes: those of
    a head that has learnt the training frequencies are divided by these (post-hoc logit
    adjustment). ``accuracy_matched``, ``ece_matched`` (fractions) and ``nll_matched`` (nats) are of
    predictions for the label frequencies of the test rows, at which these numbers judge them.
    ``information`` is the estimate of I(X; Y) of `vcviz.mutual_information`.
    """
    lat = run.latents("test")
    if lat.label_prior is None:
        lat = replace(lat, label_prior=run.label_frequencies)
    moved = shift_prior(lat, to_prior=np.full(lat.n_classes, 1 / lat.n_classes))
    matched = shift_prior(lat)
    return {
        "accuracy_matched": matched.accuracy,
        "ece_matched": expected_calibration_error(matched),
        "nll_matched": negative_log_likelihood(matched),
        "balanced_accuracy_shifted": balanced_accuracy(moved.log_probs, lat.y),
        "information": mutual_information(lat).estimate,
    }
