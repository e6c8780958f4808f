"""The residual networks for 32 x 32 images, as published, with latents for a last layer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from vcviz.base.options import check_count

#: the published depths 6n + 2
RESNET_DEPTHS = (20, 32, 44, 56, 110)


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
