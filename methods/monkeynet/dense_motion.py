"""Monkey-Net's dense motion module: K translations, a still background and a correction become one motion field."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from ..blocks.convolution import SameBlock
from ..blocks.grids import coordinate_grid
from .config import DenseMotionConfig
from .frame_convolution import FrameConvolution
from .hourglass import MapHourglass
from .keypoints import SpreadKeypoints
from .movement_embedding import MovementEmbedding
from .resizing import thinned


class DenseMotionModule(nn.Module):
    """Source and two sets of key points -> where in the source every output position is sampled.

    Source: Monkey-Net, its dense motion prediction and published code.
    """

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__()
        self.mask_embedding = MovementEmbedding(config.mask_embedding)
        channels, components = self.mask_embedding.out_channels, config.mask_embedding.components
        own = partial(FrameConvolution, groups=components)
        self.group_blocks = nn.ModuleList(
            SameBlock(channels, channels, 1, convolution=own) for _ in range(config.num_group_blocks)
        )
        self.masks = components if config.use_mask else 0
        self.corrects = config.use_correction
        self.hourglass = MapHourglass(
            config.block_expansion,
            channels,
            self.masks + 2 * self.corrects,
            config.max_features,
            config.num_blocks,
        )
        self.scale_factor = config.scale_factor
        # Before training everything is background, and nothing moves.
        last = self.hourglass.decoder.conv
        preference = torch.zeros(last.out_channels)
        if config.use_mask:
            preference[0] = config.bg_init
        last.bias = nn.Parameter(preference)
        nn.init.zeros_(last.weight)

    def downsample(self, source: Tensor) -> Tensor:
        """The source at the size the motion is estimated at, `(B, C, h, w)`."""
        return thinned(source, self.scale_factor)

    def embed(self, downsampled: Tensor, source: SpreadKeypoints, driving: SpreadKeypoints) -> Tensor:
        """The movement embedding the motion is estimated from, `(B, C', h, w)`; arguments as for the motion."""
        return self.mask_embedding(downsampled, source, driving)

    def forward(self, downsampled: Tensor, source: SpreadKeypoints, driving: SpreadKeypoints) -> Tensor:
        """The deformation `(B, h, w, 2)`, (x, y) in [-1, 1] and beyond.

        Args:
            downsampled: what `downsample` gave, of B sources or of one.
            source: key points of as many sources.
            driving: key points of B images.
        """
        features = self.embed(downsampled, source, driving)
        for block in self.group_blocks:
            features = block(features)
        maps = self.hourglass(features)
        deformation = coordinate_grid(maps.shape[2], maps.shape[3], like=driving.value)
        if self.masks:
            mask = torch.softmax(maps[:, : self.masks], dim=1).unsqueeze(-1)  # (B, M, h, w, 1)
            displacements = self.mask_embedding.displacements(source, driving)
            deformation = deformation + (mask * displacements[:, :, None, None]).sum(dim=1)
        if self.corrects:
            deformation = deformation + maps[:, -2:].permute(0, 2, 3, 1)
        return deformation.expand(len(maps), -1, -1, -1)
