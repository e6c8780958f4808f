"""What a head means in training beside its own options: its encoder, its rate, its critic's steps.

Plain data, so that settings can be checked without torch. `RunConfig` fills in what is not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: preset -> head -> settings of `RunConfig`, ``head_options`` among them
PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # Of VC by the rule in docs/defaults.md: the model of the paper has a stochastic encoder.
    "vcviz": {
        "variational": {"stochastic": True, "rate_weight": 0.03, "law_lr_scale": 10.0},
    },
    "paper": {},
}


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with what their head's preset adds to those that are given."""
    preset, head = values.get("preset", "vcviz"), values.get("head", "softmax")
    if not isinstance(preset, str) or not isinstance(head, str):
        return dict(values)
    chosen = dict(PRESETS.get(preset, {}).get(head, {}))
    if values.get("stochastic") is False:
        chosen = {k: v for k, v in chosen.items() if k not in ("draws", "rate_weight")}
    found = {**chosen, **values}
    own = values.get("head_options", {})
    if isinstance(own, Mapping):
        found["head_options"] = {**chosen.get("head_options", {}), **own}
    return found
