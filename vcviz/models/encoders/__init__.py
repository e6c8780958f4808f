"""Encoders, by name: images, text or table rows x to latents z (B, D). The last layer is linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from vcviz.base.errors import InputError, unknown
from vcviz.base.options import check_choice, check_count, check_options
from vcviz.models.encoders.cnn import CNNEncoder
from vcviz.models.encoders.gap import GAPEncoder
from vcviz.models.encoders.mlp import MLPEncoder
from vcviz.models.encoders.resnet import RESNET_DEPTHS, ResNetEncoder
from vcviz.models.encoders.text import TextEncoder
from vcviz.models.options import options_of

__all__ = ["ENCODERS", "build_encoder"]

#: images up to this many pixels a side get an MLP from "auto"
_SMALL_IMAGE = 16

#: encoder name -> module and the kinds of data it takes
ENCODERS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "mlp": (MLPEncoder, ("image", "table")),
    "cnn": (CNNEncoder, ("image",)),
    "gap": (GAPEncoder, ("image",)),
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

    Returns
    -------
    nn.Module
        On the CPU, in training mode.

    Raises
    ------
    InputError
        For an unknown name or option (with the nearest known one), an encoder that does not take
        this kind of data, or inputs that are too small for it.

    Examples
    --------
    >>> import torch
    >>> encoder = vcviz.build_encoder("auto", kind="image", input_shape=(1, 8, 8), latent_dim=2)
    >>> encoder(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 2])
    """
    check_count("latent_dim", latent_dim)
    input_shape = tuple(int(size) for size in input_shape)
    name = encoder_for(name, kind, input_shape)
    encoder: type[nn.Module] = ENCODERS[name][0]
    # The depth of a ResNet is in its name.
    known = [option for option in options_of(encoder) if option != "depth"]
    check_options(f"encoder {name!r}", options, known)
    if kind == "text":
        return encoder(check_count("n_tokens", n_tokens, minimum=2), latent_dim, **options)
    if name == "cnn" and min(input_shape[1:]) < 8:
        raise InputError(f"encoder 'cnn' needs images of 8 x 8 or more, got {input_shape}; use mlp")
    if encoder is ResNetEncoder:
        options["depth"] = int(name.removeprefix("resnet"))
    built: Any = encoder(input_shape, latent_dim, **options)
    # The channels of a pixel side by side: up to three times as fast on a CPU.
    return built.to(memory_format=torch.channels_last) if kind == "image" else built


def encoder_for(name: str, kind: str, input_shape: Sequence[int]) -> str:
    """Return the name in `ENCODERS` that a name, or "auto", stands for with such data."""
    check_choice("kind of data", kind, ("image", "text", "table"))
    if kind == "image" and len(input_shape) != 3:
        raise InputError(f"an image has shape (channels, height, width), got {input_shape}")
    if name == "auto":
        large = kind == "image" and min(input_shape[1:]) > _SMALL_IMAGE
        name = "text" if kind == "text" else "cnn" if large else "mlp"
    if name not in ENCODERS:
        raise unknown("encoder", name, ["auto", *ENCODERS])
    if kind not in ENCODERS[name][1]:
        fitting = [n for n, (_, k) in ENCODERS.items() if kind in k]
        raise InputError(f"encoder {name!r} does not take {kind} data; use {', '.join(fitting)}")
    return name
