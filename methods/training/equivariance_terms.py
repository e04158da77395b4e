"""Equivariance as a loss term: a random warp of the driving frames, and what the detector finds on it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..blocks.equivariance import equivariance_jacobian_loss, equivariance_value_loss
from ..blocks.motion import Keypoints
from ..blocks.transforms import random_warp
from .recipe import WarpConfig


def equivariance_losses(
    detect: Callable[[Tensor], Keypoints],
    driving: Tensor,
    found: Keypoints,
    warps: WarpConfig,
    *,
    value: float,
    jacobian: float = 0.0,
    align_corners: bool,
    free_sign: bool = False,
) -> dict[str, Tensor]:
    """Equivariance of key points and of their local motion, each where its weight is not 0.

    Args:
        detect: frames `(B, 3, H, W)` to key points.
        driving, found: frames, and what `detect` found on them.
        warps: distribution of the random warps.
        value, jacobian: loss weights.
        align_corners: how frames are sampled.
        free_sign: see `equivariance_jacobian_loss`.
    """
    losses: dict[str, Tensor] = {}
    if not value + jacobian:
        return losses
    warp = random_warp(
        driving, sigma_affine=warps.sigma_affine, sigma_tps=warps.sigma_tps, points_tps=warps.points_tps
    )
    transformed = detect(warp.frame(driving, align_corners=align_corners))
    if value:
        losses["equivariance_value"] = value * equivariance_value_loss(warp, found, transformed)
    if jacobian:
        losses["equivariance_jacobian"] = jacobian * equivariance_jacobian_loss(
            warp, found, transformed, free_sign=free_sign
        )
    return losses
