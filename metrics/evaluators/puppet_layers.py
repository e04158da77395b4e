"""The convolution block of the puppet networks, and the frame size they work at."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchbed.arithmetic import channels_last

NETWORK_SIZE = 64
"""Pixels; the puppet networks are trained at this size."""


class ConvolutionBlock(nn.Module):
    """3x3 convolution, batch normalisation, leaky ReLU; the normalisation is folded away before shipping."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.normalisation: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        return functional.leaky_relu(self.normalisation(self.convolution(maps)), 0.1, inplace=True)

    def fold(self) -> None:
        """Merge the running statistics into the convolution (evaluation mode only, done once)."""
        if isinstance(self.normalisation, nn.BatchNorm2d):
            self.convolution = fuse_conv_bn_eval(self.convolution.eval(), self.normalisation.eval())
            self.normalisation = nn.Identity()


def fold(network: nn.Module) -> nn.Module:
    """The network in evaluation mode, frozen, with every batch normalisation folded into its convolution."""
    for module in list(network.modules()):
        if isinstance(module, ConvolutionBlock):
            module.fold()
    return channels_last(network).eval().requires_grad_(False)


def to_network_size(frames: Tensor) -> Tensor:
    """Frames `[N, 3, H, W]` resized to 64x64, antialiased; frames of that size are returned as they are."""
    if frames.shape[-2:] == (NETWORK_SIZE, NETWORK_SIZE):
        return frames
    size = (NETWORK_SIZE, NETWORK_SIZE)
    resized = functional.interpolate(frames, size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized.clamp(0.0, 1.0)


def centred(frames: Tensor) -> Tensor:
    """Frames in [0, 1] as the networks see them: (x - 0.5) / 0.25."""
    return (frames - 0.5) * 4.0


def initialised(seed: int) -> torch.Generator:
    """A CPU generator of that seed, after the global one (network initialisation) was seeded alike."""
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
