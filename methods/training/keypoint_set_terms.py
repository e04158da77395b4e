"""Loss terms of methods that fit a map of the plane to each set of key points: warped features, background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..blocks.inpainting import InpaintingNetwork
from ..blocks.warping_generator import Appearance


def masked_stages(appearance: Appearance, occlusion_maps: Sequence[Tensor]) -> Iterator[Tensor]:
    """Features at every resolution times the occlusion map of that size, coarsest first."""
    for features, occlusion in zip(reversed(appearance.features), occlusion_maps, strict=True):
        yield features * occlusion


def warp_loss(
    network: InpaintingNetwork,
    source: Appearance,
    driving: Appearance,
    deformation: Tensor | Sequence[Tensor],
    occlusion_maps: Sequence[Tensor],
) -> Tensor:
    """Sum over resolutions of the mean |driving features - warped source features|, where both are visible.

    The gradient reaches the deformation alone; see `InpaintingNetwork.warped_stages` for its shape.

    Source: TPSMM, section 3.6.
    """
    visible = [occlusion.detach() for occlusion in occlusion_maps]
    warped = network.warped_stages(source.detach(), deformation, visible)
    wanted = masked_stages(driving.detach(), visible)
    terms = [(a - b).abs().mean() for a, b in zip(wanted, warped, strict=True)]
    return torch.stack(terms).sum()


def background_loss(forward: Tensor, backward: Tensor) -> Tensor:
    """Mean |1 - M M'| of the background's motions `(B, 3, 3)` there and back.

    Source: TPSMM, section 3.6.
    """
    identity = torch.eye(3, dtype=forward.dtype, device=forward.device)
    return (identity - forward @ backward).abs().mean()


def stretched(keypoints: Tensor, factors: Tensor) -> Tensor:
    """Key points `(B, N, 2)` times one factor per axis `(B, 2)`: another body in the same pose, for the AVD network.

    Source: TPSMM's published code.
    """
    return keypoints * factors.unsqueeze(1)
