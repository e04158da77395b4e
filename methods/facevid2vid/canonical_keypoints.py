"""Face-vid2vid's canonical key points: K points of a face in space, whatever its pose and expression."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ..blocks.antialias import AntiAliasDownsample
from ..blocks.convolution import DownBlock
from ..blocks.gaussians import spatial_softmax
from ..blocks.hourglass import hourglass_width
from ..blocks.motion import Keypoints
from ..blocks.volume_grids import expected_point
from ..blocks.volumetric import VolumeUpBlock
from .config import CanonicalKeypointConfig


class VolumePredictor(nn.Module):
    """Image `(B, C, h, w)` -> features in space `(B, block_expansion, D, h, w)`.

    Its channels become depth half-way, where the image is smallest; there are no skips.
    """

    def __init__(self, config: CanonicalKeypointConfig) -> None:
        super().__init__()
        widths = [
            hourglass_width(config.block_expansion, config.max_features, level)
            for level in range(config.num_blocks + 1)
        ]
        self.down_blocks = nn.Sequential()
        for level, (before, after) in enumerate(pairwise([config.image_channel, *widths[1:]])):
            self.down_blocks.add_module(f"down{level}", DownBlock(before, after))
        self.conv = nn.Conv2d(widths[-1], config.reshape_channel, 1)
        self.up_blocks = nn.Sequential()
        for level, (before, after) in enumerate(pairwise(reversed(widths))):
            self.up_blocks.add_module(f"up{level}", VolumeUpBlock(before, after))
        self.depth = config.reshape_depth
        self.out_channels = widths[0]

    def forward(self, image: Tensor) -> Tensor:
        flat = self.conv(self.down_blocks(image))
        return self.up_blocks(flat.unflatten(1, (-1, self.depth)))


class CanonicalKeypointDetector(nn.Module):
    """Image `(B, C, H, W)` in [0, 1] -> canonical key points in space, with jacobians where configured.

    Source: face-vid2vid, section 3.1; the jacobians are an option of the unofficial implementation.
    """

    def __init__(self, config: CanonicalKeypointConfig) -> None:
        super().__init__()
        self.predictor = VolumePredictor(config)
        self.kp = nn.Conv3d(self.predictor.out_channels, config.num_kp, 3, padding=1)
        self.jacobian: nn.Conv3d | None = None
        if config.estimate_jacobian:
            maps = 1 if config.single_jacobian_map else config.num_kp
            self.jacobian = nn.Conv3d(self.predictor.out_channels, 9 * maps, 3, padding=1)
            # Starts at the identity everywhere, so that training begins with pure translations.
            nn.init.zeros_(self.jacobian.weight)
            self.jacobian.bias = nn.Parameter(torch.eye(3).flatten().repeat(maps))
        if config.scale_factor != 1:
            self.down = AntiAliasDownsample(config.image_channel, config.scale_factor)
        self.scaled = config.scale_factor != 1
        self.temperature = config.temperature

    def forward(self, image: Tensor) -> Keypoints:
        features = self.predictor(self.down(image) if self.scaled else image)
        # float32 from here on, so that reduced precision ends with the network.
        heatmaps = spatial_softmax(self.kp(features).float(), self.temperature)
        value = expected_point(heatmaps)
        if self.jacobian is None:
            return Keypoints(value)
        entries = self.jacobian(features).float().unflatten(1, (-1, 9))  # (B, K or 1, 9, D, h, w)
        jacobian = (heatmaps.unsqueeze(2) * entries).sum(dim=(3, 4, 5))
        return Keypoints(value, jacobian.unflatten(2, (3, 3)))
