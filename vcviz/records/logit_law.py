"""Logits with noise: what a heteroscedastic softmax says of an input before its softmax."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError
from vcviz.base.options import check_choice, check_number
from vcviz.records.checks import as_float, as_labels, as_places, class_names_of, freeze

#: standard deviation of each noise at scale 1
NOISE_STD = {"normal": 1.0, "logistic": np.pi / np.sqrt(3), "gumbel": np.pi / np.sqrt(6)}


@dataclass(frozen=True, eq=False)
class LogitLaw:
    """Utilities u = mean + factor e + scale * e' of N inputs; the label is softmax(u / tau).

    Attributes
    ----------
    mean : (N, C)
    scale : (N, C) scale parameter of the independent noise
    factor : (N, C, R) of the noise that classes share, or None
    temperature : tau > 0
    noise : "normal", "logistic" or "gumbel"
    class_names : C strings; default "0", "1", …
    name : shown in titles

    Raises
    ------
    InputError
        For shapes that do not fit or a negative scale.

    Notes
    -----
    mean, scale, factor and tau times one number are the same law of labels, and so is mean plus
    one number for all classes: look at `contrast`, which neither changes, not at `scale`.

    Examples
    --------
    >>> law = vcviz.records.LogitLaw(mean=[[1.0, 0.0, -5.0]], scale=[[2.0, 2.0, 0.1]])
    >>> mean, std = law.contrast(0, 1)
    >>> print(mean.round(2), std.round(2))  # the noise often turns class 0 into class 1
    [1.] [2.83]
    >>> law.leaders
    array([[0, 1]])
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    factor: NDArray[np.float64] | None = None
    temperature: float = 1.0
    noise: str = "normal"
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = "logits"

    def __post_init__(self) -> None:
        mean = as_float("mean", self.mean, 2, np.float64)
        scale = as_float("scale", self.scale, 2, np.float64)
        factor = self.factor
        if mean.shape[1] < 2 or not len(mean) or scale.shape != mean.shape:
            raise InputError(
                "mean and scale must be (N, C) with an input and two classes or more, "
                f"got {mean.shape} and {scale.shape}"
            )
        if scale.min() < 0:
            raise InputError(f"scale must not be negative, got {scale.min():.3g}")
        if factor is not None:
            factor = as_float("factor", factor, 3, np.float64)
            if factor.shape[:2] != mean.shape:
                raise InputError(f"factor must be (*{mean.shape}, R), got {factor.shape}")
        check_number("temperature", self.temperature, above=0)
        check_choice("noise", self.noise, NOISE_STD)
        names = class_names_of(self.class_names, mean.shape[1])
        freeze(self, mean=mean, scale=scale, factor=factor, class_names=names)

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def n_classes(self) -> int:
        """C."""
        return self.mean.shape[1]

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(N, C, C) covariance of the utilities."""
        own = (NOISE_STD[self.noise] * self.scale) ** 2
        total = own[:, :, None] * np.eye(self.n_classes)
        return total if self.factor is None else total + self.factor @ self.factor.swapaxes(1, 2)

    @property
    def leaders(self) -> NDArray[np.int64]:
        """(N, 2) the classes of largest and second largest mean."""
        return np.argsort(-self.mean, axis=1, kind="stable")[:, :2]

    def contrast(
        self, first: int | NDArray[np.int64], second: int | NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (N,) mean and (N,) standard deviation of (u_first - u_second) / tau.

        Parameters
        ----------
        first, second : a class, or one for each input
        """
        rows = np.arange(len(self))
        first, second = (
            as_labels(name, np.broadcast_to(k, len(self)), None, self.n_classes)
            for name, k in (("first", first), ("second", second))
        )
        mean = self.mean[rows, first] - self.mean[rows, second]
        own = (NOISE_STD[self.noise] * self.scale) ** 2
        # A class against itself has no noise at all.
        variance = np.where(first == second, 0, own[rows, first] + own[rows, second])
        if self.factor is not None:
            apart = self.factor[rows, first] - self.factor[rows, second]
            variance = variance + np.square(apart).sum(1)
        return mean / self.temperature, np.sqrt(variance) / self.temperature

    def take(self, rows: ArrayLike) -> LogitLaw:
        """Return the law of `rows` of the inputs (integer positions or a boolean mask)."""
        rows = as_places(rows, len(self))
        return replace(
            self,
            mean=self.mean[rows],
            scale=self.scale[rows],
            factor=None if self.factor is None else self.factor[rows],
        )
