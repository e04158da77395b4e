"""3x3 convolutions of wide layers by Winograd's minimal filtering: a quarter of the multiplications, on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 3
# 4x4 outputs from 6x6 inputs. The interpolation points (and infinity) decide the rounding: with these it is half
# of that with the customary 0, 1, -1, 2, -2.
OUTPUT_TILE = 4
POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
INPUT_TILE = OUTPUT_TILE + KERNEL - 1
# Measured on a CPU with AVX-512: narrower layers gain nothing (VGG's 64 to 64 loses half again), and this many
# tiles at once stay in its cache.
LEAST_CHANNELS = 64
LEAST_PRODUCT = 64 * 96
TILES = 128


class WinogradConvolution(nn.Conv2d):
    """A 3x3 convolution of stride 1 with the values and names of the one it replaces, quicker on the CPU.

    Rounding is about 10 times that of a direct convolution in float32 (3e-6 of the largest output), as in the
    Winograd kernels of cuDNN. On other devices it is the direct convolution.

    Source: Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4.1, F(4x4, 3x3).
    """

    filters: Tensor
    to_tiles: Tensor
    from_tiles: Tensor

    def __init__(self, layer: nn.Conv2d) -> None:
        with torch.device("meta"):
            super().__init__(
                layer.in_channels,
                layer.out_channels,
                KERNEL,
                padding=layer.padding,  # type: ignore[arg-type]
                bias=layer.bias is not None,
            )
        self.weight, self.bias = layer.weight, layer.bias
        inputs, kernels, outputs = (torch.from_numpy(matrix) for matrix in transforms())
        spread = torch.einsum("ap,bq,oipq->abio", kernels, kernels, layer.weight.detach().double())
        for name, value in (
            ("filters", spread.flatten(0, 1)),
            ("to_tiles", torch.kron(inputs, inputs)),
            ("from_tiles", torch.kron(outputs, outputs)),
        ):
            self.register_buffer(name, value.float().contiguous(), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Outputs `[N, C_out, H', W']` of `[N, C_in, H, W]`, channels last in memory."""
        if input.device.type != "cpu":
            return super().forward(input)
        top, left = _padding(self)
        count, channels, height, width = input.shape
        height, width = height + 2 * top - KERNEL + 1, width + 2 * left - KERNEL + 1
        down, across = -(-height // OUTPUT_TILE), -(-width // OUTPUT_TILE)
        bottom = down * OUTPUT_TILE + KERNEL - 1 - input.shape[2] - top
        right = across * OUTPUT_TILE + KERNEL - 1 - input.shape[3] - left
        padded = functional.pad(input.permute(0, 2, 3, 1), (0, 0, left, right, top, bottom)).contiguous()
        by_image, by_row, by_column, by_channel = padded.stride()
        tiles = padded.as_strided(
            (INPUT_TILE, INPUT_TILE, count, down, across, channels),
            (by_row, by_column, by_image, OUTPUT_TILE * by_row, OUTPUT_TILE * by_column, by_channel),
        )
        result = input.new_empty(count, down, OUTPUT_TILE, across, OUTPUT_TILE, self.out_channels)
        rows = max(1, TILES // (count * across))
        for start in range(0, down, rows):
            stop = min(start + rows, down)
            spread = self.to_tiles @ tiles[:, :, :, start:stop].reshape(INPUT_TILE**2, -1)
            products = torch.bmm(spread.view(INPUT_TILE**2, -1, channels), self.filters)
            block = (self.from_tiles @ products.flatten(1)).view(
                OUTPUT_TILE, OUTPUT_TILE, count, stop - start, across, self.out_channels
            )
            placed = block.permute(2, 3, 0, 4, 1, 5)
            if self.bias is None:
                result[:, start:stop] = placed
            else:
                torch.add(placed, self.bias, out=result[:, start:stop])
        whole = result.view(count, down * OUTPUT_TILE, across * OUTPUT_TILE, self.out_channels)
        return whole[:, :height, :width].permute(0, 3, 1, 2)


def transforms() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices of inputs `[6, 6]`, kernels `[6, 3]` and outputs `[4, 6]`, float64: Cook and Toom's interpolation.

    `outputs @ ((kernels @ g) * (inputs @ d))` are the four correlations of g `[3]` with d `[6]`.
    """
    polynomials = [np.poly([other for other in POINTS if other != point])[::-1] for point in POINTS]
    scales = [
        np.polyval(polynomial[::-1], point) for polynomial, point in zip(polynomials, POINTS, strict=True)
    ]
    inputs = np.zeros((INPUT_TILE, INPUT_TILE))
    inputs[:-1, :-1] = polynomials
    inputs[-1] = np.poly(POINTS)[::-1]
    powers = np.array(POINTS)[:, None] ** np.arange(INPUT_TILE)
    kernels = np.vstack([powers[:, :KERNEL] / np.array(scales)[:, None], np.eye(KERNEL)[-1]])
    outputs = np.hstack([powers[:, :OUTPUT_TILE].T, np.eye(OUTPUT_TILE)[:, -1:]])
    return inputs, kernels, outputs


def quicken(network: nn.Module) -> nn.Module:
    """The network with its wide 3x3 convolutions of stride 1 replaced; names and values stay, outputs to rounding."""
    for name, layer in network.named_children():
        if type(layer) is nn.Conv2d and _suits(layer):
            setattr(network, name, WinogradConvolution(layer))
        else:
            quicken(layer)
    return network.requires_grad_(False).eval()


def _suits(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == (KERNEL, KERNEL)
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and min(layer.in_channels, layer.out_channels) >= LEAST_CHANNELS
        and layer.in_channels * layer.out_channels >= LEAST_PRODUCT
    )


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    rows, columns = (int(size) for size in layer.padding)
    return rows, columns
