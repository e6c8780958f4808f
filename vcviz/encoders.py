"""Encoders, by name: images, text or table rows x to latents z (B, D). The last layer is linear."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vcviz.errors import InputError, clip, unknown
from vcviz.heads.base import check_choice, check_count, check_number, check_options

#: depth 6n + 2 of the ResNets for 32 x 32 images
RESNET_DEPTHS = (20, 32, 44, 56, 110)
#: images up to this many pixels a side get an MLP from "auto"
_SMALL_IMAGE = 16


class MLPEncoder(nn.Module):
    """Fully connected layers with ReLU, for table rows and small images.

    Parameters
    ----------
    input_shape : shape of one input
    latent_dim : D
    hidden : widths of the hidden layers
    dropout : share of hidden units dropped in training
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        latent_dim: int,
        *,
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), *_dense(math.prod(input_shape), latent_dim, hidden, dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) latents."""
        return self.net(x)


class CNNEncoder(nn.Module):
    """Three blocks of convolution, 2 x 2 max pooling, batch norm and ReLU, then dense layers.

    Pooling comes before the batch norm and the ReLU, which then work on a quarter of the numbers;
    the first block has few channels because it works at full resolution. The dense layers have
    batch norm too: few latent dimensions are hard to reach in a few epochs without.

    Parameters
    ----------
    input_shape : (channels, height, width), at least 8 x 8
    latent_dim : D
    width : channels of the first block; the others have four and eight times as many
    hidden : widths of the dense layers before the latents
    dropout : share of hidden units dropped in training
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        latent_dim: int,
        *,
        width: int = 16,
        hidden: Sequence[int] = (256, 64),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_count("width", width)
        layers: list[nn.Module] = []
        channels = input_shape[0]
        for out in (width, 4 * width, 8 * width):
            layers += [
                nn.Conv2d(channels, out, 3, padding=1, bias=False),
                nn.MaxPool2d(2),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            channels = out
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(3), nn.Flatten())
        self.dense = nn.Sequential(
            *_dense(9 * channels, latent_dim, hidden, dropout, batch_norm=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) latents."""
        return self.dense(self.features(x))


class ResNetEncoder(nn.Module):
    """The residual network of 6n + 2 layers for CIFAR, its last layer giving the latents.

    Three stages of n blocks with 16, 32 and 64 channels; shortcuts across stages take every
    second pixel and pad with zero channels (option A); global average pooling; linear.

    Parameters
    ----------
    input_shape : (channels, height, width)
    latent_dim : D
    depth : one of `RESNET_DEPTHS`
    width : channels of the first stage

    References
    ----------
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2.
    """

    def __init__(
        self, input_shape: Sequence[int], latent_dim: int, *, depth: int, width: int = 16
    ) -> None:
        super().__init__()
        check_count("width", width)
        self.stem = nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        blocks = []
        channels = width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride = 2 if stage and not block else 1
                blocks.append(_ResidualBlock(channels, width * 2**stage, stride))
                channels = width * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(channels, latent_dim)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) latents."""
        return self.linear(self.blocks(self.stem(x)).mean((2, 3)))


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.extra = out - channels
        self.net = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.extra:
            shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
        return F.relu(self.net(x) + shortcut)


class TextEncoder(nn.Module):
    """Mean of the token embeddings of a text, layer norm, then dense layers.

    Token 0 is padding and adds nothing, so the amount of padding does not matter; a text without
    tokens has the zero vector for its mean. Embeddings start near zero, so that a token never
    seen in training adds next to nothing either; the layer norm makes up for their size.

    Parameters
    ----------
    n_tokens : rows of the embedding table; ids lie in [0, n_tokens)
    latent_dim : D
    embedding_dim : length of an embedding
    hidden : widths of the hidden layers
    token_dropout : share of the tokens left out of each text in training
    """

    def __init__(
        self,
        n_tokens: int,
        latent_dim: int,
        *,
        embedding_dim: int = 64,
        hidden: Sequence[int] = (64,),
        token_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_count("embedding_dim", embedding_dim)
        self.token_dropout = _check_share("token_dropout", token_dropout)
        self.embedding = nn.EmbeddingBag(n_tokens, embedding_dim, mode="mean", padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=1e-3)
        self.net = nn.Sequential(
            nn.LayerNorm(embedding_dim), *_dense(embedding_dim, latent_dim, hidden)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) latents of token ids (B, L)."""
        if self.training and self.token_dropout:
            x = x * (torch.rand(x.shape, device=x.device) >= self.token_dropout)
        return self.net(self.embedding(x))


def _dense(
    size: int, out: int, hidden: Sequence[int], dropout: float = 0.0, *, batch_norm: bool = False
) -> list[nn.Module]:
    if isinstance(hidden, str) or not isinstance(hidden, Sequence):
        raise InputError(f"hidden must be a list of layer widths, got {clip(hidden)}")
    _check_share("dropout", dropout)
    layers: list[nn.Module] = []
    for width in hidden:
        layers.append(nn.Linear(size, check_count("hidden", width), bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
        size = width
    return [*layers, nn.Linear(size, out)]


def _check_share(name: str, value: float) -> float:
    if check_number(name, value) >= 1:
        raise InputError(f"{name} must be below 1, got {value}")
    return float(value)


#: encoder name -> module and the kinds of data it takes
ENCODERS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "mlp": (MLPEncoder, ("image", "table")),
    "cnn": (CNNEncoder, ("image",)),
    **{f"resnet{depth}": (ResNetEncoder, ("image",)) for depth in RESNET_DEPTHS},
    "text": (TextEncoder, ("text",)),
}


def build_encoder(
    name: str,
    *,
    kind: str,
    input_shape: Sequence[int],
    latent_dim: int,
    n_tokens: int | None = None,
    **options: Any,
) -> nn.Module:
    """Return a new encoder x -> (B, D), its weights drawn from torch's global generator.

    Parameters
    ----------
    name : one of `ENCODERS`, or "auto": text gets "text", tables and images up to 16 pixels a side
        "mlp", larger images "cnn"
    kind : "image", "text" or "table"
    input_shape : shape of one input, ``x.shape[1:]``
    latent_dim : D
    n_tokens : rows of the embedding table, for text
    options : keyword options of that encoder, see its docstring

    Raises
    ------
    InputError
        For an unknown name or option (with the nearest known one), an encoder that does not take
        this kind of data, or inputs that are too small for it.
    """
    check_choice("kind of data", kind, ("image", "text", "table"))
    check_count("latent_dim", latent_dim)
    input_shape = tuple(int(size) for size in input_shape)
    if kind == "image" and len(input_shape) != 3:
        raise InputError(f"an image has shape (channels, height, width), got {input_shape}")
    if name == "auto":
        name = _automatic(kind, input_shape)
    if name not in ENCODERS:
        raise unknown("encoder", name, ["auto", *ENCODERS])
    encoder, kinds = ENCODERS[name]
    if kind not in kinds:
        fitting = [n for n, (_, k) in ENCODERS.items() if kind in k]
        raise InputError(f"encoder {name!r} does not take {kind} data; use {', '.join(fitting)}")
    given = ("self", "input_shape", "latent_dim", "n_tokens", "depth")
    known = inspect.signature(encoder).parameters
    check_options(f"encoder {name!r}", options, {n: p for n, p in known.items() if n not in given})
    if kind == "text":
        return encoder(check_count("n_tokens", n_tokens, minimum=2), latent_dim, **options)
    if name == "cnn" and min(input_shape[1:]) < 8:
        raise InputError(f"encoder 'cnn' needs images of 8 x 8 or more, got {input_shape}; use mlp")
    if encoder is ResNetEncoder:
        options["depth"] = int(name.removeprefix("resnet"))
    return encoder(input_shape, latent_dim, **options)


def _automatic(kind: str, input_shape: tuple[int, ...]) -> str:
    if kind == "text":
        return "text"
    large = kind == "image" and min(input_shape[1:]) > _SMALL_IMAGE
    return "cnn" if large else "mlp"
