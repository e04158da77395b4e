"""FOMM's key-point detector: where K parts are and how the image moves affinely around them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks.antialias import AntiAliasDownsample
from ..blocks.gaussians import expected_position, spatial_softmax
from ..blocks.hourglass import Hourglass
from ..blocks.motion import Keypoints
from .config import KeypointDetectorConfig


class KeypointDetector(nn.Module):
    """Image `(B, C, H, W)` in [0, 1] -> key points with jacobians.

    Source: FOMM, section 3.1; the heads' convolutions have no padding, yet positions are normalised to their
    smaller map (published).
    """

    def __init__(self, config: KeypointDetectorConfig) -> None:
        super().__init__()
        self.predictor = Hourglass(
            config.block_expansion, config.num_channels, config.max_features, config.num_blocks
        )
        self.kp = nn.Conv2d(self.predictor.out_channels, config.num_kp, 7, padding=config.pad)
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

    def forward(self, image: Tensor) -> Keypoints:
        features = self.predictor(self.down(image) if self.scaled else image)
        heatmaps = spatial_softmax(self.kp(features), self.temperature)
        value = expected_position(heatmaps)
        if self.jacobian is None:
            return Keypoints(value)
        entries = self.jacobian(features).unflatten(1, (-1, 4))  # (B, K or 1, 4, h, w)
        jacobian = (heatmaps.unsqueeze(2) * entries).sum(dim=(3, 4))
        return Keypoints(value, jacobian.unflatten(2, (2, 2)))
