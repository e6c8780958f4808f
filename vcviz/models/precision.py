"""The widest floating type of a device: Apple's GPUs have no float64."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


@cache
def widest(device: torch.device) -> torch.dtype:
    """Return float64 where the device has it, else float32."""
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except TypeError:  # what MPS raises
        return torch.float32
    return torch.float64


def wide(value: Tensor) -> Tensor:
    """Return `value` in the widest floating type of its device."""
    return value.to(widest(value.device))
