"""The officially released configurations, in the published words.

Source: MTIA's published configuration files; what they share stands once, what differs in rows.
"""

from __future__ import annotations

from typing import Any

from ..blocks.configurations import BACKGROUND_OPTIONS, background_use, split_options

OPTIONS = ("adapted", *BACKGROUND_OPTIONS)

DATASETS = {
    "taichi256": "taichi-hd",
    "voxceleb1": "voxceleb",
    "ted384": "ted-talks",
    "mgif256": "mgif",
}

# name: (resolution, predicts the background's motion, skips of the generator)
_ROWS: dict[str, tuple[int, bool, bool]] = {
    "taichi256": (256, True, True),
    "voxceleb1": (256, False, True),
    "ted384": (384, False, False),
    "mgif256": (256, False, False),
}


def official_names() -> tuple[str, ...]:
    """The names of the official configurations."""
    return tuple(_ROWS)


def official(name: str) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        name: one of `official_names`, optionally followed by `+adapted` (relative transfer adapts the movement
            scale), and one of `+background` (predict the background's motion in every transfer) and
            `+still-background` (in none).

    Raises:
        UnknownNameError: no such configuration.
    """
    base, options = split_options("MTIA", name, official_names(), OPTIONS)
    resolution, background, skips = _ROWS[base]
    hourglass = {"max_features": 1024, "num_blocks": 5}
    model: dict[str, Any] = {
        "use_bg_predictor": background,
        "common_params": {"num_kp": 10, "num_channels": 3, "estimate_jacobian": True},
        "generator_params": {
            "block_expansion": 64,
            "max_features": 512,
            "num_down_blocks": 2,
            "num_bottleneck_blocks": 6,
            "estimate_occlusion_map": True,
            "skips": skips,
            "dense_motion_params": {"block_expansion": 64, **hourglass, "scale_factor": 0.25},
        },
    }
    if background:
        model["bg_predictor_params"] = {"block_expansion": 32, **hourglass, "bg_type": "affine"}
    return {
        "model_params": model,
        "MODEL": _detector(resolution),
        "animation": {
            "adapt_movement_scale": "adapted" in options,
            "background": background_use(options),
        },
    }


def _detector(resolution: int) -> dict[str, Any]:
    blocks = {"BLOCK": "BASIC", "FUSE_METHOD": "SUM"}
    return {
        "NAME": "pose_tokenpose_b",
        "NUM_JOINTS": 10,
        "ESTIMATE_JACOBIAN": True,
        "POS_EMBEDDING_TYPE": "sine-full",
        "TRANSFORMER_DEPTH": 12,
        "TRANSFORMER_HEADS": 8,
        "TRANSFORMER_MLP_RATIO": 3,
        "DIM": 192,
        "PATCH_SIZE": [4, 4],
        "IMAGE_SIZE": [resolution, resolution],
        "EXTRA": {
            "STAGE2": {"NUM_MODULES": 1, "NUM_CHANNELS": [32, 64], "NUM_BLOCKS": [4, 4], **blocks},
            "STAGE3": {"NUM_MODULES": 4, "NUM_CHANNELS": [32, 64, 128], "NUM_BLOCKS": [4, 4, 4], **blocks},
        },
    }
