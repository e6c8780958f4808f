"""Laws of the latents as arrays of a run's files, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.records import LatentPrior
from vcviz.runs.config import RunConfig
from vcviz.runs.settings import plain_session

_FIELDS = ("mean", "scale", "scale_tril", "log_weight", "df", "concentration")
_PRIOR, _STATE = "prior.", "law."


def law_arrays(prior: LatentPrior, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return what a run keeps of a law.

    Parameters
    ----------
    prior : the law; one without a family written down is Gaussian, as all were at first
    state : parameters of the module that states it, kept for a law of the user's own alone:
        its density is code, which the run's settings bring back
    """
    arrays = {f"{_PRIOR}{k}": v for k in _FIELDS if (v := getattr(prior, k)) is not None}
    if prior.scale_tril is not None and prior.one_scale:  # one for all classes is kept once
        arrays[f"{_PRIOR}scale_tril"] = np.array(prior.scale_tril[:1])
    if prior.family != "gaussian":
        arrays[f"{_PRIOR}family"] = np.frombuffer(prior.family.encode(), np.uint8)
    if prior.family == "custom":
        arrays |= {f"{_STATE}{k}": v for k, v in state.items()}
    return arrays


def stored_law(arrays: Mapping[str, NDArray[Any]], config: RunConfig) -> LatentPrior:
    """Return the law that `law_arrays` took apart."""
    family = arrays.get(f"{_PRIOR}family", np.empty(0, np.uint8)).tobytes().decode() or "gaussian"
    if family == "custom":
        return _custom_law(arrays, config)
    stated: dict[str, Any] = {k: arrays.get(f"{_PRIOR}{k}") for k in _FIELDS}
    return LatentPrior(**stated, family=family)


@plain_session()
def _custom_law(arrays: Mapping[str, NDArray[Any]], config: RunConfig) -> LatentPrior:
    import torch

    from vcviz.models.heads import build_head

    mean = arrays[f"{_PRIOR}mean"]
    n_classes, latent_dim = mean.shape
    options = {"latent_dim": latent_dim, "n_classes": n_classes, **config.head_options}
    law: Any = build_head(config.head, **options).law
    state = {k.removeprefix(_STATE): v for k, v in arrays.items() if k.startswith(_STATE)}
    law.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    prior: LatentPrior = law.prior(torch.from_numpy(arrays[f"{_PRIOR}log_weight"]))
    return prior
