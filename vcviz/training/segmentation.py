"""Classifying every pixel: a small convolutional encoder and a short training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError
from vcviz.base.options import check_count, check_number
from vcviz.latents.modules import own_device
from vcviz.metrics.noisy_scores import flip_probs
from vcviz.models.classifier import Classifier
from vcviz.models.heads import HEADS, build_head
from vcviz.models.heads.heteroscedastic import HeteroscedasticHead
from vcviz.records import LogitLaw, PixelSplit, Segmentation
from vcviz.runs.settings import plain_session
from vcviz.training.optimizers import eager

_BATCH = 32


class PixelEncoder(nn.Module):
    """Convolutions of growing dilation: images (B, c, H, W) to latents (B, D, H, W).

    A pixel's latent sees the 15 x 15 pixels around it.

    Parameters
    ----------
    channels : c
    latent_dim : D
    width : channels of the hidden layers
    """

    def __init__(self, channels: int, latent_dim: int, *, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for dilation in (1, 2, 4):
            conv = nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation)
            layers += [conv, nn.ReLU()]
            channels = width
        self.net = nn.Sequential(*layers, nn.Conv2d(width, latent_dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D, H, W) latents."""
        return self.net(x)


@takes_records
@plain_session()
def train_segmenter(
    split: PixelSplit,
    *,
    head: str = "heteroscedastic",
    head_options: Mapping[str, Any] | None = None,
    latent_dim: int = 8,
    width: int = 16,
    epochs: int = 40,
    batch_size: int = 10,
    lr: float = 1e-2,
    seed: int = 0,
) -> Classifier:
    """Return a classifier of pixels, trained now on the CPU, in evaluation mode.

    Parameters
    ----------
    split : images with a label for every pixel
    head : a head that takes maps (B, D, H, W): "softmax" or "heteroscedastic"
    head_options : options of that head
    latent_dim, width : D, and channels of the encoder's hidden layers
    epochs, batch_size, lr : of Adam, with a learning rate that falls to 0 along a cosine
    seed : of weights, batches and noise

    Returns
    -------
    Classifier

    Raises
    ------
    InputError
        For a head that takes rows only, or options out of range.

    Examples
    --------
    >>> train, test = vcviz.data.load_shapes(n_train=10, n_test=2)
    >>> model = vcviz.training.train_segmenter(train, epochs=2)
    >>> vcviz.training.segment(model, test).log_probs.shape
    (2, 3, 32, 32)
    """
    dense = [name for name, kind in HEADS.items() if kind.dense]
    if head in HEADS and head not in dense:
        raise InputError(f"head {head!r} takes rows, not maps; use {' or '.join(dense)}")
    check_number("lr", lr, above=0)
    check_count("latent_dim", latent_dim)
    check_count("width", width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_count("seed", seed, minimum=0))
        encoder = PixelEncoder(split.x.shape[1], latent_dim, width=width)
        last = build_head(
            head, latent_dim=latent_dim, n_classes=split.n_classes, **(head_options or {})
        )
    model = Classifier(encoder, last).train()
    x, y = torch.tensor(split.x), torch.tensor(split.y)
    noise = torch.Generator().manual_seed(seed)
    optimizer = eager(torch.optim.Adam)(model.parameters(), lr)
    steps = check_count("epochs", epochs) * -(-len(x) // check_count("batch_size", batch_size))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=noise).split(batch_size):
            loss = model.head.loss(model.encode(x[rows]), y[rows], generator=noise)
            optimizer.zero_grad()
            loss.total.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@takes_records
@plain_session()
@torch.no_grad()
def segment(
    model: Classifier,
    split: PixelSplit,
    *,
    temperature: float | None = None,
    draws: int | None = None,
    seed: int = 0,
    name: str | None = None,
) -> Segmentation:
    """Return log-probabilities and noise of every pixel, as NumPy arrays.

    Parameters
    ----------
    model : from `train_segmenter`, or any classifier of ours whose latents are maps
    split : images
    temperature, draws : tau and S of a heteroscedastic head, in place of its own
    seed : of the noise
    name : of the result

    Returns
    -------
    Segmentation

    Raises
    ------
    InputError
        For another model or split, or options that the head does not have.

    Examples
    --------
    >>> train, test = vcviz.data.load_shapes(n_train=10, n_test=2)
    >>> seen = vcviz.training.segment(vcviz.training.train_segmenter(train, epochs=2), test)
    >>> seen.predicted.shape, seen.noise.shape
    ((2, 32, 32), (2, 32, 32))
    """
    generator = torch.Generator().manual_seed(check_count("seed", seed, minimum=0))
    noisy = isinstance(model.head, HeteroscedasticHead)
    if not noisy and (temperature, draws) != (None, None):
        raise InputError("temperature and draws are of the head 'heteroscedastic' only")
    options: dict[str, Any] = {"temperature": temperature, "draws": draws} if noisy else {}
    log_probs, noise = [], []
    device = own_device(model)
    for x in torch.tensor(split.x).split(_BATCH):
        z = model.encode(x.to(device))
        log_p = model.head.log_probs(z, generator=generator, **options)
        log_probs.append(log_p.cpu().double().numpy())
        if noisy:
            noise.append(_noise(model.head, z, temperature))
    std, flips = (np.concatenate(p) for p in zip(*noise, strict=True)) if noise else (None, None)
    return Segmentation(np.concatenate(log_probs), std, flips, name or "pixels")


def _noise(head: Any, z: Tensor, temperature: float | None) -> tuple[Any, Any]:
    """Return (B, H, W) noise over tau, and flip probabilities, of the two largest means."""
    parts = (
        None if part is None else part.movedim(1, 3).flatten(0, 2).cpu().double().numpy()
        for part in head.logit_law(z)
    )
    mean, factor, scale = parts
    assert mean is not None
    assert scale is not None
    law = LogitLaw(mean, scale, factor, temperature or head.temperature, head.noise)
    shape = len(z), *z.shape[2:]
    _, std = law.contrast(*law.leaders.T)
    return std.reshape(shape), flip_probs(law).reshape(shape)
