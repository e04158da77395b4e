"""HDAM's own training losses: motion carried down the hierarchy, and what the attention must be like."""

from __future__ import annotations

import torch
from torch import Tensor

from ..blocks.anchors import Anchors, carried_distances


def root_loss(source: Anchors, driving: Anchors) -> Tensor:
    """Mean distance between where the root's motion carries the intermediate anchors and where they are.

    Source: HDAM, the hierarchical deformable anchor model; the published weight is 1.
    """
    return carried_distances(source.root, driving.root, source.intermediate, driving.intermediate).mean()


def intermediate_loss(source: Anchors, driving: Anchors, attention: Tensor) -> Tensor:
    """The same from intermediate to motion anchors, as far as the former attend to the latter.

    Args:
        attention: `(B, I, K)`, of the driving image.

    Source: HDAM, the hierarchical deformable anchor model; a mean over the batch and a sum over pairs of anchors.
    The published weight is 10.
    """
    distances = carried_distances(source.intermediate, driving.intermediate, source.motion, driving.motion)
    return (attention * distances).sum(dim=(1, 2)).mean()


def orthogonality_loss(attention: Tensor) -> Tensor:
    """Minus the mean difference between what two intermediate anchors attend to; 0 where there are no two.

    Args:
        attention: `(B, I, K)`; motion anchors that nothing attends to do not count.

    Source: HDAM's published code (L1); the published weight is 10.
    """
    heeded = _heeded(attention)
    differences = (heeded.unsqueeze(2) - heeded.unsqueeze(1)).abs().mean(dim=3)  # (B, I, I)
    # An anchor differs from itself by 0, and zeros are left out, as published.
    return -differences.sum() / torch.count_nonzero(differences).clamp_min(1)


def completeness_loss(attention: Tensor, threshold: float) -> Tensor:
    """Mean of how much attention motion anchors lack that get less than `threshold` from all intermediate ones.

    Args:
        attention: `(B, I, K)`; motion anchors that nothing attends to do not count.

    Source: HDAM, the hierarchical deformable anchor model; the published weights are 10 and 20.
    """
    return torch.relu(threshold - _heeded(attention).sum(dim=1)).mean()


def _heeded(attention: Tensor) -> Tensor:
    """The columns that are not zero throughout, `(B, I, K')`: ignored motion anchors are dropped."""
    return attention[:, :, (attention != 0).any(dim=0).any(dim=0)]
