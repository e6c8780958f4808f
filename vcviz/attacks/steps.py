"""The steps of a gradient attack: where the loss rises, and what the ball allows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vcviz.errors import InputError
from vcviz.latents.adapter import Reader


@dataclass(frozen=True)
class Plan:
    """Checked options of an attack; `step_size` is negative when a loss is to fall."""

    norm: str
    epsilon: float
    steps: int
    step_size: float
    draws: int
    seed: int
    image: bool


class Step(NamedTuple):
    """A batch on its way: input, latents (B, D), log-probabilities (B, C), distance (B,)."""

    x: Tensor
    z: Tensor
    log_probs: Tensor
    distance: Tensor


def walk(
    read: Reader,
    plan: Plan,
    clean: Tensor,
    start: Tensor | None,
    goal: Tensor,
    stochastic: bool,
) -> Iterator[Step]:
    """Yield the clean batch and then every step of the attack on it."""
    fresh = noise(read, plan.seed + 1)
    x = clean
    for t in range(plan.steps + 1):
        x = x.detach().requires_grad_()
        with torch.set_grad_enabled(t < plan.steps):
            # A copy: a model may work in place on its input.
            z, log_probs, _ = read(x.clone(), noise(read, plan.seed))
        yield Step(x.detach(), z, log_probs.detach(), _length(x.detach() - clean, plan.norm))
        if t == plan.steps:
            return
        if t == 0 and start is not None:
            x = start.detach().requires_grad_()
        elif not stochastic:
            x = _next(plan, x, clean, _gradient(log_probs, x, goal))
            continue
        gradient = torch.zeros_like(clean)
        for _ in range(plan.draws if stochastic else 1):
            with torch.enable_grad():
                log_probs = read(x.clone(), fresh).log_probs
            gradient += _gradient(log_probs, x, goal)
        x = _next(plan, x, clean, gradient)


def _next(plan: Plan, x: Tensor, clean: Tensor, gradient: Tensor) -> Tensor:
    """Return the input after a step along `gradient`, of which only the direction counts."""
    direction = gradient.sign() if plan.norm == "linf" else _unit(gradient)
    return _inside(plan, clean, x.detach() - clean + plan.step_size * direction)


def _gradient(log_probs: Tensor, x: Tensor, goal: Tensor) -> Tensor:
    """Return the gradient of each row's cross-entropy with respect to its input."""
    loss = -log_probs.gather(1, goal[:, None]).sum()
    found = torch.autograd.grad(loss, x, allow_unused=True)[0] if loss.requires_grad else None
    if found is None:
        raise InputError(
            "the model's output does not depend on its input in a differentiable way "
            "(a detach, no_grad or rounding inside?), so it has no gradient to attack with"
        )
    if not found.isfinite().all():
        raise InputError("the gradient of the model's loss is NaN or infinite at its input")
    return found


def _inside(plan: Plan, clean: Tensor, delta: Tensor) -> Tensor:
    """Return ``clean + delta`` projected on the ball and, for images, on [0, 1]."""
    if plan.norm == "linf":
        delta = delta.clamp(-plan.epsilon, plan.epsilon)
    else:
        length = _per_row(_length(delta, "l2"), delta)
        shrunk = (delta * (plan.epsilon / length.clamp_min(plan.epsilon))).to(delta.dtype)
        delta = torch.where(length > plan.epsilon, shrunk, delta)
    moved = clean + delta
    # The sum rounds by up to half a unit in the last place, which is much of a small epsilon.
    outside = (moved - clean).abs() > delta.abs()
    moved = torch.where(outside, torch.nextafter(moved, clean), moved)
    return moved.clamp(0, 1) if plan.image else moved


def start_in_ball(
    plan: Plan, clean: Tensor, rng: np.random.Generator, radius_rng: np.random.Generator
) -> Tensor:
    """Return a point drawn uniformly from the ball around each row; the same for any batch size."""
    shape = tuple(clean.shape)
    if plan.norm == "linf":
        delta = rng.uniform(-plan.epsilon, plan.epsilon, shape)
    else:
        delta = rng.standard_normal(shape)
        size = math.prod(shape[1:])
        radius = plan.epsilon * radius_rng.uniform(size=shape[0]) ** (1 / size)
        scale = radius / np.linalg.norm(delta.reshape(shape[0], -1), axis=1)
        delta = delta * scale.reshape(-1, *[1] * (len(shape) - 1))
    return _inside(plan, clean, torch.tensor(delta, dtype=clean.dtype, device=clean.device))


def _length(delta: Tensor, norm: str) -> Tensor:
    """Return (B,) sizes of the rows of `delta` in `norm`."""
    flat = delta.flatten(1)
    if norm == "linf":
        return flat.abs().amax(1)
    # Apple's devices have no float64.
    return flat.to(torch.float32 if flat.device.type == "mps" else torch.float64).norm(dim=1)


def _unit(gradient: Tensor) -> Tensor:
    """Return each row divided by its L2 norm; a zero row stays zero."""
    length = _per_row(_length(gradient, "l2"), gradient)
    return (gradient / torch.where(length > 0, length, 1)).to(gradient.dtype)


def _per_row(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))


def noise(read: Reader, seed: int) -> torch.Generator:
    """Return a generator on the model's device."""
    return torch.Generator(read.device).manual_seed(seed)
