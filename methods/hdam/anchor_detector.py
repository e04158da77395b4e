"""HDAM's detector: all anchors, and how much each intermediate anchor attends to each motion anchor."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..blocks.anchors import Anchors
from ..blocks.first_order_config import KeypointDetectorConfig
from ..blocks.grids import sample
from ..blocks.keypoint_detector import KeypointDetector
from .config import ATTENTION_CHANNELS, AttentionConfig


class AnchorDetector(KeypointDetector):
    """Image `(B, C, H, W)` in [0, 1] -> anchors with jacobians; motion anchors, intermediate ones, root.

    Source: HDAM, the hierarchical deformable anchor model. The attention serves training alone.
    """

    subroot_attention_block: nn.Sequential
    leaf_attention_block: nn.Sequential

    def __init__(self, config: KeypointDetectorConfig, attention: AttentionConfig) -> None:
        features = config.block_expansion + config.num_channels
        blocks = {
            name: nn.Sequential(
                nn.Conv2d(features, ATTENTION_CHANNELS, 1), nn.BatchNorm2d(ATTENTION_CHANNELS), nn.ReLU()
            )
            for name in ("subroot_attention_block", "leaf_attention_block")
        }
        super().__init__(config, blocks)
        self.attention_config = attention

    def attention(self, features: Tensor, anchors: Anchors) -> Tensor:
        """How much each intermediate anchor attends to each motion anchor.

        Args:
            features: `(B, F, h, w)`, what the anchors were detected on. It is read at their positions as they are,
                although those are normalised to the smaller heat maps (published).

        Returns:
            `(B, I, K)`, rows sum to 1; 0 for ignored motion anchors.
        """
        if self.attention_config.detach_feature:
            features = features.detach()
        queries = self._read(self.subroot_attention_block, features, anchors.intermediate.value)
        keys = self._read(self.leaf_attention_block, features, anchors.motion.value)
        # Divided by the root of the number of intermediate anchors, not of the channels, as published.
        similarity = torch.einsum("bci,bck->bik", queries, keys) / math.sqrt(queries.shape[2])
        ignored = torch.zeros(keys.shape[2], dtype=torch.bool, device=features.device)
        ignored[list(self.attention_config.ignored)] = True
        scaled = self.attention_config.scale * similarity
        return torch.softmax(scaled.masked_fill(ignored, -math.inf), dim=2)

    def _read(self, block: nn.Sequential, features: Tensor, positions: Tensor) -> Tensor:
        """The block's output for the features at positions `(B, P, 2)`: `(B, channels, P)`."""
        # The points are the rows of an image one pixel wide.
        return block(sample(features, positions.unsqueeze(2), align_corners=False)).squeeze(3)
