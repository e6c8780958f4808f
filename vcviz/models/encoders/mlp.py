"""The fully connected encoder, and the dense layers that the others end with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_count, check_fraction


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
            nn.Flatten(), *dense(math.prod(input_shape), latent_dim, hidden, dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) latents."""
        return self.net(x)


def dense(
    size: int, out: int, hidden: Sequence[int], dropout: float = 0.0, *, batch_norm: bool = False
) -> list[nn.Module]:
    """Return linear layers of widths `hidden` with ReLU, then a linear layer to `out`."""
    if isinstance(hidden, str) or not isinstance(hidden, Sequence):
        raise InputError(f"hidden must be a list of layer widths, got {clip(hidden)}")
    check_fraction("dropout", dropout, zero=True)
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
