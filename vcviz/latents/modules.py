"""What is asked of any torch module: its layers, its device, and what it is wrapped in."""

from __future__ import annotations

import inspect
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vcviz.base.errors import InputError, unknown
from vcviz.models.classifier import Classifier
from vcviz.models.heads.base import Head

H = TypeVar("H", bound=nn.Module)
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
    """Return whether the model is a `Classifier`, for rooms that import no torch at the top."""
    return isinstance(model, Classifier)


def label_prior_of(model: nn.Module) -> NDArray[Any] | None:
    """Return the (C,) label frequencies that the log-probabilities are for; None if not known."""
    inner = unwrapped(model)
    found = inner.head.label_prior if isinstance(inner, Classifier) else None
    return None if found is None else found.detach().cpu().double().numpy()


def head_of(model: nn.Module, kind: type[H]) -> H:
    """Return the head of a `Classifier`, or of anybody's module that has one of ours as `head`.

    Raises
    ------
    InputError
        If it is of another kind, or there is none.
    """
    inner = unwrapped(model)
    head = getattr(inner, "head", None)
    if not isinstance(head, kind):
        wanted = kind.__name__.removesuffix("Head")
        got = type(head if isinstance(head, Head) else inner).__name__
        raise InputError(f"a {wanted} head is needed, got {got}")
    return head


#: exported program -> the module that stands for it
_EXPORTED: WeakKeyDictionary[Any, nn.Module] = WeakKeyDictionary()


def as_module(model: Any) -> nn.Module:
    """Return a model as a module; an exported program gives the module of its graph.

    Raises
    ------
    InputError
        If it is no module, or its weights have no values.
    """
    if type(model).__name__ == "ExportedProgram":  # asking torch.export would import it, in seconds
        if model not in _EXPORTED:
            _EXPORTED[model] = model.module()  # another one each time
        model = _EXPORTED[model]
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if any(t.is_meta for t in _tensors(model)):
        raise InputError(
            "the model's weights are on the meta device, which keeps no values; "
            "load them before, for example model.load_state_dict(weights, assign=True)"
        )
    return model


def named_layer(model: nn.Module, layer: str) -> nn.Module:
    """Return the module of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    if layer not in modules:
        raise unknown("layer", layer, modules)
    return modules[layer]


class Signature(NamedTuple):
    """What the forward pass of a model takes.

    Attributes
    ----------
    names : its arguments, in their order
    required : how many of them have no default
    anything : whether it takes arguments of any name
    """

    names: tuple[str, ...] = ()
    required: int = 0
    anything: bool = True


#: of a model that does not say
ANYTHING = Signature()


def signature_of(model: nn.Module) -> Signature:
    """Return what the forward pass of a model takes, as far as it says so."""
    forward: Any = unwrapped(model).forward
    if isinstance(model, torch.jit.ScriptModule):
        arguments = forward.schema.arguments[1:]
        return Signature(
            tuple(a.name for a in arguments),
            sum(not a.has_default_value() for a in arguments),
            False,
        )
    try:
        found = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return ANYTHING
    kind = inspect.Parameter
    named = [p for p in found if p.kind in (kind.POSITIONAL_OR_KEYWORD, kind.KEYWORD_ONLY)]
    anything = any(p.kind is kind.VAR_KEYWORD for p in found)
    bare = not named and any(p.kind is kind.VAR_POSITIONAL for p in found)
    required = sum(p.default is kind.empty for p in named)
    return Signature(tuple(p.name for p in named), required, anything or bare)


#: id -> module, its training flag before, and how many readings of it are open
_OPEN: dict[int, list[Any]] = {}
_LOCK = threading.Lock()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode; the last of several readings, in whatever threads, undoes it.

    An exported program keeps the mode that it was exported in.
    """
    modules = [m for m in model.modules() if isinstance(getattr(m, "training", None), bool)]
    with _LOCK:
        for module in modules:
            entry = _OPEN.setdefault(id(module), [module, module.training, 0])
            entry[2] += 1
    try:
        with suppress(NotImplementedError):
            model.eval()
        yield
    finally:
        with _LOCK:
            for module in modules:
                entry = _OPEN[id(module)]
                entry[2] -= 1
                if not entry[2]:
                    del _OPEN[id(module)]
                    if module.training != entry[1]:
                        module.training = entry[1]


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Leave the random numbers of the session as they are: torch's, NumPy's and Python's."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - that of the session
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def layer_names(model: nn.Module) -> str:
    """Return the names of the last five modules, for a message."""
    return ", ".join([name for name, _ in model.named_modules() if name][-5:]) or "(it has none)"


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
    with _LOCK:
        elsewhere = any(_OPEN.get(id(m), (0, 0, 0))[2] > 1 for m in model.modules())
    if elsewhere and torch.device(device) != own_device(model):
        raise InputError("the model is being read elsewhere; leave device= out, or wait")
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
