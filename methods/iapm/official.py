"""The official configurations, in the published words; no weights were ever published with them.

Source: IAPM's published configuration files.
"""

from __future__ import annotations

from typing import Any

from benchbed.errors import UnknownNameError

PERTURBED = "+perturbed"

DATASETS = {"vox-256": "voxceleb", "taichi-256": "taichi-hd", "bair-256": "bair"}

_THRESHOLDS = {"vox-256": 100, "taichi-256": 60, "bair-256": 60}


def official_names() -> tuple[str, ...]:
    """The names of the official configurations."""
    return tuple(_THRESHOLDS)


def official(name: str) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        name: one of `official_names`, optionally followed by `+perturbed` (animate by the cross-identity path).

    Raises:
        UnknownNameError: no such configuration.
    """
    base = name.removesuffix(PERTURBED)
    if base not in _THRESHOLDS:
        raise UnknownNameError(
            f"unknown IAPM configuration '{name}'; known: {', '.join(_THRESHOLDS)}, each also with {PERTURBED}"
        )
    return {
        "resolution": 256,
        "perturbed": name != base,
        "model_params": {
            "common_params": {"num_channels": 3},
            "mask_generator_params": {
                "temperature": 0.1,
                "block_expansion": 32,
                "max_features": 1024,
                "scale_factor": 0.25,
                "num_blocks": 5,
            },
            "generator_params": {
                "block_expansion": 64,
                "max_features": 512,
                "num_down_blocks": 2,
                "num_bottleneck_blocks": 6,
                "th": _THRESHOLDS[base],
            },
        },
    }
