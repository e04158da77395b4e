"""LIA's encoder: image -> latent and appearance features, latent -> motion code."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ..blocks.style_convolution import EqualConv, EqualLinear, ResidualDownBlock, conv_layer
from .config import LiaConfig


@dataclass(frozen=True)
class Appearance:
    """What an image looks like.

    Args:
        latent: `(B, style_dim)`, the image in the pose that all images share (the paper's x_r).
        features: `(B, C, r, r)` for r = 8, 16, ..., size.
    """

    latent: Tensor
    features: tuple[Tensor, ...]

    def expand(self, count: int) -> Appearance:
        """A batch of one seen as a batch of `count`, without copying."""
        return Appearance(
            self.latent.expand(count, -1),
            tuple(features.expand(count, -1, -1, -1) for features in self.features),
        )


class AppearanceEncoder(nn.Module):
    """Residual down-sampling to 4x4, then one convolution to the latent."""

    def __init__(self, config: LiaConfig) -> None:
        super().__init__()
        widths = [config.channels[resolution] for resolution in (*reversed(config.resolutions), 4)]
        self.convs = nn.ModuleList([conv_layer(3, widths[0], 1)])
        for before, after in pairwise(widths):
            self.convs.append(ResidualDownBlock(before, after))
        self.convs.append(EqualConv(widths[-1], config.style_dim, 4))

    def forward(self, image: Tensor) -> Appearance:
        """Latent and features of images `(B, 3, size, size)` in [-1, 1]."""
        features, stages = image, []
        for block in self.convs:
            features = block(features)
            stages.append(features)
        # The last two, the 4x4 map and the latent, are no features.
        return Appearance(features.flatten(1), tuple(reversed(stages[:-2])))

    def latent(self, image: Tensor) -> Tensor:
        """The latent `(B, style_dim)` alone, keeping no features."""
        for block in self.convs:
            image = block(image)
        return image.flatten(1)


class Encoder(nn.Module):
    """Appearance network and motion MLP.

    Source: LIA's released code; its "5-layer MLP" has no activation between the layers.
    """

    def __init__(self, config: LiaConfig) -> None:
        super().__init__()
        self.net_app = AppearanceEncoder(config)
        out = config.motion_dim if config.motion_dictionary else config.style_dim
        widths = [config.style_dim] * 5 + [out]
        self.fc = nn.Sequential(*(EqualLinear(before, after) for before, after in pairwise(widths)))

    def magnitudes(self, latent: Tensor) -> Tensor:
        """How far along every motion direction images of latent `(B, style_dim)` lie: `(B, motion_dim)`."""
        return self.fc(latent)
