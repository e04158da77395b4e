"""MRAA's region predictor: where K parts are and how each is stretched and turned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..blocks.antialias import AntiAliasDownsample
from ..blocks.gaussians import expected_position, second_moments, spatial_softmax
from ..blocks.hourglass import Hourglass
from .config import RegionPredictorConfig
from .regions import Regions, outer_square, principal_axes


@dataclass(frozen=True)
class Prediction:
    """Regions of a batch of images and the heat maps `(B, K, h, w)` they were read from; each map sums to 1."""

    regions: Regions
    heatmaps: Tensor


class RegionPredictor(nn.Module):
    """Image `(B, C, H, W)` in [0, 1] -> regions.

    Source: MRAA, sections 3.1 and 3.2. Without padding, positions are normalised to the smaller map (published).
    """

    def __init__(self, config: RegionPredictorConfig) -> None:
        super().__init__()
        self.predictor = Hourglass(
            config.block_expansion, config.num_channels, config.max_features, config.num_blocks
        )
        self.regions = nn.Conv2d(self.predictor.out_channels, config.num_regions, 7, padding=config.pad)
        self.jacobian: nn.Conv2d | None = None
        if config.estimate_affine and not config.pca_based:
            self.jacobian = nn.Conv2d(self.predictor.out_channels, 4, 7, padding=config.pad)
            # Starts at the identity everywhere, so that training begins with pure translations.
            nn.init.zeros_(self.jacobian.weight)
            self.jacobian.bias = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 1.0]))
        if config.scale_factor != 1:
            self.down = AntiAliasDownsample(config.num_channels, config.scale_factor)
        self.scaled = config.scale_factor != 1
        self.temperature = config.temperature
        self.pca_based = config.pca_based

    def predict(self, image: Tensor) -> Prediction:
        """Regions with their heat maps."""
        features = self.predictor(self.down(image) if self.scaled else image)
        heatmaps = spatial_softmax(self.regions(features), self.temperature)
        shift = expected_position(heatmaps)
        if self.pca_based:
            covar = second_moments(heatmaps, shift)
            return Prediction(Regions(shift, principal_axes(covar).affine, covar), heatmaps)
        if self.jacobian is None:
            return Prediction(Regions(shift), heatmaps)
        entries = self.jacobian(features).unsqueeze(1)  # (B, 1, 4, h, w), one map for all regions
        affine = (heatmaps.unsqueeze(2) * entries).sum(dim=(3, 4)).unflatten(2, (2, 2))
        return Prediction(Regions(shift, affine, outer_square(affine)), heatmaps)

    def forward(self, image: Tensor) -> Regions:
        return self.predict(image).regions
