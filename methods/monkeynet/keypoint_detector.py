"""Monkey-Net's key-point detector: where K parts are and how widely each is spread."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks.gaussians import expected_position, second_moments, spatial_softmax
from .config import KeypointDetectorConfig
from .hourglass import MapHourglass
from .keypoints import SpreadKeypoints, clipped_covariance
from .resizing import thinned

# Added to every pixel of a heat map, which is not normalised again: published, and it moves mean and spread a little.
FLOOR = 1e-7


class KeypointDetector(nn.Module):
    """Image `(B, C, H, W)` in [0, 1] -> key points with their spread.

    Source: Monkey-Net, its key-point detector and published code.
    """

    def __init__(self, config: KeypointDetectorConfig) -> None:
        super().__init__()
        self.predictor = MapHourglass(
            config.block_expansion, config.num_channels, config.num_kp, config.max_features, config.num_blocks
        )
        self.variance = config.kp_variance
        self.clip_variance = config.clip_variance
        self.temperature = config.temperature
        self.scale_factor = config.scale_factor

    def forward(self, image: Tensor) -> SpreadKeypoints:
        logits = self.predictor(thinned(image, self.scale_factor))
        heatmaps = spatial_softmax(logits, self.temperature) + FLOOR
        value = expected_position(heatmaps)
        if not isinstance(self.variance, str):
            return SpreadKeypoints(value)
        covar = second_moments(heatmaps, value)
        if self.variance == "single":
            # One number per point, published as a 1x1 matrix, is that number times the identity.
            mean = covar.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
            return SpreadKeypoints(value, mean * torch.eye(2, dtype=mean.dtype, device=mean.device))
        if self.clip_variance is not None:
            covar = clipped_covariance(covar, self.clip_variance)
        return SpreadKeypoints(value, covar)
