"""Face-vid2vid's dense motion network: combines K local motions and the background into one motion field in space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..blocks.grids import sample_each
from ..blocks.linear_maps import apply, inverse, product
from ..blocks.motion import Keypoints
from ..blocks.volume_grids import coordinate_volume, gaussian_volumes
from ..blocks.volumetric import VolumeHourglass
from .config import DenseMotionConfig

KEYPOINT_VARIANCE = 0.01


@dataclass(frozen=True)
class VolumeMotion:
    """Where in the source's appearance volume every output position is sampled.

    Args:
        deformation: `(B, D, h, w, 3)`, (x, y, z) in [-1, 1].
        mask: `(B, K+1, D, h, w)`, how much each candidate motion counts, background first; sums to 1.
        occlusion_map: `(B, 1, h, w)` in (0, 1), 1 keeps, 0 is to be inpainted; None where not estimated.
    """

    deformation: Tensor
    mask: Tensor
    occlusion_map: Tensor | None


def sparse_motions(source: Keypoints, driving: Keypoints, size: tuple[int, int, int]) -> Tensor:
    """Where every voxel comes from under each candidate motion, `(B, K+1, *size, 3)`; the first is identity.

    Source: face-vid2vid, section 3.3; with jacobians FOMM, equation 4, in space.
    """
    grid = coordinate_volume(*size, like=driving.value)
    offsets = grid - driving.value[:, :, None, None, None]  # (B, K, D, h, w, 3)
    if source.jacobian is not None and driving.jacobian is not None:
        linear = product(source.jacobian, inverse(driving.jacobian))
        offsets = apply(linear[:, :, None, None, None], offsets)
    motions = offsets + source.value[:, :, None, None, None]
    identity = grid.expand(len(motions), 1, *size, 3)
    return torch.cat((identity, motions), dim=1)


class DenseMotionNetwork(nn.Module):
    """Appearance volume and two sets of key points -> dense motion.

    Source: face-vid2vid, section 3.3.
    """

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__()
        motions = config.num_kp + 1
        self.hourglass = VolumeHourglass(
            config.block_expansion, motions * (config.compress + 1), config.max_features, config.num_blocks
        )
        self.scale_factor = config.scale_factor
        self.align_corners = config.align_corners
        gathered = self.hourglass.out_channels
        self.mask = nn.Conv3d(gathered, motions, 7, padding=3)
        self.compress = nn.Conv3d(config.feature_channel, config.compress, 1)
        self.norm = nn.BatchNorm3d(config.compress)
        self.occlusion: nn.Conv2d | None = None
        if config.estimate_occlusion_map:
            self.occlusion = nn.Conv2d(gathered * config.reshape_depth, 1, 7, padding=3)

    def compressed(self, volume: Tensor) -> Tensor:
        """The few channels `(B, c, D, h, w)` of an appearance volume `(B, C, D, H, W)` that motion is estimated on."""
        compressed = functional.relu(self.norm(self.compress(volume)))
        if self.scale_factor == 1:
            return compressed
        step = round(1 / self.scale_factor)
        return functional.avg_pool3d(compressed, (1, step, step))

    def forward(self, compressed: Tensor, source: Keypoints, driving: Keypoints) -> VolumeMotion:
        """Motion from driving to source.

        Args:
            compressed: what `compressed` gave, `(B, c, D, h, w)`.
            source, driving: key points of B images each.
        """
        depth, height, width = compressed.shape[2:]
        size = (depth, height, width)
        motions = sparse_motions(source, driving, size)
        deformed = sample_each(compressed, motions, align_corners=self.align_corners)
        features = self.hourglass(
            torch.cat((_heatmaps(source, driving, size), deformed), dim=2).flatten(1, 2)
        )
        mask = torch.softmax(self.mask(features), dim=1)
        deformation = (mask.unsqueeze(-1) * motions).sum(dim=1)
        occlusion_map = None
        if self.occlusion is not None:
            occlusion_map = torch.sigmoid(self.occlusion(features.flatten(1, 2)))
        return VolumeMotion(deformation, mask, occlusion_map)


def _heatmaps(source: Keypoints, driving: Keypoints, size: tuple[int, int, int]) -> Tensor:
    moved = gaussian_volumes(driving.value, size, KEYPOINT_VARIANCE) - gaussian_volumes(
        source.value, size, KEYPOINT_VARIANCE
    )
    background = moved.new_zeros(len(moved), 1, *size)
    return torch.cat((background, moved), dim=1).unsqueeze(2)
