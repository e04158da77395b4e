"""The image branch of first-order generators: encode the source, warp its features, inpaint, decode."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from .convolution import DownBlock, ResidualBlock, SameBlock, UpBlock
from .grids import warp
from .hourglass import hourglass_width
from .occlusion import blend


@dataclass(frozen=True)
class Appearance:
    """What the image branch needs of a source, whatever the motion.

    Args:
        image: `(B, C, H, W)` in [0, 1].
        features: encoded appearance, finest first; the coarsest alone, `(B, F, H / 2^D, W / 2^D)`, without skips.
    """

    image: Tensor
    features: tuple[Tensor, ...]

    def expand(self, count: int) -> Appearance:
        """A batch of one seen as a batch of `count`, without copying."""
        return Appearance(
            self.image.expand(count, -1, -1, -1),
            tuple(stage.expand(count, -1, -1, -1) for stage in self.features),
        )

    def detach(self) -> Appearance:
        """The same appearance, cut off from the gradient."""
        return Appearance(self.image.detach(), tuple(stage.detach() for stage in self.features))


@dataclass(frozen=True, kw_only=True)
class ImageBranchConfig:
    """The image branch: warped and inpainted source features -> image.

    Args:
        skips: blend warped source features, and finally the warped source image, into every resolution.
        align_corners: how warps sample, see `grids.sample`.
    """

    num_channels: int
    block_expansion: int
    max_features: int
    num_down_blocks: int
    num_bottleneck_blocks: int
    skips: bool = False
    align_corners: bool = False


class WarpingGenerator(nn.Module):
    """Source image and its motion -> image.

    Args:
        motion_name, motion: the network that estimates the motion; published state dicts begin with it.
        config: describes the image branch.

    Source: FOMM, section 3.2; with skips MRAA, section 3.4 and its published code.
    """

    def __init__(self, motion_name: str, motion: nn.Module, config: ImageBranchConfig) -> None:
        super().__init__()
        self.add_module(motion_name, motion)
        widths = [
            hourglass_width(config.block_expansion, config.max_features, level)
            for level in range(config.num_down_blocks + 1)
        ]
        pairs = list(pairwise(widths))
        self.first = SameBlock(config.num_channels, widths[0], kernel_size=7)
        self.down_blocks = nn.ModuleList(DownBlock(before, after) for before, after in pairs)
        self.up_blocks = nn.ModuleList(UpBlock(after, before) for before, after in reversed(pairs))
        self.bottleneck = nn.Sequential()
        for index in range(config.num_bottleneck_blocks):
            self.bottleneck.add_module(f"r{index}", ResidualBlock(widths[-1]))
        self.final = nn.Conv2d(widths[0], config.num_channels, 7, padding=3)
        self.skips = config.skips
        self.align_corners = config.align_corners

    def look(self, source: Tensor) -> Appearance:
        """What depends on the source `(B, C, H, W)` in [0, 1] alone."""
        stages = [self.first(source)]
        for block in self.down_blocks:
            stages.append(block(stages[-1]))
        return Appearance(source, tuple(stages if self.skips else stages[-1:]))

    def paint(self, appearance: Appearance, deformation: Tensor, occlusion_map: Tensor | None) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1].

        Args:
            appearance: of B sources.
            deformation: `(B, h, w, 2)`, where in the source every output position is sampled.
            occlusion_map: `(B, 1, h, w)`, 1 keeps, 0 is to be inpainted; None keeps all.
        """

        def moved(skip: Tensor, previous: Tensor | None) -> Tensor:
            warped = warp(skip, deformation, align_corners=self.align_corners)
            return blend(warped, previous, occlusion_map)

        coarsest = moved(appearance.features[-1], None)
        if not self.skips:
            return self.render(coarsest)
        features = self.bottleneck(coarsest)
        for level, block in enumerate(self.up_blocks):
            features = block(moved(appearance.features[-1 - level], features))
        image = torch.sigmoid(self.final(moved(appearance.features[0], features)))
        return moved(appearance.image, image)

    def render(self, features: Tensor) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1] of features already warped, `(B, F, H / 2^D, W / 2^D)`; no skips."""
        features = self.bottleneck(features)
        for block in self.up_blocks:
            features = block(features)
        return torch.sigmoid(self.final(features))
