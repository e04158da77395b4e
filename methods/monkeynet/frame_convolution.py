"""Monkey-Net's convolutions: published as 1 x k x k over clips, computed as k x k over single frames."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as functional
from torch import Tensor, nn

from ..blocks.convolution import DownBlock, UpBlock, convolve_doubled


class FrameConvolution(nn.Conv2d):
    """A convolution of frames `(B, in, H, W)` whose weight is published as `(out, in / groups, 1, k, k)`.

    The published networks convolve clips in three dimensions, but never across frames.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, padding: int = 0, groups: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=padding, groups=groups)
        self.weight = nn.Parameter(self.weight.detach().unsqueeze(2))

    def forward(self, input: Tensor) -> Tensor:
        return functional.conv2d(
            input, self.weight.squeeze(2), self.bias, padding=self.padding, groups=self.groups
        )


class DoublingFrameConvolution(FrameConvolution):
    """Nearest x2, then a 3x3 convolution of frames; `(B, in, H, W)` -> `(B, out, 2H, 2W)`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        return convolve_doubled(input, self.weight.squeeze(2), self.bias)


# For the shared encoder and decoder.
FRAME_DOWN = partial(DownBlock, convolution=FrameConvolution)
FRAME_UP = partial(UpBlock, convolution=DoublingFrameConvolution)
