"""CPAB transformations: where points are after drifting for one unit of time in a piecewise-affine velocity field."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .tessellation import cell_of

STEPS = 50


def side_of(basis: Tensor) -> int:
    """Squares per side of the tessellation that a basis `(24 * side^2, d)` belongs to."""
    return math.isqrt(len(basis) // 24)


def affine_fields(theta: Tensor, basis: Tensor) -> Tensor:
    """The affine velocity of every cell, `(B, G, cells, 2, 3)`, of parameters `(B, G, d)`."""
    # One product per batch item: its sums must not depend on what else is in the batch.
    fields = torch.bmm(theta, basis.T.expand(len(theta), -1, -1))
    return fields.unflatten(2, (-1, 2, 3))


def velocity(theta: Tensor, basis: Tensor, points: Tensor) -> Tensor:
    """The velocity `(B, G, N, 2)` at points `(N, 2)` of the unit square, of parameters `(B, G, d)`."""
    maps = affine_fields(theta, basis)[:, :, cell_of(points, side_of(basis))]
    return (maps[..., :2] * points.unsqueeze(-2)).sum(-1) + maps[..., 2]


def drift(theta: Tensor, basis: Tensor, points: Tensor) -> Tensor:
    """Where points are after one unit of time.

    Args:
        theta: `(B, G, d)`.
        basis: `(24 * side^2, d)`.
        points: `(B, G, N, 2)`, the unit square is [0, 1] x [0, 1]; no gradient flows to them.

    Returns:
        `(B, G, N, 2)`, differentiable in theta.

    Source: CPABMM, section 3.1; gradient as in its published code, see `_Drift`.
    """
    fields = affine_fields(theta, basis).flatten(0, 1)
    moved = _Drift.apply(fields, points.flatten(0, 1), side_of(basis))
    return moved.unflatten(0, theta.shape[:2])


def integrate(fields: Tensor, points: Tensor, side: int) -> Tensor:
    """Points `(F, N, 2)` after one unit of time in fields `(F, cells, 2, 3)`: 50 steps, each exact within a cell."""
    still = torch.zeros_like(fields[..., :1, :])
    steps = torch.matrix_exp(torch.cat((fields, still), dim=-2) / STEPS)[..., :2, :]
    for _ in range(STEPS):
        points = _affine(_at_points(steps, points, side), points)
    return points


def _at_points(maps: Tensor, points: Tensor, side: int) -> Tensor:
    """The map of the cell every point is in, `(F, N, 2, 3)` of `(F, cells, 2, 3)`."""
    return maps.flatten(0, 1)[_rows(maps, points, side)]


def _rows(maps: Tensor, points: Tensor, side: int) -> Tensor:
    """The row of the stacked cells of all fields that every point `(F, N, 2)` is in, `(F, N)`."""
    first = torch.arange(len(maps), device=maps.device) * maps.shape[1]
    return cell_of(points, side) + first.unsqueeze(1)


def _affine(maps: Tensor, points: Tensor) -> Tensor:
    # Written out: no matrix product whose order of sums depends on the batch.
    return maps[..., 0] * points[..., :1] + maps[..., 1] * points[..., 1:] + maps[..., 2]


def _pulled(maps: Tensor, gradient: Tensor) -> Tensor:
    """The transposed linear part of maps `(..., 2, 3)` applied to `(..., 2)`."""
    return maps[..., 0, :2] * gradient[..., :1] + maps[..., 1, :2] * gradient[..., 1:]


class _Drift(torch.autograd.Function):
    """`integrate`, with the gradient of the published library.

    That integrates the sensitivity of the points to the field beside the points, both by the midpoint rule: with h a
    step's time, L the linear part and V the whole of the field in the point's cell, a change D of the field gives
    p_mid = p + h/2 V p, q' = (1 + h L + h^2/2 L^2) q + h D p_mid + h^2/2 L D p, p' = p + h V p_mid.
    Here the same is run backwards, for all changes at once.
    """

    @staticmethod
    def forward(ctx: Any, fields: Tensor, points: Tensor, side: int) -> Tensor:
        ctx.save_for_backward(fields, points)
        ctx.side = side
        return integrate(fields, points, side)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        fields, points = ctx.saved_tensors
        table, time = fields.flatten(0, 1), 1 / STEPS
        rows, maps, starts, middles = [], [], [], []
        for _ in range(STEPS):
            rows.append(_rows(fields, points, ctx.side))
            maps.append(table[rows[-1]])
            starts.append(points)
            middles.append(points + time / 2 * _affine(maps[-1], points))
            points = points + time * _affine(maps[-1], middles[-1])
        arriving, pulled = [], []
        for own in reversed(maps):
            arriving.append(gradient)
            pulled.append(_pulled(own, gradient))
            gradient = gradient + time * pulled[-1] + time**2 / 2 * _pulled(own, pulled[-1])
        changes = time * _outer(arriving[::-1], middles) + time**2 / 2 * _outer(pulled[::-1], starts)
        total = torch.zeros_like(table).index_add(0, torch.stack(rows).flatten(), changes.flatten(0, 2))
        return total.view_as(fields), None, None


def _outer(gradients: list[Tensor], points: list[Tensor]) -> Tensor:
    """What a gradient at points means for the affine map applied to them, `(STEPS, F, N, 2, 3)`."""
    stacked = torch.stack(points)
    homogeneous = torch.cat((stacked, torch.ones_like(stacked[..., :1])), dim=-1)
    return torch.stack(gradients).unsqueeze(-1) * homogeneous.unsqueeze(-2)
