"""StyleGAN2's layers: equalised linear and convolution, FIR resampling, leaky ReLU with gain, modulated convolution.

Source: StyleGAN2 (Karras et al., CVPR 2020), section 2 and appendix B, in the form that LIA uses.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

SLOPE = 0.2
DEMODULATION_EPSILON = 1e-8


def fir_kernel(gain: float = 1.0) -> Tensor:
    """The binomial kernel `(4, 4)` of all resampling, summing to `gain`."""
    taps = (1, 3, 3, 1)
    return torch.tensor([[row * column * gain / 64 for column in taps] for row in taps])


def normal_parameter(*shape: int) -> nn.Parameter:
    """A parameter drawn from the standard normal distribution, as equalised layers start."""
    values = torch.empty(shape)
    # Where only shapes are wanted: torch takes seconds to load what draws normal values on the meta device.
    return nn.Parameter(values if values.is_meta else values.normal_())


class Blur(nn.Module):
    """Every channel filtered; `(B, C, H, W)` -> `(B, C, H + p0 + p1 - 3, W + p0 + p1 - 3)`, zeros outside.

    The buffer `kernel` is a constant that published checkpoints contain. It is symmetric: correlation and
    convolution are the same.

    Args:
        padding: (p0, p1), zeros before (left, top) and after (right, bottom).
        gain: sum of the kernel; 4 makes up for the zeros between the samples of a stride-2 transposed convolution.
    """

    kernel: Tensor

    def __init__(self, padding: tuple[int, int], gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(gain))
        before, after = padding
        self.padding = (before, after, before, after)

    def forward(self, features: Tensor) -> Tensor:
        channels = features.shape[1]
        kernel = self.kernel.to(features.dtype).expand(channels, 1, 4, 4)
        return functional.conv2d(functional.pad(features, self.padding), kernel, groups=channels)


class Upsample(nn.Module):
    """Twice the size by zeros after every sample and the FIR kernel; `(B, C, H, W)` -> `(B, C, 2H, 2W)`.

    A transposed convolution with stride 2, cropped by one pixel, is the same as inserting zeros, padding by (2, 1)
    and filtering.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(gain=4))

    def forward(self, features: Tensor) -> Tensor:
        channels = features.shape[1]
        kernel = self.kernel.to(features.dtype).expand(channels, 1, 4, 4)
        return functional.conv_transpose2d(features, kernel, stride=2, padding=1, groups=channels)


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate; `(..., in)` -> `(..., out)`, no activation.

    Args:
        bias: its initial value; it is used as it is.
    """

    def __init__(self, in_features: int, out_features: int, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = normal_parameter(out_features, in_features)
        self.bias = nn.Parameter(torch.full((out_features,), bias))
        self.scale = 1 / math.sqrt(in_features)

    def forward(self, features: Tensor) -> Tensor:
        return functional.linear(features, self.weight * self.scale, self.bias)


class EqualConv(nn.Module):
    """Convolution without bias and with equalised learning rate; `(B, in, H, W)` -> `(B, out, H', W')`."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        self.weight = normal_parameter(out_channels, in_channels, kernel_size, kernel_size)
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.stride = stride
        self.padding = padding

    def forward(self, features: Tensor) -> Tensor:
        return functional.conv2d(features, self.weight * self.scale, stride=self.stride, padding=self.padding)


class BiasedLeakyReLU(nn.Module):
    """`sqrt(2) * leaky_relu(x + bias)`; keeps `(B, C, H, W)`. The gain keeps the variance of the features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        return functional.leaky_relu(features + self.bias, SLOPE) * math.sqrt(2)


def conv_layer(
    in_channels: int, out_channels: int, kernel_size: int, *, down: bool = False, activate: bool = True
) -> nn.Sequential:
    """Blur where it halves the size, convolution, activation; the numbers of its parts are published names."""
    layers: list[nn.Module] = []
    if down:
        # 3x3: (2, 2), 1x1: (1, 1); with stride 2 both halve an even size exactly.
        layers.append(Blur(((kernel_size + 1) // 2, (kernel_size + 1) // 2)))
    layers.append(
        EqualConv(
            in_channels,
            out_channels,
            kernel_size,
            stride=2 if down else 1,
            padding=0 if down else kernel_size // 2,
        )
    )
    if activate:
        layers.append(BiasedLeakyReLU(out_channels))
    return nn.Sequential(*layers)


class ResidualDownBlock(nn.Module):
    """Two convolutions and a skip; `(B, in, H, W)` -> `(B, out, H/2, W/2)`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = conv_layer(in_channels, in_channels, 3)
        self.conv2 = conv_layer(in_channels, out_channels, 3, down=True)
        self.skip = conv_layer(in_channels, out_channels, 1, down=True, activate=False)

    def forward(self, features: Tensor) -> Tensor:
        return (self.conv2(self.conv1(features)) + self.skip(features)) / math.sqrt(2)


class ModulatedConv(nn.Module):
    """Convolution whose weights every sample's style scales; `(B, in, H, W)` -> `(B, out, H or 2H, W or 2W)`.

    Scaling input channels by the style, and output channels by the norm of the scaled weights, is the same as
    scaling the weights of every sample, without a set of weights per sample.

    Args:
        demodulate: divide by the norm of every output channel's scaled weights.
        up: transposed convolution of stride 2, then a blur: twice the size.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        *,
        demodulate: bool = True,
        up: bool = False,
    ) -> None:
        super().__init__()
        self.weight = normal_parameter(1, out_channels, in_channels, kernel_size, kernel_size)
        if up:
            self.blur = Blur((1, 1), gain=4)
        self.modulation = EqualLinear(style_dim, in_channels, bias=1.0)
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.padding = kernel_size // 2
        self.demodulate = demodulate
        self.up = up

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Features `(B, in, H, W)` under styles `(B, style_dim)`."""
        weight = self.weight[0] * self.scale  # (out, in, k, k)
        modulation = self.modulation(style)  # (B, in)
        features = features * modulation[:, :, None, None]
        if self.up:
            features = functional.conv_transpose2d(features, weight.transpose(0, 1), stride=2)
        else:
            features = functional.conv2d(features, weight, padding=self.padding)
        if self.demodulate:
            power = modulation.square() @ weight.square().sum(dim=(2, 3)).t()  # (B, out)
            features = features * torch.rsqrt(power + DEMODULATION_EPSILON)[:, :, None, None]
        return self.blur(features) if self.up else features


class UnusedNoise(nn.Module):
    """The strength of noise that is never added; published checkpoints contain it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class StyledConv(nn.Module):
    """Modulated 3x3 convolution and activation; `(B, in, H, W)` -> `(B, out, H or 2H, W or 2W)`."""

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, *, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, out_channels, 3, style_dim, up=up)
        self.noise = UnusedNoise()
        self.activate = BiasedLeakyReLU(out_channels)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        return self.activate(self.conv(features, style))
