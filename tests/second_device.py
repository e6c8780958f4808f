"""A second device that needs no hardware: it computes as the CPU does, and is another place.

What CUDA refuses is refused here too: operands of two places, a generator of another place,
`.numpy()` of what is not in the host's memory. The rest gives the CPU's numbers. Importing this
module takes PyTorch's spare device (PrivateUse1) for the whole process, "elsewhere", and replaces
`torch.Generator`. A tensor of the device wraps one on the CPU (`inner`); every operation with it
arrives in `compute`, which looks where its arguments are, computes with what they wrap, and wraps
the results. With SECOND_DEVICE_FLOAT64=no it has no float64, as Apple's GPUs have none. What it
cannot show: streams, pinned memory, `torch.compile`, a card's own rounding.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, ClassVar

import torch
from torch import library
from torch.utils import _pytree as pytree
from torch.utils import backend_registration as registration

NAME = "elsewhere"
CPU = torch.device("cpu")
NARROW = os.environ.get("SECOND_DEVICE_FLOAT64") == "no"
#: how often each operation ran here: a test on the device that leaves it empty tested the CPU
COUNTS: Counter[str] = Counter()
# Copies go between places, and an index may lie in the host's memory, as on CUDA.
_BETWEEN = {"aten::copy_", "aten::_to_copy", "aten::_copy_from"}
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_"}


class _Hooks(registration._DummyPrivateUse1Hook):
    def get_default_generator(self, index: int) -> torch._C.Generator:
        return torch.default_generator


class _Backend(registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def get_rng_state(self, *_: Any) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, *_: Any) -> None:
        """The CPU's stream is the device's, and is set with the CPU."""

    synchronize = manual_seed = set_rng_state


registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Backend(), hook=_Hooks())
SECOND = torch.device(NAME, 0)


class Generator(torch._C.Generator):
    """A CPU's generator that knows which place it was made for."""

    # C++ hands back other Python objects for the same generator, so they are known by address.
    # Those of the device are kept for good: an address never comes back as somebody else's.
    _of_second: ClassVar[dict[int, Generator]] = {}

    def __new__(cls, device: Any = "cpu") -> Generator:
        made = super().__new__(cls, CPU)
        if torch.device(device).type == NAME:
            cls._of_second[made._cdata] = made
        return made

    def __init__(self, device: Any = "cpu") -> None: ...

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return SECOND if is_second(self) else CPU


class SecondTensor(torch.Tensor):
    """A tensor of the device, around `inner`, its values on the CPU."""

    inner: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> SecondTensor:
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, layout=inner.layout, device=SECOND,
        )  # fmt: skip
        made.inner = inner
        return made

    @property
    def data(self) -> torch.Tensor:  # type: ignore[override]
        return torch.Tensor.data.__get__(self)  # type: ignore[attr-defined]

    @data.setter
    def data(self, other: SecondTensor) -> None:
        torch.Tensor.data.__set__(self, other)  # type: ignore[attr-defined]
        self.inner = other.inner

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(op, args, kwargs or {})

    def __deepcopy__(self, memo: dict[int, Any]) -> SecondTensor:
        copy = self.detach().clone().requires_grad_(self.requires_grad)
        copy.__dict__ |= {k: v for k, v in vars(self).items() if k != "inner"}
        return memo.setdefault(id(self), copy)

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy; .cpu() it first")

    __array__ = numpy

    def tolist(self) -> Any:
        return self.cpu().tolist()


def is_second(value: Any) -> bool:
    """Return whether a tensor, generator or device is this device's."""
    if isinstance(value, torch._C.Generator):
        return value._cdata in Generator._of_second
    return isinstance(value, SecondTensor) or getattr(value, "type", None) == NAME


def compute(op: Any, args: Any, kwargs: Any) -> Any:
    """Return what an operation gives on the device, or fail as CUDA does."""
    name = op._schema.name
    leaves, spec = pytree.tree_flatten((args, kwargs))
    ours = [v for v in leaves if isinstance(v, SecondTensor)]
    place = kwargs.get("device")
    on_second = bool(ours) if place is None else is_second(torch.device(place))
    if name not in _BETWEEN and ours:
        _check_places(name, args, kwargs)
    for generator in (v for v in leaves if isinstance(v, torch._C.Generator)):
        if is_second(generator) != on_second and generator is not torch.default_generator:
            raise RuntimeError(f"{name} got a generator of another device")
    COUNTS[name] += 1
    wrappers = {id(v.inner): v for v in ours}
    args, kwargs = pytree.tree_unflatten([_plain(v) for v in leaves], spec)
    given = set(map(id, pytree.tree_leaves((args, kwargs))))
    found = op(*args, **kwargs)
    made = {v.dtype for v in pytree.tree_leaves(found) if isinstance(v, torch.Tensor)}
    if NARROW and on_second and torch.float64 in made:
        raise TypeError(f"{name}: {NAME} has no float64")

    def wrapped(value: Any) -> Any:
        if id(value) in wrappers:
            return wrappers[id(value)]  # computed in place
        new = isinstance(value, torch.Tensor) and id(value) not in given
        return SecondTensor(value) if new and on_second else value

    for wrapper in wrappers.values():
        if wrapper.inner.shape != wrapper.shape:
            wrapper.data = SecondTensor(wrapper.inner)  # an out= was resized
    return pytree.tree_map(wrapped, found)


def _check_places(name: str, args: Any, kwargs: Any) -> None:
    """Refuse operands elsewhere, but for numbers: tensors of no axes, outside of lists."""
    looked = (args[0], args[2:]) if name in _INDEXING else (args, kwargs)
    alone = {id(v) for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor)}
    for value in pytree.tree_leaves(looked):
        elsewhere = isinstance(value, torch.Tensor) and not is_second(value)
        if elsewhere and (value.ndim > 0 or id(value) not in alone):
            raise RuntimeError(f"{name} got tensors of another device, {tuple(value.shape)}")


def _plain(value: Any) -> Any:
    if not is_second(value) or isinstance(value, torch._C.Generator):
        return value
    return value.inner if isinstance(value, SecondTensor) else CPU


def _lowered(op: Any) -> Any:
    """Return what autocast does with an operation: arguments rounded, then the same operation."""

    def call(*args: Any, **kwargs: Any) -> Any:
        kind = torch.get_autocast_dtype(NAME)
        lower = pytree.tree_map_only(
            torch.Tensor, lambda v: v.to(kind) if v.is_floating_point() else v, (args, kwargs)
        )
        with torch.autocast(NAME, enabled=False):
            return op(*lower[0], **lower[1])

    return call


def _copied(source: Any, target: Any, non_blocking: bool = False) -> Any:
    _plain(target).copy_(_plain(source))
    return target


def _kernel(op: Any) -> Any:
    return lambda *args, **kwargs: compute(op, args, {"device": SECOND} | kwargs)


# What reaches the backend itself: factories, and what C++ calls with the dispatch to Python off.
_EVERYTHING, _ATEN = library.Library("_", "IMPL"), library.Library("aten", "IMPL")
_EVERYTHING.fallback(lambda op, *args, **kwargs: compute(op, args, kwargs), "PrivateUse1")
_EVERYTHING.fallback(library.fallthrough_kernel, "AutocastPrivateUse1")
_OPS = torch.ops.aten
_ATEN.impl("empty.memory_format", _kernel(_OPS.empty.memory_format), "PrivateUse1")
_ATEN.impl("empty_strided", _kernel(_OPS.empty_strided.default), "PrivateUse1")
_ATEN.impl("_copy_from", _copied, "PrivateUse1")
for _name in ("linear", "conv2d", "matmul", "mm", "bmm", "addmm", "baddbmm"):
    _ATEN.impl(_name, _lowered(getattr(_OPS, _name).default), "AutocastPrivateUse1")
torch.Generator = Generator  # type: ignore[misc]
