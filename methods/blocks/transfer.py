"""Absolute and relative transfer of key points from driving to source."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from benchbed.errors import BenchbedError

from .linear_maps import inverse, product
from .motion import Keypoints

TRANSFERS = ("absolute", "relative")
NO_INITIAL_FRAME = "relative transfer needs the first frame of the driving clip; give initial_driving"


def initial_frame(
    name: str, transfer: str, initial_driving: Tensor | None, *, relative_movement: bool = True
) -> Tensor | None:
    """The first driving frame `(1, 3, H, W)` where the transfer is relative to it, None where it is not.

    Args:
        name: of the method, for sentences.
        relative_movement: whether `relative` takes the movement since that frame; it is `absolute` otherwise.

    Raises:
        BenchbedError: unknown transfer, or relative transfer without its initial frame.
    """
    if transfer not in TRANSFERS:
        raise BenchbedError(f"unknown transfer '{transfer}' for {name}; known: {', '.join(TRANSFERS)}")
    if transfer == "absolute" or not relative_movement:
        return None
    if initial_driving is None:
        raise BenchbedError(NO_INITIAL_FRAME)
    return initial_driving


def hull_area(points: np.ndarray) -> float:
    """Area of the convex hull of points `(K, 2)`, in the points' squared unit; its volume for points `(K, 3)`.

    Raises:
        BenchbedError: too few points, all on one line (in one plane), or not finite.
    """
    try:
        return float(ConvexHull(points).volume)
    except (QhullError, ValueError) as error:
        raise BenchbedError(
            f"the convex hull of {len(points)} key points has no area or volume (too few, on one line or plane, or "
            "not finite); transfer without adapting the movement scale"
        ) from error


def movement_scale(source: Tensor, initial: Tensor) -> float:
    """How much larger the source object is than the driving one: ratio of square roots of hull areas.

    Args:
        source, initial: `(B, K, 2)`, or `(B, K, 3)`, whose volumes have a square root taken all the same, as
            published; the first element of the batch decides, as published.
    """
    areas = [hull_area(points[0].detach().double().cpu().numpy()) for points in (source, initial)]
    return float(np.sqrt(areas[0]) / np.sqrt(areas[1]))


def transfer_keypoints(
    source: Keypoints,
    driving: Keypoints,
    initial: Keypoints | None,
    *,
    relative: bool,
    relative_jacobian: bool = True,
    adapt_movement_scale: bool = False,
) -> Keypoints:
    """The driving key points to hand to the generator.

    Args:
        source, driving, initial: of the source, the driving frames and the first driving frame; source and
            initial may have a batch of one.
        relative: add the driving motion since the initial frame to the source pose; the two other options act
            only then.
        relative_jacobian: transfer the local affine motion in the same manner.
        adapt_movement_scale: scale the movement by the ratio of object sizes.

    Source: FOMM, section 3.3; the published test-time code.
    """
    if not relative:
        return driving
    if initial is None:
        raise BenchbedError(NO_INITIAL_FRAME)
    scale = movement_scale(source.value, initial.value) if adapt_movement_scale else 1.0
    value = scale * (driving.value - initial.value) + source.value
    jacobian = driving.jacobian
    if relative_jacobian and jacobian is not None:
        if source.jacobian is None or initial.jacobian is None:
            raise BenchbedError(
                "driving key points have jacobians but source or initial ones have none; detect all alike"
            )
        jacobian = product(product(jacobian, inverse(initial.jacobian)), source.jacobian)
    return Keypoints(value, jacobian)
