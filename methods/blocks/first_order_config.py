"""What decides the networks of the first-order family and their test-time transfer: one frozen dataclass each.

FOMM, DAM and MTIA share them, and for the most part the published words they are read from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .configurations import require_background_use
from .motion_weighing import MotionWeighingConfig
from .warping_generator import ImageBranchConfig


@dataclass(frozen=True)
class KeypointDetectorConfig:
    """The key-point detector: image -> K key points and K (or one shared map of) jacobians."""

    num_kp: int
    num_channels: int
    block_expansion: int
    max_features: int
    num_blocks: int
    temperature: float
    scale_factor: float = 1.0
    estimate_jacobian: bool = False
    single_jacobian_map: bool = False
    pad: int = 0

    @property
    def size_multiple(self) -> int:
        """Both sides of an image must be multiples of this many pixels."""
        return round(2**self.num_blocks / self.scale_factor)


@dataclass(frozen=True, kw_only=True)
class DenseMotionConfig(MotionWeighingConfig):
    """The dense motion network: source and two sets of key points -> dense motion and occlusion.

    Args:
        set_static_bg: combine the candidate motions with a background that stands still, whatever motion of it the
            network sees (a published test-only switch).
    """

    num_kp: int
    kp_variance: float = 0.01
    set_static_bg: bool = False


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(ImageBranchConfig):
    """The generator: dense motion, and the image branch it moves."""

    dense_motion: DenseMotionConfig

    @property
    def size_multiple(self) -> int:
        """Both sides of an image must be multiples of this many pixels."""
        return math.lcm(self.dense_motion.size_multiple, 2**self.num_down_blocks)


@dataclass(frozen=True)
class TransferConfig:
    """Test-time choices.

    Args:
        relative_movement, relative_jacobian, adapt_movement_scale: the three switches of published animation
            configurations, for relative transfer.
        background: when the background's motion is predicted, where there is a predictor; see `BACKGROUND_USE`.
    """

    relative_movement: bool = True
    relative_jacobian: bool = True
    adapt_movement_scale: bool = False
    background: str = "absolute"

    def __post_init__(self) -> None:
        require_background_use(self.background)


def detector_config(common: Mapping[str, Any], own: Mapping[str, Any]) -> KeypointDetectorConfig:
    """Read the detector from the published `common_params` and `kp_detector_params`."""
    return KeypointDetectorConfig(**{**common, **own})


def generator_config(
    common: Mapping[str, Any], own: Mapping[str, Any], *, align_corners: bool = False
) -> GeneratorConfig:
    """Read the generator from the published `common_params` and `generator_params` with its `dense_motion_params`."""
    rest = dict(own)
    dense = rest.pop("dense_motion_params")
    occlusion = rest.pop("estimate_occlusion_map", False)
    channels = common["num_channels"]
    motion = DenseMotionConfig(
        num_kp=common["num_kp"],
        num_channels=channels,
        estimate_occlusion_map=occlusion,
        align_corners=align_corners,
        **dense,
    )
    return GeneratorConfig(num_channels=channels, dense_motion=motion, align_corners=align_corners, **rest)
