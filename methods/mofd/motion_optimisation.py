"""The motion optimisation module: dense motion corrected by attention in windows of two sizes, plain and shifted."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import ShiftedWindowAttention, SwinTransformerBlock

from .config import MotionOptimisationConfig


class WindowAttention(ShiftedWindowAttention):
    """Attention in windows; its table of relative positions is a constant and stays out of weights files."""

    relative_position_index: Tensor

    def define_relative_position_index(self) -> None:
        """See `ShiftedWindowAttention`."""
        super().define_relative_position_index()
        self.register_buffer("relative_position_index", self.relative_position_index, persistent=False)


def swin_block(embedding: int, heads: int, window: int, *, shifted: bool) -> SwinTransformerBlock:
    """Pre-norm attention in windows and a perceptron of four times the width; `(B, g, g, E)` -> the same.

    Args:
        window: patches per side of a window.
        shifted: by half a window, cyclically; what the shift brings together from opposite borders is masked.
    """
    shift = window // 2 if shifted else 0
    return SwinTransformerBlock(
        embedding,
        heads,
        window_size=[window, window],
        shift_size=[shift, shift],
        attn_layer=WindowAttention,
    )


def to_patches(maps: Tensor, grid: int) -> Tensor:
    """Maps `(B, C, H, W)` cut into grid x grid patches, each flattened: `(B, grid, grid, C * H/grid * W/grid)`."""
    patches = maps.unflatten(3, (grid, -1)).unflatten(2, (grid, -1))  # (B, C, grid, h, grid, w)
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3)


def from_patches(patches: Tensor, patch: tuple[int, int]) -> Tensor:
    """The maps `(B, C, H, W)` whose patches of that size (height, width) these are; undoes `to_patches`."""
    apart = patches.unflatten(3, (-1, *patch))  # (B, grid, grid, C, h, w)
    return apart.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


class FusionBlock(nn.Sequential):
    """Two convolutions and a ReLU, `(B, channels, H, W)` -> flow `(B, 2, H, W)`; at the start zero everywhere."""

    def __init__(self, channels: int) -> None:
        last = nn.Conv2d(channels, 2, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(cast(Tensor, last.bias))
        super().__init__(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), last)


class MotionOptimisation(nn.Module):
    """Dense motion and the features it warps -> what is to be added to the motion, at one resolution.

    Args:
        channels: of the features.
        size: their height and width, multiples of the grid.
        config: describes the module.

    Source: MOFD, Eqs. 5 and 6. A learned weight per window size at each of the two sums (Eq. 5) starts at 1, which is
    the plain sum of Eq. 6.
    """

    def __init__(self, channels: int, size: tuple[int, int], config: MotionOptimisationConfig) -> None:
        super().__init__()
        self.grid = config.grid
        self.patch = (size[0] // config.grid, size[1] // config.grid)
        area = self.patch[0] * self.patch[1]
        self.embed = nn.Linear((channels + 2) * area, config.embedding)
        self.plain, self.shifted = (
            nn.ModuleList(
                swin_block(config.embedding, config.heads, window, shifted=shifted)
                for window in config.windows
            )
            for shifted in (False, True)
        )
        # rows: the sum of the plain and that of the shifted blocks; columns: the window sizes
        self.window_weights = nn.Parameter(torch.ones(2, len(config.windows)))
        self.unembed = nn.Linear(config.embedding, config.flow_channels * area)
        self.fusion = FusionBlock(config.flow_channels)

    def forward(self, offsets: Tensor, warped: Tensor) -> Tensor:
        """The correction `(B, 2, H, W)`, in the units of the motion.

        Args:
            offsets: `(B, 2, H, W)`, the motion as the offset of every position from itself, x first; corners of the
                image are at -1 and 1.
            warped: `(B, channels, H, W)`, the source's features warped by that motion.
        """
        tokens = self.embed(to_patches(torch.cat((offsets, warped), dim=1), self.grid))
        for weights, blocks in zip(self.window_weights, (self.plain, self.shifted), strict=True):
            tokens = torch.stack(
                [weight * block(tokens) for weight, block in zip(weights, blocks, strict=True)]
            ).sum(dim=0)
        # float32 from here on: positions in half precision would be off by a pixel
        return self.fusion(from_patches(self.unembed(tokens), self.patch)).float()
