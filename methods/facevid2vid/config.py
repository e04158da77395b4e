"""What decides a face-vid2vid network and its test-time transfer: one frozen dataclass each, read from the published words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blocks.configurations import reading, resolution
from ..blocks.hourglass import hourglass_width

GENERATORS = ("original", "spade")
# (block_expansion, num_down_blocks) that the fixed widths of its decoder fit.
SPADE_SHAPE = (64, 2)
ROTATIONS = ("current", "beta")
HEAD_POSE_STAGES = 4


@dataclass(frozen=True)
class CanonicalKeypointConfig:
    """The canonical key-point detector: source image -> K key points of the face turned to the front."""

    num_kp: int
    image_channel: int
    block_expansion: int
    max_features: int
    num_blocks: int
    reshape_channel: int
    reshape_depth: int
    temperature: float
    scale_factor: float = 1.0
    estimate_jacobian: bool = False
    single_jacobian_map: bool = False

    def __post_init__(self) -> None:
        deepest = hourglass_width(self.block_expansion, self.max_features, self.num_blocks)
        if self.reshape_channel != deepest * self.reshape_depth:
            raise ValueError(
                f"the key-point detector's reshape_channel {self.reshape_channel} is not its deepest width "
                f"{deepest} times reshape_depth {self.reshape_depth}"
            )


@dataclass(frozen=True)
class HeadPoseConfig:
    """The estimator of head pose and expression.

    Args:
        widths, blocks: of its four stages, and how many blocks follow each one's entry; published constants.
    """

    num_kp: int
    image_channel: int
    block_expansion: int
    num_bins: int
    widths: tuple[int, ...] = (256, 512, 1024, 2048)
    blocks: tuple[int, ...] = (3, 3, 5, 2)

    def __post_init__(self) -> None:
        if not len(self.widths) == len(self.blocks) == HEAD_POSE_STAGES:
            raise ValueError(f"the head-pose estimator needs {HEAD_POSE_STAGES} widths and numbers of blocks")


@dataclass(frozen=True)
class DenseMotionConfig:
    """The dense motion network: appearance volume and two sets of key points -> dense motion and occlusion.

    Args:
        scale_factor: size of the motion as a share of the volume's, in the plane of the image.
        align_corners: how volumes are sampled.
    """

    num_kp: int
    feature_channel: int
    block_expansion: int
    max_features: int
    num_blocks: int
    reshape_depth: int
    compress: int
    estimate_occlusion_map: bool = False
    scale_factor: float = 1.0
    align_corners: bool = False


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator: appearance volume, warped, -> image.

    Args:
        kind: `original` (residual blocks and up-sampling) or `spade`.
        reshape_channel: channels of the appearance volume.
        reshape_depth: its depth.
    """

    kind: str
    image_channel: int
    block_expansion: int
    max_features: int
    num_down_blocks: int
    num_resblocks: int
    reshape_channel: int
    reshape_depth: int
    dense_motion: DenseMotionConfig

    def __post_init__(self) -> None:
        if self.kind not in GENERATORS:
            raise ValueError(f"generator '{self.kind}' is none of {', '.join(GENERATORS)}")
        if self.kind == "spade" and (self.block_expansion, self.num_down_blocks) != SPADE_SHAPE:
            raise ValueError("the spade generator needs block_expansion 64 and num_down_blocks 2")
        if self.dense_motion.feature_channel != self.reshape_channel:
            raise ValueError(
                f"feature_channel {self.dense_motion.feature_channel} and the generator's reshape_channel "
                f"{self.reshape_channel} differ"
            )
        if self.dense_motion.reshape_depth != self.reshape_depth:
            raise ValueError(
                f"the reshape_depth of generator ({self.reshape_depth}) and dense motion "
                f"({self.dense_motion.reshape_depth}) differ"
            )

    @property
    def align_corners(self) -> bool:
        """How volumes are sampled."""
        return self.dense_motion.align_corners

    @property
    def warped_width(self) -> int:
        """Channels of the warped features, never capped."""
        return self.block_expansion * 2**self.num_down_blocks


@dataclass(frozen=True)
class Facevid2vidConfig:
    """All parts a configuration describes.

    Args:
        rotation: how three angles make a rotation, `current` or `beta`.
        adapt_movement_scale: relative transfer scales the movement by the ratio of object sizes.
    """

    keypoint_detector: CanonicalKeypointConfig
    head_pose: HeadPoseConfig
    generator: GeneratorConfig
    rotation: str
    adapt_movement_scale: bool
    resolution: tuple[int, int] | None


def facevid2vid_config(published: Mapping[str, Any]) -> Facevid2vidConfig:
    """Read a configuration in the published words.

    Args:
        published: `model_params` (with `common_params`, `kp_detector_params`, `he_estimator_params`,
            `generator_params`) and `generator`, which the published code takes from the command line. Our own
            additions, all optional, are `resolution` (pixels, or height and width), `rotation`, `animation`
            (`adapt_movement_scale`), `align_corners`, `widths` and `blocks` of `he_estimator_params` and
            `scale_factor` of `dense_motion_params`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("face-vid2vid", _read, published)


def _read(published: Mapping[str, Any]) -> Facevid2vidConfig:
    model = published["model_params"]
    common = dict(model["common_params"])
    num_kp, channels, features = common["num_kp"], common["image_channel"], common["feature_channel"]
    head_pose = dict(model["he_estimator_params"])
    # Published, but no width depends on it.
    head_pose.pop("max_features", None)
    for constant in {"widths", "blocks"} & set(head_pose):
        head_pose[constant] = tuple(head_pose[constant])
    rotation = published.get("rotation", "current")
    if rotation not in ROTATIONS:
        raise ValueError(f"rotation '{rotation}' is none of {', '.join(ROTATIONS)}")
    return Facevid2vidConfig(
        keypoint_detector=CanonicalKeypointConfig(
            num_kp=num_kp,
            image_channel=channels,
            estimate_jacobian=common.get("estimate_jacobian", False),
            **model["kp_detector_params"],
        ),
        head_pose=HeadPoseConfig(num_kp=num_kp, image_channel=channels, **head_pose),
        generator=_generator(
            published["generator"],
            num_kp,
            channels,
            features,
            model["generator_params"],
            align_corners=bool(published.get("align_corners", False)),
        ),
        rotation=rotation,
        adapt_movement_scale=bool(published.get("animation", {}).get("adapt_movement_scale", False)),
        resolution=resolution(published),
    )


def _generator(
    kind: str,
    num_kp: int,
    image_channel: int,
    feature_channel: int,
    own: Mapping[str, Any],
    *,
    align_corners: bool,
) -> GeneratorConfig:
    rest = dict(own)
    dense = DenseMotionConfig(
        num_kp=num_kp,
        feature_channel=feature_channel,
        align_corners=align_corners,
        estimate_occlusion_map=rest.pop("estimate_occlusion_map", False),
        **rest.pop("dense_motion_params"),
    )
    return GeneratorConfig(kind=kind, image_channel=image_channel, dense_motion=dense, **rest)
