"""FOMM's generator: encodes the source, warps the features by the dense motion, inpaints and decodes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..blocks.convolution import DownBlock, ResidualBlock, SameBlock, UpBlock
from ..blocks.grids import warp
from ..blocks.hourglass import hourglass_width
from ..blocks.motion import DenseMotion, Keypoints
from ..blocks.occlusion import occlude
from .config import GeneratorConfig
from .dense_motion import DenseMotionNetwork


@dataclass(frozen=True)
class SourceFeatures:
    """All the generator needs of a source, whatever the motion.

    Args:
        features: `(B, F, H / 2^D, W / 2^D)`, encoded appearance.
        downsampled: `(B, C, h, w)`, the source at the size of the dense motion.
    """

    features: Tensor
    downsampled: Tensor

    def expand(self, count: int) -> SourceFeatures:
        """A batch of one seen as a batch of `count`, without copying."""
        return SourceFeatures(
            self.features.expand(count, -1, -1, -1), self.downsampled.expand(count, -1, -1, -1)
        )


@dataclass(frozen=True)
class Generation:
    """Generated images `(B, C, H, W)` in [0, 1] and the motion they were made with."""

    prediction: Tensor
    motion: DenseMotion


class OcclusionAwareGenerator(nn.Module):
    """Source image and two sets of key points -> image.

    Source: FOMM, section 3.2, the Johnson-style generator with warped features and an occlusion map.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.dense_motion_network = DenseMotionNetwork(config.dense_motion)
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
        self.align_corners = config.align_corners

    def encode(self, source: Tensor) -> SourceFeatures:
        """What depends on the source `(B, C, H, W)` in [0, 1] alone."""
        features = self.first(source)
        for block in self.down_blocks:
            features = block(features)
        return SourceFeatures(features, self.dense_motion_network.downsample(source))

    def decode(self, encoded: SourceFeatures, source: Keypoints, driving: Keypoints) -> Generation:
        """The encoded sources in the pose of the driving key points."""
        motion = self.dense_motion_network(encoded.downsampled, source, driving)
        features = warp(encoded.features, motion.deformation, align_corners=self.align_corners)
        features = self.bottleneck(occlude(features, motion.occlusion_map))
        for block in self.up_blocks:
            features = block(features)
        return Generation(torch.sigmoid(self.final(features)), motion)

    def deform(self, source: Tensor, motion: DenseMotion) -> Tensor:
        """The source image `(B, C, H, W)` itself warped by the motion, to look at."""
        return warp(source, motion.deformation, align_corners=self.align_corners)

    def forward(self, source: Tensor, source_keypoints: Keypoints, driving: Keypoints) -> Generation:
        return self.decode(self.encode(source), source_keypoints, driving)
