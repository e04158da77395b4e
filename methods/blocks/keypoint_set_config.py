"""What decides the networks of methods that fit a map of the plane to each set of key points (TPSMM, CPABMM)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .animation import AnimationConfig
from .configurations import (
    BACKGROUND_OPTIONS,
    background_use,
    resolution,
    split_options,
)
from .multi_occlusion_motion import OCCLUSION_LEVELS

POINTS_PER_SET = 5


@dataclass(frozen=True)
class DenseMotionConfig:
    """The dense motion network: source, key points and candidate motions -> dense motion and occlusion maps."""

    block_expansion: int
    max_features: int
    num_blocks: int
    scale_factor: float


@dataclass(frozen=True)
class InpaintingConfig:
    """The inpainting network: warped source features of every resolution -> image."""

    block_expansion: int
    max_features: int
    num_down_blocks: int


@dataclass(frozen=True)
class DisentanglementConfig:
    """The AVD network: key points of an identity and of a pose -> key points of that identity in that pose."""

    id_bottle_size: int
    pose_bottle_size: int


@dataclass(frozen=True)
class KeypointSetConfig:
    """All parts a configuration describes.

    Args:
        num_sets: sets of five key points.
        background: whether there is a background predictor.
        multi_mask: an occlusion map per resolution instead of one.
        resnet_width: first channels of the residual networks that see whole images; the published networks have 64.
    """

    num_sets: int
    num_channels: int
    background: bool
    multi_mask: bool
    inpainting: InpaintingConfig
    dense_motion: DenseMotionConfig
    disentanglement: DisentanglementConfig | None
    animation: AnimationConfig
    resolution: tuple[int, int] | None
    resnet_width: int = 64

    def __post_init__(self) -> None:
        if self.num_channels != 3:
            raise ValueError(f"num_channels is {self.num_channels}, and the networks take colour images (3)")
        doublings = math.log2(1 / self.dense_motion.scale_factor)
        if doublings != round(doublings) or doublings < 0:
            raise ValueError(f"scale_factor {self.dense_motion.scale_factor} is none of 1, 0.5, 0.25, ...")
        if not self.multi_mask:
            return
        if self.inpainting.num_down_blocks != OCCLUSION_LEVELS - 1:
            raise ValueError(f"multi_mask needs num_down_blocks {OCCLUSION_LEVELS - 1}")
        if doublings > OCCLUSION_LEVELS or OCCLUSION_LEVELS - doublings > self.dense_motion.num_blocks:
            raise ValueError(
                f"multi_mask needs {OCCLUSION_LEVELS} resolutions; give the hourglass more blocks"
            )

    @property
    def num_keypoints(self) -> int:
        """Key points of an image."""
        return POINTS_PER_SET * self.num_sets


def keypoint_set_config(published: Mapping[str, Any], count_words: Sequence[str]) -> KeypointSetConfig:
    """Read a configuration in the published words.

    Args:
        published: `model_params` (with `common_params`, `generator_params`, `dense_motion_params` and, optional,
            `avd_network_params`). Our own additions, all optional, are `resolution` (pixels, or height and width),
            `animation` (`avd`, `background`) and, in `common_params`, `resnet_width`.
        count_words: what the number of sets may be called in `common_params`.

    Raises:
        KeyError, TypeError, ValueError: a word is missing, unknown, or its value is of the wrong kind.
    """
    model = published["model_params"]
    common = dict(model["common_params"])
    counts = [common.pop(word) for word in count_words if word in common]
    if not counts:
        raise KeyError(count_words[0])
    avd = model.get("avd_network_params")
    return KeypointSetConfig(
        num_sets=counts[0],
        num_channels=common.pop("num_channels"),
        background=common.pop("bg"),
        multi_mask=common.pop("multi_mask"),
        **common,
        inpainting=InpaintingConfig(**model["generator_params"]),
        dense_motion=DenseMotionConfig(**model["dense_motion_params"]),
        disentanglement=None if avd is None else DisentanglementConfig(**avd),
        animation=AnimationConfig(**published.get("animation", {})),
        resolution=resolution(published),
    )


def keypoint_set_options(title: str, name: str, known: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A configuration's own name, and what the options after it make of animation.

    Args:
        name: one of `known`, optionally followed by `+avd` (absolute transfer through the AVD network), and one of
            `+background` (predict the background's motion in every transfer) and `+still-background` (in none).

    Raises:
        UnknownNameError: no such configuration.
    """
    base, options = split_options(title, name, known, ("avd", *BACKGROUND_OPTIONS))
    return base, {"avd": "avd" in options, "background": background_use(options)}
