"""The ball around an input: what it allows, how far something is, points drawn from it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from vcviz.attacks.options import Plan


class Ball:
    """The ball of radius epsilon around each clean input and, for images, within [0, 1].

    Attributes
    ----------
    clean : (B, …) its centres
    """

    def __init__(self, plan: Plan, clean: Tensor) -> None:
        self.plan, self.clean = plan, clean
        self._low = self._high = clean
        if plan.norm == "linf":
            self._low, self._high = (_bound(clean, e) for e in (-plan.epsilon, plan.epsilon))
            if plan.image:
                self._low, self._high = self._low.clamp_min(0), self._high.clamp_max(1)

    def project(self, x: Tensor) -> Tensor:
        """Return the nearest points of the ball; rounding goes towards the clean input."""
        if self.plan.norm == "linf":
            return torch.clamp(x, self._low, self._high)
        delta, clean, epsilon = x - self.clean, self.clean, self.plan.epsilon
        size = per_row(length(delta, "l2"), delta)
        shrunk = (delta * (epsilon / size.clamp_min(epsilon))).to(delta.dtype)
        delta = torch.where(size > epsilon, shrunk, delta)
        moved = clean + delta
        # The sum rounds by up to half a unit in the last place, which is much of a small epsilon.
        outside = (moved - clean).abs() > delta.abs()
        moved = torch.where(outside, torch.nextafter(moved, clean), moved)
        return moved.clamp(0, 1) if self.plan.image else moved

    def distance(self, x: Tensor) -> Tensor:
        """Return (B,) distances from the clean inputs."""
        return length(x - self.clean, self.plan.norm)

    def take(self, rows: Tensor) -> Ball:
        """Return the balls of some rows."""
        return Ball(self.plan, self.clean[rows])


def _bound(clean: Tensor, epsilon: float) -> Tensor:
    """Return ``clean + epsilon``, rounded so that it is no further than epsilon."""
    edge = clean + epsilon
    return torch.where((edge - clean).abs() > abs(epsilon), torch.nextafter(edge, clean), edge)


def direction(plan: Plan, gradient: Tensor) -> Tensor:
    """Return the way to go: the signs, or each row divided by its length; zero stays zero."""
    if plan.norm == "linf":
        return gradient.sign()
    size = per_row(length(gradient, "l2"), gradient)
    return (gradient / torch.where(size > 0, size, 1)).to(gradient.dtype)


def length(delta: Tensor, norm: str) -> Tensor:
    """Return (B,) sizes of the rows of `delta` in `norm`."""
    flat = delta.flatten(1)
    if norm == "linf":
        return flat.abs().amax(1)
    # Apple's devices have no float64.
    return flat.to(torch.float32 if flat.device.type == "mps" else torch.float64).norm(dim=1)


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """Return (B,) values with axes of one behind, so that they multiply the rows of `like`."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


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
    moved = clean + torch.tensor(delta, dtype=clean.dtype, device=clean.device)
    return Ball(plan, clean).project(moved)
