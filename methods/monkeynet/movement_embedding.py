"""The movement embedding: what moves where between two sets of key points, as maps; it has no weights."""

from __future__ import annotations

import torch
from torch import Tensor

from ..blocks.grids import coordinate_grid, sample_each
from .config import EmbeddingConfig
from .keypoints import SpreadKeypoints
from .resizing import thinned


class MovementEmbedding:
    """Source image and two sets of key points -> maps.

    Source: Monkey-Net and its published code.
    """

    def __init__(self, config: EmbeddingConfig) -> None:
        self.config = config
        self.out_channels = config.out_channels

    def __call__(self, image: Tensor, source: SpreadKeypoints, driving: SpreadKeypoints) -> Tensor:
        """The embedding of B sets of driving key points.

        Args:
            image: the source, `(B or 1, C, H, W)`; only its size counts unless it is to be warped.
            source: key points of B sources or of one.
            driving: key points of B images.

        Returns:
            `(B, C', h, w)`, h and w scaled; the channels of one component follow another's, in the order heat map,
            difference (x, y), warped source.
        """
        config = self.config
        image = thinned(image, config.scale_factor)
        size = image.shape[2:]
        parts = []
        if config.use_heatmap:
            parts.append(self._heatmaps(source, driving, size).unsqueeze(2))
        displacements = self.displacements(source, driving)
        if config.use_difference:
            parts.append(displacements[..., None, None].expand(-1, -1, -1, *size))
        if config.use_deformed_source_image:
            grid = coordinate_grid(size[0], size[1], like=displacements)
            motions = grid + displacements[:, :, None, None]
            copies = image.expand(len(motions), -1, -1, -1)
            parts.append(sample_each(copies, motions, align_corners=config.align_corners))
        return torch.cat(parts, dim=2).flatten(1, 2)

    def displacements(self, source: SpreadKeypoints, driving: SpreadKeypoints) -> Tensor:
        """From where in the source each component of the driving image comes, less where it is, `(B, M, 2)`."""
        return self._with_background(source.value - driving.value)

    def _heatmaps(self, source: SpreadKeypoints, driving: SpreadKeypoints, size: torch.Size) -> Tensor:
        heatmaps = self._normalised(driving, size)
        if self.config.heatmap_type == "difference":
            heatmaps = heatmaps - self._normalised(source, size)
        return self._with_background(heatmaps)

    def _normalised(self, keypoints: SpreadKeypoints, size: torch.Size) -> Tensor:
        heatmaps = keypoints.maps(size, self.config.kp_variance)
        norm = self.config.norm_const
        return heatmaps / (heatmaps.sum(dim=(2, 3), keepdim=True) if norm == "sum" else float(norm))

    def _with_background(self, values: Tensor) -> Tensor:
        if not self.config.add_bg_feature_map:
            return values
        return torch.cat((torch.zeros_like(values[:, :1]), values), dim=1)
