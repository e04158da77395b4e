"""Animation by a thin-plate spline per set of five key points: what TPSMM and the methods built on it share."""

from __future__ import annotations

from torch import Tensor

from .keypoint_set_animation import KeypointSetAnimation
from .keypoint_set_config import POINTS_PER_SET
from .motion import Keypoints
from .thin_plate import ThinPlateSpline, fit_spline


def splines(source: Keypoints, driving: Keypoints) -> ThinPlateSpline:
    """The splines, `(B, K)` of them, that take each set of driving key points to that of the source.

    Source: TPSMM, section 3.1.
    """
    return fit_spline(
        driving.value.unflatten(1, (-1, POINTS_PER_SET)), source.value.unflatten(1, (-1, POINTS_PER_SET))
    )


class SplineAnimation(KeypointSetAnimation):
    """A method that moves the source by splines; see `KeypointSetAnimation`."""

    def set_motions(self, source: Keypoints, driving: Keypoints, size: tuple[int, int]) -> Tensor:
        """Where every pixel comes from under each spline, `(B, K, *size, 2)`."""
        return splines(source, driving).grid(*size)
