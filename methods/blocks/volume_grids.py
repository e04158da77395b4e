"""Positions in volumes: coordinate grid, points under heat maps, Gaussians around points."""

from __future__ import annotations

import torch
from torch import Tensor

from .grids import coordinate_grid


def _axis(count: int, like: Tensor) -> Tensor:
    return 2 * torch.arange(count, dtype=like.dtype, device=like.device) / (count - 1) - 1


def coordinate_volume(depth: int, height: int, width: int, like: Tensor) -> Tensor:
    """The position of every voxel, `(depth, height, width, 3)` as (x, y, z); corner voxels are exactly -1 and 1.

    Args:
        like: gives dtype and device.
    """
    plane = coordinate_grid(height, width, like).expand(depth, height, width, 2)
    z = _axis(depth, like).view(depth, 1, 1, 1).expand(depth, height, width, 1)
    return torch.cat((plane, z), dim=-1)


def expected_point(heatmaps: Tensor) -> Tensor:
    """Mean position under each heat map; `(B, K, d, h, w)` -> `(B, K, 3)`, (x, y, z) in [-1, 1] of the map."""
    depth, height, width = heatmaps.shape[2:]
    # One axis after the other: a grid over the whole volume times all maps is three times their memory.
    plane = heatmaps.sum(dim=2)
    x = (plane.sum(dim=2) * _axis(width, heatmaps)).sum(-1)
    y = (plane.sum(dim=3) * _axis(height, heatmaps)).sum(-1)
    z = (heatmaps.sum(dim=(3, 4)) * _axis(depth, heatmaps)).sum(-1)
    return torch.stack((x, y, z), dim=-1)


def gaussian_volumes(positions: Tensor, size: tuple[int, int, int], variance: float) -> Tensor:
    """An un-normalised Gaussian around each point.

    Args:
        positions: `(B, K, 3)`, (x, y, z) in [-1, 1].
        size: (depth, height, width) of the volumes.
        variance: in squared grid units.

    Returns:
        `(B, K, depth, height, width)`, 1 at the point.
    """
    # A Gaussian is the product of those along the axes.
    x, y, z = (
        torch.exp(-0.5 * (_axis(count, positions) - positions[..., axis, None]).square() / variance)
        for axis, count in enumerate(reversed(size))
    )
    return z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]
