"""Thin-plate splines of the plane: fitted to pairs of points, or given by their weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from .grids import coordinate_grid, sample
from .transforms import control_grid

EPSILON = 1e-9
# Added to the whole diagonal of the system, its zero block included: a spline does not meet its points exactly.
STIFFNESS = 0.01


def radial(squared: Tensor) -> Tensor:
    """The thin-plate kernel U of squared distances."""
    return squared * torch.log(squared + EPSILON)


@dataclass(frozen=True)
class ThinPlateSpline:
    """T(p) = A [p; 1] + sum_i w_i U(|p - c_i|^2); leading axes `...` are batches.

    Args:
        theta: `(..., 2, 3)`, the affine part A.
        control_points: `(..., C, 2)`, (x, y) in [-1, 1].
        weights: `(..., C, 2)`, what each control point adds to x and y.
    """

    theta: Tensor
    control_points: Tensor
    weights: Tensor

    def points(self, points: Tensor) -> Tensor:
        """Where points `(..., N, 2)` go, `(..., N, 2)`."""
        # Sums instead of matrix products, which autocast would do in reduced precision; along axes before the last,
        # which CPUs sum several times faster.
        x, y = (points[..., None, :, axis] for axis in range(2))  # (..., 1, N)
        controls = self.control_points.unsqueeze(-2)  # (..., C, 1, 2)
        strength = radial((x - controls[..., 0]).square() + (y - controls[..., 1]).square())  # (..., C, N)
        moved = [
            (self.theta[..., axis, 0, None, None] * x + self.theta[..., axis, 1, None, None] * y).squeeze(-2)
            + self.theta[..., axis, 2, None]
            + (strength * self.weights[..., axis, None]).sum(-2)
            for axis in range(2)
        ]
        return torch.stack(moved, dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Where every pixel goes, `(..., height, width, 2)`."""
        pixels = coordinate_grid(height, width, like=self.theta).view(-1, 2)
        return self.points(pixels).unflatten(-2, (height, width))

    def frame(self, frames: Tensor) -> Tensor:
        """Frames `(B, C, H, W)` read at the warped grid, reflected at the border; for splines of one batch axis."""
        grid = self.grid(*frames.shape[2:])
        return sample(frames, grid, align_corners=True, padding="reflection")


def fit_spline(driving: Tensor, source: Tensor) -> ThinPlateSpline:
    """The splines that take driving points to source points, both `(..., C, 2)`.

    Source: TPSMM, equations 1 to 3; kernel and stiffness are those of its published code.
    """
    count = driving.shape[-2]
    kernel = radial((driving.unsqueeze(-2) - driving.unsqueeze(-3)).square().sum(-1))
    plane = torch.cat((driving, torch.ones_like(driving[..., :1])), dim=-1)  # (..., C, 3)
    corner = plane.new_zeros(*plane.shape[:-2], 3, 3)
    system = torch.cat(
        (torch.cat((kernel, plane), dim=-1), torch.cat((plane.transpose(-1, -2), corner), dim=-1)), dim=-2
    )
    system = system + STIFFNESS * torch.eye(count + 3, dtype=system.dtype, device=system.device)
    wanted = torch.cat((source, source.new_zeros(*source.shape[:-2], 3, 2)), dim=-2)
    # A singular system gives infinities in its own spline instead of an exception for the whole batch.
    solution, _ = torch.linalg.solve_ex(system, wanted)
    return ThinPlateSpline(solution[..., count:, :].transpose(-1, -2), driving, solution[..., :count, :])


def random_spline(
    like: Tensor,
    *,
    sigma_affine: float,
    sigma_tps: float,
    points_tps: int,
    generator: Generator | None = None,
) -> ThinPlateSpline:
    """A spline near the identity per item of `like` `(B, ...)`, which also gives dtype and device.

    Args:
        sigma_affine: standard deviation of the affine part around the identity.
        sigma_tps: standard deviation of the weights; one weight per control point serves x and y, as published.
        points_tps: control points per side.
        generator: on the CPU; the global one where None.

    Source: TPSMM's published code, the random warps of its equivariance loss.
    """
    theta = torch.eye(2, 3) + torch.randn(len(like), 2, 3, generator=generator) * sigma_affine
    weights = torch.randn(len(like), points_tps**2, 1, generator=generator) * sigma_tps
    return ThinPlateSpline(theta.to(like), control_grid(points_tps, like), weights.to(like).expand(-1, -1, 2))
