"""The officially released configurations, in the published words, and the files that carry their weights.

Source: TPSMM's published configuration files; what they share stands once, what differs in rows.
"""

from __future__ import annotations

from typing import Any

from ..blocks.keypoint_set_config import keypoint_set_options

OFFICIAL_FILES = {
    "vox.pth.tar": "vox-256",
    "taichi.pth.tar": "taichi-256",
    "ted.pth.tar": "ted-384",
    "mgif.pth.tar": "mgif-256",
}

DATASETS = {
    "vox-256": "voxceleb",
    "taichi-256": "taichi-hd",
    "ted-384": "ted-talks",
    "mgif-256": "mgif",
}

# name: (resolution, predicts the background's motion)
_ROWS: dict[str, tuple[int, bool]] = {
    "vox-256": (256, True),
    "taichi-256": (256, True),
    "ted-384": (384, True),
    "mgif-256": (256, False),
}


def official_names() -> tuple[str, ...]:
    """The names of the official configurations."""
    return tuple(_ROWS)


def official(name: str) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        name: one of `official_names`, optionally with the options of `keypoint_set_options`.

    Raises:
        UnknownNameError: no such configuration.
    """
    base, animation = keypoint_set_options("TPSMM", name, official_names())
    resolution, background = _ROWS[base]
    return {
        "resolution": resolution,
        "animation": animation,
        "model_params": {
            "common_params": {
                "num_tps": 10,
                "num_channels": 3,
                "bg": background,
                "multi_mask": True,
            },
            "generator_params": {"block_expansion": 64, "max_features": 512, "num_down_blocks": 3},
            "dense_motion_params": {
                "block_expansion": 64,
                "max_features": 1024,
                "num_blocks": 5,
                "scale_factor": 0.25,
            },
            "avd_network_params": {"id_bottle_size": 128, "pose_bottle_size": 128},
        },
    }
