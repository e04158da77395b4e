"""Weights of candidate motions and an occlusion map, from what each motion makes of the source."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .antialias import AntiAliasDownsample
from .convolution import SingleMapConvolution
from .hourglass import Hourglass


@dataclass(frozen=True, kw_only=True)
class MotionWeighingConfig:
    """The network that weighs candidate motions.

    Args:
        scale_factor: size of the motion by that of the source.
        align_corners: how warps sample, see `grids.sample`.
    """

    num_channels: int
    block_expansion: int
    max_features: int
    num_blocks: int
    scale_factor: float = 1.0
    estimate_occlusion_map: bool = False
    align_corners: bool = False

    @property
    def size_multiple(self) -> int:
        """Both sides of an image must be multiples of this many pixels."""
        return round(2**self.num_blocks / self.scale_factor)


class MotionWeighing(nn.Module):
    """Maps of every candidate motion -> weights of the motions and an occlusion map.

    Args:
        config: describes the network.
        num_motions: candidates, the background among them.
        maps_per_motion: what the network sees of each.

    Source: FOMM, section 3.2; MRAA, section 3.4.
    """

    def __init__(self, config: MotionWeighingConfig, num_motions: int, maps_per_motion: int) -> None:
        super().__init__()
        self.hourglass = Hourglass(
            config.block_expansion, num_motions * maps_per_motion, config.max_features, config.num_blocks
        )
        self.mask = nn.Conv2d(self.hourglass.out_channels, num_motions, 7, padding=3)
        self.occlusion: nn.Conv2d | None = None
        if config.estimate_occlusion_map:
            self.occlusion = SingleMapConvolution(self.hourglass.out_channels, 7)
        self.scaled = config.scale_factor != 1
        if self.scaled:
            self.down = AntiAliasDownsample(config.num_channels, config.scale_factor)

    def downsample(self, source: Tensor) -> Tensor:
        """The source at the size the motion is estimated at, `(B, C, h, w)`."""
        return self.down(source) if self.scaled else source

    def weigh(self, maps: Tensor) -> tuple[Tensor, Tensor | None]:
        """Weights `(B, M, h, w)` that sum to 1, and an occlusion map `(B, 1, h, w)` where one is estimated.

        Args:
            maps: `(B, M, C, h, w)`, C of each candidate.
        """
        features = self.hourglass(maps.flatten(1, 2))
        occlusion_map = None if self.occlusion is None else torch.sigmoid(self.occlusion(features))
        return torch.softmax(self.mask(features), dim=1), occlusion_map
