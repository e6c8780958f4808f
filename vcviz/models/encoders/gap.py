"""A convolutional encoder that ends in global average pooling and one linear layer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_count

#: maps are halved while they stay at least so many positions high
_SMALLEST_MAP = 7


class GAPEncoder(nn.Module):
    """Convolutions with batch norm and ReLU, global average pooling, a linear layer.

    A linear head on its latents is linear in the mean of the last maps, so that a class
    activation map (`vcviz.latents.info_cam`) takes its scores apart exactly. The first blocks end
    in 2 x 2 max pooling, as long as it leaves maps of 7 x 7 or more: maps of 8 x 8 for the digits,
    of 7 x 7 for images of 28 x 28.

    Parameters
    ----------
    input_shape : (channels, height, width)
    latent_dim : D
    widths : channels of each block
    """

    def __init__(
        self, input_shape: Sequence[int], latent_dim: int, *, widths: Sequence[int] = (32, 64, 64)
    ) -> None:
        super().__init__()
        if isinstance(widths, str) or not isinstance(widths, Sequence) or not widths:
            raise InputError(f"widths must be a list of channels, got {clip(widths)}")
        layers: list[nn.Module] = []
        channels, size = input_shape[0], min(input_shape[1:])
        for out in widths:
            layers += [
                nn.Conv2d(channels, check_count("widths", out), 3, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            if size // 2 >= _SMALLEST_MAP:
                layers.append(nn.MaxPool2d(2))
                size //= 2
            channels = out
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, latent_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) latents."""
        return self.linear(self.features(x).mean((2, 3)))
