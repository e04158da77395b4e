"""The hourglass: a convolutional encoder and decoder, with skips at every resolution or without any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from .convolution import DownBlock, Norm, UpBlock

# (channels in, channels out, norm=) -> a block that halves or doubles the resolution.
Block = Callable[..., nn.Module]


def hourglass_width(block_expansion: int, max_features: int, level: int) -> int:
    """Channels at a level: the expansion doubled per level, at most `max_features`."""
    return min(max_features, block_expansion * 2**level)


class Encoder(nn.Module):
    """Halves the resolution `num_blocks` times and keeps every stage."""

    def __init__(
        self,
        block_expansion: int,
        in_channels: int,
        max_features: int,
        num_blocks: int,
        *,
        norm: Norm = nn.BatchNorm2d,
        block: Block = DownBlock,
    ) -> None:
        super().__init__()
        widths = [in_channels] + [
            hourglass_width(block_expansion, max_features, level + 1) for level in range(num_blocks)
        ]
        self.down_blocks = nn.ModuleList(
            block(before, after, norm=norm) for before, after in pairwise(widths)
        )

    def forward(self, features: Tensor) -> list[Tensor]:
        """The input `(B, C, H, W)` and the output of every block, finest first."""
        stages = [features]
        for block in self.down_blocks:
            stages.append(block(stages[-1]))
        return stages


class Decoder(nn.Module):
    """Doubles the resolution `num_blocks` times; after each block its stage of the encoder is appended.

    Args:
        appended: channels that every stage, the deepest and the input included, has beyond the encoder's.
    """

    def __init__(
        self,
        block_expansion: int,
        in_channels: int,
        max_features: int,
        num_blocks: int,
        *,
        norm: Norm = nn.BatchNorm2d,
        block: Block = UpBlock,
        appended: int = 0,
    ) -> None:
        super().__init__()
        blocks = []
        for level in reversed(range(num_blocks)):
            width = hourglass_width(block_expansion, max_features, level + 1)
            deepest = level == num_blocks - 1
            out_channels = hourglass_width(block_expansion, max_features, level)
            entering = (width if deepest else 2 * width) + appended
            blocks.append(block(entering, out_channels, norm=norm))
        self.up_blocks = nn.ModuleList(blocks)
        self.out_channels = hourglass_width(block_expansion, max_features, 0) + in_channels + appended

    def levels(self, stages: list[Tensor]) -> Iterator[Tensor]:
        """The output of every block with its stage of the encoder appended, coarsest first."""
        features = stages[-1]
        for block, skip in zip(self.up_blocks, reversed(stages[:-1]), strict=True):
            features = torch.cat((block(features), skip), dim=1)
            yield features

    def forward(self, stages: list[Tensor]) -> Tensor:
        features = stages[-1]
        for level in self.levels(stages):
            features = level
        return features


class Hourglass(nn.Module):
    """Encoder and decoder; `(B, C, H, W)` -> `(B, block_expansion + C, H, W)`.

    The last C channels are the input. Height and width must be divisible by `2 ** num_blocks`.
    """

    def __init__(
        self,
        block_expansion: int,
        in_channels: int,
        max_features: int,
        num_blocks: int,
        *,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(block_expansion, in_channels, max_features, num_blocks, norm=norm)
        self.decoder = Decoder(block_expansion, in_channels, max_features, num_blocks, norm=norm)
        self.out_channels = self.decoder.out_channels

    def forward(self, features: Tensor) -> Tensor:
        return self.decoder(self.encoder(features))


class SkiplessDecoder(nn.Module):
    """Doubles the resolution `num_blocks` times from the deepest stage alone."""

    def __init__(self, block_expansion: int, max_features: int, num_blocks: int) -> None:
        super().__init__()
        widths = [
            hourglass_width(block_expansion, max_features, level) for level in reversed(range(num_blocks + 1))
        ]
        self.up_blocks = nn.ModuleList(UpBlock(before, after) for before, after in pairwise(widths))
        self.out_channels = widths[-1]

    def forward(self, features: Tensor) -> Tensor:
        for block in self.up_blocks:
            features = block(features)
        return features


class SkiplessHourglass(nn.Module):
    """Encoder and decoder without skips; `(B, C, H, W)` -> `(B, block_expansion, H, W)`.

    Height and width must be divisible by `2 ** num_blocks`.

    Source: IAPM's published code (mask generator and mask refinement).
    """

    def __init__(self, block_expansion: int, in_channels: int, max_features: int, num_blocks: int) -> None:
        super().__init__()
        self.encoder = Encoder(block_expansion, in_channels, max_features, num_blocks)
        self.decoder = SkiplessDecoder(block_expansion, max_features, num_blocks)
        self.out_channels = self.decoder.out_channels

    def forward(self, features: Tensor) -> Tensor:
        # Not the encoder's own forward: no stage but the deepest need be kept.
        for block in self.encoder.down_blocks:
            features = block(features)
        return self.decoder(features)
