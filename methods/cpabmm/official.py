"""The published configurations in their own words. No weights were released with them.

Source: CPABMM's published configuration files; what they share stands once, what differs in rows.
"""

from __future__ import annotations

from typing import Any

from ..blocks.keypoint_set_config import keypoint_set_options

DATASETS = {
    "vox-256": "voxceleb",
    "taichi-256": "taichi-hd",
    "ted-384": "ted-talks",
    "mgif-256": "mgif",
}

# name: (resolution, predicts the background's motion, steps of the fit, what the number of sets is called)
_ROWS: dict[str, tuple[int, bool, int, str]] = {
    "vox-256": (256, True, 100, "num_tps"),
    "taichi-256": (256, True, 200, "num_cpab"),
    "ted-384": (384, True, 100, "num_cpab"),
    "mgif-256": (256, False, 100, "num_cpab"),
}


def official_names() -> tuple[str, ...]:
    """The names of the published configurations."""
    return tuple(_ROWS)


def official(name: str) -> dict[str, Any]:
    """A published configuration in its own words.

    Args:
        name: one of `official_names`, optionally with the options of `keypoint_set_options`.

    Raises:
        UnknownNameError: no such configuration.
    """
    base, animation = keypoint_set_options("CPABMM", name, official_names())
    resolution, background, iterations, count = _ROWS[base]
    return {
        "resolution": resolution,
        "animation": animation,
        "model_params": {
            "common_params": {count: 10, "num_channels": 3, "bg": background, "multi_mask": True},
            "generator_params": {"block_expansion": 64, "max_features": 512, "num_down_blocks": 3},
            "dense_motion_params": {
                "block_expansion": 64,
                "max_features": 1024,
                "num_blocks": 5,
                "scale_factor": 0.25,
                "max_iter": iterations,
            },
            "avd_network_params": {"id_bottle_size": 128, "pose_bottle_size": 128},
        },
    }
