"""Monkey-Net's hourglass: the shared one over single frames, ending in maps."""

from __future__ import annotations

from torch import Tensor, nn

from ..blocks.hourglass import Decoder, Encoder
from .frame_convolution import FRAME_DOWN, FRAME_UP, FrameConvolution


class MapDecoder(Decoder):
    """The decoder and a last 3x3 convolution, which published names count as part of it."""

    def __init__(
        self, block_expansion: int, in_channels: int, out_channels: int, max_features: int, num_blocks: int
    ) -> None:
        super().__init__(block_expansion, in_channels, max_features, num_blocks, block=FRAME_UP)
        self.conv = FrameConvolution(self.out_channels, out_channels, 3, padding=1)
        self.out_channels = out_channels

    def forward(self, stages: list[Tensor]) -> Tensor:
        return self.conv(super().forward(stages))


class MapHourglass(nn.Module):
    """Encoder and decoder; `(B, C, H, W)` -> `(B, out_channels, H, W)`.

    Height and width must be divisible by `2 ** num_blocks`.
    """

    def __init__(
        self, block_expansion: int, in_channels: int, out_channels: int, max_features: int, num_blocks: int
    ) -> None:
        super().__init__()
        self.encoder = Encoder(block_expansion, in_channels, max_features, num_blocks, block=FRAME_DOWN)
        self.decoder = MapDecoder(block_expansion, in_channels, out_channels, max_features, num_blocks)

    def forward(self, features: Tensor) -> Tensor:
        return self.decoder(self.encoder(features))
