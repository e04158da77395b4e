"""What decides a network of deformable anchors and its test-time transfer, read from the published words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .background import BackgroundConfig
from .configurations import BACKGROUND_OPTIONS, background_use, resolution, split_options
from .first_order_config import (
    GeneratorConfig,
    KeypointDetectorConfig,
    TransferConfig,
    detector_config,
    generator_config,
)

# Words of `generator_params` that only training reads.
TRAINING_WORDS = ("num_root_kp_orders", "sub_kp_num", "root_motion_kp_distance")
# Words of `kp_detector_params` for the attention between intermediate and motion anchors.
ATTENTION_WORDS = (
    "subroot_leaf_attention",
    "attention_scale",
    "attention_channel",
    "detach_feature",
    "ignore_kp_list",
)
OPTIONS = ("adapted", *BACKGROUND_OPTIONS)


@dataclass(frozen=True)
class AnchorConfig:
    """All parts a configuration describes.

    Args:
        detector: gives all anchors.
        generator: moved by the motion anchors alone.
        num_root_kp: the last anchors, intermediate ones and the root, which the generator does not see.
        background: None where the configuration has no background predictor.
    """

    detector: KeypointDetectorConfig
    generator: GeneratorConfig
    num_root_kp: int
    background: BackgroundConfig | None
    transfer: TransferConfig
    resolution: tuple[int, int] | None

    def __post_init__(self) -> None:
        if not 1 <= self.num_root_kp < self.detector.num_kp:
            raise ValueError(
                f"num_root_kp is {self.num_root_kp} of num_kp {self.detector.num_kp}; it counts the root and must "
                "leave motion anchors"
            )

    @property
    def num_motion(self) -> int:
        """Motion anchors of an image."""
        return self.generator.dense_motion.num_kp

    @property
    def num_intermediate(self) -> int:
        """Intermediate anchors of an image."""
        return self.num_root_kp - 1

    @property
    def size_multiple(self) -> int:
        """Both sides of every frame must be multiples of this many pixels."""
        return math.lcm(self.detector.size_multiple, self.generator.size_multiple)


def anchor_config(published: Mapping[str, Any]) -> AnchorConfig:
    """Read a configuration in the published words; the words of the attention are left to the caller.

    Args:
        published: `model_params` (with `common_params`, `kp_detector_params`, `generator_params` and, where
            `use_bg_predictor`, `bg_predictor_params`). Our own additions, all optional, are `resolution` (pixels, or
            height and width), `align_corners` and `animation` (`adapt_movement_scale`, `background`).

    Raises:
        KeyError, TypeError, ValueError: a word is missing, unknown, or its value is of the wrong kind.
    """
    model = published["model_params"]
    common = model["common_params"]
    detector = {
        key: value for key, value in model["kp_detector_params"].items() if key not in ATTENTION_WORDS
    }
    generator = {key: value for key, value in model["generator_params"].items() if key not in TRAINING_WORDS}
    num_root_kp = generator.pop("num_root_kp")
    if generator.pop("root_motion", False):
        raise ValueError("root_motion lets the generator see the root, which no released configuration does")
    background = None
    if model.get("use_bg_predictor", False):
        background = BackgroundConfig(num_channels=common["num_channels"], **model["bg_predictor_params"])
    return AnchorConfig(
        detector=detector_config(common, detector),
        generator=generator_config(
            {**common, "num_kp": common["num_kp"] - num_root_kp},
            generator,
            align_corners=bool(published.get("align_corners", False)),
        ),
        num_root_kp=num_root_kp,
        background=background,
        transfer=TransferConfig(**published.get("animation", {})),
        resolution=resolution(published),
    )


@dataclass(frozen=True)
class AnchorRelease:
    """What an officially released configuration has of its own.

    Args:
        num_kp, num_root_kp: all anchors, and how many of them are intermediate ones or the root.
        ignore_kp_list: motion anchors that the attention leaves out.
    """

    num_kp: int
    num_root_kp: int
    single_jacobian_map: bool = True
    use_bg_predictor: bool = False
    skips: bool = True
    ignore_kp_list: tuple[int, ...] = ()


def released_configuration(
    title: str, name: str, releases: Mapping[str, AnchorRelease], *, attention: bool
) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        title: what the method is called in sentences.
        name: one of `releases`, optionally followed by `+adapted` (relative transfer adapts the movement scale), and
            one of `+background` (predict the background's motion in every transfer) and `+still-background` (in none).
        attention: with the attention between intermediate and motion anchors.

    Raises:
        UnknownNameError: no such configuration.
    """
    base, options = split_options(title, name, tuple(releases), OPTIONS)
    row = releases[base]
    hourglass = {"max_features": 1024, "num_blocks": 5}
    model: dict[str, Any] = {
        "use_bg_predictor": row.use_bg_predictor,
        "common_params": {"num_kp": row.num_kp, "num_channels": 3, "estimate_jacobian": True},
        "kp_detector_params": {
            "temperature": 0.1,
            "block_expansion": 32,
            **hourglass,
            "scale_factor": 0.25,
            "single_jacobian_map": row.single_jacobian_map,
            "subroot_leaf_attention": attention,
            "attention_scale": 1,
            "attention_channel": 64,
            "detach_feature": False,
            "ignore_kp_list": list(row.ignore_kp_list),
        },
        "generator_params": {
            "num_root_kp": row.num_root_kp,
            "block_expansion": 64,
            "max_features": 512,
            "num_down_blocks": 2,
            "num_bottleneck_blocks": 6,
            "estimate_occlusion_map": True,
            "skips": row.skips,
            "dense_motion_params": {"block_expansion": 64, **hourglass, "scale_factor": 0.25},
        },
    }
    if row.use_bg_predictor:
        model["bg_predictor_params"] = {"block_expansion": 32, **hourglass, "bg_type": "affine"}
    return {
        "resolution": 256,
        "model_params": model,
        "animation": {
            "adapt_movement_scale": "adapted" in options,
            "background": background_use(options),
        },
    }
