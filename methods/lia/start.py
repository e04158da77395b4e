"""A start from which minutes of training suffice: LIA's network as a copier of its source that stands still."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import nn

from ..blocks.style_convolution import SLOPE, BiasedLeakyReLU, EqualConv
from .animator import LatentAnimator
from .decoder import Decoder, ToFlow, ToImage

VISIBLE_LOGIT = 3.0
FLOW_SHARE = 0.05


@torch.no_grad()
def start_as_copier(animator: LatentAnimator) -> None:
    """Set initial weights with which the network returns its source, whatever the latent.

    The architecture is untouched. The encoder's first convolution copies colours and their negatives into its first
    channels, the finest image head reads them, all others are silent; flows begin near zero. Only the finest mask
    begins with all visible: where warped features hide the decoder's own, no coarse level could tell positions apart.
    """
    first = cast(EqualConv, animator.enc.net_app.convs[0].get_submodule("0"))
    for sign, colour, channel in _copies():
        first.weight[channel] = 0
        first.weight[channel, colour] = sign / first.scale
    decoder = animator.dec
    for head in _heads(decoder):
        cast(EqualConv, head.conv[0]).weight.zero_()
    _read_copies(_heads(decoder)[-1])
    for flow in cast(Iterable[ToFlow], decoder.to_flows):
        flow.conv.weight.mul_(FLOW_SHARE)
    cast(ToFlow, decoder.to_flows[-1]).bias[:, 2] = VISIBLE_LOGIT


def _copies() -> list[tuple[float, int, int]]:
    """Sign, colour and channel of every copy."""
    return [(sign, colour, 3 * half + colour) for half, sign in enumerate((1.0, -1.0)) for colour in range(3)]


def _heads(decoder: Decoder) -> list[ToImage]:
    return list(cast(Iterable[ToImage], decoder.to_rgbs))


def _read_copies(head: ToImage) -> None:
    # leaky(x) - leaky(-x) = (1 + slope) x, both rectifiers have a gain of sqrt(2), and colours in [-1, 1] raised by
    # 1 pass the head's own rectifier unbent.
    convolution, rectifier = cast(EqualConv, head.conv[0]), cast(BiasedLeakyReLU, head.conv[1])
    for sign, colour, channel in _copies():
        convolution.weight[colour, channel] = sign / (2 * (1 + SLOPE) * convolution.scale)
    nn.init.ones_(rectifier.bias)
    nn.init.constant_(head.bias, -math.sqrt(2))
