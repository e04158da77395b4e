"""Face-vid2vid's generator: source -> appearance volume, warped in space, flattened and painted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..blocks.convolution import DownBlock, ResidualBlock, SameBlock, UpBlock
from ..blocks.grids import warp
from ..blocks.hourglass import hourglass_width
from ..blocks.motion import Keypoints
from ..blocks.occlusion import occlude
from ..blocks.volumetric import VolumeResidualBlock
from .config import GeneratorConfig
from .dense_motion import DenseMotionNetwork, VolumeMotion
from .spade import SpadeDecoder


@dataclass(frozen=True)
class Appearance:
    """All the generator needs of a source, whatever the motion.

    Args:
        volume: `(B, C, D, h, w)`, its appearance in space.
        compressed: `(B, c, D, h, w)`, what of it the motion is estimated on.
    """

    volume: Tensor
    compressed: Tensor

    def expand(self, count: int) -> Appearance:
        """A batch of one seen as a batch of `count`, without copying."""
        return Appearance(
            self.volume.expand(count, -1, -1, -1, -1), self.compressed.expand(count, -1, -1, -1, -1)
        )


@dataclass(frozen=True)
class Generation:
    """Generated images `(B, C, H, W)` in [0, 1] and the motion they were made with."""

    prediction: Tensor
    motion: VolumeMotion


class LeakyBlock(SameBlock):
    """Convolution, normalisation, leaky ReLU of slope 0.01; `(B, in, H, W)` -> `(B, out, H, W)`."""

    def forward(self, features: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(features)), 0.01)


class VolumeGenerator(nn.Module, ABC):
    """Source image and two sets of key points -> image; how it is painted is the subclass's.

    Args:
        first_kernel: of the first convolution.

    Source: face-vid2vid, sections 3.1 and 3.3.
    """

    def __init__(self, config: GeneratorConfig, *, first_kernel: int) -> None:
        super().__init__()
        widths = [
            hourglass_width(config.block_expansion, config.max_features, level)
            for level in range(config.num_down_blocks + 1)
        ]
        folded = config.reshape_channel * config.reshape_depth
        # Published state dicts begin with the motion.
        self.dense_motion_network = DenseMotionNetwork(config.dense_motion)
        self.first = SameBlock(config.image_channel, widths[0], kernel_size=first_kernel)
        self.down_blocks = nn.ModuleList(DownBlock(before, after) for before, after in pairwise(widths))
        self.second = nn.Conv2d(widths[-1], folded, 1)
        self.resblocks_3d = nn.Sequential()
        for index in range(config.num_resblocks):
            self.resblocks_3d.add_module(f"3dr{index}", VolumeResidualBlock(config.reshape_channel))
        self.third = LeakyBlock(folded, config.warped_width)
        self.fourth = nn.Conv2d(config.warped_width, config.warped_width, 1)
        self.depth = config.reshape_depth
        self.align_corners = config.align_corners

    def encode(self, source: Tensor) -> Appearance:
        """What depends on the source `(B, C, H, W)` in [0, 1] alone."""
        features = self.first(source)
        for block in self.down_blocks:
            features = block(features)
        volume = self.resblocks_3d(self.second(features).unflatten(1, (-1, self.depth)))
        return Appearance(volume, self.dense_motion_network.compressed(volume))

    def render(self, volume: Tensor, deformation: Tensor, occlusion_map: Tensor | None) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1].

        Args:
            volume: appearance of B sources.
            deformation: `(B, D, h, w, 3)`, where in it every output position is sampled; resized where it is
                smaller.
            occlusion_map: `(B, 1, h, w)`, 1 keeps, 0 is to be inpainted; None keeps all.
        """
        warped = warp(volume, deformation, align_corners=self.align_corners)
        features = self.fourth(self.third(warped.flatten(1, 2)))
        return self.paint(occlude(features, occlusion_map))

    @abstractmethod
    def paint(self, features: Tensor) -> Tensor:
        """Warped features `(B, F, h, w)` -> image `(B, C, H, W)` in [0, 1]."""

    def decode(self, appearance: Appearance, source: Keypoints, driving: Keypoints) -> Generation:
        """The encoded sources in the pose of the driving key points."""
        motion = self.dense_motion_network(appearance.compressed, source, driving)
        return Generation(self.render(appearance.volume, motion.deformation, motion.occlusion_map), motion)

    def forward(self, source: Tensor, source_keypoints: Keypoints, driving: Keypoints) -> Generation:
        return self.decode(self.encode(source), source_keypoints, driving)


class PlainGenerator(VolumeGenerator):
    """The generator that paints with residual blocks and up-sampling (`original`)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config, first_kernel=7)
        widths = [config.warped_width // 2**level for level in range(config.num_down_blocks + 1)]
        self.resblocks_2d = nn.Sequential()
        for index in range(config.num_resblocks):
            self.resblocks_2d.add_module(f"2dr{index}", ResidualBlock(widths[0]))
        self.up_blocks = nn.Sequential(*(UpBlock(before, after) for before, after in pairwise(widths)))
        self.final = nn.Conv2d(widths[-1], config.image_channel, 7, padding=3)

    def paint(self, features: Tensor) -> Tensor:
        return torch.sigmoid(self.final(self.up_blocks(self.resblocks_2d(features))))


class SpadeGenerator(VolumeGenerator):
    """The generator that paints with spatially adaptive normalisation (`spade`)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config, first_kernel=3)
        self.decoder = SpadeDecoder()

    def paint(self, features: Tensor) -> Tensor:
        return self.decoder(features)


def build_generator(config: GeneratorConfig) -> VolumeGenerator:
    """The generator of the configured kind, freshly initialised."""
    return SpadeGenerator(config) if config.kind == "spade" else PlainGenerator(config)
