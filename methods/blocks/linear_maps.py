"""2x2 linear maps of the plane: product, inverse, application to points.

Written out entry by entry: no LAPACK call per matrix, no reduced precision under autocast, and a singular
matrix gives infinities in its own frame instead of an exception for the whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix products `(..., 2, 2)`; leading axes broadcast."""
    return (left.unsqueeze(-1) * right.unsqueeze(-3)).sum(-2)


def inverse(matrices: Tensor) -> Tensor:
    """Inverses `(..., 2, 2)`; unguarded, as the published methods are."""
    a, b = matrices[..., 0, 0], matrices[..., 0, 1]
    c, d = matrices[..., 1, 0], matrices[..., 1, 1]
    adjugate = torch.stack((d, -b, -c, a), dim=-1).view(*matrices.shape)
    return adjugate / (a * d - b * c)[..., None, None]


def apply(matrices: Tensor, points: Tensor) -> Tensor:
    """Matrices `(..., 2, 2)` acting on points `(..., 2)` as (x, y) columns; leading axes broadcast."""
    return (matrices * points.unsqueeze(-2)).sum(-1)
