"""The configurations of the paper's four data sets. There are no published files: the words are TPSMM's and ours.

Source: what MOFD says of its experiments, over TPSMM's configurations; what they share stands once, what differs in rows.
"""

from __future__ import annotations

from typing import Any

from ..blocks.keypoint_set_config import keypoint_set_options
from .config import DECOUPLING, OPTIMISATION

# name: predicts the background's motion
_ROWS: dict[str, bool] = {
    "vox-256": True,
    "taichi-256": True,
    "fashion-256": False,
    "mgif-256": False,
}


def official_names() -> tuple[str, ...]:
    """The names of the configurations."""
    return tuple(_ROWS)


def official(name: str) -> dict[str, Any]:
    """A configuration in TPSMM's words and ours.

    Args:
        name: one of `official_names`, optionally with the options of `keypoint_set_options`.

    Raises:
        UnknownNameError: no such configuration.
    """
    base, animation = keypoint_set_options("MOFD", name, official_names())
    return {
        "resolution": 256,
        "animation": animation,
        "model_params": {
            "common_params": {
                "num_tps": 10,
                "num_channels": 3,
                "bg": _ROWS[base],
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
            OPTIMISATION: {
                "grid": 32,
                "windows": [8, 4],
                "embedding": 128,
                "heads": 4,
                "flow_channels": 32,
            },
            DECOUPLING: {"width": 512, "identity_vectors": 20, "motion_vectors": 20},
        },
    }
