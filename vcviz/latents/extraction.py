"""Latents of any torch classifier: torch in, NumPy records out."""

from __future__ import annotations

import os
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from vcviz.base.errors import InputError
from vcviz.base.options import check_count
from vcviz.latents.adapter import found_before, reading
from vcviz.latents.batches import batches_of, keeps_order, length_of, resolved
from vcviz.latents.modules import (
    as_module,
    label_prior_of,
    signature_of,
    unwrapped,
)
from vcviz.latents.outputs import Inputs
from vcviz.latents.rows import Rows
from vcviz.models.classifier import Classifier
from vcviz.models.heads.base import Head
from vcviz.records import LatentPrior, LatentSet, Split, as_labels, columns_of

__all__ = ["extract_latents", "last_linear", "prior_of"]

#: bytes of inputs that are kept of one pass
_KEPT = 2**29


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
    ids: ArrayLike | None = None,
    table: Any = None,
) -> LatentSet:
    """Return the latents z and log-probabilities of every row of `data`, in its order.

    The latent is what the scores are an affine map W z + b of: what `encode` gives for our models,
    and for any other module the last tensor of its forward pass from which weights make the
    scores, however that is written: a layer, a product, a convolution, an adapter beside a layer,
    normalised weights, a temperature. A pass of a few rows is watched to find it, and every batch
    is held against it (`last_linear` gives the map). A model whose scores are no affine map of
    anything, as soft-capped ones, gives the input of its last weights, and a warning that says so.
    The model runs in evaluation mode and without gradients; afterwards it is as it was, and so are
    the session's random numbers.

    Parameters
    ----------
    model : a `Classifier`, or any module from a batch to (B, C) logits or log-probabilities; it
        may give them bare, as ``.logits``, in a dict, or first in a tuple. TorchScript, exported
        programs and compiled modules are read as others are
    data : a `Split`; a pair of arrays or tensors ``(x, y)``; a torch or Hugging Face data set
        (``test`` of several splits); a Lightning data module (its test or validation loader); or a
        loader of batches: ``(x, y, …)``, dicts, dataclasses or named tuples with a column
        ``label``. Columns that the model's forward pass does not take are left out by its
        signature, and told of the rows in `table`. Images in uint8 become floats in [0, 1] for
        models that are not ours.
    layer : name of the module whose input is the latent, where the default does not find it; axes
        of size 1, as after global pooling, are dropped
    batch_size : rows at a time, except for a loader, which has its own
    device : where to compute; default the model's own device
    out : ``.npy`` file for the latents, which are then memory-mapped. Latents above 1 GiB are
        mapped in any case, in an unnamed temporary file, and so are log-probabilities.
    name : of the result; default the split's
    progress : show a bar if it takes more than 2 s
    seed : of the noise of a stochastic encoder or head
    ids : (N,) a name or number of the user's own for each row, column ``id`` of the `table`
    table : DataFrame or columns by name, one value per row of `data`, to go with the rows

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
        that of a classifier or is NaN, labels and rows do not match, or `ids` or `table` are given
        for a loader that shuffles.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> x, y = torch.randn(50, 4), torch.arange(50) % 3
    >>> lat = vcviz.extract_latents(net, (x, y), progress=False)
    >>> lat.z.shape, lat.log_probs.shape  # the latent is the input of the last layer
    ((50, 8), (50, 3))
    >>> bool(np.allclose(lat.z, net[:2](x).detach()))
    True
    """
    found = read_pass(
        model,
        data,
        layer=layer,
        batch_size=batch_size,
        device=device,
        out=out,
        name=name,
        progress=progress,
        seed=seed,
        ids=ids,
        table=table,
    )
    if found.no_law and layer is None:
        warnings.warn(f"{found.no_law}; the latents are what they are made of", stacklevel=2)
    return found.latents


@dataclass(frozen=True)
class Pass:
    """What one pass over the data gave; all of it is of the same rows.

    Attributes
    ----------
    latents : of every row
    has_latents : whether a latent was found; else `latents.z` are the log-probabilities
    layer : the affine map that makes the scores, None if there is none or the model is ours
    no_law : what the scores are if no affine map of the latents; else ""
    inputs : the first rows as the model got them, None if they are not arrays of numbers
    """

    latents: LatentSet
    has_latents: bool
    layer: nn.Linear | None
    no_law: str
    inputs: NDArray[Any] | None


def read_pass(
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
    ids: ArrayLike | None = None,
    table: Any = None,
    strict: bool = True,
    keep: int = 0,
) -> Pass:
    """Return all that a pass over the data gives; the parameters are those of `extract_latents`.

    A model without a latent is refused if `strict`. Of at most `keep` rows the inputs are kept.
    """
    check_count("batch_size", batch_size)
    check_count("seed", seed, minimum=0)
    model, data = as_module(model), resolved(data)
    if (ids is not None or table is not None) and not keeps_order(data):
        raise InputError(
            "ids= and table= are in the order of the data, which this loader does not keep; "
            "pass the data set itself, or put the ids into its batches"
        )
    names = data.class_names if isinstance(data, Split) else ()
    title = name or (data.name if isinstance(data, Split) else "latents")
    n = length_of(data)
    with ExitStack() as stack:
        read = stack.enter_context(reading(model, layer=layer, device=device, strict=strict))
        latents = stack.enter_context(Rows(out))
        outputs, labels, energies = (stack.enter_context(Rows()) for _ in range(3))
        bar = stack.enter_context(
            tqdm(total=n, unit=" rows", desc=title, delay=2, disable=not progress)
        )
        stack.enter_context(torch.no_grad())
        generator = torch.Generator(read.device).manual_seed(seed)
        more: dict[str, list[NDArray[Any]]] = {}
        inputs: list[Tensor] = []
        for x, y, columns in batches_of(data, batch_size, signature_of(model)):
            if np.size(y) == 0:
                continue
            if not isinstance(x, Tensor) or not (x.is_floating_point() or x.dtype.itemsize == 1):
                # Mappings and whole numbers other than bytes are words, which have no gradients.
                keep, inputs = 0, []
            elif sum(map(len, inputs)) < keep:
                # A copy: the loader may fill the same memory with the next batch.
                inputs.append(x[:keep].detach().to("cpu", copy=True))
            z, log_probs, energy = read(x, generator)
            rows, n_classes = log_probs.shape
            names = class_names(names, n_classes)
            labels.add(as_labels("y", y, rows, n_classes))
            outputs.add(to_numpy(log_probs))
            latents.add(to_numpy(z))
            energies.add(to_numpy(energy))
            for column, values in columns.items():
                more.setdefault(column, []).append(values)
            bar.update(rows)
        if not len(labels):
            raise InputError(
                "data gave no batches; a split, arrays or a loader with rows is needed"
            )
        found = LatentSet(
            latents.finish(),
            outputs.finish(),
            labels.finish(),
            class_names=names,
            name=title,
            energy=_energy(energies.finish()),
            label_prior=label_prior_of(model),
            table={
                k: v for k, parts in more.items() if len(v := np.concatenate(parts)) == len(labels)
            },
        )
        own: dict[str, Any] = {} if ids is None else {"id": ids}
        if own or table is not None:
            given = {} if table is None else columns_of(table)
            found = replace(found, table={**(found.table or {}), **own, **given})
        return Pass(
            found, read.has_latents, read.linear(), read.no_law, _first_inputs(inputs, keep)
        )


def _first_inputs(batches: list[Tensor], most: int) -> NDArray[Any] | None:
    """Return the first rows of the inputs of a pass, None if there are none of one shape."""
    if len({x.shape[1:] for x in batches}) != 1 or not sum(map(len, batches)):
        return None
    x = torch.cat(batches)
    x = x[: min(most, _KEPT // max(1, x[0].numel() * x.element_size()))]
    floating = x.is_floating_point() and x.dtype != torch.float64
    return (x.float() if floating else x).numpy() if len(x) else None


def prior_of(model: nn.Module) -> LatentPrior | None:
    """Return the law p(z|y) that the model's head states; None if it states none.

    A plain softmax layer states none, but implies one: see `implied_prior`.

    Parameters
    ----------
    model : any module

    Returns
    -------
    LatentPrior or None
        On the CPU, in float64; None if the model's head states no distribution.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> vcviz.prior_of(run.model()).family
    'gaussian'
    >>> softmax = vcviz.train("mixture", epochs=3, progress=False)
    >>> vcviz.prior_of(softmax.model()) is None
    True
    """
    head = getattr(unwrapped(model), "head", None)  # of a module of anybody's, too
    return head.prior() if isinstance(head, Head) else None


def last_linear(
    model: nn.Module, example: Inputs | None = None, *, layer: str | None = None
) -> nn.Linear:
    """Return the affine map that makes the scores as a layer; its weight and bias imply a prior.

    ``layer = last_linear(model, x); implied_prior(layer.weight, layer.bias, latents)``

    Parameters
    ----------
    model : any classifier, our softmax head included
    example : a batch; with it the map is found by watching a forward pass, see `extract_latents`,
        and held against the scores. Without it what the last reading of this model found is
        returned, if its weights are still those; else the last `nn.Linear` *registered*, which
        is not checked here: `implied_prior` does, against the latents
    layer : name of the module whose input is the latent, where the default does not find it; with
        an example any module, without one an `nn.Linear`

    Returns
    -------
    nn.Linear
        The model's own layer, or, where several weights make the scores, one of the merged numbers.

    Raises
    ------
    InputError
        If there is no such map, or a head of ours states a law of its own (see `prior_of`).

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> layer = vcviz.last_linear(net, torch.randn(5, 4))
    >>> layer
    Linear(in_features=8, out_features=3, bias=True)
    """
    found: nn.Module | None = None
    model = as_module(model)
    inner = unwrapped(model)
    head = inner.head if isinstance(inner, Classifier) else None
    if head is not None and layer is None:
        found = head.linear_layer()
    elif example is not None:
        with reading(model, layer=layer) as read, torch.no_grad():
            read(example)
            found = read.linear()
            if found is None and head is None:
                raise InputError(read.no_law)
    if found is None and layer is not None:
        found = dict(inner.named_modules()).get(layer)
    elif found is None and head is None:
        registered = [m for m in inner.modules() if isinstance(m, nn.Linear)]
        found = found_before(inner) or next(reversed(registered), None)
    if not isinstance(found, nn.Linear):
        kind = type(inner if head is None else head).__name__
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
