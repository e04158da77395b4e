"""LIA's discriminator, StyleGAN2's residual one; for training only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..blocks.patch_discriminator import PatchScores
from ..blocks.style_convolution import BiasedLeakyReLU, EqualConv, EqualLinear, ResidualDownBlock, conv_layer
from .config import LiaConfig

COLOURS, SMALLEST_SIDE = 3, 4
LARGEST_GROUP = 4
EPSILON = 1e-8


class Discriminator(nn.Module):
    """One score per image, of the widths of the encoder.

    Source: StyleGAN2 (Karras et al., CVPR 2020), in the form that LIA's training uses.
    """

    def __init__(self, config: LiaConfig) -> None:
        super().__init__()
        widths = [
            config.channels[resolution] for resolution in (*reversed(config.resolutions), SMALLEST_SIDE)
        ]
        self.convs = nn.Sequential(
            conv_layer(COLOURS, widths[0], 1),
            *(ResidualDownBlock(before, after) for before, after in pairwise(widths)),
        )
        width = widths[-1]
        self.final_conv = conv_layer(width + 1, width, 3)
        # A linear layer over all of a 4x4 map is a convolution of that size, weights and scale alike.
        self.final_linear = nn.Sequential(
            EqualConv(width, width, SMALLEST_SIDE),
            BiasedLeakyReLU(width),
            nn.Flatten(),
            EqualLinear(width, 1),
        )

    def forward(self, images: Sequence[Tensor], keypoints: Tensor | None = None) -> list[PatchScores]:
        """Scores `(B, 1, 1, 1)` of images `(B, 3, size, size)` around [-1, 1], one per image given."""
        return [PatchScores((), self.scores(image)) for image in images]

    def scores(self, image: Tensor) -> Tensor:
        """The score of every image, `(B, 1, 1, 1)`."""
        features = self.final_conv(with_deviation(self.convs(image)))
        return self.final_linear(features)[:, :, None, None]


def with_deviation(features: Tensor) -> Tensor:
    """Features `(B, C, h, w)` and a map of how much they differ in the group of an image, `(B, C + 1, h, w)`.

    Groups are of four images, or of the largest number under four that divides the batch; image i is in the group of
    image i + B / 4.

    Source: StyleGAN2, minibatch standard deviation, of one feature; the variance is that of a population.
    """
    count = len(features)
    group = max(size for size in range(1, LARGEST_GROUP + 1) if count % size == 0)
    grouped = features.float().unflatten(0, (group, count // group))
    deviation = (grouped.var(dim=0, correction=0) + EPSILON).sqrt()  # (B / group, C, h, w)
    means = deviation.mean(dim=(1, 2, 3)).repeat(group)
    maps = means[:, None, None, None].expand(-1, 1, *features.shape[2:])
    return torch.cat((features, maps.to(features.dtype)), dim=1)
