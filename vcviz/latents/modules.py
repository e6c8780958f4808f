"""What is asked of any torch module: its layers, its device, and what it is wrapped in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vcviz.errors import InputError, unknown
from vcviz.model import Classifier

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module behind `nn.DataParallel`, an averaged or a compiled model."""
    inner: Any = model
    while True:
        if isinstance(inner, _WRAPPERS):
            inner = inner.module
        elif isinstance(getattr(inner, "_orig_mod", None), nn.Module):
            inner = inner._orig_mod
        else:
            return inner


def is_ours(model: nn.Module) -> bool:
    """Return whether the model is a `Classifier`."""
    return isinstance(model, Classifier)


def label_prior_of(model: nn.Module) -> NDArray[Any] | None:
    """Return the (C,) label frequencies that the log-probabilities are for; None if not known."""
    inner: Any = unwrapped(model)
    found = inner.head.label_prior if is_ours(inner) else None
    return None if found is None else found.detach().cpu().double().numpy()


def linears(model: nn.Module) -> dict[str, nn.Module]:
    """Return the linear layers by name, in the order in which they were registered."""
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}


def watched_layers(model: nn.Module, layer: str | None) -> dict[str, nn.Module]:
    """Return the modules by name whose input may be the latent: that named, or the linear ones.

    None of our own models, which say themselves what their latent is.

    Raises
    ------
    InputError
        If there is no layer of that name.
    """
    if layer is None:
        return {} if is_ours(model) else linears(model)
    modules = {name: module for name, module in model.named_modules() if name}
    if layer not in modules:
        raise unknown("layer", layer, modules)
    return {layer: modules[layer]}


def layer_names(model: nn.Module, n: int = 5) -> str:
    """Return the names of the last `n` modules, for a message."""
    return ", ".join([name for name, _ in model.named_modules() if name][-n:]) or "(it has none)"


def own_device(model: nn.Module) -> torch.device:
    """Return the device of the model's first parameter or buffer; the CPU if it has none."""
    return next((t.device for t in _tensors(model)), torch.device("cpu"))


def float_type(model: nn.Module) -> torch.dtype:
    """Return the type of the model's first floating-point parameter or buffer; else float32."""
    return next((t.dtype for t in _tensors(model) if t.is_floating_point()), torch.float32)


def move(model: nn.Module, device: torch.device | str) -> None:
    """Put the model on a device.

    Raises
    ------
    InputError
        If it is spread over several now, or the device cannot be used.
    """
    homes = {str(t.device) for t in _tensors(model)}
    if len(homes) > 1:
        raise InputError(f"the model is spread over {sorted(homes)}; leave device= out")
    try:
        model.to(torch.device(device))
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"device {str(device)!r} cannot be used: {reason}") from None


def any_layout_does(model: nn.Module) -> bool:
    """Return whether a model has convolutions, and no code that could ask for a layout.

    On a CPU convolutions and pooling take about half the time with the channels of a pixel side by
    side, and the results differ by rounding alone. A forward of somebody's own may use `view`,
    which fails on that layout. Our encoders have it in their weights.
    """
    modules = list(model.modules())
    return any(type(m) is nn.Conv2d for m in modules) and all(
        type(m).__module__.startswith("torch.nn.modules.")
        and (type(m) is nn.Sequential or next(m.children(), None) is None)
        for m in modules
    )


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()
