"""Dense motion from key points with local affine motion, and the generator that paints with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .background import background_motion
from .first_order_config import DenseMotionConfig, GeneratorConfig
from .gaussians import gaussian_maps
from .grids import coordinate_grid, sample_each, warp
from .linear_maps import apply, inverse, product, upright
from .motion import DenseMotion, Keypoints
from .motion_weighing import MotionWeighing
from .warping_generator import Appearance, WarpingGenerator


def sparse_motions(
    source: Keypoints,
    driving: Keypoints,
    size: tuple[int, int] | torch.Size,
    background: Tensor | None = None,
    *,
    free_sign: bool = False,
) -> Tensor:
    """Where every pixel comes from under each candidate motion, `(B, K+1, h, w, 2)`; background first.

    Args:
        source, driving: key points; without jacobians (of both) their motions are translations.
        size: (height, width) of the motions.
        background: `(B, 3, 3)`, driving to source coordinates; None for one that stands still.
        free_sign: local motions are known up to sign only (principal axes): choose the sign that does not turn
            a part by more than a right angle.

    Source: FOMM, equation 4; MRAA, equations 3 and 5.
    """
    height, width = size
    grid = coordinate_grid(height, width, like=driving.value)
    offsets = grid - driving.value[:, :, None, None]  # (B, K, h, w, 2)
    if source.jacobian is not None and driving.jacobian is not None:
        linear = product(source.jacobian, inverse(driving.jacobian))
        if free_sign:
            linear = upright(linear)
        offsets = apply(linear[:, :, None, None], offsets)
    motions = offsets + source.value[:, :, None, None]
    behind = background_motion(background, height, width, like=grid)
    return torch.cat((behind.expand(len(motions), -1, -1, -1).unsqueeze(1), motions), dim=1)


class DenseMotionNetwork(MotionWeighing):
    """Source, two sets of key points and perhaps the background's motion -> dense motion.

    Source: FOMM, section 3.2; DAM and MTIA use it with MRAA's background.
    """

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__(config, config.num_kp + 1, 1 + config.num_channels)
        self.variance = config.kp_variance
        self.still_background = config.set_static_bg
        self.align_corners = config.align_corners

    def forward(
        self, downsampled: Tensor, source: Keypoints, driving: Keypoints, background: Tensor | None = None
    ) -> DenseMotion:
        """Motion from driving to source.

        Args:
            downsampled: what `downsample` gave, `(B, C, h, w)`.
            source, driving: key points of B images each.
            background: `(B, 3, 3)`, driving to source coordinates; None for a background that stands still.
        """
        size = downsampled.shape[2:]
        motions = sparse_motions(source, driving, size, background)
        deformed = sample_each(downsampled, motions, align_corners=self.align_corners)
        mask, occlusion_map = self.weigh(torch.cat((self._heatmaps(source, driving, size), deformed), dim=2))
        if self.still_background:
            motions = sparse_motions(source, driving, size)
        deformation = (mask.unsqueeze(-1) * motions).sum(dim=1)
        return DenseMotion(deformation, mask, occlusion_map, deformed)

    def _heatmaps(self, source: Keypoints, driving: Keypoints, size: torch.Size) -> Tensor:
        moved = gaussian_maps(driving.value, size, self.variance) - gaussian_maps(
            source.value, size, self.variance
        )
        return torch.cat((torch.zeros_like(moved[:, :1]), moved), dim=1).unsqueeze(2)


@dataclass(frozen=True)
class SourceFeatures:
    """All a generator needs of a source, whatever the motion.

    Args:
        appearance: encoded for the image branch; holds the source image itself.
        downsampled: `(B, C, h, w)`, the source at the size of the dense motion.
    """

    appearance: Appearance
    downsampled: Tensor

    def expand(self, count: int) -> SourceFeatures:
        """A batch of one seen as a batch of `count`, without copying."""
        return SourceFeatures(self.appearance.expand(count), self.downsampled.expand(count, -1, -1, -1))


@dataclass(frozen=True)
class Generation:
    """Generated images `(B, C, H, W)` in [0, 1] and the motion they were made with."""

    prediction: Tensor
    motion: DenseMotion


class OcclusionAwareGenerator(WarpingGenerator):
    """Source image, two sets of key points and perhaps the background's motion -> image.

    Source: FOMM, section 3.2, the Johnson-style generator with warped features and an occlusion map; DAM and
    MTIA give it MRAA's skips.
    """

    dense_motion_network: DenseMotionNetwork

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__("dense_motion_network", DenseMotionNetwork(config.dense_motion), config)

    def encode(self, source: Tensor) -> SourceFeatures:
        """What depends on the source `(B, C, H, W)` in [0, 1] alone."""
        return SourceFeatures(self.look(source), self.dense_motion_network.downsample(source))

    def decode(
        self,
        encoded: SourceFeatures,
        source: Keypoints,
        driving: Keypoints,
        background: Tensor | None = None,
    ) -> Generation:
        """The encoded sources in the pose of the driving key points, before a background moved by `(B, 3, 3)`."""
        motion = self.dense_motion_network(encoded.downsampled, source, driving, background)
        return Generation(self.paint(encoded.appearance, motion.deformation, motion.occlusion_map), motion)

    def deform(self, source: Tensor, motion: DenseMotion) -> Tensor:
        """The source image `(B, C, H, W)` itself warped by the motion, to look at."""
        return warp(source, motion.deformation, align_corners=self.align_corners)

    def forward(
        self,
        source: Tensor,
        source_keypoints: Keypoints,
        driving: Keypoints,
        background: Tensor | None = None,
    ) -> Generation:
        return self.decode(self.encode(source), source_keypoints, driving, background)
