"""IAPM's generator: source image and two masks -> a low-resolution guess, and from that the image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..blocks.convolution import DownBlock, ResidualBlock, SameBlock, UpBlock
from ..blocks.grids import resize
from ..blocks.hourglass import Hourglass, SkiplessHourglass, hourglass_width
from .config import REFINEMENT_TEMPERATURE, GeneratorConfig


@dataclass(frozen=True)
class Source:
    """All the generator needs of a source, whatever the driving mask.

    Args:
        image: `(B, C, H, W)` in [0, 1].
        small: `(B, C, h, w)`, the image at the size of the masks.
        mask: `(B, 1, h, w)` in [0, 1].
        large_mask: `(B, 1, H, W)`, the mask at the size of the image.
    """

    image: Tensor
    small: Tensor
    mask: Tensor
    large_mask: Tensor

    @staticmethod
    def of(image: Tensor, mask: Tensor) -> Source:
        """Images and their padded masks."""
        return Source(image, resize(image, mask.shape[2:]), mask, resize(mask, image.shape[2:]))

    def expand(self, count: int) -> Source:
        """A batch of one seen as a batch of `count`, without copying."""
        return Source(
            *(maps.expand(count, -1, -1, -1) for maps in (self.image, self.small, self.mask, self.large_mask))
        )


@dataclass(frozen=True)
class Generation:
    """Generated images `(B, C, H, W)` in [0, 1] and the low-resolution branch's guess, of the same size."""

    prediction: Tensor
    guess: Tensor


class MaskedGenerator(nn.Module):
    """Source and driving mask -> image.

    Source: IAPM, sections 3.2 and 3.4, and its published code.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        low, channels = config.low, config.num_channels
        with_masks = channels + 2
        widths = [
            hourglass_width(low.block_expansion, low.max_features, level)
            for level in range(low.num_blocks + 1)
        ]
        pairs = list(pairwise(widths))
        self.first = SameBlock(with_masks, widths[-1], kernel_size=7)
        # Never used; published state dicts hold them.
        self.down_blocks = nn.ModuleList(DownBlock(before, after) for before, after in pairs)
        self.up_blocks = nn.ModuleList(UpBlock(after, before) for before, after in reversed(pairs))
        self.bottleneck = nn.Sequential()
        for index in range(config.num_bottleneck_blocks):
            self.bottleneck.add_module(f"r{index}", ResidualBlock(widths[-1]))
        self.final = nn.Conv2d(widths[0], channels, 7, padding=3)
        high, refinement = config.high, config.refinement
        self.hourglass = Hourglass(
            high.block_expansion, with_masks + channels, high.max_features, high.num_blocks
        )
        self.mask_fix_net = SkiplessHourglass(
            refinement.block_expansion, with_masks, refinement.max_features, refinement.num_blocks
        )
        self.ref = nn.Conv2d(self.mask_fix_net.out_channels, 1, 7, padding=3)
        self.final_hourglass = nn.Conv2d(self.hourglass.out_channels, channels, 7, padding=3)

    def refine(self, source: Source, perturbed: Tensor) -> Tensor:
        """The driving mask `(B, 1, h, w)` as the source object would have it."""
        inputs = torch.cat((source.small, source.mask, perturbed), dim=1)
        return torch.sigmoid(self.ref(self.mask_fix_net(inputs)) / REFINEMENT_TEMPERATURE)

    def guess(self, source: Source, driving: Tensor) -> Tensor:
        """First image `(B, C, H, W)` from the small source and both masks."""
        features = self.first(torch.cat((source.small, source.mask, driving), dim=1))
        features = self.bottleneck(features)
        for block in self.up_blocks:
            features = block(features)
        return torch.sigmoid(self.final(features))

    def draw(self, source: Source, guess: Tensor, driving: Tensor) -> Tensor:
        """The image `(B, C, H, W)` from the source at its full size, the guess and both masks."""
        large = resize(driving, source.image.shape[2:])
        inputs = torch.cat((source.image, source.large_mask, guess, large), dim=1)
        return torch.sigmoid(self.final_hourglass(self.hourglass(inputs)))

    def forward(self, source: Source, driving: Tensor) -> Generation:
        """The sources in the pose of driving masks `(B, 1, h, w)`."""
        guess = self.guess(source, driving)
        return Generation(self.draw(source, guess, driving), guess)
