"""Convolution blocks with normalisation: same size, down, up, residual; and a convolution to a single map."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

# Channels -> a normalisation of that many.
Norm = Callable[[int], nn.Module]
instance_norm: Norm = partial(nn.InstanceNorm2d, affine=True)
# Channels in, channels out, kernel size and, by name, padding -> a convolution of frames.
Convolution = Callable[..., nn.Module]


class SingleMapConvolution(nn.Conv2d):
    """A convolution with one output map, as those that read occlusion from wide features.

    CPUs compute at least sixteen output channels whatever the number asked for. Its kernel's rows as channels of their
    own, shifted and summed afterwards, give the same in a fifth of the time (measured, 7x7).
    """

    def __init__(self, in_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, 1, kernel_size, padding=kernel_size // 2)

    def forward(self, features: Tensor) -> Tensor:
        """`(B, C, H, W)` -> `(B, 1, H, W)`."""
        if features.device.type != "cpu":
            return super().forward(features)
        size, reach = self.kernel_size[0], self.kernel_size[0] // 2
        rows = functional.conv2d(features, self.weight[0].transpose(0, 1).unsqueeze(2), padding=(0, reach))
        rows = functional.pad(rows, (0, 0, reach, reach))
        height = features.shape[2]
        shifted = [rows[:, row, row : row + height] for row in range(size)]
        total = torch.stack(shifted).sum(dim=0).unsqueeze(1)
        return total if self.bias is None else total + self.bias


def convolve_doubled(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Nearest x2 in height and width, then a convolution of three taps along every axis that keeps the size.

    Every output pixel sees only 2x2 different input pixels: on CPUs one convolution of that size at the low resolution
    gives the four kinds of output pixels, with less than half of the arithmetic (measured two to four times as fast).

    Args:
        features: `(B, C, H, W)`, or `(B, C, D, H, W)` with a depth that stays.
        weight: `(out, C, 3, 3)` or `(out, C, 3, 3, 3)`.
        bias: `(out,)`.
    """
    convolve = functional.conv2d if features.ndim == 4 else functional.conv3d
    if features.device.type != "cpu":
        factors = [1.0] * (features.ndim - 4) + [2.0, 2.0]
        return convolve(functional.interpolate(features, scale_factor=factors), weight, bias, padding=1)
    height, width = features.shape[-2:]
    kernels = _halved(_halved(weight, -2), -1).flatten(0, 2)
    biases = None if bias is None else bias.repeat(4)
    kinds = convolve(features, kernels, biases, padding=1).unflatten(1, (2, 2, len(weight)))
    channels_last = features.ndim == 4 and features.is_contiguous(memory_format=torch.channels_last)
    output = torch.empty(
        (len(features), len(weight), *features.shape[2:-2], 2 * height, 2 * width),
        dtype=kinds.dtype,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )
    # The output's pixel (2i + a, 2j + b) is the pixel (i + a, j + b) of its kind.
    for a in range(2):
        for b in range(2):
            output[..., a::2, b::2] = kinds[:, b, a, ..., a : a + height, b : b + width]
    return output


def _halved(kernel: Tensor, axis: int) -> Tensor:
    """A kernel of three taps on doubled pixels as two of two taps, for even and odd ones, in a new first axis."""
    first, middle, last = kernel.unbind(axis)
    return torch.stack((torch.stack((first, middle + last), axis), torch.stack((first + middle, last), axis)))


class DoublingConvolution(nn.Conv2d):
    """Nearest x2, then a 3x3 convolution; see `convolve_doubled`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """`(B, C, H, W)` -> `(B, out, 2H, 2W)`."""
        return convolve_doubled(features, self.weight, self.bias)


class SameBlock(nn.Module):
    """Convolution, normalisation, ReLU; `(B, in, H, W)` -> `(B, out, H, W)`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        norm: Norm = nn.BatchNorm2d,
        convolution: Convolution = nn.Conv2d,
    ) -> None:
        super().__init__()
        self.conv = convolution(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.norm = norm(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(features)))


class DownBlock(SameBlock):
    """Convolution 3x3, normalisation, ReLU, 2x2 mean; `(B, in, H, W)` -> `(B, out, H/2, W/2)`."""

    def forward(self, features: Tensor) -> Tensor:
        return functional.avg_pool2d(super().forward(features), 2)


class UpBlock(nn.Module):
    """Nearest x2, convolution 3x3, normalisation, ReLU; `(B, in, H, W)` -> `(B, out, 2H, 2W)`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm: Norm = nn.BatchNorm2d,
        convolution: Convolution = DoublingConvolution,
    ) -> None:
        super().__init__()
        self.conv = convolution(in_channels, out_channels)
        self.norm = norm(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """The convolution doubles height and width itself."""
        return functional.relu(self.norm(self.conv(features)))


class ResidualBlock(nn.Module):
    """Pre-activation residual block of two 3x3 convolutions; keeps `(B, C, H, W)`."""

    def __init__(
        self, channels: int, *, norm: Norm = nn.BatchNorm2d, convolution: Convolution = nn.Conv2d
    ) -> None:
        super().__init__()
        # Declared in the order of the published state dict, not in the order of use.
        self.conv1 = convolution(channels, channels, 3, padding=1)
        self.conv2 = convolution(channels, channels, 3, padding=1)
        self.norm1 = norm(channels)
        self.norm2 = norm(channels)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.conv1(functional.relu(self.norm1(features)))
        return features + self.conv2(functional.relu(self.norm2(inner)))
