"""Latents of any torch classifier: torch in, NumPy records out."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from vcviz.errors import InputError
from vcviz.latents.adapter import reading
from vcviz.latents.batches import Rows, batches_of, length_of
from vcviz.latents.modules import label_prior_of, linears, unwrapped
from vcviz.latents.outputs import Inputs
from vcviz.options import check_count
from vcviz.records import LatentPrior, LatentSet, Split, as_labels

__all__ = ["extract_latents", "last_linear", "prior_of"]


def extract_latents(
    model: nn.Module,
    data: Any,
    *,
    layer: str | None = None,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
    out: str | os.PathLike[str] | None = None,
    name: str | None = None,
    progress: bool = True,
    seed: int = 0,
) -> LatentSet:
    """Return the latents z and log-probabilities of every row of `data`, in its order.

    The latent is the input of the classifier's last layer: what `encode` gives for our models,
    and for any other module the input of the last `nn.Linear` called in its forward pass. The
    model runs in evaluation mode and without gradients; afterwards it is as it was.

    Parameters
    ----------
    model : a `Classifier`, or any module from a batch to (B, C) logits or log-probabilities; it
        may give them bare, as ``.logits``, in a dict, or first in a tuple
    data : a `Split`; a pair of arrays or tensors ``(x, y)``; a torch dataset; or a loader of
        batches that are ``(x, y)`` or, as Hugging Face's, dicts with ``pixel_values`` or
        ``input_ids`` and ``labels`` (handed to the model by keyword, without the labels).
        Images in uint8 become floats in [0, 1] for models that are not ours.
    layer : name of the module whose input is the latent, where the default does not find it; axes
        of size 1, as after global pooling, are dropped
    batch_size : rows at a time, except for a loader, which has its own
    device : where to compute; default the model's own device
    out : ``.npy`` file for the latents, which are then memory-mapped. Latents above 1 GiB are
        mapped in any case, in an unnamed temporary file, and so are log-probabilities.
    name : of the result; default the split's
    progress : show a bar if it takes more than 2 s
    seed : of the noise of a stochastic encoder or head

    Returns
    -------
    LatentSet
        `index` counts the rows in the order in which they came. Of a stochastic encoder `z` is one
        draw of q(z|x) for each row. `energy` is None if the model normalises its own output.
        `label_prior` is that of the head of a `Classifier`; None for any other model.

    Raises
    ------
    InputError
        If the latents cannot be found or are not one vector per row, the model's output is not
        that of a classifier or is NaN, or labels and rows do not match.
    """
    check_count("batch_size", batch_size)
    check_count("seed", seed, minimum=0)
    names = data.class_names if isinstance(data, Split) else ()
    title = name or (data.name if isinstance(data, Split) else "latents")
    n = length_of(data)
    with (
        reading(model, layer=layer, device=device) as read,
        Rows(out, n) as latents,
        Rows(None, n) as outputs,
        Rows(None, n) as labels,
        Rows(None, n) as energies,
        tqdm(total=n, unit=" rows", desc=title, delay=2, disable=not progress) as bar,
        torch.no_grad(),
    ):
        generator = torch.Generator(read.device).manual_seed(seed)
        for x, y in batches_of(data, batch_size):
            if np.size(y) == 0:
                continue
            z, log_probs, energy = read(x, generator)
            rows, n_classes = log_probs.shape
            names = class_names(names, n_classes)
            labels.add(as_labels("y", y, rows, n_classes))
            outputs.add(to_numpy(log_probs))
            latents.add(to_numpy(z))
            energies.add(to_numpy(energy))
            bar.update(rows)
        if not len(labels):
            raise InputError(
                "data gave no batches; a split, arrays or a loader with rows is needed"
            )
        return LatentSet(
            latents.finish(),
            outputs.finish(),
            labels.finish(),
            class_names=names,
            name=title,
            energy=_energy(energies.finish()),
            label_prior=label_prior_of(model),
        )


def prior_of(model: nn.Module) -> LatentPrior | None:
    """Return the law p(z|y) that the model's head states; None if it states none.

    A plain softmax layer states none, but implies one: see `implied_prior`.
    """
    prior = getattr(getattr(unwrapped(model), "head", None), "prior", None)
    return prior() if callable(prior) else None


def last_linear(
    model: nn.Module, example: Inputs | None = None, *, layer: str | None = None
) -> nn.Linear:
    """Return the linear layer that makes the logits; its weight and bias imply a prior.

    ``layer = last_linear(model); implied_prior(layer.weight, layer.bias, latents)``

    Parameters
    ----------
    model : any classifier that ends in an `nn.Linear`, our softmax head included
    example : a batch; with it the last `nn.Linear` *called* is returned, without it the last one
        *registered*, which is the same in most models
    layer : its name, where neither finds it

    Raises
    ------
    InputError
        If there is no such layer, or a head of ours states a law of its own (see `prior_of`).
    """
    found: Any
    with reading(model, layer=layer) as read:
        if layer is not None:
            found = read.model.get_submodule(layer)
        elif read.ours:
            head: Any = read.model.head
            found = head.linear_layer()
        elif example is not None:
            with torch.no_grad():
                read(example)
            found = read.last[1] if read.last else None
        else:
            found = next(reversed(list(linears(read.model).values())), None)
    if not isinstance(found, nn.Linear):
        kind = type(read.model.head).__name__ if read.ours else type(read.model).__name__
        what = kind if layer is None else f"layer {layer!r} of {kind}"
        raise InputError(f"{what} is not an nn.Linear and has none that makes the logits")
    return found


def _energy(values: NDArray[np.float32]) -> NDArray[np.float32] | None:
    # A model that gives log-probabilities has thrown the scale of its logits away.
    return values if np.abs(values).max() > 1e-4 else None


def class_names(names: tuple[str, ...], n_classes: int) -> tuple[str, ...]:
    """Return `names` for C classes; classes that the data never names get their number.

    Raises
    ------
    InputError
        If there are more names than classes.
    """
    if len(names) > n_classes:
        raise InputError(f"the data has {len(names)} classes, the model only {n_classes}")
    return (*names, *(str(k) for k in range(len(names), n_classes)))


def to_numpy(values: Tensor) -> NDArray[np.float32]:
    """Return a tensor's values as a float32 array."""
    return values.detach().float().cpu().numpy()
