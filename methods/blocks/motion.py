"""The values that motion networks exchange: key points with local affine motion, and dense motion."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Keypoints:
    """Key points of a batch of images, each with the linear part of the motion around it.

    Args:
        value: `(B, K, 2)`, (x, y) in [-1, 1], corner pixel centres at exactly -1 and 1; `(B, K, 3)`, (x, y, z),
            for methods whose key points lie in space.
        jacobian: `(B, K, 2, 2)` (in space `(B, K, 3, 3)`), rows = output coordinate; None for methods of zero order.
    """

    value: Tensor
    jacobian: Tensor | None = None

    def detach(self) -> Keypoints:
        """The same points, cut off from the gradient."""
        return Keypoints(self.value.detach(), None if self.jacobian is None else self.jacobian.detach())

    def expand(self, count: int) -> Keypoints:
        """Points of one image seen as those of `count`, without copying."""
        return Keypoints(
            self.value.expand(count, -1, -1),
            None if self.jacobian is None else self.jacobian.expand(count, -1, -1, -1),
        )


@dataclass(frozen=True)
class DenseMotion:
    """Where in the source every output position is sampled.

    Args:
        deformation: `(B, h, w, 2)`, (x, y) in [-1, 1].
        mask: `(B, K+1, h, w)`, how much each candidate motion counts, background first; sums to 1.
        occlusion_map: `(B, 1, h, w)` in (0, 1), 1 keeps, 0 is to be inpainted; None where not estimated.
        sparse_deformed: `(B, K+1, C, h, w)`, the source warped by each candidate motion.
    """

    deformation: Tensor
    mask: Tensor
    occlusion_map: Tensor | None
    sparse_deformed: Tensor
