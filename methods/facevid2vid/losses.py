"""Face-vid2vid's training losses on key points, head pose and adversarial scores.

Every function returns a scalar; none applies a weight.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..blocks.equivariance import PointMap, equivariance_value_loss
from ..blocks.grids import warp
from ..blocks.motion import Keypoints
from ..training.adversary import Objective
from .pose import HeadPose, degrees

NEAR = 0.1
MEAN_DEPTH = 0.33
EPSILON = 1e-6
BLURS = (5, 9, 17)  # pixels


def equivariance_loss(point_map: PointMap, driving: Keypoints, transformed: Keypoints) -> Tensor:
    """Mean |p - w(p')| of key points in space, seen in the image plane.

    Source: face-vid2vid, section 3.4.
    """
    return equivariance_value_loss(point_map, _flat(driving), _flat(transformed))


def _flat(keypoints: Keypoints) -> Keypoints:
    return Keypoints(keypoints.value[..., :2])


def keypoint_prior_loss(keypoints: Keypoints) -> Tensor:
    """Cost of points closer than the square root of 0.1 to each other, and of a mean depth other than 0.33.

    All ordered pairs count, each point with itself included, as published.

    Source: face-vid2vid, section 3.4; the numbers are the unofficial implementation's.
    """
    value = keypoints.value
    squared = (value.unsqueeze(2) - value.unsqueeze(1) + EPSILON).square().sum(-1)  # (B, K, K)
    crowding = (NEAR - squared).clamp_min(0).mean(0).sum()
    return crowding + (value[..., 2].mean(-1) - MEAN_DEPTH).abs().mean()


def head_pose_loss(estimated: HeadPose, yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Sum over angles of the mean |degrees estimated - degrees of a teacher|.

    Args:
        yaw, pitch, roll: the teacher's logits, `(B, bins)`.

    Source: face-vid2vid, section 3.4.
    """
    pairs = ((estimated.yaw, yaw), (estimated.pitch, pitch), (estimated.roll, roll))
    return torch.stack([(degrees(own) - degrees(teacher)).abs().mean() for own, teacher in pairs]).sum()


def expression_loss(estimated: HeadPose) -> Tensor:
    """Mean over the batch of the L1 norm of what the expression moves the key points by.

    Source: face-vid2vid, section 3.4.
    """
    return estimated.expression.abs().sum(dim=(1, 2)).mean()


def depth_loss(keypoints: Keypoints) -> Tensor:
    """Mean |depth of a point - 0.33|, where `keypoint_prior_loss` has the mean depth of all points. Not published.

    What is drawn is flat, and nothing but this tells where in depth it is; a point between the planes of a shallow
    volume would fade from its heat maps.
    """
    return (keypoints.value[..., 2] - MEAN_DEPTH).abs().mean()


def blurred_difference(source: Tensor, driving: Tensor, flow: Tensor, *, align_corners: bool) -> Tensor:
    """Sum over blurs of the mean |blurred source, warped - blurred driving frame|. Not published.

    Blurred edges pull a motion that is several pixels off, sharp ones only one that is nearly right.

    Args:
        source, driving: images `(B, 3, H, W)`.
        flow: where sources are sampled, `(B, h, w, 2)`.
        align_corners: how.
    """
    of_source, of_driving = (_blurred(image) for image in (source, driving))
    difference = warp(of_source, flow, align_corners=align_corners) - of_driving
    return len(BLURS) * difference.abs().mean()


def _blurred(image: Tensor) -> Tensor:
    """The image under every blur, as channels."""
    return torch.cat([_means(_means(image, (1, side)), (side, 1)) for side in BLURS], dim=1)


def _means(image: Tensor, window: tuple[int, int]) -> Tensor:
    """Means of all windows `(height, width)`, at the border of what is inside."""
    padding = (window[0] // 2, window[1] // 2)
    return avg_pool2d(image, window, stride=1, padding=padding, count_include_pad=False)


def hinge_discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Mean relu(1 - D(real)) + mean relu(1 + D(generated)) of score maps."""
    return torch.relu(1 - real).mean() + torch.relu(1 + generated).mean()


def hinge_generator_loss(generated: Tensor) -> Tensor:
    """-mean D(generated) of score maps."""
    return -generated.mean()


# Over the scales of a discriminator. Source: face-vid2vid, section 3.4.
HINGE = Objective(
    generator=lambda generated: torch.stack([hinge_generator_loss(one.scores) for one in generated]).sum(),
    discriminator=lambda real, generated: torch.stack(
        [
            hinge_discriminator_loss(one.scores, other.scores)
            for one, other in zip(real, generated, strict=True)
        ]
    ).sum(),
)
