"""Random affine and thin-plate warps of the plane, with their derivative, for equivariance losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from .grids import coordinate_grid, sample
from .linear_maps import apply

EPSILON = 1e-6


@dataclass(frozen=True)
class ThinPlateWarp:
    """An affine map plus a thin-plate term, one per batch item.

    The thin-plate term is published with an L1 distance to the control points and one scalar that is added to
    both coordinates.

    Args:
        theta: `(B, 2, 3)`, the affine part.
        control_points: `(C, 2)`, (x, y) in [-1, 1].
        control_params: `(B, C)`, strength per control point.
    """

    theta: Tensor
    control_points: Tensor
    control_params: Tensor

    def points(self, points: Tensor) -> Tensor:
        """Where points `(B, N, 2)` go, `(B, N, 2)`."""
        affine = apply(self.theta[:, None, :, :2], points) + self.theta[:, None, :, 2]
        distance = self._offsets(points).abs().sum(-1)
        radial = distance.square() * torch.log(distance + EPSILON)
        return affine + (self.control_params[:, None] * radial).sum(-1, keepdim=True)

    def derivative(self, points: Tensor) -> Tensor:
        """The derivative at points `(B, N, 2)`: `(B, N, 2, 2)`, rows = output coordinate."""
        offsets = self._offsets(points)
        distance = offsets.abs().sum(-1)
        slope = 2 * distance * torch.log(distance + EPSILON) + distance.square() / (distance + EPSILON)
        gradient = ((self.control_params[:, None] * slope).unsqueeze(-1) * offsets.sign()).sum(-2)
        return self.theta[:, None, :, :2] + gradient.unsqueeze(-2)

    def frame(self, frames: Tensor, *, align_corners: bool) -> Tensor:
        """Frames `(B, C, H, W)` read at the warped grid, reflected at the border."""
        height, width = frames.shape[2:]
        grid = coordinate_grid(height, width, like=frames).view(1, -1, 2).expand(len(frames), -1, -1)
        positions = self.points(grid).view(len(frames), height, width, 2)
        return sample(frames, positions, align_corners=align_corners, padding="reflection")

    def _offsets(self, points: Tensor) -> Tensor:
        return points.unsqueeze(-2) - self.control_points


def control_grid(points_per_side: int, like: Tensor) -> Tensor:
    """The control points `(points_per_side ** 2, 2)`, row by row."""
    return coordinate_grid(points_per_side, points_per_side, like=like).view(-1, 2)


def random_warp(
    like: Tensor,
    *,
    sigma_affine: float,
    sigma_tps: float,
    points_tps: int,
    generator: Generator | None = None,
) -> ThinPlateWarp:
    """A warp per item of `like` `(B, ...)`, which also gives dtype and device.

    Args:
        sigma_affine: standard deviation of the affine part around the identity.
        sigma_tps: standard deviation of the thin-plate parameters; 0 leaves the affine part alone.
        points_tps: control points per side.
        generator: on the CPU; the global one where None.

    Source: FOMM, section 3.1 (equivariance) and its published configurations.
    """
    batch = len(like)
    noise = torch.randn(batch, 2, 3, generator=generator) * sigma_affine
    params = torch.randn(batch, points_tps**2, generator=generator) * sigma_tps
    theta = torch.eye(2, 3) + noise
    return ThinPlateWarp(theta.to(like), control_grid(points_tps, like), params.to(like))
