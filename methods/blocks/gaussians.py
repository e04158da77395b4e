"""Heat maps to key points and key points to Gaussian maps."""

from __future__ import annotations

import torch
from torch import Tensor

from .grids import coordinate_grid, coordinates
from .linear_maps import inverse


def spatial_softmax(logits: Tensor, temperature: float) -> Tensor:
    """Probabilities over all positions of each map; `(B, K, h, w)` -> same, each map sums to 1."""
    return torch.softmax(logits.flatten(2) / temperature, dim=2).view_as(logits)


def expected_position(heatmaps: Tensor) -> Tensor:
    """Mean position under each heat map; `(B, K, h, w)` -> `(B, K, 2)`, (x, y) in [-1, 1] of the map."""
    grid = coordinate_grid(heatmaps.shape[2], heatmaps.shape[3], like=heatmaps)
    return (heatmaps.unsqueeze(-1) * grid).sum(dim=(2, 3))


def second_moments(heatmaps: Tensor, centres: Tensor) -> Tensor:
    """Covariance of positions under each heat map.

    Args:
        heatmaps: `(B, K, h, w)`, each sums to 1 (or nearly).
        centres: `(B, K, 2)`, mean position under each.

    Returns:
        `(B, K, 2, 2)`, symmetric.
    """
    grid = coordinate_grid(heatmaps.shape[2], heatmaps.shape[3], like=heatmaps)
    offsets = grid - centres[:, :, None, None]  # (B, K, h, w, 2)
    x, y = offsets.unbind(-1)
    # Not as a matrix product: autocast would do that in half precision.
    across, mixed, down = ((heatmaps * moment).sum(dim=(2, 3)) for moment in (x * x, x * y, y * y))
    return torch.stack((across, mixed, mixed, down), dim=-1).unflatten(-1, (2, 2))


def gaussian_maps(positions: Tensor, size: tuple[int, int] | torch.Size, variance: float) -> Tensor:
    """An un-normalised Gaussian around each point.

    Args:
        positions: `(B, K, 2)`, (x, y) in [-1, 1].
        size: (height, width) of the maps.
        variance: in squared grid units.

    Returns:
        `(B, K, height, width)`, 1 at the point.
    """
    # One exponential per row and per column, not per pixel.
    across, down = (
        torch.exp(-0.5 * (coordinates(count, like=positions) - place.unsqueeze(-1)).square() / variance)
        for count, place in ((size[1], positions[..., 0]), (size[0], positions[..., 1]))
    )
    return down.unsqueeze(-1) * across.unsqueeze(-2)


def ellipse_maps(centres: Tensor, covar: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """An un-normalised Gaussian with the shape of each region; `(B, K, height, width)`, 1 at the centre."""
    grid = coordinate_grid(size[0], size[1], like=centres)
    offsets = grid - centres[:, :, None, None]
    stretched = (inverse(covar)[:, :, None, None] * offsets.unsqueeze(-2)).sum(-1)
    return torch.exp(-0.5 * (offsets * stretched).sum(-1))
