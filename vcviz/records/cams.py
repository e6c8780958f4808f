"""Class activation maps: which places of an image speak for a class, and against what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.records.checks import as_float, as_labels, class_names_of, freeze


@dataclass(frozen=True, eq=False)
class ActivationMaps:
    """Where in each image a classifier sees a class (CAM), and sees it rather than others.

    Parameters
    ----------
    x : (N, c, H, W) images in [0, 1]
    cam : (N, h, w) plain class activation maps of `label`, in the unit of the scores
    info : (N, h, w) informative maps in nats: their mean over the places and `remainder` make
        `difference`
    label : (N,) classes that are explained
    against : (N,) classes that they are held against; -1 where it is the mean of all others
    difference : (N,) score of `label` minus that of `against`, nats
    remainder : (N,) what the places leave out: a difference of biases for a classifier that is
        linear in the mean of its maps; else also what a linear approximation misses
    y : (N,) true labels
    class_names, name, layer : names of the classes; title; module whose output was taken apart

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> net = torch.nn.Sequential(
    ...     torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
    ...     torch.nn.Flatten(), torch.nn.Linear(4, 3),
    ... )
    >>> maps = vcviz.latents.info_cam(net, x.numpy())
    >>> maps.info.shape, maps.layer
    ((2, 6, 6), '1')
    >>> means = maps.info.mean(axis=(1, 2))
    >>> np.allclose(means + maps.remainder, maps.difference, atol=1e-5)
    True
    """

    x: NDArray[np.float32]
    cam: NDArray[np.float32]
    info: NDArray[np.float32]
    label: NDArray[np.int64]
    against: NDArray[np.int64]
    difference: NDArray[np.float32]
    remainder: NDArray[np.float32]
    y: NDArray[np.int64]
    class_names: tuple[str, ...]
    name: str = "maps"
    layer: str = ""

    def __post_init__(self) -> None:
        x, cam = as_float("x", self.x, 4), as_float("cam", self.cam, 3)
        n, info = len(x), as_float("info", self.info, 3)
        if len(cam) != n or info.shape != cam.shape:
            raise InputError(
                f"cam and info must be ({n}, h, w) to match x, got {cam.shape} and {info.shape}"
            )
        c = len(self.class_names)
        against = (
            as_labels("against", as_float("against", self.against, 1, np.float64) + 1, n, c + 1) - 1
        )
        numbers = {k: as_float(k, getattr(self, k), 1) for k in ("difference", "remainder")}
        for name, value in numbers.items():
            if len(value) != n:
                raise InputError(f"{name} must have {n} values to match x, got {len(value)}")
        freeze(
            self,
            x=x,
            cam=cam,
            info=info,
            label=as_labels("label", self.label, n, c),
            against=against,
            y=as_labels("y", self.y, n, c),
            class_names=class_names_of(self.class_names, c),
            **numbers,
        )

    def __len__(self) -> int:
        return len(self.y)
