"""Anchors: key points in a hierarchy, and how far each one's motion carries those below it from where they belong."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .linear_maps import apply, inverse, product
from .motion import Keypoints


@dataclass(frozen=True)
class Anchors:
    """Anchors of a batch of images by their place in the hierarchy.

    Args:
        motion: `(B, K, ...)`, the ones that move the generator.
        intermediate: `(B, I, ...)`, above the motion anchors; I is 0 without hierarchy.
        root: `(B, 1, ...)`, above all others.
    """

    motion: Keypoints
    intermediate: Keypoints
    root: Keypoints


def split_anchors(detected: Keypoints, num_root_kp: int) -> Anchors:
    """Detected anchors by place: motion anchors come first, the last `num_root_kp` are intermediate ones and the root.

    Source: DAM's published code.
    """
    motion = detected.value.shape[1] - num_root_kp
    return Anchors(
        _part(detected, slice(0, motion)),
        _part(detected, slice(motion, -1)),
        _part(detected, slice(-1, None)),
    )


def carried_distances(
    above_source: Keypoints, above_driving: Keypoints, source: Keypoints, driving: Keypoints
) -> Tensor:
    """How far the motion of each anchor above carries each driving anchor from its place in the source.

    Args:
        above_source, above_driving: `(B, A, ...)`, the anchors above, in source and driving image.
        source, driving: `(B, K, ...)`, the anchors below; their jacobians do not count.

    Returns:
        `(B, A, K)`, Euclidean distances.

    Source: DAM, the deformable anchor model.
    """
    offsets = driving.value.unsqueeze(1) - above_driving.value.unsqueeze(2)  # (B, A, K, 2)
    if above_source.jacobian is not None and above_driving.jacobian is not None:
        linear = product(above_source.jacobian, inverse(above_driving.jacobian))
        offsets = apply(linear.unsqueeze(2), offsets)
    carried = above_source.value.unsqueeze(2) + offsets
    return (carried - source.value.unsqueeze(1)).norm(dim=-1)


def _part(anchors: Keypoints, chosen: slice) -> Keypoints:
    jacobian = None if anchors.jacobian is None else anchors.jacobian[:, chosen]
    return Keypoints(anchors.value[:, chosen], jacobian)
