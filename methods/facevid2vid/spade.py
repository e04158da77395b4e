"""Spatially adaptive normalisation, its residual block and the decoder made of them; all widths are fixed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

IN_CHANNELS = 256
WIDTH = 512
HIDDEN = 128
MIDDLE_BLOCKS = 6
UP_WIDTHS = (256, 64)
COLOURS = 3
SLOPE = 0.2


class SpatiallyAdaptiveNorm(nn.Module):
    """Instance normalisation whose scale and shift at every position come from a map.

    Source: SPADE (Park et al., CVPR 2019), equation 1, over instances instead of the batch.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(IN_CHANNELS, HIDDEN, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(HIDDEN, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(HIDDEN, channels, 3, padding=1)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Features `(B, C, h, w)` normalised under a guide `(B, 256, h, w)`."""
        hidden = self.mlp_shared(guide)
        return functional.instance_norm(features) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class SpadeBlock(nn.Module):
    """Residual block of two spectrally normalised convolutions; `(B, in, h, w)` -> `(B, out, h, w)`.

    Source: SPADE, appendix A. The hook-based spectral normalisation has the names of published checkpoints.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inner = min(in_channels, out_channels)
        self.changes_width = in_channels != out_channels
        # Declared in the order of the published state dict, not in the order of use.
        self.conv_0 = spectral_norm(nn.Conv2d(in_channels, inner, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(inner, out_channels, 3, padding=1))
        if self.changes_width:
            self.conv_s = spectral_norm(nn.Conv2d(in_channels, out_channels, 1, bias=False))
        self.norm_0 = SpatiallyAdaptiveNorm(in_channels)
        self.norm_1 = SpatiallyAdaptiveNorm(inner)
        if self.changes_width:
            self.norm_s = SpatiallyAdaptiveNorm(in_channels)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Features under a guide `(B, 256, h, w)`."""
        inner = self.conv_0(functional.leaky_relu(self.norm_0(features, guide), SLOPE))
        inner = self.conv_1(functional.leaky_relu(self.norm_1(inner, guide), SLOPE))
        shortcut = self.conv_s(self.norm_s(features, guide)) if self.changes_width else features
        return shortcut + inner


class SpadeDecoder(nn.Module):
    """Features `(B, 256, h, w)`, which also guide every normalisation -> image `(B, 3, 4h, 4w)` in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(IN_CHANNELS, WIDTH, 3, padding=1)
        for index in range(MIDDLE_BLOCKS):
            self.add_module(f"G_middle_{index}", SpadeBlock(WIDTH, WIDTH))
        self.up_0 = SpadeBlock(WIDTH, UP_WIDTHS[0])
        self.up_1 = SpadeBlock(*UP_WIDTHS)
        self.conv_img = nn.Conv2d(UP_WIDTHS[-1], COLOURS, 3, padding=1)

    def forward(self, guide: Tensor) -> Tensor:
        features = self.fc(guide)
        for block in self._middle():
            features = block(features, guide)
        for block in (self.up_0, self.up_1):
            features, guide = functional.interpolate(features, scale_factor=2), _twice(guide)
            features = block(features, guide)
        return torch.sigmoid(self.conv_img(functional.leaky_relu(features, SLOPE)))

    def _middle(self) -> Iterator[nn.Module]:
        return (self.get_submodule(f"G_middle_{index}") for index in range(MIDDLE_BLOCKS))


def _twice(maps: Tensor) -> Tensor:
    # Nearest: doubling twice is what resizing by four at once gives.
    return functional.interpolate(maps, scale_factor=2)
