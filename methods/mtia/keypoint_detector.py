"""MTIA's key-point detector: a high-resolution backbone followed by a token transformer."""

from __future__ import annotations

from torch import Tensor, nn

from ..blocks.motion import Keypoints
from .config import KeypointDetectorConfig
from .hrnet import HighResolutionNetwork
from .token_transformer import TokenTransformer


class KeypointDetector(nn.Module):
    """Image `(B, C, H, W)` in [0, 1], of the configuration's size -> K key points with jacobians.

    Source: MTIA, section 3.2. There are no heat maps.
    """

    def __init__(self, config: KeypointDetectorConfig) -> None:
        super().__init__()
        self.pre_feature = HighResolutionNetwork(
            config.num_channels,
            config.second_stage,
            config.third_stage,
            stem_channels=config.stem_channels,
        )
        self.transformer = TokenTransformer(config.transformer, self.pre_feature.out_channels)

    def forward(self, image: Tensor) -> Keypoints:
        return self.transformer(self.pre_feature(image))
