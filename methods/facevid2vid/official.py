"""The officially released configurations, in the published words.

Source: the configuration files of the unofficial implementation. Its released files have no fixed names, and a
released file is told by its tensors.
"""

from __future__ import annotations

from typing import Any

from benchbed.errors import UnknownNameError

from ..blocks.configurations import split_options

ADAPTED = "adapted"
# Option: rotation.
ROTATION_OPTIONS = {"current-rotation": "current", "beta-rotation": "beta"}

# name: (generator, scale of the key-point detector's input, rotation the weights were trained with).
# Beta comes before original: a file without the detector's anti-aliasing kernel fits both, and is of the former.
_ROWS: dict[str, tuple[str, float, str]] = {
    "vox-256": ("spade", 0.25, "current"),
    "vox-256-beta": ("original", 1, "beta"),
    "vox-256-original": ("original", 0.25, "current"),
}

DATASETS = dict.fromkeys(_ROWS, "voxceleb")


def official_names() -> tuple[str, ...]:
    """The names of the official configurations."""
    return tuple(_ROWS)


def official(name: str) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        name: one of `official_names`, optionally followed by `+adapted` (relative transfer adapts the movement scale),
            and one of `+current-rotation` and `+beta-rotation`.

    Raises:
        UnknownNameError: no such configuration.
    """
    base, options = split_options("face-vid2vid", name, official_names(), (ADAPTED, *ROTATION_OPTIONS))
    rotations = [ROTATION_OPTIONS[option] for option in options & set(ROTATION_OPTIONS)]
    if len(rotations) > 1:
        raise UnknownNameError(
            f"face-vid2vid configuration '{name}' asks for two rotations; give +current-rotation or +beta-rotation"
        )
    generator, scale, trained_rotation = _ROWS[base]
    return {
        "resolution": 256,
        "generator": generator,
        "rotation": rotations[0] if rotations else trained_rotation,
        "animation": {"adapt_movement_scale": ADAPTED in options},
        "model_params": _model(scale),
    }


def _model(scale: float) -> dict[str, Any]:
    hourglass = {"block_expansion": 32, "max_features": 1024, "num_blocks": 5}
    return {
        "common_params": {
            "num_kp": 15,
            "image_channel": 3,
            "feature_channel": 32,
            "estimate_jacobian": False,
        },
        "kp_detector_params": {
            **hourglass,
            "temperature": 0.1,
            "scale_factor": scale,
            "reshape_channel": 16384,
            "reshape_depth": 16,
        },
        "he_estimator_params": {"block_expansion": 64, "max_features": 2048, "num_bins": 66},
        "generator_params": {
            "block_expansion": 64,
            "max_features": 512,
            "num_down_blocks": 2,
            "reshape_channel": 32,
            "reshape_depth": 16,
            "num_resblocks": 6,
            "estimate_occlusion_map": True,
            "dense_motion_params": {**hourglass, "reshape_depth": 16, "compress": 4},
        },
    }
