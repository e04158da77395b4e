"""Between two poses: key points and background on the way from one to the other, and which image of it to choose."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .motion import Keypoints

SMALLEST_SUM = 1e-8


def between(source: Keypoints, driving: Keypoints, times: Tensor) -> Keypoints:
    """Key points `(B, P, 2)` on the straight way from source to driving, exact at both ends.

    Args:
        times: `(B)`, 0 at the source, 1 at the driving frame.

    Source: Anytime, eq. 1.
    """
    return Keypoints(torch.lerp(source.value, driving.value, times.to(driving.value).view(-1, 1, 1)))


def background_between(background: Tensor | None, times: Tensor) -> Tensor | None:
    """The background's motion `(B, 3, 3)` so far, of which all is done at time 1; None stays still.

    Not stated in the paper: the image between does not exist yet, and its motion is assumed to be linear.
    """
    if background is None:
        return None
    still = torch.eye(3, dtype=background.dtype, device=background.device).expand_as(background)
    return torch.lerp(still, background, times.to(background).view(-1, 1, 1))


def pose_distances(candidates: Sequence[Keypoints], driving: Keypoints) -> Tensor:
    """How far the pose of every candidate is from the driving one, `(B, m)`: the mean distance of key points."""
    return torch.stack([(one.value - driving.value).norm(dim=-1).mean(dim=-1) for one in candidates], dim=-1)


def appearance_distances(candidates: Sequence[Tensor], source: Tensor) -> Tensor:
    """How far the appearance `(B, W)` of every candidate is from that of the source `(B or 1, W)`; `(B, m)`."""
    return torch.stack([(one - source).norm(dim=-1) for one in candidates], dim=-1)


def shares(distances: Tensor) -> Tensor:
    """Distances `(B, m)` as shares of their sum, 0 where all are 0."""
    return distances / (distances.sum(dim=1, keepdim=True) + SMALLEST_SUM)


def best_candidate(appearance: Tensor, pose: Tensor) -> Tensor:
    """Which candidate is nearest to the source's appearance and the driving pose at once, `(B)`; the first of equals.

    Args:
        appearance, pose: distances of the candidates `(B, m)`.

    Source: Anytime, eq. 4.
    """
    return (shares(appearance) + shares(pose)).argmin(dim=1)
