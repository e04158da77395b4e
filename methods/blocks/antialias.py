"""Band-limited down-sampling with a fixed Gaussian kernel, and image pyramids made with it."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


def antialias_kernel(scale: float) -> Tensor:
    """The normalised Gaussian kernel `(n, n)` for down-sampling by `scale` < 1.

    Source: FOMM's published code; sigma = (1/scale - 1) / 2, n = 2 round(4 sigma) + 1.
    """
    sigma = (1 / scale - 1) / 2
    half = round(4 * sigma)
    # A constant: networks built on the meta device, to learn their shapes, need no arithmetic there (seconds to start).
    offsets = torch.arange(2 * half + 1, dtype=torch.float32, device="cpu") - half
    profile = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = torch.outer(profile, profile)
    return kernel / kernel.sum()


class AntiAliasDownsample(nn.Module):
    """Down-sampling by `scale` < 1; `(B, C, H, W)` -> `(B, C, H*scale, W*scale)`, zeros outside.

    The buffer `weight` is a constant that published checkpoints contain.
    """

    weight: Tensor

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        kernel = antialias_kernel(scale)
        self.register_buffer("weight", kernel.expand(channels, 1, *kernel.shape).clone())
        self.channels = channels
        self.stride = int(1 / scale)

    def forward(self, image: Tensor) -> Tensor:
        half = self.weight.shape[-1] // 2
        return functional.conv2d(image, self.weight, stride=self.stride, padding=half, groups=self.channels)


class ImagePyramid(nn.Module):
    """The same image at several scales, for losses."""

    def __init__(self, scales: tuple[float, ...], channels: int = 3) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            AntiAliasDownsample(channels, scale) if scale != 1 else nn.Identity() for scale in scales
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """The image `(B, C, H, W)` at every scale, in the order given."""
        return [level(image) for level in self.levels]
