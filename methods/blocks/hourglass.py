"""The hourglass: a convolutional encoder and decoder with skips at every resolution."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .convolution import DownBlock, UpBlock


def hourglass_width(block_expansion: int, max_features: int, level: int) -> int:
    """Channels at a level: the expansion doubled per level, at most `max_features`."""
    return min(max_features, block_expansion * 2**level)


class Encoder(nn.Module):
    """Halves the resolution `num_blocks` times and keeps every stage."""

    def __init__(self, block_expansion: int, in_channels: int, max_features: int, num_blocks: int) -> None:
        super().__init__()
        widths = [in_channels] + [
            hourglass_width(block_expansion, max_features, level + 1) for level in range(num_blocks)
        ]
        self.down_blocks = nn.ModuleList(DownBlock(before, after) for before, after in pairwise(widths))

    def forward(self, features: Tensor) -> list[Tensor]:
        """The input `(B, C, H, W)` and the output of every block, finest first."""
        stages = [features]
        for block in self.down_blocks:
            stages.append(block(stages[-1]))
        return stages


class Decoder(nn.Module):
    """Doubles the resolution `num_blocks` times; after each block its stage of the encoder is appended."""

    def __init__(self, block_expansion: int, in_channels: int, max_features: int, num_blocks: int) -> None:
        super().__init__()
        blocks = []
        for level in reversed(range(num_blocks)):
            width = hourglass_width(block_expansion, max_features, level + 1)
            deepest = level == num_blocks - 1
            out_channels = hourglass_width(block_expansion, max_features, level)
            blocks.append(UpBlock(width if deepest else 2 * width, out_channels))
        self.up_blocks = nn.ModuleList(blocks)
        self.out_channels = hourglass_width(block_expansion, max_features, 0) + in_channels

    def forward(self, stages: list[Tensor]) -> Tensor:
        features = stages[-1]
        for block, skip in zip(self.up_blocks, reversed(stages[:-1]), strict=True):
            features = torch.cat((block(features), skip), dim=1)
        return features


class Hourglass(nn.Module):
    """Encoder and decoder; `(B, C, H, W)` -> `(B, block_expansion + C, H, W)`.

    The last C channels are the input. Height and width must be divisible by `2 ** num_blocks`.
    """

    def __init__(self, block_expansion: int, in_channels: int, max_features: int, num_blocks: int) -> None:
        super().__init__()
        self.encoder = Encoder(block_expansion, in_channels, max_features, num_blocks)
        self.decoder = Decoder(block_expansion, in_channels, max_features, num_blocks)
        self.out_channels = self.decoder.out_channels

    def forward(self, features: Tensor) -> Tensor:
        return self.decoder(self.encoder(features))
