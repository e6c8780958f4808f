"""Torch's optimisers without torch's compiler and without marks for its profiler.

The first step of any optimiser of torch imports `torch._dynamo`, in case a compiler traces it: two
seconds of the processor in every process that trains, whether anything is compiled or not. Every
step, and every reset of the gradients, tells a profiler that it begins and ends, which takes as
long as the step of a small model.
"""

from __future__ import annotations

import inspect
from typing import TypeVar

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)


def eager(kind: type[Kind]) -> type[Kind]:
    """Return a subclass of a class of optimisers that takes the same steps, and compiles nothing.

    Torch wraps what its compiler should not trace; the subclass calls what is inside. Where a
    version of torch wraps nothing, it is the class as it is. Hooks around a step are not called.
    """
    inside = {
        name: inspect.unwrap(method)
        for name, method in vars(Optimizer).items()
        if inspect.isfunction(method) and hasattr(method, "__wrapped__")
    }
    step = torch.no_grad()(inspect.unwrap(kind.step))
    step.hooked = True  # torch wraps every other in its profiler's mark and the hooks
    own = {"step": step, "zero_grad": _forget, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), inside | own)


def _forget(optimizer: Optimizer) -> None:
    """Reset the gradients of all parameters."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
