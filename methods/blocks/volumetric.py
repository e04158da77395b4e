"""Convolution blocks and the hourglass over volumes; depth is kept, height and width are halved and doubled."""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor, nn

from .convolution import Norm, ResidualBlock, SameBlock, UpBlock, convolve_doubled
from .hourglass import Decoder, Encoder


class VolumeBlock(SameBlock):
    """Convolution 3x3x3, normalisation, ReLU; `(B, in, D, H, W)` -> `(B, out, D, H, W)`."""

    def __init__(self, in_channels: int, out_channels: int, *, norm: Norm = nn.BatchNorm3d) -> None:
        super().__init__(in_channels, out_channels, norm=norm, convolution=nn.Conv3d)


class VolumeDownBlock(VolumeBlock):
    """Convolution 3x3x3, normalisation, ReLU, 1x2x2 mean; `(B, in, D, H, W)` -> `(B, out, D, H/2, W/2)`."""

    def forward(self, features: Tensor) -> Tensor:
        return functional.avg_pool3d(super().forward(features), (1, 2, 2))


class DoublingVolumeConvolution(nn.Conv3d):
    """Nearest x(1, 2, 2), then a 3x3x3 convolution; see `convolve_doubled`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """`(B, in, D, H, W)` -> `(B, out, D, 2H, 2W)`."""
        return convolve_doubled(input, self.weight, self.bias)


class VolumeUpBlock(UpBlock):
    """Nearest x(1, 2, 2), convolution 3x3x3, normalisation, ReLU; `(B, in, D, H, W)` -> `(B, out, D, 2H, 2W)`."""

    def __init__(self, in_channels: int, out_channels: int, *, norm: Norm = nn.BatchNorm3d) -> None:
        super().__init__(in_channels, out_channels, norm=norm, convolution=DoublingVolumeConvolution)


class VolumeResidualBlock(ResidualBlock):
    """Pre-activation residual block of two 3x3x3 convolutions; keeps `(B, C, D, H, W)`."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, norm=nn.BatchNorm3d, convolution=nn.Conv3d)


class VolumeDecoder(Decoder):
    """The hourglass's decoder over volumes, ending in a convolution over all it has gathered."""

    def __init__(self, block_expansion: int, in_channels: int, max_features: int, num_blocks: int) -> None:
        super().__init__(
            block_expansion,
            in_channels,
            max_features,
            num_blocks,
            norm=nn.BatchNorm3d,
            block=VolumeUpBlock,
        )
        self.conv = nn.Conv3d(self.out_channels, self.out_channels, 3, padding=1)
        self.norm = nn.BatchNorm3d(self.out_channels)

    def forward(self, stages: list[Tensor]) -> Tensor:
        return functional.relu(self.norm(self.conv(super().forward(stages))))


class VolumeHourglass(nn.Module):
    """Encoder and decoder; `(B, C, D, H, W)` -> `(B, block_expansion + C, D, H, W)`.

    Height and width must be divisible by `2 ** num_blocks`.
    """

    def __init__(self, block_expansion: int, in_channels: int, max_features: int, num_blocks: int) -> None:
        super().__init__()
        self.encoder = Encoder(
            block_expansion,
            in_channels,
            max_features,
            num_blocks,
            norm=nn.BatchNorm3d,
            block=VolumeDownBlock,
        )
        self.decoder = VolumeDecoder(block_expansion, in_channels, max_features, num_blocks)
        self.out_channels = self.decoder.out_channels

    def forward(self, volume: Tensor) -> Tensor:
        return self.decoder(self.encoder(volume))
