"""The noisy logits of a heteroscedastic classifier as a NumPy record."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from vcviz.base.errors import InputError
from vcviz.latents.modules import evaluating, head_of
from vcviz.models.classifier import Classifier
from vcviz.models.heads.heteroscedastic import HeteroscedasticHead
from vcviz.records import LogitLaw, Split, as_array, as_float

_BATCH = 1024


@torch.no_grad()
def logit_law(model: Classifier, data: Split | ArrayLike, *, name: str | None = None) -> LogitLaw:
    """Return mean, scale and factor of the utilities of every input, before temperature and draws.

    Parameters
    ----------
    model : a classifier with the head "heteroscedastic"
    data : a split, or inputs as the model takes them. A stochastic encoder gives its mean latent
    name : of the result; default the split's

    Returns
    -------
    LogitLaw
        Of N inputs and C classes.

    Raises
    ------
    InputError
        If the model has another head.

    References
    ----------
    Collier et al., A Simple Probabilistic Method for Deep Classification under Input-Dependent
    Label Noise, 2020, arXiv 2003.06778.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="heteroscedastic", epochs=2, progress=False)
    >>> law = vcviz.latents.logit_law(run.model(), run.split())
    >>> law.mean.shape, law.scale.shape, law.noise
    ((1000, 5), (1000, 5), 'normal')
    """
    head = head_of(model, HeteroscedasticHead)
    x = data.x if isinstance(data, Split) else as_array("data", data)
    if x.ndim < 2 or len(x) == 0:
        raise InputError(f"data must be (N, …) with an input at least, got shape {x.shape}")
    if x.dtype.kind != "u" and x.dtype.kind != "i":
        single = head.mean.weight.dtype == torch.float32  # grids are made in double
        x = as_float("data", x, None, np.float32 if single else np.float64)
    place = head.mean.weight.device
    try:
        with evaluating(model):
            parts = [
                head.logit_law(model.encode(torch.as_tensor(np.array(batch), device=place)))
                for batch in np.array_split(x, max(1, -(-len(x) // _BATCH)))
            ]
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"the model failed on inputs {x.shape} of {x.dtype}: {reason}") from error
    mean, factor, scale = (_joined(column) for column in zip(*parts, strict=True))
    numbers = tuple(str(k) for k in range(head.n_classes))
    names = data.class_names if isinstance(data, Split) else numbers
    title = name or (data.name if isinstance(data, Split) else "logits")
    return LogitLaw(mean, scale, factor, head.temperature, head.noise, names, title)


def _joined(tensors: Any) -> Any:
    return None if tensors[0] is None else torch.cat(tensors).cpu().double().numpy()
