"""The balls that attacks stay in, one class a norm: project, steepest direction, random start."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcviz.models.precision import wide


class Ball(ABC):
    """The ball of radius epsilon around each clean input and, for images, within [0, 1].

    Parameters
    ----------
    clean : (B, …) its centres
    epsilon : its radius in the norm
    image : whether the inputs are images
    """

    #: how it is written in menus
    title: ClassVar[str]
    #: the largest radius that makes sense for images
    widest: ClassVar[float] = math.inf

    def __init__(self, clean: Tensor, epsilon: float, image: bool) -> None:
        self.clean, self.epsilon, self.image = clean, epsilon, image

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Return the nearest points of the ball; rounding goes towards the clean input."""

    @abstractmethod
    def draw(
        self, rng: np.random.Generator, radius_rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return (B, …) moves drawn uniformly from the ball, row by row."""

    @staticmethod
    @abstractmethod
    def direction(gradient: Tensor) -> Tensor:
        """Return the steepest unit step along `gradient`; a row of zeros stays zero."""

    @staticmethod
    @abstractmethod
    def length(delta: Tensor) -> Tensor:
        """Return (B,) sizes of the rows of `delta` in the norm."""

    def distance(self, x: Tensor) -> Tensor:
        """Return (B,) distances from the clean inputs."""
        return self.length(x - self.clean)

    def take(self, rows: Tensor) -> Self:
        """Return the balls of some rows."""
        return type(self)(self.clean[rows], self.epsilon, self.image)

    def random_start(self, seed: int) -> Tensor:
        """Return a point drawn uniformly from the ball around each row."""
        delta = self.draw(*np.random.default_rng(seed).spawn(2))
        moved = self.clean + torch.tensor(delta, dtype=self.clean.dtype, device=self.clean.device)
        return self.project(moved)


class LInf(Ball):
    """No value of an input moves by more than epsilon."""

    title = "L∞"
    widest = 1.0

    def __init__(self, clean: Tensor, epsilon: float, image: bool) -> None:
        super().__init__(clean, epsilon, image)
        self._low, self._high = _bound(clean, -epsilon), _bound(clean, epsilon)
        if image:
            self._low, self._high = self._low.clamp_min(0), self._high.clamp_max(1)

    def project(self, x: Tensor) -> Tensor:
        """Return each value clipped to its bounds."""
        return torch.clamp(x, self._low, self._high)

    def draw(
        self, rng: np.random.Generator, radius_rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return (B, …) moves drawn uniformly from the cube."""
        return rng.uniform(-self.epsilon, self.epsilon, tuple(self.clean.shape))

    @staticmethod
    def direction(gradient: Tensor) -> Tensor:
        """Return the signs."""
        return gradient.sign()

    @staticmethod
    def length(delta: Tensor) -> Tensor:
        """Return (B,) largest absolute values."""
        return delta.flatten(1).abs().amax(1)


class L2(Ball):
    """An input moves by at most epsilon in Euclidean distance."""

    title = "L2"

    def project(self, x: Tensor) -> Tensor:
        """Return moves shortened to the radius."""
        delta, clean, epsilon = x - self.clean, self.clean, self.epsilon
        size = per_row(self.length(delta), delta)
        shrunk = (delta * (epsilon / size.clamp_min(epsilon))).to(delta.dtype)
        delta = torch.where(size > epsilon, shrunk, delta)
        moved = clean + delta
        # The sum rounds by up to half a unit in the last place, which is much of a small epsilon.
        outside = (moved - clean).abs() > delta.abs()
        moved = torch.where(outside, torch.nextafter(moved, clean), moved)
        return moved.clamp(0, 1) if self.image else moved

    def draw(
        self, rng: np.random.Generator, radius_rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return (B, …) moves drawn uniformly from the sphere's inside."""
        rows, *shape = self.clean.shape
        delta = rng.standard_normal((rows, *shape))
        radius = self.epsilon * radius_rng.uniform(size=rows) ** (1 / math.prod(shape))
        scale = radius / np.linalg.norm(delta.reshape(rows, -1), axis=1)
        return delta * scale.reshape(-1, *[1] * len(shape))

    @staticmethod
    def direction(gradient: Tensor) -> Tensor:
        """Return each row divided by its length; zero stays zero."""
        size = per_row(L2.length(gradient), gradient)
        return (gradient / torch.where(size > 0, size, 1)).to(gradient.dtype)

    @staticmethod
    def length(delta: Tensor) -> Tensor:
        """Return (B,) Euclidean lengths, in float64 where there is one."""
        return wide(delta.flatten(1)).norm(dim=1)


#: name -> ball of that norm; one more is a class and a line here
NORMS: dict[str, type[Ball]] = {"linf": LInf, "l2": L2}


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """Return (B,) values with axes of one behind, so that they multiply the rows of `like`."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _bound(clean: Tensor, epsilon: float) -> Tensor:
    """Return ``clean + epsilon``, rounded so that it is no further than epsilon."""
    edge = clean + epsilon
    return torch.where((edge - clean).abs() > abs(epsilon), torch.nextafter(edge, clean), edge)
