"""Starts from which minutes of training suffice: a generator that copies its source, a motion that stands still."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError

from ..blocks.convolution import ResidualBlock
from ..blocks.warping_generator import WarpingGenerator

# relu(x) - relu(-x) = x, so two channels per colour carry it through the rectifier. Colours of drawn figures have
# a standard deviation near 0.2, and the sigmoid's slope at 0.5 is 1/4: a gain of 0.2 * 4 gives the colour back.
GAIN = 0.8
KEEP_LOGIT = 4.0


@torch.no_grad()
def start_as_copier(generator: WarpingGenerator) -> None:
    """Set initial weights with which the image branch returns its source, warped.

    The architecture is untouched: the first convolution copies colours (and their negatives) into its first channels,
    residual branches start at zero, the last convolution reads the copies.

    Raises:
        BenchbedError: the generator has down-sampling blocks, through which nothing can be copied exactly.
    """
    if len(generator.down_blocks):
        raise BenchbedError(
            "a generator with down-sampling blocks cannot start as a copier; set num_down_blocks to 0"
        )
    first, final = cast(nn.Conv2d, generator.first.conv), generator.final
    colours, centre = final.out_channels, final.kernel_size[0] // 2
    final.weight.mul_(0.1)
    nn.init.zeros_(_bias(final))
    for colour in range(colours):
        for sign, channel in ((1.0, colour), (-1.0, colours + colour)):
            first.weight[channel] = 0
            first.weight[channel, colour, centre, centre] = sign
            final.weight[:, channel] = 0
            final.weight[colour, channel, centre, centre] = sign * GAIN
    for block in cast(Iterable[ResidualBlock], generator.bottleneck):
        last = cast(nn.Conv2d, block.conv2)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(_bias(last))


@torch.no_grad()
def start_still(mask: nn.Conv2d | nn.Conv3d, occlusions: Iterable[nn.Conv2d | None]) -> None:
    """Let a motion network begin with a background that stands still, all of it visible.

    Args:
        mask: gives the logits of the candidate motions, the background's first.
        occlusions: give the logits of occlusion maps, 1 keeps.
    """
    _bias(mask)[0] += KEEP_LOGIT
    start_visible(occlusions)


@torch.no_grad()
def start_visible(occlusions: Iterable[nn.Conv2d | None]) -> None:
    """Let a motion network begin with all of the warped source visible; see `start_still`."""
    for occlusion in occlusions:
        if occlusion is not None:
            _bias(occlusion).add_(KEEP_LOGIT)


def _bias(convolution: nn.Conv2d | nn.Conv3d) -> Tensor:
    # torch types the bias as optional; the convolutions of published networks have one
    return cast(Tensor, convolution.bias)
