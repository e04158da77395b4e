"""The unit square cut into triangles, and the space of velocities that are affine in each and continuous everywhere."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

TOP, RIGHT, BOTTOM, LEFT = range(4)
# How far outside the square the velocities of neighbouring border triangles are made equal once more.
BEYOND = 10.0
NULL = 1e-6

Point = tuple[float, float]
Row = list[np.ndarray]


def cell_of(points: Tensor, side: int) -> Tensor:
    """Index of the triangle every point lies in, `(...)` int64 for points `(..., 2)`.

    The square is cut into `side` x `side` squares, row by row, each into four triangles around its centre: top, right,
    bottom, left. Outside, the border triangles go on to infinity.

    Args:
        points: (x, y), the unit square is [0, 1] x [0, 1], y down.
    """
    scaled = points * side
    corner = scaled.floor().clamp(0, side - 1)
    column, row = corner.unbind(-1)
    across, down = (scaled - corner).unbind(-1)
    # Beyond the border these two comparisons choose the triangle too: its diagonals are the same lines.
    lower, righter = across < down, 1 - across < down
    triangle = 2 * lower + (lower ^ righter)
    return (4 * (row * side + column)).long() + triangle


def constraints(side: int) -> np.ndarray:
    """Linear equations, one a row, on the stacked affine maps (six numbers a cell, row-major) of all cells.

    Neighbouring triangles have the same velocity along their edge, and neighbouring border triangles along the ray that
    leaves the square between them.

    Source: CPABMM, section 3.1; CPAB transformations (Freifeld et al.), with a free border and "valid outside".
    """
    rows: Row = []
    for row in range(side):
        for column in range(side):
            _square(rows, row, column, side)
    for step in range(1, side):
        at, end = step / side, side - 1
        for column, edge, border in ((0, 0.0, LEFT), (end, 1.0, RIGHT)):
            first, second = (_cell(row, column, border, side) for row in (step - 1, step))
            _equal(rows, first, second, ((edge, at), (edge - BEYOND, at)), side)
        for row, edge, border in ((0, 0.0, TOP), (end, 1.0, BOTTOM)):
            first, second = (_cell(row, column, border, side) for column in (step - 1, step))
            _equal(rows, first, second, ((at, edge), (at, edge - BEYOND)), side)
    return np.stack(rows)


def _cell(row: int, column: int, triangle: int, side: int) -> int:
    return 4 * (row * side + column) + triangle


def _square(rows: Row, row: int, column: int, side: int) -> None:
    """The equations inside one square and between it and the squares to its right and below."""

    def at(down: float, across: float) -> Point:
        return ((column + across) / side, (row + down) / side)

    centre, corners = at(0.5, 0.5), (at(0, 1), at(1, 1), at(1, 0), at(0, 0))
    for triangle, corner in enumerate(corners):
        first, second = (_cell(row, column, one % 4, side) for one in (triangle, triangle + 1))
        _equal(rows, first, second, (centre, corner), side)
    _, lower_right, lower_left, _ = corners
    upper_right = corners[0]
    if column + 1 < side:
        first, second = _cell(row, column, RIGHT, side), _cell(row, column + 1, LEFT, side)
        _equal(rows, first, second, (upper_right, lower_right), side)
    if row + 1 < side:
        first, second = _cell(row, column, BOTTOM, side), _cell(row + 1, column, TOP, side)
        _equal(rows, first, second, (lower_right, lower_left), side)


def _equal(rows: Row, first: int, second: int, points: tuple[Point, Point], side: int) -> None:
    for x, y in points:
        for axis in range(2):
            equation = np.zeros(24 * side**2)
            for cell, sign in ((first, 1.0), (second, -1.0)):
                start = 6 * cell + 3 * axis
                equation[start : start + 3] = sign * x, sign * y, sign
            rows.append(equation)


@lru_cache
def velocity_basis(side: int) -> Tensor:
    """An orthonormal basis of the velocities, `(24 * side^2, d)` float64: 58 of them for 4, 130 for 6.

    A null space has a basis up to rotation only, and libraries choose differently. This one is spanned by fixed
    pseudo-random vectors, so that every machine gets the same. The published results depend, a little, on a basis
    that was not published.
    """
    equations = constraints(side)
    _, values, vectors = np.linalg.svd(equations, full_matrices=True)
    rank = int((values > NULL).sum())
    null = vectors[rank:].T
    drawn = np.random.Generator(np.random.PCG64(side)).standard_normal(null.shape)
    orthonormal, triangular = np.linalg.qr(null @ (null.T @ drawn))
    # Signs are a library's choice as well.
    canonical = orthonormal * np.sign(np.diag(triangular))
    # A cached tensor must be usable under autograd, whoever asked for it first.
    with torch.inference_mode(False):
        return torch.from_numpy(canonical)
