"""The full-size configuration; nothing was released, so it is what the paper states and what it leaves to choose."""

from __future__ import annotations

from typing import Any

from benchbed.errors import UnknownNameError

OFFICIAL_FILES: dict[str, str] = {}
DATASETS: dict[str, str] = {"vox-256": "voxceleb"}


def official_names() -> tuple[str, ...]:
    """The names of the full-size configurations."""
    return tuple(DATASETS)


def official(name: str) -> dict[str, Any]:
    """A full-size configuration.

    Raises:
        UnknownNameError: no such configuration.
    """
    if name not in official_names():
        raise UnknownNameError(f"unknown DiME configuration '{name}'; known: {', '.join(official_names())}")
    hourglass = {"max_features": 1024, "num_blocks": 5, "scale_factor": 0.25}
    return {
        "resolution": 256,
        # as FOMM, which an un-refined one-shot DiME is to equal
        "align_corners": False,
        "model_params": {
            "common_params": {"num_kp": 10, "num_channels": 3},
            "kp_detector_params": {"temperature": 0.1, "block_expansion": 32, **hourglass},
            "generator_params": {
                "block_expansion": 64,
                "max_features": 512,
                "num_down_blocks": 2,
                "num_bottleneck_blocks": 6,
                "estimate_occlusion_map": False,
                "dense_motion_params": {"block_expansion": 64, **hourglass},
            },
            "evolution_params": {"widths": [32, 64, 128], "solver": "rk4", "steps": 4},
            "self_flow_params": {
                "reduced_features": 64,
                "block_expansion": 64,
                "max_features": 512,
                "num_blocks": 4,
            },
        },
    }
