"""Head pose and expression, and the key points of a face that has them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..blocks.linear_maps import apply, product
from ..blocks.motion import Keypoints

DEGREES_PER_BIN = 3
LOWEST_DEGREE = -99
# Published instead of pi; all weights were trained with it.
HALF_TURN = 3.14


@dataclass(frozen=True)
class HeadPose:
    """Head pose and expression of B frames.

    Args:
        yaw, pitch, roll: `(B, bins)`, logits of bins of 3 degrees, the first at -99.
        translation: `(B, 3)`, (x, y, z) in grid units.
        expression: `(B, K, 3)`, what every key point is moved by.
    """

    yaw: Tensor
    pitch: Tensor
    roll: Tensor
    translation: Tensor
    expression: Tensor


@dataclass(frozen=True)
class View:
    """Angles in degrees that replace those of the driving frames; None keeps the frame's own.

    The networks were made for 45 degrees of yaw and 20 of pitch and roll to either side.

    Source: face-vid2vid, section 3.2 (free view).
    """

    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None


def degrees(logits: Tensor) -> Tensor:
    """The expected angle `(B,)` in degrees of bins `(B, bins)`."""
    probabilities = torch.softmax(logits, dim=-1)
    bins = torch.arange(logits.shape[-1], dtype=logits.dtype, device=logits.device)
    return DEGREES_PER_BIN * (probabilities * bins).sum(-1) + LOWEST_DEGREE


def rotation(yaw: Tensor, pitch: Tensor, roll: Tensor, *, beta: bool = False) -> Tensor:
    """Rotation matrices `(B, 3, 3)` of angles `(B,)` in degrees.

    Args:
        beta: the order of axes that the beta weights were trained with.
    """
    about_x, about_y, about_z = (roll, pitch, yaw) if beta else (pitch, yaw, roll)
    turns = [_turn(angle, axis) for axis, angle in enumerate((about_x, about_y, about_z))]
    return product(product(turns[0], turns[1]), turns[2])


def _turn(angle: Tensor, axis: int) -> Tensor:
    radians = angle / 180 * HALF_TURN
    cosine, sine = torch.cos(radians), torch.sin(radians)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrices = torch.zeros(*angle.shape, 3, 3, dtype=angle.dtype, device=angle.device)
    matrices[..., axis, axis] = 1
    matrices[..., first, first] = matrices[..., second, second] = cosine
    matrices[..., first, second] = -sine
    matrices[..., second, first] = sine
    return matrices


def posed(canonical: Keypoints, pose: HeadPose, *, view: View | None = None, beta: bool = False) -> Keypoints:
    """The key points of B frames: canonical ones turned, moved and given an expression.

    Args:
        canonical: of B images, or of one for all frames.
        pose: of the frames.
        view: replaces angles of the frames.
        beta: see `rotation`.

    Source: face-vid2vid, equation 1.
    """
    view = View() if view is None else view
    matrices = rotation(
        _angle(pose.yaw, view.yaw), _angle(pose.pitch, view.pitch), _angle(pose.roll, view.roll), beta=beta
    ).unsqueeze(1)
    value = apply(matrices, canonical.value) + pose.translation.unsqueeze(1) + pose.expression
    return Keypoints(value, None if canonical.jacobian is None else product(matrices, canonical.jacobian))


def _angle(logits: Tensor, given: float | None) -> Tensor:
    return degrees(logits) if given is None else logits.new_full(logits.shape[:-1], given)
