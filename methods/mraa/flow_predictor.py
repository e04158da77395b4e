"""MRAA's pixel-wise flow predictor: combines the motions of regions and background into one optical flow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..blocks.first_order import sparse_motions
from ..blocks.gaussians import ellipse_maps, gaussian_maps
from ..blocks.grids import sample_each
from ..blocks.motion_weighing import MotionWeighing
from .config import FlowConfig
from .regions import Regions


@dataclass(frozen=True)
class Flow:
    """Where in the source every output position is sampled.

    Args:
        optical_flow: `(B, h, w, 2)`, (x, y) in [-1, 1].
        occlusion_map: `(B, 1, h, w)` in (0, 1), 1 keeps, 0 is to be inpainted; None where not estimated.
        heatmaps: `(B, K+1, h, w)`, driving minus source heat map of each region, zero for the background.
        sparse_motions: `(B, K+1, h, w, 2)`, the candidate motions, background first.
    """

    optical_flow: Tensor
    occlusion_map: Tensor | None
    heatmaps: Tensor
    sparse_motions: Tensor


class PixelwiseFlowPredictor(MotionWeighing):
    """Source, two sets of regions and the background's motion -> optical flow.

    Source: MRAA, section 3.4.
    """

    def __init__(self, config: FlowConfig) -> None:
        per_motion = 1 + (config.num_channels if config.use_deformed_source else 0)
        super().__init__(config, config.num_regions + 1, per_motion)
        self.config = config

    def forward(
        self, downsampled: Tensor, source: Regions, driving: Regions, background: Tensor | None
    ) -> Flow:
        """Flow from driving to source.

        Args:
            downsampled: what `downsample` gave, `(B, C, h, w)`.
            source, driving: regions of B images each.
            background: `(B, 3, 3)`, None for a background that stands still.
        """
        size = downsampled.shape[2:]
        motions = sparse_motions(
            source.keypoints, driving.keypoints, size, background, free_sign=self.config.revert_axis_swap
        )
        moved = self._heatmaps(driving, size) - self._heatmaps(source, size)
        heatmaps = torch.cat((torch.zeros_like(moved[:, :1]), moved), dim=1)
        inputs = heatmaps.unsqueeze(2)
        if self.config.use_deformed_source:
            deformed = sample_each(downsampled, motions, align_corners=self.config.align_corners)
            inputs = torch.cat((inputs, deformed), dim=2)
        mask, occlusion_map = self.weigh(inputs)
        optical_flow = (mask.unsqueeze(-1) * motions).sum(dim=1)
        return Flow(optical_flow, occlusion_map, heatmaps, motions)

    def _heatmaps(self, regions: Regions, size: tuple[int, int] | torch.Size) -> Tensor:
        if self.config.use_covar_heatmap and regions.covar is not None:
            return ellipse_maps(regions.shift, regions.covar, size)
        return gaussian_maps(regions.shift, size, self.config.region_var)
