"""Regions: where the parts of an object are and how each is stretched and turned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..blocks.linear_maps import product
from ..blocks.motion import Keypoints


@dataclass(frozen=True)
class Regions:
    """Regions of a batch of images.

    Args:
        shift: `(B, K, 2)`, (x, y) of the centres in [-1, 1], corner pixel centres at exactly -1 and 1.
        affine: `(B, K, 2, 2)`, takes the unit frame to the region; with principal axes the first column is the
            longer one. None where only centres are estimated.
        covar: `(B, K, 2, 2)`, second moments of the region; None likewise.
    """

    shift: Tensor
    affine: Tensor | None = None
    covar: Tensor | None = None

    @property
    def keypoints(self) -> Keypoints:
        """Centres and affine shape, as relative transfer and equivariance see them."""
        return Keypoints(self.shift, self.affine)

    def expand(self, count: int) -> Regions:
        """Regions of one image seen as those of `count`, without copying."""
        return Regions(
            self.shift.expand(count, -1, -1),
            None if self.affine is None else self.affine.expand(count, -1, -1, -1),
            None if self.covar is None else self.covar.expand(count, -1, -1, -1),
        )


@dataclass(frozen=True)
class PrincipalAxes:
    """Singular value decomposition of symmetric positive 2x2 matrices.

    Args:
        axes: `(..., 2, 2)`, unit columns, the longest first.
        variances: `(..., 2)`, descending.
    """

    axes: Tensor
    variances: Tensor

    @property
    def affine(self) -> Tensor:
        """The axes scaled by their standard deviations, `(..., 2, 2)`."""
        return self.axes * self.variances.sqrt().unsqueeze(-2)


def principal_axes(covar: Tensor) -> PrincipalAxes:
    """Principal axes of covariances `(..., 2, 2)`.

    The signs of the axes matter and are LAPACK's: the decomposition is done on the CPU in float32 whatever the
    device, as published. An eigendecomposition has other signs.

    Source: MRAA, section 3.2.
    """
    axes, variances, _ = torch.linalg.svd(covar.float().cpu())
    return PrincipalAxes(axes.to(covar), variances.to(covar))


def outer_square(affine: Tensor) -> Tensor:
    """The covariance `A A^T` that an affine shape `(..., 2, 2)` stands for."""
    return product(affine, affine.transpose(-1, -2))
