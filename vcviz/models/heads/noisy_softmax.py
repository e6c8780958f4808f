"""Softmax of noisy logits: class probabilities as a mean over draws of the noise."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vcviz.base.errors import InputError, clip, expect
from vcviz.base.options import check_choice, check_count, check_number
from vcviz.models.heads.base import without_autocast

NOISES = ("normal", "logistic", "gumbel")
# Utilities held at once: draws are taken in blocks of this size.
_BLOCK = 2**21


def noisy_log_softmax(
    mean: Tensor,
    scale: Tensor | float,
    factor: Tensor | None = None,
    *,
    temperature: float = 1.0,
    draws: int = 100,
    noise: str = "normal",
    y: Tensor | None = None,
    generator: torch.Generator | None = None,
    dim: int = 1,
) -> Tensor:
    """Return log p(y|x) of classes whose utilities are logits with noise, averaged over draws.

    With utilities u_s = mean + factor e_s + scale * e'_s, s = 1..S,

        log p_y = logsumexp_s log softmax_y(u_s / tau) - log S:

    probabilities are averaged, never logits or their logs. As tau falls to 0 the softmax becomes
    an argmax and p_y the share of draws in which class y has the largest utility: the multinomial
    probit for normal noise, and softmax(mean / scale) for Gumbel noise of one scale. The estimate
    of p_y has no bias; that of log p_y is too low by about Var(softmax_y) / (2 p_y^2 S).

    Multiplying mean, factor, scale and tau by one number changes nothing, nor does adding one
    number to all classes.

    Parameters
    ----------
    mean : (B, C, …) logits, with the classes along `dim`
    scale : standard deviation of the independent noise, broadcast to `mean`; for logistic and
        Gumbel noise their scale parameter
    factor : shape of `mean` and a last axis of R, for noise that classes share: the covariance of
        the utilities is factor factor' + diag(scale^2). Normal noise only
    temperature : tau > 0
    draws : S
    noise : "normal", "logistic" or "gumbel"
    y : int64 labels of the shape of `mean` without `dim`; then only their log-probabilities are
        returned, which takes less memory
    generator : of the noise, which is drawn on its device
    dim : the axis of the classes

    Returns
    -------
    Tensor
        (B, C, …) with logsumexp 0 along `dim`, or log-probabilities of the labels; in float32 at
        least. Without gradients memory does not grow with S; with them, all draws are kept.

    Raises
    ------
    InputError
        For shapes that do not fit, or options out of range.

    References
    ----------
    Kendall & Gal, What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?,
    NeurIPS 2017, eq. 12; Collier et al., A Simple Probabilistic Method for Deep Classification
    under Input-Dependent Label Noise, 2020, arXiv:2003.06778.

    Examples
    --------
    >>> import torch
    >>> mean = torch.tensor([[1.0, 0.0]])
    >>> noise = torch.Generator().manual_seed(0)
    >>> p = vcviz.models.noisy_log_softmax(mean, 3.0, draws=10_000, generator=noise).exp()
    >>> print(f"{p[0, 0]:.1f} with noise, {mean.softmax(dim=1)[0, 0]:.1f} without")
    0.6 with noise, 0.7 without
    """
    check_number("temperature", temperature, above=0)
    check_count("draws", draws)
    check_choice("noise", noise, NOISES)
    _check_tensors(mean=mean, scale=scale, factor=factor, y=y)
    dtype = torch.promote_types(mean.dtype, torch.float32)
    mean, scale = mean.to(dtype), torch.as_tensor(scale, device=mean.device).to(dtype)
    if not isinstance(dim, int) or not -mean.ndim <= dim < mean.ndim:
        raise InputError(f"dim must be an axis of {mean.ndim}, got {clip(dim)}")
    dim %= mean.ndim
    _check_shapes(mean, scale, factor, noise)
    if y is not None:
        y = _as_index(y, mean, dim)
    step = max(1, _BLOCK // mean.numel())
    with without_autocast(mean):
        # Large logits would otherwise round the noise away. Draws are the last axis: a softmax
        # over a short last axis is slow.
        centred = (mean - mean.amax(dim, keepdim=True).detach())[..., None]
        scale = scale.expand_as(mean)[..., None]
        total: Tensor | None = None
        for start in range(0, draws, step):
            n = min(step, draws - start)
            u = centred + scale * _standard(noise, (*mean.shape, n), dtype, mean.device, generator)
            if factor is not None:
                u = u + _shared(factor.to(dtype), n, dim, generator)
            ell = (u / temperature).log_softmax(dim)
            if y is not None:
                ell = ell.gather(dim, y[..., None].expand(*y.shape, n)).squeeze(dim)
            part = ell.logsumexp(-1)
            total = part if total is None else torch.logaddexp(total, part)
        assert total is not None
        return total - math.log(draws)


def _check_tensors(**values: Any) -> None:
    for name, value in values.items():
        number = name == "scale" and isinstance(value, int | float)
        if value is None or number:
            continue
        expect(name, value, Tensor)
        if name != "y" and not value.is_floating_point():
            raise InputError(f"{name} must hold floats, got {value.dtype}")
        if value.numel() == 0:
            raise InputError(f"{name} must not be empty, got shape {tuple(value.shape)}")


def _check_shapes(mean: Tensor, scale: Tensor, factor: Tensor | None, noise: str) -> None:
    try:
        fits = torch.broadcast_shapes(mean.shape, scale.shape) == mean.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise InputError(
            f"scale must broadcast to the shape {tuple(mean.shape)} of mean, "
            f"got {tuple(scale.shape)}"
        )
    if factor is None:
        return
    if noise != "normal":
        raise InputError(f"noise that classes share is normal; leave out factor for {noise} noise")
    if factor.shape[:-1] != mean.shape:
        raise InputError(
            f"factor must have the shape {tuple(mean.shape)} of mean and an axis of R more, "
            f"got {tuple(factor.shape)}"
        )


def _as_index(y: Tensor, mean: Tensor, dim: int) -> Tensor:
    shape = (*mean.shape[:dim], *mean.shape[dim + 1 :])
    if y.shape != shape or y.dtype != torch.int64:
        raise InputError(
            f"y must be int64 labels of shape {shape}, "
            f"got {tuple(y.shape)} {str(y.dtype).removeprefix('torch.')}"
        )
    # On a GPU a look at the labels would wait for it at every step; it refuses them by itself.
    n_classes = mean.shape[dim]
    if y.device.type == "cpu" and y.numel() and not (y.min() >= 0 and y.max() < n_classes):
        raise InputError(f"y must lie in [0, {n_classes}), got labels from {y.min()} to {y.max()}")
    return y.unsqueeze(dim)


def _shared(factor: Tensor, n: int, dim: int, generator: torch.Generator | None) -> Tensor:
    """Return (…, n) draws of factor e, by one matrix product per row."""
    factor = factor.movedim(dim, -2)
    shape = (*factor.shape[:-2], factor.shape[-1], n)
    e = _standard("normal", shape, factor.dtype, factor.device, generator)
    return (factor @ e).movedim(-2, dim)


def _standard(
    noise: str,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
    generator: torch.Generator | None,
) -> Tensor:
    """Return standard noise, drawn on the generator's device."""
    place = device if generator is None else generator.device
    e = torch.empty(shape, dtype=dtype, device=place)
    if noise == "normal":
        return e.normal_(generator=generator).to(device)
    e = e.exponential_(generator=generator).clamp_min(torch.finfo(dtype).tiny)
    # exp(-e) is uniform: its logit, and minus the log of minus its log.
    return (e.expm1().log() if noise == "logistic" else -e.log()).to(device)
