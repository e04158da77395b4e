"""Equivariance losses: what is found on a warped frame must be what was found on the frame, warped."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from benchbed.errors import BenchbedError

from .linear_maps import inverse, product, upright
from .motion import Keypoints
from .transforms import ThinPlateWarp


class PointMap(Protocol):
    """A map of the plane, per batch item."""

    def points(self, points: Tensor) -> Tensor:
        """Where points `(B, N, 2)` go, `(B, N, 2)`."""
        ...


def equivariance_value_loss(warp: PointMap, driving: Keypoints, transformed: Keypoints) -> Tensor:
    """Mean |p - w(p')|: points found on the warped frame must map to those found on the frame.

    Source: FOMM, equation 9.
    """
    return (driving.value - warp.points(transformed.value)).abs().mean()


def equivariance_jacobian_loss(
    warp: ThinPlateWarp, driving: Keypoints, transformed: Keypoints, *, free_sign: bool = False
) -> Tensor:
    """Mean |1 - J^-1 (Dw J')|, the same for the local affine motion.

    Args:
        free_sign: the maps are known up to sign only (principal axes): compare with the sign that makes the first
            entry positive.

    Source: FOMM, equation 11; MRAA's published code for the free sign.
    """
    if driving.jacobian is None or transformed.jacobian is None:
        raise BenchbedError(
            "the equivariance of jacobians needs jacobians; set its weight to 0 or estimate_jacobian"
        )
    moved = product(warp.derivative(transformed.value), transformed.jacobian)
    unmoved = product(inverse(driving.jacobian), moved)
    if free_sign:
        unmoved = upright(unmoved)
    identity = torch.eye(2, dtype=moved.dtype, device=moved.device)
    return (identity - unmoved).abs().mean()
