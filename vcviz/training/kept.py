"""What a run keeps of its latents: numbers, rows that are looked at every epoch, and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vcviz.metrics.accuracy import balanced_accuracy
from vcviz.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_curve,
)
from vcviz.models.classifier import Classifier
from vcviz.records import LatentPrior, LatentSet, Split
from vcviz.runs.stored import LATENT_ARRAYS, law_arrays


def quick_scores(lat: LatentSet) -> dict[str, float]:
    """Return accuracy and ECE (fractions) and NLL (nats) of latents."""
    return {
        "accuracy": lat.accuracy,
        "nll": negative_log_likelihood(lat.log_probs, lat.y),
        "ece": expected_calibration_error(lat.log_probs, lat.y),
    }


def final_metrics(lat: LatentSet) -> dict[str, Any]:
    """Return the numbers kept in metrics.json, intervals included."""
    curve = reliability_curve(lat)
    return {
        "n_test": len(lat),
        "accuracy": lat.accuracy,
        "balanced_accuracy": balanced_accuracy(lat.log_probs, lat.y),
        "nll": negative_log_likelihood(lat.log_probs, lat.y),
        "brier": brier_score(lat.log_probs, lat.y),
        "ece": curve.ece,
        "ece_interval": list(curve.ece_interval),
        "ece_if_calibrated": curve.ece_if_calibrated,
        "ece_debiased": curve.ece_debiased,
        "ece_debiased_interval": list(curve.ece_debiased_interval),
        "ece_bins": curve.n_bins,
    }


def probe_rows(split: Split, n: int, seed: int) -> NDArray[np.int64]:
    """Return up to `n` row numbers, the same for every run of a split and seed, in order."""
    if len(split) <= n:
        return np.arange(len(split))
    return np.sort(np.random.default_rng(seed).choice(len(split), n, replace=False))


def latent_arrays(lat: LatentSet) -> dict[str, Any]:
    """Return the arrays of latents that a run folder holds."""
    arrays = {k: getattr(lat, k) for k in LATENT_ARRAYS}
    return {k: v for k, v in arrays.items() if v is not None}


def anticipated_arrays(model: Classifier) -> dict[str, Any]:
    """Return what the head anticipates: its own law, or the linear layer that implies one."""
    prior: LatentPrior | None = model.head.prior()
    if prior is not None:
        law: nn.Module = getattr(model.head, "law", nn.Module())
        state = {k: v.detach().cpu().numpy() for k, v in law.state_dict().items()}
        return law_arrays(prior, state)
    layer = model.head.linear_layer()
    if layer is None:
        return {}
    bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
    return {
        "layer.weight": layer.weight.detach().cpu().double().numpy(),
        "layer.bias": bias.detach().cpu().double().numpy(),
    }
