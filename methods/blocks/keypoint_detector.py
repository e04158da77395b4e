"""The first-order key-point detector: where K parts are and how the image moves affinely around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .antialias import AntiAliasDownsample
from .first_order_config import KeypointDetectorConfig
from .gaussians import expected_position, spatial_softmax
from .hourglass import Hourglass
from .motion import Keypoints


@dataclass(frozen=True)
class Detection:
    """Key points of a batch of images and what they were read from.

    Args:
        heatmaps: `(B, K, h', w')`, each sums to 1; smaller than the features where the heads have no padding.
        features: `(B, F, h, w)`, what the hourglass gives.
    """

    keypoints: Keypoints
    heatmaps: Tensor
    features: Tensor


class KeypointDetector(nn.Module):
    """Image `(B, C, H, W)` in [0, 1] -> key points with jacobians.

    Args:
        heads: further networks on the features, registered where published state dicts have them.

    Source: FOMM, section 3.1; the heads' convolutions have no padding, yet positions are normalised to their
    smaller map (published).
    """

    def __init__(self, config: KeypointDetectorConfig, heads: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        self.predictor = Hourglass(
            config.block_expansion, config.num_channels, config.max_features, config.num_blocks
        )
        self.kp = nn.Conv2d(self.predictor.out_channels, config.num_kp, 7, padding=config.pad)
        for name, head in (heads or {}).items():
            self.add_module(name, head)
        self.jacobian: nn.Conv2d | None = None
        if config.estimate_jacobian:
            maps = 1 if config.single_jacobian_map else config.num_kp
            self.jacobian = nn.Conv2d(self.predictor.out_channels, 4 * maps, 7, padding=config.pad)
            # Starts at the identity everywhere, so that training begins with pure translations.
            nn.init.zeros_(self.jacobian.weight)
            self.jacobian.bias = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 1.0]).repeat(maps))
        if config.scale_factor != 1:
            self.down = AntiAliasDownsample(config.num_channels, config.scale_factor)
        self.scaled = config.scale_factor != 1
        self.temperature = config.temperature

    def detect(self, image: Tensor) -> Detection:
        """Key points with their heat maps and features."""
        features = self.predictor(self.down(image) if self.scaled else image)
        heatmaps = spatial_softmax(self.kp(features), self.temperature)
        value = expected_position(heatmaps)
        if self.jacobian is None:
            return Detection(Keypoints(value), heatmaps, features)
        entries = self.jacobian(features).unflatten(1, (-1, 4))  # (B, K or 1, 4, h', w')
        jacobian = (heatmaps.unsqueeze(2) * entries).sum(dim=(3, 4))
        return Detection(Keypoints(value, jacobian.unflatten(2, (2, 2))), heatmaps, features)

    def forward(self, image: Tensor) -> Keypoints:
        return self.detect(image).keypoints
