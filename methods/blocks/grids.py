"""Coordinate grids and sampling along them."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor


def coordinate_grid(height: int, width: int, like: Tensor) -> Tensor:
    """The position of every pixel, `(height, width, 2)` as (x, y); corner pixels are exactly -1 and 1.

    Args:
        like: gives dtype and device.

    Source: FOMM, the grid shared by heat maps, sparse and dense motion; it is a grid of aligned corners.
    """
    x = 2 * torch.arange(width, dtype=like.dtype, device=like.device) / (width - 1) - 1
    y = 2 * torch.arange(height, dtype=like.dtype, device=like.device) / (height - 1) - 1
    return torch.stack((x.expand(height, width), y.unsqueeze(1).expand(height, width)), dim=-1)


def sample(frames: Tensor, positions: Tensor, *, align_corners: bool, padding: str = "zeros") -> Tensor:
    """Frames read bilinearly at positions.

    Args:
        frames: `(B, C, H, W)`.
        positions: `(B, h, w, 2)`, (x, y) in [-1, 1].
        align_corners: whether -1 and 1 are the centres of the corner pixels (True, as grids are built and as
            torch before 1.3 sampled) or the outer edges (False, what torch does since when it is not told).
        padding: `zeros`, `border` or `reflection`.

    Returns:
        `(B, C, h, w)`.
    """
    return functional.grid_sample(
        frames, positions, mode="bilinear", padding_mode=padding, align_corners=align_corners
    )


def warp(frames: Tensor, deformation: Tensor, *, align_corners: bool) -> Tensor:
    """Frames or features `(B, C, H, W)` warped by dense motion `(B, h, w, 2)`.

    Motion of another size than (H, W) is first resized bilinearly.
    """
    if deformation.shape[1:3] != frames.shape[2:]:
        deformation = resize(deformation.permute(0, 3, 1, 2), frames.shape[2:]).permute(0, 2, 3, 1)
    return sample(frames, deformation, align_corners=align_corners)


def resize(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Maps `(B, C, h, w)` resized bilinearly to `size` (height, width), without anti-aliasing."""
    return functional.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
