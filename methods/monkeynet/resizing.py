"""The two ways in which Monkey-Net changes the size of frames and maps."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..blocks.grids import resize


def thinned(frames: Tensor, scale: float) -> Tensor:
    """Frames `(B, C, H, W)` with only every (1 / scale)-th row and column, from the first; no anti-aliasing."""
    return frames if scale == 1 else functional.interpolate(frames, scale_factor=scale)


def resized(maps: Tensor, size: tuple[int, int] | torch.Size, mode: str) -> Tensor:
    """Maps `(B, C, h, w)` of that size: themselves, or resized.

    Args:
        mode: `nearest`, or `trilinear`, which between clips of equally many frames is bilinear.
    """
    if maps.shape[2:] == size:
        return maps
    return functional.interpolate(maps, size=tuple(size)) if mode == "nearest" else resize(maps, size)
