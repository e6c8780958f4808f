"""A small convolutional encoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vcviz.base.options import check_count
from vcviz.models.encoders.mlp import dense


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
            *dense(9 * channels, latent_dim, hidden, dropout, batch_norm=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) latents."""
        return self.dense(self.features(x))
