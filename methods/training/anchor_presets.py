"""Training presets of deformable anchors: what those of DAM and HDAM share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchbed.interfaces.training import TrainingSchedule

from .presets import Preset
from .recipe import Additions, Recipe, WarpConfig

TINY_WARPS = WarpConfig(0.05, 0.005, 5)
TINY_EQUIVARIANCE = 3.0
TINY_RECIPE = Recipe(
    TrainingSchedule(resolution=64, batch_size=8, steps=1800),
    {"generator": 5e-4, "kp_detector": 5e-4},
    perceptual=(2, 2, 2, 2),
    scales=(1, 0.5, 0.25),
    gradient_norms={"kp_detector": 1.0},
    additions=Additions(
        l1_weight=100.0,
        deformed_weight=50.0,
        copier=True,
        relative_perceptual=True,
        warm_cosine=True,
        freeze_norm_after=0.05,
        colour_rate=0.3,
        # Where the camera stands still, following its motion matters less than what the figure does.
        augmented_share=0.25,
    ),
)


@dataclass(frozen=True)
class AnchorPreset(Preset):
    """A preset and what the losses of all anchors need.

    Args:
        warps: of the equivariance losses; the augmented driving frame has their affine part.
        equivariance_value, equivariance_jacobian: loss weights.
    """

    warps: WarpConfig
    equivariance_value: float
    equivariance_jacobian: float


def tiny_anchors(*, num_kp: int, num_root_kp: int, attention: Mapping[str, Any]) -> dict[str, Any]:
    """A small configuration in published words, for 64 x 64 pixels and minutes on a CPU.

    No background predictor, as in all published configurations but one: drawn backgrounds stand still. The published
    skips carry the warped source to the output, so the image branch may halve the resolution.

    Args:
        num_kp: all anchors.
        num_root_kp: how many of them are intermediate ones or the root.
        attention: words of `kp_detector_params` for the attention between anchors.
    """
    hourglass = {"block_expansion": 16, "num_blocks": 3, "scale_factor": 0.5}
    return {
        # At 64 pixels the half-pixel zoom of unaligned sampling would blur what the skips copy.
        "align_corners": True,
        "model_params": {
            "use_bg_predictor": False,
            "common_params": {"num_kp": num_kp, "num_channels": 3, "estimate_jacobian": True},
            "kp_detector_params": {
                **hourglass,
                "max_features": 64,
                "temperature": 0.1,
                "single_jacobian_map": True,
                **attention,
            },
            "generator_params": {
                "num_root_kp": num_root_kp,
                "block_expansion": 16,
                "max_features": 64,
                "num_down_blocks": 2,
                "num_bottleneck_blocks": 2,
                "estimate_occlusion_map": True,
                "skips": True,
                "dense_motion_params": {**hourglass, "max_features": 96},
            },
        },
    }
