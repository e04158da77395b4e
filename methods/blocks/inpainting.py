"""The image branch of TPSMM: encode the source, warp every resolution, decode and inpaint under its occlusion map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .convolution import DownBlock, ResidualBlock, SameBlock, UpBlock, instance_norm
from .grids import resize, sample
from .hourglass import hourglass_width
from .warping_generator import Appearance


def sized(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Maps `(B, C, h, w)` of that size: themselves, or resized bilinearly with aligned corners."""
    return maps if maps.shape[2:] == size else resize(maps, size, align_corners=True)


def warp_aligned(maps: Tensor, deformation: Tensor) -> Tensor:
    """Maps `(B, C, H, W)` warped by `(B, h, w, 2)`; corners are aligned in sampling and in resizing."""
    motion = sized(deformation.permute(0, 3, 1, 2), maps.shape[2:]).permute(0, 2, 3, 1)
    return sample(maps, motion, align_corners=True)


class InpaintingNetwork(nn.Module):
    """Source image and its motion -> image.

    Args:
        multi_mask: one occlusion map per resolution, coarsest first; otherwise the first map serves them all.

    Source: TPSMM, section 3.5; CPABMM uses it unchanged.
    """

    def __init__(
        self,
        *,
        num_channels: int,
        block_expansion: int,
        max_features: int,
        num_down_blocks: int,
        multi_mask: bool,
    ) -> None:
        super().__init__()
        widths = [
            hourglass_width(block_expansion, max_features, level) for level in range(num_down_blocks + 1)
        ]
        pairs = list(pairwise(widths))
        # What enters each step of the decoder, coarsest first: skips are appended after every step but the last.
        entering = [after if step == 0 else 2 * after for step, (_, after) in enumerate(reversed(pairs))]
        self.first = SameBlock(num_channels, widths[0], kernel_size=7, norm=instance_norm)
        self.down_blocks = nn.ModuleList(
            DownBlock(before, after, norm=instance_norm) for before, after in pairs
        )
        self.up_blocks = nn.ModuleList(
            UpBlock(width, before, norm=instance_norm)
            for width, (before, _) in zip(entering, reversed(pairs), strict=True)
        )
        self.resblock = nn.ModuleList(
            ResidualBlock(width, norm=instance_norm) for width in entering for _ in range(2)
        )
        self.final = nn.Conv2d(widths[0], num_channels, 7, padding=3)
        self.multi_mask = multi_mask

    def look(self, source: Tensor) -> Appearance:
        """What depends on the source `(B, C, H, W)` in [0, 1] alone."""
        stages = [self.first(source)]
        for block in self.down_blocks:
            stages.append(block(stages[-1]))
        return Appearance(source, tuple(stages))

    def paint(self, appearance: Appearance, deformation: Tensor, occlusion_maps: Sequence[Tensor]) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1].

        Args:
            appearance: of B sources.
            deformation: `(B, h, w, 2)`, where in the source every output position is sampled.
            occlusion_maps: `(B, 1, h', w')` each, coarsest first; 1 keeps the warped source, 0 is to be inpainted.
        """
        return self.decode(
            self.warped_stages(appearance, deformation, occlusion_maps),
            warp_aligned(appearance.image, deformation),
            sized(occlusion_maps[-1], appearance.image.shape[2:]),
        )

    def decode(self, stages: Iterator[Tensor], warped: Tensor, visible: Tensor) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1] from warped features.

        Args:
            stages: features of every resolution, warped and hidden where nothing is to be seen; coarsest first.
            warped: `(B, C, H, W)`, the image itself, warped.
            visible: `(B, 1, H, W)`, 1 keeps `warped`, 0 is to be inpainted.
        """
        features = skip = next(stages)
        for step, block in enumerate(self.up_blocks):
            if step:
                features = torch.cat((features, skip), dim=1)
            features = block(self.resblock[2 * step + 1](self.resblock[2 * step](features)))
            skip = next(stages)
        # The finest skip was multiplied by this map when it was warped.
        inpainted = torch.sigmoid(self.final(features * (1 - visible) + skip))
        return inpainted * (1 - visible) + warped * visible

    def warped_stages(
        self,
        appearance: Appearance,
        deformation: Tensor | Sequence[Tensor],
        occlusion_maps: Sequence[Tensor],
    ) -> Iterator[Tensor]:
        """The source's features at every resolution, warped, what is not visible set to zero; coarsest first.

        Args:
            deformation: `(B, h, w, 2)`, one for all resolutions, or one for each, coarsest first.
        """
        for level, features in enumerate(reversed(appearance.features)):
            motion = deformation if isinstance(deformation, Tensor) else deformation[level]
            occlusion = occlusion_maps[level if self.multi_mask else 0]
            yield warp_aligned(features, motion) * sized(occlusion, features.shape[2:])

    def forward(self, source: Tensor, deformation: Tensor, occlusion_maps: Sequence[Tensor]) -> Tensor:
        return self.paint(self.look(source), deformation, occlusion_maps)
