"""FOMM's dense motion network: combines K local affine motions and the background into one motion field."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks.antialias import AntiAliasDownsample
from ..blocks.gaussians import gaussian_maps
from ..blocks.grids import coordinate_grid, sample
from ..blocks.hourglass import Hourglass
from ..blocks.linear_maps import apply, inverse, product
from ..blocks.motion import DenseMotion, Keypoints
from .config import DenseMotionConfig


def sparse_motions(source: Keypoints, driving: Keypoints, height: int, width: int) -> Tensor:
    """Where every pixel comes from under each candidate motion, `(B, K+1, h, w, 2)`; the first is identity.

    Source: FOMM, equation 4.
    """
    grid = coordinate_grid(height, width, like=driving.value)
    offsets = grid - driving.value[:, :, None, None]  # (B, K, h, w, 2)
    if source.jacobian is not None and driving.jacobian is not None:
        linear = product(source.jacobian, inverse(driving.jacobian))
        offsets = apply(linear[:, :, None, None], offsets)
    motions = offsets + source.value[:, :, None, None]
    identity = grid.expand(len(motions), 1, height, width, 2)
    return torch.cat((identity, motions), dim=1)


class DenseMotionNetwork(nn.Module):
    """Source and two sets of key points -> dense motion.

    Source: FOMM, section 3.2.
    """

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__()
        motions = config.num_kp + 1
        self.hourglass = Hourglass(
            config.block_expansion,
            motions * (config.num_channels + 1),
            config.max_features,
            config.num_blocks,
        )
        self.mask = nn.Conv2d(self.hourglass.out_channels, motions, 7, padding=3)
        self.occlusion: nn.Conv2d | None = None
        if config.estimate_occlusion_map:
            self.occlusion = nn.Conv2d(self.hourglass.out_channels, 1, 7, padding=3)
        if config.scale_factor != 1:
            self.down = AntiAliasDownsample(config.num_channels, config.scale_factor)
        self.scaled = config.scale_factor != 1
        self.variance = config.kp_variance
        self.align_corners = config.align_corners

    def downsample(self, source: Tensor) -> Tensor:
        """The source at the size the motion is estimated at, `(B, C, h, w)`."""
        return self.down(source) if self.scaled else source

    def forward(self, downsampled: Tensor, source: Keypoints, driving: Keypoints) -> DenseMotion:
        """Motion from driving to source.

        Args:
            downsampled: what `downsample` gave, `(B, C, h, w)`.
            source, driving: key points of B images each.
        """
        height, width = downsampled.shape[2:]
        motions = sparse_motions(source, driving, height, width)
        deformed = self._deform(downsampled, motions)
        features = self.hourglass(
            torch.cat((self._heatmaps(source, driving, height, width), deformed), dim=2).flatten(1, 2)
        )
        mask = torch.softmax(self.mask(features), dim=1)
        deformation = (mask.unsqueeze(-1) * motions).sum(dim=1)
        occlusion_map = None if self.occlusion is None else torch.sigmoid(self.occlusion(features))
        return DenseMotion(deformation, mask, occlusion_map, deformed)

    def _heatmaps(self, source: Keypoints, driving: Keypoints, height: int, width: int) -> Tensor:
        size = (height, width)
        moved = gaussian_maps(driving.value, size, self.variance) - gaussian_maps(
            source.value, size, self.variance
        )
        background = moved.new_zeros(len(moved), 1, height, width)
        return torch.cat((background, moved), dim=1).unsqueeze(2)

    def _deform(self, image: Tensor, motions: Tensor) -> Tensor:
        # All candidate motions of an image as one tall grid: the image is not copied K+1 times.
        batch, count, height, width, _ = motions.shape
        tall = sample(image, motions.flatten(1, 2), align_corners=self.align_corners)
        return tall.view(batch, -1, count, height, width).transpose(1, 2)
