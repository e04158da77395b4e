"""IAPM's mask generator: the pose of the object as one soft mask."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..blocks.antialias import AntiAliasDownsample
from ..blocks.hourglass import SkiplessHourglass
from .config import MASK_BORDER, MaskGeneratorConfig


class MaskGenerator(nn.Module):
    """Image `(B, C, H, W)` in [0, 1] -> mask `(B, 1, h, w)` in (0, 1), h = H * scale - 6.

    Source: IAPM, section 3.1; the unpadded convolution is that of its published code.
    """

    def __init__(self, config: MaskGeneratorConfig) -> None:
        super().__init__()
        widths = config.hourglass
        self.predictor = SkiplessHourglass(
            widths.block_expansion, config.num_channels, widths.max_features, widths.num_blocks
        )
        self.ref = nn.Conv2d(self.predictor.out_channels, 1, 2 * MASK_BORDER + 1)
        self.scaled = config.scale_factor != 1
        if self.scaled:
            self.down = AntiAliasDownsample(config.num_channels, config.scale_factor)
        self.temperature = config.temperature

    def downsample(self, image: Tensor) -> Tensor:
        """The image at the size the mask is estimated at."""
        return self.down(image) if self.scaled else image

    def forward(self, image: Tensor) -> Tensor:
        logits = self.ref(self.predictor(self.downsample(image)))
        return torch.sigmoid(logits / self.temperature)


def padded(mask: Tensor) -> Tensor:
    """The mask `(B, 1, h, w)` with the border its convolution took off, empty: `(B, 1, h + 6, w + 6)`."""
    return functional.pad(mask, (MASK_BORDER,) * 4)
