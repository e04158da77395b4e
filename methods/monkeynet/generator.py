"""Monkey-Net's generator: encodes the source, warps every resolution by the dense motion and decodes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..blocks.convolution import ResidualBlock
from ..blocks.grids import coordinate_grid, sample
from ..blocks.hourglass import Decoder, Encoder
from .config import GeneratorConfig
from .dense_motion import DenseMotionModule
from .frame_convolution import FRAME_DOWN, FRAME_UP, FrameConvolution
from .keypoints import SpreadKeypoints
from .movement_embedding import MovementEmbedding
from .resizing import resized


@dataclass(frozen=True)
class SourceFeatures:
    """All the generator needs of a source, whatever the motion.

    Args:
        stages: the image `(B, C, H, W)` in [0, 1] and its encoded appearance, finest first.
        downsampled: `(B, C, h, w)`, the source at the size of the dense motion.
    """

    stages: tuple[Tensor, ...]
    downsampled: Tensor


@dataclass(frozen=True)
class Generation:
    """Generated images and the source images merely warped, `(B, C, H, W)` in [0, 1], with their motion.

    Args:
        deformation: `(B, h, w, 2)`, where in the source every output position is sampled.
    """

    prediction: Tensor
    deformed: Tensor
    deformation: Tensor


class MotionTransferGenerator(nn.Module):
    """Source image and two sets of key points -> image.

    Source: Monkey-Net, its motion transfer generator and published code.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        embedding = config.kp_embedding
        self.kp_embedding = None if embedding is None else MovementEmbedding(embedding)
        channels = config.num_channels
        sizes = (config.block_expansion, channels, config.max_features, config.num_blocks)
        # Declared in the order of the published state dict.
        self.appearance_encoder = Encoder(*sizes, block=FRAME_DOWN)
        self.dense_motion_module: DenseMotionModule | None = None
        if config.dense_motion is not None:
            self.dense_motion_module = DenseMotionModule(config.dense_motion)
        self.video_decoder = Decoder(
            *sizes,
            block=FRAME_UP,
            appended=0 if self.kp_embedding is None else self.kp_embedding.out_channels,
        )
        width = self.video_decoder.out_channels
        self.refinement_module = nn.Sequential()
        for index in range(config.num_refinement_blocks):
            self.refinement_module.add_module(f"r{index}", ResidualBlock(width, convolution=FrameConvolution))
        self.refinement_module.add_module("conv-last", FrameConvolution(width, channels, 1))
        self.interpolation_mode = config.interpolation_mode
        self.align_corners = config.align_corners

    def encode(self, source: Tensor) -> SourceFeatures:
        """What depends on the source `(B, C, H, W)` in [0, 1] alone."""
        motion = self.dense_motion_module
        return SourceFeatures(
            tuple(self.appearance_encoder(source)), source if motion is None else motion.downsample(source)
        )

    def decode(
        self, encoded: SourceFeatures, source: SpreadKeypoints, driving: SpreadKeypoints
    ) -> Generation:
        """The encoded sources, B or one, in the pose of B sets of driving key points."""
        deformation = self.move(encoded, source, driving)
        warped = [self._warp(stage, deformation) for stage in encoded.stages]
        stages = warped
        if self.kp_embedding is not None:
            embedding = self.kp_embedding(encoded.stages[0], source, driving)
            stages = [
                torch.cat((stage, resized(embedding, stage.shape[2:], self.interpolation_mode)), dim=1)
                for stage in warped
            ]
        features = self.video_decoder(stages)
        return Generation(torch.sigmoid(self.refinement_module(features)), warped[0], deformation)

    def move(self, encoded: SourceFeatures, source: SpreadKeypoints, driving: SpreadKeypoints) -> Tensor:
        """The deformation of the encoded sources, `(B, h, w, 2)`."""
        if self.dense_motion_module is not None:
            return self.dense_motion_module(encoded.downsampled, source, driving)
        height, width = encoded.downsampled.shape[2:]
        still = coordinate_grid(height, width, like=driving.value)
        return still.expand(len(driving.value), -1, -1, -1)

    def _warp(self, stage: Tensor, deformation: Tensor) -> Tensor:
        positions = resized(deformation.permute(0, 3, 1, 2), stage.shape[2:], self.interpolation_mode)
        return sample(
            stage.expand(len(positions), -1, -1, -1),
            positions.permute(0, 2, 3, 1),
            align_corners=self.align_corners,
        )

    def forward(self, image: Tensor, source: SpreadKeypoints, driving: SpreadKeypoints) -> Generation:
        return self.decode(self.encode(image), source, driving)
