"""Class activation maps of any convolutional classifier: torch in, NumPy records out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_count
from vcviz.latents.adapter import Reader, reading
from vcviz.latents.extraction import class_names
from vcviz.latents.modules import named_layer
from vcviz.records import ActivationMaps, Split, as_array, as_float, as_labels

AGAINST = ("rest", "last")


def info_cam(
    model: nn.Module,
    data: Split | ArrayLike,
    *,
    label: ArrayLike | None = None,
    against: Literal["rest", "last"] | int = "rest",
    layer: str | None = None,
    batch_size: int = 256,
    device: torch.device | str | None = None,
) -> ActivationMaps:
    r"""Return where each image speaks for a class rather than for others (infoCAM), and its CAM.

    The pointwise information of two labels differs by the difference of their scores s, in which
    the normaliser cancels. With maps F of h x w places r the maps returned are

    .. math:: M_y(r) = hw \sum_c \frac{\partial s_y}{\partial F_c(r)} F_c(r), \qquad
              M^{info}_y(r) = M_y(r) - M_{y'}(r),

    and :math:`s_y - s_{y'}` is the mean of :math:`M^{info}_y` over the places plus a remainder.
    Where the scores are linear in the mean of the maps (global average pooling, linear layers) M
    is the class activation map :math:`\sum_c w_{yc} F_c(r)` and the remainder a difference of
    biases. Elsewhere it is a linear approximation at the image, and the remainder what it misses.

    Parameters
    ----------
    model : a `Classifier` (its head's logits are the scores, without noise) or any module from
        images to (B, C) logits
    data : a split of images, or images (N, c, h, w)
    label : class to explain, or one per image; default the one of the highest score
    against : y': "rest", the mean of all other classes; "last", the class of the lowest score of
        each image, as in the authors' code; or a class
    layer : name of the module whose output is taken apart; default the last one called whose
        output is a map of more than one place
    batch_size : images at a time
    device : where to compute; default the model's own

    Returns
    -------
    ActivationMaps
        With the resolution of the layer.

    Raises
    ------
    InputError
        If there are no maps to take apart, or the scores do not depend on them.

    References
    ----------
    Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016 (CAM).

    Qin, Kim & Gedeon, Informative Class Activation Maps, 2021, arXiv:2106.10471.

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> net = torch.nn.Sequential(
    ...     torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
    ...     torch.nn.Flatten(), torch.nn.Linear(4, 3),
    ... )
    >>> maps = vcviz.latents.info_cam(net, x.numpy(), label=0, against=2)
    >>> maps.info.shape, maps.label, maps.against
    ((2, 6, 6), array([0, 0]), array([2, 2]))
    """
    x, y, names = _images(data)
    check_count("batch_size", batch_size)
    labels = _labels("label", label, len(x))
    parts = []
    with (
        reading(model, device=device) as read,
        _maps_of(read.model, layer) as found,
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        for first in range(0, len(x), batch_size):
            rows = slice(first, first + batch_size)
            wanted = None if labels is None else torch.as_tensor(labels[rows], device=read.device)
            parts.append(_explained(read, found, torch.from_numpy(x[rows].copy()), wanted, against))
    cam, info, difference, explained, other = (
        torch.cat(values).cpu().numpy() for values in zip(*parts, strict=True)
    )
    return ActivationMaps(
        x=x,
        cam=cam,
        info=info,
        label=explained,
        against=other,
        difference=difference,
        remainder=difference - info.mean((1, 2)),
        y=explained if y is None else y,
        class_names=class_names(names, found.n_classes),
        name=data.name if isinstance(data, Split) else "images",
        layer=found.name,
    )


def _images(data: Any) -> tuple[NDArray[Any], NDArray[np.int64] | None, tuple[str, ...]]:
    """Return images in [0, 1], their labels if there are any, and the names of the classes."""
    split = data if isinstance(data, Split) else None
    x = as_array("data", data.x if split is not None else data)
    if x.ndim != 4 or len(x) == 0 or (split is not None and split.kind != "image"):
        raise InputError(f"class activation maps need images (N, c, h, w), got shape {x.shape}")
    scaled = as_float("data", x) / np.float32(255 if x.dtype == np.uint8 else 1)
    return (scaled, None, ()) if split is None else (scaled, split.y, split.class_names)


def _labels(name: str, value: Any, n: int) -> NDArray[np.int64] | None:
    if value is None:
        return None
    return as_labels(name, np.full(n, value) if np.ndim(value) == 0 else value, n)


class _Found:
    """The last map that a forward pass made: name of its module, output (B, channels, h, w)."""

    def __init__(self) -> None:
        self.name = ""
        self.output: Tensor | None = None
        self.n_classes = 0


@contextmanager
def _maps_of(model: nn.Module, layer: str | None) -> Iterator[_Found]:
    """Watch the modules of a model, or one of them, for outputs that are maps."""
    if layer is None:
        watched = {name: module for name, module in model.named_modules() if name}
    else:
        watched = {layer: named_layer(model, layer)}
    found = _Found()

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and output[0, 0].numel() > 1:
                found.name, found.output = name, output

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in watched.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _explained(
    read: Reader, found: _Found, x: Tensor, label: Tensor | None, against: str | int
) -> tuple[Tensor, ...]:
    """Return CAM, infoCAM, score difference, explained class and the class against, of a batch."""
    found.output = None
    scores = read.scores(x.requires_grad_())
    if scores.ndim != 2:
        raise InputError(f"the model must give one row of scores an image, got {scores.shape}")
    found.n_classes = scores.shape[1]
    label = scores.argmax(1) if label is None else label
    as_labels("label", label, len(x), found.n_classes)
    other = _other(scores.detach(), against)
    own = scores.gather(1, label[:, None])[:, 0]
    rest = (scores.sum(1) - own) / (found.n_classes - 1)
    theirs = rest if other is None else scores.gather(1, other[:, None])[:, 0]
    if found.output is None:
        raise InputError(
            "no module gave maps (B, channels, h, w) of more than one place; name a convolutional "
            "layer with layer=, or use a convolutional encoder"
        )
    cam = _linear_part(own, found)
    info = cam - _linear_part(theirs, found)
    none = torch.full_like(label, -1)
    return cam, info, (own - theirs).detach(), label, none if other is None else other


def _other(scores: Tensor, against: str | int) -> Tensor | None:
    """Return (B,) classes to hold the explained ones against; None stands for all others."""
    if against == "rest":
        return None
    if against == "last":
        return scores.argmin(1)
    if isinstance(against, str):
        raise unknown("against", against, AGAINST)
    as_labels("against", [against], 1, scores.shape[1])
    return torch.full(scores.shape[:1], int(against), device=scores.device)


def _linear_part(score: Tensor, found: _Found) -> Tensor:
    """Return (B, h, w) places of the gradient times the maps, whose mean is the linear part."""
    maps = found.output
    gradient = None
    if maps is not None and maps.requires_grad and score.requires_grad:
        (gradient,) = torch.autograd.grad(score.sum(), maps, retain_graph=True, allow_unused=True)
    if maps is None or gradient is None:
        raise InputError(
            f"the scores do not depend on the output of {found.name!r} in a differentiable way; "
            "name another layer"
        )
    return (gradient * maps.detach()).sum(1) * maps[0, 0].numel()
