"""What the masks of a DropMax head retain, as NumPy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from vcviz.base.arguments import takes_records
from vcviz.latents.extraction import to_numpy
from vcviz.latents.modules import head_of
from vcviz.models.heads.dropmax import DropMaxHead
from vcviz.records import LatentSet, RetainSet, as_array, as_float


@takes_records
def retain_set(model: nn.Module, lat: LatentSet) -> RetainSet:
    """Return the retain probabilities that a DropMax classifier gives to latents of its own.

    Parameters
    ----------
    model : a classifier with the head "dropmax"
    lat : its latents, with labels

    Raises
    ------
    InputError
        If the model's head is not DropMax.

    References
    ----------
    Lee et al., DropMax: Adaptive Variational Softmax, NeurIPS 2018, arXiv 1712.07834.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="dropmax", epochs=2, progress=False)
    >>> retained = vcviz.latents.retain_set(run.model(), run.latents())
    >>> retained.rho.shape, bool((retained.posterior[retained.own] == 1).all())
    ((1000, 5), True)
    """
    head = head_of(model, DropMaxHead)
    z = _tensor(head, lat.z)
    y = torch.from_numpy(lat.y.copy()).to(z.device)
    with torch.no_grad():
        return RetainSet(
            lat, to_numpy(head.retain_probs(z)), to_numpy(head.posterior_retain_probs(z, y))
        )


def masked_log_probs(model: nn.Module, z: ArrayLike, masks: ArrayLike) -> NDArray[np.float32]:
    """Return (S, N, C) log p(y|z, m) of latents (N, D) under each of the masks (S, C).

    A class that a mask drops has the smallest positive probability; a mask that retains none
    counts as one that retains all.
    """
    head = head_of(model, DropMaxHead)
    kept = torch.from_numpy(as_array("masks", masks, 2).astype(bool))[:, None]
    place = _tensor(head, z)
    with torch.no_grad():
        return to_numpy(head.masked_log_probs(place, kept.to(place.device)))


def _tensor(head: DropMaxHead, z: ArrayLike) -> torch.Tensor:
    values = torch.from_numpy(as_float("z", z, 2).copy())
    return values.to(head.log_class_prior)
