"""The officially released configurations and the ablation's, in the published words, and the released files.

Source: LIA's released code and the paper's ablation study (motion dictionary of M directions, and none).
"""

from __future__ import annotations

from typing import Any

from benchbed.errors import UnknownNameError

OFFICIAL_FILES = {"vox.pt": "vox-256", "taichi.pt": "taichi-256", "ted.pt": "ted-256"}

DATASETS = {"vox-256": "voxceleb", "taichi-256": "taichi-hd", "ted-256": "ted-talks"}

_RELEASED = {"size": 256, "style_dim": 512, "motion_dim": 20, "channel_multiplier": 1}

# The ablation's names, and what they change.
ABLATIONS: dict[str, dict[str, Any]] = {
    **{f"m{directions}-256": {"motion_dim": directions} for directions in (5, 10, 40, 100)},
    "no-dictionary-256": {"motion_dictionary": False},
}
_DIFFERENCES: dict[str, dict[str, Any]] = {**{name: {} for name in DATASETS}, **ABLATIONS}


def official_names() -> tuple[str, ...]:
    """The names of the released configurations, then those of the ablation."""
    return tuple(_DIFFERENCES)


def official(name: str) -> dict[str, Any]:
    """A configuration in the published words.

    Raises:
        UnknownNameError: no such configuration.
    """
    if name not in _DIFFERENCES:
        raise UnknownNameError(
            f"unknown LIA configuration '{name}'; known: {', '.join(_DIFFERENCES)} (none has options)"
        )
    return {**_RELEASED, **_DIFFERENCES[name]}
