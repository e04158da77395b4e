"""Monkey-Net's patch discriminator, which sees the key points beside the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks.hourglass import hourglass_width
from ..blocks.patch_discriminator import PatchBlock, PatchScores
from .config import DiscriminatorConfig
from .frame_convolution import FrameConvolution
from .keypoints import SpreadKeypoints
from .movement_embedding import MovementEmbedding


class Discriminator(nn.Module):
    """Scores patches of an image; unlike later ones it halves the resolution in its last block, too.

    Source: Monkey-Net and its published code.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.kp_embedding = MovementEmbedding(config.kp_embedding)
        widths = [config.num_channels + self.kp_embedding.out_channels]
        widths += [
            hourglass_width(config.block_expansion, config.max_features, level + 1)
            for level in range(config.num_blocks)
        ]
        self.down_blocks = nn.ModuleList(
            PatchBlock(
                widths[level],
                widths[level + 1],
                norm=level > 0,
                pool=True,
                spectral=False,
                convolution=FrameConvolution,
            )
            for level in range(config.num_blocks)
        )
        self.conv = FrameConvolution(widths[-1], 1, 1)

    def forward(self, image: Tensor, source: SpreadKeypoints, driving: SpreadKeypoints) -> PatchScores:
        """Scores of images `(B, C, H, W)` in [0, 1] with the driving key points `driving`."""
        features = torch.cat((image, self.kp_embedding(image, source, driving)), dim=1)
        stages = []
        for block in self.down_blocks:
            features = block(features)
            stages.append(features)
        return PatchScores(tuple(stages), self.conv(features))
