"""DAM's own training loss: the root's motion carries every motion anchor."""

from __future__ import annotations

from torch import Tensor

from ..blocks.anchors import Anchors, carried_distances


def root_loss(source: Anchors, driving: Anchors) -> Tensor:
    """Mean distance between where the root's motion carries the motion anchors and where they are in the source.

    Source: DAM, the root anchor; the published weight is 10.
    """
    return carried_distances(source.root, driving.root, source.motion, driving.motion).mean()
