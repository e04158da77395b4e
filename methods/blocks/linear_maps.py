"""Linear maps of the plane (2x2) and of space (3x3): product, inverse, application to points.

Written out entry by entry: no LAPACK call per matrix, no reduced precision under autocast, and a singular
matrix gives infinities in its own frame instead of an exception for the whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix products `(..., 2, 2)` or `(..., 3, 3)`; leading axes broadcast."""
    return (left.unsqueeze(-1) * right.unsqueeze(-3)).sum(-2)


def inverse(matrices: Tensor) -> Tensor:
    """Inverses `(..., 2, 2)` or `(..., 3, 3)`; unguarded, as the published methods are."""
    if matrices.shape[-1] == 3:
        return _inverse_of_space(matrices)
    a, b = matrices[..., 0, 0], matrices[..., 0, 1]
    c, d = matrices[..., 1, 0], matrices[..., 1, 1]
    adjugate = torch.stack((d, -b, -c, a), dim=-1).view(*matrices.shape)
    return adjugate / (a * d - b * c)[..., None, None]


def _inverse_of_space(matrices: Tensor) -> Tensor:
    first, second, third = matrices.unbind(-2)
    columns = [torch.linalg.cross(*rows) for rows in ((second, third), (third, first), (first, second))]
    determinant = (first * columns[0]).sum(-1)
    return torch.stack(columns, dim=-1) / determinant[..., None, None]


def apply(matrices: Tensor, points: Tensor) -> Tensor:
    """Matrices `(..., n, n)` acting on points `(..., n)`, (x, y) or (x, y, z), as columns; leading axes broadcast."""
    return (matrices * points.unsqueeze(-2)).sum(-1)


def upright(matrices: Tensor) -> Tensor:
    """Matrices `(..., 2, 2)` times the sign of their first entry (0 where that is 0).

    Source: MRAA's published code; the products of two principal-axis frames are known up to this sign.
    """
    return matrices * torch.sign(matrices[..., :1, :1])
