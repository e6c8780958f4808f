"""What a head means in training beside its own options: its encoder, its rate, its critic's steps.

Plain data, so that settings can be checked without torch. `RunConfig` fills in what is not given.
Where the authors' settings come from, and what of theirs is left out, stands in docs/presets.md.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

#: preset -> head -> settings of `RunConfig`, ``head_options`` among them
PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # Of VC by the rule in docs/defaults.md: the model of the paper has a stochastic encoder.
    "vcviz": {
        "variational": {"stochastic": True, "rate_weight": 0.03, "law_lr_scale": 10.0},
    },
    # What the papers' authors released, as far as it does not depend on their data and encoder.
    # All of it, also where it is vcviz's default today.
    "paper": {
        "variational": {
            "stochastic": False,
            "optimizer": "sgd",
            "lr": 0.1,
            "momentum": 0.9,
            "weight_decay": 1e-3,
            "law_lr_scale": 0.1,
            "critic_optimizer": "adamw",
            "critic_lr": 1e-3,
            "critic_steps": 1,
            "batch_size": 256,
            "epochs": 90,
            "schedule": "step",
            "schedule_options": {"milestones": [1 / 3, 2 / 3], "gamma": 0.1},
            "head_options": {
                "likelihood_weight": 0.01,
                "critic_weight": 0.01,
                "mle_to_encoder": True,
                "critic": "per_class",
                "critic_layers": 1,
                "critic_init": "normal",
                "critic_penalty": 0.0,
                "law": "gaussian",
                "covariance": "diagonal",
                "learn_mean": True,
                "learn_scale": True,
                "initial_scale": 1.0,
                "law_options": {"initial_means": "normal", "learn_log_variance": True},
                "use_class_prior": False,
                "rectified": True,
            },
        },
        "gaussian_mixture": {
            "optimizer": "sgd",
            "lr": 0.1,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "law_lr_scale": 2.0,
            "batch_size": 128,
            "epochs": 307,
            "schedule": "step",
            "schedule_options": {"milestones": [1 / 2, 3 / 4], "gamma": 0.1},
            "head_options": {
                "likelihood_weight": 0.1,
                "margin": 0.3,
                "initial_margin": 0.1,
                "margin_doubling": 1 / 24,
                "law": "gaussian",
                "covariance": "isotropic",
                "learn_mean": True,
                "learn_scale": False,
                "initial_scale": 1.0,
                "law_options": {"initial_means": "he"},
                "use_class_prior": False,
            },
        },
        "dropmax": {
            "optimizer": "adam",
            "lr": 1e-3,
            "weight_decay": 1e-4,
            "batch_size": 100,
            "epochs": 200,
            "schedule": "step",
            "schedule_options": {"milestones": [1 / 3, 2 / 3], "gamma": 0.1},
            "head_options": {
                "variant": "variational",
                "temperature": 0.1,
                "draws": 1,
                "predict": "expected",
                "kl_weight": 1.0,
                "entropy_weight": 1.0,
                "auxiliary_weight": 1.0,
            },
        },
        "heteroscedastic": {
            "optimizer": "sgd",
            "lr": 0.4,
            "momentum": 0.9,
            "weight_decay": 4e-4,
            "batch_size": 512,
            "epochs": 200,
            "schedule": "step",
            "schedule_options": {"milestones": [0.3, 0.6, 0.8], "gamma": 0.2, "warmup": 1 / 200},
            "head_options": {
                "covariance": "low_rank",
                "rank": 6,
                "noise": "normal",
                "temperature": 1.3,
                "draws": 10000,
                "predict_draws": 10000,
                "smallest_scale": 1e-3,
            },
        },
        "pc_softmax": {
            "optimizer": "sgd",
            "lr": 0.01,
            "momentum": 0.5,
            "nesterov": False,
            "weight_decay": 0.0,
            "batch_size": 64,
            "epochs": 8,
            "schedule": "constant",
            "head_options": {"predict_prior": "uniform"},
        },
    },
}


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with what their head's preset adds to those that are given."""
    preset, head = values.get("preset", "vcviz"), values.get("head", "softmax")
    if not isinstance(preset, str) or not isinstance(head, str):
        return dict(values)
    chosen = copy.deepcopy(dict(PRESETS.get(preset, {}).get(head, {})))
    if "schedule" in values:
        chosen.pop("schedule_options", None)  # which are of the preset's schedule
    if values.get("stochastic") is False:
        chosen = {k: v for k, v in chosen.items() if k not in ("draws", "rate_weight")}
    found = {**chosen, **values}
    own = values.get("head_options", {})
    if isinstance(own, Mapping):
        found["head_options"] = {**chosen.get("head_options", {}), **own}
    return found
