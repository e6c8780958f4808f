"""One model on several devices or machines, under ``torchrun``: data parallel, one writer.

Every process has the whole data and takes its share of each batch; gradients are averaged by
PyTorch's `DistributedDataParallel`. Rank 0 alone writes the run's folder, which all must see.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from vcviz.records import LatentSet, Split


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that ``torchrun`` started, if it did; leave them at the end."""
    if not was_launched() or dist.is_initialized():
        yield
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def was_launched() -> bool:
    """Return whether ``torchrun`` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def speaks() -> bool:
    """Return whether this process is the one that tells the user, also outside of a group."""
    return not was_launched() or os.environ.get("RANK", "0") == "0"


def rank() -> int:
    """Return the number of this process, 0 if it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_writer() -> bool:
    """Return whether this process writes what is kept."""
    return rank() == 0


def own_device(device: torch.device) -> torch.device:
    """Return the device of this process: on one machine each has its own GPU."""
    if device.type == "cuda" and world_size() > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return device


def share_of(rows: Tensor) -> tuple[Tensor, float]:
    """Return this process's part of a batch's rows, and the weight of its mean loss.

    Parts differ in size by one at most; with these weights the average over the processes is the
    mean over the batch.
    """
    n = world_size()
    if n == 1:
        return rows, 1.0
    own = rows.tensor_split(n)[rank()]
    return own, len(own) * n / len(rows)


def parallel(
    step: nn.Module, left_out: Iterable[str], device: torch.device, *, whole: bool = False
) -> nn.Module:
    """Return `step` so that its gradients are averaged over the processes.

    Parameters
    ----------
    step : module whose forward pass gives the loss
    left_out : names of parameters that its loss does not train
    device : where its parameters are
    whole : whether the loss trains every other parameter; otherwise they are looked for each time
    """
    if world_size() == 1:
        return step
    wrapper = nn.parallel.DistributedDataParallel
    wrapper._set_params_and_buffers_to_ignore_for_model(step, list(left_out))
    ids = [device.index] if device.type == "cuda" else None
    return wrapper(step, device_ids=ids, find_unused_parameters=not whole)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients of parameters that are not in a `parallel` module."""
    if world_size() > 1:
        for parameter in parameters:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= world_size()


def averaged(values: dict[str, float], device: torch.device) -> dict[str, float]:
    """Return the means over the processes of numbers that each has."""
    if world_size() == 1:
        return values
    # Apple's devices have no float64, but no process groups either.
    total = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return dict(zip(values, (total / world_size()).tolist(), strict=True))


def in_shards(split: Split, extract: Callable[[Split], LatentSet]) -> LatentSet:
    """Return the latents of a split, each process reading its part, joined in order everywhere."""
    n = world_size()
    if n == 1 or len(split) < n:
        return extract(split)
    part = np.array_split(np.arange(len(split)), n)[rank()]
    own = extract(split.take(part))
    parts: list[Any] = [None] * n
    dist.all_gather_object(parts, (own.z, own.log_probs, own.energy))
    z, log_probs, energy = zip(*parts, strict=True)
    return replace(
        own,
        z=np.concatenate(z),
        log_probs=np.concatenate(log_probs),
        y=split.y,
        index=np.arange(len(split)),
        energy=None if energy[0] is None else np.concatenate(energy),
        name=split.name,
    )


def first_then_others(do: Callable[[], Any], then: Callable[[], Any]) -> Any:
    """Return what the writer's `do` gives, or, in other processes afterwards, `then`."""
    if world_size() == 1:
        return do()
    result = do() if is_writer() else None
    dist.barrier()
    return result if is_writer() else then()
