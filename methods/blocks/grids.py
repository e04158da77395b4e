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
    x, y = coordinates(width, like), coordinates(height, like)
    return torch.stack((x.expand(height, width), y.unsqueeze(1).expand(height, width)), dim=-1)


def coordinates(count: int, like: Tensor) -> Tensor:
    """The positions of a row's or column's pixels, `(count,)`; see `coordinate_grid`."""
    return 2 * torch.arange(count, dtype=like.dtype, device=like.device) / (count - 1) - 1


def displaced_grid(offsets: Tensor) -> Tensor:
    """Every pixel's own position plus its offset; `(B, 2, H, W)`, x first -> `(B, H, W, 2)`.

    In float32 at least: positions in half precision would be off by a pixel.
    """
    offsets = offsets.to(torch.promote_types(offsets.dtype, torch.float32))
    return coordinate_grid(offsets.shape[2], offsets.shape[3], like=offsets) + offsets.permute(0, 2, 3, 1)


def sample(frames: Tensor, positions: Tensor, *, align_corners: bool, padding: str = "zeros") -> Tensor:
    """Frames read bilinearly, or volumes trilinearly, at positions.

    Args:
        frames: `(B, C, H, W)`, or volumes `(B, C, D, H, W)`.
        positions: `(B, h, w, 2)`, (x, y) in [-1, 1]; for volumes `(B, d, h, w, 3)`, (x, y, z).
        align_corners: whether -1 and 1 are the centres of the corner pixels (True, as grids are built and as
            torch before 1.3 sampled) or the outer edges (False, what torch does since when it is not told).
        padding: `zeros`, `border` or `reflection`.

    Returns:
        `(B, C, h, w)`, of volumes `(B, C, d, h, w)`.
    """
    return functional.grid_sample(
        frames, positions, mode="bilinear", padding_mode=padding, align_corners=align_corners
    )


def sample_each(frames: Tensor, motions: Tensor, *, align_corners: bool) -> Tensor:
    """Every frame, or volume, read along each of its candidate motions.

    Args:
        frames: `(B, C, H, W)`, or volumes `(B, C, D, H, W)`.
        motions: `(B, M, h, w, 2)`, (x, y) in [-1, 1]; for volumes `(B, M, d, h, w, 3)`, (x, y, z).

    Returns:
        `(B, M, C, h, w)`, of volumes `(B, M, C, d, h, w)`.
    """
    # All candidate motions of a frame as one tall grid: the frame is not copied M times.
    batch, count, *size, _ = motions.shape
    tall = sample(frames, motions.flatten(1, 2), align_corners=align_corners)
    return tall.view(batch, -1, count, *size).transpose(1, 2)


def warp(frames: Tensor, deformation: Tensor, *, align_corners: bool) -> Tensor:
    """Frames or features `(B, C, H, W)` warped by dense motion `(B, h, w, 2)`; volumes by `(B, d, h, w, 3)`.

    Motion of another size than the frames is first resized linearly.
    """
    if deformation.shape[1:-1] != frames.shape[2:]:
        deformation = resize(deformation.movedim(-1, 1), frames.shape[2:]).movedim(1, -1)
    return sample(frames, deformation, align_corners=align_corners)


def resize(maps: Tensor, size: tuple[int, ...] | torch.Size, *, align_corners: bool = False) -> Tensor:
    """Maps `(B, C, h, w)` resized bilinearly to `size` (height, width), without anti-aliasing.

    Volumes `(B, C, d, h, w)` are resized trilinearly to (depth, height, width).
    """
    mode = "trilinear" if maps.ndim == 5 else "bilinear"
    return functional.interpolate(maps, size=tuple(size), mode=mode, align_corners=align_corners)
